//! What a program lends the core for the time of one call: randomness, a memory of derived keys, and what a server has
//! learned about its accounts.

mod lent;
mod local;

pub use lent::{DerivedKeys, KeyId, Lookups, Random, World};
pub use local::{process_lookups, process_salt_key, LocalWorld, LookupMemory, OsRandom};

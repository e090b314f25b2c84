//! What a program lends the core for one call: random bytes, a cache of derived keys, and what a server knows about its
//! accounts.

mod lent;
mod local;

pub use lent::{DerivedKeys, KeyId, Lookups, Random, World};
pub use local::{process_lookups, process_salt_key, LocalWorld, LookupMemory, OsRandom};

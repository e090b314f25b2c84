//! What a program lends the core for one call: random bytes, a cache of derived keys, and what a server knows about its
//! accounts.
//!
//! ```
//! use authen_sasl_rust::contract::{Random, World};
//! use authen_sasl_rust::store::keys::KeyMemory;
//! use authen_sasl_rust::world::{LocalWorld, OsRandom};
//!
//! // A world of a connection's own,
//! let mut world = LocalWorld::default().remember_in(Box::new(KeyMemory::new()));
//! let nonce = world.lend().random.nonce()?;
//! assert!(!nonce.is_empty() && !nonce.contains(','));
//!
//! // and one with the memories that all connections of a process share.
//! let mut random = OsRandom;
//! let shared = World::of_process(&mut random, None);
//! assert!(shared.lookups.expects_verifiers());
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

mod lent;
mod local;

pub use lent::{DerivedKeys, KeyId, Lookups, Random, World};
pub use local::{process_lookups, process_salt_key, LocalWorld, LookupMemory, OsRandom};

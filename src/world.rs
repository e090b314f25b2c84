//! What the core is lent, for programs that have no wishes of their own.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::contract::{DerivedKeys, Lookups, Random, World};
use crate::error::Error;
use crate::secret::Secret;

/// Random bytes of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(buffer).map_err(|_| Error::System("the operating system has no random bytes"))
    }
}

/// The memory of [`Lookups`], shared by all connections of a process.
#[derive(Debug, Default)]
pub struct LookupMemory(AtomicBool);

impl LookupMemory {
    /// Nothing seen yet: an unknown user costs as much as a plain password.
    pub const fn new() -> Self {
        LookupMemory(AtomicBool::new(false))
    }
}

impl Lookups for LookupMemory {
    fn saw(&self, stored_key: bool) {
        self.0.store(stored_key, Ordering::Relaxed);
    }

    fn stored_keys(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A world that owns all it lends.
pub struct LocalWorld {
    random: Box<dyn Random>,
    keys: Option<Box<dyn DerivedKeys>>,
    fake_salt_key: Secret,
    lookups: LookupMemory,
}

impl Default for LocalWorld {
    fn default() -> Self {
        LocalWorld::with_random(Box::new(OsRandom))
    }
}

impl LocalWorld {
    /// A world whose nonces come from `random`: fixed ones for a published exchange.
    pub fn with_random(random: Box<dyn Random>) -> Self {
        LocalWorld {
            random,
            keys: None,
            fake_salt_key: Secret::new(b"the salts of a test"),
            lookups: LookupMemory::new(),
        }
    }

    /// Keeps derived keys in `keys`.
    pub fn remember_in(mut self, keys: Box<dyn DerivedKeys>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Lends everything for one call.
    pub fn lend(&mut self) -> World<'_> {
        World {
            random: &mut *self.random,
            keys: self.keys.as_deref(),
            fake_salt_key: self.fake_salt_key.expose(),
            lookups: &self.lookups,
        }
    }
}

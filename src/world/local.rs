//! A [`World`] for most programs: random bytes of the operating system, and memories that a process shares.

use std::sync::atomic::{AtomicU32, AtomicU8, Ordering};
use std::sync::OnceLock;

use crate::crypto::hash::Hash;
use crate::crypto::scram::Strength;
use crate::error::Error;
use crate::secret::Secret;

use super::lent::{DerivedKeys, Lookups, Random, World};

/// Random bytes of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(buffer).map_err(|_| Error::System("the operating system has no random bytes"))
    }
}

/// The key from which the salts of unknown users are derived if the option salt_key is not set: random, created once per
/// process. Threads and forks share it if it is created before them, so a library should call this when it is loaded.
///
/// It is empty as long as the system has no random bytes. Nonces fail then too, and so does every exchange that needs the
/// key.
pub fn process_salt_key() -> &'static [u8] {
    static KEY: OnceLock<Secret> = OnceLock::new();
    if KEY.get().is_none() {
        let mut key = vec![0; 32];
        if OsRandom.fill(&mut key).is_ok() {
            // If another thread was faster, its key is used.
            let _ = KEY.set(Secret::from(key));
        }
    }
    KEY.get().map_or(&[], Secret::expose)
}

impl<'w> World<'w> {
    /// A world with the memories that all connections of a process share: [`process_salt_key`] and [`process_lookups`].
    pub fn of_process(random: &'w mut dyn Random, keys: Option<&'w dyn DerivedKeys>) -> Self {
        World { random, keys, salt_key: process_salt_key(), lookups: process_lookups(), clock: None }
    }
}

/// The memory of [`Lookups`] that all connections of a process share.
pub fn process_lookups() -> &'static LookupMemory {
    static LOOKUPS: LookupMemory = LookupMemory::new();
    &LOOKUPS
}

/// The memory behind [`Lookups`].
#[derive(Debug, Default)]
pub struct LookupMemory {
    kinds: AtomicU8,
    /// The iterations of the first verifier of each hash; 0 for none.
    iterations: [AtomicU32; Hash::ALL.len()],
    /// The number of the hash of the first verifier of all, counted from 1.
    first: AtomicU8,
}

const PASSWORD: u8 = 1;
const VERIFIER: u8 = 2;

impl LookupMemory {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        let iterations = [const { AtomicU32::new(0) }; Hash::ALL.len()];
        LookupMemory { kinds: AtomicU8::new(0), iterations, first: AtomicU8::new(0) }
    }

    /// True if a credential of this kind was seen, or none of any kind.
    fn expects(&self, kind: u8) -> bool {
        let seen = self.kinds.load(Ordering::Relaxed);
        seen == 0 || seen & kind != 0
    }
}

impl Lookups for LookupMemory {
    fn record_kind(&self, verifier: bool) {
        // Written only once: this must not take longer for a known user than the read does for an unknown one.
        let kind = if verifier { VERIFIER } else { PASSWORD };
        if self.kinds.load(Ordering::Relaxed) & kind == 0 {
            self.kinds.fetch_or(kind, Ordering::Relaxed);
        }
    }

    fn expects_verifiers(&self) -> bool {
        self.expects(VERIFIER)
    }

    fn expects_passwords(&self) -> bool {
        self.expects(PASSWORD)
    }

    /// The first verifier stays: an unknown user must not change with each login of another.
    fn record_strength(&self, strength: Strength) {
        let index = strength.hash as usize;
        if self.iterations[index].load(Ordering::Relaxed) == 0 {
            self.iterations[index].store(strength.iterations, Ordering::Relaxed);
            let _ = self.first.compare_exchange(0, index as u8 + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn usual_strength(&self, hash: Option<Hash>) -> Option<Strength> {
        let first = || Hash::ALL.get(usize::from(self.first.load(Ordering::Relaxed)).checked_sub(1)?).copied();
        let hash = hash.or_else(first)?;
        let iterations = self.iterations[hash as usize].load(Ordering::Relaxed);
        (iterations > 0).then_some(Strength { hash, iterations })
    }
}

/// A world that owns what it lends. Its salt key is [`process_salt_key`] unless it gets another one: an unknown user must have the
/// same salt on every connection. It can be sent to another thread together with its session.
pub struct LocalWorld {
    random: Box<dyn Random + Send>,
    keys: Option<Box<dyn DerivedKeys + Send>>,
    salt_key: Option<Secret>,
    lookups: LookupMemory,
    clock: Option<fn() -> u64>,
}

impl Default for LocalWorld {
    fn default() -> Self {
        LocalWorld::with_random(Box::new(OsRandom))
    }
}

impl LocalWorld {
    /// A world whose nonces come from `random`: fixed nonces replay a published exchange.
    pub fn with_random(random: Box<dyn Random + Send>) -> Self {
        LocalWorld { random, keys: None, salt_key: None, lookups: LookupMemory::new(), clock: None }
    }

    /// Lends this clock.
    pub fn with_clock(mut self, clock: fn() -> u64) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Caches derived keys in `keys`.
    pub fn remember_in(mut self, keys: Box<dyn DerivedKeys + Send>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Derives the salts of unknown users from this key, so that an exchange can be repeated.
    pub fn with_salt_key(mut self, key: Secret) -> Self {
        self.salt_key = Some(key);
        self
    }

    /// Lends everything for one call.
    pub fn lend(&mut self) -> World<'_> {
        World {
            random: &mut *self.random,
            keys: self.keys.as_deref().map(|keys| keys as &dyn DerivedKeys),
            salt_key: self.salt_key.as_ref().map_or_else(|| process_salt_key(), Secret::expose),
            lookups: &self.lookups,
            clock: self.clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_of_a_process_share_a_random_salt_key() {
        let (mut one, mut other) = (LocalWorld::default(), LocalWorld::default());
        assert_eq!(one.lend().salt_key, other.lend().salt_key);
        assert_eq!(one.lend().salt_key, process_salt_key());
        let key = process_salt_key();
        assert!(key.len() == 32 && key.iter().any(|byte| *byte != key[0]), "it is random");
        let mut fixed = LocalWorld::default().with_salt_key(Secret::new(b"a key"));
        assert_eq!(fixed.lend().salt_key, b"a key");
    }
}

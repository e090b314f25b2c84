//! A client's cache of derived keys: the second connection of a process needs no key derivation.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::contract::{DerivedKeys, KeyId};
use crate::crypto::hash::{Digest, Hash};
use crate::secret::{ct_eq, Secret};

/// Maximum number of entries. The least recently used one is removed first.
const ENTRIES: usize = 16;

/// Derived keys by the inputs of their derivation.
///
/// The inputs, which include the password, are not stored: only an HMAC of them with a random key of this cache. Keys are
/// zeroized when they are removed.
///
/// An empty cache takes one pointer, since many clients connect only once.
pub struct KeyMemory(Mutex<Option<Box<Memory>>>);

#[derive(Default)]
struct Memory {
    /// Random; created when it is first needed.
    key: Option<Secret>,
    /// The most recently used first.
    entries: Vec<(Digest, Secret)>,
}

impl Default for KeyMemory {
    fn default() -> Self {
        KeyMemory::new()
    }
}

impl KeyMemory {
    /// An empty cache.
    pub const fn new() -> Self {
        KeyMemory(Mutex::new(None))
    }

    /// Removes all keys.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<Memory>>> {
        // A panic leaves no half-changed data here, so a poisoned lock can be used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// The index of an entry; `None` if the system has no random bytes. Nothing is stored then.
    fn tag(&mut self, id: &KeyId<'_>) -> Option<Digest> {
        if self.key.is_none() {
            let mut key = [0; 32];
            getrandom::fill(&mut key).ok()?;
            self.key = Some(Secret::new(&key));
        }
        let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
        let password = id.password.expose();
        // A part of variable length comes after its length, so that different inputs never give the same bytes.
        Some(Hash::Sha256.hmac(
            self.key.as_ref()?.expose(),
            &[
                &length(id.hash.as_bytes()),
                id.hash.as_bytes(),
                &length(id.authcid.as_bytes()),
                id.authcid.as_bytes(),
                &length(password),
                password,
                &length(id.salt),
                id.salt,
                &id.iterations.to_be_bytes(),
            ],
        ))
    }

    fn position(&self, tag: &Digest) -> Option<usize> {
        self.entries.iter().position(|(kept, _)| ct_eq(kept, tag))
    }
}

impl DerivedKeys for KeyMemory {
    fn find(&self, id: &KeyId<'_>) -> Option<Secret> {
        let mut memory = self.lock();
        let memory = memory.as_mut()?;
        let tag = memory.tag(id)?;
        let at = memory.position(&tag)?;
        memory.entries[..=at].rotate_right(1);
        Some(memory.entries[0].1.clone())
    }

    fn remember(&self, id: &KeyId<'_>, keys: Secret) {
        let mut memory = self.lock();
        let memory = memory.get_or_insert_default();
        let Some(tag) = memory.tag(id) else { return };
        if let Some(at) = memory.position(&tag) {
            memory.entries.remove(at);
        }
        memory.entries.truncate(ENTRIES - 1);
        memory.entries.insert(0, (tag, keys));
    }
}

impl fmt::Debug for KeyMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<'a>(authcid: &'a str, password: &'a Secret, salt: &'a [u8], iterations: u32) -> KeyId<'a> {
        KeyId { hash: "SHA-256", authcid, password, salt, iterations }
    }

    #[test]
    fn every_input_counts() {
        let (memory, password, other) = (KeyMemory::default(), Secret::new(b"pencil"), Secret::new(b"pencils"));
        memory.remember(&id("user", &password, b"salt", 4096), Secret::new(b"keys"));
        assert!(memory.find(&id("user", &password, b"salt", 4096)).is_some_and(|keys| keys.ct_eq(b"keys")));
        assert!(memory.find(&id("user", &other, b"salt", 4096)).is_none());
        assert!(memory.find(&id("use", &password, b"salt", 4096)).is_none());
        assert!(memory.find(&id("user", &password, b"sal", 4096)).is_none());
        assert!(memory.find(&id("user", &password, b"salt", 4097)).is_none());
        let hash = KeyId { hash: "SHA-512", ..id("user", &password, b"salt", 4096) };
        assert!(memory.find(&hash).is_none());
        // The same bytes, divided at another place.
        memory.remember(&id("userp", &Secret::new(b"encil"), b"salt", 4096), Secret::new(b"k"));
        assert!(memory.find(&id("user", &password, b"salt", 4096)).is_some_and(|keys| keys.ct_eq(b"keys")));
        memory.forget();
        assert!(memory.find(&id("user", &password, b"salt", 4096)).is_none());
    }

    #[test]
    fn the_least_recently_used_goes() {
        let (memory, password) = (KeyMemory::default(), Secret::new(b"pencil"));
        for n in 0..ENTRIES as u32 {
            memory.remember(&id("user", &password, b"salt", n), Secret::new(&n.to_be_bytes()));
        }
        assert!(memory.find(&id("user", &password, b"salt", 0)).is_some());
        memory.remember(&id("user", &password, b"salt", 99), Secret::new(b"99"));
        assert!(memory.find(&id("user", &password, b"salt", 0)).is_some());
        assert!(memory.find(&id("user", &password, b"salt", 1)).is_none());
        assert_eq!(memory.lock().as_ref().map(|kept| kept.entries.len()), Some(ENTRIES));
    }

    #[test]
    fn threads_share_it() {
        static MEMORY: KeyMemory = KeyMemory::new();
        let password = Secret::new(b"pencil");
        MEMORY.remember(&id("user", &password, b"salt", 1), Secret::new(b"keys"));
        let found = std::thread::spawn(|| MEMORY.find(&id("user", &Secret::new(b"pencil"), b"salt", 1)).is_some());
        assert!(found.join().unwrap());
    }

    #[test]
    fn neither_password_nor_keys_are_shown() {
        let (memory, password) = (KeyMemory::default(), Secret::new(b"pencil"));
        memory.remember(&id("user", &password, b"salt", 1), Secret::new(b"keys"));
        assert_eq!(format!("{memory:?}"), "key memory");
    }
}

//! SCRAM's keys (RFC 5802 §3), for the mechanisms and for verifiers.

use super::hash::{Digest, Hash};
use super::pbkdf2;

/// The hash in the name of a SCRAM mechanism, and whether the name has the suffix -PLUS.
pub fn parse_mechanism_name(name: &str) -> Option<(Hash, bool)> {
    let name = name.strip_prefix("SCRAM-")?;
    match name.strip_suffix("-PLUS") {
        Some(name) => Some((Hash::find(name)?, true)),
        None => Some((Hash::find(name)?, false)),
    }
}

/// The keys that are derived from a salted password (RFC 5802 §3).
pub struct Keys {
    /// `ClientKey = HMAC(SaltedPassword, "Client Key")`
    pub client: Digest,
    /// `StoredKey = H(ClientKey)`
    pub stored: Digest,
    /// `ServerKey = HMAC(SaltedPassword, "Server Key")`
    pub server: Digest,
}

impl Keys {
    /// Derives the keys. `password` must be prepared (SASLprep).
    pub fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        Keys::of_salted(hash, &pbkdf2::derive(hash, password, salt, iterations))
    }

    /// The keys of a `SaltedPassword`.
    pub fn of_salted(hash: Hash, salted: &[u8]) -> Self {
        let client = hash.hmac(salted, &[b"Client Key"]);
        let stored = hash.digest(&client);
        Keys { client, stored, server: hash.hmac(salted, &[b"Server Key"]) }
    }
}

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

/// How well a verifier resists guessing: its hash and its iteration count. Neither makes up for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strength {
    /// The hash.
    pub hash: Hash,
    /// The iteration count.
    pub iterations: u32,
}

impl Strength {
    /// The stronger hash of both with the higher count of both.
    pub fn union(self, other: Strength) -> Strength {
        let hash = if (other.hash as u8) > (self.hash as u8) { other.hash } else { self.hash };
        Strength { hash, iterations: self.iterations.max(other.iterations) }
    }

    /// The strength of the verifier that a user needs who has verifiers of these strengths, if all users are to have at least
    /// this one. `None` if one of them is sufficient. It is never weaker than what the user has.
    pub fn due(self, stored: impl IntoIterator<Item = Strength>) -> Option<Strength> {
        let mut due = self;
        for one in stored {
            if one.union(self) == one {
                return None;
            }
            due = due.union(one);
        }
        Some(due)
    }
}

/// Iterations of a new verifier, unless the administrator chooses another count (docs/decisions/0025-upgrade.md).
///
/// RFC 5802 §5.1 and RFC 7677 §4 name 4096; draft-melnikov-scram-sha-512 and draft-melnikov-scram-sha3-512 name 10,000, as does
/// NIST SP 800-63B §5.1.1.2 for PBKDF2.
pub const fn usual_iterations(hash: Hash) -> u32 {
    match hash {
        Hash::Sha1 | Hash::Sha224 | Hash::Sha256 => 4096,
        Hash::Sha384 | Hash::Sha512 | Hash::Sha3_512 => 10_000,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_weaker() {
        let of = |hash, iterations| Strength { hash, iterations };
        let floor = of(Hash::Sha512, 10_000);
        for (stored, expected) in [
            (vec![], Some(floor)),
            (vec![floor], None),
            (vec![of(Hash::Sha512, 10_001)], None),
            (vec![of(Hash::Sha3_512, 10_000)], None),
            (vec![of(Hash::Sha512, 9_999)], Some(floor)),
            (vec![of(Hash::Sha1, 4096), of(Hash::Sha256, 4096)], Some(floor)),
            (vec![of(Hash::Sha1, 4096), floor], None),
            (vec![of(Hash::Sha256, 100_000)], Some(of(Hash::Sha512, 100_000))),
            (vec![of(Hash::Sha3_512, 4096)], Some(of(Hash::Sha3_512, 10_000))),
            (vec![of(Hash::Sha3_512, 4096), of(Hash::Sha1, 50_000)], Some(of(Hash::Sha3_512, 50_000))),
        ] {
            let due = floor.due(stored.iter().copied());
            assert_eq!(due, expected, "{stored:?}");
            for one in due.iter().flat_map(|due| stored.iter().map(move |one| one.union(*due) == *due)) {
                assert!(one, "{stored:?}");
            }
            // What was stored is sufficient then.
            assert_eq!(due.and_then(|due| floor.due([due])), None);
        }
    }
}

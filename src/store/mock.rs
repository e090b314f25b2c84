//! Mock credentials, for users who do not exist or have no usable secret. With them, the peer sees the same messages after
//! the same work as for a wrong password.

use crate::config::{MAX_ITERATIONS, MIN_ITERATIONS};
use crate::contract::Lookups;
use crate::crypto::hash::Hash;
use crate::crypto::scram::{usual_iterations, Strength};
use crate::error::Error;
use crate::secret::Secret;

use super::verifier::{wrong, Verifier};

/// The name that is looked up instead of a name without a canonical form. Applications rely on canonicalization as a
/// filter, so they must not get the original name. A name of letters only passes every filter.
pub const MOCK_NAME: &str = "nosuchuser";

/// The mock password. It takes the same work as a known user's, so that timing does not reveal who is known.
pub const MOCK_PASSWORD: &[u8] = b"nobody's one";

/// The mock credential, which is read in the same way as a real one: a verifier if all users seen had one, else a
/// password.
pub fn mock_credential(hash: Option<Hash>, lookups: &dyn Lookups) -> &'static [u8] {
    let keys_alone = lookups.expects_verifiers() && !lookups.expects_passwords();
    hash.filter(|_| keys_alone).map_or(MOCK_PASSWORD, |hash| mock_text(hash).as_bytes())
}

/// The strength of mock verifiers, and the iterations for users with plain passwords, where the caller has set no count: that of the
/// first verifier seen, within the limits of clients, or else the usual one.
pub fn imitated(hash: Option<Hash>, lookups: &dyn Lookups) -> Strength {
    let usual = || {
        let hash = hash.unwrap_or(Hash::Sha256);
        Strength { hash, iterations: usual_iterations(hash) }
    };
    lookups.usual_strength(hash).map_or_else(usual, |seen| {
        let iterations = seen.iterations.clamp(MIN_ITERATIONS, MAX_ITERATIONS);
        Strength { iterations, ..seen }
    })
}

/// The mock verifier. Its keys are zeros, for which no password is known.
///
/// # Errors
/// None.
pub fn mock_verifier(hash: Hash) -> Result<Verifier, Error> {
    let read = Verifier::read(&Secret::new(mock_text(hash).as_bytes()))?;
    read.ok_or_else(|| wrong("a mock verifier that cannot be read"))
}

/// A verifier that looks like a user's with this hash, count and length of salt, for a user who is unknown or has none. No password
/// matches it. It is always the same for the same name, count and key, as a real one would be; without the key nobody can compute it.
pub fn imitation(name: &str, hash: Hash, iterations: u32, salt_len: usize, key: &[u8]) -> Verifier {
    // A user who gets a verifier with another count gets another salt.
    let count = iterations.to_be_bytes();
    let derive = |what: &[u8], with: Hash| {
        with.hmac(key, &[what, b"\0", hash.name().as_bytes(), b"\0", &count, name.as_bytes()])
    };
    let salt = derive(b"salt", Hash::Sha512);
    let keys = [&*derive(b"StoredKey", hash), &*derive(b"ServerKey", hash)].concat();
    Verifier { hash, iterations, salt: salt[..salt_len.min(salt.len())].into(), keys: keys.into() }
}

/// Constants, since building the text would take time that a known user's verifier does not take.
fn mock_text(hash: Hash) -> &'static str {
    macro_rules! key {
        ($name:literal, $zeros:literal) => {
            concat!("SCRAM-", $name, "$4096:bm9ib2R5J3Mgb3duIHNhbA==$", $zeros, ":", $zeros)
        };
    }
    match hash {
        Hash::Sha1 => key!("SHA-1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        Hash::Sha224 => key!("SHA-224", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
        Hash::Sha256 => key!("SHA-256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        Hash::Sha384 => key!("SHA-384", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        Hash::Sha512 => {
            key!("SHA-512", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")
        }
        Hash::Sha3_512 => {
            key!("SHA3-512", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imitation_depends_on_name_hash_and_key_alone() {
        let of = |name, hash, key| imitation(name, hash, 4096, 16, key);
        let one = of("nobody", Hash::Sha256, b"key");
        assert_eq!((one.hash, one.iterations, one.salt.len(), one.keys.expose().len()), (Hash::Sha256, 4096, 16, 64));
        let same = of("nobody", Hash::Sha256, b"key");
        assert!(same.salt == one.salt && same.keys.ct_eq(one.keys.expose()));
        for other in
            [of("nobodx", Hash::Sha256, b"key"), of("nobody", Hash::Sha1, b"key"), of("nobody", Hash::Sha256, b"kez")]
        {
            assert!(other.salt != one.salt && !other.keys.ct_eq(one.keys.expose()));
        }
    }

    #[test]
    fn each_hash_has_its_own() {
        for hash in Hash::ALL {
            assert_eq!(mock_verifier(hash).unwrap().hash, hash);
        }
    }
}

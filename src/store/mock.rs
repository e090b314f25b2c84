//! Mock credentials, for users who do not exist or have no usable secret. With them, the peer sees the same messages after
//! the same work as for a wrong password.

use crate::contract::Lookups;
use crate::crypto::hash::Hash;
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

/// The mock verifier. Its keys are zeros, for which no password is known.
///
/// # Errors
/// None.
pub fn mock_verifier(hash: Hash) -> Result<Verifier, Error> {
    let read = Verifier::read(&Secret::new(mock_text(hash).as_bytes()))?;
    read.ok_or_else(|| wrong("a mock verifier that cannot be read"))
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
    fn each_hash_has_its_own() {
        for hash in Hash::ALL {
            assert_eq!(mock_verifier(hash).unwrap().hash, hash);
        }
    }
}

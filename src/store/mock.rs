//! Mock credentials: what stands for a user that does not exist, or that has no usable secret, so that the peer sees the
//! same dialogue after the same work as for a wrong password.

use crate::contract::Lookups;
use crate::crypto::hash::Hash;
use crate::error::Error;
use crate::secret::Secret;

use super::verifier::{wrong, Verifier};

/// The name that is looked up in place of a name without a canonical form. Callbacks rely on `canonuser` as a filter, so they must
/// not get the original name. Letters alone pass every filter.
pub const MOCK_NAME: &str = "nosuchuser";

/// The password of a user that does not exist: the same is done with it as with a known user's, so that time tells nothing
/// of who is known.
pub const MOCK_PASSWORD: &[u8] = b"nobody's one";

/// The credential of a user that does not exist, which is read as a known one's is: a verifier where all users seen had
/// one, else a password.
pub fn mock_credential(hash: Option<Hash>, lookups: &dyn Lookups) -> &'static [u8] {
    let keys_alone = lookups.expects_verifiers() && !lookups.expects_passwords();
    hash.filter(|_| keys_alone).map_or(MOCK_PASSWORD, |hash| mock_text(hash).as_bytes())
}

/// The verifier of a user that does not exist: nobody knows what its zeros are the hash of.
///
/// # Errors
/// None.
pub fn mock_verifier(hash: Hash) -> Result<Verifier, Error> {
    let read = Verifier::read(&Secret::new(mock_text(hash).as_bytes()))?;
    read.ok_or_else(|| wrong("a mock verifier that cannot be read"))
}

/// Written out, since composing it would take time that a known user's verifier does not take.
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

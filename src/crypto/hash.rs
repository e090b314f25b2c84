//! The hashes of the SCRAM family under one type, with HMAC (RFC 2104).

use std::fmt;
use std::ops::Deref;

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use sha3::Sha3_512;
use zeroize::Zeroize;

/// A hash function of the SCRAM family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-224, 28 bytes.
    Sha224,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
    /// SHA3-512, 64 bytes; HMAC's block is 72 bytes.
    Sha3_512,
}

impl Hash {
    /// All of them, the weakest first.
    pub const ALL: [Hash; 6] = [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha3_512];

    /// The name as in the names of mechanisms, for instance `SHA-256`.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SHA-1",
            Hash::Sha224 => "SHA-224",
            Hash::Sha256 => "SHA-256",
            Hash::Sha384 => "SHA-384",
            Hash::Sha512 => "SHA-512",
            Hash::Sha3_512 => "SHA3-512",
        }
    }

    /// The hash of that name, upper or lower case.
    pub fn find(name: &str) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Length of a digest, in bytes.
    pub fn size(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha224 => 28,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 | Hash::Sha3_512 => 64,
        }
    }

    /// `H(data)`.
    pub fn digest(self, data: &[u8]) -> Digest {
        match self {
            Hash::Sha1 => Digest::new(&Sha1::digest(data)),
            Hash::Sha224 => Digest::new(&Sha224::digest(data)),
            Hash::Sha256 => Digest::new(&Sha256::digest(data)),
            Hash::Sha384 => Digest::new(&Sha384::digest(data)),
            Hash::Sha512 => Digest::new(&Sha512::digest(data)),
            Hash::Sha3_512 => Digest::new(&Sha3_512::digest(data)),
        }
    }

    /// `HMAC(key, parts)`: of the concatenated parts.
    pub fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Digest {
        match self {
            Hash::Sha1 => hmac::<Hmac<Sha1>>(key, parts),
            Hash::Sha224 => hmac::<Hmac<Sha224>>(key, parts),
            Hash::Sha256 => hmac::<Hmac<Sha256>>(key, parts),
            Hash::Sha384 => hmac::<Hmac<Sha384>>(key, parts),
            Hash::Sha512 => hmac::<Hmac<Sha512>>(key, parts),
            Hash::Sha3_512 => hmac::<SimpleHmac<Sha3_512>>(key, parts),
        }
    }
}

fn hmac<M: KeyInit + Mac>(key: &[u8], parts: &[&[u8]]) -> Digest {
    // HMAC takes a key of any length. The trait returns an error for other MACs only.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Digest::new(&[]) };
    parts.iter().for_each(|part| mac.update(part));
    Digest::new(&mac.finalize().into_bytes())
}

/// A digest or key of at most 64 bytes, without an allocation. It is zeroized when dropped.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; 64],
    size: u8,
}

impl Digest {
    /// Copies at most 64 bytes.
    pub fn new(from: &[u8]) -> Self {
        let size = from.len().min(64);
        let mut bytes = [0; 64];
        bytes[..size].copy_from_slice(&from[..size]);
        Digest { bytes, size: size as u8 }
    }

    /// Exclusive-or with bytes of the same length.
    pub fn xor(mut self, other: &[u8]) -> Self {
        self.bytes[..usize::from(self.size)].iter_mut().zip(other).for_each(|(ours, theirs)| *ours ^= theirs);
        self
    }
}

impl Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("digest")
    }
}

#[cfg(test)]
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sizes() {
        for hash in Hash::ALL {
            assert_eq!(Hash::find(&hash.name().to_lowercase()), Some(hash));
            assert_eq!(hash.digest(b"").len(), hash.size());
            assert_eq!(hash.hmac(b"key", &[b"data"]).len(), hash.size());
        }
        assert_eq!(Hash::find("SHA-257"), None);
    }

    /// RFC 2202 §3, test case 2; RFC 4231 §4.3 (test case 2) for the SHA-2 family; SHA3-512 computed
    /// with OpenSSL.
    #[test]
    fn hmac_vectors() {
        for (hash, expected) in [
            (Hash::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Hash::Sha224, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
            (Hash::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Hash::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Hash::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                Hash::Sha3_512,
                "5a4bfeab6166427c7a3647b747292b8384537cdb89afb3bf5665e4c5e709350b\
                 287baec921fd7ca0ee7a0c31d022a95e1fc92ba9d77df883960275beb4e62024",
            ),
        ] {
            assert_eq!(*hash.hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]), unhex(expected), "{hash:?}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Hash::Sha1.digest(b"")), "digest");
    }
}

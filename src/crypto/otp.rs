//! One-time passwords of RFC 2289: a chain of hashes, each folded to 64 bits.

pub mod words;

use std::fmt;
use std::ops::Deref;

use md5::Md5;
use sha1::Sha1;
use sha2::Digest as _;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A one-time password, or the one before it that a server has stored. It is zeroized when dropped, and compared in constant time.
#[derive(Clone)]
pub struct Otp(Zeroizing<[u8; 8]>);

impl Otp {
    /// Of these 64 bits.
    pub fn new(bits: [u8; 8]) -> Self {
        Otp(Zeroizing::new(bits))
    }
}

impl Deref for Otp {
    type Target = [u8; 8];

    fn deref(&self) -> &[u8; 8] {
        &self.0
    }
}

impl PartialEq for Otp {
    fn eq(&self, other: &Self) -> bool {
        self[..].ct_eq(&other[..]).into()
    }
}

impl Eq for Otp {}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one-time password")
    }
}

/// The hash of a chain. MD4, which RFC 2289 has too, is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpHash {
    /// MD5, which each implementation has.
    Md5,
    /// SHA-1.
    Sha1,
}

impl OtpHash {
    /// Both.
    pub const ALL: [OtpHash; 2] = [OtpHash::Md5, OtpHash::Sha1];

    /// The name in challenges.
    pub fn name(self) -> &'static str {
        match self {
            OtpHash::Md5 => "md5",
            OtpHash::Sha1 => "sha1",
        }
    }

    /// The hash of that name, upper or lower case.
    pub fn find(name: &str) -> Option<Self> {
        OtpHash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// One step of the chain (RFC 2289 appendix A): the digest, folded to 64 bits.
    pub fn step(self, data: &[u8]) -> Otp {
        let mut folded = Otp::new([0; 8]);
        match self {
            OtpHash::Md5 => {
                let mut digest = Md5::digest(data);
                folded.0.iter_mut().enumerate().for_each(|(at, byte)| *byte = digest[at] ^ digest[at + 8]);
                digest.zeroize();
            }
            // The five words of SHA-1 have the opposite byte order in the folded result.
            OtpHash::Sha1 => {
                let mut digest = Sha1::digest(data);
                for at in 0..4 {
                    folded.0[at] = digest[3 - at] ^ digest[11 - at] ^ digest[19 - at];
                    folded.0[at + 4] = digest[7 - at] ^ digest[15 - at];
                }
                digest.zeroize();
            }
        }
        folded
    }

    /// The one-time password with this sequence number. A seed is not case-sensitive.
    pub fn compute(self, phrase: &[u8], seed: &str, sequence: u32) -> Otp {
        let seed = seed.to_ascii_lowercase();
        let mut input = Zeroizing::new(Vec::with_capacity(seed.len() + phrase.len()));
        input.extend_from_slice(seed.as_bytes());
        input.extend_from_slice(phrase);
        (0..sequence).fold(self.step(&input), |otp, _| self.step(&otp[..]))
    }
}

/// Parses 16 hexadecimal digits, upper or lower case, with white space anywhere. `None` for any other text.
pub fn parse_hex(text: &str) -> Option<Otp> {
    let mut otp = Otp::new([0; 8]);
    let mut count = 0;
    for digit in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let byte = otp.0.get_mut(count / 2)?;
        *byte = *byte << 4 | digit.to_digit(16)? as u8;
        count += 1;
    }
    (count == 16).then_some(otp)
}

/// Prints 16 lower-case hexadecimal digits.
pub fn print_hex(otp: &Otp) -> String {
    otp.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2289 appendix C: hash, pass phrase, seed, sequence number, hexadecimal digits, words.
    const APPENDIX_C: &str = include_str!("../../t/vectors/otp/rfc2289.txt");

    #[test]
    fn appendix_c() {
        let mut count = 0;
        for line in APPENDIX_C.lines().filter(|line| !line.starts_with('#')) {
            let [hash, phrase, seed, sequence, hex, six] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let hash = OtpHash::find(hash).unwrap();
            let otp = hash.compute(phrase.as_bytes(), seed, sequence.parse().unwrap());
            assert_eq!(print_hex(&otp), hex.replace(' ', "").to_lowercase(), "{line}");
            assert_eq!(words::print(&otp), six, "{line}");
            assert_eq!(words::parse(six).as_ref(), Ok(&otp), "{line}");
            assert_eq!(parse_hex(hex).as_ref(), Some(&otp), "{line}");
            count += 1;
        }
        assert_eq!(count, 18);
    }

    #[test]
    fn hexadecimal_digits_are_sixteen() {
        assert_eq!(parse_hex(" 00 1 1\t2233 4455aaBB\n").map(|otp| print_hex(&otp)), Some("001122334455aabb".into()));
        for wrong in ["", "0", "001122334455aab", "001122334455aabb0", "001122334455aabg", "0x1122334455aabb"] {
            assert_eq!(parse_hex(wrong), None, "{wrong}");
        }
    }
}

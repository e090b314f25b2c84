//! What a server stores for OTP (RFC 2289): the hash, the sequence number, the seed and the last one-time password.
//!
//! The text is that of libsasl2's plugin (the property cmusaslsecretOTP), so that both can serve the same users:
//!
//! ```text
//! md5 TAB 0498 TAB ho1234 TAB 9e876134d90499dd TAB 00000000000000000000
//! ```
//!
//! The last field is the time until which the user is locked by an exchange, in seconds since 1970.

use crate::config::OTP_SEQUENCE_LIMIT;
use crate::contract::{Random, SECRET_LIMIT};
use crate::crypto::hash::Hash;
use crate::crypto::otp::{parse_hex, print_hex, Otp, OtpHash};
use crate::error::{Application, Error, Subject};
use crate::secret::Secret;

/// The property of a user that has the text.
pub const PROPERTY: &str = "cmusaslsecretOTP";
/// The first sequence number of a new chain; the first challenge has the one below.
pub const FIRST_SEQUENCE: u32 = 499;
/// The highest sequence number that is accepted.
pub const MAX_SEQUENCE: u32 = OTP_SEQUENCE_LIMIT;
/// The last challenge has the sequence number 1 (as with libsasl2's plugin), so a stored 1 is the end of a chain.
pub const LAST_SEQUENCE: u32 = 1;
/// Shortest and longest pass phrase of a new chain (RFC 2289 §6).
pub const PHRASE: std::ops::RangeInclusive<usize> = 10..=63;

/// A user's chain, as a server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpState {
    /// The hash.
    pub hash: OtpHash,
    /// The sequence number of the stored one-time password. A challenge has the one below.
    pub sequence: u32,
    /// The seed, in lower case.
    pub seed: Box<str>,
    /// The one-time password that was used last, or that begins the chain.
    pub otp: Otp,
    /// Until when an exchange has locked the user, in seconds since 1970; 0 if none has.
    pub locked_until: u64,
}

impl OtpState {
    /// A new chain. The phrase is not checked: see [`check_phrase`].
    pub fn new(hash: OtpHash, phrase: &[u8], seed: &str, sequence: u32) -> Self {
        let otp = hash.compute(phrase, seed, sequence);
        OtpState { hash, sequence, seed: seed.to_ascii_lowercase().into(), otp, locked_until: 0 }
    }

    /// Parses the stored text.
    ///
    /// # Errors
    /// [`Application::Unusable`]. The error does not contain the text.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let unusable = || {
            let reason =
                "is malformed: hash, sequence number, seed, one-time password and lock were expected, with a tab between them";
            Error::from(Application::Unusable { what: Subject::OtpState, reason })
        };
        OtpState::read(text).ok_or_else(unusable)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= SECRET_LIMIT)?;
        let mut fields = text.split('\t');
        let state = OtpState {
            hash: OtpHash::find(fields.next()?)?,
            sequence: sequence(fields.next()?)?,
            seed: seed(fields.next()?)?,
            otp: parse_hex(fields.next()?)?,
            locked_until: digits(fields.next()?, 20)?,
        };
        fields.next().is_none().then_some(state)
    }

    /// Prints the text that [`OtpState::parse`] parses.
    pub fn print(&self) -> Secret {
        let OtpState { hash, sequence, seed, otp, locked_until } = self;
        let otp = Secret::from(print_hex(otp));
        let (name, otp) = (hash.name(), otp.expose_str().unwrap_or_default());
        format!("{name}\t{sequence:04}\t{seed}\t{otp}\t{locked_until:020}").into()
    }

    /// The same chain after this one-time password.
    pub fn after(&self, otp: Otp) -> Self {
        OtpState { sequence: self.sequence - 1, otp, locked_until: 0, ..self.clone() }
    }

    /// True if the chain continues with this one-time password.
    pub fn continues_with(&self, otp: &Otp) -> bool {
        self.hash.step(&otp[..]) == self.otp
    }

    /// What an unknown user is shown: always the same for a name, and no one-time password fits it.
    pub fn mock(name: &str, host: &str, salt_key: &[u8]) -> Self {
        let derived = Hash::Sha256.hmac(salt_key, &[b"OTP\0", name.as_bytes()]);
        let number = |at: usize| u32::from(u16::from_be_bytes([derived[at], derived[at + 1]]));
        let mut otp = [0; 8];
        otp.copy_from_slice(&derived[8..16]);
        OtpState {
            hash: OtpHash::Md5,
            sequence: FIRST_SEQUENCE - number(0) % 100,
            seed: make_seed(host, number(2)),
            otp: Otp::new(otp),
            locked_until: 0,
        }
    }
}

/// Checks that a stored state can be used. Only the operator may see the reason.
///
/// # Errors
/// [`Application::Unusable`] for a malformed state, and if all one-time passwords of the chain are used.
pub fn fits(stored: &[u8]) -> Result<(), Error> {
    if OtpState::parse(stored)?.sequence > LAST_SEQUENCE {
        return Ok(());
    }
    let reason = "has no one-time password left: the user must get a new chain";
    Err(Application::Unusable { what: Subject::OtpState, reason }.into())
}

/// Checks a pass phrase for a new chain: 10 to 63 printable characters of ASCII (RFC 2289 §6).
///
/// # Errors
/// [`Application::Unusable`].
pub fn check_phrase(phrase: &Secret) -> Result<(), Error> {
    let unusable = |reason| Err(Application::Unusable { what: Subject::Phrase, reason }.into());
    let phrase = phrase.expose();
    match phrase.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        false => unusable("must have printable characters of ASCII only (RFC 2289 section 6)"),
        true if !PHRASE.contains(&phrase.len()) => unusable("must have 10 to 63 characters (RFC 2289 section 6)"),
        true => Ok(()),
    }
}

/// A sequence number.
pub fn sequence(text: &str) -> Option<u32> {
    u32::try_from(digits(text, 9)?).ok().filter(|sequence| *sequence <= MAX_SEQUENCE)
}

fn digits(text: &str, most: usize) -> Option<u64> {
    let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// A seed: 1 to 16 letters and digits, in lower case (RFC 2289 §6).
pub fn seed(text: &str) -> Option<Box<str>> {
    let is_seed = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    is_seed.then(|| text.to_ascii_lowercase().into())
}

/// A seed that differs from `other`: the beginning of the host's name and four random digits.
///
/// # Errors
/// As [`Random::fill`].
pub fn new_seed(host: &str, other: &str, random: &mut dyn Random) -> Result<Box<str>, Error> {
    let mut bytes = [0; 2];
    random.fill(&mut bytes)?;
    let number = u32::from(u16::from_be_bytes(bytes));
    let made = make_seed(host, number);
    Ok(if *made == *other { make_seed(host, number + 1) } else { made })
}

/// As RFC 2289 §6 recommends, and libsasl2's plugin does.
fn make_seed(host: &str, number: u32) -> Box<str> {
    let mut letters = host.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    let (first, second) = (letters.next().unwrap_or('o'), letters.next().unwrap_or('t'));
    format!("{first}{second}{:04}", number % 10_000).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::OsRandom;

    const STORED: &str = "md5\t0099\ttest\t50fe1962c4965880\t00000000000000000000";

    fn parse(text: &str) -> Result<OtpState, Error> {
        OtpState::parse(text.as_bytes())
    }

    #[test]
    fn printing_inverts_parsing() {
        let state = parse(STORED).unwrap();
        assert_eq!(state, OtpState::new(OtpHash::Md5, b"This is a test.", "TeSt", 99));
        assert!(state.print().ct_eq(STORED.as_bytes()));
        let locked = OtpState { hash: OtpHash::Sha1, sequence: 9999, locked_until: 1_700_000_000, ..state };
        assert_eq!(OtpState::parse(locked.print().expose()), Ok(locked));
    }

    #[test]
    fn malformed_states_are_refused() {
        for (from, to) in [
            ("md5", "md4"),
            ("md5", ""),
            ("0099", "10000"),
            ("0099", "-1"),
            ("0099", ""),
            ("test", ""),
            ("test", "te st"),
            ("test", "a234567890123456x"),
            ("test", "te\u{df}t"),
            ("50fe", "50f"),
            ("\t00000000000000000000", ""),
            ("\t00000000000000000000", "\t"),
            ("\t00000000000000000000", "\t0\t0"),
            ("\t00000000000000000000", "\t99999999999999999999"),
        ] {
            let error = parse(&STORED.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains("is malformed") && !error.contains("1962"), "{from} {to}: {error}");
        }
        assert!(OtpState::parse(b"\xff").is_err());
    }

    #[test]
    fn a_chain_ends() {
        assert_eq!(fits(STORED.as_bytes()), Ok(()));
        assert_eq!(fits(STORED.replace("0099", "2").as_bytes()), Ok(()));
        for sequence in ["1", "0000"] {
            let error = fits(STORED.replace("0099", sequence).as_bytes()).unwrap_err().to_string();
            assert!(error.contains("no one-time password left"), "{error}");
        }
    }

    #[test]
    fn a_chain_continues_with_the_password_below() {
        let state = parse(STORED).unwrap();
        let next = OtpHash::Md5.compute(b"This is a test.", "test", 98);
        assert!(state.continues_with(&next) && !state.continues_with(&state.otp));
        let state = state.after(next);
        assert_eq!(state.sequence, 98);
        assert!(state.continues_with(&OtpHash::Md5.compute(b"This is a test.", "test", 97)));
    }

    #[test]
    fn seeds_are_made_as_recommended() {
        assert_eq!(&*make_seed("Mail.example.org", 7), "ma0007");
        assert_eq!(&*make_seed("", 65_535), "ot5535");
        assert_eq!(seed(&make_seed("\u{e4}-1", 1)).as_deref(), Some("1t0001"));
        let made = new_seed("h", "", &mut OsRandom).unwrap();
        assert_ne!(new_seed("h", &made, &mut OsRandom).unwrap(), made);
    }

    #[test]
    fn an_unknown_user_is_shown_the_same_each_time() {
        let mock = |name, key: &[u8]| OtpState::mock(name, "mail.example.org", key);
        assert_eq!(mock("eve", b"key"), mock("eve", b"key"));
        assert_ne!(mock("eve", b"key").seed, mock("eva", b"key").seed);
        assert_ne!(mock("eve", b"key").seed, mock("eve", b"other").seed);
        assert_eq!(fits(mock("eve", b"key").print().expose()), Ok(()));
    }

    #[test]
    fn phrases_of_new_chains() {
        let check = |phrase: &str| check_phrase(&Secret::new(phrase.as_bytes()));
        assert_eq!(check("ten chars!"), Ok(()));
        assert_eq!(check(&"x".repeat(63)), Ok(()));
        for wrong in ["nine char", &"x".repeat(64), "a long phrase\t", "ein gro\u{df}er Satz"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}

//! Look-ups of chains of one-time passwords. They do not reveal which users are unknown.

use super::lookup::canonical_name;
use super::table::{Entry, Users};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::otp::Otp;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::otp::OtpState;

impl Users {
    /// The chain of a user who can log in with it.
    pub fn chain(&self, name: &str) -> Option<&OtpState> {
        self.entries(&canonical_name(name)).find_map(Entry::usable_chain)
    }

    /// The chain of a user; else a mock chain, which no password continues. It looks like those of the users, and has the same seed
    /// for the same name.
    pub fn chain_or_mock(&self, name: &str, salt_key: Option<&Secret>) -> OtpState {
        let mock = self.mock_chain(&canonical_name(name), self.mock_key(salt_key));
        self.chain(name).cloned().unwrap_or(mock)
    }

    /// Hash and kind of seed are those of a user. The sequence number is that of another one, so that it falls as theirs do.
    fn mock_chain(&self, name: &str, key: &[u8]) -> OtpState {
        let mut derived = Derived { bytes: Hash::Sha256.hmac(key, &[b"OTP\0", name.as_bytes()]).to_vec(), at: 0 };
        let mut pick = || {
            let at = (u64::from(derived.number()) * self.chains.len() as u64) >> 32;
            self.chains.get(at as usize).and_then(|&at| self.lines[at].entry()?.chain())
        };
        let (Some(like), Some(other)) = (pick(), pick()) else { return OtpState::mock(name, "", key) };
        let mut otp = [0; 8];
        otp.fill_with(|| derived.byte());
        // As RFC 2289 section 6 recommends, most seeds begin with two letters of a host.
        let letters = like.seed.bytes().take_while(u8::is_ascii_alphabetic).count();
        let kept = if letters <= 2 { letters } else { 0 };
        let letter = |(at, byte): (usize, u8)| match byte {
            _ if at < kept => char::from(byte),
            b'0'..=b'9' => char::from(b'0' + derived.byte() % 10),
            _ => char::from(b'a' + derived.byte() % 26),
        };
        let seed: String = like.seed.bytes().enumerate().map(letter).collect();
        OtpState { hash: like.hash, sequence: other.sequence, seed: seed.into(), otp: Otp::new(otp), locked_until: 0 }
    }
}

/// The bytes that a name and a key give; there are enough for a chain.
struct Derived {
    bytes: Vec<u8>,
    at: usize,
}

impl Derived {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[(self.at - 1) % self.bytes.len()]
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse, KEY};
    use super::*;
    use authen_sasl_rust::contract::CredentialKind;
    use authen_sasl_rust::crypto::otp::OtpHash;

    const FRED: &str = "fred:OTP md5 0498 ot1234 50fe1962c4965880 00000000000000000000\n";

    fn text(users: &Users) -> String {
        users.print().expose_str().unwrap().to_owned()
    }

    #[test]
    fn a_chain_is_one_line_of_its_user() {
        let users = || parse(&format!("fred:{KEY}\n{FRED}anna:!{KEY}\n")).unwrap();
        assert_eq!(text(&users()), format!("fred:{KEY}\n{FRED}anna:!{KEY}\n"));
        assert_eq!(users().find("fred").unwrap().otp, Some(497));
        let chain = users().chain("fr\u{ad}ed").unwrap().clone();
        assert_eq!((chain.sequence, &*chain.seed, chain.hash), (498, "ot1234", OtpHash::Md5));
        let next = OtpState { sequence: 497, ..chain.clone() };
        let changed = users().with_chain("fred", Some(&next)).unwrap();
        assert_eq!(text(&changed), text(&users()).replace(" 0498 ", " 0497 "));
        assert_eq!(text(&users().with_chain("fred", None).unwrap()), format!("fred:{KEY}\nanna:!{KEY}\n"));
        let added = users().with_chain("eve", Some(&chain)).unwrap();
        assert_eq!(text(&added), text(&users()) + &FRED.replace("fred", "eve"));
        let disabled = users().with_chain("anna", Some(&chain)).unwrap();
        assert!(text(&disabled).ends_with(&FRED.replace("fred:", "anna:!")));
        assert_eq!(disabled.chain("anna"), None);
        // A new password has nothing to do with it.
        let keys = [super::super::new_verifier(Hash::Sha1, &Secret::new(b"pencil"), 4096).unwrap()];
        let changed = users().with_keys("fred", &keys).unwrap();
        assert_eq!(changed.chain("fred"), Some(&chain));
        assert_eq!(changed.find("fred").unwrap().keys, [(Hash::Sha1, 4096)]);
    }

    #[test]
    fn wrong_lines_are_named_and_show_no_secret() {
        for (from, to) in [("md5", "md4"), ("0498", "x"), ("ot1234", "o_t"), ("50fe", "50f"), (" 0000", " 0 0000")] {
            let error = parse(&FRED.replace(from, to)).unwrap_err();
            assert!(error.starts_with("line 1: after OTP hash") && !error.contains("1962"), "{error}");
        }
        let twice = parse(&format!("{FRED}{FRED}")).unwrap_err();
        assert_eq!(twice, "line 2: this user has a chain of one-time passwords already");
        let users = parse(FRED).unwrap();
        assert!(!format!("{users:?}").contains("1962"));
    }

    #[test]
    fn an_unknown_user_has_a_chain_like_the_others() {
        let second = FRED.replace("fred:OTP md5 0498 ot1234", "eve:OTP sha1 0120 Mail77");
        let used = FRED.replace("fred:OTP md5 0498", "old:OTP md5 0001");
        let users = parse(&format!("#salt-key:{}\n{FRED}{second}{used}anna:!{KEY}\n", "A".repeat(24))).unwrap();
        let mut seen = [0, 0];
        for n in 0..200 {
            let name = format!("nobody{n}");
            let mock = users.chain_or_mock(&name, None);
            assert_eq!(mock, users.chain_or_mock(&name, None), "it stays the same");
            let like_fred = mock.hash == OtpHash::Md5;
            seen[usize::from(like_fred)] += 1;
            let seed = mock.seed.trim_end_matches(|c: char| c.is_ascii_digit());
            assert_eq!((seed.len(), mock.seed.len()), if like_fred { (2, 6) } else { (4, 6) });
            assert!(!like_fred || seed == "ot");
            assert!([498, 120].contains(&mock.sequence) && mock.locked_until == 0);
        }
        assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
        for (name, reason) in [
            ("old", "the user has used all one-time passwords, and needs a new chain"),
            ("anna", "the user is disabled"),
        ] {
            assert_eq!(users.chain(name), None);
            assert_eq!(users.unusable(name, CredentialKind::Otp), Some(reason));
            let other = users.chain_or_mock(name, Some(&Secret::new(b"another key")));
            assert_ne!(users.chain_or_mock(name, None), other, "it depends on the key");
        }
        assert_eq!(users.unusable("eve", CredentialKind::Comparable), Some("the user has no verifier"));
        assert_eq!(users.unusable("fred", CredentialKind::Otp), None);
    }
}

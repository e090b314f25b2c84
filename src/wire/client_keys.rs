//! A client's SCRAM keys as text, which a program can store in place of a password.
//!
//! ```text
//! SCRAM-SHA-256 4096 salt ClientKey ServerKey     salt and keys in base64
//! SCRAM-SHA-256 4096 salt SaltedPassword          of which the keys are derived (RFC 5802 §3)
//! ```
//! A text may have several lines, for several hashes. Unlike a verifier, it logs in: who has the ClientKey needs no password.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use zeroize::Zeroizing;

use super::scram::{base64, number, SALT_LIMIT};
use crate::crypto::hash::{Digest, Hash};
use crate::crypto::scram::{parse_mechanism_name, Keys};
use crate::error::{Application, Error, Subject};
use crate::secret::Secret;

/// The keys of one user for one hash, salt and iteration count.
#[derive(Debug, Clone)]
pub struct ClientKeys {
    /// The hash.
    pub hash: Hash,
    /// The iteration count of the derivation.
    pub iterations: u32,
    /// Its salt; never empty.
    pub salt: Box<[u8]>,
    /// ClientKey.
    pub client: Digest,
    /// ServerKey.
    pub server: Digest,
}

impl ClientKeys {
    /// Parses all lines of a text.
    ///
    /// # Errors
    /// [`Application::Unusable`] if a line is malformed.
    pub fn parse(text: &[u8]) -> Result<Vec<Self>, Error> {
        let malformed = || {
            let reason = "are malformed: a SCRAM mechanism, iterations, a salt, and ClientKey and ServerKey (or the \
                salted password) of the hash's length were expected";
            Error::from(Application::Unusable { what: Subject::ScramKeys, reason })
        };
        let text = std::str::from_utf8(text).map_err(|_| malformed())?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| ClientKeys::line(line).ok_or_else(malformed)).collect()
    }

    fn line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (hash, _) = parse_mechanism_name(&words.next()?.to_ascii_uppercase())?;
        let iterations = number(words.next()?)?;
        let salt = base64(words.next()?).filter(|salt| salt.len() <= SALT_LIMIT)?.into();
        let key = |word| {
            let key = Secret::from(base64(word)?);
            (key.expose().len() == hash.size()).then(|| Digest::new(key.expose()))
        };
        let first = key(words.next()?)?;
        let (client, server) = match words.next() {
            Some(word) => (first, key(word)?),
            None => {
                let keys = Keys::of_salted(hash, &first);
                (keys.client, keys.server)
            }
        };
        words.next().is_none().then_some(ClientKeys { hash, iterations, salt, client, server })
    }

    /// The keys as a line of text, without its end.
    pub fn print(&self) -> Secret {
        let encoded = |key: &Digest| Zeroizing::new(STANDARD.encode(&**key));
        let (name, iterations, salt) = (self.hash.name(), self.iterations, STANDARD.encode(&self.salt));
        format!("SCRAM-{name} {iterations} {salt} {} {}", *encoded(&self.client), *encoded(&self.server)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7677 §3: the password "pencil".
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const KEYS: &str = "SCRAM-SHA-256 4096 W22ZaJ0SNY7soEsUEjb6gQ== \
        pg/JI9Z+hkSpLRa5btpe9GVrDHJcSEN0viVTVXaZbos= wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn keys_are_those_of_the_password() {
        let derived = Keys::derive(Hash::Sha256, b"pencil", &base64(SALT).unwrap(), 4096);
        for text in [KEYS.to_owned(), KEYS.replacen("SHA-256", "sha-256-PLUS", 1), format!("\n {KEYS} \r\n")] {
            let keys = ClientKeys::parse(text.as_bytes()).unwrap();
            assert_eq!(keys.len(), 1);
            assert_eq!((&*keys[0].client, &*keys[0].server), (&*derived.client, &*derived.server));
            assert!(keys[0].print().ct_eq(KEYS.as_bytes()));
        }
    }

    #[test]
    fn a_salted_password_gives_the_same_keys() {
        let salted = "xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=";
        let keys = ClientKeys::parse(format!("SCRAM-SHA-256 4096 {SALT} {salted}\n{KEYS}").as_bytes()).unwrap();
        assert!(keys[0].print().ct_eq(KEYS.as_bytes()) && keys[1].print().ct_eq(KEYS.as_bytes()));
    }

    #[test]
    fn malformed_keys_are_refused_and_not_shown() {
        let words: Vec<&str> = KEYS.split(' ').collect();
        let with = |at: usize, word: &str| {
            let mut words = words.clone();
            words[at] = word;
            words.join(" ")
        };
        let mut wrong = vec![with(0, "SCRAM-MD5"), with(0, "PLAIN"), with(1, "0"), with(1, "04096"), with(1, "x")];
        wrong.extend((2..5).flat_map(|at| [with(at, "%"), with(at, "AAAA=")]));
        wrong.extend([with(3, "AAAA"), with(4, "AAAA"), format!("{KEYS} x"), words[..3].join(" "), "x".into()]);
        wrong.extend([KEYS.replace("SHA-256", "SHA-1"), format!("{KEYS}\nx")]);
        for text in wrong {
            let error = ClientKeys::parse(text.as_bytes()).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("the SCRAM keys are malformed") && !error.contains("pg/J"), "{text}: {error}");
        }
        assert!(ClientKeys::parse(b"\xff").is_err());
        assert!(ClientKeys::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", ClientKeys::parse(KEYS.as_bytes()).unwrap());
        assert!(shown.contains("Sha256") && !shown.contains("166, 15, 201"), "{shown}");
    }
}

//! SCRAM verifiers as text, which applications store instead of passwords. A verifier cannot be used to log in unless the
//! password is guessed.
//!
//! ```text
//! SCRAM-SHA-256$4096:salt$StoredKey:ServerKey       RFC 5803 §2 (authPassword), PostgreSQL
//! {SCRAM-SHA-256}4096,salt,StoredKey,ServerKey      Dovecot, GNU SASL
//! ```
//! Salt and keys are base64. There may be spaces around `$` (RFC 3112 §3). GNU SASL adds a fifth field, the salted password;
//! it is not needed and is ignored. A text that begins like a verifier but is malformed is an error, never a password:
//! otherwise anyone who knows the text could log in with it.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use zeroize::Zeroizing;

use crate::contract::Random;
use crate::crypto::hash::Hash;
use crate::crypto::pbkdf2;
use crate::crypto::scram::{parse_mechanism_name, usual_iterations, Keys, Strength};
use crate::error::{Application, Error, Subject};
use crate::secret::Secret;
use crate::wire::saslprep::{self, Unprepared};
use crate::wire::scram::{base64, fill_from_base64, number, SALT_LIMIT};
use crate::world::OsRandom;

/// A parsed verifier.
#[derive(Debug)]
pub struct Verifier {
    /// Its hash.
    pub hash: Hash,
    /// Its iteration count.
    pub iterations: u32,
    /// Its salt; never empty.
    pub salt: Box<[u8]>,
    /// StoredKey, then ServerKey.
    pub keys: Secret,
}

/// The text format of a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifierFormat {
    /// `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`
    #[default]
    Rfc5803,
    /// `{SCRAM-SHA-256}4096,salt,StoredKey,ServerKey`
    Dovecot,
}

impl VerifierFormat {
    /// The format of that name: `rfc5803` (also `postgresql`, and from older programs `openldap`) or `dovecot` (also `gsasl`).
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "rfc5803" | "postgresql" | "openldap" => Some(VerifierFormat::Rfc5803),
            "dovecot" | "gsasl" => Some(VerifierFormat::Dovecot),
            _ => None,
        }
    }
}

impl Verifier {
    /// Parses a stored secret; `None` if it is a password.
    ///
    /// # Errors
    /// [`Application::Verifier`] if it begins like a verifier but is malformed.
    pub fn read(stored: &Secret) -> Result<Option<Self>, Error> {
        Verifier::parse(stored.expose())
    }

    pub(super) fn parse(stored: &[u8]) -> Result<Option<Self>, Error> {
        let Some((format, scheme, fields)) = beginning(stored) else { return Ok(None) };
        let hash = Hash::find(base_name(scheme)).ok_or_else(|| wrong("a verifier with an unknown hash"))?;
        let parts = std::str::from_utf8(fields).ok().and_then(|fields| match format {
            VerifierFormat::Rfc5803 => rfc5803(fields),
            VerifierFormat::Dovecot => dovecot(fields),
        });
        let [iterations, salt, stored_key, server_key] = parts.ok_or_else(|| wrong(malformed(format)))?;
        let iterations = number(iterations)
            .ok_or_else(|| wrong("a verifier whose iteration count is not a number from 1 to 2147483647"))?;
        let salt = base64(salt).filter(|salt| salt.len() <= SALT_LIMIT);
        let salt = salt.ok_or_else(|| wrong("a verifier whose salt is not base64 of 1 to 1023 bytes"))?.into();
        let mut keys = vec![0; 2 * hash.size()];
        let mut places = [stored_key, server_key].into_iter().zip(keys.chunks_exact_mut(hash.size()));
        let whole = places.all(|(text, key)| fill_from_base64(text, key));
        // Also what was decoded of malformed keys is zeroized.
        let keys = Secret::from(keys);
        if !whole {
            return Err(wrong("a verifier whose keys are not base64 of the hash's length"));
        }
        Ok(Some(Verifier { hash, iterations, salt, keys }))
    }

    /// Computes the verifier of a password.
    ///
    /// # Errors
    /// [`Application::Unusable`] if the password cannot be prepared as a stored string (RFC 4013 §2.5),
    /// [`Application::Option`] for a salt that is empty or above [`SALT_LIMIT`], [`Application::Number`] for a count that is not 1
    /// to 2147483647.
    pub fn make(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, Error> {
        check_parameters(salt, iterations)?;
        let unusable =
            |refused: Unprepared| Application::Unusable { what: Subject::Password, reason: refused.reason() };
        let password = Secret::from(saslprep::stored(password).map_err(unusable)?);
        let keys = Keys::derive(hash, password.expose(), salt, iterations);
        let keys = Secret::from([&*keys.stored, &*keys.server].concat());
        Ok(Verifier { hash, iterations, salt: salt.into(), keys })
    }

    /// The verifier of a salted password, which a client has computed (XEP-0480 §3).
    ///
    /// # Errors
    /// [`Application::Option`] if one of the values has a wrong length, [`Application::Number`] for a wrong count.
    pub fn of_salted(hash: Hash, salted: &Secret, salt: &[u8], iterations: u32) -> Result<Self, Error> {
        check_parameters(salt, iterations)?;
        if salted.expose().len() != hash.size() {
            let range = "a salted password of the hash's length";
            return Err(Application::Option { name: "salted_password", range }.into());
        }
        let keys = Keys::of_salted(hash, salted.expose());
        let keys = Secret::from([&*keys.stored, &*keys.server].concat());
        Ok(Verifier { hash, iterations, salt: salt.into(), keys })
    }

    /// Hash and iterations.
    pub fn strength(&self) -> Strength {
        Strength { hash: self.hash, iterations: self.iterations }
    }

    /// True if this is the verifier of the prepared password. Takes a key derivation.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        let keys = Keys::derive(self.hash, password, &self.salt, self.iterations);
        self.keys.ct_eq(&[&*keys.stored, &*keys.server].concat())
    }

    /// The verifier as text.
    pub fn print(&self, format: VerifierFormat) -> String {
        let (stored, server) = self.keys.expose().split_at(self.hash.size().min(self.keys.expose().len()));
        let (name, iterations, salt) = (self.hash.name(), self.iterations, STANDARD.encode(&self.salt));
        let (stored, server) = (Zeroizing::new(STANDARD.encode(stored)), Zeroizing::new(STANDARD.encode(server)));
        match format {
            VerifierFormat::Rfc5803 => format!("SCRAM-{name}${iterations}:{salt}${}:{}", *stored, *server),
            VerifierFormat::Dovecot => format!("{{SCRAM-{name}}}{iterations},{salt},{},{}", *stored, *server),
        }
    }
}

fn check_parameters(salt: &[u8], iterations: u32) -> Result<(), Error> {
    if salt.is_empty() || salt.len() > SALT_LIMIT {
        return Err(Application::Option { name: "salt", range: "1 to 1023 bytes" }.into());
    }
    if iterations == 0 || iterations > i32::MAX as u32 {
        return Err(Application::Number { name: "iterations", least: 1, most: i32::MAX as u32 }.into());
    }
    Ok(())
}

/// What a client computes for a server that wants another verifier: `SaltedPassword` (RFC 5802 §3, XEP-0480 §3).
///
/// # Errors
/// As [`Verifier::make`].
pub fn salted_password(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<Secret, Error> {
    check_parameters(salt, iterations)?;
    let unusable = |refused: Unprepared| Application::Unusable { what: Subject::Password, reason: refused.reason() };
    let password = Secret::from(saslprep::query(password).map_err(unusable)?);
    if password.is_empty() {
        return Err(Application::Empty(Subject::Password).into());
    }
    Ok(Secret::new(&pbkdf2::derive(hash, password.expose(), salt, iterations)))
}

/// The hash's name without the mechanism's -PLUS: both variants have the same keys.
fn base_name(name: &str) -> &str {
    const PLUS: &str = "-PLUS";
    let at = name.len().saturating_sub(PLUS.len());
    match name.split_at_checked(at) {
        Some((base, end)) if end.eq_ignore_ascii_case(PLUS) => base,
        _ => name,
    }
}

/// If `stored` begins like a verifier: its format, the name of its hash, and the rest.
pub(super) fn beginning(stored: &[u8]) -> Option<(VerifierFormat, &str, &[u8])> {
    let stored = stored.trim_ascii_start();
    let after = |prefix: &str| {
        let (start, rest) = stored.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
    };
    if let Some(rest) = after("{SCRAM-") {
        let end = rest.iter().position(|&b| b == b'}').unwrap_or(rest.len());
        let name = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        return Some((VerifierFormat::Dovecot, name, rest.get(end + 1..).unwrap_or_default()));
    }
    let rest = after("SCRAM-").unwrap_or(stored);
    let end = rest.iter().position(|&b| b == b'$')?;
    let (name, fields) = (std::str::from_utf8(&rest[..end]).ok()?.trim_end(), &rest[end + 1..]);
    let known = rest.len() < stored.len() && Hash::find(base_name(name)).is_some();
    // A password may begin with SCRAM- and contain a dollar sign. But it does not have all fields of a verifier.
    (known || has_shape(fields)).then_some((VerifierFormat::Rfc5803, if known { name } else { "" }, fields))
}

/// True if these are the fields of a verifier, whatever the name of its hash is.
fn has_shape(fields: &[u8]) -> bool {
    const SHORTEST_DIGEST: usize = 16;
    let fields = std::str::from_utf8(fields).ok().and_then(rfc5803);
    fields.is_some_and(|[iterations, salt, stored, server]| {
        let length = |key| base64(key).map(|key| Secret::from(key).expose().len());
        let keys = length(stored).filter(|length| *length >= SHORTEST_DIGEST);
        number(iterations).is_some() && base64(salt).is_some() && keys.is_some() && keys == length(server)
    })
}

/// `authInfo $ authValue`, that is `iterations:salt $ StoredKey:ServerKey` (RFC 5803 §2).
fn rfc5803(fields: &str) -> Option<[&str; 4]> {
    let (info, value) = fields.split_once('$')?;
    let (iterations, salt) = info.trim_matches(' ').split_once(':')?;
    let (stored, server) = value.trim_matches(' ').split_once(':')?;
    Some([iterations, salt, stored, server])
}

/// `iterations,salt,StoredKey,ServerKey[,SaltedPassword]`
fn dovecot(fields: &str) -> Option<[&str; 4]> {
    let mut parts = fields.split(',');
    let four = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let salted_password = parts.next().unwrap_or("0");
    let fits = parts.next().is_none() && salted_password.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then_some(four)
}

fn malformed(format: VerifierFormat) -> &'static str {
    match format {
        VerifierFormat::Rfc5803 => {
            "a malformed verifier; SCRAM-<hash>$iterations:salt$StoredKey:ServerKey was expected"
        }
        VerifierFormat::Dovecot => {
            "a malformed verifier; {SCRAM-<hash>}iterations,salt,StoredKey,ServerKey was expected"
        }
    }
}

pub(super) fn wrong(what: &'static str) -> Error {
    Application::Verifier(what).into()
}

/// The verifier of a password as text, for a SCRAM mechanism (with or without -PLUS). Without a salt, a random one of 16
/// bytes is used; without a count, the usual one of the hash.
///
/// # Errors
/// [`Application::Option`] for another mechanism, and those of [`Verifier::make`].
pub fn make_text(
    mechanism: &str,
    password: &str,
    salt: Option<&[u8]>,
    iterations: impl Into<Option<u32>>,
    format: VerifierFormat,
) -> Result<String, Error> {
    let (hash, _) = parse_mechanism_name(&mechanism.to_ascii_uppercase())
        .ok_or(Application::Option { name: "mechanism", range: "the name of a SCRAM mechanism" })?;
    let mut random = [0; 16];
    if salt.is_none() {
        OsRandom.fill(&mut random)?;
    }
    let iterations = iterations.into().unwrap_or_else(|| usual_iterations(hash));
    Ok(Verifier::make(hash, password, salt.unwrap_or(&random), iterations)?.print(format))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::check::tests::check;
    use crate::world::LookupMemory;

    /// The keys of RFC 7677 §3; GNU SASL's own test of its gsasl --mkpasswd has the same ones.
    pub(in crate::store) const RFC_7677: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    pub(in crate::store) fn read(text: &str) -> Result<Option<Verifier>, Error> {
        Verifier::read(&Secret::new(text.as_bytes()))
    }

    #[test]
    fn each_spelling_is_read_and_written() {
        let [rest, stored_key, server_key] = {
            let mut parts = RFC_7677[14..].split(['$', ':']).skip(1);
            [parts.next(), parts.next(), parts.next()].map(Option::unwrap)
        };
        let dovecot = format!("{{SCRAM-SHA-256}}4096,{rest},{stored_key},{server_key}");
        for text in [
            RFC_7677.to_owned(),
            RFC_7677.replace('$', " $ "),
            format!("  {RFC_7677}  "),
            RFC_7677.replacen("SCRAM-SHA", "scram-sha", 1),
            dovecot.clone(),
            dovecot.replacen("SCRAM-SHA", "scram-sha", 1),
            format!("{dovecot},c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d"),
        ] {
            let verifier = read(&text).unwrap().expect("it is no password");
            assert_eq!(verifier.print(VerifierFormat::Rfc5803), RFC_7677);
            assert_eq!(verifier.print(VerifierFormat::Dovecot), dovecot);
            assert!(verifier.is_of(b"pencil") && !verifier.is_of(b"pencils"));
        }
    }

    #[test]
    fn texts_are_made_for_each_mechanism() {
        for hash in Hash::ALL {
            let name = format!("SCRAM-{}", hash.name());
            for format in [VerifierFormat::Rfc5803, VerifierFormat::Dovecot] {
                let text = make_text(&name, "pencil", None, 4096, format).unwrap();
                let read = read(&text).unwrap().unwrap();
                assert_eq!(read.hash, hash);
                assert_eq!((read.print(format), read.salt.len()), (text, 16));
                assert!(read.is_of(b"pencil"));
            }
        }
        let salt = base64("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let make = |name: &str| make_text(name, "pencil", Some(&salt), 4096, VerifierFormat::Rfc5803);
        assert_eq!(make("SCRAM-SHA-256").unwrap(), RFC_7677);
        assert_eq!(make("scram-sha-256-plus").unwrap(), RFC_7677);
        for wrong in ["PLAIN", "SCRAM-", "SCRAM-MD5", "SHA-256"] {
            assert!(make(wrong).is_err(), "{wrong}");
        }
        assert!(make_text("SCRAM-SHA-1", "pencil", Some(b""), 4096, VerifierFormat::Rfc5803).is_err());
        assert!(make_text("SCRAM-SHA-1", "pencil", None, 0, VerifierFormat::Rfc5803).is_err());
        assert!(make_text("SCRAM-SHA-1", "pencil", None, 1 << 31, VerifierFormat::Rfc5803).is_err());
        for password in ["", "\u{ad}", "\u{7}", "a\u{221}"] {
            assert!(make_text("SCRAM-SHA-1", password, None, 4096, VerifierFormat::Rfc5803).is_err());
        }
        assert_eq!(VerifierFormat::find("postgresql"), Some(VerifierFormat::Rfc5803));
        assert_eq!(VerifierFormat::find("dovecot"), Some(VerifierFormat::Dovecot));
        assert_eq!(VerifierFormat::find("md5"), None);
    }

    #[test]
    fn malformed_verifiers_are_never_passwords() {
        let lookups = LookupMemory::new();
        let mut wrong: Vec<String> = (14..RFC_7677.len()).map(|length| RFC_7677[..length].to_owned()).collect();
        wrong.extend([
            RFC_7677.replace("4096", "0"),
            RFC_7677.replace("4096", "04096"),
            RFC_7677.replace("4096", "+4096"),
            RFC_7677.replace("4096", "2147483648"),
            RFC_7677.replace("SHA-256", "SHA-1"),
            RFC_7677.replace("W22Z", "W2 Z"),
            RFC_7677.replace("gQ==", "gR=="),
            RFC_7677.replace("gQ==", "gQ"),
            format!("{RFC_7677}AAAA"),
            format!("{RFC_7677}$"),
            format!("{RFC_7677}:"),
            "{SCRAM-SHA-256}".into(),
            "{SCRAM-SHA-256".into(),
            "{scram-".into(),
            "{SCRAM-SHA-257}4096,AAAA,AAAA,AAAA".into(),
            "{SCRAM-SHA-256}4096,AAAA,AAAA,AAAA".into(),
            "{SCRAM-SHA-256}4096:AAAA$AAAA:AAAA".into(),
        ]);
        for text in wrong {
            assert!(matches!(read(&text), Err(Error::Application(Application::Verifier(_)))), "{text}");
            assert!(check(Some(&text), &text, &lookups).is_err(), "{text}");
        }
        let not_utf8 = Secret::new(b"SCRAM-SHA-256$\xff");
        assert!(Verifier::read(&not_utf8).is_err());
    }

    #[test]
    fn passwords_that_only_look_similar_are_passwords() {
        let lookups = LookupMemory::new();
        for text in ["SCRAM-", "SCRAM-SHA-256", "SCRAM-SHA-999$x", "SCRAM-me$up", "{scra", "$4096", "{CRYPT}x"] {
            assert!(matches!(read(text), Ok(None)), "{text}");
            assert_eq!(check(Some(text), text, &lookups), Ok(true));
        }
    }

    #[test]
    fn the_form_of_the_mechanism_and_case_do_not_matter_to_a_key() {
        for name in ["SCRAM-SHA-256-PLUS", "scram-sha-256", "Scram-Sha-256-Plus"] {
            for text in [RFC_7677.replacen("SCRAM-SHA-256", name, 1), dovecot(name)] {
                assert_eq!(check(Some(&text), "pencil", &LookupMemory::new()), Ok(true), "{text}");
            }
        }
        for name in ["SHA-256", "SCRAM-SHA-999", "SCRAM-SHA256", "SCRAM-SHA-256-", "PLUS", "-PLUS", "x", ""] {
            let text = RFC_7677.replacen("SCRAM-SHA-256", name, 1);
            assert!(check(Some(&text), &text, &LookupMemory::new()).is_err(), "{text}");
        }

        fn dovecot(name: &str) -> String {
            let text = read(RFC_7677).unwrap().unwrap().print(VerifierFormat::Dovecot);
            text.replacen("SCRAM-SHA-256", name, 1)
        }
    }
}

//! What an application stores of a password: the password itself, or SCRAM's verifier, with which
//! nobody can log in unless a dictionary gives the password.
//!
//! ```text
//! SCRAM-SHA-256$4096:salt$StoredKey:ServerKey       RFC 5803 §2 (authPassword), PostgreSQL
//! {SCRAM-SHA-256}4096,salt,StoredKey,ServerKey      Dovecot, GNU SASL
//! ```
//! Salt and keys are base64. Spaces may stand around `$` (RFC 3112 §3). GNU SASL adds a fifth field,
//! the salted password, which is not needed and not kept. What begins like one of these and is
//! malformed is an error, never a password: else its text would be a way in.

use std::borrow::Cow;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::contract::{Lookups, Random};
use crate::crypto::hash::Hash;
use crate::crypto::scram::{family, Keys};
use crate::error::{Application, Error};
use crate::secret::Secret;
use crate::wire::saslprep;
use crate::wire::scram::{base64, number};
use crate::world::OsRandom;

/// A stored key, read.
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

/// How a verifier is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spelling {
    /// `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`
    #[default]
    Rfc5803,
    /// `{SCRAM-SHA-256}4096,salt,StoredKey,ServerKey`
    Dovecot,
}

impl Spelling {
    /// The spelling of that name: `rfc5803` (also `postgresql`, `openldap`) or `dovecot` (also `gsasl`).
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "rfc5803" | "postgresql" | "openldap" => Some(Spelling::Rfc5803),
            "dovecot" | "gsasl" => Some(Spelling::Dovecot),
            _ => None,
        }
    }
}

impl Verifier {
    /// Reads what an application stored; `None` if it is a password.
    ///
    /// # Errors
    /// [`Application::Verifier`] if it begins like a stored key and is none.
    pub fn read(stored: &Secret) -> Result<Option<Self>, Error> {
        let Some((spelling, scheme, fields)) = beginning(stored.expose()) else { return Ok(None) };
        let hash = Hash::find(scheme).ok_or_else(|| wrong("a stored key of an unknown hash"))?;
        let parts = std::str::from_utf8(fields).ok().and_then(|fields| match spelling {
            Spelling::Rfc5803 => rfc5803(fields),
            Spelling::Dovecot => dovecot(fields),
        });
        let [iterations, salt, stored_key, server_key] = parts.ok_or_else(|| wrong(malformed(spelling)))?;
        let iterations =
            number(iterations).ok_or_else(|| wrong("a stored key whose iteration count is no number in its range"))?;
        let salt = base64(salt).ok_or_else(|| wrong("a stored key whose salt is not valid base64"))?.into();
        let key = |text| {
            let key = base64(text).map(Secret::from);
            key.filter(|key| key.expose().len() == hash.size())
                .ok_or_else(|| wrong("a stored key whose keys are not base64 of the hash's length"))
        };
        let keys = Secret::from([key(stored_key)?.expose(), key(server_key)?.expose()].concat());
        Ok(Some(Verifier { hash, iterations, salt, keys }))
    }

    /// The same, if it is of this hash.
    ///
    /// # Errors
    /// [`Application::Verifier`] if it is of another.
    pub fn for_hash(self, hash: Hash) -> Result<Self, Error> {
        if self.hash == hash {
            return Ok(self);
        }
        Err(wrong("a stored key of another hash than the mechanism's"))
    }

    /// Makes the verifier of a password.
    ///
    /// # Errors
    /// [`Application::Unusable`] if the password cannot be prepared as a stored string (RFC 4013 §2.5),
    /// [`Application::Option`] for an empty salt or a count that is not 1 to 2147483647.
    pub fn make(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, Error> {
        if salt.is_empty() {
            return Err(Application::Option { name: "salt", range: "at least one byte" }.into());
        }
        if iterations == 0 || iterations > i32::MAX as u32 {
            return Err(Application::Option { name: "iterations", range: "a number from 1 to 2147483647" }.into());
        }
        let password = match saslprep::stored(password) {
            Ok(Cow::Owned(prepared)) => Secret::from(prepared),
            Ok(Cow::Borrowed(prepared)) => Secret::new(prepared.as_bytes()),
            Err(refused) => return Err(Application::Unusable { what: "password", reason: refused.reason() }.into()),
        };
        let keys = Keys::derive(hash, password.expose(), salt, iterations);
        let keys = Secret::from([&*keys.stored, &*keys.server].concat());
        Ok(Verifier { hash, iterations, salt: salt.into(), keys })
    }

    /// Is it the verifier of this prepared password? Costs a key derivation.
    fn is_of(&self, password: &[u8]) -> bool {
        let keys = Keys::derive(self.hash, password, &self.salt, self.iterations);
        self.keys.ct_eq(&[&*keys.stored, &*keys.server].concat())
    }

    /// Writes it as text.
    pub fn print(&self, spelling: Spelling) -> String {
        let (stored, server) = self.keys.expose().split_at(self.hash.size().min(self.keys.expose().len()));
        let (name, iterations, salt) = (self.hash.name(), self.iterations, STANDARD.encode(&self.salt));
        let (stored, server) = (STANDARD.encode(stored), STANDARD.encode(server));
        match spelling {
            Spelling::Rfc5803 => format!("SCRAM-{name}${iterations}:{salt}${stored}:{server}"),
            Spelling::Dovecot => format!("{{SCRAM-{name}}}{iterations},{salt},{stored},{server}"),
        }
    }
}

/// If `stored` begins like a stored key: its spelling, its hash's name and what follows.
fn beginning(stored: &[u8]) -> Option<(Spelling, &str, &[u8])> {
    let stored = stored.trim_ascii_start();
    let after = |prefix: &str| {
        let (start, rest) = stored.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
    };
    if let Some(rest) = after("{SCRAM-") {
        let end = rest.iter().position(|&b| b == b'}').unwrap_or(rest.len());
        let name = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        return Some((Spelling::Dovecot, name, rest.get(end + 1..).unwrap_or_default()));
    }
    let rest = after("SCRAM-")?;
    let end = rest.iter().position(|&b| b == b'$')?;
    let name = std::str::from_utf8(&rest[..end]).ok()?.trim_end();
    // A password may well begin with SCRAM- and hold a dollar sign.
    Hash::find(name)?;
    Some((Spelling::Rfc5803, name, &rest[end + 1..]))
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

fn malformed(spelling: Spelling) -> &'static str {
    match spelling {
        Spelling::Rfc5803 => "a malformed stored key, SCRAM-<hash>$iterations:salt$StoredKey:ServerKey was expected",
        Spelling::Dovecot => "a malformed stored key, {SCRAM-<hash>}iterations,salt,StoredKey,ServerKey was expected",
    }
}

fn wrong(what: &'static str) -> Error {
    Application::Verifier(what).into()
}

/// The text to store of a password, for a mechanism of the SCRAM family (with or without -PLUS).
/// Without a salt a random one of 16 bytes is taken.
///
/// # Errors
/// [`Application::Option`] for another mechanism, and what [`Verifier::make`] says.
pub fn make_text(
    mechanism: &str,
    password: &str,
    salt: Option<&[u8]>,
    iterations: u32,
    spelling: Spelling,
) -> Result<String, Error> {
    let (hash, _) = family(&mechanism.to_ascii_uppercase())
        .ok_or(Application::Option { name: "mechanism", range: "the name of a SCRAM mechanism" })?;
    let mut random = [0; 16];
    if salt.is_none() {
        OsRandom.fill(&mut random)?;
    }
    Ok(Verifier::make(hash, password, salt.unwrap_or(&random), iterations)?.print(spelling))
}

/// Is `password`, as received, the one that `stored` was made of? `None` is an unknown user, who
/// costs as much as the last known one: nothing for a password, and for a stored key a
/// derivation of `iterations`.
///
/// # Errors
/// When `stored` begins like a stored key and is none.
pub fn check_password(
    stored: Option<&Secret>,
    password: &Secret,
    iterations: u32,
    lookups: &dyn Lookups,
) -> Result<bool, Error> {
    let theirs = prepared(password);
    let Some(stored) = stored else {
        if lookups.stored_keys() {
            let password = theirs.as_ref().unwrap_or(password);
            // The result is of no use, the time is.
            std::hint::black_box(Keys::derive(Hash::Sha256, password.expose(), b"nobody's salt...", iterations));
        }
        return Ok(false);
    };
    if let Some(verifier) = Verifier::read(stored)? {
        lookups.saw(true);
        return Ok(verifier.is_of(theirs.as_ref().unwrap_or(password).expose()) && theirs.is_some());
    }
    lookups.saw(false);
    Ok(match (prepared(stored), theirs) {
        (Some(ours), Some(theirs)) => ours.ct_eq(theirs.expose()),
        _ => stored.ct_eq(password.expose()) && !stored.is_empty(),
    })
}

/// Prepared with SASLprep; `None` where that cannot be.
fn prepared(password: &Secret) -> Option<Secret> {
    Some(match saslprep::query(password.expose_str()?).ok()? {
        Cow::Owned(text) => Secret::from(text),
        Cow::Borrowed(_) => password.clone(),
    })
}

/// The stored text as a password, for the mechanisms that compute with the password itself.
///
/// # Errors
/// When it begins like a stored key of SCRAM: that is never a password.
pub fn plain_password(stored: &Secret) -> Result<&Secret, Error> {
    if beginning(stored.expose()).is_some() {
        return Err(
            Application::Verifier("a stored key of SCRAM does not do: this mechanism needs the password").into()
        );
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_never_a_password() {
        for key in [
            "SCRAM-SHA-256$4096:c2FsdA==$a:b",
            "SCRAM-SHA-1$",
            "{SCRAM-SHA-256}4096,c2FsdA==,a,b",
            "{SCRAM-",
            " scram-sha-1$",
        ] {
            let error = plain_password(&Secret::new(key.as_bytes())).unwrap_err();
            assert!(matches!(error, Error::Application(Application::Verifier(_))), "{key}");
        }
        for password in ["", "SCRAM-SHA-256", "SCRAM-bled eggs$", "$SCRAM-SHA-1$", "{SCRAM"] {
            assert!(plain_password(&Secret::new(password.as_bytes())).is_ok(), "{password}");
        }
    }
}

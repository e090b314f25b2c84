//! Bearer tokens for OAUTHBEARER and XOAUTH2: a file of their hashes.
//!
//! The gateway generates the tokens itself, with 256 random bits each. Such a token cannot be guessed from its hash, so a
//! plain hash is enough; a slow one, as for passwords, is not needed.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;

use crate::lines;

/// The prefix of the hash in a line.
pub const PREFIX: &str = "SHA-256$";

/// Bytes of a token, and of its hash.
pub const SIZE: usize = 32;

/// SHA-256 of a token.
pub type TokenHash = [u8; SIZE];

struct Owner {
    name: Box<str>,
    expires: Option<SystemTime>,
}

/// Lines of `name:SHA-256$hash`, or `name:SHA-256$hash$expiry` with the expiry in seconds since 1970.
pub struct Tokens(HashMap<TokenHash, Owner>);

impl Tokens {
    pub fn read(path: &Path) -> Result<Self, String> {
        lines::read(path, Tokens::parse)
    }

    pub fn parse(text: &Secret) -> Result<Self, String> {
        let form = "name:SHA-256$hash or name:SHA-256$hash$expiry";
        let mut tokens = HashMap::new();
        for line in lines::lines(text, form)? {
            let value = line
                .value
                .trim()
                .strip_prefix(PREFIX)
                .ok_or_else(|| line.error("the hash does not begin with SHA-256$"))?;
            let (hash, expiry) = value.split_once('$').map_or((value, None), |(hash, expiry)| (hash, Some(expiry)));
            let hash = read_hex(hash).ok_or_else(|| line.error("the hash is not 64 hexadecimal digits"))?;
            let expires = match expiry {
                None => None,
                Some(text) => Some(read_time(text).ok_or_else(|| line.error("the expiry is not a number of seconds"))?),
            };
            if tokens.insert(hash, Owner { name: line.name.as_str().into(), expires }).is_some() {
                return Err(line.error("duplicate token"));
            }
        }
        Ok(Tokens(tokens))
    }

    /// Whether a token is in the file. It is looked up by its hash, so timing reveals nothing of the token.
    pub fn has(&self, hash: &TokenHash) -> bool {
        self.0.contains_key(hash)
    }

    /// The user of a token that is in the file and has not expired.
    pub fn owner(&self, hash: &TokenHash, now: SystemTime) -> Option<&str> {
        let owner = self.0.get(hash).filter(|owner| owner.expires.is_none_or(|expiry| now < expiry));
        owner.map(|owner| &*owner.name)
    }
}

pub fn hash_of(token: &[u8]) -> Option<TokenHash> {
    (*Hash::Sha256.digest(token)).try_into().ok()
}

fn read_time(text: &str) -> Option<SystemTime> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = plain.then(|| text.parse().ok()).flatten()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn read_hex(text: &str) -> Option<TokenHash> {
    let mut hash = [0; SIZE];
    if text.len() != 2 * SIZE {
        return None;
    }
    for (octet, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *octet = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s abc | sha256sum` (FIPS 180-2, B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(text: &str) -> Result<Tokens, String> {
        Tokens::parse(&Secret::new(text.as_bytes()))
    }

    #[test]
    fn a_token_has_its_owner_until_it_expires() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let owner = |tokens: &Tokens, token: &str, second| {
            let hash = hash_of(token.as_bytes())?;
            let owner = tokens.owner(&hash, at(second)).map(str::to_owned);
            assert!(owner.is_none() || tokens.has(&hash));
            owner
        };
        let tokens = parse(&format!("# machines\nfred:SHA-256${}$1000\r\n", ABC.to_uppercase())).unwrap();
        assert_eq!(owner(&tokens, "abc", 999).as_deref(), Some("fred"));
        assert_eq!(owner(&tokens, "abc", 1000), None);
        assert_eq!(owner(&tokens, "ab", 1), None);
        assert_eq!(owner(&tokens, "", 1), None);
        assert_eq!(owner(&tokens, ABC, 1), None);
        assert!(owner(&parse(&format!("fred:SHA-256${ABC}")).unwrap(), "abc", 1 << 40).is_some());
        assert!(owner(&parse("").unwrap(), "abc", 1).is_none());
    }

    #[test]
    fn errors_name_the_line_and_show_nothing_of_it() {
        for text in [
            "abc".to_owned(),
            ":SHA-256$".to_owned() + ABC,
            format!("fred:{ABC}"),
            format!("fred:SHA-256${}", &ABC[1..]),
            format!("fred:SHA-256${}g", &ABC[1..]),
            format!("fred:SHA-256${ABC}$"),
            format!("fred:SHA-256${ABC}$+5"),
            format!("fred:SHA-256${ABC}$99999999999999999999999"),
            format!("anna:SHA-256${ABC}\nfred:SHA-256${ABC}"),
        ] {
            let error = parse(&text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains("line ") && !error.contains("abc") && !error.contains(&ABC[2..]), "{text}: {error}");
        }
    }
}

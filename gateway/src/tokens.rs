//! Bearer tokens for OAUTHBEARER and XOAUTH2: a file of their hashes.
//!
//! The gateway makes the tokens itself, 256 random bits each, so that a plain hash keeps them: nobody can guess what
//! belongs to it, and none of the slow hashes of passwords is needed.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use authen_sasl_rust::contract::{Random, TokenVerdict};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::users::stored_name;
use authen_sasl_rust::world::OsRandom;
use zeroize::Zeroizing;

use crate::files::{self, named, Readers};
use crate::lines;
use crate::options::NewToken;

/// What stands before the hash in a line.
const PREFIX: &str = "SHA-256$";

/// Octets of a new token.
const SIZE: usize = 32;

struct Owner {
    name: Box<str>,
    ends: Option<SystemTime>,
}

/// Lines of `name:SHA-256$hash`, or `name:SHA-256$hash$end` with the second since 1970 at which it ends.
pub struct Tokens(HashMap<[u8; SIZE], Owner>);

impl Tokens {
    pub fn read(path: &Path) -> Result<Self, String> {
        lines::read(path, Tokens::parse)
    }

    fn parse(text: &Secret) -> Result<Self, String> {
        let form = "name:SHA-256$hash or name:SHA-256$hash$end";
        let mut tokens = HashMap::new();
        for line in lines::lines(text, form)? {
            let value =
                line.value.trim().strip_prefix(PREFIX).ok_or_else(|| line.wrong("no SHA-256$ before the hash"))?;
            let (hash, end) = value.split_once('$').map_or((value, None), |(hash, end)| (hash, Some(end)));
            let hash = read_hex(hash).ok_or_else(|| line.wrong("the hash is not 64 hexadecimal digits"))?;
            let ends = match end {
                None => None,
                Some(end) => Some(read_second(end).ok_or_else(|| line.wrong("the end is no number of seconds"))?),
            };
            if tokens.insert(hash, Owner { name: line.name.as_str().into(), ends }).is_some() {
                return Err(line.wrong("this token is there already"));
            }
        }
        Ok(Tokens(tokens))
    }

    /// Whose token it is, if it is one and has not ended. It is found by its hash: the time that takes tells nothing of it.
    pub fn judge(&self, token: &Secret, now: SystemTime) -> TokenVerdict {
        let owner = hash_of(token.expose()).and_then(|hash| self.0.get(&hash));
        match owner.filter(|owner| owner.ends.is_none_or(|end| now < end)) {
            Some(owner) => TokenVerdict::Accepted { authcid: owner.name.to_string() },
            None => refused(),
        }
    }
}

/// What is said of every token that lets nobody in, for whatever reason.
pub fn refused() -> TokenVerdict {
    TokenVerdict::Rejected { status: "invalid_token".into(), scope: None, openid_configuration: None }
}

fn hash_of(token: &[u8]) -> Option<[u8; SIZE]> {
    (*Hash::Sha256.digest(token)).try_into().ok()
}

fn read_second(text: &str) -> Option<SystemTime> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = plain.then(|| text.parse().ok()).flatten()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn read_hex(text: &str) -> Option<[u8; SIZE]> {
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

fn print_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `sasl-gate token`: the line into the file or on standard output, the token on standard error.
pub fn make(wanted: &NewToken) -> Result<(), String> {
    let name = stored_name(&wanted.name).map_err(|error| error.to_string())?;
    let mut random = Zeroizing::new([0; SIZE]);
    OsRandom.fill(&mut *random).map_err(|error| error.to_string())?;
    let token = Secret::from(print_hex(&*random));
    let hash = hash_of(token.expose()).ok_or("the hash has another size")?;
    let end = match wanted.days {
        None => String::new(),
        Some(days) => {
            let end = SystemTime::now() + Duration::from_secs(u64::from(days) * 86_400);
            let since = end.duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
            format!("${}", since.as_secs())
        }
    };
    let line = format!("{name}:{PREFIX}{}{end}\n", print_hex(&hash));
    match &wanted.tokens {
        Some(path) => append(path, &line)?,
        None => print!("{line}"),
    }
    eprintln!("{}", token.expose_str().unwrap_or_default());
    Ok(())
}

/// Adds a line to a file of tokens, which is made if it is not there, for its owner alone. It must be a good one.
fn append(path: &Path, line: &str) -> Result<(), String> {
    let mut options = OpenOptions::new();
    let (mut file, about) =
        files::open(path, options.read(true).append(true).create(true).mode(0o600), Readers::Owner)?;
    let text = files::content(&file, &about).map_err(|error| named(path, error))?;
    Tokens::parse(&text).map_err(|error| named(path, error))?;
    let is_whole = text.expose().last().is_none_or(|&last| last == b'\n');
    // One write: two programs may do this at once.
    let line = if is_whole { line.to_owned() } else { format!("\n{line}") };
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| named(path, error))
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
    fn a_token_has_its_owner_until_it_ends() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let owner =
            |tokens: &Tokens, token: &str, second| match tokens.judge(&Secret::new(token.as_bytes()), at(second)) {
                TokenVerdict::Accepted { authcid } => Some(authcid),
                TokenVerdict::Rejected { .. } => None,
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
    fn wrong_lines_are_named_and_show_nothing() {
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

//! The text of a users' file: parsing and checks.
//!
//! ```text
//! # a comment
//! #salt-key:base64                                        what the salts of unknown users are derived from
//! fred:SCRAM-SHA-256$4096:salt$StoredKey:ServerKey        one line for each hash
//! fred:SCRAM-SHA-1$4096:salt$StoredKey:ServerKey
//! anna:!SCRAM-SHA-256$4096:salt$StoredKey:ServerKey       disabled
//! fred:OTP md5 0498 ho1234 9e876134d90499dd 0             a chain of one-time passwords
//! ```
//! Names are prepared with SASLprep. Verifiers have either format of [`authen_sasl_rust::store::verifier`].

use std::collections::HashMap;

use super::chain;
use super::usual::{Shape, Usual};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::error::{Application, Error, Subject};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::otp::{OtpState, LAST_SEQUENCE};
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::wire::saslprep;
use authen_sasl_rust::wire::scram::base64;

/// Longest name, in bytes.
pub const NAME_LIMIT: usize = 1024;

/// The beginning of the line with the key for the salts of unknown users.
pub(super) const SALT_KEY: &str = "#salt-key:";

/// All users of a file.
#[derive(Debug, Default)]
pub struct Users {
    pub(super) lines: Vec<Line>,
    /// The indices of each user's lines.
    pub(super) of_name: HashMap<Box<str>, Vec<usize>>,
    pub(super) salt_key: Option<Secret>,
    pub(super) usual: Usual,
    /// The indices of the lines with chains that can be used.
    pub(super) chains: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Line {
    Entry(Entry),
    /// A comment or an empty line, kept as it is. It may be the salt key, or a user who was commented out.
    Other(Secret),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub name: Box<str>,
    pub disabled: bool,
    pub content: Content,
    /// The text after the name.
    pub key: Secret,
}

/// What a line says of its user.
#[derive(Debug)]
pub(super) enum Content {
    Verifier(Shape),
    Chain(Box<OtpState>),
}

/// An entry in a list of users.
#[derive(Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// The name.
    pub name: &'a str,
    /// True if the user is disabled: each verifier is.
    pub disabled: bool,
    /// Hash and iterations of each verifier.
    pub keys: Vec<(Hash, u32)>,
    /// How many one-time passwords are left, if there is a chain of them.
    pub otp: Option<u32>,
}

/// The name of a user as stored in the file.
///
/// # Errors
/// [`Application::Unusable`] for names that SASLprep refuses (those with control characters, for instance) and names that
/// cannot be at the start of a line.
pub fn stored_name(name: &str) -> Result<String, Error> {
    let unusable = |reason| Error::from(Application::Unusable { what: Subject::UserName, reason });
    if name.len() > NAME_LIMIT {
        return Err(unusable("is longer than 1024 bytes"));
    }
    let name = saslprep::stored(name).map_err(|refused| unusable(refused.reason()))?;
    if name.contains(':') {
        return Err(unusable("holds a colon"));
    }
    if name.starts_with(['#', ' ']) || name.ends_with(' ') {
        return Err(unusable("begins with # or a space, or ends with a space"));
    }
    Ok(name.into_owned())
}

impl Users {
    /// Parses a file's text.
    ///
    /// # Errors
    /// The number of the first wrong line, and what is wrong with it. The error contains no secret.
    pub fn parse(text: &Secret) -> Result<Self, String> {
        let text = text.expose_str().ok_or("it is not UTF-8")?;
        let parsed = text.lines().map(Line::parse);
        let numbered = parsed.enumerate().map(|(at, line)| line.map_err(|what| wrong_line(at, &what)));
        Users::of(numbered.collect::<Result<_, _>>()?)
    }

    pub(super) fn of(lines: Vec<Line>) -> Result<Self, String> {
        let mut users = Users { lines, ..Users::default() };
        for (at, line) in users.lines.iter().enumerate() {
            match line {
                Line::Entry(entry) => {
                    let of_user = users.of_name.entry(entry.name.clone()).or_default();
                    let (hash, mut others) = (entry.hash(), of_user.iter().filter_map(|&at| users.lines[at].entry()));
                    if others.any(|other| other.hash() == hash) {
                        let what = match hash {
                            Some(_) => "this user has a verifier with this hash already",
                            None => "this user has a chain of one-time passwords already",
                        };
                        return Err(wrong_line(at, what));
                    }
                    of_user.push(at);
                    if entry.usable_chain().is_some() {
                        users.chains.push(at);
                    }
                }
                Line::Other(text) => {
                    let Some(key) = text.expose_str().and_then(|text| text.strip_prefix(SALT_KEY)) else { continue };
                    let key = base64(key.trim()).filter(|key| key.len() >= 16 && users.salt_key.is_none());
                    let key =
                        key.ok_or_else(|| wrong_line(at, "one salt-key, base64 of at least 16 bytes, was expected"));
                    users.salt_key = Some(key?.into());
                }
            }
        }
        let shapes = |of_user: &Vec<usize>| of_user.iter().filter_map(|&at| users.enabled_shape(at)).collect();
        users.usual = Usual::of(&users.of_name.values().map(shapes).collect::<Vec<_>>());
        Ok(users)
    }

    fn enabled_shape(&self, at: usize) -> Option<Shape> {
        self.lines[at].entry().filter(|entry| !entry.disabled)?.shape()
    }

    /// Prints the text that [`Users::parse`] parses.
    pub fn print(&self) -> Secret {
        let lines: Vec<&[u8]> = self.lines.iter().flat_map(Line::print).collect();
        lines.concat().into()
    }

    /// The number of users.
    pub fn count(&self) -> usize {
        self.of_name.len()
    }

    /// All users, in the order of the file.
    pub fn list(&self) -> Vec<User<'_>> {
        let mut found: Vec<&Vec<usize>> = self.of_name.values().collect();
        found.sort_unstable();
        found.into_iter().filter_map(|of_user| self.user(of_user)).collect()
    }

    /// The user of that name.
    pub fn find(&self, name: &str) -> Option<User<'_>> {
        self.user(self.of_name.get(name)?)
    }

    /// What the lines of a user say, in the order of the file.
    pub(super) fn entries(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries_at(self.of_name.get(name).map_or(&[], Vec::as_slice))
    }

    fn entries_at<'a>(&'a self, lines: &'a [usize]) -> impl Iterator<Item = &'a Entry> {
        lines.iter().filter_map(|&at| self.lines[at].entry())
    }

    /// The texts of a user's verifiers, in the order of the file.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &Secret> {
        self.entries(name).filter(|entry| entry.shape().is_some()).map(|entry| &entry.key)
    }

    fn user<'a>(&'a self, of_user: &'a [usize]) -> Option<User<'a>> {
        let entries: Vec<&Entry> = self.entries_at(of_user).collect();
        let keys =
            entries.iter().filter_map(|entry| entry.shape()).map(|shape| (shape.hash, shape.iterations)).collect();
        let otp = entries.iter().find_map(|entry| entry.chain()).map(|chain| chain.sequence.saturating_sub(1));
        let disabled = entries.iter().all(|entry| entry.disabled);
        entries.first().map(|first| User { name: &first.name, disabled, keys, otp })
    }
}

fn wrong_line(at: usize, what: &str) -> String {
    format!("line {}: {what}", at + 1)
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        // A carriage return at the end of a file without a line feed would be lost if the file is printed and parsed again.
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(Line::Other(Secret::new(line.as_bytes())));
        }
        let (name, key) = line.split_once(':').ok_or("name:verifier was expected")?;
        let name = stored_name(name).map_err(|error| error.to_string())?;
        let key = key.trim();
        let (disabled, key) = key.strip_prefix('!').map_or((false, key), |key| (true, key));
        if let Some(chain) = chain::parse(key) {
            return Ok(Line::Entry(Entry::of_chain(name, disabled, chain?)));
        }
        let key = Secret::new(key.as_bytes());
        match Verifier::read(&key) {
            Ok(Some(verifier)) => Ok(Line::Entry(Entry::of(name, disabled, &verifier, key))),
            Ok(None) => {
                Err("a verifier was expected after the name: SCRAM-<hash>$iterations:salt$StoredKey:ServerKey".into())
            }
            Err(Error::Application(Application::Verifier(fault))) => Err(fault.into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn print(&self) -> [&[u8]; 4] {
        match self {
            Line::Other(text) => [text.expose(), b"", b"", b"\n"],
            Line::Entry(Entry { name, disabled, key, .. }) => {
                [name.as_bytes(), if *disabled { b":!" } else { b":" }, key.expose(), b"\n"]
            }
        }
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        match self {
            Line::Entry(entry) => Some(entry),
            Line::Other(_) => None,
        }
    }
}

impl Entry {
    pub(super) fn of(name: String, disabled: bool, verifier: &Verifier, key: Secret) -> Self {
        let Verifier { hash, iterations, ref salt, .. } = *verifier;
        let content = Content::Verifier(Shape { hash, iterations, salt_len: salt.len() });
        Entry { name: name.into(), disabled, content, key }
    }

    pub(super) fn of_chain(name: String, disabled: bool, chain: OtpState) -> Self {
        let key = chain::print(&chain);
        Entry { name: name.into(), disabled, content: Content::Chain(Box::new(chain)), key }
    }

    /// That of the verifier.
    pub(super) fn shape(&self) -> Option<Shape> {
        match self.content {
            Content::Verifier(shape) => Some(shape),
            Content::Chain(_) => None,
        }
    }

    /// That of the verifier: it tells a user's lines apart.
    pub(super) fn hash(&self) -> Option<Hash> {
        self.shape().map(|shape| shape.hash)
    }

    pub(super) fn chain(&self) -> Option<&OtpState> {
        match &self.content {
            Content::Verifier(_) => None,
            Content::Chain(chain) => Some(chain),
        }
    }

    /// The chain, if its user can log in with it.
    pub(super) fn usable_chain(&self) -> Option<&OtpState> {
        self.chain().filter(|chain| !self.disabled && chain.sequence > LAST_SEQUENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse, KEY, SHA_1};
    use super::*;

    #[test]
    fn printing_inverts_parsing() {
        let dovecot = Verifier::read(&Secret::new(SHA_1.as_bytes())).unwrap().unwrap();
        let dovecot = dovecot.print(authen_sasl_rust::store::verifier::VerifierFormat::Dovecot);
        let text = format!("#salt-key:{}\n# people\n\nfred:{KEY}\nanna:!{dovecot}\nfred:{SHA_1}\n", "A".repeat(24));
        let users = parse(&text).unwrap();
        assert_eq!(users.print().expose_str(), Some(text.as_str()));
        let (sha_1, sha_256) = ((Hash::Sha1, 4096), (Hash::Sha256, 4096));
        let fred = User { name: "fred", disabled: false, keys: vec![sha_256, sha_1], otp: None };
        assert_eq!(users.list(), [fred, User { name: "anna", disabled: true, keys: vec![sha_1], otp: None }]);
        assert_eq!((users.count(), users.find("anna").map(|user| user.disabled)), (2, Some(true)));
        assert_eq!(users.find("Anna"), None);
        let half = parse(&format!("fred:!{KEY}\nfred:{SHA_1}")).unwrap();
        assert!(!half.find("fred").unwrap().disabled, "one verifier is left");
        assert_eq!(parse("").unwrap().list(), []);
    }

    #[test]
    fn debug_shows_no_key() {
        let users = parse(&format!("#salt-key:{}\n#old:{KEY}\nfred:{KEY}\n", "hunter2+".repeat(3))).unwrap();
        let shown = format!("{users:?}");
        assert!(shown.contains("fred"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("W22Z"), "{shown}");
    }

    #[test]
    fn a_carriage_return_at_the_end_of_the_file_is_no_part_of_its_line() {
        let users = parse(&format!("fred:{KEY}\r\n# the end\r\r")).unwrap();
        assert_eq!(users.print().expose_str().unwrap(), format!("fred:{KEY}\n# the end\n"));
    }

    #[test]
    fn names_are_prepared() {
        let users = parse(&format!("J\u{fc}r\u{ad}gen\u{2168}: {KEY} \r\na b@c:{KEY}")).unwrap();
        assert_eq!(users.list().iter().map(|user| user.name).collect::<Vec<_>>(), ["J\u{fc}rgenIX", "a b@c"]);
        assert_eq!(users.print().expose_str(), Some(format!("J\u{fc}rgenIX:{KEY}\na b@c:{KEY}\n").as_str()));
        assert!(parse(&format!("IX:{KEY}\n\u{2168}:{KEY}")).is_err());
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(NAME_LIMIT + 1);
        let huge = "x".repeat(1 << 20);
        for name in
            ["", "a\nb", "a\rb", "a:b", "a\0b", "\u{7f}", "\u{85}", "a\tb", "#a", " a", "a ", "\u{a0}a", "\u{ad}"]
        {
            assert!(stored_name(name).is_err(), "{name:?}");
        }
        for name in [long.as_str(), &huge, "a\u{2028}b", "\u{e000}", "\u{627}1", "a\u{221}"] {
            assert!(stored_name(name).is_err(), "{} bytes", name.len());
        }
        assert_eq!(stored_name(&long[1..]).unwrap(), long[1..]);
    }

    #[test]
    fn wrong_lines_are_named_and_show_no_secret() {
        for (text, word) in [
            ("\nfred", "line 2: name:verifier"),
            (
                "fred:hunter2",
                "line 1: a verifier was expected after the name: SCRAM-<hash>$iterations:salt$StoredKey:ServerKey",
            ),
            (
                "fred:!hunter2",
                "line 1: a verifier was expected after the name: SCRAM-<hash>$iterations:salt$StoredKey:ServerKey",
            ),
            ("fred:!!hunter2", "line 1"),
            (
                "fred:SCRAM-SHA-256$hunter2",
                "line 1: a malformed verifier; SCRAM-<hash>$iterations:salt$StoredKey:ServerKey was expected",
            ),
            (&format!(":{KEY}"), "line 1: the user name is empty"),
            (&format!("fred:{KEY}\nfred:!{KEY}"), "line 2: this user has"),
            ("#salt-key:hunter2", "line 1: one salt-key"),
            ("#salt-key:AAAA", "line 1"),
            (&format!("#salt-key:{0}\n#salt-key:{0}", "A".repeat(24)), "line 2: one salt-key"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(word) && !error.contains("hunter2"), "{text}: {error}");
        }
        assert_eq!(Users::parse(&Secret::new(b"\xff")).err().as_deref(), Some("it is not UTF-8"));
    }
}

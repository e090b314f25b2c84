//! Changes to a users' file, in memory. Comments and the order of the lines stay.
//!
//! Each change returns the whole new file, parsed again and checked.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::table::{Entry, Line, Users, SALT_KEY};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::otp::OtpState;
use authen_sasl_rust::store::verifier::{Verifier, VerifierFormat};

impl Users {
    /// Replaces the verifiers of a user, or adds the user at the end. A disabled user stays disabled. A chain of one-time passwords
    /// stays: it has a phrase of its own.
    ///
    /// # Errors
    /// If two verifiers have the same hash.
    pub fn with_keys(mut self, name: &str, keys: &[Verifier]) -> Result<Self, String> {
        let disabled = self.find(name).is_some_and(|user| user.disabled);
        let first = self.of_name.get(name).and_then(|of_user| of_user.first().copied());
        let behind = self.lines.split_off(first.unwrap_or(self.lines.len()));
        self.lines.extend(keys.iter().map(|verifier| {
            let key = Secret::from(verifier.print(VerifierFormat::Rfc5803));
            Line::Entry(Entry::of(name.to_owned(), disabled, verifier, key))
        }));
        self.lines.extend(behind.into_iter().filter(|line| line.of(name).is_none_or(|entry| entry.shape().is_none())));
        Users::of(self.lines)
    }

    /// Replaces the verifier of a user that has the same hash, or adds it behind the others. These stay, for clients that know no
    /// stronger hash.
    ///
    /// # Errors
    /// As [`Users::without`].
    pub fn with_stronger(mut self, name: &str, verifier: &Verifier) -> Result<Self, String> {
        let disabled = self.find(name).is_some_and(|user| user.disabled);
        let key = Secret::from(verifier.print(VerifierFormat::Rfc5803));
        let line = Line::Entry(Entry::of(name.to_owned(), disabled, verifier, key));
        self.put(name, line, |entry| entry.hash() == Some(verifier.hash));
        Users::of(self.lines)
    }

    /// Replaces the chain of one-time passwords of a user, adds it behind the user's verifiers, or removes it. Without another line
    /// the user is removed with it.
    ///
    /// # Errors
    /// As [`Users::without`].
    pub fn with_chain(mut self, name: &str, chain: Option<&OtpState>) -> Result<Self, String> {
        let disabled = self.find(name).is_some_and(|user| user.disabled);
        match chain {
            Some(chain) => {
                let line = Line::Entry(Entry::of_chain(name.to_owned(), disabled, chain.clone()));
                self.put(name, line, |entry| entry.chain().is_some());
            }
            None => self.lines.retain(|line| line.of(name).is_none_or(|entry| entry.chain().is_none())),
        }
        Users::of(self.lines)
    }

    /// Puts a line in the place of that line of a user, or else behind the user's others.
    fn put(&mut self, name: &str, line: Line, same: impl Fn(&Entry) -> bool) {
        match self.lines.iter().position(|line| line.of(name).is_some_and(&same)) {
            Some(at) => self.lines[at] = line,
            None => {
                let last = self.lines.iter().rposition(|line| line.of(name).is_some());
                self.lines.insert(last.map_or(self.lines.len(), |last| last + 1), line);
            }
        }
    }

    /// Removes a user.
    ///
    /// # Errors
    /// None in practice: removing lines cannot make a valid file invalid.
    pub fn without(mut self, name: &str) -> Result<Self, String> {
        self.lines.retain(|line| line.of(name).is_none());
        Users::of(self.lines)
    }

    /// Disables or enables a user.
    ///
    /// # Errors
    /// As [`Users::without`].
    pub fn with_disabled(mut self, name: &str, disabled: bool) -> Result<Self, String> {
        for line in &mut self.lines {
            match line {
                Line::Entry(entry) if *entry.name == *name => entry.disabled = disabled,
                _ => {}
            }
        }
        Users::of(self.lines)
    }

    /// Adds a key for the salts of unknown users, unless the file has one.
    ///
    /// # Errors
    /// As [`Users::without`].
    pub fn with_salt_key(mut self, key: &Secret) -> Result<Self, String> {
        if self.salt_key.is_none() {
            let encoded = Secret::from(STANDARD.encode(key.expose()));
            let line = [SALT_KEY.as_bytes(), encoded.expose()].concat();
            self.lines.insert(0, Line::Other(line.into()));
        }
        Users::of(self.lines)
    }
}

impl Line {
    fn of(&self, name: &str) -> Option<&Entry> {
        self.entry().filter(|entry| *entry.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse, KEY, SHA_1};
    use super::*;

    fn verifier(text: &str) -> Verifier {
        Verifier::read(&Secret::new(text.as_bytes())).unwrap().unwrap()
    }

    fn text(users: &Users) -> String {
        users.print().expose_str().unwrap().to_owned()
    }

    #[test]
    fn keys_are_replaced_where_they_stood() {
        let users = || parse(&format!("# one\nfred:{KEY}\n\nanna:!{KEY}\nfred:{SHA_1}\n# two\n")).unwrap();
        let changed = users().with_keys("fred", &[verifier(SHA_1)]).unwrap();
        assert_eq!(text(&changed), format!("# one\nfred:{SHA_1}\n\nanna:!{KEY}\n# two\n"));
        let changed = users().with_keys("anna", &[verifier(SHA_1), verifier(KEY)]).unwrap();
        assert_eq!(text(&changed), format!("# one\nfred:{KEY}\n\nanna:!{SHA_1}\nanna:!{KEY}\nfred:{SHA_1}\n# two\n"));
        let added = users().with_keys("eve", &[verifier(SHA_1)]).unwrap();
        assert_eq!(text(&added), format!("{}eve:{SHA_1}\n", text(&users())));
        assert!(users().with_keys("eve", &[verifier(SHA_1), verifier(SHA_1)]).is_err());
    }

    #[test]
    fn users_are_taken_away_disabled_and_enabled() {
        let users = || parse(&format!("fred:{KEY}\nanna:{KEY}\nfred:{SHA_1}\n")).unwrap();
        assert_eq!(text(&users().without("fred").unwrap()), format!("anna:{KEY}\n"));
        assert_eq!(text(&users().without("eve").unwrap()), text(&users()));
        let disabled = users().with_disabled("fred", true).unwrap();
        assert_eq!(text(&disabled), format!("fred:!{KEY}\nanna:{KEY}\nfred:!{SHA_1}\n"));
        assert_eq!(text(&disabled.with_disabled("fred", false).unwrap()), text(&users()));
    }

    #[test]
    fn a_salt_key_is_added_once() {
        let salted = parse(&format!("fred:{KEY}\n")).unwrap().with_salt_key(&Secret::new(&[0; 32])).unwrap();
        assert_eq!(text(&salted), format!("#salt-key:{}=\nfred:{KEY}\n", "A".repeat(43)));
        let again = text(&salted);
        assert_eq!(text(&salted.with_salt_key(&Secret::new(&[1; 32])).unwrap()), again);
    }
}

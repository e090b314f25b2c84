//! The users: a file of `name:stored-key` lines, several for a user with several hashes.

use std::collections::HashMap;
use std::path::Path;

use authen_sasl_rust::contract::Lookups;
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::world::LookupMemory;

/// All users, read and checked.
pub struct Users {
    keys: HashMap<Box<str>, Vec<(Hash, Secret)>>,
    /// What the salts of unknown users are derived from.
    pub salt_key: Secret,
    /// What unknown users cost.
    pub lookups: LookupMemory,
    /// The iterations that unknown users seem to have: those of most users.
    pub iterations: u32,
}

impl Users {
    /// Reads the file, and the key for the salts of unknown users from another, if there is one. Else it
    /// is the first user's stored key: several gateways with one file show one salt for one unknown name.
    pub fn read(path: &Path, salt_key: Option<&Path>) -> Result<Self, String> {
        let text = std::fs::read(path).map(Secret::from).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut users = Users::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(path) = salt_key {
            let key = std::fs::read(path).map(Secret::from).map_err(|error| format!("{}: {error}", path.display()))?;
            if key.expose().len() < 16 {
                return Err(format!("{}: at least 16 bytes were expected", path.display()));
            }
            users.salt_key = key;
        }
        Ok(users)
    }

    /// Parses the file's text.
    pub fn parse(text: &Secret) -> Result<Self, String> {
        let text = text.expose_str().ok_or("it is not UTF-8")?;
        let mut keys: HashMap<Box<str>, Vec<(Hash, Secret)>> = HashMap::new();
        let mut counts: HashMap<u32, usize> = HashMap::new();
        let mut salt_key = None;
        for (number, line) in text.lines().enumerate() {
            let wrong = |what: &str| format!("line {}: {what}", number + 1);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, key) = line.split_once(':').ok_or_else(|| wrong("name:stored-key was expected"))?;
            if name.is_empty() || name.contains('\0') {
                return Err(wrong("the name is empty, or holds a NUL"));
            }
            let key = Secret::new(key.trim().as_bytes());
            let verifier = match Verifier::read(&key) {
                Ok(Some(verifier)) => verifier,
                Ok(None) => return Err(wrong("no stored key, SCRAM-<hash>$iterations:salt$StoredKey:ServerKey")),
                Err(error) => return Err(wrong(&error.to_string().replace("getsecret: ", ""))),
            };
            let of_user = keys.entry(name.into()).or_default();
            if of_user.iter().any(|(hash, _)| *hash == verifier.hash) {
                return Err(wrong("this user has a stored key of this hash already"));
            }
            *counts.entry(verifier.iterations).or_default() += 1;
            salt_key.get_or_insert_with(|| key.clone());
            of_user.push((verifier.hash, key));
        }
        let salt_key = salt_key.ok_or("there is no user in it")?;
        let iterations = counts.into_iter().max_by_key(|&(count, users)| (users, count)).map_or(4096, |most| most.0);
        let lookups = LookupMemory::new();
        lookups.saw(true);
        Ok(Users { keys, salt_key, lookups, iterations })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The stored key of a user for a mechanism: of its hash for one of the SCRAM family, else the first.
    pub fn key(&self, name: &str, mechanism: &str) -> Option<Secret> {
        let keys = self.keys.get(name)?;
        let found = match mechanism.strip_prefix("SCRAM-") {
            None => keys.first(),
            Some(rest) => {
                let hash = Hash::find(rest.strip_suffix("-PLUS").unwrap_or(rest))?;
                keys.iter().find(|(of, _)| *of == hash)
            }
        };
        found.map(|(_, key)| key.clone())
    }

    /// The mechanisms of the list that at least one user can use: SCRAM needs keys of its hash.
    pub fn usable(&self, mechanisms: &str) -> String {
        let has = |hash| self.keys.values().flatten().any(|(of, _)| *of == hash);
        let fits = |name: &&str| match name.strip_prefix("SCRAM-") {
            None => true,
            Some(rest) => Hash::find(rest.strip_suffix("-PLUS").unwrap_or(rest)).is_some_and(has),
        };
        mechanisms.split_whitespace().filter(fits).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn parse(text: &str) -> Result<Users, String> {
        Users::parse(&Secret::new(text.as_bytes()))
    }

    #[test]
    fn users_have_one_key_for_each_hash() {
        let other =
            authen_sasl_rust::store::verifier::make_text("SCRAM-SHA-1", "pencil", None, 5000, Default::default())
                .unwrap();
        let users = parse(&format!("# people\n\nfred:{KEY}\nfred:{other}\nj\u{fc}rgen: {KEY}\r\n")).unwrap();
        assert_eq!((users.count(), users.iterations), (2, 4096));
        assert!(users.key("fred", "SCRAM-SHA-256-PLUS").unwrap().ct_eq(KEY.as_bytes()));
        assert!(users.key("fred", "SCRAM-SHA-1").unwrap().ct_eq(other.as_bytes()));
        assert!(users.key("fred", "PLAIN").unwrap().ct_eq(KEY.as_bytes()));
        assert!(users.key("j\u{fc}rgen", "SCRAM-SHA-1").is_none());
        assert!(users.key("nobody", "PLAIN").is_none());
        assert!(users.salt_key.ct_eq(KEY.as_bytes()));
        assert_eq!(
            users.usable("SCRAM-SHA-512 SCRAM-SHA-256-PLUS SCRAM-SHA-1 PLAIN"),
            "SCRAM-SHA-256-PLUS SCRAM-SHA-1 PLAIN"
        );
    }

    #[test]
    fn wrong_lines_are_named_and_show_no_secret() {
        for (text, word) in [
            ("", "no user"),
            ("# nobody\n", "no user"),
            ("\nfred", "line 2"),
            ("fred:hunter2", "line 1"),
            ("fred:SCRAM-SHA-256$hunter2", "line 1"),
            (&format!(":{KEY}"), "empty"),
            (&format!("fred:{KEY}\nfred:{KEY}"), "line 2"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(word) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}

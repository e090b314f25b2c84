//! The users: a file of `name:stored-key` lines, several for a user with several hashes.

use std::collections::HashMap;
use std::path::Path;

use authen_sasl_rust::contract::{Lookups, Random};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::world::{LookupMemory, OsRandom};

use crate::lines;

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
    /// Reads the file if there is one, and the key for the salts of unknown users from another, if there is one. Else
    /// it is the first user's stored key: several gateways with one file show one salt for one unknown name.
    pub fn read(path: Option<&Path>, salt_key: Option<&Path>) -> Result<Self, String> {
        let mut users = match path {
            Some(path) => lines::read(path, Users::parse)?,
            None => Users::nobody()?,
        };
        if let Some(path) = salt_key {
            users.salt_key = lines::read(path, |key| match key.expose().len() {
                0..16 => Err("at least 16 bytes were expected".into()),
                _ => Ok(key.clone()),
            })?;
        }
        Ok(users)
    }

    fn nobody() -> Result<Self, String> {
        let mut salt_key = vec![0; 32];
        OsRandom.fill(&mut salt_key).map_err(|error| error.to_string())?;
        let lookups = LookupMemory::new();
        lookups.saw(true);
        Ok(Users { keys: HashMap::new(), salt_key: Secret::from(salt_key), lookups, iterations: 4096 })
    }

    /// Parses the file's text.
    fn parse(text: &Secret) -> Result<Self, String> {
        let mut users = Users::nobody()?;
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for line in lines::lines(text, "name:stored-key")? {
            let key = Secret::new(line.value.trim().as_bytes());
            let verifier = match Verifier::read(&key) {
                Ok(Some(verifier)) => verifier,
                Ok(None) => {
                    return Err(line.wrong("no stored key, SCRAM-<hash>$iterations:salt$StoredKey:ServerKey"));
                }
                Err(error) => return Err(line.wrong(&error.to_string().replace("getsecret: ", ""))),
            };
            if users.keys.is_empty() {
                users.salt_key = key.clone();
            }
            let of_user = users.keys.entry(line.name.into()).or_default();
            if of_user.iter().any(|(hash, _)| *hash == verifier.hash) {
                return Err(line.wrong("this user has a stored key of this hash already"));
            }
            *counts.entry(verifier.iterations).or_default() += 1;
            of_user.push((verifier.hash, key));
        }
        if users.keys.is_empty() {
            return Err("there is no user in it".into());
        }
        if let Some((iterations, _)) = counts.into_iter().max_by_key(|&(count, users)| (users, count)) {
            users.iterations = iterations;
        }
        Ok(users)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The stored key of a user for a mechanism: of its hash for one of the SCRAM family, else the first.
    pub fn key(&self, name: &str, mechanism: &str) -> Option<Secret> {
        let keys = self.keys.get(name)?;
        let found = match mechanism.starts_with("SCRAM-") {
            false => keys.first(),
            true => keys.iter().find(|(of, _)| Some(*of) == hash_of(mechanism)),
        };
        found.map(|(_, key)| key.clone())
    }

    /// Whether anybody has a key for this mechanism of the SCRAM family.
    pub fn has_key_for(&self, mechanism: &str) -> bool {
        let hash = hash_of(mechanism);
        self.keys.values().flatten().any(|(of, _)| Some(*of) == hash)
    }
}

/// The hash in the name of a mechanism of the SCRAM family.
fn hash_of(mechanism: &str) -> Option<Hash> {
    let rest = mechanism.strip_prefix("SCRAM-")?;
    Hash::find(rest.strip_suffix("-PLUS").unwrap_or(rest))
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
        assert!(users.has_key_for("SCRAM-SHA-256-PLUS") && users.has_key_for("SCRAM-SHA-1"));
        assert!(!users.has_key_for("SCRAM-SHA-512") && !users.has_key_for("SCRAM-FOO"));
        assert!(!Users::read(None, None).unwrap().salt_key.ct_eq(Users::read(None, None).unwrap().salt_key.expose()));
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

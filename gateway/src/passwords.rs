//! Plain-text passwords for CRAM-MD5 and DIGEST-MD5, which cannot use verifiers. The file is needed only if one of these
//! mechanisms is configured.

use std::collections::HashMap;
use std::path::Path;

use authen_sasl_rust::secret::Secret;

use crate::lines;

/// Lines of `name:password`.
pub struct Passwords(HashMap<Box<str>, Secret>);

impl Passwords {
    pub fn read(path: &Path) -> Result<Self, String> {
        lines::read(path, Passwords::parse)
    }

    fn parse(text: &Secret) -> Result<Self, String> {
        let mut passwords: HashMap<Box<str>, Secret> = HashMap::new();
        for line in lines::lines(text, "name:password")? {
            if line.value.is_empty() {
                return Err(line.error("empty password"));
            }
            if passwords.insert(line.name.as_str().into(), Secret::new(line.value.as_bytes())).is_some() {
                return Err(line.error("duplicate user"));
            }
        }
        match passwords.is_empty() {
            true => Err("no users".into()),
            false => Ok(Passwords(passwords)),
        }
    }

    /// A user's password.
    pub fn find(&self, name: &str) -> Option<Secret> {
        self.0.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_used_unchanged() {
        let parse = |text: &str| Passwords::parse(&Secret::new(text.as_bytes()));
        let passwords = parse("# people\nfred: a:b \n\nanna:x\r\n").unwrap();
        assert!(passwords.find("fred").unwrap().ct_eq(b" a:b "));
        assert!(passwords.find("anna").unwrap().ct_eq(b"x"));
        assert!(passwords.find("nobody").is_none());
        for (text, word) in
            [("", "no users"), ("hunter2", "line 1"), ("fred:", "line 1"), ("fred:hunter2\nfred:x", "line 2")]
        {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(word) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}

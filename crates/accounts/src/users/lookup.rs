//! Look-ups. They do not reveal which users are unknown.

use super::table::{Entry, Users, NAME_LIMIT};
use super::usual::Shape;
use authen_sasl_rust::contract::{CredentialKind, Description};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::mock::imitation;
use authen_sasl_rust::store::verifier::VerifierFormat;
use authen_sasl_rust::wire::saslprep;

pub(super) const DISABLED: &str = "the user is disabled";

impl Users {
    /// Why a mechanism cannot be served: it needs passwords, or no user has a verifier with its hash.
    pub fn unfit_reason(&self, mechanism: &Description) -> Option<String> {
        match mechanism.credential {
            CredentialKind::Scram(hash) => {
                self.usual.shapes(Some(hash)).is_none().then(|| format!("no user has a SCRAM-{} verifier", hash.name()))
            }
            CredentialKind::Password => Some("it needs passwords, and a users' file has none".into()),
            CredentialKind::Otp => self.chains.is_empty().then(|| "no user has one-time passwords".into()),
            _ => None,
        }
    }

    /// The verifier of a user: with the hash that is asked for, else the user's first.
    ///
    /// A user who is unknown or disabled, or has no verifier with that hash, gets a mock verifier. No password matches it. It
    /// looks like those of the users, takes the same work, and is always the same for the same name.
    ///
    /// `salt_key` takes precedence over the key in the file. `iterations` are used if there is no user to imitate.
    pub fn credential(&self, name: &str, kind: CredentialKind, salt_key: Option<&Secret>, iterations: u32) -> Secret {
        let hash = kind.hash();
        let name = canonical_name(name);
        let made_up = self.made_up(&name, hash, salt_key, iterations);
        let fits = |entry: &&Entry| {
            let its = entry.hash().filter(|_| !entry.disabled);
            its.is_some_and(|its| hash.is_none_or(|hash| hash == its))
        };
        self.entries(&name).find(fits).map_or(made_up, |entry| entry.key.clone())
    }

    /// Why a known user cannot log in with a mechanism. [`Users::credential`] does not reveal this.
    pub fn unusable(&self, name: &str, kind: CredentialKind) -> Option<&'static str> {
        let user = self.find(&canonical_name(name))?;
        if user.disabled {
            return Some(DISABLED);
        }
        match (kind, user.otp) {
            (CredentialKind::Otp, None) => Some("the user has no one-time passwords"),
            (CredentialKind::Otp, Some(0)) => Some("the user has used all one-time passwords, and needs a new chain"),
            (CredentialKind::Otp, Some(_)) => None,
            _ if user.keys.is_empty() => Some("the user has no verifier"),
            _ => {
                let fits = kind.hash().is_none_or(|hash| user.keys.iter().any(|key| key.0 == hash));
                (!fits).then_some("the user has no verifier with the mechanism's hash")
            }
        }
    }

    fn made_up(&self, name: &str, hash: Option<Hash>, salt_key: Option<&Secret>, iterations: u32) -> Secret {
        let key = self.mock_key(salt_key);
        let fraction = || {
            let hash = hash.map_or("", Hash::name).as_bytes();
            let chosen = Hash::Sha256.hmac(key, &[b"shape\0", hash, b"\0", name.as_bytes()]);
            chosen.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let usual = self.usual.shapes(hash).and_then(|shapes| shapes.pick(fraction));
        let Shape { hash, iterations, salt_len } =
            usual.unwrap_or(Shape { hash: hash.unwrap_or(Hash::Sha256), iterations, salt_len: 16 });
        imitation(name, hash, iterations, salt_len, key).print(VerifierFormat::Rfc5803).into()
    }

    /// The key from which mock credentials are derived: the option `salt_key`, the salt key of the file, or else its first verifier.
    pub(super) fn mock_key<'a>(&'a self, option: Option<&'a Secret>) -> &'a [u8] {
        let first = || self.lines.iter().find_map(|line| line.entry()).map(|entry| &entry.key);
        option.or(self.salt_key.as_ref()).or_else(first).map_or(b"", Secret::expose)
    }
}

/// A name as stored in the file; unchanged if no user can have it.
pub(super) fn canonical_name(name: &str) -> String {
    let prepared = (name.len() <= NAME_LIMIT).then(|| saslprep::query(name).ok()).flatten();
    prepared.map_or_else(|| name.to_owned(), |name| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse, KEY, SHA_1};
    use super::*;
    use authen_sasl_rust::mechanism;
    use authen_sasl_rust::store::check::check_password;
    use authen_sasl_rust::store::verifier::Verifier;
    use authen_sasl_rust::world::LookupMemory;

    fn key(users: &Users, name: &str, mechanism: &str) -> Secret {
        users.credential(name, mechanism::find(mechanism).unwrap().credential, None, 4096)
    }

    fn shape(key: &Secret) -> (Hash, u32, usize) {
        let verifier = Verifier::read(key).unwrap().unwrap();
        (verifier.hash, verifier.iterations, verifier.salt.len())
    }

    #[test]
    fn a_user_has_one_key_for_each_hash() {
        let users = parse(&format!("fred:{KEY}\nfred:{SHA_1}\nj\u{fc}rgen:{SHA_1}\nanna:!{KEY}")).unwrap();
        for (name, mechanism, expected) in [
            ("fred", "SCRAM-SHA-256", KEY),
            ("fred", "SCRAM-SHA-256-PLUS", KEY),
            ("fr\u{ad}ed", "SCRAM-SHA-256", KEY),
            ("fred", "SCRAM-SHA-1", SHA_1),
            ("fred", "PLAIN", KEY),
            ("j\u{fc}rgen", "LOGIN", SHA_1),
            ("ju\u{308}rgen", "LOGIN", SHA_1),
        ] {
            assert!(key(&users, name, mechanism).ct_eq(expected.as_bytes()), "{name} {mechanism}");
        }
        for (name, mechanism) in [("j\u{fc}rgen", "SCRAM-SHA-256"), ("anna", "PLAIN"), ("anna", "SCRAM-SHA-256")] {
            let made_up = key(&users, name, mechanism);
            assert!(!made_up.ct_eq(KEY.as_bytes()) && !made_up.ct_eq(SHA_1.as_bytes()), "{name} {mechanism}");
        }
    }

    #[test]
    fn an_unknown_user_looks_like_the_others_and_stays_the_same() {
        let other = KEY.replace("$4096:", "$5000:").replace("W22Z", "AAAAW22Z");
        let users = parse(&format!("a:{other}\nb:{other}\na:{SHA_1}\nd:!{KEY}\ne:!{KEY}")).unwrap();
        assert_eq!(shape(&key(&users, "nobody", "SCRAM-SHA-256")), (Hash::Sha256, 5000, 19));
        assert_eq!(shape(&key(&users, "nobody", "SCRAM-SHA-1-PLUS")), (Hash::Sha1, 4096, 6));
        assert_eq!(shape(&key(&users, "nobody", "PLAIN")), (Hash::Sha256, 5000, 19));
        assert_eq!(shape(&key(&parse("").unwrap(), "nobody", "PLAIN")), (Hash::Sha256, 4096, 16));
        let first = key(&users, "nobody", "SCRAM-SHA-256");
        assert!(key(&users, "no\u{ad}body", "SCRAM-SHA-256").ct_eq(first.expose()));
        assert!(!key(&users, "nobodx", "SCRAM-SHA-256").ct_eq(first.expose()));
        // Names that cannot be stored count as unknown.
        for name in ["", "\u{7}", &"x".repeat(NAME_LIMIT + 1)] {
            assert_eq!(shape(&key(&users, name, "SCRAM-SHA-256")), (Hash::Sha256, 5000, 19));
        }
    }

    /// While users move to more iterations, as many of the unknown ones seem to do so, each once.
    #[test]
    fn each_shape_is_as_common_among_unknown_users() {
        let new = KEY.replace("$4096:", "$100000:");
        let unknown: Vec<String> = (0..400).map(|n| format!("nobody{n}")).collect();
        let mut moved = vec![None; unknown.len()];
        for new_users in 0..=4 {
            let line = |n| format!("user{n}:{}\n", if n < new_users { &new } else { KEY });
            let text: String = (0..4).map(line).collect();
            let users = parse(&format!("#salt-key:{}\n{text}", "A".repeat(24))).unwrap();
            for (name, moved) in unknown.iter().zip(&mut moved) {
                let found = key(&users, name, "SCRAM-SHA-256");
                let many = shape(&found).1 == 100_000;
                assert!(many || moved.is_none(), "{name} moved back");
                if many {
                    let salt = Verifier::read(&found).unwrap().unwrap().salt;
                    assert_eq!(*moved.get_or_insert(salt.clone()), salt, "{name}");
                } else {
                    assert_eq!(shape(&found).1, 4096);
                }
            }
            let part = moved.iter().flatten().count() * 4;
            assert!(part.abs_diff(new_users * 400) < 160, "{part} of 1600 with {new_users} of 4");
        }
    }

    #[test]
    fn made_up_keys_depend_on_the_salt_key() {
        let (one, two) = ("A".repeat(24), "B".repeat(24));
        let with = |head: &str, body: &str| parse(&format!("{head}{body}")).unwrap();
        let salted = |key: &str| with(&format!("#salt-key:{key}\n"), &format!("fred:{KEY}\n"));
        let made_up = |users: &Users, option: Option<&Secret>| {
            users.credential("nobody", CredentialKind::Comparable, option, 4096)
        };
        let first = made_up(&salted(&one), None);
        assert!(!made_up(&salted(&two), None).ct_eq(first.expose()));
        assert!(made_up(&with(&format!("#salt-key:{one}\n"), &format!("anna:{KEY}\n")), None).ct_eq(first.expose()));
        let option = Secret::new(b"the option salt_key");
        assert!(made_up(&salted(&one), Some(&option)).ct_eq(made_up(&salted(&two), Some(&option)).expose()));
        // Without one it is the first verifier.
        let first = made_up(&with("", &format!("fred:{KEY}\n")), None);
        assert!(made_up(&with("", &format!("fred:{KEY}\nanna:{KEY}\n")), None).ct_eq(first.expose()));
        assert!(!made_up(&with("", &format!("fred:{}\n", KEY.replace("W22Z", "AAAA"))), None).ct_eq(first.expose()));
    }

    /// A check costs as many iterations as the verifier has (the core's own tests count them).
    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let users = parse(&format!("fred:{KEY}\nanna:{}", KEY.replace("$4096:", "$4099:"))).unwrap();
        let cost = |name: &str| {
            let key = key(&users, name, "PLAIN");
            let iterations = shape(&key).1;
            assert_eq!(check_password(Some(key), &Secret::new(b"wrong"), 1, &LookupMemory::new()), Ok(false));
            iterations
        };
        assert_eq!((cost("fred"), cost("anna")), (4096, 4099));
        let costs: std::collections::BTreeSet<u32> = (0..40).map(|n| cost(&format!("nobody{n}"))).collect();
        assert_eq!(costs.into_iter().collect::<Vec<_>>(), [4096, 4099]);
    }

    #[test]
    fn mechanisms_are_offered_that_somebody_can_use() {
        let users = parse(&format!("fred:{KEY}\nanna:!{SHA_1}")).unwrap();
        let unfit = |name| users.unfit_reason(mechanism::find(name).unwrap());
        for name in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "ANONYMOUS", "EXTERNAL"] {
            assert_eq!(unfit(name), None, "{name}");
        }
        assert_eq!(unfit("SCRAM-SHA-1").as_deref(), Some("no user has a SCRAM-SHA-1 verifier"));
        for name in ["CRAM-MD5", "DIGEST-MD5"] {
            assert_eq!(unfit(name).as_deref(), Some("it needs passwords, and a users' file has none"));
        }
    }
}

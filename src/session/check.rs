//! Checks a user's password outside of an exchange.

use crate::accounts::Accounts;
use crate::config::Config;
use crate::contract::{Abilities, Answer, CredentialKind, Lookups, Question};
use crate::error::{Application, Error, Refused};
use crate::secret::Secret;
use crate::store::check::check_answer;
use crate::store::mock::MOCK_NAME;

/// Asks accounts as a server of PLAIN would, without an authorization identity. An empty password is always wrong.
///
/// # Errors
/// Those of the accounts. [`Refused::Unusable`] if the stored secret of this user is unusable: the password counts as wrong,
/// and the reason is for the log.
pub fn check(
    accounts: &dyn Accounts,
    name: &str,
    password: &Secret,
    config: &Config,
    lookups: &dyn Lookups,
) -> Result<bool, Error> {
    if password.is_empty() {
        return Ok(false);
    }
    let inquiry = Inquiry { accounts, config };
    let (authcid, refusal) = match inquiry.canonical(name) {
        Ok(Some(authcid)) => (authcid, None),
        Ok(None) => (MOCK_NAME.to_owned(), Some(Ok(false))),
        Err(fault @ Error::Refused(Refused::Unusable(_))) => (MOCK_NAME.to_owned(), Some(Err(fault))),
        Err(error) => return Err(error),
    };
    let verdict = if accounts.abilities().contains(Abilities::CHECK_PASSWORD) {
        inquiry.verdict(authcid, password)
    } else {
        // A user without a canonical name is unknown. This must take the same work as a wrong password.
        let stored = inquiry.stored(authcid).map(|stored| stored.filter(|_| refusal.is_none()));
        check_answer(stored, password, config, lookups)
    };
    match verdict {
        // The store is unavailable, which is the same for all users.
        Err(error) if !matches!(error, Error::Refused(_)) => Err(error),
        verdict => refusal.unwrap_or(verdict),
    }
}

/// A query to the accounts.
struct Inquiry<'a> {
    accounts: &'a dyn Accounts,
    config: &'a Config,
}

impl Inquiry<'_> {
    fn answer(&self, question: &Question) -> Result<Answer, Error> {
        self.accounts.answer(question, self.config)
    }

    fn realm(&self) -> Option<String> {
        self.config.realm().map(str::to_owned)
    }

    fn canonical(&self, name: &str) -> Result<Option<String>, Error> {
        let name = name.to_owned();
        if !self.accounts.abilities().contains(Abilities::CANONICALIZE) {
            return Ok(Some(name));
        }
        match self.answer(&Question::Canonicalize { authzid: false, name, realm: self.realm() })? {
            Answer::Text(name) => Ok(name.filter(|name| !name.is_empty())),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    fn verdict(&self, authcid: String, password: &Secret) -> Result<bool, Error> {
        match self.answer(&Question::CheckPassword { authcid, authzid: None, password: password.clone() })? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    fn stored(&self, authcid: String) -> Result<Option<Secret>, Error> {
        match self.answer(&Question::Credentials {
            kind: CredentialKind::Comparable,
            authcid,
            authzid: None,
            realm: self.realm(),
        })? {
            Answer::Credential(stored) => Ok(stored),
            _ => Err(Application::WrongAnswer.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::contract::Side;
    use crate::crypto::pbkdf2::iterations_of;
    use crate::error::Code;
    use crate::session::Session;
    use crate::world::{LocalWorld, LookupMemory};

    /// Accounts with the user fred. `nobody` and `empty` have no canonical name; `refused` has a fault. With `daemon` they
    /// check passwords.
    #[derive(Debug, Default)]
    struct Known {
        daemon: bool,
        asked: Mutex<Vec<String>>,
    }

    impl Accounts for Known {
        fn abilities(&self) -> Abilities {
            let own = if self.daemon { Abilities::CHECK_PASSWORD } else { Abilities::CREDENTIALS };
            own.union(Abilities::CANONICALIZE)
        }

        fn answer(&self, question: &Question, _: &Config) -> Result<Answer, Error> {
            let asked = |kind: &str, name: &str| self.asked.lock().unwrap().push(format!("{kind} {name}"));
            match question {
                Question::Canonicalize { name, .. } => match name.as_str() {
                    "fred" => Ok(Answer::Text(Some("fred".into()))),
                    "empty" => Ok(Answer::Text(Some(String::new()))),
                    "nobody" => Ok(Answer::Text(None)),
                    _ => Err(Refused::Unusable(Box::new(Error::outside(Code::NoUser, "it says no"))).into()),
                },
                // Every user has a secret here, the unknown user too: it must not be used.
                Question::Credentials { authcid, .. } => {
                    asked("secret of", authcid);
                    Ok(Answer::Credential(Some(Secret::new(b"pencil"))))
                }
                Question::CheckPassword { authcid, password, .. } => {
                    asked("verdict on", authcid);
                    Ok(Answer::Verdict(password.ct_eq(b"pencil")))
                }
                _ => Err(Application::WrongAnswer.into()),
            }
        }
    }

    /// A name without a canonical form costs the same as a wrong password of fred: iterations and queries.
    #[test]
    #[allow(clippy::field_reassign_with_default)] // Config has a private field
    fn a_user_without_a_canonical_name_costs_what_a_wrong_password_costs() {
        let mut config = Config::default();
        config.iterations = Some(300);
        for (user, password, daemon) in ["fred", "nobody", "empty", "refused"]
            .into_iter()
            .flat_map(|user| [(user, "rubber"), (user, "pencil")])
            .filter(|pair| *pair != ("fred", "pencil"))
            .flat_map(|(user, password)| [(user, password, false), (user, password, true)])
        {
            let accounts = Arc::new(Known { daemon, asked: Mutex::default() });
            let asked = || std::mem::take(&mut *accounts.asked.lock().unwrap());
            let expected = format!(
                "{} {}",
                if daemon { "verdict on" } else { "secret of" },
                if user == "fred" { user } else { MOCK_NAME }
            );
            let lookups = LookupMemory::new();
            lookups.record_kind(true);
            let spent = iterations_of(|| {
                let verdict = check(&*accounts, user, &Secret::new(password.as_bytes()), &config, &lookups);
                match user {
                    "refused" => assert!(matches!(verdict, Err(Error::Refused(Refused::Unusable(_)))), "{verdict:?}"),
                    _ => assert_eq!(verdict, Ok(false), "{user}"),
                }
            });
            let iterations = if daemon { 0 } else { 300 };
            assert_eq!((spent, asked()), (iterations, vec![expected.clone()]), "check {user}");

            let mut server = Session::new(Side::Server, crate::mechanism::registry());
            server.config.iterations = Some(300);
            server.accounts = Some(accounts.clone());
            server.pick("PLAIN").unwrap();
            let mut world = LocalWorld::default();
            let message = format!("\0{user}\0{password}");
            let spent = iterations_of(|| {
                server.start(Some(message.as_bytes()), &mut world.lend());
            });
            assert_eq!(server.failure().unwrap().error.code(), Code::BadAuth, "{user}");
            assert_eq!(server.claimed_user(), Some(user));
            assert_eq!((spent, asked()), (iterations, vec![expected]), "login {user}");
        }
    }
}

//! Is this the user's password? Asked outside of any exchange.

use crate::accounts::Accounts;
use crate::config::Config;
use crate::contract::{Abilities, Answer, CredentialKind, Lookups, Question};
use crate::error::{Application, Error};
use crate::secret::Secret;
use crate::store::check::check_answer;

/// Asks accounts as a server of PLAIN would, without an authorization identity. Nobody has an empty password.
///
/// # Errors
/// What the accounts say.
pub fn check(
    accounts: &dyn Accounts,
    name: &str,
    password: &Secret,
    config: &Config,
    lookups: &dyn Lookups,
) -> Result<bool, Error> {
    let can = accounts.abilities();
    let realm = config.realm().map(str::to_owned);
    if password.is_empty() {
        return Ok(false);
    }
    let authcid = if can.contains(Abilities::CANONICALIZE) {
        let question = Question::Canonicalize { authzid: false, name: name.to_owned(), realm: realm.clone() };
        match accounts.answer(&question, config) {
            Ok(Answer::Text(name)) => Ok(name),
            Ok(_) => return Err(Application::WrongAnswer.into()),
            Err(error) => Err(error),
        }
    } else {
        Ok(Some(name.to_owned()))
    };
    let authcid = match authcid {
        Ok(Some(authcid)) if !authcid.is_empty() => authcid,
        // A user without a canonical name is unknown, which must cost what a wrong password costs.
        unknown => return check_answer(unknown.map(|_| None), password, config.iterations, lookups),
    };
    if can.contains(Abilities::CHECK_PASSWORD) {
        let question = Question::CheckPassword { authcid, authzid: None, password: password.clone() };
        return match accounts.answer(&question, config)? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(Application::WrongAnswer.into()),
        };
    }
    let credentials = Question::Credentials { kind: CredentialKind::Comparable, authcid, authzid: None, realm };
    let stored = match accounts.answer(&credentials, config) {
        Ok(Answer::Credential(stored)) => Ok(stored),
        Ok(_) => Err(Application::WrongAnswer.into()),
        Err(error) => Err(error),
    };
    check_answer(stored, password, config.iterations, lookups)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contract::Side;
    use crate::crypto::pbkdf2::iterations_of;
    use crate::error::{Code, Refused};
    use crate::session::Session;
    use crate::world::{LocalWorld, LookupMemory};

    /// They know fred, under this name; nobody comes to nothing, and refused is not to be had.
    #[derive(Debug)]
    struct Known;

    impl Accounts for Known {
        fn abilities(&self) -> Abilities {
            Abilities::CREDENTIALS.and(Abilities::CANONICALIZE)
        }

        fn answer(&self, question: &Question, _: &Config) -> Result<Answer, Error> {
            match question {
                Question::Canonicalize { name, .. } => match name.as_str() {
                    "fred" => Ok(Answer::Text(Some("fred".into()))),
                    "empty" => Ok(Answer::Text(Some(String::new()))),
                    "nobody" => Ok(Answer::Text(None)),
                    _ => Err(Refused::Unusable(Box::new(Error::outside(Code::NoUser, "it says no"))).into()),
                },
                Question::Credentials { authcid, .. } => {
                    assert_eq!(authcid, "fred");
                    Ok(Answer::Credential(Some(Secret::new(b"pencil"))))
                }
                _ => Err(Application::WrongAnswer.into()),
            }
        }
    }

    /// Whoever has no canonical name costs as many iterations as fred does with a wrong password.
    #[test]
    #[allow(clippy::field_reassign_with_default)] // Config has a private field
    fn a_user_without_a_canonical_name_costs_what_a_wrong_password_costs() {
        let mut config = Config::default();
        config.iterations = 300;
        for user in ["fred", "nobody", "empty", "refused"] {
            let lookups = LookupMemory::new();
            lookups.saw(true);
            let spent = iterations_of(|| {
                let verdict = check(&Known, user, &Secret::new(b"rubber"), &config, &lookups);
                match user {
                    "refused" => assert!(matches!(verdict, Err(Error::Refused(Refused::Unusable(_)))), "{verdict:?}"),
                    _ => assert_eq!(verdict, Ok(false), "{user}"),
                }
            });
            assert_eq!(spent, 300, "check {user}");

            let mut server = Session::new(Side::Server, crate::mechanism::registry());
            server.config.iterations = 300;
            server.accounts = Some(Arc::new(Known));
            server.pick("PLAIN").unwrap();
            let mut world = LocalWorld::default();
            let message = format!("\0{user}\0rubber");
            let spent = iterations_of(|| {
                server.start(Some(message.as_bytes()), &mut world.lend());
            });
            assert_eq!(server.failure().unwrap().error.code(), Code::BadAuth, "{user}");
            assert_eq!(spent, 300, "login {user}");
        }
    }
}

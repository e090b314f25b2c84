//! Users whom a server's accounts know as disabled: they are refused before the client gets a success, whatever has proved the
//! identity. Where the accounts check the credential themselves, they have decided this already.

use crate::accounts::Account;
use crate::contract::{Abilities, Answer, Next, Side, TokenVerdict, World};
use crate::error::Error;
use crate::store::mock::MOCK_NAME;

use super::application::{unasked, Progress};
use super::questions::of_unknown;
use super::state::{PendingAnswer, Phase, Session};

impl Session {
    /// An answer about a user's secret: that of an unknown user if the name has no canonical form, or the accounts keep the user out.
    /// The accounts are asked whatever the answer is, so that a right password of a disabled user takes no other time than a wrong one.
    pub(super) fn admitted(&mut self, answer: Answer) -> Result<Answer, Error> {
        let is_decided = self.accounts.is_none() || self.kept_out == Some(false);
        if is_decided && !self.declined || !matches!(answer, Answer::Verdict(_) | Answer::Credential(_)) {
            return Ok(answer);
        }
        let name = self.identity.authcid.as_deref().or(self.claimed_user()).map(str::to_owned);
        let kept_out = match name.filter(|_| !self.declined) {
            Some(name) => self.is_kept_out(&name)?,
            None => {
                self.is_kept_out(MOCK_NAME)?;
                true
            }
        };
        Ok(if kept_out { of_unknown(answer) } else { answer })
    }

    /// Asks the accounts, unless they have been asked or have answered a question about the user's secret.
    ///
    /// # Errors
    /// If they cannot be asked.
    pub(super) fn is_kept_out(&mut self, authcid: &str) -> Result<bool, Error> {
        let Some(accounts) = self.accounts.as_ref().filter(|_| self.side == Side::Server) else { return Ok(false) };
        if let Some(kept_out) = self.kept_out {
            return Ok(kept_out);
        }
        let realm = self.realm();
        let account = Account { authcid, authzid: None, realm: realm.as_deref() };
        let reason = accounts.disabled_reason(account, &self.config).map_err(unasked)?;
        self.kept_out = Some(reason.is_some());
        // The fault of the original name takes precedence over that of the name looked up instead.
        self.fault = self.fault.take().or(reason.map(Box::new));
        Ok(self.kept_out == Some(true))
    }

    /// The application has accepted a token. The accounts are asked before the mechanism gets the verdict, so that a client whose
    /// user is disabled gets the error object that it would get for a wrong token (RFC 7628 §3.2.2).
    pub(super) fn accepted(&mut self, authcid: String, next: Next, world: &mut World<'_>) -> Result<Progress, Error> {
        if self.accounts.is_none() {
            return Ok(Progress::Resume(next, Answer::Token(TokenVerdict::Accepted { authcid })));
        }
        if self.can(Abilities::CANONICALIZE) {
            let question = self.canonicalize(false, authcid.clone());
            return self.put(question, PendingAnswer::Token(authcid), Phase::Application(next), world);
        }
        self.token_named(authcid.clone(), Some(authcid), next)
    }

    /// The canonical name of the identity that a token belongs to is known; `None` if it has none.
    pub(super) fn token_named(&mut self, authcid: String, name: Option<String>, next: Next) -> Result<Progress, Error> {
        let kept_out = match name.filter(|name| !name.is_empty()) {
            None => true,
            Some(name) => {
                let kept_out = self.is_kept_out(&name)?;
                self.identity.authcid = Some(name.into());
                kept_out
            }
        };
        let verdict = match kept_out {
            true => TokenVerdict::Rejected { status: "invalid_token".into(), scope: None, openid_configuration: None },
            false => TokenVerdict::Accepted { authcid },
        };
        Ok(Progress::Resume(next, Answer::Token(verdict)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::accounts::Accounts;
    use crate::config::Config;
    use crate::contract::{Property, Question, Values};
    use crate::error::{Application, Code};
    use crate::secret::Secret;
    use crate::session::Outcome;
    use crate::world::LocalWorld;

    /// `gone` is disabled, and nothing is known of `lost`. It answers about secrets itself if `own` is set.
    #[derive(Debug, Default)]
    struct Known {
        own: bool,
        asked: Mutex<Vec<String>>,
    }

    impl Accounts for Known {
        fn abilities(&self) -> Abilities {
            if self.own {
                Abilities::CHECK_PASSWORD
            } else {
                Abilities::NONE
            }
        }

        fn answer(&self, question: &Question, _: &Config) -> Result<Answer, Error> {
            match question {
                Question::CheckPassword { password, .. } => Ok(Answer::Verdict(password.ct_eq(b"pencil"))),
                _ => Err(Application::WrongAnswer.into()),
            }
        }

        fn disabled_reason(&self, of: Account<'_>, _: &Config) -> Result<Option<Error>, Error> {
            self.asked.lock().unwrap().push(of.authcid.to_owned());
            match of.authcid {
                "lost" => Err(Error::outside(Code::Fail, "the store is away")),
                "gone" => Ok(Some(Error::outside(Code::Disabled, "the user is disabled"))),
                _ => Ok(None),
            }
        }
    }

    fn server(mechanism: &str, accounts: &Arc<Known>, abilities: Abilities) -> Session {
        let mut server = Session::new(Side::Server, crate::mechanism::registry());
        server.accounts = Some(accounts.clone());
        server.config.abilities = abilities;
        server.pick(mechanism).unwrap();
        server
    }

    #[test]
    fn a_store_that_answers_about_the_secret_is_not_asked_again() {
        let accounts = Arc::new(Known { own: true, ..Known::default() });
        let mut server = server("PLAIN", &accounts, Abilities::NONE);
        server.start(Some(b"\0gone\0pencil"), &mut LocalWorld::default().lend());
        assert!(server.is_success(), "it has let the user in itself");
        assert!(accounts.asked.lock().unwrap().is_empty());
    }

    #[test]
    fn the_store_is_asked_once_whatever_the_application_says() {
        for (user, said) in ["fred", "gone", "lost"].into_iter().flat_map(|user| [(user, true), (user, false)]) {
            let accounts = Arc::new(Known::default());
            let mut server = server("PLAIN", &accounts, Abilities::CHECK_PASSWORD);
            let mut world = LocalWorld::default();
            let message = format!("\0{user}\0pencil");
            assert_eq!(server.start(Some(message.as_bytes()), &mut world.lend()), Outcome::Ask);
            server.answer(Answer::Verdict(said), &mut world.lend());
            assert_eq!(server.is_success(), (user, said) == ("fred", true));
            assert_eq!(*accounts.asked.lock().unwrap(), [user]);
            let error = server.failure().map(|failure| &failure.error);
            assert_eq!(error.is_some_and(Error::is_unavailable), user == "lost");
            assert_eq!(server.fault().is_some(), user == "gone");
        }
    }

    /// The reason is known before the client has answered the error object.
    #[test]
    fn a_token_of_a_disabled_user_is_refused_like_a_wrong_one() {
        let refused = |user: &str, accepted: bool| {
            let accounts = Arc::new(Known::default());
            let mut server = server("OAUTHBEARER", &accounts, Abilities::CHECK_TOKEN);
            let mut world = LocalWorld::default();
            server.start(Some(b"n,,\x01auth=Bearer abc\x01\x01"), &mut world.lend());
            let verdict = match accepted {
                true => TokenVerdict::Accepted { authcid: user.into() },
                false => {
                    TokenVerdict::Rejected { status: "invalid_token".into(), scope: None, openid_configuration: None }
                }
            };
            assert_eq!(server.answer(Answer::Token(verdict), &mut world.lend()), Outcome::Send);
            let (object, early) = (server.message().to_vec(), server.pending_failure().unwrap().to_string());
            assert_eq!(server.step(b"\x01", &mut world.lend()), Outcome::Failed);
            assert_eq!(server.failure().unwrap().to_string(), early);
            (object, early)
        };
        let (object, reason) = refused("gone", true);
        assert!(reason.contains("the user is disabled") && reason.contains("SASL_BADAUTH"), "{reason}");
        assert_eq!(object, refused("fred", false).0);
    }

    /// A store does not concern a client.
    #[test]
    fn a_client_asks_nothing() {
        let accounts = Arc::new(Known::default());
        let mut client = Session::new(Side::Client, crate::mechanism::registry());
        client.accounts = Some(accounts.clone());
        client.pick("PLAIN").unwrap();
        client.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
        let mut world = LocalWorld::default();
        client.start(None, &mut world.lend());
        let mut values = Values::default();
        values.push(Property::Authcid, Secret::new(b"gone"));
        values.push(Property::Password, Secret::new(b"pencil"));
        assert_eq!(client.answer(Answer::Values(values), &mut world.lend()), Outcome::Send);
        assert!(client.is_success() && accounts.asked.lock().unwrap().is_empty());
    }
}

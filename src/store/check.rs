//! Is this the user's password? Asked outside of any exchange.

use crate::config::Config;
use crate::contract::{Abilities, Accounts, Answer, Lookups, Mechanism, Question};
use crate::error::{Application, Error};
use crate::mechanism;
use crate::secret::Secret;
use crate::store::verifier;

/// The mechanism that such a question stands for.
const PLAIN: &str = "PLAIN";

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
    let mechanism: &'static Mechanism = mechanism::find(PLAIN).ok_or(Application::WrongAnswer)?;
    let can = accounts.abilities();
    let realm = config.realm().map(str::to_owned);
    let mut authcid = name.to_owned();
    if can.contains(Abilities::CANONICALIZE) {
        let question = Question::Canonicalize { authzid: false, name: authcid, realm: realm.clone() };
        match accounts.answer(&question, mechanism, config)? {
            Answer::Text(Some(name)) => authcid = name,
            _ => return Ok(false),
        }
    }
    if password.is_empty() || authcid.is_empty() {
        return Ok(false);
    }
    if can.contains(Abilities::CHECK_PASSWORD) {
        let question = Question::CheckPassword { authcid, authzid: None, password: password.clone() };
        return match accounts.answer(&question, mechanism, config)? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(Application::WrongAnswer.into()),
        };
    }
    let stored = match accounts.answer(&Question::Credentials { authcid, authzid: None, realm }, mechanism, config) {
        Ok(Answer::Credential(stored)) => Ok(stored),
        Ok(_) => Err(Application::WrongAnswer.into()),
        Err(error) => Err(error),
    };
    verifier::check_answer(stored, password, config.iterations, lookups)
}

//! Whom the gateway knows: stored keys, passwords and tokens, each kind in a file of its own, and what can be offered with them.

use std::sync::Arc;
use std::time::SystemTime;

use authen_sasl_rust::contract::{Answer, Question};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::users::{Users, UsersFile};
use authen_sasl_rust::wire::saslprep;

use crate::lines;
use crate::need::{need, Need};
use crate::passwords::Passwords;
use crate::settings::Settings;
use crate::tokens::Tokens;

/// Iterations that an unknown user seems to have where there is no user to be like.
pub const ITERATIONS: u32 = 4096;

/// All files of users, read.
pub struct Accounts {
    users: Option<Arc<Users>>,
    passwords: Option<Passwords>,
    tokens: Option<Tokens>,
    /// What the salts of unknown users are derived from, if it is not what the users' file says.
    salt_key: Option<Secret>,
    /// Identities are proved below SASL: by certificates, or by the Unix socket.
    outside: bool,
}

impl Accounts {
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let users = |path| UsersFile::new(path).and_then(|file| file.users()).map_err(|error| error.to_string());
        let salt_key = |key: &Secret| match key.expose().len() {
            0..16 => Err("at least 16 bytes were expected".into()),
            _ => Ok(key.clone()),
        };
        Ok(Accounts {
            users: settings.users.as_deref().map(users).transpose()?,
            passwords: settings.passwords.as_deref().map(Passwords::read).transpose()?,
            tokens: settings.tokens.as_deref().map(Tokens::read).transpose()?,
            salt_key: settings.salt_key.as_deref().map(|path| lines::read(path, salt_key)).transpose()?,
            outside: settings.proves_outside(),
        })
    }

    /// How many users have stored keys.
    pub fn count(&self) -> usize {
        self.users.as_ref().map_or(0, |users| users.count())
    }

    /// The mechanisms of the list that somebody can use.
    pub fn usable(&self, mechanisms: &str) -> String {
        let fits = |name: &&str| match need(name) {
            Some(Need::Key) => self.has_key_for(name),
            Some(Need::Password) => self.passwords.is_some(),
            Some(Need::Token) => self.tokens.is_some(),
            Some(Need::Outside) => self.outside,
            Some(Need::Nothing) => true,
            None => false,
        };
        mechanisms.split_whitespace().filter(fits).collect::<Vec<_>>().join(" ")
    }

    fn has_key_for(&self, name: &str) -> bool {
        let users = self.users.as_ref().filter(|users| users.count() > 0);
        mechanism::find(name).is_some_and(|mechanism| users.is_some_and(|users| users.unfit(mechanism).is_none()))
    }

    /// Answers the core; `None` to what it has no reason to ask here.
    pub fn answer(&self, question: &Question, mechanism: &str) -> Option<Answer> {
        match question {
            Question::Credentials { authcid, .. } => Some(Answer::Credential(self.credential(authcid, mechanism))),
            Question::Token { token, .. } => Some(Answer::Token(self.tokens.as_ref()?.judge(token, SystemTime::now()))),
            // One user has one name, for the rules too. A name that cannot be is refused.
            Question::Canonicalize { name, .. } => Some(Answer::Text(saslprep::query(name).ok().map(Into::into))),
            _ => None,
        }
    }

    /// What a user's secret is for a mechanism: the stored key, or the password. Unknown users have a stored key too,
    /// of no password.
    fn credential(&self, name: &str, mechanism: &str) -> Option<Secret> {
        match need(mechanism)? {
            Need::Key => Some(self.users.as_ref()?.credential(name, mechanism, self.salt_key.as_ref(), ITERATIONS)),
            Need::Password => self.passwords.as_ref()?.find(name),
            _ => None,
        }
    }
}

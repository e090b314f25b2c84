//! Whom the gateway knows: stored keys, passwords and tokens, each kind in a file of its own, and what can be offered with them.

use std::time::SystemTime;

use authen_sasl_rust::contract::TokenVerdict;
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;

use crate::passwords::Passwords;
use crate::settings::Settings;
use crate::tokens::Tokens;
use crate::users::Users;

/// All files of users, read.
pub struct Accounts {
    pub users: Users,
    passwords: Option<Passwords>,
    tokens: Option<Tokens>,
    /// Identities are proved below SASL: by certificates, or by the Unix socket.
    outside: bool,
}

/// What a mechanism needs of the files.
enum Need {
    /// A stored key of its own hash.
    Key,
    AnyKey,
    Password,
    Token,
    Outside,
    Nothing,
}

/// `None` for a mechanism that is no use here.
fn need(name: &str) -> Option<Need> {
    mechanism::find(name)?;
    match name {
        "PLAIN" | "LOGIN" => Some(Need::AnyKey),
        "CRAM-MD5" | "DIGEST-MD5" => Some(Need::Password),
        "OAUTHBEARER" | "XOAUTH2" => Some(Need::Token),
        "EXTERNAL" => Some(Need::Outside),
        "ANONYMOUS" => Some(Need::Nothing),
        _ if name.starts_with("SCRAM-") => Some(Need::Key),
        _ => None,
    }
}

/// Whether the mechanism is one of those that a gateway can offer.
pub fn is_known(name: &str) -> bool {
    need(name).is_some()
}

impl Accounts {
    pub fn read(settings: &Settings) -> Result<Self, String> {
        Ok(Accounts {
            users: Users::read(settings.users.as_deref(), settings.salt_key.as_deref())?,
            passwords: settings.passwords.as_deref().map(Passwords::read).transpose()?,
            tokens: settings.tokens.as_deref().map(Tokens::read).transpose()?,
            outside: settings.proves_outside(),
        })
    }

    /// The mechanisms of the list that somebody can use.
    pub fn usable(&self, mechanisms: &str) -> String {
        let fits = |name: &&str| match need(name) {
            Some(Need::Key) => self.users.has_key_for(name),
            Some(Need::AnyKey) => self.users.count() > 0,
            Some(Need::Password) => self.passwords.is_some(),
            Some(Need::Token) => self.tokens.is_some(),
            Some(Need::Outside) => self.outside,
            Some(Need::Nothing) => true,
            None => false,
        };
        mechanisms.split_whitespace().filter(fits).collect::<Vec<_>>().join(" ")
    }

    /// What a user's secret is for a mechanism: the stored key, or the password.
    pub fn credential(&self, name: &str, mechanism: &str) -> Option<Secret> {
        match need(mechanism)? {
            Need::Key | Need::AnyKey => self.users.key(name, mechanism),
            Need::Password => self.passwords.as_ref()?.find(name),
            _ => None,
        }
    }

    /// Whose a token is.
    pub fn judge(&self, token: &Secret) -> Option<TokenVerdict> {
        Some(self.tokens.as_ref()?.judge(token, SystemTime::now()))
    }
}

//! The account store: verifiers, passwords and tokens, each in a file of its own, and the mechanisms that can be offered with them.

use std::sync::Arc;
use std::time::SystemTime;

use authen_sasl_accounts::users::{Users, UsersFile};
use authen_sasl_rust::contract::{Answer, CredentialKind, Description, Question};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::wire::saslprep;

use crate::lines;
use crate::mechanisms::supported;
use crate::passwords::Passwords;
use crate::settings::Settings;
use crate::tokens::Tokens;

/// Iterations that an unknown user appears to have if there is no user to imitate.
pub const ITERATIONS: u32 = 4096;

/// All account files, loaded.
pub struct Accounts {
    users: Option<Arc<Users>>,
    passwords: Option<Passwords>,
    tokens: Option<Tokens>,
    /// The key from which the salts of unknown users are derived, unless it is the one of the users' file.
    salt_key: Option<Secret>,
    /// The transport can prove identities: by certificates, or on the Unix socket.
    has_transport_identities: bool,
}

impl Accounts {
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let users = |path| UsersFile::new(path).and_then(|file| file.users()).map_err(|error| error.to_string());
        let salt_key = |key: &Secret| match key.expose().len() {
            0..16 => Err("expected at least 16 bytes".into()),
            _ => Ok(key.clone()),
        };
        Ok(Accounts {
            users: settings.users.as_deref().map(users).transpose()?,
            passwords: settings.passwords.as_deref().map(Passwords::read).transpose()?,
            tokens: settings.tokens.as_deref().map(Tokens::read).transpose()?,
            salt_key: settings.salt_key.as_deref().map(|path| lines::read(path, salt_key)).transpose()?,
            has_transport_identities: settings.has_transport_identities(),
        })
    }

    /// How many users have verifiers.
    pub fn count(&self) -> usize {
        self.users.as_ref().map_or(0, |users| users.count())
    }

    /// The mechanisms of the list that at least one account can use.
    pub fn usable(&self, mechanisms: &str) -> String {
        let fits = |name: &&str| supported(name).is_some_and(|mechanism| self.can_serve(mechanism));
        mechanisms.split_whitespace().filter(fits).collect::<Vec<_>>().join(" ")
    }

    fn can_serve(&self, mechanism: &Description) -> bool {
        match mechanism.credential {
            CredentialKind::Scram(_) | CredentialKind::Comparable => {
                let users = self.users.as_ref().filter(|users| users.count() > 0);
                users.is_some_and(|users| users.unfit_reason(mechanism).is_none())
            }
            CredentialKind::Password => self.passwords.is_some(),
            CredentialKind::Token => self.tokens.is_some(),
            CredentialKind::Outside => self.has_transport_identities,
            CredentialKind::HtTokens(_) => false,
            CredentialKind::None => true,
        }
    }

    /// Answers a question of the core; `None` to a question that a gateway does not expect.
    pub fn answer(&self, question: &Question) -> Option<Answer> {
        match question {
            Question::Credentials { kind, authcid, .. } => Some(Answer::Credential(self.credential(authcid, *kind))),
            Question::Token { token, .. } => {
                Some(Answer::Token(self.tokens.as_ref()?.verify(token, SystemTime::now())))
            }
            // Each user has exactly one name, in the rules too. Invalid names are refused.
            Question::Canonicalize { name, .. } => Some(Answer::Text(saslprep::query(name).ok().map(Into::into))),
            _ => None,
        }
    }

    /// The secret of a user that is of this kind: a verifier or a password. An unknown user gets a mock verifier, which no password
    /// matches.
    fn credential(&self, name: &str, kind: CredentialKind) -> Option<Secret> {
        match kind {
            CredentialKind::Scram(_) | CredentialKind::Comparable => {
                Some(self.users.as_ref()?.credential(name, kind, self.salt_key.as_ref(), ITERATIONS))
            }
            CredentialKind::Password => self.passwords.as_ref()?.find(name),
            _ => None,
        }
    }
}

//! The account store: verifiers, passwords and tokens, each in a file of its own, and the mechanisms that can be offered with them.

use std::sync::Arc;
use std::time::SystemTime;

use authen_sasl_account_servers::{Account, Answer as Found, Unavailable};
use authen_sasl_accounts::users::{Users, UsersFile};
use authen_sasl_rust::contract::{Answer, CredentialKind, Description, Question, TokenVerdict};
use authen_sasl_rust::crypto::scram::Strength;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::wire::saslprep;

use crate::account_server::{AccountServer, Finding};
use crate::lines;
use crate::mechanisms::{strength, supported};
use crate::oauth::{Failure, Grant, Provider, Refusal};
use crate::passwords::Passwords;
use crate::sessions::Proof;
use crate::settings::Settings;
use crate::tokens::{hash_of, Tokens};

/// Iterations that an unknown user appears to have if there is no user to imitate.
pub const ITERATIONS: u32 = 4096;

/// All account files, loaded.
pub struct Accounts {
    users: Option<Arc<Users>>,
    /// Instead of the users' file.
    server: Option<AccountServer>,
    passwords: Option<Passwords>,
    tokens: Option<Tokens>,
    /// The OAuth provider whose tokens are accepted too.
    provider: Option<Provider>,
    /// The key from which the salts of unknown users are derived, unless it is the one of the users' file.
    salt_key: Option<Secret>,
    /// The transport can prove identities: by certificates, or on the Unix socket.
    has_transport_identities: bool,
    /// Nobody is let in without an account, however its identity is proved.
    requires_account: bool,
    /// How strong the verifiers of those who log in with the password become.
    upgrade: Option<Strength>,
}

/// What the account store (the users' file or the account server) knows of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Active,
    Disabled,
    Unknown,
    /// The server cannot be asked.
    Unclear,
    /// There is no store: tokens, certificates or passwords say who the users are.
    NoStore,
}

/// Why a user is kept out whose identity is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptOut {
    Disabled,
    NoAccount,
}

impl KeptOut {
    /// For the log.
    pub fn text(self) -> &'static str {
        match self {
            KeptOut::Disabled => "the user's account is disabled",
            KeptOut::NoAccount => "the user has no account, which require_account demands",
        }
    }
}

impl Accounts {
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let users = |path| UsersFile::new(path).and_then(|file| file.users()).map_err(|error| error.to_string());
        let salt_key = |key: &Secret| match key.expose().len() {
            0..16 => Err("expected at least 16 bytes".into()),
            _ => Ok(key.clone()),
        };
        let salt_key = settings.salt_key.as_deref().map(|path| lines::read(path, salt_key)).transpose()?;
        Ok(Accounts {
            server: AccountServer::open(settings, salt_key.as_ref())?,
            users: settings.users.as_deref().map(users).transpose()?,
            passwords: settings.passwords.as_deref().map(Passwords::read).transpose()?,
            tokens: settings.tokens.as_deref().map(Tokens::read).transpose()?,
            provider: Provider::new(settings.jwt.as_ref(), settings.introspection.as_ref())?,
            salt_key,
            has_transport_identities: settings.has_transport_identities(),
            requires_account: settings.require_account,
            upgrade: settings.upgrade.as_deref().map(strength).transpose()?,
        })
    }

    /// How many users have verifiers, if that is known.
    pub fn count(&self) -> Option<usize> {
        match self.server {
            Some(_) => None,
            None => Some(self.users.as_ref().map_or(0, |users| users.count())),
        }
    }

    /// Takes over what the accounts before a reload have learned.
    pub fn inherit(&self, old: &Accounts) {
        if let (Some(provider), Some(old)) = (&self.provider, &old.provider) {
            provider.inherit(old);
        }
    }

    /// The account server.
    pub fn server(&self) -> Option<&AccountServer> {
        self.server.as_ref()
    }

    /// True if an account server checks passwords itself. It shows no verifiers, so only mechanisms that send the password can use it.
    pub fn checks_passwords(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.store.checks_passwords())
    }

    /// Looks up the user whom a question is about. `None` if that is not needed to answer it.
    pub fn find(&self, question: &Question) -> Option<Finding> {
        self.server.as_ref()?.find(question)
    }

    /// The mechanisms of the list that at least one account can use.
    pub fn usable(&self, mechanisms: &str) -> String {
        let fits = |name: &&str| supported(name).is_some_and(|mechanism| self.can_serve(mechanism));
        mechanisms.split_whitespace().filter(fits).collect::<Vec<_>>().join(" ")
    }

    fn can_serve(&self, mechanism: &Description) -> bool {
        match mechanism.credential {
            CredentialKind::Scram(_) if self.checks_passwords() => false,
            CredentialKind::Scram(_) | CredentialKind::Comparable if self.server.is_some() => true,
            CredentialKind::Scram(_) | CredentialKind::Comparable => {
                let users = self.users.as_ref().filter(|users| users.count() > 0);
                users.is_some_and(|users| users.unfit_reason(mechanism).is_none())
            }
            CredentialKind::Password => self.passwords.is_some(),
            CredentialKind::Token => self.tokens.is_some() || self.provider.is_some(),
            CredentialKind::Outside => self.has_transport_identities,
            CredentialKind::HtTokens(_) | CredentialKind::Otp => false,
            CredentialKind::None => true,
        }
    }

    /// Answers a question of the core; `None` to a question that a gateway does not expect, or that
    /// [`Accounts::judge`] answers. `account` is what [`Accounts::find`] has
    /// found.
    pub fn answer(&self, question: &Question, account: Option<&Arc<Account>>) -> Option<Answer> {
        match question {
            Question::Credentials { kind, authcid, .. } => {
                Some(Answer::Credential(self.credential(authcid, *kind, account)))
            }
            // An account means that the server has accepted the password.
            Question::CheckPassword { .. } => Some(Answer::Verdict(account.is_some())),
            // Each user has exactly one name, in the rules too. Invalid names are refused.
            Question::Canonicalize { name, .. } => Some(Answer::Text(saslprep::query(name).ok().map(Into::into))),
            _ => None,
        }
    }

    /// Looks up a user whose identity is proved, if the accounts are in a server.
    pub fn find_again(&self, user: &str) -> Option<Finding> {
        self.server.as_ref().map(|server| -> Finding { Box::pin(server.store.find(user)) })
    }

    /// What the store knows of a user. `found` is what a server has answered, if it was asked.
    pub fn standing(&self, user: &str, found: Option<&Found>) -> Standing {
        let is_disabled = match (&self.server, &self.users, found) {
            (Some(_), _, Some(Ok(account))) => account.as_ref().map(|account| account.disabled),
            (Some(_), _, _) => return Standing::Unclear,
            (None, Some(users), _) => users.find(user).map(|user| user.disabled),
            (None, None, _) => return Standing::NoStore,
        };
        match is_disabled {
            None => Standing::Unknown,
            Some(true) => Standing::Disabled,
            Some(false) => Standing::Active,
        }
    }

    /// Why the store keeps a user out, whatever proves its identity.
    pub fn keeps_out(&self, standing: Standing) -> Option<KeptOut> {
        match standing {
            Standing::Disabled => Some(KeptOut::Disabled),
            Standing::Unknown if self.requires_account => Some(KeptOut::NoAccount),
            _ => None,
        }
    }

    /// The same for a user of that name, whose identity was proved without the store. A server is asked.
    pub async fn keeps_out_now(&self, user: &str) -> Result<Option<KeptOut>, Unavailable> {
        let server = self.server.as_ref().filter(|server| server.store.knows_users());
        let found = match server.and_then(|_| self.find_again(user)) {
            Some(finding) => Some(Ok(finding.await?)),
            None => None,
        };
        Ok(self.keeps_out(self.standing(user, found.as_ref())))
    }

    /// How strong the verifiers of those who log in with the password become, unless a user's are known.
    pub fn upgrade(&self) -> Option<Strength> {
        self.upgrade
    }

    /// How strong the verifier is that a user gets who logs in with the password. `None` if one of the user's is strong enough.
    pub fn due(&self, user: &str, account: Option<&Account>) -> Option<Strength> {
        let wanted = self.upgrade?;
        match (&self.server, &self.users) {
            (Some(_), _) => wanted.due(account?.strengths()),
            (None, users) => {
                let keys = users.as_ref()?.find(user)?.keys;
                wanted.due(keys.into_iter().map(|(hash, iterations)| Strength { hash, iterations }))
            }
        }
    }

    /// Whether what a user has proved its identity with is still valid.
    pub fn holds(&self, user: &str, proof: &Proof, standing: Standing, now: SystemTime) -> bool {
        match proof {
            Proof::Verifier => matches!(standing, Standing::Active | Standing::Unclear),
            Proof::Password => self.passwords.as_ref().is_some_and(|passwords| passwords.find(user).is_some()),
            Proof::Token(hash) => {
                self.tokens.as_ref().and_then(|tokens| tokens.owner(hash, now)).is_some_and(|owner| owner == user)
            }
            Proof::Grant(grant) => self.provider.is_some() && !grant.has_expired(now),
            // Of settings, and not of accounts.
            Proof::Certificate | Proof::UserId(_) | Proof::Nothing => true,
        }
    }

    /// Whom a bearer token stands for. The file of tokens decides first, then the provider.
    pub async fn judge(&self, token: &Secret) -> Result<(Grant, Proof), Failure> {
        let hash = hash_of(token.expose());
        if let Some((tokens, hash)) = self.tokens.as_ref().zip(hash).filter(|(tokens, hash)| tokens.has(hash)) {
            let owner = tokens.owner(&hash, SystemTime::now()).ok_or_else(|| Refusal::new("it has expired"))?;
            return Ok((Grant::of(owner), Proof::Token(hash.into())));
        }
        let Some(provider) = &self.provider else { return Err(Refusal::new("it is unknown").into()) };
        // Boxed, so that connections without a provider do not take its memory.
        let grant = Box::pin(provider.check(token)).await?;
        Ok((grant.clone(), Proof::Grant(grant.into())))
    }

    /// The verdict on a token that is not accepted. It does not contain the reason.
    pub fn rejected(&self, status: &str) -> TokenVerdict {
        match &self.provider {
            Some(provider) => provider.rejected(status),
            None => TokenVerdict::Rejected { status: status.into(), scope: None, openid_configuration: None },
        }
    }

    /// The secret of a user that is of this kind: a verifier or a password. An unknown user gets a mock verifier, which no password
    /// matches.
    fn credential(&self, name: &str, kind: CredentialKind, account: Option<&Arc<Account>>) -> Option<Secret> {
        match (kind, &self.server) {
            (CredentialKind::Scram(_) | CredentialKind::Comparable, Some(server)) => {
                Some(server.credential(account.map(Arc::as_ref), name, kind))
            }
            (CredentialKind::Scram(_) | CredentialKind::Comparable, None) => {
                Some(self.users.as_ref()?.credential(name, kind, self.salt_key.as_ref(), ITERATIONS))
            }
            (CredentialKind::Password, server) => {
                let found = server.as_ref().map(|_| Ok(account.cloned()));
                let kept_out = self.keeps_out(self.standing(name, found.as_ref()));
                self.passwords.as_ref()?.find(name).filter(|_| kept_out.is_none())
            }
            _ => None,
        }
    }
}

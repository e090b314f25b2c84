//! Accounts in a server, which is asked at each login.

use std::future::Future;
use std::pin::Pin;

#[cfg(feature = "cyrus")]
use authen_sasl_account_servers::cyrus;
#[cfg(feature = "ldap")]
use authen_sasl_account_servers::ldap;
#[cfg(feature = "postgres")]
use authen_sasl_account_servers::postgres::{self, Postgres, ReadPassword};
use authen_sasl_account_servers::{Account, Answer, Store};
#[cfg(any(feature = "cyrus", feature = "ldap", feature = "postgres"))]
use authen_sasl_account_servers::{Engine, StoreSettings};
use authen_sasl_rust::contract::{CredentialKind, Question};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::mock::imitation;
use authen_sasl_rust::store::verifier::VerifierFormat;

#[cfg(any(feature = "ldap", feature = "postgres"))]
use crate::credentials::first_line;
use crate::mechanisms::supported;
use crate::settings::Settings;
#[cfg(any(feature = "ldap", feature = "postgres"))]
use crate::tls;

/// The length of the salt that an unknown user appears to have: the one that PostgreSQL and this program give.
const SALT_LENGTH: usize = 16;

/// A look-up that is under way.
pub type Finding = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The server, and how its users are answered for.
pub struct AccountServer {
    pub store: Store,
    /// What it is, for the log.
    pub kind: &'static str,
    salt_key: Secret,
    /// Hash and iterations of most verifiers, which an unknown user appears to have.
    usual: Hash,
    iterations: u32,
}

impl AccountServer {
    /// The one that the settings name. It is not asked yet.
    pub fn open(settings: &Settings, salt_key: Option<&Secret>) -> Result<Option<Self>, String> {
        let Some(kind) = settings.account_server() else { return Ok(None) };
        let salt_key = match salt_key {
            Some(key) => key.clone(),
            // Nobody gets a verifier, so nobody needs a mock one.
            None if settings.server_checks_passwords() => Secret::default(),
            None => return Err(format!("{kind} needs salt_key = \"FILE\"")),
        };
        let store = start(settings)?;
        let scram = |name| match supported(name)?.credential {
            CredentialKind::Scram(hash) => Some(hash),
            _ => None,
        };
        let usual = settings.mechanisms().split_whitespace().find_map(scram).unwrap_or(Hash::Sha256);
        if settings.require_account && !store.knows_users() {
            return Err(format!("require_account: {kind} cannot always tell who has an account"));
        }
        Ok(Some(AccountServer { store, kind, salt_key, usual, iterations: settings.store.iterations }))
    }

    /// Looks up the user whom a question is about, if it is one for this server, or lets the server check the password.
    pub fn find(&self, question: &Question) -> Option<Finding> {
        match question {
            // A password of the passwords' file belongs to a user who may be disabled here.
            Question::Credentials {
                kind: CredentialKind::Scram(_) | CredentialKind::Comparable | CredentialKind::Password,
                authcid,
                ..
            } => Some(Box::pin(self.store.find(authcid))),
            Question::CheckPassword { authcid, password, .. } => {
                Some(Box::pin(self.store.check(authcid, password.clone())))
            }
            _ => None,
        }
    }

    /// The verifier of a user who was looked up. A user who is unknown or disabled, or has no verifier of this kind, gets a mock
    /// verifier.
    pub fn credential(&self, account: Option<&Account>, name: &str, kind: CredentialKind) -> Secret {
        let hash = kind.hash().unwrap_or(self.usual);
        let mock = imitation(name, hash, self.iterations, SALT_LENGTH, self.salt_key.expose());
        let mock = Secret::from(mock.print(VerifierFormat::Rfc5803));
        account.and_then(|account| account.verifier(kind, self.usual)).cloned().unwrap_or(mock)
    }
}

fn start(settings: &Settings) -> Result<Store, String> {
    match settings {
        #[cfg(feature = "postgres")]
        Settings { postgres: Some(postgres), store, .. } => start_thread(open_postgres(postgres, store)?, store),
        #[cfg(feature = "ldap")]
        Settings { ldap: Some(ldap), store, .. } => start_thread(directory(ldap)?, store),
        #[cfg(feature = "cyrus")]
        Settings { cyrus: Some(cyrus), store, service, host, .. } => {
            start_thread(cyrus::Cyrus::open(cyrus, service, host, store.at_once, Some(plugins_log()))?, store)
        }
        _ => Err("no account server is compiled in".into()),
    }
}

/// Where plugins log: errors and warnings are for everybody, the rest for those who look for a mistake.
#[cfg(feature = "cyrus")]
fn plugins_log() -> cyrus::Log {
    const WARNING: std::ffi::c_int = 3;
    std::sync::Arc::new(|level, line| match level {
        ..=WARNING => tracing::warn!(error = line, "a plugin of Cyrus SASL"),
        _ => tracing::debug!(error = line, "a plugin of Cyrus SASL"),
    })
}

#[cfg(any(feature = "cyrus", feature = "ldap", feature = "postgres"))]
fn start_thread(engine: impl Engine, settings: &StoreSettings) -> Result<Store, String> {
    Store::start(engine, settings).map_err(|error| format!("cannot start the thread for accounts: {error}"))
}

/// A database, which is not asked yet. The files are read to check them.
#[cfg(feature = "postgres")]
pub fn open_postgres(settings: &postgres::Settings, store: &StoreSettings) -> Result<Postgres, String> {
    let tls = settings.ca.as_deref().map(|ca| tls::client(ca, None, None)).transpose()?;
    let password = settings.password_file.clone().map(|path| {
        let read: ReadPassword = Box::new(move || first_line(&path));
        read
    });
    password.as_ref().map(|read| read()).transpose()?;
    Postgres::new(settings, password, tls, store.deadline())
}

#[cfg(feature = "ldap")]
fn directory(settings: &ldap::Settings) -> Result<ldap::Directory, String> {
    let (certificate, key) = (settings.certificate.as_deref(), settings.key.as_deref());
    let tls = settings.ca.as_deref().map(|ca| tls::client(ca, certificate, key)).transpose()?;
    let password = settings.password_file.as_deref().map(first_line).transpose()?;
    ldap::Directory::new(settings, password, tls)
}

//! Accounts in a server, which is asked at each login.

use std::future::Future;

use authen_sasl_account_servers::{Account, Answer, Store};
use authen_sasl_rust::contract::{CredentialKind, Question};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::mock::imitation;
use authen_sasl_rust::store::verifier::VerifierFormat;

use crate::mechanisms::supported;
use crate::settings::Settings;

/// The length of the salt that an unknown user appears to have: the one that PostgreSQL and this program give.
const SALT_LENGTH: usize = 16;

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
        let salt_key = salt_key.ok_or_else(|| format!("{kind} needs salt_key = \"FILE\""))?.clone();
        let store = start(settings)?;
        let scram = |name| match supported(name)?.credential {
            CredentialKind::Scram(hash) => Some(hash),
            _ => None,
        };
        let usual = settings.mechanisms().split_whitespace().find_map(scram).unwrap_or(Hash::Sha256);
        Ok(Some(AccountServer { store, kind, salt_key, usual, iterations: settings.store.iterations }))
    }

    /// Looks up the user whom a question is about, if it is one for this server.
    pub fn find(&self, question: &Question) -> Option<impl Future<Output = Answer> + Send + 'static + use<>> {
        match question {
            Question::Credentials { kind: CredentialKind::Scram(_) | CredentialKind::Comparable, authcid, .. } => {
                Some(self.store.find(authcid))
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
    let cannot = |error: std::io::Error| format!("cannot start the thread for accounts: {error}");
    let _ = (settings, cannot);
    Err("no account server is compiled in".into())
}

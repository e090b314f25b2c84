//! Stronger verifiers for users who have logged in with their password, if `upgrade` is set. The core derives them, as part of the login;
//! they are stored beside it, so that no login waits or fails for that. docs/decisions/0025-upgrade.md has the reasons.

use std::sync::Arc;
use std::time::Instant;

use authen_sasl_accounts::users::UsersFile;
use authen_sasl_rust::contract::Question;
use authen_sasl_rust::secret::Secret;
use tokio::task::spawn_blocking;
use tracing::{debug, error, info};

use crate::gate::{Gate, LiveConfig};
use crate::metrics::count;

/// A verifier that a login has made.
pub struct Stronger {
    user: String,
    verifier: Secret,
    /// With which the password was compared.
    stored: Secret,
}

impl Stronger {
    /// The one that the core wants to be stored; `None` if its question is another one.
    pub fn of(question: &Question) -> Option<Self> {
        match question {
            Question::SetVerifier { authcid, verifier, stored: Some(stored), .. } => {
                Some(Stronger { user: authcid.clone(), verifier: verifier.clone(), stored: stored.clone() })
            }
            _ => None,
        }
    }
}

/// Stores it, beside the login. If that fails, the log says why; the next login makes another one.
pub fn store(gate: Arc<Gate>, live: Arc<LiveConfig>, stronger: Stronger) {
    tokio::spawn(async move {
        // One at a time: each one writes the whole users' file.
        let _turn = gate.upgrades.acquire().await;
        let user = stronger.user.clone();
        match write(&live, stronger).await {
            Ok(true) => {
                count(&gate.metrics.upgrades);
                info!(?user, "a stronger verifier is stored");
                if live.accounts.server().is_none() {
                    gate.users_changed.notify_one();
                }
            }
            Ok(false) => debug!(?user, "no stronger verifier is stored: the account has changed since the login"),
            Err(error) => {
                count(&gate.metrics.upgrade_errors);
                if let Some(unlogged) = gate.not_stored.admit(Instant::now()) {
                    let unlogged = (unlogged > 0).then_some(unlogged);
                    error!(?user, error, unlogged, "a stronger verifier cannot be stored");
                }
            }
        }
    });
}

async fn write(live: &LiveConfig, stronger: Stronger) -> Result<bool, String> {
    let Stronger { user, verifier, stored } = stronger;
    match (live.accounts.server(), live.settings.users.clone()) {
        (Some(server), _) => {
            server.store.strengthen(&user, verifier, stored).await.map_err(|error| format!("{}: {error}", server.kind))
        }
        (None, Some(path)) => {
            let written = spawn_blocking(move || UsersFile::new(&path)?.set_stronger(&user, &verifier, &stored));
            written.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        }
        (None, None) => Ok(false),
    }
}

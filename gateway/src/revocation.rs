//! Ends the sessions of clients that could not log in any more: their user is gone or disabled, no access rule leads to their backend,
//! or their certificate or token is revoked.
//!
//! A reload looks at all sessions. With `limits.revocation_seconds` the gateway also looks by itself, and reads the account files
//! again if they have changed. An account server is always asked now and then.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use authen_sasl_account_servers::Unavailable;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::sleep;
use tracing::error;

use crate::files::Stamp;
use crate::gate::{Gate, LiveConfig};
use crate::metrics::count;
use crate::settings::Role;

/// How many sessions are looked at without a pause for other tasks.
const SESSIONS_AT_ONCE: usize = 256;

/// How many users an account server is asked for at once, fewer than it may be asked for, and how long it rests then. Logins come
/// first: 1,600 users take a second.
const USERS_AT_ONCE: usize = 16;
const PAUSE: Duration = Duration::from_millis(10);

/// For how long stronger verifiers in the users' file are collected before it is read again.
const COLLECTING: Duration = Duration::from_secs(1);

/// Looks after each reload, and in the configured intervals.
pub async fn watch(gate: Arc<Gate>) {
    let (mut failed, mut was_available) = (None, true);
    loop {
        tokio::select! {
            () = gate.recheck.notified() => {}
            () = next_look(&gate) => refresh(&gate, &mut failed).await,
            () = gate.users_changed.notified() => {
                sleep(COLLECTING).await;
                refresh(&gate, &mut failed).await;
            }
        }
        let unavailable = look(&gate).await;
        if let Some(error) = unavailable.as_ref().filter(|_| was_available) {
            error!(%error, "the accounts of connected users cannot be looked up; nobody is disconnected");
        }
        was_available = unavailable.is_none();
    }
}

async fn next_look(gate: &Gate) {
    let live = gate.live();
    let interval = live.settings.limits.revocation(live.accounts.server().is_some());
    drop(live);
    match interval {
        Some(interval) => sleep(interval).await,
        None => std::future::pending().await,
    }
}

/// Reads the account files again if they have changed, with the settings that are in use. If they cannot be read, nobody is
/// disconnected, and the reason is logged once. `failed`: the files that could not be read.
async fn refresh(gate: &Gate, failed: &mut Option<Vec<Option<Stamp>>>) {
    let old = gate.live();
    let Some(stamps) = old.changed_stamps().filter(|stamps| failed.as_ref() != Some(stamps)) else { return };
    let settings = old.settings.clone();
    let Ok(loaded) = spawn_blocking(move || LiveConfig::load(settings)).await else { return };
    if !Arc::ptr_eq(&gate.live(), &old) {
        // A reload was faster.
        return;
    }
    *failed = None;
    match loaded {
        Ok(live) => {
            live.log_as("account files read again");
            gate.replace(live);
            count(&gate.metrics.reloads);
        }
        Err(error) => {
            error!(error, "the account files have changed and cannot be read; nobody is disconnected");
            count(&gate.metrics.reload_errors);
            *failed = Some(stamps);
        }
    }
}

/// Ends the sessions of those who may not stay. An account server is asked for each user once, however its identity was proved; if it
/// cannot be asked, nobody is disconnected for what only it knows.
/// Returns why it could not be asked.
async fn look(gate: &Gate) -> Option<Unavailable> {
    let live = gate.live();
    if live.settings.role == Role::Connect {
        return None;
    }
    let (all, now) = (gate.sessions.all(), SystemTime::now());
    let by_user: Vec<_> = all.chunk_by(|one, other| Arc::ptr_eq(&one.user, &other.user)).collect();
    let mut unavailable = None;
    for users in by_user.chunks(USERS_AT_ONCE) {
        let asked: Vec<_> = users
            .iter()
            .map(|sessions| {
                let session = sessions.first()?;
                live.accounts.find_again(&session.user).filter(|_| unavailable.is_none())
            })
            .collect();
        let has_asked = asked.iter().any(Option::is_some);
        for (sessions, asked) in users.iter().zip(asked) {
            let found = match asked {
                Some(asked) => Some(asked.await),
                None => None,
            };
            if let Some(Err(error)) = &found {
                unavailable = Some(error.clone());
            }
            for (at, session) in sessions.iter().enumerate() {
                if let Some(reason) = live.rejection(session, found.as_ref(), now) {
                    session.end(reason);
                }
                if at % SESSIONS_AT_ONCE == SESSIONS_AT_ONCE - 1 {
                    yield_now().await;
                }
            }
        }
        match has_asked {
            true => sleep(PAUSE).await,
            false => yield_now().await,
        }
    }
    unavailable
}

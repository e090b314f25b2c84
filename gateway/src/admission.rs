//! What an authenticated client reaches: the backend of the access rules, within the limit of its user.

use std::sync::Arc;
use std::time::Instant;

use tracing::{error, warn};

use crate::access::backend_of;
use crate::backend::{connect, Backend};
use crate::gate::{ConnectionSlot, LiveConfig};
use crate::identity::CertificateId;
use crate::metrics::count;
use crate::peer::Peer;
use crate::sessions::{About, Proof, Session};

/// A client that is authenticated.
pub struct Applicant<'a> {
    pub user: &'a str,
    pub groups: &'a [Box<str>],
    pub mechanism: &'static str,
    pub proof: Proof,
    pub certificates: Box<[CertificateId]>,
}

/// The client's session and its backend.
pub struct Admitted {
    pub backend: Backend,
    pub session: Arc<Session>,
}

/// Why a client is not admitted. The log has the details.
pub enum NotAdmitted {
    /// No access rule allows this user, or the account store keeps it out.
    NoAccess,
    /// It may be possible later.
    Unavailable,
}

/// Opens the client's session and connects its backend.
pub async fn admit(
    slot: &mut ConnectionSlot,
    live: &Arc<LiveConfig>,
    peer: &Peer,
    applicant: Applicant<'_>,
) -> Result<Admitted, NotAdmitted> {
    let Applicant { user, groups, mechanism, proof, certificates } = applicant;
    let settings = &live.settings;
    // The others were answered for with what the store says.
    if matches!(proof, Proof::Certificate | Proof::UserId(_) | Proof::Nothing) {
        match live.accounts.keeps_out_now(user).await {
            Ok(None) => {}
            Ok(Some(kept_out)) => {
                warn!(peer = peer.text, ?user, mechanism, "authenticated, but {}", kept_out.text());
                return Err(NotAdmitted::NoAccess);
            }
            Err(error) => {
                if let Some(unlogged) = slot.gate.unavailable.admit(Instant::now()) {
                    let unlogged = (unlogged > 0).then_some(unlogged);
                    error!(peer = peer.text, ?user, mechanism, %error, unlogged, "the user's account cannot be looked up");
                }
                return Err(NotAdmitted::Unavailable);
            }
        }
    }
    let Some(name) = backend_of(&settings.access, user, groups, peer.address) else {
        warn!(peer = peer.text, ?user, mechanism, "authenticated, but no access rule allows this user");
        return Err(NotAdmitted::NoAccess);
    };
    let address = settings.backend(name).ok_or(NotAdmitted::Unavailable)?;
    let about = About { mechanism, peer: peer.clone(), backend: name.into(), proof, certificates };
    let Some(session) = slot.open_session(user, settings.limits.connections_per_user, about) else {
        slot.gate.turn_away_user(&peer.text, user);
        return Err(NotAdmitted::Unavailable);
    };
    let gate = slot.gate.clone();
    if !Arc::ptr_eq(&gate.live(), live) {
        // The look at all sessions after the reload may have been too early for this one.
        gate.recheck.notify_one();
    }
    // Boxed, so that unauthenticated connections do not take its memory.
    match session.run(Box::pin(connect(address, live, &gate.derivations))).await {
        Ok(Ok(backend)) => Ok(Admitted { backend, session }),
        Ok(Err(error)) => {
            slot.close_session();
            error.count(&gate.metrics);
            warn!(peer = peer.text, ?user, backend = %address, %error, "cannot connect to the backend");
            Err(NotAdmitted::Unavailable)
        }
        Err(reason) => {
            slot.close_session();
            count(&gate.metrics.sessions_ended[reason as usize]);
            let reason = reason.text();
            warn!(peer = peer.text, ?user, mechanism, reason, "ended before the backend was connected");
            Err(NotAdmitted::Unavailable)
        }
    }
}

//! What one Perl object owns.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use authen_sasl_cyrus_host::journal;
use authen_sasl_rust::contract::World;
use authen_sasl_rust::error::{Error, Failure, Misuse};
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::world::OsRandom;

use super::names;
use super::shielded::{shielded, DEFECT};
use super::slice::Slice;

/// What one Perl object owns.
pub struct Handle {
    pub(super) session: Session,
    /// The caller's list of mechanisms, for a second choice when a property has changed.
    pub(super) list: Box<str>,
    pub(super) stale: bool,
    /// The caller picked the mechanism itself, so it is kept.
    pub(super) picked: bool,
    pub(super) keys: Option<Arc<KeyMemory>>,
    /// Text lent to C.
    pub(super) text: Box<str>,
    /// A secret lent to C with a question.
    pub(super) lent: Secret,
    /// A misuse, or another error that is no failure of the exchange.
    pub(super) notice: Option<Box<Error>>,
    /// What is wrong with the user's stored secret has been logged.
    pub(super) fault_logged: bool,
    /// Why a stronger verifier was not stored has been logged.
    pub(super) upgrade_logged: bool,
}

/// Seconds since 1970; the 0 if the clock is before that.
fn system_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// SASL_LOG_ERR of sasl.h.
const LOG_ERROR: c_int = 1;

impl Handle {
    /// A connection that has no mechanism yet.
    pub(super) fn new(session: Session) -> Self {
        Handle {
            session,
            list: "".into(),
            stale: false,
            picked: false,
            keys: None,
            text: "".into(),
            lent: Secret::default(),
            notice: None,
            fault_logged: false,
            upgrade_logged: false,
        }
    }

    /// Runs `work` on the session with the world lent to it; a panic fails the exchange.
    pub(super) fn run(&mut self, work: impl FnOnce(&mut Session, &mut World<'_>) -> Outcome) -> i32 {
        self.notice = None;
        self.lent = Secret::default();
        let keys = self.keys.clone();
        let session = &mut self.session;
        let result = shielded(None, || {
            let mut random = OsRandom;
            let keys = keys.as_deref().map(|keys| keys as _);
            let mut world = World { clock: Some(system_time), ..World::of_process(&mut random, keys) };
            Some(work(session, &mut world))
        });
        self.log_fault();
        self.log_upgrade();
        let outcome = result.unwrap_or_else(|| {
            self.session.reset();
            self.session.abort(Error::System(DEFECT))
        });
        if outcome == Outcome::Busy {
            self.notice = Some(Box::new(Error::Misuse(Misuse::Busy)));
        }
        outcome as i32
    }

    /// Logs what is wrong with the stored secret of a user at once: the exchange may never end.
    fn log_fault(&mut self) {
        let faulty = self.session.fault().is_some();
        if faulty && !self.fault_logged {
            self.log(&|session| session.fault(), "");
        }
        self.fault_logged = faulty;
    }

    /// Logs why a stronger verifier was not stored.
    fn log_upgrade(&mut self) {
        let failed = self.session.upgrade_failure().is_some();
        if failed && !self.upgrade_logged {
            self.log(&|session| session.upgrade_failure(), "no stronger verifier was stored: ");
        }
        self.upgrade_logged = failed;
    }

    /// Logs what is wrong for the user of this exchange.
    fn log(&self, what: &dyn Fn(&Session) -> Option<&Error>, before: &str) {
        let session = &self.session;
        let Some(fault) = what(session) else { return };
        let (mechanism, user) = (session.mechanism().map_or("", |m| m.name), session.claimed_user());
        let user: String = user.unwrap_or_default().escape_debug().collect();
        let fault = fault.named(names::of_connection);
        shielded((), || journal::log()(LOG_ERROR, &format!("{mechanism} server: user '{user}': {before}{fault}")));
    }

    /// Keeps a text for C until the next one.
    pub(super) fn lend(&mut self, text: String) -> Slice {
        self.text = text.into();
        Slice::of(self.text.as_bytes())
    }

    /// Why the security layer has ended, if it has.
    pub(super) fn broken(&self) -> Option<Failure> {
        self.session.layer().and_then(|layer| lock(layer).failure())
    }

    /// Reads something of the error that [`super::asr_error`] describes, if there is one.
    pub(super) fn of_error<T>(&self, read: impl Fn(&Error) -> T) -> Option<T> {
        let broken = self.broken();
        let failure = self.session.failure().or(broken.as_ref());
        failure.map(|failure| &failure.error).or(self.notice.as_deref()).map(read)
    }
}

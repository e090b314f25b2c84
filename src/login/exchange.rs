//! What both sides do with their session.

use crate::contract::{SecurityFlags, Side};
use crate::error::{Error, Failure, Malformed};
use crate::mechanism;
use crate::session::Session;

/// A session that negotiates no layer, and uses no password in the clear.
pub(super) fn session(side: Side) -> Session {
    let mut session = Session::new(side, mechanism::registry());
    session.config.max_ssf = Some(0);
    session.config.secflags = SecurityFlags::NOPLAINTEXT;
    session
}

/// Ends an exchange, with this error unless it has failed already. It may have succeeded: a message that comes later is an
/// error too.
pub(super) fn ended(session: &mut Session, error: Error) -> Failure {
    session.abort(error.clone());
    let mechanism = session.mechanism().map(|mechanism| mechanism.name);
    session.failure().cloned().unwrap_or(Failure { side: session.side(), mechanism, error })
}

/// The error of a message that comes after the end.
pub(super) fn over(message: &'static str) -> Error {
    Error::malformed(message, Malformed::Unexpected("the exchange is over"))
}

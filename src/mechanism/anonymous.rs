//! ANONYMOUS (RFC 4505): one message, the trace, which may be empty.

use crate::contract::{
    available, Context, Description, Established, Event, Outline, Property, Question, SecurityFlags, Sent, State,
    Stateless, Step,
};
use crate::error::{Application, Error, Malformed, Subject};

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        security: SecurityFlags::NOPLAINTEXT,
        carries_authzid: true,
        ..Description::new("ANONYMOUS")
    },
    client: || Box::new(AwaitBegin),
    server: || Box::new(AwaitTrace),
    unavailable_reason: available,
    outline,
};

/// Longest trace, in characters (RFC 4505 §2).
const TRACE_LIMIT: usize = 255;

struct AwaitBegin;
struct AwaitValues;
struct AwaitTrace;

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(Question::Values(&[Property::Authzid]), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let trace = event.values()?.text(Property::Authzid)?.unwrap_or_default();
        if check(&trace).is_err() {
            let reason = "is longer than 255 characters or holds a control character (RFC 4505 section 2)";
            return Err(Application::Unusable { what: Subject::Trace, reason }.into());
        }
        Ok(Step::Done(Established {
            last: Some(trace.into_bytes()),
            authcid: "anonymous".into(),
            ..Established::default()
        }))
    }
}

impl State for AwaitTrace {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let bytes = event.received("message")?;
        let trace =
            std::str::from_utf8(bytes).map_err(|_| Error::malformed("message", Malformed::Utf8("the trace")))?;
        check(trace).map_err(|reason| Error::malformed("message", reason))?;
        // The trace identifies no user. It is for the log; authorization must not depend on it.
        Ok(Step::Done(Established { authcid: "anonymous".into(), ..Established::default() }))
    }
}

/// What is no trace may be another mechanism's message, with a password in it.
fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    let trace = std::str::from_utf8(message.bytes).ok().filter(|trace| check(trace).is_ok())?;
    Some(Outline::new("message").text("trace", trace))
}

/// RFC 4505 §2: at most 255 characters, without control characters (stringprep profile "trace").
fn check(trace: &str) -> Result<(), Malformed> {
    if trace.chars().count() > TRACE_LIMIT {
        return Err(Malformed::Unexpected("the trace is longer than 255 characters (RFC 4505 section 2)"));
    }
    if trace.chars().any(char::is_control) {
        return Err(Malformed::Character("the trace (RFC 4505 section 2)"));
    }
    Ok(())
}

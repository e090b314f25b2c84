//! EXTERNAL (RFC 4422, appendix A): the identity was proved outside SASL, by TLS or the socket.

use crate::contract::{
    Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question, SecurityFlags,
    Sent, Setup, Side, State, Stateless, Step, NAME_LIMIT,
};
use crate::error::{Application, Error, Malformed, Refused, Rejection, Subject};

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        rank: 20,
        security: SecurityFlags::NOPLAINTEXT.union(SecurityFlags::NODICTIONARY).union(SecurityFlags::NOANONYMOUS),
        credential: CredentialKind::Outside,
        carries_authzid: true,
        ..Description::new("EXTERNAL")
    },
    client: || Box::new(AwaitBegin),
    server: || Box::new(AwaitIdentity),
    unavailable_reason: unproved,
    outline,
};

/// A server needs a proved identity, and a client a sign that it has one. A server may offer EXTERNAL to every client under
/// TLS, and a client that has a password but no certificate must use its password. If the caller names only EXTERNAL, or
/// has no password, no sign is needed.
fn unproved(side: Side, setup: Setup<'_>) -> Option<Rejection> {
    let config = setup.config;
    let beside_a_password = config.lists_password && config.abilities.contains(Abilities::PASSWORD);
    match side {
        Side::Server if config.external_id().is_none_or(str::is_empty) => {
            Some(Error::from(Refused::NoExternalIdentity).into())
        }
        Side::Client if beside_a_password && !config.proves_outside() => Some(Rejection::NoSignOfIdentity),
        _ => None,
    }
}

struct AwaitBegin;
struct AwaitValues;
struct AwaitIdentity;

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(Question::Values(&[Property::Identity]), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    /// The identity to act as. An empty one asks for the one that was proved.
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let identity = event.values()?.text(Property::Identity)?.unwrap_or_default();
        Ok(Step::Done(Established {
            last: Some(identity.clone().into_bytes()),
            authcid: identity,
            ..Established::default()
        }))
    }
}

impl State for AwaitIdentity {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let bytes = event.received("initial response")?;
        let authzid = parse(bytes).map_err(|reason| Error::malformed("initial response", reason))?;
        let proved = cx.config.external_id().filter(|id| !id.is_empty()).ok_or(Refused::NoExternalIdentity)?;
        if proved.len() > NAME_LIMIT {
            let reason = "is longer than 4096 bytes";
            return Err(Application::Unusable { what: Subject::ExternalIdentity, reason }.into());
        }
        Ok(Step::Done(Established {
            authcid: proved.to_owned(),
            authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
            ..Established::default()
        }))
    }
}

/// `extern-initial-resp = *( UTF8-char-no-nul )` (RFC 4422, appendix A).
fn parse(bytes: &[u8]) -> Result<&str, Malformed> {
    let authzid = std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8("the authorization identity"))?;
    if authzid.contains('\0') {
        return Err(Malformed::Character("the authorization identity"));
    }
    Ok(authzid)
}

fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    Some(Outline::new("message").text("authzid", parse(message.bytes).ok()?))
}

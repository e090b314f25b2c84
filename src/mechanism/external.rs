//! EXTERNAL (RFC 4422, appendix A): the identity was proved outside SASL, by TLS or the socket.

use crate::contract::{
    available, Abilities, Context, Established, Event, Mechanism, Property, Question, SecurityFlags, Side, State, Step,
};
use crate::error::{Application, Error, Malformed, Refused};

pub static MECHANISM: Mechanism = Mechanism {
    name: "EXTERNAL",
    first: Side::Client,
    rank: 20,
    max_ssf: 0,
    security: SecurityFlags::NOPLAINTEXT.and(SecurityFlags::NODICTIONARY).and(SecurityFlags::NOANONYMOUS),
    client_needs: Abilities::NONE,
    server_needs: Abilities::NONE,
    derives_keys: false,
    unavailable: available,
    client: || Box::new(AwaitBegin),
    server: || Box::new(AwaitIdentity),
};

struct AwaitBegin;
struct AwaitValues;
struct AwaitIdentity;

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(Question::Values(&[Property::Authcid, Property::Authzid]), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    /// The authorization identity if there is one, else the authentication identity, as the
    /// reference backend does; else empty, which asks for the identity that was proved.
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authcid = values.text(Property::Authcid)?;
        let identity = values.text(Property::Authzid)?.or(authcid).unwrap_or_default();
        if identity.contains('\0') {
            return Err(
                Application::Unusable { what: "authorization identity", reason: "holds a NUL character" }.into()
            );
        }
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
        let authzid = std::str::from_utf8(bytes)
            .map_err(|_| Error::malformed("initial response", Malformed::Utf8("the authorization identity")))?;
        if authzid.contains('\0') {
            return Err(Error::malformed("initial response", Malformed::Character("the authorization identity")));
        }
        let proved = cx.config.external_id().filter(|id| !id.is_empty()).ok_or(Refused::NoExternalIdentity)?;
        Ok(Step::Done(Established {
            authcid: proved.to_owned(),
            authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
            ..Established::default()
        }))
    }
}

//! The client of GSSAPI (RFC 4752 §3.1) and GSS-SPNEGO.

use crate::gssapi::{flag, Initiator, Progress, SecurityContext};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{
    Context, Established, Event, Next, Property, Question, SecurityLayer, Side, State, Step,
};
use authen_sasl_rust::error::{Error, Malformed, PeerMisbehaved, Policy};

use super::credentials::{client_credentials, service, Login};
use super::dialect::{end_point, Dialect};
use super::layer::{self, Layer, Limits, LONGEST, MODEST};

struct AwaitBegin(Dialect);
struct AwaitValues(Dialect);

struct AwaitToken {
    dialect: Dialect,
    initiator: Initiator,
    authzid: Option<String>,
}

struct AwaitOffer {
    context: SecurityContext,
    authcid: String,
    authzid: Option<String>,
}

pub fn begin(dialect: Dialect) -> Next {
    Box::new(AwaitBegin(dialect))
}

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(wanted(cx.config), Box::new(AwaitValues(self.0))))
    }
}

/// What a client asks its application. Without `kerberos_password` a password is not used, and is dropped. It is asked for
/// because Authen::SASL::Perl takes a credential object in its place: the binding refuses an object. Ignoring it would log in
/// as another user.
pub fn wanted(config: &Config) -> Question {
    Question::Values(if config.kerberos_password() {
        &[Property::Authzid, Property::Authcid, Property::Password]
    } else {
        &[Property::Authzid, Property::Password]
    })
}

/// The application's authorization identity, and what it gives to get a ticket with.
pub fn given(event: Event<'_>, config: &Config) -> Result<(Option<String>, Option<Login>), Error> {
    let mut values = event.values()?;
    let authzid = values.optional_text(Property::Authzid)?;
    Ok((authzid, Login::of(&mut values, config)?))
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let (dialect, config) = (self.0, cx.config);
        let (authzid, login) = given(event, config)?;
        let limits = Limits::of(config);
        let mut wanted = flag::MUTUAL | flag::REPLAY | flag::SEQUENCE;
        let mut credentials = client_credentials(dialect.speaking(), config, login.as_ref())?;
        if dialect == Dialect::Gssapi || !limits.forbid_layers() {
            wanted |= flag::INTEGRITY;
        }
        if limits.may_encrypt() {
            wanted |= flag::CONFIDENTIALITY;
        }
        if dialect == Dialect::Spnego && !limits.may_encrypt() {
            credentials.without_layers();
        }
        if config.delegate() {
            wanted |= flag::DELEGATE;
        }
        let (about, target) = service(Side::Client, config)?;
        let mut initiator =
            Initiator::new(dialect.speaking(), target, about, Some(credentials), wanted, end_point(config))?;
        match initiator.step(None)? {
            Progress::Continue(token) => Ok(Step::Send(token, Box::new(AwaitToken { dialect, initiator, authzid }))),
            Progress::Complete(_) => Err(unproved()),
        }
    }
}

/// The server is not authenticated, or the negotiation cannot be protected.
fn unproved() -> Error {
    Error::misbehaved("token", PeerMisbehaved::ServerProofMissing)
}

impl State for AwaitToken {
    fn step(mut self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let token = event.received("token")?;
        let reply = match self.initiator.step(Some(token))? {
            Progress::Continue(reply) => return Ok(Step::Send(reply, self)),
            Progress::Complete(reply) => reply,
        };
        let (context, authcid) = self.initiator.finish()?;
        if context.flags() & flag::MUTUAL == 0 {
            return Err(unproved());
        }
        if self.dialect == Dialect::Gssapi {
            if context.flags() & flag::INTEGRITY == 0 {
                return Err(Policy::Strength("the context has no integrity, which the mechanism itself needs").into());
            }
            return Ok(Step::Send(reply, Box::new(AwaitOffer { context, authcid, authzid: self.authzid })));
        }
        let last = (!reply.is_empty()).then_some(reply);
        let layer = spnego_layer(context, cx)?;
        Ok(Step::Done(Established { last, authcid, layer, ..Established::default() }))
    }
}

/// GSS-SPNEGO: the layer is the strongest one that both sides' flags and this side's limits allow. MIT's initiators set the
/// flag of confidentiality together with that of integrity by default. The length of frames is not negotiated: this side
/// sends no frames that are longer than all known peers accept, and receives the longest frames of a layer (libsasl2 puts
/// 65536 bytes of plaintext into a frame, Active Directory a whole entry).
pub fn spnego_layer(context: SecurityContext, cx: &Context<'_, '_>) -> Result<Option<Box<dyn SecurityLayer>>, Error> {
    let bits = match context.flags() {
        flags if flags & flag::CONFIDENTIALITY != 0 => layer::CONFIDENTIALITY | layer::INTEGRITY,
        flags if flags & flag::INTEGRITY != 0 => layer::INTEGRITY,
        _ => layer::NONE,
    };
    let bit = layer::strongest(bits & Limits::of(cx.config).allowed(context.strength()))?;
    Layer::boxed(context, bit, cx.config.max_buf.min(MODEST), LONGEST)
}

impl State for AwaitOffer {
    fn step(mut self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let wrapped = event.received("layer offer")?;
        // A server that sends its last, empty token in a message of its own.
        if wrapped.is_empty() {
            return Ok(Step::Send(Vec::new(), self));
        }
        let (offer, _) = self.context.unwrap(wrapped)?;
        let [bits, a, b, c] = offer[..] else {
            let reason = Malformed::Expected("a message of four bytes");
            return Err(Error::malformed("layer offer", reason));
        };
        let peer_max = u32::from_be_bytes([0, a, b, c]);
        let limits = Limits::of(cx.config);
        let mut allowed = limits.allowed(self.context.strength());
        if self.context.flags() & flag::CONFIDENTIALITY == 0 {
            allowed &= !layer::CONFIDENTIALITY;
        }
        if peer_max == 0 {
            allowed &= layer::NONE;
        }
        let bit = layer::strongest(bits & allowed)?;
        let own_max = if bit == layer::NONE { 0 } else { cx.config.max_buf };
        let [_, a, b, c] = own_max.to_be_bytes();
        let mut reply = vec![bit, a, b, c];
        reply.extend_from_slice(self.authzid.as_deref().unwrap_or("").as_bytes());
        let reply = self.context.wrap(false, &reply)?;
        let layer = Layer::boxed(self.context, bit, peer_max, own_max)?;
        Ok(Step::Done(Established {
            last: Some(reply),
            authcid: self.authcid,
            authzid: self.authzid,
            layer,
            ..Established::default()
        }))
    }
}

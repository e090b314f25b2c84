//! The server of GSSAPI (RFC 4752 §3.2) and GSS-SPNEGO.

use crate::gssapi::{flag, Acceptor, Client, Progress, SecurityContext, Speaking};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Context, Established, Event, Next, SecurityFlags, SecurityLayer, Side, State, Step};
use authen_sasl_rust::error::{Error, Malformed, PeerMisbehaved, Policy, Refused};

use super::client::spnego_layer;
use super::credentials::credentials;
use super::dialect::{end_point, Dialect};
use super::layer::{self, Layer, Limits};

struct AwaitFirst(Dialect);

struct AwaitToken {
    dialect: Dialect,
    acceptor: Acceptor,
}

struct AwaitAcknowledgement(Accepted);

struct AwaitSelection {
    accepted: Accepted,
    offered: u8,
    own_max: u32,
}

struct Accepted {
    context: SecurityContext,
    client: Client,
}

pub fn begin(dialect: Dialect) -> Next {
    Box::new(AwaitFirst(dialect))
}

/// A server's context before the first token.
pub fn acceptor(speaking: Speaking, binding: Option<Vec<u8>>, config: &Config) -> Result<Acceptor, Error> {
    let credentials = credentials(Side::Server, speaking, config)?;
    let about = format!("{}@{}", config.service, config.host);
    Acceptor::new(about, credentials, binding, config.delegated_ccache().is_some())
}

/// The complete context, and the client. The client must not be anonymous, and must delegate its credentials if the server
/// requires it.
pub fn accepted(acceptor: Acceptor, config: &Config) -> Result<(SecurityContext, Client), Error> {
    let (context, client) = acceptor.finish();
    if client.anonymous {
        return Err(Refused::Anonymous.into());
    }
    let insists = config.delegated_ccache().is_some() && config.secflags.contains(SecurityFlags::PASS_CREDENTIALS);
    if insists && client.delegated.is_none() {
        return Err(Policy::NothingDelegated.into());
    }
    Ok((context, client))
}

/// The result of a server.
pub fn established(
    client: Client,
    last: Option<Vec<u8>>,
    authzid: Option<String>,
    layer: Option<Box<dyn SecurityLayer>>,
) -> Established {
    let delegated = client.delegated.map(|credentials| Box::new(credentials) as _);
    Established { last, authcid: client.authcid, authzid, layer, delegated, ..Established::default() }
}

impl State for AwaitFirst {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let acceptor = acceptor(self.0.speaking(), end_point(cx.config), cx.config)?;
        Box::new(AwaitToken { dialect: self.0, acceptor }).step(event, cx)
    }
}

impl State for AwaitToken {
    fn step(mut self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let token = event.received("token")?;
        if token.is_empty() {
            return Err(Error::malformed("token", Malformed::Empty("it")));
        }
        let reply = match self.acceptor.step(token)? {
            Progress::Continue(reply) => return Ok(Step::Send(reply, self)),
            Progress::Complete(reply) => reply,
        };
        let (context, client) = accepted(self.acceptor, cx.config)?;
        if self.dialect == Dialect::Spnego {
            let layer = spnego_layer(context, cx)?;
            let last = (!reply.is_empty()).then_some(reply);
            return Ok(Step::Done(established(client, last, None, layer)));
        }
        let accepted = Accepted { context, client };
        if reply.is_empty() {
            return accepted.offer(cx);
        }
        Ok(Step::Send(reply, Box::new(AwaitAcknowledgement(accepted))))
    }
}

impl State for AwaitAcknowledgement {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        if !event.received("acknowledgement")?.is_empty() {
            let reason = Malformed::Unexpected("it must be empty: the context is complete");
            return Err(Error::malformed("acknowledgement", reason));
        }
        self.0.offer(cx)
    }
}

impl Accepted {
    fn offer(mut self, cx: &Context<'_, '_>) -> Result<Step, Error> {
        let mut offered = Limits::of(cx.config).allowed(self.context.strength());
        for (bit, needed) in [(layer::INTEGRITY, flag::INTEGRITY), (layer::CONFIDENTIALITY, flag::CONFIDENTIALITY)] {
            if self.context.flags() & needed == 0 {
                offered &= !bit;
            }
        }
        layer::strongest(offered)?;
        let own_max = if offered == layer::NONE { 0 } else { cx.config.max_buf };
        let [_, a, b, c] = own_max.to_be_bytes();
        let offer = self.context.wrap(false, &[offered, a, b, c])?;
        Ok(Step::Send(offer, Box::new(AwaitSelection { accepted: self, offered, own_max })))
    }
}

impl State for AwaitSelection {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let malformed = |reason| Error::malformed("layer selection", reason);
        let misbehaved = |reason| Error::misbehaved("layer selection", reason);
        let Accepted { mut context, client } = self.accepted;
        let (selection, _) = context.unwrap(event.received("layer selection")?)?;
        // Another implementation read beyond the end of fewer than four bytes (CVE-2022-2469).
        let [bit, a, b, c, authzid @ ..] = &selection[..] else {
            return Err(malformed(Malformed::Expected("a message of at least four bytes")));
        };
        if bit.count_ones() != 1 {
            return Err(misbehaved(PeerMisbehaved::LayerSelection));
        }
        if bit & self.offered == 0 {
            return Err(misbehaved(PeerMisbehaved::NotOffered("the security layer")));
        }
        // Without a layer it should be 0 (RFC 4752 §3.1). libgsasl's clients send another value, which is ignored.
        let peer_max = u32::from_be_bytes([0, *a, *b, *c]);
        let authzid =
            std::str::from_utf8(authzid).map_err(|_| malformed(Malformed::Utf8("the authorization identity")))?;
        if authzid.contains('\0') {
            return Err(malformed(Malformed::Character("the authorization identity")));
        }
        let authzid = (!authzid.is_empty()).then(|| authzid.to_owned());
        let layer = Layer::boxed(context, *bit, peer_max, self.own_max)?;
        Ok(Step::Done(established(client, None, authzid, layer)))
    }
}

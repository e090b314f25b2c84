//! GS2-KRB5 and GS2-KRB5-PLUS (RFC 5801): Kerberos' tokens after a GS2 header, to which the context is bound.

use std::borrow::Cow;

use crate::gssapi::{flag, Acceptor, Initiator, Progress, Speaking};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Context, Established, Event, Next, Side, State, Step};
use authen_sasl_rust::error::{Error, Malformed, PeerMisbehaved, Policy};
use authen_sasl_rust::wire::gs2::{Flag, Header};

use super::client::{given, wanted};
use super::credentials::{client_credentials, service};
use super::server::{accepted, acceptor, established};

/// The DER of Kerberos' object identifier, which begins its initial token (RFC 2743 §3.1).
const OID: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";

struct AwaitBegin;
struct AwaitValues;
struct AwaitMessage;

struct AwaitToken {
    initiator: Initiator,
    authzid: Option<String>,
}

struct AwaitNext {
    acceptor: Acceptor,
    authzid: Option<String>,
}

pub fn client() -> Next {
    Box::new(AwaitBegin)
}

pub fn server() -> Next {
    Box::new(AwaitMessage)
}

fn with_binding(cx: &Context<'_, '_>) -> bool {
    cx.mechanism.binds
}

/// The data to which the context is bound: the header, and the channel binding data (RFC 5801 §5.1).
fn bound(header: &[u8], kind: Option<&str>, config: &Config) -> Option<Vec<u8>> {
    let data = match kind {
        None => &[],
        Some(kind) => config.binding(kind)?,
    };
    Some([header, data].concat())
}

/// Removes the header of an initial token (RFC 5801 §4); `None` for a token without one.
pub(super) fn without_header(token: &[u8]) -> Option<&[u8]> {
    let rest = token.strip_prefix(b"\x60")?;
    let (&first, rest) = rest.split_first()?;
    let octets = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    if octets > 4 || rest.len() < octets {
        return None;
    }
    rest[octets..].strip_prefix(OID)
}

/// Adds the header again.
pub(super) fn with_header(token: &[u8]) -> Vec<u8> {
    let length = OID.len() + token.len();
    let mut whole = vec![0x60];
    if length < 0x80 {
        whole.push(length as u8);
    } else {
        let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|&b| b == 0).collect();
        whole.push(0x80 | octets.len() as u8);
        whole.extend_from_slice(&octets);
    }
    whole.extend_from_slice(OID);
    whole.extend_from_slice(token);
    whole
}

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(wanted(cx.config), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let config = cx.config;
        let (authzid, login) = given(event, config)?;
        let kind = match config.bindings().next() {
            Some(binding) if with_binding(cx) => Some(binding.kind.as_str()),
            _ => None,
        };
        let flag = match kind {
            Some(kind) => Flag::Bound(kind),
            None if !config.binding_data().is_empty() && !config.peer_offers_binding => Flag::Unoffered,
            None => Flag::Unsupported,
        };
        let mut message = Vec::new();
        Header { flag, authzid: authzid.as_deref().map(Cow::Borrowed) }.print(&mut message);
        let binding = bound(&message, kind, config);
        let credentials = client_credentials(Speaking::Kerberos, config, login.as_ref())?;
        let (about, target) = service(Side::Client, config)?;
        let wanted = flag::MUTUAL | flag::SEQUENCE | if config.delegate() { flag::DELEGATE } else { 0 };
        let mut initiator = Initiator::new(Speaking::Kerberos, target, about, Some(credentials), wanted, binding)?;
        let Progress::Continue(token) = initiator.step(None)? else {
            return Err(Error::misbehaved("token", PeerMisbehaved::ServerProofMissing));
        };
        let token = without_header(&token).ok_or(Error::System("the GSS-API library's token has no header"))?;
        message.extend_from_slice(token);
        Ok(Step::Send(message, Box::new(AwaitToken { initiator, authzid })))
    }
}

impl State for AwaitToken {
    fn step(mut self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let last = match self.initiator.step(Some(event.received("token")?))? {
            Progress::Continue(reply) => return Ok(Step::Send(reply, self)),
            Progress::Complete(reply) => (!reply.is_empty()).then_some(reply),
        };
        let (context, authcid) = self.initiator.finish()?;
        if context.flags() & flag::MUTUAL == 0 {
            return Err(Error::misbehaved("token", PeerMisbehaved::ServerProofMissing));
        }
        Ok(Step::Done(Established { last, authcid, authzid: self.authzid, ..Established::default() }))
    }
}

impl State for AwaitMessage {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        const MESSAGE: &str = "first message";
        let bytes = event.received(MESSAGE)?;
        let malformed = |reason| Error::malformed(MESSAGE, reason);
        let misbehaved = |reason| Error::misbehaved(MESSAGE, reason);
        // The header is text and the rest is not. The header ends with the second comma.
        let mut commas = bytes.iter().enumerate().filter(|(_, &b)| b == b',').map(|(at, _)| at + 1);
        let end = commas.nth(1).ok_or_else(|| malformed(Malformed::Missing("the GS2 header")))?;
        let (header, token) = bytes.split_at(end);
        let text = std::str::from_utf8(header).map_err(|_| malformed(Malformed::Utf8("the GS2 header")))?;
        let (parsed, _) = Header::parse(text).map_err(malformed)?;
        let kind = match (parsed.flag, with_binding(cx)) {
            (Flag::Bound(kind), true) => Some(kind),
            (Flag::Bound(_), false) => return Err(misbehaved(PeerMisbehaved::UnexpectedBinding)),
            (_, true) => {
                return Err(Policy::ChannelBindingRequired("the client names none in a -PLUS mechanism").into())
            }
            (Flag::Unoffered, false) if cx.config.offers_binding() => {
                return Err(misbehaved(PeerMisbehaved::Downgrade))
            }
            (_, false) => None,
        };
        let Some(binding) = bound(header, kind, cx.config) else {
            return Err(misbehaved(PeerMisbehaved::ChannelBindingUnsupported));
        };
        let acceptor = acceptor(Speaking::Kerberos, Some(binding), cx.config)?;
        let authzid = parsed.authzid.map(Cow::into_owned);
        Box::new(AwaitNext { acceptor, authzid }).take(&with_header(token), cx)
    }
}

impl AwaitNext {
    fn take(mut self: Box<Self>, token: &[u8], cx: &Context<'_, '_>) -> Result<Step, Error> {
        let reply = match self.acceptor.step(token)? {
            Progress::Continue(reply) => return Ok(Step::Send(reply, self)),
            Progress::Complete(reply) => reply,
        };
        // Libraries accept a client without any binding. But the header must be bound.
        if self.acceptor.flags() & flag::CHANNEL_BOUND == 0 {
            return Err(Error::misbehaved("token", PeerMisbehaved::BindingUnconfirmed));
        }
        let (_, client) = accepted(self.acceptor, cx.config)?;
        let last = (!reply.is_empty()).then_some(reply);
        Ok(Step::Done(established(client, last, self.authzid, None)))
    }
}

impl State for AwaitNext {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        self.take(event.received("token")?, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_and_comes_back() {
        for length in [0, 1, 100, 116, 117, 200, 300, 70_000] {
            let token = vec![7; length];
            let whole = with_header(&token);
            assert_eq!(without_header(&whole), Some(&token[..]), "{length}");
        }
        for wrong in [&b""[..], b"\x60", b"\x60\x84", b"\x60\xff\x00", b"\x61\x0b", b"n,,x"] {
            assert_eq!(without_header(wrong), None);
        }
    }
}

//! OAUTHBEARER (RFC 7628): an OAuth 2.0 bearer token, for use under TLS.
//!
//! The core fetches nothing: it passes the URL in an error object to the application and never opens it (CVE-2025-27817). A
//! server whose application does not check tokens does not offer the mechanism at all (CVE-2026-33557).

use std::borrow::Cow;

use crate::contract::{
    available, Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question, Sent,
    Side, State, Stateless, Step,
};
use crate::error::{Application, Error, Malformed, PeerMisbehaved, Subject};
use crate::wire::fields::once;
use crate::wire::{gs2, json, kvpairs};

use super::bearer;

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        rank: 13,
        security: bearer::SECURITY,
        credential: CredentialKind::Token,
        client_needs: Abilities::TOKEN,
        carries_authzid: true,
        ..Description::new("OAUTHBEARER")
    },
    client: || Box::new(AwaitBegin),
    server: || Box::new(AwaitMessage),
    unavailable_reason: available,
    outline,
};

struct AwaitBegin;
struct AwaitValues;
struct AwaitMessage;

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(
            Question::Values(&[Property::Authcid, Property::Authzid, Property::Token, Property::Host, Property::Port]),
            Box::new(AwaitValues),
        ))
    }
}

impl State for AwaitValues {
    /// `client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep` (RFC 7628 §3.1). Without a name `a=` is left out, since the
    /// grammar does not allow an empty one.
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authcid = values.optional_text(Property::Authcid)?;
        let authzid = values.optional_text(Property::Authzid)?;
        let host = ascii(values.text(Property::Host)?)?;
        let port = values.text(Property::Port)?.filter(|port| !port.is_empty());
        if port.as_deref().is_some_and(|port| !is_port(port)) {
            let reason = "is no number from 1 to 65535 (RFC 7628 section 3.1)";
            return Err(Application::Unusable { what: Subject::Port, reason }.into());
        }
        let token = bearer::token(&mut values)?;
        let mut message = Vec::with_capacity(token.expose().len() + 128);
        let named = authzid.as_deref().or(authcid.as_deref());
        if let Some(name) = named {
            bearer::carriable(if authzid.is_some() { Subject::Authzid } else { Subject::Authcid }, name)?;
        }
        gs2::Header { flag: gs2::Flag::Unsupported, authzid: named.map(Cow::Borrowed) }.print(&mut message);
        message.push(kvpairs::SEPARATOR);
        for (key, value) in [("host", &host), ("port", &port)] {
            if let Some(value) = value {
                kvpairs::push(&mut message, key, &[value]);
            }
        }
        kvpairs::push(&mut message, "auth", &["Bearer ", token.expose_str().unwrap_or_default()]);
        message.push(kvpairs::SEPARATOR);
        let authcid = authcid.or_else(|| authzid.clone()).unwrap_or_default();
        let established = Established { last: Some(message), authcid, authzid, ..Established::default() };
        // RFC 7628 §3.2.3: a single 0x01 answers the error object.
        Ok(Step::DoneUnlessRefused(established, Box::new(bearer::AwaitRefusal { dummy: b"\x01", token })))
    }
}

/// The port is a positive decimal number without leading zeros (RFC 7628 §3.1).
fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// The host consists of visible ASCII characters (RFC 7628 §3.1). An empty one is left out.
fn ascii(value: Option<String>) -> Result<Option<String>, Error> {
    match value.filter(|value| !value.is_empty()) {
        Some(value) if !value.bytes().all(|b| b.is_ascii_graphic()) => Err(Application::Unusable {
            what: Subject::Host,
            reason: "holds a character outside visible ASCII (RFC 7628 section 3.1)",
        }
        .into()),
        value => Ok(value),
    }
}

/// The first message; the token is not looked at.
struct Message<'a> {
    user: Option<String>,
    auth: &'a str,
    host: Option<&'a str>,
    port: Option<&'a str>,
}

fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    if message.from == Side::Server || message.bytes == b"\x01" {
        return bearer::outline_of_refusal(message);
    }
    let Message { user, host, port, .. } = Message::parse(message.bytes).ok()?;
    let outline = Outline::new(MESSAGE).text_if("a", user).text_if("host", host).text_if("port", port);
    Some(outline.secret("auth"))
}

impl State for AwaitMessage {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let Message { user, auth, host, port } = Message::parse(event.received(MESSAGE)?)?;
        let token = match auth {
            "" => "",
            auth => bearer::parse(auth).map_err(|reason| Error::malformed(MESSAGE, reason))?,
        };
        Ok(bearer::ask(token, user, host.map(str::to_owned), port.map(str::to_owned), error_object))
    }
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed(MESSAGE, reason);
        let end = bytes.iter().position(|&b| b == kvpairs::SEPARATOR).unwrap_or(bytes.len());
        let header = std::str::from_utf8(&bytes[..end]).map_err(|_| malformed(Malformed::Utf8("the GS2 header")))?;
        let user = parse_header(header)?;
        let list =
            bytes.get(end + 1..).ok_or_else(|| malformed(Malformed::Missing("the 0x01 after the GS2 header")))?;
        let (mut auth, mut host, mut port) = (None, None, None);
        for pair in kvpairs::Pairs::new(list) {
            let (key, value) = pair.map_err(malformed)?;
            if !value.is_ascii() {
                return Err(malformed(Malformed::Character("a value")));
            }
            match key {
                "auth" => once(&mut auth, "auth", value),
                "host" => once(&mut host, "host", value),
                "port" => once(&mut port, "port", value),
                // RFC 7628 §3.1: unknown keys are ignored.
                _ => Ok(()),
            }
            .map_err(malformed)?;
        }
        if port.is_some_and(|port: &str| !is_port(port)) {
            return Err(malformed(Malformed::Expected("a port number (port=)")));
        }
        let auth = auth.ok_or_else(|| malformed(Malformed::Missing("auth")))?;
        Ok(Message { user, auth, host, port })
    }
}

const MESSAGE: &str = "initial client response";

/// The GS2 header has the identity (RFC 7628 §3.1). The mechanism has no channel binding, so `p=` is refused, and `y` means
/// the same as `n`.
fn parse_header(text: &str) -> Result<Option<String>, Error> {
    let malformed = |reason| Error::malformed(MESSAGE, reason);
    let (header, rest) = gs2::Header::parse(text).map_err(malformed)?;
    if let gs2::Flag::Bound(_) = header.flag {
        return Err(Error::misbehaved(MESSAGE, PeerMisbehaved::UnexpectedBinding));
    }
    if !rest.is_empty() {
        return Err(malformed(Malformed::Trailing("the GS2 header")));
    }
    match header.authzid {
        Some(name) if name.chars().any(char::is_control) => Err(malformed(Malformed::Character("a="))),
        name => Ok(name.map(Cow::into_owned)),
    }
}

/// RFC 7628 §3.2.2.
fn error_object(status: &str, scope: Option<&str>, configuration: Option<&str>) -> String {
    json::object(&[("status", Some(status)), ("scope", scope), ("openid-configuration", configuration)])
}

//! XOAUTH2, Google's predecessor of OAUTHBEARER ("OAuth 2.0 Mechanism" in the documentation of the Gmail API): a user name
//! and a bearer token, for use under TLS.

use crate::contract::{
    available, Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question, Sent,
    Side, State, Stateless, Step,
};
use crate::error::{Error, Malformed, Subject};
use crate::wire::fields::once;
use crate::wire::{json, kvpairs};

use super::bearer;

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        rank: 12,
        security: bearer::SECURITY,
        credential: CredentialKind::Token,
        client_needs: Abilities::AUTHCID.union(Abilities::TOKEN),
        ..Description::new("XOAUTH2")
    },
    client: || Box::new(AwaitBegin),
    server: || Box::new(AwaitMessage),
    unavailable_reason: available,
    outline,
};

struct AwaitBegin;
struct AwaitValues;
struct AwaitMessage;

const MESSAGE: &str = "initial client response";

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(Question::Values(&[Property::Authcid, Property::Token]), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    /// `"user=" {User} "^Aauth=Bearer " {Access Token} "^A^A"`; ^A is 0x01.
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authcid = values.require_text(Property::Authcid)?;
        bearer::carriable(Subject::Authcid, &authcid)?;
        let token = bearer::token(&mut values)?;
        let mut message = Vec::with_capacity(authcid.len() + token.expose().len() + 32);
        kvpairs::push(&mut message, "user", &[&authcid]);
        kvpairs::push(&mut message, "auth", &["Bearer ", token.expose_str().unwrap_or_default()]);
        message.push(kvpairs::SEPARATOR);
        let established = Established { last: Some(message), authcid, ..Established::default() };
        // The answer to the error object is an empty message here, not 0x01 as in OAUTHBEARER.
        Ok(Step::DoneUnlessRefused(established, Box::new(bearer::AwaitRefusal { dummy: b"", token })))
    }
}

/// User and token of the first message.
fn parse(bytes: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut user, mut auth) = (None, None);
    for pair in kvpairs::Pairs::new(bytes) {
        match pair? {
            ("user", value) if auth.is_none() => once(&mut user, "user", value)?,
            ("auth", value) if user.is_some() => once(&mut auth, "auth", value)?,
            // The documentation has only these two keys, in this order.
            _ => return Err(Malformed::Expected("user= and then auth=")),
        }
    }
    let user = user.ok_or(Malformed::Missing("user"))?;
    if user.is_empty() {
        return Err(Malformed::Empty("user"));
    }
    if user.chars().any(char::is_control) {
        return Err(Malformed::Character("user"));
    }
    Ok((user, bearer::parse(auth.ok_or(Malformed::Missing("auth"))?)?))
}

fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    if message.from == Side::Server || message.bytes.is_empty() {
        return bearer::outline_of_refusal(message);
    }
    let (user, _) = parse(message.bytes).ok()?;
    Some(Outline::new(MESSAGE).text("user", user).secret("auth"))
}

impl State for AwaitMessage {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let (user, token) = parse(event.received(MESSAGE)?).map_err(|reason| Error::malformed(MESSAGE, reason))?;
        Ok(bearer::ask(token, Some(user.to_owned()), None, None, error_object))
    }
}

/// The status is an HTTP status here, as text. The words of RFC 6750 §3.1 are converted.
fn error_object(status: &str, scope: Option<&str>, _: Option<&str>) -> String {
    let status = match status {
        "invalid_request" => "400",
        "insufficient_scope" => "403",
        number if number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => "401",
    };
    json::object(&[("status", Some(status)), ("schemes", Some("bearer")), ("scope", scope)])
}

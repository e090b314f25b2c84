//! PLAIN (RFC 4616): the password in the clear, for use under TLS.

use crate::contract::{
    available, Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question,
    SecurityFlags, Sent, State, Stateless, Step,
};
use crate::error::{Error, Malformed, Refused};
use crate::secret::Secret;
use crate::wire::saslprep;

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        rank: 10,
        security: SecurityFlags::NOANONYMOUS,
        credential: CredentialKind::Comparable,
        client_needs: Abilities::AUTHCID.union(Abilities::PASSWORD),
        carries_authzid: true,
        ..Description::new("PLAIN")
    },
    client: || Box::new(AwaitBegin),
    server: || Box::new(AwaitMessage),
    unavailable_reason: available,
    outline,
};

struct AwaitBegin;
struct AwaitValues;
struct AwaitMessage;

struct AwaitVerdict {
    authcid: String,
    authzid: Option<String>,
}

impl State for AwaitBegin {
    fn step(self: Box<Self>, _: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        Ok(Step::Ask(
            Question::Values(&[Property::Authcid, Property::Authzid, Property::Password]),
            Box::new(AwaitValues),
        ))
    }
}

impl State for AwaitValues {
    /// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2).
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authzid = values.optional_text(Property::Authzid)?;
        let authcid = values.require_text(Property::Authcid)?;
        let password = values.require_password(Property::Password)?;
        let prefix = authzid.as_deref().unwrap_or("");
        let mut message = Vec::with_capacity(prefix.len() + authcid.len() + password.expose().len() + 2);
        message.extend_from_slice(prefix.as_bytes());
        message.push(0);
        message.extend_from_slice(authcid.as_bytes());
        message.push(0);
        message.extend_from_slice(password.expose());
        Ok(Step::Done(Established { last: Some(message), authcid, authzid, ..Established::default() }))
    }
}

/// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2).
struct Message<'a> {
    authzid: &'a str,
    authcid: &'a str,
    password: &'a [u8],
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed("message", reason);
        let mut parts = bytes.split(|&b| b == 0);
        // split returns at least one part, so there is an authzid even in an empty message.
        let authzid = parts.next().unwrap_or_default();
        let authcid = parts.next().ok_or_else(|| malformed(Malformed::Missing("the authentication identity")))?;
        let password = parts.next().ok_or_else(|| malformed(Malformed::Missing("the password")))?;
        if parts.next().is_some() {
            return Err(malformed(Malformed::Trailing("the password")));
        }
        let authzid = text(authzid, "the authorization identity")?;
        let authcid = text(authcid, "the authentication identity")?;
        text(password, "the password")?;
        if authcid.is_empty() {
            return Err(malformed(Malformed::Empty("the authentication identity")));
        }
        if password.is_empty() {
            return Err(malformed(Malformed::Empty("the password")));
        }
        Ok(Message { authzid, authcid, password })
    }
}

fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    let Message { authzid, authcid, .. } = Message::parse(message.bytes).ok()?;
    Some(Outline::new("message").text("authzid", authzid).text("authcid", authcid).secret("passwd"))
}

impl State for AwaitMessage {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let Message { authzid, authcid, password } = Message::parse(event.received("message")?)?;
        // A name that cannot be prepared belongs to no user (RFC 4616 §2, RFC 4013).
        let authcid = saslprep::query(authcid).map_err(|_| Refused::Credentials)?.into_owned();
        let authzid = (!authzid.is_empty()).then(|| authzid.to_owned());
        Ok(Step::Ask(
            Question::CheckPassword {
                authcid: authcid.clone(),
                authzid: authzid.clone(),
                password: Secret::new(password),
            },
            Box::new(AwaitVerdict { authcid, authzid }),
        ))
    }
}

fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::malformed("message", Malformed::Utf8(field)))
}

impl State for AwaitVerdict {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        if !event.verdict()? {
            return Err(Refused::Credentials.into());
        }
        Ok(Step::Done(Established { authcid: self.authcid, authzid: self.authzid, ..Established::default() }))
    }
}

//! What OAUTHBEARER and XOAUTH2 share: the syntax of bearer tokens, and the refusal. In a refusal, the server sends an error
//! object and the client a dummy message before both fail.

use crate::contract::{
    Context, Established, Event, Outline, Property, Question, SecurityFlags, Sent, Side, State, Step, TokenVerdict,
    Values,
};
use crate::error::{printable, Application, Error, Malformed, Refused, Subject};
use crate::secret::Secret;
use crate::wire::json;

/// The token is sent in the clear.
pub const SECURITY: SecurityFlags = SecurityFlags::NOANONYMOUS;

/// A client's token, checked against the grammar of the header.
///
/// # Errors
/// [`Application::Missing`], [`Application::Empty`] or [`Application::Unusable`].
pub fn token(values: &mut Values) -> Result<Secret, Error> {
    let token = values.require(Property::Token)?;
    if token.is_empty() {
        return Err(Application::Empty(Subject::Token).into());
    }
    if !is_token68(token.expose()) {
        let reason = "holds a character that no bearer token may hold (RFC 6750 section 2.1)";
        return Err(Application::Unusable { what: Subject::Token, reason }.into());
    }
    Ok(token)
}

/// The token in the value of the `auth` key.
///
/// `credentials = "Bearer" 1*SP b64token` (RFC 6750 §2.1); the scheme's case does not matter
/// (RFC 9110 §11.1).
///
/// # Errors
/// [`Malformed::Expected`] for another scheme, [`Malformed::Character`] for an invalid token.
pub fn parse(auth: &str) -> Result<&str, Malformed> {
    match auth.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => {
            let token = token.trim_start_matches(' ');
            if token.is_empty() {
                return Err(Malformed::Empty("the bearer token"));
            }
            if !is_token68(token.as_bytes()) {
                return Err(Malformed::Character("the bearer token"));
            }
            Ok(token)
        }
        _ => Err(Malformed::Expected("a bearer token")),
    }
}

/// `b64token = 1*(ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/") *"="` (RFC 6750 §2.1).
fn is_token68(token: &[u8]) -> bool {
    let end = token.iter().rposition(|&b| b != b'=').map_or(0, |last| last + 1);
    end > 0 && token[..end].iter().all(|&b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// What both mechanisms show of the messages that follow the first: the error object's status and the names of nothing else, since a
/// server may repeat the token anywhere; the client's dummy.
pub fn outline_of_refusal(message: &Sent<'_>) -> Option<Outline> {
    const STATUS: [&str; 7] = ["invalid_request", "invalid_token", "insufficient_scope", "400", "401", "403", "500"];
    match message.from {
        Side::Client => Some(Outline::new("dummy client response").elided("dummy", message.bytes)),
        Side::Server => {
            let text = std::str::from_utf8(message.bytes).ok().filter(|text| text.len() <= OBJECT_LIMIT)?;
            let status = json::member(text, "status")?;
            Some(Outline::new("error object").word("status", status.as_bytes(), &STATUS))
        }
    }
}

/// Server: asks the application about the token. A client sends an empty token to get the error object (RFC 7628 §4.3): the
/// application may provide its contents, but cannot accept the token.
pub fn ask(
    token: &str,
    user: Option<String>,
    host: Option<String>,
    port: Option<String>,
    error_object: ErrorObject,
) -> Step {
    let verdict = AwaitVerdict { user: user.clone(), acceptable: !token.is_empty(), error_object };
    Step::Ask(Question::Token { token: Secret::new(token.as_bytes()), user, host, port }, Box::new(verdict))
}

/// Prints the error object of a refusal: status, scope, URL of the OpenID configuration.
pub type ErrorObject = fn(&str, Option<&str>, Option<&str>) -> String;

struct AwaitVerdict {
    user: Option<String>,
    acceptable: bool,
    error_object: ErrorObject,
}

impl State for AwaitVerdict {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let object = match event.token()? {
            TokenVerdict::Accepted { authcid } if self.acceptable => {
                if authcid.is_empty() {
                    return Err(Application::Empty(Subject::TokenIdentity).into());
                }
                let authzid = self.user.filter(|user| *user != authcid);
                return Ok(Step::Done(Established { authcid, authzid, ..Established::default() }));
            }
            TokenVerdict::Accepted { .. } => (self.error_object)("invalid_token", None, None),
            TokenVerdict::Rejected { status, scope, openid_configuration } => {
                let status = if status.is_empty() { "invalid_token" } else { &status };
                (self.error_object)(status, scope.as_deref(), openid_configuration.as_deref())
            }
        };
        if object.len() > OBJECT_LIMIT {
            let reason = "makes an error object that is longer than 65536 bytes";
            return Err(Application::Unusable { what: Subject::TokenCheck, reason }.into());
        }
        Ok(Step::Refuse(object.into_bytes(), Refused::Token.into()))
    }
}

/// Client: the message is sent, and the server has nothing to prove. If the server sends another message, it refuses, and
/// gets the mechanism's dummy message.
pub struct AwaitRefusal {
    /// The dummy message.
    pub dummy: &'static [u8],
    /// The token. If the server repeats it, it must not appear in an error text.
    pub token: Secret,
}

impl State for AwaitRefusal {
    /// An empty message is a refusal too: a server that accepts the token sends nothing (RFC 7628 §3.2.1), and one that refuses
    /// it sends the error object (§3.2.2).
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let error = match event.received("error object")? {
            [] => Error::malformed("error object", Malformed::Empty("it")),
            object => Refused::PeerSaid(self.reason(object)).into(),
        };
        Ok(Step::Fail(self.dummy.to_vec(), error))
    }
}

/// Longest error object that is sent or read, in bytes.
const OBJECT_LIMIT: usize = 1 << 16;

impl AwaitRefusal {
    /// Status, scope and configuration of the error object, and the description that some servers add (`error_description`, as
    /// in RFC 6750 §3). Nothing else of the object is repeated.
    fn reason(&self, object: &[u8]) -> String {
        if object.len() > OBJECT_LIMIT {
            return format!("its error object is longer than {OBJECT_LIMIT} bytes");
        }
        let text = std::str::from_utf8(object).unwrap_or_default();
        let Some(status) = json::member(text, "status").or_else(|| json::member(text, "error")) else {
            return "it sent no error object (RFC 7628 section 3.2.2)".into();
        };
        // Google sends 400 and Microsoft 401 where the RFC has a word; both also for an expired token.
        let expired = matches!(status.as_str(), "400" | "401");
        let mut words = status;
        let member = |name| json::member(text, name).filter(|value| !value.is_empty());
        match member("error_description") {
            Some(description) => words.push_str(&format!(": {description}")),
            None if expired => words.push_str(" (the token is wrong or has expired)"),
            None => {}
        }
        for (name, what) in [("scope", "scope needed"), ("openid-configuration", "OpenID configuration")] {
            if let Some(value) = member(name) {
                words.push_str(&format!(", the {what} is {value}"));
            }
        }
        match self.token.expose_str() {
            Some(token) if !words.contains(token) => printable(words.as_bytes()),
            _ => "its error object repeats the token".into(),
        }
    }
}

/// Checks that a name can be sent: it has no separator, no NUL and no other control character.
///
/// # Errors
/// [`Application::Unusable`].
pub fn carriable(what: Subject, name: &str) -> Result<(), Error> {
    if name.chars().any(char::is_control) {
        return Err(Application::Unusable { what, reason: "holds a control character (RFC 7628 section 3.1)" }.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;

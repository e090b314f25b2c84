//! LOGIN (draft-murchison-sasl-login-00): name and password in the clear, one prompt each, for use under TLS. PLAIN
//! supersedes it, but many SMTP servers support nothing else.

use crate::contract::{
    available, Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question,
    SecurityFlags, Sent, Side, State, Stateless, Step,
};
use crate::error::{Error, Malformed, Refused};
use crate::secret::Secret;
use crate::wire::saslprep;

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        first: Side::Server,
        rank: 10,
        security: SecurityFlags::NOANONYMOUS,
        credential: CredentialKind::Comparable,
        client_needs: Abilities::AUTHCID.union(Abilities::PASSWORD),
        ..Description::new("LOGIN")
    },
    client: || Box::new(AwaitNamePrompt),
    server: || Box::new(AwaitBegin),
    unavailable_reason: available,
    outline,
};

/// The prompts that clients expect, if they read them.
const NAME_PROMPT: &[u8] = b"Username:";
const PASSWORD_PROMPT: &[u8] = b"Password:";

/// By its place: a message does not say what it is. Only the first one of the client is a name.
fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    match (message.from, message.index) {
        (Side::Server, 0 | 1) => Some(Outline::new("prompt").text("text", message.bytes)),
        // What has a NUL is a message of PLAIN.
        (Side::Client, 0) if message.bytes.contains(&0) => None,
        (Side::Client, 0) => Some(Outline::new("user name").text("name", message.bytes)),
        (Side::Client, 1) => Some(Outline::new("password").secret("password")),
        _ => None,
    }
}

struct AwaitNamePrompt;
struct AwaitValues;

struct AwaitPasswordPrompt {
    authcid: String,
    password: Secret,
}

struct AwaitBegin;
struct AwaitName;

struct AwaitPassword {
    authcid: String,
}

struct AwaitVerdict {
    authcid: String,
}

/// The client never reads the prompts: their words differ from server to server, and some are empty.
impl State for AwaitNamePrompt {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        event.received("first challenge")?;
        Ok(Step::Ask(Question::Values(&[Property::Authcid, Property::Password]), Box::new(AwaitValues)))
    }
}

impl State for AwaitValues {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authcid = values.require_text(Property::Authcid)?;
        let password = values.require_password(Property::Password)?;
        Ok(Step::Send(authcid.clone().into_bytes(), Box::new(AwaitPasswordPrompt { authcid, password })))
    }
}

impl State for AwaitPasswordPrompt {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        event.received("second challenge")?;
        let AwaitPasswordPrompt { authcid, password } = *self;
        Ok(Step::Done(Established { last: Some(password.expose().to_vec()), authcid, ..Established::default() }))
    }
}

impl State for AwaitBegin {
    /// Some clients, such as libgsasl's, send the name as an initial response.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        match event {
            Event::Received(_) => Box::new(AwaitName).step(event, cx),
            _ => Ok(Step::Send(NAME_PROMPT.to_vec(), Box::new(AwaitName))),
        }
    }
}

impl State for AwaitName {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let authcid = text(event.received("user name")?, "user name")?;
        // A name that cannot be prepared belongs to no user, as in PLAIN. The server still asks for the password, so that the
        // messages reveal nothing to an attacker.
        let authcid = saslprep::query(authcid).map(|name| name.into_owned()).unwrap_or_default();
        Ok(Step::Send(PASSWORD_PROMPT.to_vec(), Box::new(AwaitPassword { authcid })))
    }
}

impl State for AwaitPassword {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let password = Secret::new(text(event.received("password")?, "password")?.as_bytes());
        let AwaitPassword { authcid } = *self;
        if authcid.is_empty() {
            return Err(Refused::Credentials.into());
        }
        let question = Question::CheckPassword { authcid: authcid.clone(), authzid: None, password };
        Ok(Step::Ask(question, Box::new(AwaitVerdict { authcid })))
    }
}

/// Both messages are UTF-8, not empty, and without NUL.
fn text<'a>(bytes: &'a [u8], message: &'static str) -> Result<&'a str, Error> {
    let malformed = |reason| Error::malformed(message, reason);
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(Malformed::Utf8("it")))?;
    if text.is_empty() {
        return Err(malformed(Malformed::Empty("it")));
    }
    if text.contains('\0') {
        return Err(malformed(Malformed::Character("it")));
    }
    Ok(text)
}

impl State for AwaitVerdict {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        if !event.verdict()? {
            return Err(Refused::Credentials.into());
        }
        Ok(Step::Done(Established { authcid: self.authcid, ..Established::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Answer, Values};
    use crate::session::{Outcome, Session};
    use crate::world::LocalWorld;

    fn client(name: &str, password: &str, prompts: &[&[u8]]) -> (Session, Vec<Vec<u8>>, Outcome) {
        let mut world = LocalWorld::default();
        let mut session = Session::new(Side::Client, crate::mechanism::registry());
        session.config.abilities = MECHANISM.description.client_needs;
        session.pick("LOGIN").unwrap();
        let mut outcome = session.start(None, &mut world.lend());
        assert_eq!(outcome, Outcome::Absent);
        let mut sent = Vec::new();
        for prompt in prompts {
            outcome = session.step(prompt, &mut world.lend());
            if outcome == Outcome::Ask {
                let mut values = Values::default();
                values.push(Property::Authcid, Secret::new(name.as_bytes()));
                values.push(Property::Password, Secret::new(password.as_bytes()));
                outcome = session.answer(Answer::Values(values), &mut world.lend());
            }
            if outcome == Outcome::Send {
                sent.push(session.message().to_vec());
            }
        }
        (session, sent, outcome)
    }

    fn server(initial: Option<&[u8]>, messages: &[&[u8]]) -> (Session, Vec<Vec<u8>>, Outcome) {
        let mut world = LocalWorld::default();
        let mut session = Session::new(Side::Server, crate::mechanism::registry());
        session.config.abilities = Abilities::CHECK_PASSWORD;
        session.pick("LOGIN").unwrap();
        let mut outcome = session.start(initial, &mut world.lend());
        let mut sent = vec![session.message().to_vec()];
        for message in messages {
            outcome = session.step(message, &mut world.lend());
            if let Some(Question::CheckPassword { authcid, password, .. }) = session.question() {
                let same = authcid == "fred" && password.ct_eq(b"pencil");
                outcome = session.answer(Answer::Verdict(same), &mut world.lend());
            }
            if outcome == Outcome::Send {
                sent.push(session.message().to_vec());
            }
        }
        (session, sent, outcome)
    }

    #[test]
    fn the_client_answers_whatever_the_prompts_say() {
        for prompts in [
            [&b"Username:"[..], b"Password:"],
            [b"User Name\0", b"Password\0"],
            [b"", b""],
            [b"", b"Password:"],
            [b"\xff\xfe", b"Who goes there?"],
        ] {
            let (session, sent, outcome) = client("fred", "pencil", &prompts);
            assert_eq!((outcome, sent), (Outcome::Send, vec![b"fred".to_vec(), b"pencil".to_vec()]));
            assert!(session.is_success());
            assert_eq!(session.identity().authcid.as_deref(), Some("fred"));
        }
    }

    #[test]
    fn a_third_challenge_gets_nothing() {
        let (session, sent, outcome) = client("fred", "pencil", &[b"", b"Username:", b"Password:"]);
        assert_eq!((outcome, sent.len()), (Outcome::Over, 2));
        assert!(!session.need_step());
    }

    #[test]
    fn the_client_sends_no_empty_name_or_password_and_no_nul() {
        for (name, password, text) in [
            ("", "pencil", "authentication identity is empty"),
            ("fred", "", "password is empty"),
            ("fr\0ed", "pencil", "authentication identity holds a NUL"),
            ("fred", "pen\0cil", "password holds a NUL"),
        ] {
            let (session, sent, outcome) = client(name, password, &[b"Username:"]);
            assert_eq!((outcome, sent.len()), (Outcome::Failed, 0));
            let failure = session.failure().unwrap().to_string();
            assert!(failure.contains(text), "{failure}");
        }
    }

    #[test]
    fn the_server_prompts_or_takes_an_initial_response() {
        let (session, sent, outcome) = server(None, &[b"fred", b"pencil"]);
        assert_eq!((outcome, sent), (Outcome::Absent, vec![b"Username:".to_vec(), b"Password:".to_vec()]));
        assert!(session.is_success());
        assert_eq!(session.identity().authcid.as_deref(), Some("fred"));
        let (session, sent, _) = server(Some(b"fred"), &[b"pencil"]);
        assert_eq!(sent, [b"Password:"]);
        assert!(session.is_success());
        let (session, sent, _) = server(Some(b""), &[b"fred", b"pencil"]);
        assert_eq!(sent.len(), 2);
        assert!(session.is_success());
    }

    #[test]
    fn the_server_refuses() {
        for (messages, error) in [
            ([&b"fred"[..], b"wrong"], Error::from(Refused::Credentials)),
            ([b"fre", b"pencil"], Refused::Credentials.into()),
            // SASLprep prohibits U+FFFD: no user has that name.
            ([b"fred\xef\xbf\xbd", b"pencil"], Refused::Credentials.into()),
            ([b"fred", b""], Error::malformed("password", Malformed::Empty("it"))),
            ([b"fred", b"pencil\0"], Error::malformed("password", Malformed::Character("it"))),
            ([b"fred", b"pencil\xff"], Error::malformed("password", Malformed::Utf8("it"))),
            ([b"", b"pencil"], Error::malformed("user name", Malformed::Empty("it"))),
            ([b"\0fred", b"pencil"], Error::malformed("user name", Malformed::Character("it"))),
            ([b"\xff", b"pencil"], Error::malformed("user name", Malformed::Utf8("it"))),
        ] {
            let (session, _, _) = server(None, &messages);
            assert_eq!(session.failure().map(|f| &f.error), Some(&error));
            assert!(!session.is_success() && !session.need_step());
        }
    }
}

//! CRAM-MD5 (RFC 2195): the client proves the password with an HMAC over the server's challenge.
//!
//! Deprecated; it is for peers that support nothing better. Names and passwords are prepared as
//! draft-ietf-sasl-crammd5 §2 requires.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::contract::{
    available, Abilities, Context, CredentialKind, Description, Established, Event, Outline, Property, Question,
    SecurityFlags, Sent, Side, State, Stateless, Step,
};
use crate::error::{Application, Error, Malformed, Refused, Subject};
use crate::secret::{ct_eq, Secret};
use crate::store::check::password_or_mock;
use crate::wire::{hex, saslprep};

pub static MECHANISM: Stateless = Stateless {
    description: Description {
        first: Side::Server,
        rank: 20,
        security: SecurityFlags::NOPLAINTEXT.union(SecurityFlags::NOANONYMOUS),
        credential: CredentialKind::Password,
        client_needs: Abilities::AUTHCID.union(Abilities::PASSWORD),
        ..Description::new("CRAM-MD5")
    },
    client: || Box::new(AwaitChallenge),
    server: || Box::new(AwaitBegin),
    unavailable_reason: available,
    outline,
};

struct AwaitChallenge;

struct AwaitValues {
    challenge: Vec<u8>,
}

struct AwaitBegin;

struct AwaitResponse {
    challenge: Vec<u8>,
}

struct AwaitCredential {
    challenge: Vec<u8>,
    authcid: String,
    digest: [u8; 32],
}

impl State for AwaitChallenge {
    /// Any challenge that is not empty: some servers send challenges that are not a msg-id.
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let challenge = event.received("challenge")?;
        if challenge.is_empty() {
            return Err(Error::malformed("challenge", Malformed::Empty("it")));
        }
        Ok(Step::Ask(
            Question::Values(&[Property::Authcid, Property::Password]),
            Box::new(AwaitValues { challenge: challenge.to_vec() }),
        ))
    }
}

impl State for AwaitValues {
    /// `response = name SP 32LHEX` (RFC 2195 §2).
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let mut values = event.values()?;
        let authcid = values.require_text(Property::Authcid)?;
        let password = values.require(Property::Password)?;
        if password.is_empty() {
            return Err(Application::Empty(Subject::Password).into());
        }
        let name = saslprep::query(&authcid)
            .map_err(|unprepared| Application::Unusable { what: Subject::Authcid, reason: unprepared.reason() })?;
        let digest = digest(&self.challenge, &password)?;
        let mut response = Vec::with_capacity(name.len() + 33);
        response.extend_from_slice(name.as_bytes());
        response.push(b' ');
        response.extend_from_slice(&digest);
        Ok(Step::Done(Established { last: Some(response), authcid, ..Established::default() }))
    }
}

impl State for AwaitBegin {
    /// The challenge has the form of a msg-id (RFC 2195 §2). The RFC has process id and time before the at sign. Random bytes
    /// are used instead: they never repeat and reveal nothing about the host.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        if let Event::Received(_) = event {
            return Err(Error::malformed(
                "initial response",
                Malformed::Unexpected("there must be none: the server goes first in this mechanism"),
            ));
        }
        let host = if cx.config.host.is_empty() { "localhost" } else { &cx.config.host };
        let challenge = format!("<{}@{host}>", cx.world.random.nonce()?).into_bytes();
        Ok(Step::Send(challenge.clone(), Box::new(AwaitResponse { challenge })))
    }
}

/// Name and digest. Parsed from the right: a name may contain spaces, a digest cannot.
fn parse_response(response: &[u8]) -> Result<(&str, [u8; 32]), Error> {
    let malformed = |reason| Error::malformed("response", reason);
    let space = response.iter().rposition(|&b| b == b' ').ok_or_else(|| malformed(Malformed::Missing("the digest")))?;
    let digest = hex::digits(&response[space + 1..]).ok_or_else(|| malformed(Malformed::Character("the digest")))?;
    let name = std::str::from_utf8(&response[..space]).map_err(|_| malformed(Malformed::Utf8("the name")))?;
    if name.is_empty() {
        return Err(malformed(Malformed::Empty("the name")));
    }
    Ok((name, digest))
}

fn outline(_: &Description, message: &Sent<'_>) -> Option<Outline> {
    match message.from {
        Side::Server => Some(Outline::new("challenge").elided("msg-id", message.bytes)),
        Side::Client => {
            let (name, _) = parse_response(message.bytes).ok()?;
            Some(Outline::new("response").text("name", name).secret("digest"))
        }
    }
}

impl State for AwaitResponse {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let (name, digest) = parse_response(event.received("response")?)?;
        // A name that cannot be prepared belongs to no user.
        let authcid = saslprep::query(name).map_err(|_| Refused::Credentials)?.into_owned();
        Ok(Step::Ask(
            Question::Credentials {
                kind: cx.mechanism.credential,
                authcid: authcid.clone(),
                authzid: None,
                realm: None,
            },
            Box::new(AwaitCredential { challenge: self.challenge, authcid, digest }),
        ))
    }
}

impl State for AwaitCredential {
    /// An unknown user, or one without a password, costs the same work and hears the same refusal.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let (password, known) = password_or_mock(event.credential()?, cx.world.lookups);
        let expected = digest(&self.challenge, &password)?;
        if !(ct_eq(&expected, &self.digest) & known) {
            return Err(Refused::Credentials.into());
        }
        Ok(Step::Done(Established { authcid: self.authcid, ..Established::default() }))
    }
}

/// HMAC-MD5 of the challenge, keyed with the password. A password that cannot be prepared is used unchanged.
fn digest(challenge: &[u8], password: &Secret) -> Result<[u8; 32], Error> {
    // If preparation changes nothing, the result is borrowed, so the password is not copied.
    let prepared = match password.expose_str().map(saslprep::query) {
        Some(Ok(Cow::Owned(text))) => Some(Secret::from(text)),
        _ => None,
    };
    let key = prepared.as_ref().unwrap_or(password);
    let mut mac = Hmac::<Md5>::new_from_slice(key.expose()).map_err(|_| Error::System("HMAC-MD5 refused its key"))?;
    mac.update(challenge);
    Ok(hex::print(&mac.finalize().into_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::pair::{run, Peer};
    use crate::session::Outcome;

    const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";
    const RESPONSE: &[u8] = b"tim b913a602c7eda7a495b4e6e7334d3890";

    fn server(credential: Option<&str>) -> Peer {
        let mut server =
            Peer::server("CRAM-MD5", credential).of("imap", "postoffice.reston.mci.net").with_nonce("1896.697170952");
        assert_eq!(server.start(None), Outcome::Send);
        server
    }

    /// RFC 2195 §2.
    #[test]
    fn published_exchange() {
        let mut server = server(Some("tanstaaftanstaaf"));
        assert_eq!(server.session.message(), CHALLENGE);
        let mut client = Peer::client("CRAM-MD5", "tim", "tanstaaftanstaaf");
        assert_eq!(client.start(None), Outcome::Absent);
        assert_eq!(client.step(CHALLENGE), Outcome::Send);
        assert_eq!(client.session.message(), RESPONSE);
        assert!(client.session.is_success() && !client.session.need_step());
        assert_eq!(server.step(RESPONSE), Outcome::Absent);
        assert!(server.session.is_success());
        assert_eq!(server.session.identity().authcid.as_deref(), Some("tim"));
    }

    #[test]
    fn names_and_passwords_of_all_kinds() {
        let long = "x".repeat(1000);
        for (name, password, stored) in [
            ("tim", "secret", "secret"),
            ("a name with spaces ", " ", " "),
            ("ren\u{e9}", "p\u{e4}ss", "pa\u{308}ss"),
            ("I\u{ad}X", "\u{2168}", "IX"),
            ("tim", "not\tprepared", "not\tprepared"),
            (&long, &long, &long),
        ] {
            let mut client = Peer::client("CRAM-MD5", name, password);
            let mut server = Peer::server("CRAM-MD5", Some(stored));
            assert!(run(&mut client, &mut server), "{name} {password}");
            let prepared = saslprep::query(name).unwrap();
            assert_eq!(server.session.identity().authcid.as_deref(), Some(&*prepared));
        }
    }

    #[test]
    fn a_challenge_holds_the_host_and_never_repeats() {
        let mut server = Peer::server("CRAM-MD5", None);
        let mut seen = std::collections::HashSet::new();
        for host in ["mail.example.org", "mail.example.org", "", ""] {
            server.session.config.host = host.into();
            assert_eq!(server.start(None), Outcome::Send);
            let text = String::from_utf8(server.session.message().to_vec()).unwrap();
            let host = if host.is_empty() { "localhost" } else { host };
            assert!(text.starts_with('<') && text.ends_with(&format!("@{host}>")), "{text}");
            assert!(seen.insert(text));
        }
    }

    #[test]
    fn wrong_passwords_and_unknown_users_hear_the_same() {
        for credential in [Some("wrong"), None, Some("")] {
            let mut server = server(credential);
            assert_eq!(server.step(RESPONSE), Outcome::Failed);
            assert_eq!(*server.error(), Error::Refused(Refused::Credentials));
        }
        // The mock password of unknown users lets no one in.
        for key in ["nobody's password", ""] {
            let mut response = b"tim ".to_vec();
            response.extend_from_slice(&digest(CHALLENGE, &Secret::new(key.as_bytes())).unwrap());
            for credential in [None, Some("")] {
                assert_eq!(server(credential).step(&response), Outcome::Failed);
            }
        }
    }

    #[test]
    fn a_verifier_is_the_operators_to_know() {
        let mut server = server(Some("SCRAM-SHA-1$4096:c2FsdA==$a:b"));
        assert_eq!(server.step(RESPONSE), Outcome::Failed);
        assert!(matches!(server.error(), Error::Refused(Refused::Unusable(_))));
        assert_eq!(server.error().code(), Error::from(Refused::Credentials).code());
    }

    #[test]
    fn broken_responses() {
        for response in [
            &b""[..],
            b" ",
            b"tim",
            b"timb913a602c7eda7a495b4e6e7334d3890",
            b" b913a602c7eda7a495b4e6e7334d3890",
            b"tim B913A602C7EDA7A495B4E6E7334D3890",
            b"tim b913a602c7eda7a495b4e6e7334d389",
            b"tim b913a602c7eda7a495b4e6e7334d38900",
            b"tim b913a602c7eda7a495b4e6e7334d3890 ",
            b"tim\xff b913a602c7eda7a495b4e6e7334d3890",
            b"tim\tb913a602c7eda7a495b4e6e7334d3890",
        ] {
            let mut server = server(Some("tanstaaftanstaaf"));
            assert_eq!(server.step(response), Outcome::Failed);
            assert!(matches!(server.error(), Error::Malformed { .. }), "{}", response.escape_ascii());
            assert!(server.asked.is_empty());
        }
        // A name with a NUL belongs to no user.
        let mut server = server(Some("tanstaaftanstaaf"));
        assert_eq!(server.step(b"ti\0m b913a602c7eda7a495b4e6e7334d3890"), Outcome::Failed);
        assert_eq!(*server.error(), Error::Refused(Refused::Credentials));
    }

    #[test]
    fn nobody_has_no_password() {
        let mock = digest(CHALLENGE, &Secret::new(crate::store::mock::MOCK_PASSWORD)).unwrap();
        let mut server = server(None);
        assert_eq!(server.step(&[b"tim ", &mock[..]].concat()), Outcome::Failed);
        assert_eq!(*server.error(), Refused::Credentials.into());
    }

    #[test]
    fn every_mutation_and_truncation_fails() {
        for length in 0..RESPONSE.len() {
            assert_eq!(server(Some("tanstaaftanstaaf")).step(&RESPONSE[..length]), Outcome::Failed);
        }
        for at in 4..RESPONSE.len() {
            for bit in 0..8 {
                let mut response = RESPONSE.to_vec();
                response[at] ^= 1 << bit;
                assert_eq!(server(Some("tanstaaftanstaaf")).step(&response), Outcome::Failed);
            }
        }
    }

    #[test]
    fn a_clients_refusals() {
        let mut client = Peer::client("CRAM-MD5", "tim", "secret");
        client.start(None);
        assert_eq!(client.step(b""), Outcome::Failed);
        assert!(matches!(client.error(), Error::Malformed { reason: Malformed::Empty(_), .. }));
        for (name, password) in [("", "secret"), ("tim", ""), ("ti\u{7}m", "secret"), ("\u{ad}", "secret")] {
            let mut client = Peer::client("CRAM-MD5", name, password);
            client.start(None);
            assert_eq!(client.step(CHALLENGE), Outcome::Failed);
            assert!(matches!(client.error(), Error::Application(_)), "{name} {password}");
        }
    }

    #[test]
    fn the_client_must_not_go_first() {
        let mut server = Peer::server("CRAM-MD5", Some("tanstaaftanstaaf"));
        assert_eq!(server.start(Some(RESPONSE)), Outcome::Failed);
        assert!(matches!(server.error(), Error::Malformed { reason: Malformed::Unexpected(_), .. }));
        assert_eq!(server.start(Some(b"")), Outcome::Send);
    }
}

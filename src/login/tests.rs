//! A client against a server, and what a protocol's program can do wrong.

use crate::contract::{Property, Side};
use crate::error::{Error, Failure, Malformed, PeerMisbehaved, Policy, Refused};
use crate::secret::Secret;
use crate::store::verifier::{make_text, VerifierFormat};

use super::{Client, Reply, Server};

const PASSWORD_MECHANISMS: &str = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN";

fn fred() -> Server {
    let mut server = Server::new(|user| (user == "fred").then(|| Secret::new(b"pencil"))).over_tls(256);
    server.config().host = "mail.example.org".into();
    server.config().service = "imap".into();
    server.offer(PASSWORD_MECHANISMS);
    server
}

fn client(password: &str) -> Client {
    let mut client = Client::with_password("fred", password).over_tls(256);
    client.config().host = "mail.example.org".into();
    client.config().service = "imap".into();
    client
}

/// The client's result, and what the server replied last.
fn log_in(client: &mut Client, server: &mut Server, mechanism: &str, initial: bool) -> (Result<(), Failure>, Reply) {
    client.choose(mechanism).unwrap();
    let initial = if initial { client.initial_response().unwrap() } else { None };
    let mut reply = server.start(mechanism, initial.as_deref());
    while let Reply::Challenge(challenge) = &reply {
        match client.respond(challenge) {
            Ok(response) => reply = server.step(&response),
            Err(failure) => return (Err(failure), reply),
        }
    }
    let last = match &reply {
        Reply::Success(last) => last.as_deref(),
        _ => None,
    };
    (client.finish(last), reply)
}

#[test]
fn each_mechanism_logs_in_with_and_without_initial_response_and_success_data() {
    for mechanism in PASSWORD_MECHANISMS.split(' ') {
        for (initial, success_data) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut server = if success_data { fred().with_success_data() } else { fred() };
            let (result, reply) = log_in(&mut client("pencil"), &mut server, mechanism, initial);
            assert_eq!(result, Ok(()), "{mechanism}");
            assert!(matches!(reply, Reply::Success(_)), "{mechanism}: {reply:?}");
            assert_eq!(server.user(), Some("fred"), "{mechanism}");
            // The server's last message is there only if the protocol can carry it.
            let last = matches!(reply, Reply::Success(Some(_)));
            let sends_last = mechanism.starts_with("SCRAM") || mechanism == "DIGEST-MD5";
            assert_eq!(last, success_data && sends_last, "{mechanism}");
        }
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_fail_alike_and_may_try_again() {
    let mut server = fred();
    for mechanism in PASSWORD_MECHANISMS.split(' ') {
        let (_, wrong) = log_in(&mut client("rubber"), &mut server, mechanism, true);
        let mut nobody = Client::with_password("nobody", "pencil").over_tls(256);
        nobody.config().host = "mail.example.org".into();
        nobody.config().service = "imap".into();
        let (result, unknown) = log_in(&mut nobody, &mut server, mechanism, true);
        assert_eq!(wrong, unknown, "{mechanism}");
        let Reply::Failure(_, failure) = wrong else { panic!("{mechanism}: {wrong:?}") };
        assert_eq!(failure.error, Error::from(Refused::Credentials), "{mechanism}");
        assert_eq!(server.user(), None);
        // A client of CRAM-MD5 or PLAIN knows it only from the protocol.
        assert_eq!(result.is_err(), mechanism.starts_with("SCRAM") || mechanism == "DIGEST-MD5", "{mechanism}");
        assert_eq!(log_in(&mut client("pencil"), &mut server, mechanism, true).0, Ok(()));
    }
}

#[test]
fn verifiers_serve_scram_and_plain() {
    let verifier = make_text("SCRAM-SHA-256", "pencil", None, 4096, VerifierFormat::Rfc5803).unwrap();
    let mut server = Server::new(move |_| Some(verifier.clone().into())).over_tls(256);
    server.offer("SCRAM-SHA-256 PLAIN");
    for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
        assert_eq!(log_in(&mut client("pencil"), &mut server, mechanism, true).0, Ok(()));
    }
}

#[test]
fn no_password_in_the_clear_without_tls() {
    let mut server = Server::new(|_| Some(Secret::new(b"pencil")));
    assert_eq!(server.offer("PLAIN LOGIN SCRAM-SHA-256"), "SCRAM-SHA-256");
    let Reply::Failure(None, failure) = server.start("PLAIN", Some(b"\0fred\0pencil")) else { panic!() };
    assert_eq!(failure.to_string(), "server: no mechanism is usable: PLAIN: not offered (SASL_NOMECH)");
    assert!(matches!(
        Client::with_password("fred", "pencil").choose("PLAIN"),
        Err(Error::Policy(Policy::NoMechanism(_)))
    ));
    assert!(Client::with_token("fred", "token").choose("OAUTHBEARER").is_err());
}

#[test]
fn a_server_must_offer_first() {
    let mut server = Server::new(|_| Some(Secret::new(b"pencil")));
    assert!(matches!(server.start("SCRAM-SHA-256", None), Reply::Failure(None, _)));
    assert!(matches!(server.step(b""), Reply::Failure(None, _)));
}

#[test]
fn success_before_the_servers_proof_is_none() {
    let (mut client, mut server) = (client("pencil"), fred());
    client.choose("SCRAM-SHA-256").unwrap();
    let Reply::Challenge(first) = server.start("SCRAM-SHA-256", client.initial_response().unwrap().as_deref()) else {
        panic!()
    };
    client.respond(&first).unwrap();
    let failure = client.finish(None).unwrap_err();
    assert_eq!(failure.error, Error::misbehaved("outcome", PeerMisbehaved::ServerProofMissing));
    assert_eq!(client.finish(None), Err(failure));
}

#[test]
fn what_follows_the_end_undoes_success() {
    let (mut client, mut server) = (client("pencil"), fred());
    assert_eq!(log_in(&mut client, &mut server, "SCRAM-SHA-256", true).0, Ok(()));
    let over = |message| Error::malformed(message, Malformed::Unexpected("the exchange is over"));
    assert_eq!(client.respond(b"again").map_err(|failure| failure.error), Err(over("challenge")));
    assert_eq!(client.finish(None).map_err(|failure| failure.error), Err(over("challenge")));
    let expected = Failure { side: Side::Server, mechanism: Some("SCRAM-SHA-256"), error: over("response") };
    assert_eq!(server.step(b"again"), Reply::Failure(None, expected));
    assert_eq!(server.user(), None);
}

#[test]
fn an_answer_to_the_last_message_must_be_empty() {
    let (mut client, mut server) = (client("pencil"), fred());
    client.choose("SCRAM-SHA-256").unwrap();
    let mut reply = server.start("SCRAM-SHA-256", None);
    for _ in 0..2 {
        let Reply::Challenge(challenge) = &reply else { panic!("{reply:?}") };
        reply = server.step(&client.respond(challenge).unwrap());
    }
    assert!(matches!(&reply, Reply::Challenge(last) if last.starts_with(b"v=")), "{reply:?}");
    assert!(matches!(server.step(b"x"), Reply::Failure(None, _)));
    assert_eq!(server.user(), None);
}

#[test]
fn base64_in_both_directions() {
    let (mut client, mut server) = (client("pencil"), fred());
    client.choose("SCRAM-SHA-256").unwrap();
    let mut reply = server.start_base64("SCRAM-SHA-256", client.initial_response_base64().unwrap().as_deref());
    while let Reply::Challenge(challenge) = reply {
        reply = server.step_base64(&client.respond_base64(&challenge).unwrap());
    }
    assert_eq!(reply, Reply::Success(None));
    assert_eq!(client.finish(None), Ok(()));

    let mut anonymous = Client::new();
    anonymous.choose("ANONYMOUS").unwrap();
    assert_eq!(anonymous.initial_response_base64().unwrap().as_deref(), Some("="));
    assert!(matches!(server.start_base64("PLAIN", Some("=")), Reply::Failure(None, _)));
    for wrong in ["*", "AGZyZWQ", "AG ZyZWQ=", "\u{e4}"] {
        assert_eq!(server.start_base64("PLAIN", None), Reply::Challenge(String::new()));
        let Reply::Failure(None, failure) = server.step_base64(wrong) else { panic!("{wrong}") };
        assert_eq!(failure.to_string(), "PLAIN server: response: it is not valid base64 (SASL_BADPROT)");
        // The failure is this one, not the earlier one.
        let Reply::Failure(None, failure) = server.start_base64("PLAIN", Some(wrong)) else { panic!("{wrong}") };
        assert_eq!(failure.to_string(), "server: initial response: it is not valid base64 (SASL_BADPROT)");
        assert!(client.choose("PLAIN").is_ok());
        assert!(client.respond_base64(wrong).is_err() && client.finish(None).is_err(), "{wrong}");
    }
}

#[test]
fn a_refused_token_has_its_reason() {
    let mut client = Client::with_token("fred", "mF_9.B5f-4.1JqM").over_tls(256);
    client.choose("OAUTHBEARER").unwrap();
    assert!(client.initial_response().unwrap().is_some());
    assert_eq!(client.respond(br#"{"status":"invalid_token"}"#), Ok(b"\x01".to_vec()));
    assert_eq!(client.failure().unwrap().error, Error::from(Refused::PeerSaid("invalid_token".into())));
    assert!(client.finish(None).is_err());
}

#[test]
fn external_acts_as_the_identity_that_was_given() {
    let mut client = Client::new().with(Property::Authzid, "fred").over_tls(256);
    client.choose("EXTERNAL").unwrap();
    assert_eq!(client.initial_response(), Ok(Some(b"fred".to_vec())));
    assert_eq!(client.finish(None), Ok(()));
}

#[test]
fn a_login_can_be_sent_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Client>();
    is_send::<Server>();
    is_send::<crate::world::LocalWorld>();
    is_send::<crate::session::Session>();
}

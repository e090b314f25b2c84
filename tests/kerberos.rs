//! Kerberos in a realm that somebody else has started: xt/kerberos/core.t does, and runs what is here, by
//! `cargo test --test kerberos -- --ignored`. It gives the credentials cache in KRB5CCNAME, and the keytab with the keys
//! of ldap/localhost in KRB5_KTNAME.

use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Abilities, Answer, Side, Values};
use authen_sasl_rust::error::Code;
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

const WITHOUT_BINDING: [&str; 3] = ["GSSAPI", "GSS-SPNEGO", "GS2-KRB5"];

fn session(side: Side, mechanism: &str, binding: Option<u8>) -> Session {
    let mut session = Session::new(side);
    session.config.abilities = Abilities(!Abilities::CANONICALIZE.0);
    session.config.service = "ldap".into();
    session.config.host = "localhost".into();
    if let Some(byte) = binding {
        for kind in ["tls-exporter", "tls-server-end-point"] {
            session.config.set_binding(ChannelBinding { kind: kind.into(), data: vec![byte; 32] });
        }
    }
    session.pick(mechanism).unwrap();
    session
}

/// The first message of a client.
fn begin(client: &mut Session) -> Vec<u8> {
    let mut world = LocalWorld::default();
    let mut outcome = client.start(None, &mut world.lend());
    if outcome == Outcome::Ask {
        outcome = client.answer(Answer::Values(Values::default()), &mut world.lend());
    }
    assert_eq!(outcome, Outcome::Send, "{:?}", client.failure());
    client.message().to_vec()
}

/// The number of a message, and what becomes of it.
type Alteration<'a> = (usize, &'a dyn Fn(&mut Vec<u8>));

/// An exchange in which the message of that number, counted from 0 on both sides together, is damaged.
fn run(mut client: Session, mut server: Session, damage: Option<Alteration<'_>>) -> (Session, Session, Vec<usize>) {
    let mut world = LocalWorld::default();
    let mut lengths = Vec::new();
    let mut note = |message: &[u8]| {
        let mut message = message.to_vec();
        lengths.push(message.len());
        match damage {
            Some((number, alter)) if number + 1 == lengths.len() => alter(&mut message),
            _ => {}
        }
        message
    };
    let first = note(&begin(&mut client));
    let mut outcome = server.start(Some(&first), &mut world.lend());
    while outcome == Outcome::Send && client.need_step() {
        let to_client = note(server.message());
        if client.step(&to_client, &mut world.lend()) != Outcome::Send {
            break;
        }
        let to_server = note(client.message());
        outcome = server.step(&to_server, &mut world.lend());
    }
    (client, server, lengths)
}

fn code(session: &Session) -> Option<Code> {
    session.failure().map(|failure| failure.error.code())
}

fn done(client: &Session, server: &Session) {
    assert!(client.is_success() && server.is_success(), "{:?} {:?}", client.failure(), server.failure());
    assert_eq!(server.identity().authcid.as_deref(), Some("fred"));
}

#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn each_mechanism_succeeds() {
    for mechanism in WITHOUT_BINDING {
        let (client, server, _) =
            run(session(Side::Client, mechanism, None), session(Side::Server, mechanism, None), None);
        done(&client, &server);
    }
}

#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn channel_bindings_hold() {
    for mechanism in ["GSSAPI", "GSS-SPNEGO", "GS2-KRB5-PLUS"] {
        let both =
            |ours, theirs| run(session(Side::Client, mechanism, ours), session(Side::Server, mechanism, theirs), None);
        let (client, server, _) = both(Some(1), Some(1));
        done(&client, &server);
        let (client, server, _) = both(Some(1), Some(2));
        assert_eq!(code(&server), Some(Code::BadBinding), "{mechanism}: {:?}", server.failure());
        assert!(!server.is_success() && !client.is_success(), "{mechanism}");
    }
    // A client that says that we offer no binding, and we do: the list was changed on the way (RFC 5802 §6).
    let mut client = session(Side::Client, "GS2-KRB5", Some(1));
    client.config.peer_offers_binding = false;
    let (_, server, _) = run(client, session(Side::Server, "GS2-KRB5", Some(1)), None);
    assert_eq!(code(&server), Some(Code::BadBinding), "{:?}", server.failure());
    // A changed header is noticed, since the context is bound to it.
    let alter = |message: &mut Vec<u8>| {
        message.splice(0..3, *b"n,a=root,");
    };
    let (_, server, _) =
        run(session(Side::Client, "GS2-KRB5", None), session(Side::Server, "GS2-KRB5", None), Some((0, &alter)));
    assert_eq!(code(&server), Some(Code::BadBinding), "{:?}", server.failure());
    assert!(!server.is_success());
}

/// Each message cut at each length, CVE-2022-2469's fewer than four bytes among them: never a success, never a panic.
#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn truncated_messages_are_refused() {
    damaged(|length| (0..length).map(|cut| (format!("cut by {}", cut + 1), Damage::Cut(cut + 1))).collect());
}

/// Each byte of each message changed.
#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn changed_messages_are_refused_or_harmless() {
    damaged(|length| (0..length).map(|at| (format!("byte {at} changed"), Damage::Flip(at))).collect());
}

enum Damage {
    Cut(usize),
    Flip(usize),
}

fn damaged(list: fn(usize) -> Vec<(String, Damage)>) {
    for mechanism in WITHOUT_BINDING {
        let pair = || (session(Side::Client, mechanism, None), session(Side::Server, mechanism, None));
        let (client, server) = pair();
        let (_, _, lengths) = run(client, server, None);
        let mut refused = 0;
        for (number, length) in lengths.iter().enumerate() {
            for (what, damage) in list(*length) {
                let (client, server) = pair();
                let alter = |message: &mut Vec<u8>| match damage {
                    // Lengths vary with the random numbers inside, so it is cut from the end.
                    Damage::Cut(cut) => message.truncate(message.len().saturating_sub(cut)),
                    Damage::Flip(at) => {
                        if let Some(byte) = message.get_mut(at) {
                            *byte ^= 0x41;
                        }
                    }
                };
                let (client, server, _) = run(client, server, Some((number, &alter)));
                let name = format!("{mechanism}, message {number} of {length} bytes {what}");
                let both = client.is_success() && server.is_success();
                if both {
                    // What nobody protects may change (the wording of a DER length, SPNEGO's hints); who it is may not.
                    assert!(matches!(damage, Damage::Flip(_)), "{name}");
                    assert_eq!(server.identity().authcid.as_deref(), Some("fred"), "{name}");
                    assert_eq!(server.identity().authzid.as_deref(), None, "{name}");
                } else {
                    refused += 1;
                }
                // Damage does not take the encryption away.
                if let (true, Some(layer)) = (both, server.layer()) {
                    assert!(lock(layer).ssf() > 1, "{name}");
                }
            }
        }
        assert!(refused > 100, "{mechanism}: {refused}");
    }
}

/// A frame out of order ends a layer.
#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn frames_of_the_layer_are_verified() {
    let (client, server, _) = run(session(Side::Client, "GSSAPI", None), session(Side::Server, "GSSAPI", None), None);
    done(&client, &server);
    let (from, to) = (client.layer().unwrap(), server.layer().unwrap());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    lock(from).frame(b"first", &mut first).unwrap();
    lock(from).frame(b"second", &mut second).unwrap();
    // Out of order: the second before the first.
    assert!(lock(to).feed(&second).is_err());
    assert!(lock(to).feed(&first).is_err(), "an error ends a layer for good");
}

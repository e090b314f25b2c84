//! Kerberos in a realm that somebody else has started: xt/kerberos/core.t does, and runs what is here, by
//! `cargo test --test kerberos -- --ignored`. It gives the credentials cache in KRB5CCNAME, and the keytab with the keys
//! of ldap/localhost in KRB5_KTNAME.

use authen_sasl_kerberos::gssapi::{
    flag, Acceptor, Credentials, Initiator, Name, Progress, SecurityContext, Speaking, Store,
};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Abilities, Answer, Side, Values};
use authen_sasl_rust::error::Code;
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::world::LocalWorld;

const WITHOUT_BINDING: [&str; 3] = ["GSSAPI", "GSS-SPNEGO", "GS2-KRB5"];

fn session(side: Side, mechanism: &str, binding: Option<u8>) -> Session {
    let mut session = Session::new(side, authen_sasl_kerberos::registry());
    session.config.abilities = Abilities(!Abilities::CANONICALIZE.union(Abilities::ACTS_AS_OTHER).0);
    session.config.service = "ldap".into();
    session.config.host = "localhost".into();
    if let Some(byte) = binding {
        for kind in ["tls-exporter", "tls-server-end-point"] {
            session.config.set_binding(ChannelBinding { kind: kind.into(), data: vec![byte; 32] }).unwrap();
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
    let mut server = session(Side::Server, "GS2-KRB5", Some(1));
    server.config.lists_binding = true;
    let (_, server, _) = run(client, server, None);
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
    for (mechanism, binding) in WITHOUT_BINDING.map(|name| (name, None)).into_iter().chain([("GS2-KRB5-PLUS", Some(1))])
    {
        let pair = || (session(Side::Client, mechanism, binding), session(Side::Server, mechanism, binding));
        let (client, server) = pair();
        let (client, server, lengths) = run(client, server, None);
        done(&client, &server);
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
                    assert!(lock(layer).limits().ssf > 1, "{name}");
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

const WANTED: u32 = flag::MUTUAL | flag::SEQUENCE | flag::INTEGRITY | flag::CONFIDENTIALITY;

/// Brings a server to its offer, by a client that may break the rules afterwards.
fn offer_of(server: &mut Session) -> (SecurityContext, Vec<u8>) {
    let mut world = LocalWorld::default();
    let target = Name::of_service(Side::Client, "ldap", "localhost").unwrap();
    let mut rogue = Initiator::new(Speaking::Kerberos, target, "ldap".into(), None, WANTED, None).unwrap();
    let Progress::Continue(token) = rogue.step(None).unwrap() else { panic!("no mutual authentication") };
    assert_eq!(server.start(Some(&token), &mut world.lend()), Outcome::Send, "{:?}", server.failure());
    assert!(matches!(rogue.step(Some(server.message())).unwrap(), Progress::Complete(last) if last.is_empty()));
    let (mut context, name) = rogue.finish().unwrap();
    assert_eq!(name, "fred@EXAMPLE.TEST");
    assert_eq!(server.step(b"", &mut world.lend()), Outcome::Send, "{:?}", server.failure());
    let (offer, _) = context.unwrap(server.message()).unwrap();
    (context, offer)
}

/// What a server says to this last message of a client that breaks the rules, wrapped as it must be.
fn server_hears(selection: &[u8], alter_config: fn(&mut Session)) -> Session {
    let mut server = session(Side::Server, "GSSAPI", None);
    alter_config(&mut server);
    let mut world = LocalWorld::default();
    let (mut context, _) = offer_of(&mut server);
    let wrapped = context.wrap(false, selection).unwrap();
    server.step(&wrapped, &mut world.lend());
    server
}

/// A wrapped message of fewer than four bytes, of each length.
#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn cve_2022_2469() {
    for length in 0..4 {
        let server = server_hears(&[1, 0, 0, 0][..length], |_| {});
        assert_eq!(code(&server), Some(Code::BadProt), "{length}: {:?}", server.failure());
        assert!(!server.is_success());
    }
    assert!(server_hears(&[1, 0, 0, 0], |_| {}).is_success());
}

#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn a_selection_that_was_not_offered_is_refused() {
    let none_only = |server: &mut Session| server.config.max_ssf = Some(0);
    let layers_only = |server: &mut Session| server.config.min_ssf = 1;
    type Case<'a> = (&'a [u8], fn(&mut Session), bool);
    let cases: [Case<'_>; 13] = [
        (&[1, 0, 0, 0], |_| {}, true),
        (&[4, 0, 16, 0], |_| {}, true),
        (&[2, 0, 16, 0], layers_only, true),
        (&[1, 0, 0, 0, b'f', b'r', b'e', b'd'], |_| {}, true),
        (&[0, 0, 0, 0], |_| {}, false),
        (&[3, 0, 16, 0], |_| {}, false),
        (&[8, 0, 16, 0], |_| {}, false),
        (&[255, 0, 16, 0], |_| {}, false),
        (&[1, 0, 16, 0], |_| {}, true), // without a layer the longest frame has no meaning
        (&[4, 0, 0, 8], |_| {}, false), // no frame has that little room
        (&[4, 0, 16, 0], none_only, false),
        (&[1, 0, 0, 0], layers_only, false),
        (&[1, 0, 0, 0, b'r', b'o', b'o', b't', 0], |_| {}, false),
    ];
    for (selection, alter, good) in cases {
        let server = server_hears(selection, alter);
        assert_eq!(server.is_success(), good, "{selection:?}: {:?}", server.failure());
    }
    let server = server_hears(&[1, 0, 0, 0, 0xff], |_| {});
    assert_eq!(code(&server), Some(Code::BadProt), "{:?}", server.failure());
}

/// What a client says to an offer of a server that breaks the rules.
fn client_hears(offer: &[u8]) -> (Session, SecurityContext) {
    let mut client = session(Side::Client, "GSSAPI", None);
    let mut world = LocalWorld::default();
    let token = begin(&mut client);
    let credentials = Credentials::acquire(Side::Server, Speaking::Kerberos, None, "", Store::default()).unwrap();
    let mut rogue = Acceptor::new("ldap".into(), credentials, None, false).unwrap();
    let Progress::Complete(reply) = rogue.step(&token).unwrap() else { panic!("one token is enough") };
    assert_eq!(client.step(&reply, &mut world.lend()), Outcome::Send, "{:?}", client.failure());
    assert_eq!(client.message(), b"");
    let (mut context, found) = rogue.finish();
    assert_eq!(found.authcid, "fred");
    let wrapped = context.wrap(false, offer).unwrap();
    client.step(&wrapped, &mut world.lend());
    (client, context)
}

#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn an_offer_that_breaks_the_rules_is_refused() {
    let whole = [7, 0, 16, 0, 0];
    for length in [0, 1, 2, 3, 5] {
        let (client, _) = client_hears(&whole[..length]);
        assert_eq!(code(&client), Some(Code::BadProt), "{length}: {:?}", client.failure());
    }
    for bits in [0, 8, 0xf0] {
        let (client, _) = client_hears(&[bits, 0, 16, 0]);
        assert_eq!(code(&client), Some(Code::TooWeak), "{bits}: {:?}", client.failure());
    }
    // Exactly one bit is answered, and 0 as the longest frame where there is no layer.
    for (offer, answer) in [
        ([7, 0, 16, 0], [4, 1, 0, 0]),
        ([3, 0, 16, 0], [2, 1, 0, 0]),
        ([1, 0, 0, 0], [1, 0, 0, 0]),
        ([7, 0, 0, 0], [1, 0, 0, 0]),
    ] {
        let (client, mut context) = client_hears(&offer);
        assert!(client.is_success(), "{:?}", client.failure());
        assert_eq!(context.unwrap(client.message()).unwrap().0, answer, "{offer:?}");
    }
}

/// What a server offers: the layers that its limits leave, and 0 as the longest frame where there is none.
#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn a_server_offers_what_it_allows() {
    type Case = (fn(&mut Session), [u8; 4]);
    let cases: [Case; 7] = [
        (|_| {}, [7, 1, 0, 0]),
        (|server| server.config.max_ssf = Some(0), [1, 0, 0, 0]),
        (|server| server.config.max_buf = 0, [1, 0, 0, 0]),
        (|server| server.config.no_integrity = true, [1, 0, 0, 0]),
        (|server| server.config.no_confidentiality = true, [3, 1, 0, 0]),
        (|server| server.config.min_ssf = 2, [4, 1, 0, 0]),
        (|server| server.config.external_ssf = 256, [1, 0, 0, 0]), // TLS is below
    ];
    for (alter, expected) in cases {
        let mut server = session(Side::Server, "GSSAPI", None);
        alter(&mut server);
        assert_eq!(offer_of(&mut server).1, expected);
    }
}

/// What a client delegates is its own: a server compares the owner with the one that was authenticated.
#[test]
#[ignore = "needs a realm: xt/kerberos/core.t"]
fn credentials_tell_whose_they_are() {
    for speaking in [Speaking::Kerberos, Speaking::Spnego] {
        let credentials = Credentials::acquire(Side::Client, speaking, None, "", Store::default()).unwrap();
        assert_eq!(credentials.owner().unwrap(), "fred@EXAMPLE.TEST");
    }
}

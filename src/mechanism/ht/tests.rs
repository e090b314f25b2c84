use super::*;
use crate::config::ChannelBinding;
use crate::session::pair::Peer;
use crate::session::Outcome;

const TOKEN: &str = "secret-token:fast-Q3c1bmQgT2YgMTI4IGJpdHM";
const OTHER: &str = "secret-token:fast-YW5vdGhlciB0b2tlbiBvZiBmcmVk";
const DATA: &[u8] = b"0123456789abcdef0123456789abcdef";

fn all() -> impl Iterator<Item = &'static str> {
    crate::mechanism::ALL.iter().map(|m| m.name).filter(|name| name.starts_with("HT"))
}

fn bind(mut peer: Peer, data: &[u8]) -> Peer {
    for kind in ["tls-exporter", "tls-unique", "tls-server-end-point"] {
        let data = [kind.as_bytes(), data].concat();
        peer.session.config.set_binding(ChannelBinding { kind: kind.into(), data }).unwrap();
    }
    peer
}

fn client(mechanism: &str, authcid: &str, token: &str) -> Peer {
    let mut peer = bind(Peer::client(mechanism, authcid, "pencil"), DATA);
    peer.session.config.abilities = Abilities::AUTHCID.union(Abilities::HT_TOKEN).union(Abilities::PASSWORD);
    peer.values.push((Property::HtToken, token.into()));
    peer
}

fn server(mechanism: &str, issued: Option<&str>) -> Peer {
    let mut peer = bind(Peer::server(mechanism, issued), DATA);
    peer.session.config.abilities = Abilities::HT_TOKENS;
    peer
}

/// The client's message to the server, the server's last message to the client.
fn run(client: &mut Peer, server: &mut Peer) -> (Outcome, Option<Outcome>) {
    assert_eq!(client.start(None), Outcome::Send);
    let outcome = server.start(Some(client.session.message()));
    let answered = matches!(outcome, Outcome::Send | Outcome::FailedWithMessage);
    (outcome, answered.then(|| client.step(server.session.message())))
}

#[test]
fn both_sides_prove_the_token() {
    assert_eq!(all().count(), 16);
    for mechanism in all() {
        for name in
            ["fred", "a name with spaces ", "ren\u{e9}", "\u{6771}\u{4eac}", &"x".repeat(255), &"x".repeat(4096)]
        {
            let (mut client, mut server) = (client(mechanism, name, TOKEN), server(mechanism, Some(TOKEN)));
            assert_eq!(run(&mut client, &mut server), (Outcome::Send, Some(Outcome::Absent)), "{mechanism} {name}");
            assert!(client.session.is_success() && server.session.is_success());
            assert_eq!(server.session.identity().authcid.as_deref(), Some(name));
            assert_eq!(server.asked.len(), 1);
        }
    }
}

#[test]
fn a_client_has_not_succeeded_before_the_servers_proof() {
    for mechanism in all() {
        let mut client = client(mechanism, "fred", TOKEN);
        assert_eq!(client.start(None), Outcome::Send);
        assert!(client.session.need_step() && !client.session.is_success());
        assert_eq!(client.step(b""), Outcome::Failed);
        assert_eq!(*client.error(), Error::misbehaved(RESPONDER, PeerMisbehaved::ServerProofMissing));
    }
}

/// Rotation: each of the tokens is good, and the application learns which one it was.
#[test]
fn any_of_the_tokens_is_good_and_its_place_is_told() {
    let places = |issued: &str| {
        let (mut client, mut server) =
            (client("HT-SHA-256-NONE", "fred", TOKEN), server("HT-SHA-256-NONE", Some(issued)));
        let (outcome, _) = run(&mut client, &mut server);
        assert_eq!(server.session.is_success(), outcome == Outcome::Send);
        server.session.token_index()
    };
    assert_eq!(places(&format!("{TOKEN}\0{OTHER}")), Some(0));
    assert_eq!(places(&format!("{OTHER}\0{TOKEN}")), Some(1));
    assert_eq!(places(&format!("{OTHER}\0\0{TOKEN}\0{TOKEN}")), Some(2));
    assert_eq!(places(&format!("{}{TOKEN}", format!("{OTHER}\0").repeat(TOKENS_LIMIT - 1))), Some(TOKENS_LIMIT - 1));
    assert_eq!(places(OTHER), None);
    assert_eq!(places(&format!("{OTHER}\0")), None);
    // Not a part of one, nor two together.
    assert_eq!(places(&TOKEN[1..]), None);
    assert_eq!(places(&format!("{TOKEN}{OTHER}")), None);
}

#[test]
fn more_tokens_than_the_limit_are_the_operators_to_know() {
    let issued = format!("{TOKEN}\0").repeat(TOKENS_LIMIT);
    let (mut client, mut server) =
        (client("HT2-SHA-256-NONE", "fred", TOKEN), server("HT2-SHA-256-NONE", Some(&issued)));
    run(&mut client, &mut server);
    let said = server.error().to_string();
    assert!(said.contains("the list of HT tokens holds more than 16 tokens"), "{said}");
    assert!(client.error().to_string().contains("invalid-token"), "{}", client.error());
}

#[test]
fn wrong_tokens_and_unknown_users_hear_the_same() {
    for mechanism in all() {
        let mut heard = Vec::new();
        for issued in [Some(OTHER), None, Some(""), Some("\0")] {
            let (mut client, mut server) = (client(mechanism, "fred", TOKEN), server(mechanism, issued));
            let (outcome, _) = run(&mut client, &mut server);
            assert_eq!(*server.error(), Error::Refused(Refused::HtToken), "{mechanism} {issued:?}");
            heard.push((outcome, server.session.message().to_vec(), client.session.failure().map(ToString::to_string)));
        }
        assert!(heard.iter().all(|it| *it == heard[0]), "{mechanism}: {heard:?}");
    }
}

/// Whoever knows the source knows the key that stands for no token.
#[test]
fn the_mock_token_is_no_way_in() {
    let mock = std::str::from_utf8(MOCK_TOKEN).unwrap();
    for issued in [None, Some(OTHER), Some("\0")] {
        let (mut client, mut server) = (client("HT-SHA-256-NONE", "fred", mock), server("HT-SHA-256-NONE", issued));
        assert_eq!(run(&mut client, &mut server).0, Outcome::Failed, "{issued:?}");
    }
}

/// Another TLS connection, another type of its bindings, another hash, or the other form: no proof is good for it.
#[test]
fn a_proof_is_of_one_channel_hash_and_form() {
    for mechanism in all() {
        for other in all().filter(|other| *other != mechanism) {
            let mut client = client(mechanism, "fred", TOKEN);
            client.start(None);
            let mut server = server(other, Some(TOKEN));
            let outcome = server.start(Some(client.session.message()));
            assert!(matches!(outcome, Outcome::Failed | Outcome::FailedWithMessage), "{mechanism} to {other}");
        }
        let (mut client, mut server) =
            (client(mechanism, "fred", TOKEN), bind(server(mechanism, Some(TOKEN)), b"other"));
        let (outcome, _) = run(&mut client, &mut server);
        assert_eq!(outcome == Outcome::Send, mechanism.ends_with("-NONE"), "{mechanism}");
    }
}

#[test]
fn a_mechanism_needs_data_of_its_own_type() {
    for (mechanism, kind) in [
        ("HT-SHA-256-EXPR", "tls-unique"),
        ("HT2-SHA-512-UNIQ", "tls-server-end-point"),
        ("HT-SHA-256-ENDP", "tls-exporter"),
    ] {
        let mut client = Peer::client(mechanism, "fred", "pencil");
        client.session.config.abilities = Abilities::AUTHCID.union(Abilities::HT_TOKEN);
        client.session.config.set_binding(ChannelBinding { kind: kind.into(), data: DATA.into() }).unwrap();
        assert_eq!(client.start(None), Outcome::Failed);
        let said = client.error().to_string();
        assert!(said.contains("there is no channel binding data of type tls-"), "{said}");
        client.session.config.forget_bindings();
        client.start(None);
        assert!(client.error().to_string().contains("there is no channel binding data"), "{}", client.error());
    }
}

/// A password is not a token: neither side offers the mechanism for one.
#[test]
fn neither_passwords_nor_bearer_tokens_serve() {
    for mechanism in all() {
        let mut client = bind(Peer::client(mechanism, "fred", "pencil"), DATA);
        client.session.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD).union(Abilities::TOKEN);
        assert_eq!(client.start(None), Outcome::Failed);
        assert!(client.error().to_string().contains("there is no HT token"), "{}", client.error());
        let mut server = bind(Peer::server(mechanism, Some(TOKEN)), DATA);
        server.session.config.abilities = Abilities(!Abilities::HT_TOKENS.0);
        assert_eq!(server.start(None), Outcome::Failed);
        assert!(server.error().to_string().contains("there is no list of HT tokens"), "{}", server.error());
    }
}

/// SCRAM stays the choice of a client without a token; with one, HT saves the round trip and the password.
#[test]
fn the_choice() {
    let list = "HT-SHA-256-NONE HT-SHA-256-EXPR SCRAM-SHA-256 SCRAM-SHA-256-PLUS PLAIN";
    let mut peer = client("PLAIN", "fred", TOKEN);
    let mut chosen = |abilities: Abilities| {
        peer.session.config.abilities = abilities;
        peer.session.negotiate(list).unwrap().name
    };
    let password = Abilities::AUTHCID.union(Abilities::PASSWORD);
    assert_eq!(chosen(password), "SCRAM-SHA-256-PLUS");
    assert_eq!(chosen(password.union(Abilities::TOKEN)), "SCRAM-SHA-256-PLUS");
    assert_eq!(chosen(password.union(Abilities::HT_TOKEN)), "HT-SHA-256-EXPR");
    peer.session.config.forget_bindings();
    peer.session.config.abilities = password.union(Abilities::HT_TOKEN);
    assert_eq!(peer.session.negotiate(list).unwrap().name, "HT-SHA-256-NONE");
    // A proof that is bound to no channel is as good as the token to whoever reads it.
    peer.session.config.set("secflags", Some("noplaintext")).unwrap();
    assert_eq!(peer.session.negotiate(list).unwrap().name, "SCRAM-SHA-256");
    peer.session.config.set("externalssf", Some("128")).unwrap();
    assert_eq!(peer.session.negotiate(list).unwrap().name, "HT-SHA-256-NONE");
}

/// A server that offers HT with channel binding offers no -PLUS by that: a client that says `y` tells the truth.
#[test]
fn it_is_no_offer_of_plus() {
    let mut peer = server("PLAIN", Some("pencil"));
    peer.session.config.abilities = Abilities::HT_TOKENS.union(Abilities::CREDENTIALS);
    peer.session.offer("HT-SHA-256-EXPR SCRAM-SHA-256");
    assert!(!peer.session.config.offers_binding());
    peer.session.offer("HT-SHA-256-EXPR SCRAM-SHA-256 SCRAM-SHA-256-PLUS");
    assert!(peer.session.config.offers_binding());
}

#[test]
fn broken_initiator_messages() {
    let hash = [b'x'; 32];
    for (mechanism, form) in [("HT-SHA-256-NONE", Form::Ht), ("HT2-SHA-256-NONE", Form::Ht2)] {
        let good = Initiator { authcid: "fred", extra: b"", proof: &hash }.print(form);
        let mut broken = vec![
            b"".to_vec(),
            b"\0".to_vec(),
            b"fred".to_vec(),
            [&good[..], b"x"].concat(),
            good[1..].iter().skip_while(|b| **b != 0).copied().collect(),
            [b"\xff", &good[..]].concat(),
            [b"\xed\xa0\x80", &good[..]].concat(),
        ];
        broken.extend((0..good.len()).map(|length| good[..length].to_vec()));
        for message in broken {
            let mut server = server(mechanism, Some(TOKEN));
            let outcome = server.start(Some(&message));
            // Without an initial response the server waits for one; this one is empty, which is another thing.
            assert!(matches!(outcome, Outcome::Failed | Outcome::FailedWithMessage), "{}", message.escape_ascii());
            assert!(matches!(server.error(), Error::Malformed { .. }), "{} {}", message.escape_ascii(), server.error());
            assert!(server.asked.is_empty());
        }
        // A name that SASLprep refuses belongs to nobody, and hears what a wrong token hears.
        let mut server = server(mechanism, Some(TOKEN));
        server.start(Some(&Initiator { authcid: "fr\u{7}ed", extra: b"", proof: &hash }.print(form)));
        assert_eq!(*server.error(), Error::Refused(Refused::HtToken));
        assert!(server.asked.is_empty());
    }
}

#[test]
fn broken_responder_messages() {
    for mechanism in all() {
        let (mut first, mut server) = (client(mechanism, "fred", TOKEN), server(mechanism, Some(TOKEN)));
        first.start(None);
        let sent = first.session.message().to_vec();
        server.start(Some(&sent));
        let good = server.session.message().to_vec();
        let heard = |message: &[u8]| {
            let mut client = client(mechanism, "fred", TOKEN);
            client.start(None);
            let outcome = client.step(message);
            assert_eq!(client.session.is_success(), outcome == Outcome::Absent);
            outcome
        };
        assert_eq!(heard(&good), Outcome::Absent);
        for length in 0..good.len() {
            assert_eq!(heard(&good[..length]), Outcome::Failed, "{mechanism} {length}");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut message = good.clone();
                message[at] ^= 1 << bit;
                assert_eq!(heard(&message), Outcome::Failed, "{mechanism} {at} {bit}");
            }
        }
        // The client's own proof, reflected.
        assert_eq!(heard(&sent), Outcome::Failed);
        assert_eq!(heard(&[&good[..good.len() - 32], &sent[sent.len() - 32..]].concat()), Outcome::Failed);
    }
}

/// HT2: pairs of the peer are part of what is proved, and otherwise nothing to us.
#[test]
fn extra_values_are_authenticated() {
    let hash = Hash::Sha256;
    let extra: &[u8] = b"count=17,d=a/b+c-d_e";
    let proof = hash.hmac(TOKEN.as_bytes(), &[b"Initiator", extra]);
    for (said, success) in [(extra, true), (b"count=18,d=a/b+c-d_e", false), (b"", false)] {
        let mut server = server("HT2-SHA-256-NONE", Some(TOKEN));
        server.start(Some(&Initiator { authcid: "fred", extra: said, proof: &proof }.print(Form::Ht2)));
        assert_eq!(server.session.is_success(), success, "{}", said.escape_ascii());
    }
    let proof = hash.hmac(TOKEN.as_bytes(), &[b"Responder", extra]);
    for (said, outcome) in [(extra, Outcome::Absent), (b"a=b", Outcome::Failed), (b"", Outcome::Failed)] {
        let mut client = client("HT2-SHA-256-NONE", "fred", TOKEN);
        client.start(None);
        assert_eq!(client.step(&Responder::Success { extra: said, proof: &proof }.print(Form::Ht2)), outcome);
    }
    for (text, good) in [
        ("", true),
        ("a=b", true),
        ("a=b,c=d", true),
        ("a", false),
        ("a=", false),
        ("=b", false),
        ("a=b,", false),
        (",a=b", false),
        ("a=b=c", false),
        ("a=b c=d", false),
        ("a=\u{e9}", false),
        ("a=b.", false),
    ] {
        assert_eq!(is_pairs(text.as_bytes()), good, "{text}");
    }
}

#[test]
fn a_client_tells_why_the_server_refused() {
    for (reason, text) in [
        (&b"unknown-user"[..], "the server refused: unknown-user (wrong or expired token, or unknown user)"),
        (b"other-error", "the server refused: other-error"),
        (b"\x1b[31mred\n", "the server refused: \\u{1b}[31mred\\n"),
    ] {
        let mut client = client("HT2-SHA-512-EXPR", "fred", TOKEN);
        client.start(None);
        assert_eq!(client.step(&Responder::Failure(reason).print(Form::Ht2)), Outcome::Failed);
        assert_eq!(client.error().to_string(), text);
    }
}

#[test]
fn printing_inverts_parsing() {
    let proof = [0; 32];
    for (form, extra) in [(Form::Ht, &b""[..]), (Form::Ht2, b""), (Form::Ht2, b"a=b,c=d")] {
        let initiator = Initiator { authcid: "fr\u{e9}d", extra, proof: &proof };
        assert_eq!(Initiator::parse(form, Hash::Sha256, &initiator.print(form)), Ok(initiator));
        let responder = Responder::Success { extra, proof: &proof };
        assert_eq!(Responder::parse(form, Hash::Sha256, &responder.print(form)), Ok(responder));
    }
    let failure = Responder::Failure(b"other-error");
    assert_eq!(Responder::parse(Form::Ht2, Hash::Sha256, &failure.print(Form::Ht2)), Ok(failure));
}

#[test]
fn a_clients_values() {
    for (name, token, what) in [
        ("", TOKEN, "authentication identity"),
        ("fr\0ed", TOKEN, "holds a NUL character"),
        ("fred", "", "HT token is empty"),
        ("fred", "to\0ken", "holds a NUL character"),
    ] {
        let mut client = client("HT-SHA-256-NONE", name, token);
        assert_eq!(client.start(None), Outcome::Failed);
        assert!(
            matches!(client.error(), Error::Application(_)) && client.error().to_string().contains(what),
            "{}",
            client.error()
        );
    }
}

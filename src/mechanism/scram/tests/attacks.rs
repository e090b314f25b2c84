//! What a hostile peer may try, each known attack under its number.

use super::*;
use crate::config::{BindingPolicy, ChannelBinding};
use crate::crypto::pbkdf2::iterations_of;
use crate::error::{Code, PeerMisbehaved, Policy, Refused};

/// A client that has sent its first message, and the server's answer to it.
fn client_in_the_middle(mechanism: &str) -> (Party, Party) {
    let (mut client, mut server) = (Party::client(mechanism), Party::server(mechanism));
    assert_eq!(client.start(None), Outcome::Send);
    assert_eq!(server.start(Some(&client.said())), Outcome::Send);
    (client, server)
}

fn misbehaved(party: &Party) -> &PeerMisbehaved {
    match party.error() {
        Error::PeerMisbehaved { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// CVE-2024-56128: the nonce of the client's last message was not compared.
#[test]
fn cve_2024_56128() {
    let whole = {
        let (mut client, server) = client_in_the_middle("SCRAM-SHA-256");
        client.step(&server.said());
        String::from_utf8(client.said()).unwrap()
    };
    let (from, to) = (whole.find("r=").unwrap() + 2, whole.find(",p=").unwrap());
    for at in from..=to {
        for changed in [
            format!("{}{}", &whole[..at], &whole[to..]),
            format!("{}x{}", &whole[..at], &whole[at..]),
            format!("{}~{}", &whole[..at], &whole[(at + 1).min(to)..]),
        ] {
            let (_, mut server) = client_in_the_middle("SCRAM-SHA-256");
            let outcome = server.step(changed.as_bytes());
            if changed == whole {
                assert_eq!(outcome, Outcome::Send);
                continue;
            }
            assert_eq!(outcome, Outcome::FailedWithMessage, "{changed}");
            if !changed.contains("r=,") {
                assert_eq!(*misbehaved(&server), PeerMisbehaved::NonceMismatch, "{changed}");
            }
        }
    }
}

fn server_first(client: &mut Party, answer: &str) -> Outcome {
    client.start(None);
    client.step(answer.as_bytes())
}

/// CVE-2026-10143 and CVE-2026-42198: a huge iteration count keeps the client busy for hours.
#[test]
fn cve_2026_10143_and_cve_2026_42198() {
    let mut client = Party::client("SCRAM-SHA-512");
    for count in ["2000001", "2147483647"] {
        let answer = format!("r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i={count}");
        assert_eq!(iterations_of(|| assert_eq!(server_first(&mut client, &answer), Outcome::Failed)), 0);
        assert!(matches!(misbehaved(&client), PeerMisbehaved::IterationsTooHigh { most: 2_000_000, .. }));
    }
    for count in ["2147483648", "4294967297", "18446744073709551617", "-1", "0x10000"] {
        let answer = format!("r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i={count}");
        assert_eq!(server_first(&mut client, &answer), Outcome::Failed);
        assert_eq!(client.error().code(), Code::BadProt);
    }
}

/// CVE-2026-19888: an attribute that is missing, wherever the message is read.
#[test]
fn cve_2026_19888() {
    let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
    let messages = exchange(&mut client, &mut server);
    assert!(client.session.is_success() && messages.len() == 4);
    for (turn, message) in messages.iter().enumerate() {
        let text = std::str::from_utf8(message).unwrap();
        let (header, bare) = text.split_at(if turn == 0 { "n,,".len() } else { 0 });
        let attributes: Vec<&str> = bare.split(',').collect();
        // Each one taken away, alone in the message, without its value, and without its name.
        let changed = (0..attributes.len()).flat_map(|at| {
            let kept = attributes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, text)| *text);
            let emptied =
                attributes.iter().enumerate().map(|(other, text)| if other == at { &text[..2] } else { *text });
            let nameless =
                attributes.iter().enumerate().map(|(other, text)| if other == at { &text[2..] } else { *text });
            [
                kept.collect::<Vec<_>>().join(","),
                attributes[at].to_owned(),
                emptied.collect::<Vec<_>>().join(","),
                nameless.collect::<Vec<_>>().join(","),
            ]
        });
        for changed in changed.filter(|changed| *changed != bare).chain([String::new(), ",".into()]) {
            let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
            let changed = format!("{header}{changed}").into_bytes();
            client.start(None);
            for (number, original) in messages.iter().take(turn + 1).enumerate() {
                let said = if number == turn { &changed } else { original };
                match number {
                    0 => server.start(Some(said)),
                    1 | 3 => client.step(said),
                    _ => server.step(said),
                };
            }
            let judge = if turn % 2 == 0 { &server } else { &client };
            assert!(matches!(judge.error(), Error::Malformed { .. } | Error::PeerMisbehaved { .. }), "{changed:?}");
            assert!(!judge.session.is_success());
        }
    }
}

/// CVE-2026-132138: a client binds to a channel (`p=`) that the server has no data of.
#[test]
fn cve_2026_132138() {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
        for kind in ["tls-unique", "tls-exporter", "x"] {
            let mut server = Party::server(mechanism);
            server.session.config.forget_bindings();
            server.session.config.set_binding(ChannelBinding { kind: "other".into(), data: vec![1] }).unwrap();
            let outcome = server.start(Some(format!("p={kind},,n=user,r=abc").as_bytes()));
            assert_eq!(outcome, Outcome::FailedWithMessage, "{mechanism} {kind}");
            assert!(matches!(server.error(), Error::PeerMisbehaved { .. }) && server.asked.is_empty());
        }
    }
}

/// A low count makes the dictionary attack on the client's proof cheap.
#[test]
fn low_iteration_counts_are_refused() {
    let mut client = Party::client("SCRAM-SHA-256");
    for count in ["1", "4095"] {
        let answer = format!("r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i={count}");
        assert_eq!(server_first(&mut client, &answer), Outcome::Failed);
        assert!(matches!(misbehaved(&client), PeerMisbehaved::IterationsTooLow { least: 4096, .. }));
        assert_eq!(client.error().code(), Code::TooWeak);
    }
    assert_eq!(server_first(&mut client, "r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=4096"), Outcome::Send);
    client.session.config.set("min_iterations", Some("1")).unwrap();
    assert_eq!(server_first(&mut client, "r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=1"), Outcome::Send);
}

#[test]
fn the_servers_nonce_extends_ours() {
    let mut client = Party::client("SCRAM-SHA-256");
    for (nonce, expected) in [
        ("rOprNGfwEbeRWgbNEkqO", PeerMisbehaved::NonceNotExtended),
        ("rOprNGfwEbeRWgbNEkq", PeerMisbehaved::NonceMismatch),
        ("ROprNGfwEbeRWgbNEkqOx", PeerMisbehaved::NonceMismatch),
        ("x", PeerMisbehaved::NonceMismatch),
        ("xrOprNGfwEbeRWgbNEkqO", PeerMisbehaved::NonceMismatch),
    ] {
        assert_eq!(server_first(&mut client, &format!("r={nonce},s=c2FsdA==,i=4096")), Outcome::Failed);
        assert_eq!(*misbehaved(&client), expected);
    }
}

/// CVE-2026-53712: channel binding is required, and the exchange goes on without it.
#[test]
fn cve_2026_53712() {
    // The server's side: no flag but p= passes, not even in the -PLUS mechanism.
    for flag in ["n", "y"] {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
            let mut server = Party::server(mechanism);
            server.bind("tls-exporter", b"the channel");
            server.session.config.binding_policy = BindingPolicy::Require;
            let outcome = server.start(Some(format!("{flag},,n=user,r=abc").as_bytes()));
            assert!(matches!(outcome, Outcome::Failed | Outcome::FailedWithMessage));
            assert!(server.asked.is_empty());
        }
    }
    // The client's side: no mechanism without it, no -PLUS without data.
    for (mechanism, bound) in [("SCRAM-SHA-256", true), ("SCRAM-SHA-256", false), ("SCRAM-SHA-256-PLUS", false)] {
        let mut client = Party::new(Side::Client, mechanism, "abc", Some("pencil"));
        client.session.config.binding_policy = BindingPolicy::Require;
        if bound {
            client.bind("tls-exporter", b"the channel");
        }
        assert_eq!(client.start(None), Outcome::Failed);
        assert!(matches!(client.error(), Error::Policy(Policy::NoMechanism(_))));
    }
    // A p= whose c= holds the header alone, as if the channel's data were empty.
    let (mut client, mut server) = (Party::client("SCRAM-SHA-256-PLUS"), Party::server("SCRAM-SHA-256-PLUS"));
    client.start(None);
    server.start(Some(&client.said()));
    client.step(&server.said());
    let honest = String::from_utf8(client.said()).unwrap();
    let rest = honest.split_once(',').unwrap().1;
    assert_eq!(server.step(format!("c=cD10bHMtZXhwb3J0ZXIsLA==,{rest}").as_bytes()), Outcome::FailedWithMessage);
    assert_eq!(*misbehaved(&server), PeerMisbehaved::ChannelBindingMismatch);
    let binding = ChannelBinding { kind: "tls-exporter".into(), data: Vec::new() };
    assert!(client.session.config.set_binding(binding).is_err());
}

/// A man in the middle has another TLS connection with each side.
#[test]
fn another_channel_is_noticed() {
    for (kind, data) in [("tls-exporter", &b"his channel"[..]), ("tls-exporter", b"the channelx")] {
        let (mut client, mut server) = (Party::client("SCRAM-SHA-256-PLUS"), Party::server("SCRAM-SHA-256-PLUS"));
        client.bind(kind, data);
        let messages = exchange(&mut client, &mut server);
        assert_eq!(messages[3], b"e=channel-bindings-dont-match");
        assert_eq!(*misbehaved(&server), PeerMisbehaved::ChannelBindingMismatch);
        assert_eq!(server.error().code(), Code::BadBinding);
        // The client cannot tell this from a server that knows another type, and says what to set for one.
        assert_eq!(*client.error(), Refused::Binding("channel-bindings-dont-match".into()).into());
        assert_eq!(client.error().code(), Code::BadBinding);
        assert!(client.error().to_string().contains("channel_binding_policy to disable"));
    }
}

/// RFC 5802 §6: the list of mechanisms was changed on the way.
#[test]
fn a_hidden_plus_is_noticed() {
    let (mut client, mut server) = (Party::client("SCRAM-SHA-256"), Party::server("SCRAM-SHA-256"));
    client.bind("tls-exporter", b"the channel");
    server.bind("tls-exporter", b"the channel");
    server.session.config.lists_binding = true;
    let messages = exchange(&mut client, &mut server);
    assert_eq!(messages[1], b"e=server-does-support-channel-binding");
    assert_eq!(*misbehaved(&server), PeerMisbehaved::Downgrade);
    assert_eq!(*client.error(), Refused::PeerSaid("server-does-support-channel-binding".into()).into());
    // The same flag is an honest one without binding data, and where no -PLUS was offered in spite of them.
    for bound in [false, true] {
        let mut server = Party::server("SCRAM-SHA-256");
        if bound {
            server.bind("tls-exporter", b"the channel");
        }
        assert_eq!(exchange(&mut client, &mut server).len(), 4);
        assert!(client.session.is_success() && server.session.is_success());
    }
}

/// What a server offers: its own word, or else those of its list that it may use.
#[test]
fn a_server_offers_what_it_may_use() {
    let offers = |list: &str, policy: BindingPolicy, bound: bool, word: Option<&str>| {
        let mut server = Party::server("SCRAM-SHA-256");
        if bound {
            server.bind("tls-exporter", b"the channel");
        }
        server.session.config.binding_policy = policy;
        server.session.config.set("offered_mechanisms", word).unwrap();
        // Whatever realm and keytab the environment names.
        server.session.config.set("keytab", Some("FILE:/nonexistent")).unwrap();
        server.session.negotiate(list).unwrap();
        server.session.config.offers_binding()
    };
    use BindingPolicy::{Allow, Disable};
    assert!(offers("SCRAM-SHA-256-PLUS SCRAM-SHA-256", Allow, true, None));
    assert!(offers("scram-sha-1-plus scram-sha-256", Allow, true, None));
    assert!(!offers("SCRAM-SHA-256", Allow, true, None));
    assert!(!offers("SCRAM-SHA-256-PLUS SCRAM-SHA-256", Allow, false, None));
    assert!(!offers("SCRAM-SHA-256-PLUS SCRAM-SHA-256", Disable, true, None));
    // An unknown -PLUS, and one that needs what is not there.
    assert!(!offers("NO-SUCH-PLUS SCRAM-SHA-256", Allow, true, None));
    assert!(!offers("GS2-KRB5-PLUS SCRAM-SHA-256", Allow, true, None));
    assert!(offers("SCRAM-SHA-256", Allow, true, Some("SCRAM-SHA-256-PLUS SCRAM-SHA-256")));
    assert!(!offers("SCRAM-SHA-256-PLUS SCRAM-SHA-256", Allow, true, Some("SCRAM-SHA-256")));
}

#[test]
fn flags_that_do_not_fit_the_mechanism() {
    for (mechanism, flag, said) in [
        ("SCRAM-SHA-1", "p=tls-exporter", "e=channel-binding-not-supported"),
        ("SCRAM-SHA-1-PLUS", "n", "e=channel-binding-not-supported"),
        ("SCRAM-SHA-1-PLUS", "y", "e=server-does-support-channel-binding"),
        ("SCRAM-SHA-1-PLUS", "p=tls-unique", "e=unsupported-channel-binding-type"),
        ("SCRAM-SHA-1-PLUS", "p=TLS-EXPORTER", "e=unsupported-channel-binding-type"),
    ] {
        let mut server = Party::server(mechanism);
        let outcome = server.start(Some(format!("{flag},,n=user,r=abc").as_bytes()));
        assert_eq!(outcome, Outcome::FailedWithMessage, "{mechanism} {flag}");
        assert_eq!(server.said(), said.as_bytes());
    }
    let mut server = Party::server("SCRAM-SHA-1");
    assert_eq!(server.start(Some(b"n,,m=x,n=user,r=abc")), Outcome::FailedWithMessage);
    assert_eq!(server.said(), b"e=extensions-not-supported");
}

/// `c=` must repeat the header byte for byte: flag, authorization identity and all.
#[test]
fn the_gs2_header_cannot_be_changed_afterwards() {
    use crate::wire::scram::print_base64;
    for header in ["y,,", "n,a=root,", "n,", "n,,x", "p=tls-exporter,,"] {
        let (mut client, mut server) = client_in_the_middle("SCRAM-SHA-256");
        client.step(&server.said());
        let said = String::from_utf8(client.said()).unwrap();
        let mut changed = b"c=".to_vec();
        print_base64(header.as_bytes(), &mut changed);
        changed.extend_from_slice(&said.as_bytes()[said.find(",r=").unwrap()..]);
        assert_eq!(server.step(&changed), Outcome::FailedWithMessage);
        assert_eq!(*misbehaved(&server), PeerMisbehaved::ChannelBindingMismatch);
    }
}

/// Success before `v=` is no success, and neither is a wrong `v=` or its absence.
#[test]
fn no_success_before_the_servers_proof() {
    let ready = || {
        let (mut client, mut server) = client_in_the_middle("SCRAM-SHA-256");
        client.step(&server.said());
        server.step(&client.said());
        assert!(!client.session.is_success());
        (client, server.said())
    };
    let (mut client, proof) = ready();
    assert_eq!(client.session.ended_early(), Outcome::Failed);
    assert_eq!(*misbehaved(&client), PeerMisbehaved::ServerProofMissing);
    assert_eq!(client.step(&proof), Outcome::Over);

    let (mut client, _) = ready();
    assert_eq!(client.step(b""), Outcome::Failed);
    assert_eq!(client.error().code(), Code::BadServ);

    let (mut client, _) = ready();
    assert_eq!(client.step(b"e=other-error\x1b[2J\xff"), Outcome::Failed);
    assert!(matches!(client.error(), Error::Refused(Refused::PeerSaid(text)) if text.is_ascii()));

    for at in 0..proof.len() {
        let (mut client, mut proof) = ready();
        proof[at] = if proof[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(client.step(&proof), Outcome::Failed, "{at}");
        let (mut client, proof) = ready();
        assert_eq!(client.step(&proof[..at]), Outcome::Failed, "{at}");
        assert!(!client.session.is_success());
    }
    let (mut client, proof) = ready();
    assert_eq!(client.step(&proof), Outcome::Absent);
}

/// Truncation of the GS2 header, and of all else, at every length.
#[test]
fn messages_cut_at_every_length_fail() {
    let first = b"p=tls-exporter,a=zoe,n=user,r=abc";
    for length in 0..first.len() - 2 {
        let mut server = Party::server("SCRAM-SHA-256-PLUS");
        let outcome = server.start(Some(&first[..length]));
        assert_eq!(outcome, Outcome::FailedWithMessage, "{length}");
        assert!(server.asked.is_empty());
    }
    let (mut client, server) = client_in_the_middle("SCRAM-SHA-256");
    let answer = server.said();
    for length in 0..answer.len() {
        client.start(None);
        assert_eq!(client.step(&answer[..length]), Outcome::Failed, "{length}");
    }
    client.start(None);
    assert_eq!(client.step(&answer), Outcome::Send);
    let last = client.said();
    for length in 0..last.len() {
        let (_, mut server) = client_in_the_middle("SCRAM-SHA-256");
        assert_eq!(server.step(&last[..length]), Outcome::FailedWithMessage, "{length}");
    }
}

/// Every byte of every message changed to many values: no panic, and no success of both sides
/// unless the byte did not change or stands in an ignored place, of which these messages have none.
#[test]
fn changed_bytes_never_succeed() {
    let key = Verifier::make(crate::crypto::hash::Hash::Sha1, "pencil", b"salt", 10).unwrap();
    let key = key.print(Default::default());
    for turn in 0..4 {
        let mut length = usize::MAX;
        let mut at = 0;
        while at < length {
            for byte in [0, b',', b'=', b'A', b'n', b'0', 0x7f, 0xc3, 0xff] {
                let (mut client, mut server) = (Party::client("SCRAM-SHA-1"), Party::server("SCRAM-SHA-1"));
                client.session.config.set("min_iterations", Some("1")).unwrap();
                client.session.config.set("max_iterations", Some("20")).unwrap();
                server.secret = Some(Secret::new(key.as_bytes()));
                let mut changed = false;
                let mut pass = |number: usize, message: Vec<u8>| {
                    let mut message = message;
                    if number == turn {
                        length = message.len();
                        changed = message[at] != byte;
                        message[at] = byte;
                    }
                    message
                };
                client.start(None);
                server.start(Some(&pass(0, client.said())));
                client.step(&pass(1, server.said()));
                server.step(&pass(2, client.said()));
                client.step(&pass(3, server.said()));
                assert!(!changed || !client.session.is_success(), "message {turn}, byte {at} as {byte}");
            }
            at += 1;
        }
    }
}

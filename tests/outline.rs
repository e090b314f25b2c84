//! What a trace may show of messages: no secret of any mechanism's exchange, however a message is damaged and whoever is said to have
//! sent it.

mod dialogue;

use authen_sasl_rust::contract::{Sent, Side};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::session::Outcome;

use dialogue::{Facts, Party, Seeded};

const SECRETS: [(&str, &str); 3] = [
    ("password", "Tr0ub4dor-marked-pw"),
    ("token", "vF9dft4qmTc2Nvb3RlckBhbHRh-marked"),
    ("ht-token", "secret-token:fast-marked-Q3c1bmQ"),
];

/// Runs an exchange that succeeds: its messages, in order.
fn messages(name: &str, facts: &Facts) -> Vec<(Side, Vec<u8>)> {
    let mut client = Party::new(Side::Client, name, facts, Box::new(Seeded(1))).remembering();
    let mut server = Party::new(Side::Server, name, facts, Box::new(Seeded(2))).remembering();
    let speaks = |outcome| matches!(outcome, Outcome::Send | Outcome::FailedWithMessage);
    let mut messages = Vec::new();
    let initial = speaks(client.start(None)).then(|| client.session.message().to_vec());
    messages.extend(initial.clone().map(|message| (Side::Client, message)));
    let mut outcome = server.start(initial.as_deref());
    while speaks(outcome) {
        messages.push((Side::Server, server.session.message().to_vec()));
        if !speaks(client.step(&messages[messages.len() - 1].1)) {
            break;
        }
        messages.push((Side::Client, client.session.message().to_vec()));
        outcome = server.step(&messages[messages.len() - 1].1);
    }
    assert!(server.session.is_success(), "{name}: {}", server.failure());
    messages
}

/// The message itself, cut, doubled, with bytes changed, and inside of other messages.
fn damages(message: &[u8]) -> Vec<Vec<u8>> {
    let mut damages = vec![message.to_vec(), message.repeat(2), message.repeat(3)];
    for at in 0..message.len() {
        damages.push(message[..at].to_vec());
        damages.push(message[at..].to_vec());
        for byte in [0, 1, b',', b'=', b' ', b'"', b'n', message[at] ^ 0x20] {
            let mut changed = message.to_vec();
            changed[at] = byte;
            damages.push(changed);
        }
    }
    for (before, after) in [
        ("n,,n=", ",r=x"),
        ("user=", "\x01auth=Bearer x\x01\x01"),
        ("username=\"", "\""),
        ("{\"status\":\"", "\"}"),
        ("e=", ""),
    ] {
        damages.push([before.as_bytes(), message, after.as_bytes()].concat());
    }
    damages
}

/// Runs of letters and digits in a message that are long enough to be a secret, and its end, where a proof of HT is.
fn proofs(message: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(message);
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/".contains(c)).filter(|run| run.len() >= 16);
    runs.map(str::to_owned).collect()
}

#[test]
fn no_outline_has_a_secret() {
    let facts = Facts::of(&[("authcid", "fred"), ("external-id", "fred"), ("service", "imap"), ("host", "h")]);
    let facts = SECRETS.iter().fold(facts, |facts, (name, value)| facts.with(name, value));
    let facts = facts.with("channel-binding", "tls-exporter 000102030405060708090a0b0c0d0e0f");
    let (mut shown, mut named) = (0, 0);
    for mechanism in mechanism::ALL {
        let messages = messages(mechanism.name, &facts.for_mechanism(mechanism.name));
        let placed = ["LOGIN", "OTP"].contains(&mechanism.name);
        let mut secrets: Vec<String> = SECRETS.iter().map(|(_, value)| (*value).to_owned()).collect();
        secrets.extend(messages.iter().flat_map(|(_, message)| proofs(message)));
        for (index, (sender, message)) in messages.iter().enumerate() {
            let of_sender = messages[..index].iter().filter(|(side, _)| side == sender).count() as u32;
            let own = mechanism.outline(&Sent { from: *sender, index: of_sender, bytes: message });
            // An empty challenge asks for an initial response; it has no name.
            assert!(own.is_some() || message.is_empty(), "{}: message {index} has no name", mechanism.name);
            named += 1;
            for bytes in damages(message) {
                // Messages of these are what their place makes them, so there the place is right.
                let places = if placed { of_sender..=of_sender } else { 0..=2 };
                for place in places {
                    for from in [Side::Client, Side::Server].into_iter().filter(|from| !placed || from == sender) {
                        let Some(outline) = mechanism.outline(&Sent { from, index: place, bytes: &bytes }) else {
                            continue;
                        };
                        let outline = outline.to_string();
                        let found = secrets.iter().find(|secret| outline.contains(&secret[..secret.len().min(20)]));
                        assert_eq!(found, None, "{} {from} {}: {outline}", mechanism.name, bytes.escape_ascii());
                        assert!(!outline.contains(char::is_control), "{outline}");
                        shown += 1;
                    }
                }
            }
        }
    }
    assert!(named > 80 && shown > 10_000, "{named} messages, {shown} outlines");
}

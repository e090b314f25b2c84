//! The real client against the real server of every mechanism, with one message damaged on the way.
//! No damage may panic, or let anybody in under another identity.

mod dialogue;

use std::panic::{catch_unwind, AssertUnwindSafe};

use authen_sasl_rust::contract::{Description, Side};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::session::Outcome;

use dialogue::{Facts, Party, Seeded};

/// Facts that every mechanism is content with.
fn facts() -> Facts {
    Facts::of(&[
        ("authcid", "fred"),
        ("authzid", "fred"),
        ("password", "pencil"),
        ("token", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
        ("ht-token", "secret-token:fast-Q3c1bmQgT2YgMTI4IGJpdHM"),
        ("realm", "example.com"),
        ("service", "imap"),
        ("host", "mail.example.com"),
        ("port", "143"),
        // The least, for all hashes.
        ("iterations", "4096"),
        ("external-id", "fred"),
        ("channel-binding", "tls-exporter 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ])
}

/// How an exchange ended.
struct End {
    /// The messages as sent, each with its sender.
    messages: Vec<(Side, Vec<u8>)>,
    client: bool,
    server: bool,
    authcid: Option<String>,
    authzid: Option<String>,
}

/// A damage to a message: `None` drops it, so that the peer gets an empty one.
type Damage<'d> = &'d dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// Runs an exchange; `damage` is done to the message of that number.
fn run(mechanism: &Description, facts: &Facts, at: usize, damage: Damage<'_>) -> End {
    let mut client = Party::new(Side::Client, mechanism.name, facts, Box::new(Seeded(1))).remembering();
    let mut server = Party::new(Side::Server, mechanism.name, facts, Box::new(Seeded(2))).remembering();
    let mut messages: Vec<(Side, Vec<u8>)> = Vec::new();
    let mut deliver = |sender: Side, message: &[u8]| {
        messages.push((sender, message.to_vec()));
        if messages.len() - 1 == at {
            damage(message).unwrap_or_default()
        } else {
            message.to_vec()
        }
    };
    let speaks = |outcome| matches!(outcome, Outcome::Send | Outcome::FailedWithMessage);
    let mut to_server = match client.start(None) {
        Outcome::Send => Some(deliver(Side::Client, client.session.message())),
        _ => None,
    };
    let mut begun = false;
    loop {
        let outcome = match (&to_server, begun) {
            (initial, false) => server.start(initial.as_deref()),
            (Some(message), true) => server.step(message),
            (None, true) => break,
        };
        begun = true;
        if !speaks(outcome) {
            break;
        }
        let to_client = deliver(Side::Server, server.session.message());
        to_server = speaks(client.step(&to_client)).then(|| deliver(Side::Client, client.session.message()));
    }
    let identity = server.session.identity();
    End {
        client: client.session.is_success(),
        server: server.session.is_success(),
        authcid: identity.authcid.as_deref().map(str::to_owned),
        authzid: identity.authzid.as_deref().map(str::to_owned),
        messages,
    }
}

fn untouched(message: &[u8]) -> Option<Vec<u8>> {
    Some(message.to_vec())
}

/// Every damage that one message gets, with its name.
fn damages(message: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let mut damages = vec![("dropped".to_owned(), None), ("doubled".to_owned(), Some(message.repeat(2)))];
    for length in 0..message.len() {
        damages.push((format!("cut to {length} bytes"), Some(message[..length].to_vec())));
    }
    for at in 0..message.len() {
        for byte in [message[at] ^ 1, message[at] ^ 0x20, message[at] ^ 0x80, 0, 1, b',', b'=', b'"'] {
            if byte != message[at] {
                let mut damaged = message.to_vec();
                damaged[at] = byte;
                damages.push((format!("byte {at} turned into {byte:#04x}"), Some(damaged)));
            }
        }
    }
    for at in 0..=message.len() {
        for byte in [0, b',', b'\\'] {
            let mut damaged = message.to_vec();
            damaged.insert(at, byte);
            damages.push((format!("byte {byte:#04x} inserted at {at}"), Some(damaged)));
        }
    }
    damages
}

#[test]
fn every_mechanism_succeeds_undamaged() {
    for mechanism in mechanism::ALL {
        let end = run(mechanism, &facts().for_mechanism(mechanism.name), usize::MAX, &untouched);
        assert!(end.client && end.server, "{}: client {} server {}", mechanism.name, end.client, end.server);
        let who = if mechanism.name == "ANONYMOUS" { "anonymous" } else { "fred" };
        assert_eq!(end.authcid.as_deref(), Some(who), "{}", mechanism.name);
    }
}

#[test]
fn no_damage_panics_or_changes_who_is_let_in() {
    // Each mechanism on a thread of its own: most of the time goes into the key derivations of SCRAM.
    std::thread::scope(|scope| {
        for mechanism in mechanism::ALL {
            scope.spawn(|| no_damage_helps(mechanism));
        }
    });
}

fn no_damage_helps(mechanism: &Description) {
    let facts = facts().for_mechanism(mechanism.name);
    let whole = run(mechanism, &facts, usize::MAX, &untouched);
    assert!(whole.client && whole.server, "{}", mechanism.name);
    for (at, (sender, message)) in whole.messages.iter().enumerate() {
        let mut refused = 0;
        for (what, damaged) in damages(message) {
            let name = format!("{}: message {at}, of the {sender}, {what}", mechanism.name);
            let end = catch_unwind(AssertUnwindSafe(|| run(mechanism, &facts, at, &|_| damaged.clone())));
            let end = end.unwrap_or_else(|_| panic!("{name}: a panic"));
            if end.server {
                assert_eq!(end.authcid, whole.authcid, "{name}");
                let acts_as = end.authzid.filter(|authzid| Some(authzid) != whole.authcid.as_ref());
                assert_eq!(acts_as, None, "{name}");
            } else {
                refused += 1;
            }
            // A mechanism in which the server proves itself says nothing good of a damaged message.
            if mutual(mechanism) {
                assert!(!(end.client && end.server), "{name}: both sides are content");
            }
        }
        // The check has teeth: of a message that carries a proof nearly every damage is noticed.
        if *sender == Side::Client && !["ANONYMOUS", "EXTERNAL"].contains(&mechanism.name) {
            assert!(refused > message.len(), "{}: message {at}: {refused}", mechanism.name);
        }
    }
}

/// SCRAM and HT: both sides prove knowledge of all messages.
fn mutual(mechanism: &Description) -> bool {
    ["SCRAM-", "HT"].iter().any(|family| mechanism.name.starts_with(family))
}

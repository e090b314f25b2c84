//! Known attacks on DIGEST-MD5, by their numbers, and damaged messages of every kind.

use std::collections::HashSet;

use crate::contract::{Property, Random};
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::session::pair::{run, Peer};
use crate::session::Outcome;
use crate::world::LocalWorld;

use super::tests::{answer, client, client_of, judge, server, text, CHALLENGE, RESPONSE, RSPAUTH};

/// CVE-2022-24407 and CVE-2026-107161: quotation marks and backslashes in names do no harm.
#[test]
fn cve_2022_24407_and_cve_2026_107161() {
    for nasty in
        ["\"", "\\", "\\\"", "\",username=\"root", "a\\", "x\",authzid=\"root\",y=\"", "\u{e9}\"\\\u{20ac}", "\t"]
    {
        let mut client = Peer::client("DIGEST-MD5", nasty, nasty).of("imap", "mail.example.org");
        client.values.push((Property::Authzid, nasty.into()));
        let mut server = Peer::server("DIGEST-MD5", Some(nasty)).of("imap", "mail.example.org");
        server.session.config.set("realm", Some(nasty)).unwrap();
        assert!(run(&mut client, &mut server), "{nasty:?}: {:?}", server.session.failure());
        let identity = server.session.identity();
        assert_eq!(identity.authcid.as_deref(), Some(nasty));
        assert_eq!(identity.authzid.as_deref(), Some(nasty));
        assert_eq!(identity.realm.as_deref(), Some(nasty));
    }
    let mut server = Peer::server("DIGEST-MD5", Some("x"));
    server.session.config.set("realm", Some(&"\"\\".repeat(512))).unwrap();
    assert_eq!(server.start(None), Outcome::Failed, "longer than a challenge may be");
    server.session.config.set("realm", Some("a\nb")).unwrap();
    assert_eq!(server.start(None), Outcome::Failed, "a line feed cannot be quoted");
    let error = answer(client_of("a\nb", "x"), CHALLENGE.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Application(_)), "{error}");
}

/// CVE-2025-40918: the cnonce comes from the operating system, not from time, process and rand.
#[test]
fn cve_2025_40918() {
    let mut seen = HashSet::new();
    for _ in 0..8 {
        let mut client = client();
        client.world = LocalWorld::default();
        let sent = answer(client, CHALLENGE.as_bytes()).unwrap();
        let cnonce = sent.split("cnonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(cnonce.len() >= 22, "128 bits in base64: {cnonce}");
        assert!(seen.insert(cnonce));
    }
    struct Dry;
    impl Random for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::System("dry"))
        }
    }
    let mut client = client();
    client.world = LocalWorld::with_random(Box::new(Dry));
    assert_eq!(answer(client, CHALLENGE.as_bytes()), Err(Error::System("dry")));
    let mut server = Peer::server("DIGEST-MD5", None);
    server.world = LocalWorld::with_random(Box::new(Dry));
    assert_eq!(server.start(None), Outcome::Failed);
}

/// CVE-2026-86219: a response that was right once is refused by another server object, and by the same one the second time.
#[test]
fn cve_2026_86219() {
    let mut first = server(Some("secret"));
    assert_eq!(first.step(RESPONSE.as_bytes()), Outcome::Send);
    assert_eq!(first.step(RESPONSE.as_bytes()), Outcome::Over);
    for initial in [None, Some(RESPONSE.as_bytes())] {
        let mut second = Peer::server("DIGEST-MD5", Some("secret")).of("imap", "elwood.innosoft.com");
        assert_eq!(second.start(initial), Outcome::Send);
        assert!(text(&second).contains("nonce=") && !second.session.is_success());
        assert_eq!(second.step(RESPONSE.as_bytes()), Outcome::Failed);
        assert!(matches!(second.error(), Error::PeerMisbehaved { reason: PeerMisbehaved::NonceMismatch, .. }));
        assert!(second.asked.is_empty());
    }
    for (count, reason) in [("00000002", Some(PeerMisbehaved::Replay)), ("00000000", Some(PeerMisbehaved::Replay))]
        .into_iter()
        .chain(["1", "0000000001", "0000001", "+0000001", "0000000g", "0x000001", ""].map(|count| (count, None)))
    {
        let error = judge(&RESPONSE.replace("nc=00000001", &format!("nc={count}"))).unwrap_err();
        match (&error, reason) {
            (Error::PeerMisbehaved { reason, .. }, Some(expected)) => assert_eq!(*reason, expected),
            (Error::Malformed { .. }, None) => {}
            _ => panic!("{count}: {error}"),
        }
    }
}

/// CVE-2006-1721: each directive missing or doubled, or all but one missing.
#[test]
fn cve_2006_1721() {
    let mut parts: Vec<&str> = CHALLENGE.split(',').collect();
    parts.extend(["maxbuf=65536", "cipher=\"rc4,3des\"", "stale=true", "future=\"x\""]);
    let full = parts.join(",");
    assert!(answer(client(), full.as_bytes()).is_ok());
    for (at, part) in parts.iter().enumerate() {
        let name = part.split('=').next().unwrap();
        let mut fewer = parts.clone();
        fewer.remove(at);
        let dropped = answer(client(), fewer.join(",").as_bytes());
        assert_eq!(dropped.is_err(), ["nonce", "algorithm"].contains(&name), "without {name}: {dropped:?}");
        let doubled = answer(client(), format!("{full},{part}").as_bytes());
        assert_eq!(doubled.is_ok(), ["realm", "future"].contains(&name), "twice {name}: {doubled:?}");
        assert!(answer(client(), part.as_bytes()).is_err());
    }

    let full = format!("{RESPONSE},maxbuf=65536,cipher=rc4,future=\"x\"");
    assert!(judge(&full).is_ok());
    let optional = ["charset", "qop", "maxbuf", "cipher", "future"];
    let parts: Vec<&str> = full.split(',').collect();
    for (at, part) in parts.iter().enumerate() {
        let name = part.split('=').next().unwrap();
        let mut fewer = parts.clone();
        fewer.remove(at);
        let dropped = judge(&fewer.join(","));
        assert_eq!(dropped.is_ok(), optional.contains(&name), "without {name}: {dropped:?}");
        let doubled = judge(&format!("{full},{part}"));
        assert_eq!(doubled.is_ok(), name == "future", "twice {name}: {doubled:?}");
        if name != "future" {
            assert!(matches!(doubled, Err(Error::Malformed { reason: Malformed::Duplicate(_), .. })));
        }
        assert!(judge(part).is_err());
    }
    assert!(judge(&format!("{RESPONSE},authzid=\"chris\",authzid=\"chris\"")).is_err());
}

/// No prefix and no flipped bit is accepted, except those that do not change the meaning. None causes a panic.
#[test]
fn every_mutation_and_truncation_fails() {
    let without_qop = RESPONSE.len() - "qop=auth".len();
    for length in 0..RESPONSE.len() {
        let complete = length == without_qop || length == without_qop - 1;
        assert_eq!(judge(&RESPONSE[..length]).is_ok(), complete, "{length}");
    }
    let ours = RESPONSE.to_lowercase();
    for message in damaged(RESPONSE) {
        let mut server = server(Some("secret"));
        if server.step(&message) == Outcome::Send {
            assert_eq!(text(&server), RSPAUTH);
            // The name of a directive in upper case, or an optional directive that has become an unknown one.
            let lower = String::from_utf8(message).unwrap().to_lowercase();
            let changed = lower.split(',').zip(ours.split(',')).find(|(theirs, part)| theirs != part);
            assert!(changed.is_none_or(|(_, part)| ["charset=utf-8", "qop=auth"].contains(&part)), "{lower}");
        }
    }
    for message in damaged(CHALLENGE) {
        let mut client = client();
        if client.step(&message) == Outcome::Send {
            assert!(!client.session.is_success(), "only the server's proof makes a success");
            assert_eq!(client.step(b"rspauth=00000000000000000000000000000000"), Outcome::Failed);
        }
    }
    for message in damaged(RSPAUTH) {
        let mut client = client();
        client.step(CHALLENGE.as_bytes());
        let same = message.to_ascii_lowercase().starts_with(b"rspauth=") && message.ends_with(&RSPAUTH.as_bytes()[8..]);
        assert_eq!(client.step(&message) == Outcome::Absent, same, "{}", message.escape_ascii());
    }
}

/// The message with each of its bits flipped.
fn damaged(message: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..message.len() * 8).map(|bit| {
        let mut message = message.as_bytes().to_vec();
        message[bit / 8] ^= 1 << (bit % 8);
        message
    })
}

//! Known attacks that do not live inside one mechanism; each test bears its number.

mod dialogue;

use std::path::Path;

use authen_sasl_rust::contract::{Abilities, Answer, Question, Side, TokenVerdict, MESSAGE_LIMIT};
use authen_sasl_rust::error::{Error, Malformed, Misuse, Policy, Refused};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::{Outcome, Session};
use authen_sasl_rust::store::verifier::Verifier;
use authen_sasl_rust::wire::scram;
use authen_sasl_rust::world::LocalWorld;

use dialogue::{Facts, Party, Seeded};

const TOKEN: (&str, &str) = ("token", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
const HT_TOKEN: (&str, &str) = ("ht-token", "secret-token:fast-Q3c1bmQgT2YgMTI4IGJpdHM");
const BINDING: (&str, &str) = ("channel-binding", "tls-exporter 00112233445566778899aabbccddeeff");

fn party<'f>(side: Side, mechanism: &str, facts: &'f Facts) -> Party<'f> {
    let seed = if side == Side::Client { 1 } else { 2 };
    Party::new(side, mechanism, facts, Box::new(Seeded(seed))).remembering()
}

/// Runs an exchange to its end.
fn run<'f>(mechanism: &str, facts: &'f Facts) -> (Party<'f>, Party<'f>) {
    let (mut client, mut server) = (party(Side::Client, mechanism, facts), party(Side::Server, mechanism, facts));
    let speaks = |outcome| matches!(outcome, Outcome::Send | Outcome::FailedWithMessage);
    let initial = speaks(client.start(None)).then(|| client.session.message().to_vec());
    let mut outcome = server.start(initial.as_deref());
    while speaks(outcome) && speaks(client.step(server.session.message())) {
        outcome = server.step(client.session.message());
    }
    (client, server)
}

fn able(side: Side) -> Session {
    let mut session = Session::new(side, authen_sasl_rust::mechanism::registry());
    session.config.abilities = Abilities(!Abilities::ACTS_AS_OTHER.0);
    session
}

fn error(session: &Session) -> Option<&Error> {
    session.failure().map(|failure| &failure.error)
}

/// Garbage mechanism names of every length up to 64 KiB: refused, with an error of sane length.
#[test]
fn cve_2019_19906() {
    let lengths = (0..=1024).chain([4095, 4096, 4097, 32_767, 32_768, 65_535, 65_536]);
    for length in lengths {
        for unit in ["x", "\0", "\u{e4}", "X ", "-", "%n", "\"\\"] {
            let name: String = unit.chars().cycle().take(length).collect();
            for side in [Side::Client, Side::Server] {
                let refused = able(side).negotiate(&name).unwrap_err();
                assert!(matches!(refused, Error::Policy(Policy::NoMechanism(_))), "{length} {unit:?}");
                assert!(refused.to_string().len() < 8192, "{length} {unit:?}: {}", refused.to_string().len());
                assert!(able(side).pick(&name).is_err(), "{length} {unit:?}");
            }
        }
    }
    // Garbage does not hide a good name that stands beside it, nor does a longer name count as it.
    assert_eq!(able(Side::Client).negotiate(&format!("{} PLAIN", "x".repeat(65_536))).unwrap().name, "PLAIN");
    assert!(able(Side::Client).negotiate("PLAINX XPLAIN PLAIN_ -PLAIN PLAIN\u{e4}X_").is_ok_and(|m| m.name == "PLAIN"));
    assert!(able(Side::Client).negotiate("PLAINX XPLAIN PLAIN_ -PLAIN").is_err());
}

/// Base64 of each length, wherever a peer or the application sends any: a text is decoded to
/// exactly its bytes, or refused.
#[test]
fn cve_2009_0688() {
    type Place = (&'static str, fn(&str) -> Option<Vec<u8>>);
    let places: [Place; 6] = [
        ("decoder", |text| scram::base64(text)),
        ("salt", |text| {
            let message = format!("r=x,s={text},i=4096");
            scram::ServerFirst::parse(message.as_bytes()).ok().map(|first| first.salt.into_owned())
        }),
        ("binding", |text| {
            let message = format!("c={text},r=x,p=AAAA");
            scram::ClientFinal::parse(message.as_bytes()).ok().map(|last| last.binding)
        }),
        ("proof", |text| {
            let message = format!("c=biws,r=x,p={text}");
            scram::ClientFinal::parse(message.as_bytes()).ok().map(|last| last.proof)
        }),
        ("signature", |text| match scram::ServerFinal::parse(format!("v={text}").as_bytes()) {
            Ok(scram::ServerFinal::Verifier(signature)) => Some(signature),
            _ => None,
        }),
        ("stored salt", |text| {
            let key = "A".repeat(27) + "=";
            let stored = Secret::from(format!("SCRAM-SHA-1$4096:{text}${key}:{key}"));
            Verifier::read(&stored).ok().flatten().map(|verifier| verifier.salt.to_vec())
        }),
    ];
    for length in 0..=1024 {
        let digits = "A".repeat(length);
        for end in ["", "=", "==", "===", "\n", "-", "B==", "B="] {
            let text = format!("{digits}{end}");
            // One digit more than whole bytes need, or bits of no byte, are as wrong as a wrong padding.
            let bytes = match (end, length % 4) {
                ("", 0) if length > 0 => Some(length / 4 * 3),
                ("=", 3) => Some(length / 4 * 3 + 2),
                ("==", 2) => Some(length / 4 * 3 + 1),
                _ => None,
            };
            for (place, decode) in &places {
                assert_eq!(decode(&text), bytes.map(|count| vec![0; count]), "{place}: {length} times A and {end:?}");
            }
        }
    }
}

/// Long names, and the metacharacters of LDAP filters, reach the application as they were sent.
#[test]
fn cve_2002_1347() {
    let names =
        ["*)(uid=*))(|(uid=*", "a\\2a\\28\\29", "fred,ou=people", "CN=\"fred\"+x<y>;#", "%s%n%x", "a/b@c:d&e!f"]
            .map(str::to_owned);
    let long = [255, 256, 257, 1023, 65_536, 1 << 19].map(|length| "u".repeat(length));
    for mechanism in mechanism::ALL.iter().filter(|m| !["ANONYMOUS", "EXTERNAL"].contains(&m.name)) {
        for name in names.iter().chain(&long) {
            let facts =
                Facts::of(&[("authcid", name), ("password", "pencil"), ("host", "h"), TOKEN, HT_TOKEN, BINDING]);
            let facts = facts.for_mechanism(mechanism.name);
            let (client, server) = run(mechanism.name, &facts);
            let start = &name[..name.len().min(20)];
            let (client, said) = (client.failure(), server.failure());
            if client.contains("TooLong") || client.contains("longer than") || said.contains("longer than") {
                // A mechanism's own limit (RFC 2831 §2.1.2 has 4096 bytes) refuses; it never cuts.
                assert!(name.len() > 1024, "{} {start}: {client} {said}", mechanism.name);
                continue;
            }
            assert!(server.session.is_success(), "{} {start} ({}): {client} {said}", mechanism.name, name.len());
            assert_eq!(server.session.identity().authcid.as_deref(), Some(name.as_str()), "{}", mechanism.name);
        }
    }
}

/// Another authorization identity is denied in every mechanism, unless the application allows it.
#[test]
fn cve_2017_12610() {
    let facts = Facts::of(&[
        ("authcid", "fred"),
        ("authzid", "root"),
        ("password", "pencil"),
        ("external-id", "fred"),
        ("host", "h"),
        TOKEN,
        HT_TOKEN,
        BINDING,
    ]);
    let (allowed, denied) = (facts.clone().with("authorize", "yes"), facts.clone().with("authorize", "no"));
    let mut carry = Vec::new();
    for mechanism in mechanism::ALL {
        let [facts, allowed, denied] = [&facts, &allowed, &denied].map(|facts| facts.for_mechanism(mechanism.name));
        let (_, server) = run(mechanism.name, &allowed);
        assert!(server.session.is_success(), "{}: {}", mechanism.name, server.failure());
        if server.session.identity().authzid.is_none() {
            continue;
        }
        carry.push(mechanism.name);
        assert_eq!(server.session.identity().authcid.as_deref(), Some("fred"), "{}", mechanism.name);
        assert_eq!(server.session.identity().authzid.as_deref(), Some("root"), "{}", mechanism.name);
        for facts in [&facts, &denied] {
            let (_, server) = run(mechanism.name, facts);
            let refused = Refused::Authorization { authcid: "fred".into(), authzid: "root".into() };
            assert_eq!(error(&server.session), Some(&Error::Refused(refused)), "{}", mechanism.name);
            assert!(!server.session.is_success(), "{}", mechanism.name);
        }
    }
    for name in ["EXTERNAL", "PLAIN", "OAUTHBEARER", "OTP"] {
        assert!(carry.contains(&name), "{name} carries an authorization identity");
    }
    let unable = |name: &&str| ["ANONYMOUS", "LOGIN", "CRAM-MD5", "XOAUTH2"].contains(name) || name.starts_with("HT");
    assert!(mechanism::ALL.iter().map(|m| m.name).filter(|name| !unable(name)).all(|name| carry.contains(&name)));
}

/// A server without a token validator refuses tokens, also where the mechanism is named outright.
#[test]
fn cve_2026_33557() {
    for (name, message) in
        [("OAUTHBEARER", &b"n,,\x01auth=Bearer abc\x01\x01"[..]), ("XOAUTH2", b"user=fred\x01auth=Bearer abc\x01\x01")]
    {
        let mut server = able(Side::Server);
        server.config.abilities = Abilities(!Abilities::CHECK_TOKEN.0);
        let refused = server.negotiate(name).unwrap_err().to_string();
        assert!(refused.contains("there is no token check"), "{refused}");
        server.pick(name).unwrap();
        assert_eq!(server.start(Some(message), &mut LocalWorld::default().lend()), Outcome::Failed);
        assert!(matches!(error(&server), Some(Error::Policy(Policy::NoMechanism(_)))), "{name}");
        // The validator alone makes the difference.
        server.config.abilities = Abilities::CHECK_TOKEN;
        assert_eq!(server.start(Some(message), &mut LocalWorld::default().lend()), Outcome::Ask);
    }
}

/// CVE-2026-110985: the signature of a token was skipped. Here nothing but the validator's word counts: it gets the token as it
/// came, and what the token says of itself is nobody's identity.
#[test]
fn cve_2026_110985() {
    // {"alg":"none"} and {"sub":"root"}, without a signature, with an empty one, and with one of nobody's.
    for token in ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.", "e.e.AAAA"] {
        for (name, message) in [
            ("OAUTHBEARER", format!("n,a=root,\x01auth=Bearer {token}\x01\x01")),
            ("XOAUTH2", format!("user=root\x01auth=Bearer {token}\x01\x01")),
        ] {
            let judged = |verdict: TokenVerdict| {
                let mut world = LocalWorld::default();
                let mut server = able(Side::Server);
                server.config.abilities = Abilities::CHECK_TOKEN;
                server.pick(name).unwrap();
                assert_eq!(server.start(Some(message.as_bytes()), &mut world.lend()), Outcome::Ask);
                match server.question() {
                    Some(Question::Token { token: asked, .. }) => assert!(asked.ct_eq(token.as_bytes()), "{name}"),
                    other => panic!("{other:?}"),
                }
                server.answer(Answer::Token(verdict), &mut world.lend());
                server
            };
            let rejected =
                TokenVerdict::Rejected { status: "invalid_token".into(), scope: None, openid_configuration: None };
            assert!(!judged(rejected).is_success(), "{name}");
            // A token of fred's is no way to be root, whatever it says.
            let of_fred = judged(TokenVerdict::Accepted { authcid: "fred".into() });
            assert!(!of_fred.is_success() && of_fred.identity().authcid.is_none(), "{name}");
            let of_root = judged(TokenVerdict::Accepted { authcid: "root".into() });
            assert_eq!(of_root.identity().authcid.as_deref(), Some("root"), "{name}");
        }
    }
}

/// The core fetches no URL: it has no network, starts no program, and reads no environment and no
/// file (CVE-2004-0884, whose SASL_PATH was believed). What does is in crates/.
#[test]
fn cve_2025_27817() {
    const FORBIDDEN: [&str; 8] =
        ["std::net", "os::unix::net", "TcpStream", "UdpSocket", "std::process", "std::env", "std::fs", "File::open"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a source in UTF-8");
            files += 1;
            // Documentation may bring the socket that the core does not have.
            let code = |line: &&str| !line.trim_start().starts_with("//");
            for line in source.lines().filter(code) {
                let word = FORBIDDEN.iter().find(|word| line.contains(**word));
                assert_eq!(word, None, "{}", path.display());
            }
        }
    }
    assert!(files > 20, "{files} sources");

    let manifest = include_str!("../Cargo.toml");
    for client in ["reqwest", "hyper", "ureq", "curl", "tokio", "socket2", "openidconnect"] {
        assert!(!manifest.lines().any(|line| line.starts_with(client)), "the core depends on {client}");
    }
}

/// The URL of an error object goes to the application as text, and the exchange fails.
#[test]
fn cve_2025_27817_the_url_is_only_shown() {
    let facts = Facts::of(&[
        ("authcid", "fred"),
        TOKEN,
        ("refuse-status", "invalid_token"),
        ("refuse-configuration", "http://127.0.0.1:1/.well-known/openid-configuration"),
    ]);
    let (client, server) = run("OAUTHBEARER", &facts);
    assert!(client.failure().contains("http://127.0.0.1:1/.well-known/openid-configuration"), "{}", client.failure());
    assert_eq!(error(&server.session), Some(&Error::Refused(Refused::Token)));
}

/// No acceptable mechanism means none, not any; and none picked means none.
#[test]
fn cve_2026_107314() {
    for side in [Side::Client, Side::Server] {
        for list in ["", " ", "\t\n", ",", "\0", "*", "()", "\u{2014}"] {
            let mut session = able(side);
            let refused = session.negotiate(list).unwrap_err();
            assert_eq!(refused, Policy::NoMechanism([].into()).into(), "{list:?}");
            assert!(session.mechanism().is_none());
        }
        // All that is named is forbidden: none is left.
        let mut session = able(side);
        session.config.set("secflags", Some("noplaintext noactive nodictionary forward_secrecy")).unwrap();
        session.config.set("minssf", Some("4000000000")).unwrap();
        let all: Vec<&str> = mechanism::ALL.iter().map(|m| m.name).collect();
        assert!(session.negotiate(&all.join(" ")).is_err());
        assert!(session.mechanism().is_none());
        assert_eq!(session.start(None, &mut LocalWorld::default().lend()), Outcome::Failed);
        assert_eq!(error(&session), Some(&Error::Misuse(Misuse::SeveralMechanisms)));
        assert!(!session.is_success());
    }
}

/// What may not travel readable is never chosen without TLS where `noplaintext` was demanded.
#[test]
fn tokens_and_passwords_need_tls() {
    let readable = "PLAIN LOGIN OAUTHBEARER XOAUTH2";
    let mut session = able(Side::Client);
    assert_eq!(session.negotiate(readable).unwrap().name, "OAUTHBEARER");
    session.config.set("secflags", Some("noplaintext")).unwrap();
    let refused = session.negotiate(readable).unwrap_err().to_string();
    assert_eq!(refused.matches("it does not satisfy the security flag noplaintext").count(), 4, "{refused}");
    session.config.set("externalssf", Some("128")).unwrap();
    assert_eq!(session.negotiate("LOGIN XOAUTH2 PLAIN").unwrap().name, "XOAUTH2");
    assert_eq!(session.negotiate("LOGIN PLAIN").unwrap().name, "LOGIN");
    assert_eq!(session.negotiate("PLAIN LOGIN").unwrap().name, "PLAIN");
}

/// A message above the limit is not even parsed, on either side, first or later.
#[test]
fn longer_messages_than_the_limit_are_refused() {
    let facts =
        Facts::of(&[("authcid", "fred"), ("password", "pencil"), ("external-id", "fred"), TOKEN, HT_TOKEN, BINDING]);
    let (limit, above) = (vec![b'x'; MESSAGE_LIMIT], vec![b'x'; MESSAGE_LIMIT + 1]);
    let too_long = Error::malformed("message", Malformed::TooLong { field: "it", limit: MESSAGE_LIMIT });
    for mechanism in mechanism::ALL {
        let facts = facts.for_mechanism(mechanism.name);
        let mut server = party(Side::Server, mechanism.name, &facts);
        assert_eq!(server.start(Some(&above)), Outcome::Failed, "{}", mechanism.name);
        assert_eq!(error(&server.session), Some(&too_long), "{}", mechanism.name);
        server.start(Some(&limit));
        assert_ne!(error(&server.session), Some(&too_long), "{}", mechanism.name);

        assert_eq!(server.start(None), Outcome::Send, "{}", mechanism.name);
        assert_eq!(server.step(&above), Outcome::Failed, "{}", mechanism.name);
        assert_eq!(error(&server.session), Some(&too_long), "{}", mechanism.name);

        let mut client = party(Side::Client, mechanism.name, &facts);
        client.start(None);
        let outcome = client.step(&above);
        if outcome == Outcome::Over {
            assert_eq!(mechanism.first, Side::Client, "{}", mechanism.name);
        } else {
            assert_eq!(outcome, Outcome::Failed, "{}", mechanism.name);
            assert_eq!(error(&client.session), Some(&too_long), "{}", mechanism.name);
        }
    }
}

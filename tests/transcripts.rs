//! The transcripts of `docs/auth-line-protocol.md` are what the two ends say: the server hears the client's lines and says
//! the server's, to the byte; where a transcript begins with the list, the client the other way round.

mod dialogue;

use std::path::Path;

use authen_sasl_rust::authline::client::{Client, Event as ClientEvent, LoginError};
use authen_sasl_rust::authline::server::{Event, Server};
use authen_sasl_rust::contract::{Random, Side};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::world::LocalWorld;

use dialogue::{answer, session, Facts};

/// What both sides of a section's transcripts know, and the nonces that they draw.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "SCRAM (RFC 5802, RFC 7677): the server sends the last message",
        &[SCRAM_USER, SCRAM_PASSWORD, SCRAM_KEY, SCRAM_C, SCRAM_S],
    ),
    (
        "SCRAM with channel binding",
        &[
            SCRAM_USER,
            SCRAM_PASSWORD,
            SCRAM_KEY,
            SCRAM_C,
            SCRAM_S,
            ("channel-binding", "tls-exporter 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
        ],
    ),
    ("PLAIN (RFC 4616)", &[TIM, TIMS_PASSWORD]),
    ("LOGIN: the server sends first", &[TIM, TIMS_PASSWORD]),
    (
        "CRAM-MD5 (RFC 2195)",
        &[TIM, TIMS_PASSWORD, ("host", "postoffice.reston.mci.net"), ("server-nonce", "1896.697170952")],
    ),
    (
        "DIGEST-MD5 (RFC 2831)",
        &[
            ("authcid", "chris"),
            ("password", "secret"),
            ("service", "imap"),
            ("host", "elwood.innosoft.com"),
            ("server-nonce", "OA6MG9tEQGm2hh"),
        ],
    ),
    ("EXTERNAL (RFC 4422 Appendix A)", &[("external-id", "CN=fred,O=Example"), ("authorize", "yes")]),
    ("ANONYMOUS (RFC 4505)", &[]),
    (
        "OAUTHBEARER (RFC 7628)",
        &[("authcid", "user@example.com"), ("token", RFC_TOKEN), ("refuse-scope", "example_scope")],
    ),
    (
        "XOAUTH2",
        &[("authcid", "someuser@example.com"), ("token", GMAIL_TOKEN), ("refuse-scope", "https://mail.google.com/")],
    ),
    ("A server without AUTH", &[]),
];

const SCRAM_USER: (&str, &str) = ("authcid", "user");
const SCRAM_PASSWORD: (&str, &str) = ("password", "pencil");
const SCRAM_KEY: (&str, &str) = (
    "verifier",
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
);
const SCRAM_C: (&str, &str) = ("client-nonce", "rOprNGfwEbeRWgbNEkqO");
const SCRAM_S: (&str, &str) = ("server-nonce", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
const TIM: (&str, &str) = ("authcid", "tim");
const TIMS_PASSWORD: (&str, &str) = ("password", "tanstaaftanstaaf");
const RFC_TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
const GMAIL_TOKEN: &str = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";

/// Draws the nonce of a transcript, and nothing else.
struct Nonce(String);

impl Random for Nonce {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::System("a transcript fixes a nonce and nothing else"))
    }

    fn nonce(&mut self) -> Result<String, Error> {
        Ok(self.0.clone())
    }
}

fn world(side: Side, facts: &Facts) -> LocalWorld {
    LocalWorld::with_random(Box::new(Nonce(facts.text(&format!("{side}-nonce")).unwrap_or_default().to_owned())))
}

/// One side's lines, as they travel.
fn stream(block: &str, side: &str) -> Vec<u8> {
    let unescaped = |line: &str| line.replace("\\x01", "\x01").replace("\\0", "\0").into_bytes();
    block
        .lines()
        .filter_map(|line| line.strip_prefix(side))
        .flat_map(|line| [unescaped(line), b"\r\n".to_vec()].concat())
        .collect()
}

/// What the server says to these bytes, and how often it let somebody in.
fn served(mechanisms: &str, facts: &Facts, said: &[u8]) -> (Vec<u8>, usize) {
    let mut server = Server::new(mechanisms, authen_sasl_rust::mechanism::registry());
    server.session = session(Side::Server, facts);
    let mut world = world(Side::Server, facts);
    let (mut output, mut opened, mut rest) = (Vec::new(), 0, said);
    loop {
        match server.receive(&mut rest, &mut world.lend()) {
            Event::Read => break,
            Event::Ask => {
                let answer = answer(server.question().expect("a question"), facts);
                server.answer(answer, &mut world.lend());
            }
            Event::Authenticated => {
                server.accept();
                opened += 1;
            }
            Event::Open => {
                assert!(rest.is_empty(), "the dialogue goes on after OK");
                break;
            }
            Event::Failed(_) => {}
            event => panic!("{event:?}"),
        }
        output.extend(server.output());
    }
    output.extend(server.output());
    (output, opened)
}

/// What the client says to these bytes, and how it ends.
fn told(mechanisms: &str, facts: &Facts, said: &[u8]) -> (Vec<u8>, ClientEvent) {
    let mut client = Client::new(mechanisms, authen_sasl_rust::mechanism::registry());
    client.session = session(Side::Client, facts);
    let mut world = world(Side::Client, facts);
    client.begin();
    let (mut output, mut rest) = (Vec::new(), said);
    loop {
        output.extend_from_slice(client.output().expose());
        match client.receive(&mut rest, &mut world.lend()) {
            ClientEvent::Ask => {
                let answer = answer(client.question().expect("a question"), facts);
                client.answer(answer, &mut world.lend());
            }
            ClientEvent::Read if !rest.is_empty() => {}
            event => {
                output.extend_from_slice(client.output().expose());
                return (output, event);
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[test]
fn both_ends_say_what_the_transcripts_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/auth-line-protocol.md");
    let document = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut servers, mut clients) = (0, 0);
    for section in document.split("\n### ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        for block in section.split("```transcript\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let facts =
                SECTIONS.iter().find(|(name, _)| *name == title).unwrap_or_else(|| panic!("no facts of {title}"));
            let mut facts = Facts::of(facts.1);
            let (requests, replies) = (stream(block, "C: "), stream(block, "S: "));
            let offered = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN EXTERNAL ANONYMOUS OAUTHBEARER XOAUTH2";
            let listed = block
                .strip_prefix("C: auth-list-mechanisms\nS: OK ")
                .and_then(|rest| rest.lines().nth(1)?.strip_prefix("S: "));
            if block.contains("invalid_token") || block.contains("\"401\"") {
                facts = facts.with("refuse-status", "invalid_token");
            }
            if title == "A server without AUTH" {
                let (said, event) = told("PLAIN", &facts, &replies);
                assert_eq!((said, event), (requests, ClientEvent::Failed(LoginError::NoAuth)), "{title}");
                clients += 1;
                continue;
            }
            let (said, opened) = served(listed.unwrap_or(offered), &facts, &requests);
            assert_eq!(text(&said), text(&replies), "{title}: the server");
            assert_eq!(opened, block.matches("S: OK").count() - usize::from(listed.is_some()), "{title}: who is in");
            servers += 1;
            if listed.is_some() {
                let chosen = block.lines().find_map(|line| line.strip_prefix("C: auth-start ")?.split(' ').next());
                let (said, event) = told(chosen.expect("a mechanism"), &facts, &replies);
                assert_eq!(text(&said), text(&requests), "{title}: the client");
                assert_eq!(event, ClientEvent::Done, "{title}: the client");
                clients += 1;
            }
        }
    }
    assert_eq!(
        SECTIONS.len(),
        document.split("\n### ").skip(1).filter(|section| section.contains("```transcript")).count()
    );
    assert!(servers >= 16 && clients >= 4, "{servers} and {clients}");
}

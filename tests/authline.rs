//! The AUTH line protocol: messages to bytes and back at any split, limits, whole dialogues of every
//! mechanism, damage, and the transcripts of its specification.

mod dialogue;

use std::path::Path;

use authen_sasl_rust::authline::client::{Client, Event as ClientEvent, LoginError};
use authen_sasl_rust::authline::decoder::{Decoder, Message};
use authen_sasl_rust::authline::reply::{Reply, Word};
use authen_sasl_rust::authline::request::Request;
use authen_sasl_rust::authline::server::{Event, Server};
use authen_sasl_rust::authline::{Fault, LINE_LIMIT, TOKEN_LIMIT};
use authen_sasl_rust::contract::{Abilities, Random, Side};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::world::LocalWorld;

use dialogue::{answer, remembering, session, Facts, Seeded};

/// Numbers below a bound, the same ones in each run.
struct Dice(Seeded);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).expect("bytes");
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(most + 1)];
        self.0.fill(&mut bytes).expect("bytes");
        // The bytes that matter to the protocol come up often.
        for byte in &mut bytes {
            if self.below(4) == 0 {
                *byte = b"\r\n 0\0"[self.below(5)];
            }
        }
        bytes
    }

    fn request(&mut self) -> Request {
        let data = Secret::from(self.bytes(300));
        match self.below(6) {
            0 => Request::List,
            1 => Request::Quit,
            2 => Request::Step(data),
            3 => Request::Start { mechanism: "X".repeat(1 + self.below(32)), initial: None },
            4 => Request::Start { mechanism: "SCRAM-SHA-256_9".into(), initial: Some(data) },
            _ => Request::Other(b"put 1 2 3 4".to_vec()),
        }
    }

    fn reply(&mut self) -> Reply {
        let data = Secret::from(self.bytes(300));
        match self.below(5) {
            0 => Reply::Ok(None),
            1 => Reply::Ok(Some(data)),
            2 => Reply::Continue(data),
            3 => Reply::Word(Word::ALL[self.below(6)]),
            _ => Reply::Other(b"INSERTED 17".to_vec()),
        }
    }
}

/// Decodes a stream that comes in pieces of at most `piece` bytes.
fn decode<M: Message>(stream: &[u8], mut piece: impl FnMut() -> usize) -> Result<Vec<M>, Fault> {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(piece().clamp(1, rest.len()));
        rest = later;
        while let Some(message) = decoder.next(&mut now)? {
            messages.push(message);
        }
        assert!(now.is_empty(), "bytes were left although the decoder wants more");
    }
    assert!(!decoder.is_inside(), "a message is incomplete");
    Ok(messages)
}

fn there_and_back<M: Message>(dice: &mut Dice, make: impl Fn(&mut Dice) -> M) {
    for _ in 0..400 {
        let stream: Vec<Vec<u8>> = (0..1 + dice.below(5)).map(|_| make(dice).to_bytes()).collect();
        let whole = stream.concat();
        for most in [1, 2, 3, 50, whole.len()] {
            let decoded: Vec<M> = decode(&whole, || 1 + dice.below(most)).expect("well-formed messages");
            let again: Vec<Vec<u8>> = decoded.iter().map(M::to_bytes).collect();
            assert_eq!(again, stream);
        }
    }
}

#[test]
fn messages_survive_any_split() {
    let mut dice = Dice(Seeded(6));
    there_and_back(&mut dice, Dice::request);
    there_and_back(&mut dice, Dice::reply);
}

fn fault_of<M: Message>(stream: &[u8]) -> Fault {
    let whole = decode::<M>(stream, || stream.len()).err();
    let single = decode::<M>(stream, || 1).err();
    assert_eq!(whole, single, "{:?}", String::from_utf8_lossy(stream));
    whole.unwrap_or_else(|| panic!("no fault in {:?}", String::from_utf8_lossy(stream)))
}

#[test]
fn malformed_requests_are_faults() {
    for line in [
        "auth-start",
        "auth-start ",
        "auth-start  5",
        "auth-start plain 5",
        "auth-start PLAIN -1",
        "auth-start PLAIN +1",
        "auth-start PLAIN 01",
        "auth-start PLAIN 00",
        "auth-start PLAIN 1 ",
        "auth-start PLAIN 1 1",
        "auth-start PLAIN ",
        "auth-start PLAIN 1x",
        "auth-start PLAIN 0x1",
        "auth-start PLAIN 1234567890",
        "auth-start PLAIN 99999999999999999999999",
        "auth-start PLAIN\t5",
        "auth-start PL\0AIN",
        "auth-start PL\u{c4}IN",
        "auth-start AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD",
        "auth-step",
        "auth-step ",
        "auth-step -1",
        "auth-step 1 1",
        "auth-list-mechanisms ",
        "auth-list-mechanisms PLAIN",
    ] {
        let fault = fault_of::<Request>(format!("{line}\r\n").as_bytes());
        assert!(matches!(fault, Fault::Syntax(_)), "{line}: {fault}");
        assert_eq!(Word::from(fault), Word::BadFormat);
    }
    for line in ["auth-list-mechanisms\n", "\n", "quit\n", "auth-step 1\n"] {
        assert_eq!(fault_of::<Request>(line.as_bytes()), Fault::BareLineFeed, "{line:?}");
    }
    for stream in ["auth-step 1\r\nab\r\n", "auth-step 0\r\nab", "auth-step 1\r\na\n", "auth-step 1\r\na\rb"] {
        assert_eq!(fault_of::<Request>(stream.as_bytes()), Fault::ExpectedCrlf, "{stream:?}");
    }
    for reply in ["OK ", "OK -1", "CONTINUE ", "CONTINUE x", "OK 007"] {
        let fault = fault_of::<Reply>(format!("{reply}\r\n").as_bytes());
        assert!(matches!(fault, Fault::Syntax(_)), "{reply}: {fault}");
    }
}

#[test]
fn limits_hold_before_anything_is_stored() {
    // A line: as soon as it is too long, whether or not its end ever comes.
    let longest = [vec![b'x'; LINE_LIMIT - 2], b"\r\n".to_vec()].concat();
    assert_eq!(decode::<Request>(&longest, || 7).expect("a line within the limit").len(), 1);
    for length in [LINE_LIMIT, LINE_LIMIT + 1, 100_000] {
        assert_eq!(fault_of::<Request>(&vec![b'x'; length]), Fault::LineTooLong, "{length}");
    }
    // A token: by its announcement.
    let above = format!("auth-step {}\r\n", TOKEN_LIMIT + 1);
    assert_eq!(fault_of::<Request>(above.as_bytes()), Fault::TooBig { size: TOKEN_LIMIT + 1, limit: TOKEN_LIMIT });
    assert_eq!(Word::from(fault_of::<Request>(b"auth-start PLAIN 999999999\r\n")), Word::TooBig);
    let at = [format!("auth-step {TOKEN_LIMIT}\r\n").as_bytes(), &vec![0; TOKEN_LIMIT], b"\r\n"].concat();
    assert_eq!(decode::<Request>(&at, || 1000).expect("a token within the limit").len(), 1);
    // A fault stays one.
    let mut decoder = Decoder::<Request>::default();
    assert!(decoder.next(&mut &b"auth-step x\r\n"[..]).is_err());
    assert!(decoder.next(&mut &b"quit\r\n"[..]).is_err());
}

const TOKEN: (&str, &str) = ("token", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");

fn facts(mechanism: &str) -> Facts {
    let binding = ("channel-binding", "tls-exporter 00112233445566778899aabbccddeeff");
    Facts::of(&[
        ("authcid", "fred"),
        ("password", "pencil"),
        ("external-id", "fred"),
        ("service", "beanstalkd"),
        ("host", "queue.example.org"),
        TOKEN,
        ("ht-token", "secret-token:fast-Q3c1bmQgT2YgMTI4IGJpdHM"),
        binding,
    ])
    .for_mechanism(mechanism)
}

/// Both ends, joined by two streams.
struct Line<'f> {
    client: Client,
    server: Server,
    client_world: LocalWorld,
    server_world: LocalWorld,
    client_facts: &'f Facts,
    server_facts: &'f Facts,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    /// The last event of either end.
    client_event: ClientEvent,
    server_event: Option<Event>,
}

impl<'f> Line<'f> {
    fn new(mechanism: &str, client_facts: &'f Facts, server_facts: &'f Facts) -> Self {
        let mut client = Client::new(mechanism, authen_sasl_rust::mechanism::registry());
        client.session = session(Side::Client, client_facts);
        let mut server = Server::new(mechanism, authen_sasl_rust::mechanism::registry());
        server.session = session(Side::Server, server_facts);
        client.begin();
        Line {
            client,
            server,
            client_world: remembering(LocalWorld::with_random(Box::new(Seeded(1))), client_facts),
            server_world: remembering(
                LocalWorld::with_random(Box::new(Seeded(2))).with_clock(|| 1_800_000_000),
                server_facts,
            ),
            client_facts,
            server_facts,
            to_client: Vec::new(),
            to_server: Vec::new(),
            client_event: ClientEvent::Read,
            server_event: None,
        }
    }

    /// Lets each end take what the other has said, in pieces of `piece` bytes, until nothing more is said.
    fn run(&mut self, piece: usize, mut damage: impl FnMut(&mut Vec<u8>)) {
        loop {
            let mut said = self.client.output().expose().to_vec();
            damage(&mut said);
            self.to_server.extend(said);
            let mut answered = self.server.output();
            damage(&mut answered);
            self.to_client.extend(answered);
            if self.to_server.is_empty() && self.to_client.is_empty() {
                return;
            }
            let input: Vec<u8> = self.to_server.drain(..piece.min(self.to_server.len())).collect();
            if !input.is_empty() {
                self.serve(&input);
            }
            let input: Vec<u8> = self.to_client.drain(..piece.min(self.to_client.len())).collect();
            if !input.is_empty() {
                let mut rest = &input[..];
                loop {
                    let event = self.client.receive(&mut rest, &mut self.client_world.lend());
                    if event != ClientEvent::Ask {
                        self.client_event = event;
                        break;
                    }
                    let answer = answer(self.client.question().expect("a question"), self.client_facts);
                    self.client.answer(answer, &mut self.client_world.lend());
                }
            }
        }
    }

    fn serve(&mut self, input: &[u8]) {
        let mut rest = input;
        loop {
            match self.server.receive(&mut rest, &mut self.server_world.lend()) {
                Event::Read => return,
                Event::Ask => {
                    let answer = answer(self.server.question().expect("a question"), self.server_facts);
                    let event = self.server.answer(answer, &mut self.server_world.lend());
                    if matches!(event, Event::Failed(_)) {
                        self.server_event = Some(event);
                    }
                }
                Event::Authenticated => {
                    self.server_event = Some(Event::Authenticated);
                    self.server.accept();
                }
                event @ Event::Failed(_) => self.server_event = Some(event),
                event => {
                    self.server_event = Some(event);
                    return;
                }
            }
        }
    }
}

#[test]
fn every_mechanism_logs_in_at_any_split() {
    for mechanism in mechanism::ALL {
        let facts = facts(mechanism.name);
        for piece in [1, 2, 17, 4096] {
            let mut line = Line::new(mechanism.name, &facts, &facts);
            line.run(piece, |_| ());
            assert_eq!(line.client_event, ClientEvent::Done, "{} by {piece}", mechanism.name);
            assert!(matches!(line.server_event, Some(Event::Authenticated | Event::Open)), "{}", mechanism.name);
            assert!(line.server.session.layer().is_none() && line.client.session.layer().is_none());
            let who = line.server.identity().authcid.as_deref();
            assert_eq!(who, Some(if mechanism.name == "ANONYMOUS" { "anonymous" } else { "fred" }));
        }
    }
}

/// The client's session asks once more when the server has announced success.
#[test]
fn scram_keys_are_handed_over_at_both_ends() {
    let facts = facts("SCRAM-SHA-256");
    for piece in [1, 4096] {
        let mut line = Line::new("SCRAM-SHA-256", &facts, &facts);
        for session in [&mut line.client.session, &mut line.server.session] {
            session.config.abilities = session.config.abilities.union(Abilities::KEEP_KEYS);
        }
        line.run(piece, |_| ());
        assert_eq!(line.client_event, ClientEvent::Done);
        assert!(matches!(line.server_event, Some(Event::Authenticated | Event::Open)));
    }
}

/// RFC 5802 §6: a client that could bind says `y` where no -PLUS was offered. A server that offered none believes it,
/// even if it has the data; one that did knows that its list was cut short.
#[test]
fn a_server_takes_a_client_for_what_it_was_offered() {
    let facts = facts("SCRAM-SHA-256-PLUS");
    for (offered, heard, is_in) in [
        ("SCRAM-SHA-256", "SCRAM-SHA-256", true),
        ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", true),
        ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256", false),
    ] {
        let mut line = Line::new("SCRAM-SHA-256-PLUS SCRAM-SHA-256", &facts, &facts);
        line.server = Server::new(offered, authen_sasl_rust::mechanism::registry());
        line.server.session = session(Side::Server, &facts);
        line.run(4096, |bytes| {
            if bytes.starts_with(b"OK ") && bytes.ends_with(b"SCRAM-SHA-256\r\n") {
                *bytes = format!("OK {}\r\n{heard}\r\n", heard.len()).into_bytes();
            }
        });
        assert_eq!(line.client_event == ClientEvent::Done, is_in, "{offered}, {heard}: {:?}", line.client_event);
        if !is_in {
            let failure = line.server.session.failure().expect("a failure").to_string();
            assert!(failure.contains("the list of mechanisms was changed on the way"), "{failure}");
        }
    }
}

#[test]
fn a_wrong_secret_is_unauthorized_at_both_ends() {
    for mechanism in mechanism::ALL {
        if matches!(mechanism.name, "ANONYMOUS" | "EXTERNAL") {
            continue; // these have no secret
        }
        let right = facts(mechanism.name);
        let wrong = right.clone().with("password", "crayon").with("token", "xyz").with("ht-token", "xyz");
        let unknown = right.clone().with("authcid", "nobody").with("token", "xyz");
        for client_facts in [wrong, unknown] {
            let mut line = Line::new(mechanism.name, &client_facts, &right);
            line.run(4096, |_| ());
            assert!(matches!(line.server_event, Some(Event::Failed(_))), "{}: {:?}", mechanism.name, line.server_event);
            assert!(
                matches!(line.client_event, ClientEvent::Failed(LoginError::Sasl(_))),
                "{}: {:?}",
                mechanism.name,
                line.client_event
            );
        }
    }
}

/// What follows a dialogue is left to the caller, to the byte.
#[test]
fn what_follows_is_not_lost() {
    let facts = facts("PLAIN");
    let login = b"auth-start PLAIN 12\r\n\0fred\0pencil\r\n";
    let stream = [&login[..], b"put 0 0 60 5\r\nhello\r\nquit\r\n"].concat();
    for cut in 0..=stream.len() {
        let mut server = Server::new("PLAIN", authen_sasl_rust::mechanism::registry());
        server.session = session(Side::Server, &facts);
        let mut world = LocalWorld::default().with_clock(|| 1_800_000_000);
        let mut rest = &stream[..cut];
        let opened = loop {
            match server.receive(&mut rest, &mut world.lend()) {
                Event::Read => break false,
                Event::Open => break true,
                Event::Authenticated => server.accept(),
                Event::Ask => {
                    let answer = answer(server.question().expect("a question"), &facts);
                    server.answer(answer, &mut world.lend());
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(opened, cut >= login.len(), "{cut}");
        assert_eq!(server.output(), if opened { &b"OK\r\n"[..] } else { b"" });
        assert_eq!(rest, stream.get(login.len()..cut).unwrap_or_default(), "{cut}");
    }
}

fn said_by_server(stream: &[u8]) -> (String, Option<Event>) {
    let facts = facts("PLAIN");
    let mut line = Line::new("PLAIN SCRAM-SHA-256", &facts, &facts);
    line.serve(stream);
    (String::from_utf8(line.server.output()).expect("text"), line.server_event)
}

#[test]
fn a_server_answers_each_request_by_the_book() {
    for (stream, reply) in [
        ("auth-list-mechanisms\r\n", "OK 19\r\nSCRAM-SHA-256 PLAIN\r\n"),
        ("auth-start PLAIN\r\n", "CONTINUE 0\r\n\r\n"),
        ("auth-start PLAIN\r\nauth-step 12\r\n\0fred\0pencil\r\n", "CONTINUE 0\r\n\r\nOK\r\n"),
        ("auth-start PLAIN 0\r\n\r\n", "UNAUTHORIZED\r\n"),
        ("auth-start NOSUCH\r\nauth-start CRAM-MD5\r\n", "UNAUTHORIZED\r\nUNAUTHORIZED\r\n"),
        ("auth-start AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDD\r\n", "UNAUTHORIZED\r\n"),
        ("auth-step 0\r\n\r\nauth-list-mechanisms\r\n", "UNAUTHORIZED\r\nOK 19\r\nSCRAM-SHA-256 PLAIN\r\n"),
        ("auth-start PLAIN\r\nauth-start PLAIN 12\r\n\0fred\0pencil\r\n", "CONTINUE 0\r\n\r\nOK\r\n"),
        (
            "auth-start PLAIN 12\r\n\0fred\0crayon\r\nauth-start PLAIN 12\r\n\0fred\0pencil\r\n",
            "UNAUTHORIZED\r\nOK\r\n",
        ),
        ("auth-frobnicate 5\r\nquit\r\nauth-list-mechanisms\r\n", "UNKNOWN_COMMAND\r\n"),
        ("stats\r\nauth-start PLAIN 12\r\n\0fred\0pencil\r\n", "UNAUTHORIZED\r\n"),
        ("AUTH-LIST-MECHANISMS\r\n", "UNAUTHORIZED\r\n"),
        ("auth-step 999999999\r\n", "TOO_BIG\r\n"),
        ("auth-step -1\r\nauth-list-mechanisms\r\n", "BAD_FORMAT\r\n"),
        ("auth-start PLAIN 11\r\n\0fred\0pencil\r\n", "EXPECTED_CRLF\r\n"),
    ] {
        assert_eq!(said_by_server(stream.as_bytes()).0, reply, "{stream:?}");
    }
    assert!(matches!(said_by_server(b"stats\r\n").1, Some(Event::Command(line)) if line == b"stats"));
}

/// An exchange that ends without success is a failure, whatever ends it.
#[test]
fn an_abandoned_exchange_has_failed() {
    let facts = facts("OAUTHBEARER");
    let wrong = "auth-start OAUTHBEARER 20\r\nn,,\x01auth=Bearer no\x01\x01\r\n";
    let prompt = "auth-start SCRAM-SHA-256 15\r\nn,,n=fred,r=abc\r\n";
    for (stream, expected) in [
        // A refused token, and no answer to the error object.
        (format!("{wrong}{wrong}{wrong}"), 3),
        (format!("{wrong}auth-step 1\r\n\x01\r\n"), 1),
        (format!("{wrong}quit\r\n"), 1),
        (format!("{wrong}stats\r\n"), 1),
        (format!("{wrong}auth-step x\r\n"), 1),
        (wrong.to_owned(), 1),
        (format!("{prompt}{prompt}auth-list-mechanisms\r\nauth-nonsense\r\n"), 2),
        (format!("{prompt}auth-start PLAIN 12\r\n\0fred\0pencil\r\n"), 1),
        ("auth-start PLAIN\r\nauth-start NOSUCH\r\n".to_owned(), 2),
        (String::new(), 0),
        ("auth-start PLAIN 12\r\n\0fred\0pencil\r\n".to_owned(), 0),
    ] {
        let mut line = Line::new("OAUTHBEARER SCRAM-SHA-256 PLAIN", &facts, &facts);
        let (mut rest, mut failures) = (stream.as_bytes(), Vec::new());
        loop {
            match line.server.receive(&mut rest, &mut line.server_world.lend()) {
                Event::Read => break,
                Event::Failed(failure) => failures.push(failure.to_string()),
                Event::Ask => {
                    let answer = answer(line.server.question().expect("a question"), &facts);
                    if let Event::Failed(failure) = line.server.answer(answer, &mut line.server_world.lend()) {
                        failures.push(failure.to_string());
                    }
                }
                _ => break,
            }
        }
        failures.extend(line.server.hang_up().map(|failure| failure.to_string()));
        assert_eq!(failures.len(), expected, "{stream:?}: {failures:?}");
        if stream.starts_with(wrong) {
            assert!(failures.iter().all(|failure| failure.contains("the token was refused")), "{failures:?}");
        }
        assert_eq!(line.server.hang_up(), None, "it is counted once");
    }
}

/// A server that skips its proof, or speaks where it must not, logs nobody in.
#[test]
fn a_client_believes_nothing_unproved() {
    let facts = facts("SCRAM-SHA-256");
    let offer = "OK 13\r\nSCRAM-SHA-256\r\n";
    for (replies, error) in [
        (
            "UNKNOWN_COMMAND\r\n".to_owned(),
            "the server does not know AUTH (UNKNOWN_COMMAND): it is probably a plain beanstalkd",
        ),
        ("OK\r\n".into(), "the server answered OK unexpectedly"),
        ("OK 5\r\nPLAIN\r\n".into(), "client: no mechanism is usable: none was named (SASL_NOMECH)"),
        ("INTERNAL_ERROR\r\n".into(), "the server is unavailable (INTERNAL_ERROR)"),
        ("HELLO\u{1b}[1m\r\n".into(), "the server answered HELLO\\u{1b}[1m unexpectedly"),
        (format!("{offer}OK\r\n"), "SCRAM-SHA-256 client: outcome: the server ended without its proof (SASL_BADSERV)"),
        (format!("{offer}UNAUTHORIZED\r\n"), "SCRAM-SHA-256 client: the server refused: UNAUTHORIZED (SASL_BADAUTH)"),
        (format!("{offer}BAD_FORMAT\r\n"), "the server answered BAD_FORMAT unexpectedly"),
        ("OK x\r\n".into(), "the server's reply: a reply with an invalid number of bytes"),
    ] {
        let mut line = Line::new("SCRAM-SHA-256", &facts, &facts);
        line.to_client = replies.into_bytes();
        let mut world = LocalWorld::default().with_clock(|| 1_800_000_000);
        let stream = std::mem::take(&mut line.to_client);
        let mut rest = &stream[..];
        let event = loop {
            match line.client.receive(&mut rest, &mut world.lend()) {
                ClientEvent::Ask => {
                    let answer = answer(line.client.question().expect("a question"), &facts);
                    line.client.answer(answer, &mut world.lend());
                }
                event => break event,
            }
        };
        match event {
            ClientEvent::Failed(failed) => assert_eq!(failed.to_string(), error),
            other => panic!("{other:?} after {stream:?}"),
        }
    }
    for forged in ["OK 0\r\n\r\n", "OK 6\r\nv=AAAA\r\n"] {
        let mut line = Line::new("SCRAM-SHA-256", &facts, &facts);
        line.run(4096, |bytes| {
            if bytes.starts_with(b"OK ") && bytes.windows(2).any(|two| two == b"v=") {
                *bytes = forged.as_bytes().to_vec();
            }
        });
        assert!(matches!(line.client_event, ClientEvent::Failed(_)), "{forged:?}");
    }
}

/// The data of `auth-start` would be commands to a server that knows no AUTH: nothing is sent before it has shown that it does.
#[test]
fn a_client_sends_nothing_before_it_has_the_list() {
    let facts = facts("PLAIN");
    for (reply, starts) in
        [("OK 5\r\nPLAIN\r\n", true), ("UNKNOWN_COMMAND\r\n", false), ("OK\r\n", false), ("OK 5\r\nLOGIN\r\n", false)]
    {
        let mut line = Line::new("PLAIN", &facts, &facts);
        assert_eq!(line.client.output().expose(), b"auth-list-mechanisms\r\n");
        line.client.begin();
        for (at, byte) in reply.bytes().enumerate() {
            assert!(line.client.output().expose().is_empty(), "{reply:?} up to {at}");
            line.to_client = vec![byte];
            let mut rest = &line.to_client[..];
            while let ClientEvent::Ask = line.client.receive(&mut rest, &mut line.client_world.lend()) {
                let answer = answer(line.client.question().expect("a question"), &facts);
                line.client.answer(answer, &mut line.client_world.lend());
            }
        }
        assert_eq!(line.client.output().expose().starts_with(b"auth-start PLAIN "), starts, "{reply:?}");
        assert!(line.client.output().expose().is_empty(), "{reply:?}");
    }
}

/// Damage to any byte of a dialogue neither panics nor logs in by mistake: who is in is who knows the secret, and no client
/// believes so alone.
#[test]
fn damaged_dialogues_never_panic() {
    let mut dice = Dice(Seeded(17));
    let mut refused = 0;
    for mechanism in mechanism::ALL {
        let facts = facts(mechanism.name);
        for round in 0..150 {
            let mut line = Line::new(mechanism.name, &facts, &facts);
            let victim = dice.below(6);
            let mut seen = 0;
            line.run([1, 5, 4096][round % 3], |bytes| {
                if bytes.is_empty() {
                    return;
                }
                seen += 1;
                if seen - 1 == victim {
                    let at = dice.below(bytes.len());
                    match dice.below(3) {
                        0 => bytes[at] ^= 1 << dice.below(8),
                        1 => bytes.truncate(at),
                        _ => bytes.insert(at, b"\r\n 0\xff"[dice.below(5)]),
                    }
                }
            });
            let inside = matches!(line.server_event, Some(Event::Authenticated | Event::Open));
            let who = line.server.identity().authcid.as_deref();
            let right = if mechanism.name == "ANONYMOUS" { "anonymous" } else { "fred" };
            assert!(!inside || who == Some(right), "{}: {who:?} is in", mechanism.name);
            assert!(inside || line.client_event != ClientEvent::Done, "{}: the client alone", mechanism.name);
            refused += u32::from(!inside);
        }
    }
    assert!(refused > 500, "damage that does none: {refused}");
    // Random bytes, some of them after a good beginning.
    for _ in 0..3000 {
        let beginning = ["", "auth-start PLAIN ", "auth-step ", "auth-start SCRAM-SHA-256 40\r\n"][dice.below(4)];
        let stream = [beginning.as_bytes(), &dice.bytes(120)].concat();
        let (_, event) = said_by_server(&stream);
        assert!(!matches!(event, Some(Event::Open | Event::Authenticated)), "{stream:?}");
    }
}

/// Each transcript of the specification is made of messages that parse, and print as they stand there.
#[test]
fn transcripts_of_the_specification() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/auth-line-protocol.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut mechanisms = std::collections::BTreeSet::new();
    let mut messages = 0;
    for block in text.split("```transcript\n").skip(1) {
        let block = block.split("```").next().expect("a block");
        for (side, other) in [("C: ", "S: "), ("S: ", "C: ")] {
            let stream: Vec<u8> = block
                .lines()
                .inspect(|line| assert!(line.starts_with(side) || line.starts_with(other), "{line:?}"))
                .filter_map(|line| line.strip_prefix(side))
                .flat_map(|line| [unescaped(line), b"\r\n".to_vec()].concat())
                .collect();
            let again: Vec<Vec<u8>> = match side {
                "C: " => {
                    let requests =
                        decode::<Request>(&stream, || 3).unwrap_or_else(|fault| panic!("{fault} in {block}"));
                    mechanisms.extend(requests.iter().filter_map(|request| match request {
                        Request::Start { mechanism, .. } => Some(mechanism.clone()),
                        _ => None,
                    }));
                    requests.iter().map(Message::to_bytes).collect()
                }
                _ => {
                    let replies = decode::<Reply>(&stream, || 3).unwrap_or_else(|fault| panic!("{fault} in {block}"));
                    replies.iter().map(Message::to_bytes).collect()
                }
            };
            messages += again.len();
            assert_eq!(again.concat(), stream);
        }
    }
    assert!(messages > 60, "{messages} messages");
    for family in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "DIGEST-MD5", "CRAM-MD5", "EXTERNAL", "PLAIN", "LOGIN"] {
        assert!(mechanisms.contains(family), "no transcript of {family}");
    }
    for family in ["OAUTHBEARER", "XOAUTH2", "ANONYMOUS"] {
        assert!(mechanisms.contains(family), "no transcript of {family}");
    }
}

/// `\x01`, `\0` as in t/vectors.
fn unescaped(line: &str) -> Vec<u8> {
    line.replace("\\x01", "\x01").replace("\\0", "\0").into_bytes()
}

/// A right password that lets nobody in is for the client what a wrong one is: to the byte, and for what comes after.
#[test]
fn a_refused_client_sees_a_wrong_password() {
    let talk = |password: &str| {
        let facts = Facts::of(&[("authcid", "fred"), ("password", "pencil")]);
        let mut server = Server::new("PLAIN", authen_sasl_rust::mechanism::registry());
        server.session = session(Side::Server, &facts);
        let mut world = LocalWorld::default().with_clock(|| 1_800_000_000);
        let (mut said, mut authenticated) = (Vec::new(), 0);
        for attempt in [password, "crayon", password, "crayon"] {
            let message = format!("auth-start PLAIN {}\r\n\0fred\0{attempt}\r\n", 6 + attempt.len());
            let mut input = message.as_bytes();
            loop {
                let mut event = server.receive(&mut input, &mut world.lend());
                while let Event::Ask = event {
                    let given = answer(server.question().expect("a question"), &facts);
                    event = server.answer(given, &mut world.lend());
                }
                match event {
                    Event::Authenticated => {
                        server.refuse(Word::Unauthorized);
                        authenticated += 1;
                    }
                    Event::Read => break,
                    Event::Failed(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            said.extend(server.output());
        }
        (String::from_utf8(said).expect("text"), authenticated)
    };
    assert_eq!(talk("pencil"), ("UNAUTHORIZED\r\n".repeat(4), 2));
    assert_eq!(talk("pencils"), ("UNAUTHORIZED\r\n".repeat(4), 0));
}

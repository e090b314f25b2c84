//! The AUTH line protocol: its codec with any split, and the client against the server.
#![no_main]
#![allow(missing_docs)]

use authen_sasl_rust::authline::client::{Client, Event as ClientEvent};
use authen_sasl_rust::authline::decoder::{Decoder, Message};
use authen_sasl_rust::authline::reply::{Reply, Word};
use authen_sasl_rust::authline::request::Request;
use authen_sasl_rust::authline::server::{Event as ServerEvent, Server};
use authen_sasl_rust::authline::LINE_LIMIT;
use authen_sasl_rust::contract::Side;
use authen_sasl_rust::negotiate;
use authen_sasl_rust::world::LocalWorld;
use authen_sasl_rust_fuzz::application::answer;
use authen_sasl_rust_fuzz::facts::{configure, ExchangeFacts};
use authen_sasl_rust_fuzz::input::Input;
use authen_sasl_rust_fuzz::ledger::Ledger;
use authen_sasl_rust_fuzz::memory;
use authen_sasl_rust_fuzz::network::damage;
use authen_sasl_rust_fuzz::party::world;

/// Maximum number of moves per input.
const MOVES: usize = 64;
/// The server's limit for the size of tokens.
const TOKEN_LIMIT: usize = 4096;
const LISTS: [&str; 6] = [
    "SCRAM-SHA-256 PLAIN",
    "PLAIN",
    "CRAM-MD5 LOGIN",
    "DIGEST-MD5",
    "OAUTHBEARER XOAUTH2",
    "SCRAM-SHA-1-PLUS SCRAM-SHA-1 EXTERNAL ANONYMOUS",
];

/// Reads a stream of messages in pieces. Returns the messages, the fault if any, and the number of bytes read.
fn decode<M: Message>(
    stream: &[u8],
    limit: usize,
    mut next: impl FnMut(usize) -> usize,
) -> (Vec<Vec<u8>>, String, usize) {
    let mut decoder = Decoder::<M>::new(limit);
    let (mut messages, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let count = next(rest.len());
        let mut piece = &rest[..count];
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(message)) => messages.push(message.to_bytes()),
                Ok(None) => break,
                Err(fault) => {
                    assert!(decoder.next(&mut &b"quit\r\n"[..]).is_err(), "a stream continues after a fault");
                    return (messages, format!("{fault:?}"), 0);
                }
            }
        }
        assert!(piece.is_empty());
        rest = &rest[count..];
    }
    let taken = if decoder.is_inside() { 0 } else { stream.len() };
    (messages, String::new(), taken)
}

fn codec<M: Message>(mut input: Input<'_>) {
    let limit = input.short() % 300;
    let mut cuts = input.cuts();
    let stream = input.rest();
    // Room for a line, and for a token twice while its buffer grows.
    let memory_limit = 16_384 + 4 * LINE_LIMIT + 8 * stream.len();
    let whole = memory::bounded(memory_limit, || decode::<M>(stream, limit, |there| there));
    assert_eq!(decode::<M>(stream, limit, |there| cuts.next(there)), whole, "splitting changes the result");
    // Every message has exactly one encoding.
    let printed = whole.0.concat();
    assert!(stream.starts_with(&printed));
    assert!(whole.2 == 0 || printed == stream);
}

/// Both ends and the bytes between them.
struct Dialogue {
    facts: ExchangeFacts,
    client: Client,
    server: Server,
    ledger: Ledger,
    /// The server's list of mechanisms.
    offered: &'static str,
    worlds: [LocalWorld; 2],
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    tampered: bool,
    accepts: bool,
    /// The server's application never answers.
    silent: bool,
    /// The server's dialogue has ended: it sends nothing more.
    over: bool,
    authenticated: bool,
    done: bool,
    failed: bool,
}

impl Dialogue {
    fn serve(&mut self, count: usize) {
        let bytes: Vec<u8> = self.to_server.drain(..count).collect();
        let mut input = &bytes[..];
        loop {
            let before = input;
            let mut event = self.server.receive(&mut input, &mut self.worlds[1].lend());
            self.ledger.received(&before[..before.len() - input.len()]);
            while let ServerEvent::Ask = event {
                if self.silent {
                    return;
                }
                let (answer, _) = answer(self.server.question().expect("a question"), &self.facts);
                event = self.server.answer(answer, &mut self.worlds[1].lend());
            }
            let is_unavailable = matches!(event, ServerEvent::Unavailable(_));
            match event {
                ServerEvent::Authenticated => {
                    self.check_success();
                    self.ledger.ended();
                    self.pass_output();
                    match self.accepts {
                        true => self.server.accept(),
                        false => self.server.refuse(Word::Unauthorized),
                    }
                    self.authenticated = self.accepts;
                }
                ServerEvent::Read => {
                    self.ledger.waits();
                    if input.is_empty() {
                        break;
                    }
                }
                ServerEvent::Failed(_) => self.ledger.ended(),
                ServerEvent::Ask => unreachable!("it was answered"),
                ServerEvent::Open
                | ServerEvent::Closed
                | ServerEvent::Command(_)
                | ServerEvent::Broken(_)
                | ServerEvent::Unavailable(_) => {
                    if is_unavailable {
                        self.ledger.ended();
                    }
                    let length = self.to_client.len();
                    self.pass_output();
                    assert!(self.to_client.len() == length || !self.over, "output after the end");
                    self.over = true;
                    self.ledger.over();
                    let left = input.len();
                    self.server.receive(&mut input, &mut self.worlds[1].lend());
                    assert!(
                        input.len() == left && self.server.output().is_empty(),
                        "it takes bytes of the next protocol"
                    );
                    break;
                }
            }
            self.pass_output();
        }
        self.pass_output();
    }

    /// Passes the server's output on to the client. Mechanism lists contain only offered mechanisms.
    fn pass_output(&mut self) {
        let output = self.server.output();
        if !self.authenticated {
            for list in self.ledger.sent(&output) {
                negotiate::names(&list).for_each(|name| self.is_listed(name));
            }
        }
        self.to_client.extend(output);
    }

    fn is_listed(&self, name: &str) {
        let own = negotiate::names(self.offered).any(|listed| listed.eq_ignore_ascii_case(name));
        assert!(own && self.facts.lists(name), "{name} is not offered, or not in the mech_list");
    }

    /// The connection is lost.
    fn hang_up(&mut self) {
        if let Some(failure) = self.server.hang_up() {
            assert!(self.server.session.failure().is_some_and(|known| known.to_string() == failure.to_string()));
            self.ledger.ended();
        }
        self.ledger.over();
        assert!(self.server.hang_up().is_none(), "an exchange ends twice");
    }

    /// A client that has succeeded knows the secret, unless the mechanism has none.
    fn check_success(&self) {
        let mechanism = self.server.session.mechanism().map_or("", |mechanism| mechanism.name);
        self.is_listed(mechanism);
        if !["ANONYMOUS", "EXTERNAL"].contains(&mechanism) {
            assert!(self.facts.client_knows && self.facts.user_known, "{mechanism}: a success without the secret");
        }
        assert!(self.server.session.layer().is_none(), "the protocol has no security layer");
        let who = if mechanism == "ANONYMOUS" { "anonymous" } else { self.facts.name };
        assert_eq!(self.server.identity().authcid.as_deref(), Some(who));
    }

    fn consume(&mut self, count: usize) {
        let bytes: Vec<u8> = self.to_client.drain(..count).collect();
        let mut input = &bytes[..];
        loop {
            let mut event = self.client.receive(&mut input, &mut self.worlds[0].lend());
            while event == ClientEvent::Ask {
                let (answer, _) = answer(self.client.question().expect("a question"), &self.facts);
                event = self.client.answer(answer, &mut self.worlds[0].lend());
            }
            let output = self.client.output();
            assert!(!self.failed || output.expose().is_empty(), "output after a failure");
            self.to_server.extend_from_slice(output.expose());
            match event {
                ClientEvent::Done => {
                    assert!(!self.failed && self.client.session.is_success());
                    let mechanism = self.client.session.mechanism().map_or("", |mechanism| mechanism.name);
                    let mutual = mechanism.starts_with("SCRAM-") || mechanism == "DIGEST-MD5";
                    if !self.tampered {
                        assert!(self.authenticated, "only the client believes that it is authenticated");
                    }
                    assert!(!mutual || self.server.session.is_success() || self.facts.client_knows, "{mechanism}");
                    self.done = true;
                    break;
                }
                ClientEvent::Failed(error) => {
                    assert!(!self.done && !error.to_string().contains(&self.facts.client_secret()));
                    self.failed = true;
                    break;
                }
                ClientEvent::Read if input.is_empty() => break,
                ClientEvent::Read => {}
                ClientEvent::Ask => unreachable!("it was answered"),
            }
        }
    }

    fn act(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        match what % 6 {
            0 => self.serve(usize::from(input.byte()).min(self.to_server.len())),
            1 => self.consume(usize::from(input.byte()).min(self.to_client.len())),
            2 => {
                self.tampered = true;
                self.to_server = damage(std::mem::take(&mut self.to_server), input);
            }
            3 => {
                self.tampered = true;
                self.to_client = damage(std::mem::take(&mut self.to_client), input);
            }
            4 => self.serve(self.to_server.len()),
            _ => self.consume(self.to_client.len()),
        }
    }
}

fn dialogue(mut input: Input<'_>) {
    let (wanted, offered) = (*input.choose(&LISTS), *input.choose(&LISTS));
    let what = input.byte();
    let facts = ExchangeFacts::read("PLAIN", &mut input);
    let lent = |side| world(side, &facts, Default::default());
    let mut talk = Dialogue {
        client: Client::new(if what & 1 == 0 { offered } else { wanted }, authen_sasl_rust::mechanism::registry()),
        server: Server::new(offered, authen_sasl_rust::mechanism::registry()).with_token_limit(TOKEN_LIMIT),
        ledger: Ledger::new(TOKEN_LIMIT),
        offered,
        worlds: [lent(Side::Client), lent(Side::Server)],
        to_server: Vec::new(),
        to_client: Vec::new(),
        tampered: false,
        accepts: what & 2 == 0,
        silent: what & 8 != 0,
        over: false,
        authenticated: false,
        done: false,
        failed: false,
        facts,
    };
    configure(&mut talk.client.session, &talk.facts);
    configure(&mut talk.server.session, &talk.facts);
    talk.client.begin();
    talk.to_server.extend_from_slice(talk.client.output().expose());
    for _ in 0..MOVES {
        if input.is_empty() {
            break;
        }
        talk.act(&mut input);
    }
    // Otherwise the connection is lost in the middle.
    for _ in 0..if what & 4 == 0 { 8 } else { 0 } {
        talk.serve(talk.to_server.len());
        talk.consume(talk.to_client.len());
    }
    talk.hang_up();
    if !talk.tampered && what & 4 == 0 {
        assert_eq!(talk.done, talk.authenticated, "client and server disagree");
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => codec::<Request>(input),
        1 => codec::<Reply>(input),
        _ => dialogue(input),
    }
});

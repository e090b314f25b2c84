//! Carries the messages between a client and a server, unchanged unless the input says otherwise.

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::session::Outcome;

use crate::application::Behavior;
use crate::evidence::Evidence;
use crate::facts::ExchangeFacts;
use crate::forger;
use crate::input::Input;
use crate::judge;
use crate::party::Party;

/// Maximum number of moves per input.
const MOVES: usize = 64;

/// Both sides, and the message on its way between them.
pub struct Network {
    /// Both sides, and what was done to their messages.
    pub evidence: Evidence,
    /// All calls of the server, to be repeated on another one.
    pub calls: Vec<Call>,
    /// What the server's peer saw after each call.
    pub shapes: Vec<String>,
    server_started: bool,
    /// The sender and the message.
    pending: Option<(Side, Vec<u8>)>,
    transcript: Vec<Vec<u8>>,
}

impl Network {
    /// Both sides, before either has started.
    pub fn new(facts: &ExchangeFacts) -> Self {
        Network {
            evidence: Evidence::new(facts),
            calls: Vec::new(),
            shapes: Vec::new(),
            server_started: false,
            pending: None,
            transcript: Vec::new(),
        }
    }

    /// Makes the moves of the input, then carries the remaining messages to the end of the exchange.
    pub fn play(&mut self, input: &mut Input<'_>) {
        judge::offer(&self.evidence);
        self.prepare(input);
        self.start();
        for _ in 0..MOVES {
            if input.is_empty() {
                break;
            }
            self.act(input);
        }
        for _ in 0..12 {
            let Some((from, message)) = self.pending.take() else { break };
            self.deliver(other(from), &message);
        }
        if self.pending.is_none() {
            judge::end(&self.evidence);
        }
        self.evidence.client.abandon();
        self.evidence.server.abandon();
    }

    /// Chooses the behavior for the first questions.
    fn prepare(&mut self, input: &mut Input<'_>) {
        for _ in 0..input.byte() % 4 {
            self.behavior(input);
        }
    }

    fn behavior(&mut self, input: &mut Input<'_>) {
        let (which, byte) = (input.byte(), input.byte());
        let behavior = match byte % 8 {
            0 => Behavior::Honest,
            1 => Behavior::Nothing,
            2 => Behavior::WrongKind,
            3 => Behavior::Late,
            4 => Behavior::Twice,
            5 => Behavior::Abort,
            _ => Behavior::Garbage(byte >> 3),
        };
        match which & 1 {
            0 => self.evidence.client.behaviors.push(behavior),
            _ => self.serve(Call::Behave(behavior)),
        }
    }

    fn start(&mut self) {
        let outcome = self.evidence.client.start(None);
        self.post(Side::Client, outcome);
        if outcome == Outcome::Absent {
            self.deliver_nothing();
        }
    }

    /// Starts the server without an initial response.
    fn deliver_nothing(&mut self) {
        self.server_started = true;
        self.serve(Call::Start(None));
    }

    fn serve(&mut self, call: Call) {
        if let Some((outcome, shape)) = call.make(&mut self.evidence.server) {
            self.shapes.push(shape);
            self.post(Side::Server, outcome);
        }
        self.calls.push(call);
    }

    fn act(&mut self, input: &mut Input<'_>) {
        match input.byte() % 12 {
            0 => {
                if let Some((from, message)) = self.pending.take() {
                    self.deliver(other(from), &message);
                }
            }
            1 => {
                let damaged = self.pending.take().map(|(from, message)| (from, damage(message, input)));
                if let Some((from, message)) = damaged {
                    self.evidence.tampered = true;
                    self.deliver(other(from), &message);
                }
            }
            2 => {
                let (side, index) = (side(input.byte()), usize::from(input.byte()));
                if let Some(message) = self.transcript.get(index % self.transcript.len().max(1)).cloned() {
                    self.evidence.tampered = true;
                    self.deliver(side, &message);
                }
            }
            3 => {
                let (side, message) = (side(input.byte()), input.string());
                self.evidence.tampered = true;
                self.deliver(side, message);
            }
            4 => {
                if let Some((from, _)) = self.pending.take() {
                    self.evidence.tampered = true;
                    self.deliver(other(from), b"");
                }
            }
            5 => {
                self.evidence.lost = true;
                let outcome = self.evidence.client.start(None);
                self.post(Side::Client, outcome);
            }
            6 => {
                self.evidence.lost |= self.server_started;
                self.server_started = false;
                if let Some((Side::Client, message)) = self.pending.take() {
                    self.deliver(Side::Server, &message);
                } else {
                    self.deliver_nothing();
                }
            }
            7 => self.behavior(input),
            8 => {
                // A protocol without initial responses: the message waits for the empty challenge.
                let waiting = self.pending.take();
                self.evidence.lost |= self.server_started;
                self.deliver_nothing();
                self.pending = waiting.or(self.pending.take());
            }
            9 => {
                // The pending message is damaged and stays on its way, for the forger to sign.
                if let Some((from, message)) = self.pending.take() {
                    self.evidence.tampered = true;
                    self.pending = Some((from, damage(message, input)));
                }
            }
            10 => self.forge(),
            _ => match self.pending.take() {
                // Some programs treat an empty initial response as absent.
                Some((Side::Client, message)) if message.is_empty() && !self.server_started => self.deliver_nothing(),
                dropped => self.evidence.lost |= dropped.is_some(),
            },
        }
    }

    /// Makes a valid proof for the client's message, or answers the client in the server's place.
    fn forge(&mut self) {
        let facts = &self.evidence.client.facts;
        let forged = match &self.pending {
            Some((Side::Client, message)) => forger::client_final(facts, &self.evidence.server.run, message)
                .map(|message| (Side::Client, message))
                .or_else(|| {
                    forger::server_final(facts, &self.evidence.client.run).map(|message| (Side::Server, message))
                }),
            _ => forger::server_final(facts, &self.evidence.client.run).map(|message| (Side::Server, message)),
        };
        if let Some((from, message)) = forged {
            self.evidence.forged = true;
            self.pending = None;
            self.deliver(other(from), &message);
        }
    }

    fn deliver(&mut self, to: Side, message: &[u8]) {
        match to {
            Side::Client => {
                let outcome = self.evidence.client.step(message);
                self.post(to, outcome);
            }
            Side::Server if self.server_started => self.serve(Call::Step(message.to_vec())),
            Side::Server => {
                self.server_started = true;
                self.serve(Call::Start(Some(message.to_vec())));
            }
        }
    }

    /// Puts a side's message on its way, in place of the previous one.
    fn post(&mut self, side: Side, outcome: Outcome) {
        let party = match side {
            Side::Client => &self.evidence.client,
            Side::Server => &self.evidence.server,
        };
        let message = matches!(outcome, Outcome::Send | Outcome::FailedWithMessage).then(|| party.session.message());
        if let Some(message) = message {
            self.transcript.push(message.to_vec());
            self.evidence.lost |= self.pending.is_some();
            self.pending = Some((side, message.to_vec()));
        }
        judge::check(&self.evidence);
    }
}

/// One call of a server.
#[derive(Debug)]
pub enum Call {
    /// It starts, with this initial response.
    Start(Option<Vec<u8>>),
    /// It receives a message.
    Step(Vec<u8>),
    /// Its application will behave like this.
    Behave(Behavior),
}

impl Call {
    /// Makes the call. Returns the outcome, and what the peer can tell from it and from the shape of the message.
    pub fn make(&self, server: &mut Party) -> Option<(Outcome, String)> {
        let outcome = match self {
            Call::Start(initial) => server.start(initial.as_deref()),
            Call::Step(message) => server.step(message),
            Call::Behave(behavior) => {
                server.behaviors.push(*behavior);
                return None;
            }
        };
        let message = server.run.sent.last().filter(|_| matches!(outcome, Outcome::Send | Outcome::FailedWithMessage));
        Some((outcome, format!("{outcome:?} {}", message.map(|message| shape(message)).unwrap_or_default())))
    }
}

fn side(byte: u8) -> Side {
    match byte & 1 {
        0 => Side::Server,
        _ => Side::Client,
    }
}

/// The receiver of a sender's messages.
fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// Damages a message.
pub fn damage(mut message: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let (kind, at) = (input.byte(), input.short());
    let at = at.checked_rem(message.len() + 1).unwrap_or_default();
    match kind % 7 {
        0 => message.truncate(at),
        1 => message.insert(at, input.byte()),
        2 => drop(message.splice(at..at, input.string().iter().copied())),
        3 => {
            let end = (at + usize::from(input.byte()) + 1).min(message.len());
            message.drain(at..end);
        }
        4 => {
            // Some bytes are repeated at the end.
            let end = (at + usize::from(input.byte()) + 1).min(message.len());
            message.extend_from_within(at..end);
        }
        5 => {
            // Bytes are overwritten, so that what follows stays in place.
            for (byte, new) in message[at..].iter_mut().zip(input.string()) {
                *byte = *new;
            }
        }
        _ => {
            if let Some(byte) = message.get_mut(at) {
                *byte ^= input.byte().max(1);
            }
        }
    }
    message
}

/// A message with all letters and digits replaced by x. This leaves its length and punctuation.
fn shape(message: &[u8]) -> String {
    message.iter().map(|b| if b.is_ascii_alphanumeric() || b"+/".contains(b) { 'x' } else { char::from(*b) }).collect()
}

//! What carries the messages between a client and a server: faithfully until the input says otherwise.

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::session::Outcome;

use crate::application::Manner;
use crate::evidence::Evidence;
use crate::facts::Facts;
use crate::forger;
use crate::input::Input;
use crate::judge;
use crate::party::Party;

/// Moves of one input, at most.
const MOVES: usize = 64;

/// Both sides and what is on the way between them.
pub struct Network {
    /// Both sides, and what was done to their messages.
    pub evidence: Evidence,
    /// All that was done to the server, to be done to another one.
    pub calls: Vec<Call>,
    /// What the server's peer saw of it, call by call.
    pub shapes: Vec<String>,
    server_began: bool,
    /// The sender and the message.
    pending: Option<(Side, Vec<u8>)>,
    transcript: Vec<Vec<u8>>,
}

impl Network {
    /// Both sides, of which neither has begun.
    pub fn new(facts: &Facts) -> Self {
        Network {
            evidence: Evidence::new(facts),
            calls: Vec::new(),
            shapes: Vec::new(),
            server_began: false,
            pending: None,
            transcript: Vec::new(),
        }
    }

    /// Does the input's moves, then carries whatever there is to its end.
    pub fn play(&mut self, input: &mut Input<'_>) {
        judge::offer(&self.evidence);
        self.prepare(input);
        self.begin();
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

    /// How the first questions will be answered.
    fn prepare(&mut self, input: &mut Input<'_>) {
        for _ in 0..input.byte() % 4 {
            self.manner(input);
        }
    }

    fn manner(&mut self, input: &mut Input<'_>) {
        let (which, byte) = (input.byte(), input.byte());
        let manner = match byte % 8 {
            0 => Manner::Honestly,
            1 => Manner::Nothing,
            2 => Manner::WrongKind,
            3 => Manner::Late,
            4 => Manner::Twice,
            5 => Manner::Abort,
            _ => Manner::Garbage(byte >> 3),
        };
        match which & 1 {
            0 => self.evidence.client.manners.push(manner),
            _ => self.serve(Call::Manner(manner)),
        }
    }

    fn begin(&mut self) {
        let outcome = self.evidence.client.start(None);
        self.said(Side::Client, outcome);
        if outcome == Outcome::Absent {
            self.deliver_nothing();
        }
    }

    /// A server is asked to begin without an initial response.
    fn deliver_nothing(&mut self) {
        self.server_began = true;
        self.serve(Call::Start(None));
    }

    fn serve(&mut self, call: Call) {
        if let Some((outcome, shape)) = call.make(&mut self.evidence.server) {
            self.shapes.push(shape);
            self.said(Side::Server, outcome);
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
                let edited = self.pending.take().map(|(from, message)| (from, edit(message, input)));
                if let Some((from, message)) = edited {
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
                self.said(Side::Client, outcome);
            }
            6 => {
                self.evidence.lost |= self.server_began;
                self.server_began = false;
                if let Some((Side::Client, message)) = self.pending.take() {
                    self.deliver(Side::Server, &message);
                } else {
                    self.deliver_nothing();
                }
            }
            7 => self.manner(input),
            8 => {
                // The protocol has no initial responses: the message waits for the empty challenge.
                let waiting = self.pending.take();
                self.evidence.lost |= self.server_began;
                self.deliver_nothing();
                self.pending = waiting.or(self.pending.take());
            }
            9 => {
                // The pending message is edited and stays on the way, for the forger to sign.
                if let Some((from, message)) = self.pending.take() {
                    self.evidence.tampered = true;
                    self.pending = Some((from, edit(message, input)));
                }
            }
            10 => self.forge(),
            _ => match self.pending.take() {
                // There are protocols whose programs take an empty initial response for none.
                Some((Side::Client, message)) if message.is_empty() && !self.server_began => self.deliver_nothing(),
                dropped => self.evidence.lost |= dropped.is_some(),
            },
        }
    }

    /// Proves what the client's message says now, or answers a client in the server's place.
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
                self.said(to, outcome);
            }
            Side::Server if self.server_began => self.serve(Call::Step(message.to_vec())),
            Side::Server => {
                self.server_began = true;
                self.serve(Call::Start(Some(message.to_vec())));
            }
        }
    }

    /// What a side says is on the way now, in place of what was.
    fn said(&mut self, side: Side, outcome: Outcome) {
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

/// One thing that is done to a server.
#[derive(Debug)]
pub enum Call {
    /// It begins, with this initial response.
    Start(Option<Vec<u8>>),
    /// It takes a message.
    Step(Vec<u8>),
    /// Its application will answer so.
    Manner(Manner),
}

impl Call {
    /// Does it; gives what came of it, and what of that the peer can tell from the message's look.
    pub fn make(&self, server: &mut Party) -> Option<(Outcome, String)> {
        let outcome = match self {
            Call::Start(initial) => server.start(initial.as_deref()),
            Call::Step(message) => server.step(message),
            Call::Manner(manner) => {
                server.manners.push(*manner);
                return None;
            }
        };
        let message = server.run.said.last().filter(|_| matches!(outcome, Outcome::Send | Outcome::FailedWithMessage));
        Some((outcome, format!("{outcome:?} {}", message.map(|message| shape(message)).unwrap_or_default())))
    }
}

fn side(byte: u8) -> Side {
    match byte & 1 {
        0 => Side::Server,
        _ => Side::Client,
    }
}

/// Whom a message is for.
fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// A damage to a message.
pub fn edit(mut message: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
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
            // The same bytes twice.
            let end = (at + usize::from(input.byte()) + 1).min(message.len());
            message.extend_from_within(at..end);
        }
        5 => {
            // Overwritten, so that what follows stays where it is.
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

/// A message with its digits and letters made the same: what is left is its length and its punctuation.
fn shape(message: &[u8]) -> String {
    message.iter().map(|b| if b.is_ascii_alphanumeric() || b"+/".contains(b) { 'x' } else { char::from(*b) }).collect()
}

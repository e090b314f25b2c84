//! The client's side of a connection.

use std::sync::Arc;

use thiserror::Error as ThisError;

use super::decoder::{Decoder, Message};
use super::reply::{Reply, Word};
use super::request::Request;
use super::{without_layer, Fault, TOKEN_LIMIT};
use crate::contract::{Answer, Question, Side, World};
use crate::error::{Error, Failure, Refused};
use crate::negotiate;
use crate::registry::Registry;
use crate::secret::Secret;
use crate::session::{Outcome, Session};

/// What the caller of a client must do next. It must always send [`Client::output`].
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// All input was consumed; more is needed.
    Read,
    /// [`Client::question`] waits for [`Client::answer`].
    Ask,
    /// The client is authenticated. Further input does not belong to the dialogue.
    Done,
    /// The client is not authenticated, and the connection cannot be used any more.
    Failed(LoginError),
}

/// Why a client is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum LoginError {
    /// The server does not support authentication.
    #[error("the server does not know AUTH (UNKNOWN_COMMAND): it is probably a plain beanstalkd")]
    NoAuth,
    /// The exchange has failed, or none of the server's mechanisms can be used.
    #[error("{0}")]
    Sasl(Failure),
    /// The server has sent an unexpected reply.
    #[error("the server answered {0} unexpectedly")]
    Unexpected(String),
    /// The server cannot authenticate anybody now.
    #[error("the server is unavailable ({0})")]
    Unavailable(&'static str),
    /// The server's bytes do not belong to this protocol.
    #[error("the server's reply: {0}")]
    Fault(Fault),
}

enum Phase {
    New,
    List,
    Application {
        started: bool,
    },
    /// The server has announced success, and the session has one question left.
    LastQuestion,
    Reply,
    /// The exchange has failed; the server's answer to the last message is pending.
    Doomed,
    Done,
    Failed(LoginError),
}

/// One connection's dialogue, from its first byte until the client is authenticated.
pub struct Client {
    decoder: Decoder<Reply>,
    /// The exchange. Set its options before [`Client::begin`].
    pub session: Session,
    wanted: Box<str>,
    output: Vec<u8>,
    phase: Phase,
}

impl Client {
    /// Accepts these mechanisms of the registry (names separated by spaces). The strongest one that the server offers is used.
    pub fn new(wanted: &str, registry: Arc<Registry>) -> Self {
        Client {
            decoder: Decoder::new(TOKEN_LIMIT),
            session: Session::new(Side::Client, registry),
            wanted: wanted.into(),
            output: Vec::new(),
            phase: Phase::New,
        }
    }

    /// Asks the server for its mechanisms. Nothing else is sent before its reply: a server without AUTH would read the data as
    /// commands.
    pub fn begin(&mut self) {
        if matches!(self.phase, Phase::New) {
            self.output = Request::List.to_bytes();
            self.phase = Phase::List;
        }
    }

    /// Consumes bytes from the front of `input` until there is something to do. Bytes that are left after [`Event::Done`] come
    /// after the dialogue.
    pub fn receive(&mut self, input: &mut &[u8], world: &mut World<'_>) -> Event {
        loop {
            match &self.phase {
                Phase::New => return Event::Read,
                Phase::Application { .. } | Phase::LastQuestion => return Event::Ask,
                Phase::Done => return Event::Done,
                Phase::Failed(error) => return Event::Failed(error.clone()),
                Phase::List | Phase::Reply | Phase::Doomed => {}
            }
            match self.decoder.next(input) {
                Ok(None) => return Event::Read,
                Ok(Some(reply)) => {
                    if let Some(event) = self.reply(reply, world) {
                        return event;
                    }
                }
                Err(fault) => return self.failed(LoginError::Fault(fault)),
            }
        }
    }

    fn reply(&mut self, reply: Reply, world: &mut World<'_>) -> Option<Event> {
        match (&self.phase, reply) {
            (Phase::List, Reply::Ok(Some(list))) => self.choose(&list, world),
            (Phase::List, Reply::Word(Word::UnknownCommand)) => Some(self.failed(LoginError::NoAuth)),
            (Phase::Reply, Reply::Continue(challenge)) => {
                let outcome = self.session.step(challenge.expose(), world);
                self.after(outcome, true)
            }
            (Phase::Reply, Reply::Ok(last)) => Some(self.ended(last.as_ref(), world)),
            (Phase::Reply, Reply::Word(Word::Unauthorized)) => {
                let refused = Error::Refused(Refused::PeerSaid("UNAUTHORIZED".into()));
                if self.session.abort(refused.clone()) == Outcome::Over {
                    // The client had nothing left to verify, so it has succeeded as far as it knows.
                    let mechanism = self.session.mechanism().map(|mechanism| mechanism.name);
                    return Some(self.failed(LoginError::Sasl(Failure {
                        side: Side::Client,
                        mechanism,
                        error: refused,
                    })));
                }
                Some(self.sasl_failed())
            }
            (Phase::Doomed, Reply::Word(_)) => Some(self.sasl_failed()),
            (_, Reply::Word(word @ Word::InternalError)) => Some(self.failed(LoginError::Unavailable(word.text()))),
            (_, reply) => Some(self.failed(LoginError::Unexpected(reply.name()))),
        }
    }

    fn choose(&mut self, list: &Secret, world: &mut World<'_>) -> Option<Event> {
        let offered = list.expose_str().unwrap_or_default();
        let both: Vec<&str> = negotiate::names(offered).filter(|name| negotiate::lists(&self.wanted, name)).collect();
        if let Err(error) = self.session.negotiate(&both.join(" ")) {
            self.session.abort(error);
            return Some(self.sasl_failed());
        }
        // The server's whole list counts, not only the mechanisms that this client accepts (RFC 5802 §6).
        self.session.config.peer_offers_binding = negotiate::offers_binding(offered);
        without_layer(&mut self.session.config);
        let outcome = self.session.start(None, world);
        self.after(outcome, false)
    }

    /// The question that the application must answer.
    pub fn question(&self) -> Option<&Question> {
        self.session.question()
    }

    /// Takes the application's answer. `Read` means that [`Client::receive`] must be called again.
    pub fn answer(&mut self, answer: Answer, world: &mut World<'_>) -> Event {
        let started = match &self.phase {
            Phase::Application { started } => *started,
            Phase::LastQuestion => {
                let outcome = self.session.answer(answer, world);
                return self.completed(outcome);
            }
            Phase::Done => return Event::Done,
            Phase::Failed(error) => return Event::Failed(error.clone()),
            _ => return Event::Read,
        };
        let outcome = self.session.answer(answer, world);
        self.after(outcome, started).unwrap_or(Event::Read)
    }

    fn after(&mut self, outcome: Outcome, started: bool) -> Option<Event> {
        match outcome {
            Outcome::Ask => {
                self.phase = Phase::Application { started };
                return Some(Event::Ask);
            }
            Outcome::Send => {
                self.send(started, true);
                self.phase = Phase::Reply;
            }
            // A server that cannot send data with its success has sent its last message before: the answer is empty. At the start:
            // there is no initial response.
            Outcome::Absent if !started || self.session.is_success() => {
                self.send(started, started);
                self.phase = Phase::Reply;
            }
            Outcome::FailedWithMessage => {
                self.send(started, true);
                self.phase = Phase::Doomed;
            }
            Outcome::Failed => return Some(self.sasl_failed()),
            Outcome::Absent | Outcome::Over | Outcome::Busy => {
                return Some(self.failed(LoginError::Unexpected("CONTINUE".into())));
            }
        }
        None
    }

    fn send(&mut self, started: bool, data: bool) {
        let message = data.then(|| Secret::new(self.session.message()));
        let mechanism = self.session.mechanism().map_or("", |mechanism| mechanism.name);
        let request = match started {
            true => Request::Step(message.unwrap_or_default()),
            false => Request::Start { mechanism: mechanism.into(), initial: message },
        };
        self.output = request.to_bytes();
    }

    /// The server has announced success. This checks that the exchange of this client has succeeded too.
    fn ended(&mut self, last: Option<&Secret>, world: &mut World<'_>) -> Event {
        let outcome = match last {
            None => match self.session.is_success() {
                true => Outcome::Absent,
                false => self.session.ended_early(),
            },
            Some(data) if data.is_empty() && self.session.is_success() => Outcome::Absent,
            Some(data) => self.session.step(data.expose(), world),
        };
        self.completed(outcome)
    }

    fn completed(&mut self, outcome: Outcome) -> Event {
        match outcome {
            Outcome::Ask => {
                self.phase = Phase::LastQuestion;
                Event::Ask
            }
            Outcome::Absent if self.session.is_success() => {
                self.phase = Phase::Done;
                Event::Done
            }
            Outcome::Failed | Outcome::FailedWithMessage => self.sasl_failed(),
            _ => self.failed(LoginError::Unexpected("OK".into())),
        }
    }

    /// Returns the bytes to be sent. They may contain a password.
    pub fn output(&mut self) -> Secret {
        Secret::from(std::mem::take(&mut self.output))
    }

    fn sasl_failed(&mut self) -> Event {
        match self.session.failure().cloned() {
            Some(failure) => self.failed(LoginError::Sasl(failure)),
            None => self.failed(LoginError::Unexpected("a failure".into())),
        }
    }

    fn failed(&mut self, error: LoginError) -> Event {
        self.phase = Phase::Failed(error.clone());
        Event::Failed(error)
    }
}

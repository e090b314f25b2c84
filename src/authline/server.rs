//! The server's side of a connection.

use std::sync::Arc;

use super::decoder::{Decoder, Message};
use super::reply::{Reply, Word};
use super::request::Request;
use super::{without_layer, Fault, TOKEN_LIMIT};
use crate::contract::{Answer, Question, Side, World};
use crate::error::{Error, Failure, Misuse, Rejection};
use crate::negotiate::{lists, rejected};
use crate::registry::Registry;
use crate::secret::Secret;
use crate::session::{Identity, Outcome, Session};

/// What the caller of a server must do next. It must always send [`Server::output`].
#[derive(Debug)]
pub enum Event {
    /// All input was consumed; more is needed.
    Read,
    /// [`Server::question`] waits for [`Server::answer`].
    Ask,
    /// The client has authenticated itself, and waits for [`Server::accept`] or [`Server::refuse`].
    Authenticated,
    /// An exchange has failed. The client gets a reply, unless it has abandoned the exchange itself. It may try again unless
    /// [`Server::close`] is called.
    Failed(Box<Failure>),
    /// The client was neither accepted nor refused, since the account store could not be asked ([`Error::is_unavailable`]). This
    /// is not a failed login. The client gets `INTERNAL_ERROR`, and the dialogue is over.
    Unavailable(Box<Failure>),
    /// A command that needs authentication, or its first bytes. The client gets a reply, and the dialogue is over: the end of
    /// the command is unknown.
    Command(Vec<u8>),
    /// The client's bytes do not belong to this protocol. It gets a reply, and the dialogue is over.
    Broken(Fault),
    /// The dialogue is over: the client has quit, or one of the above, or [`Server::close`].
    Closed,
    /// The client is authenticated and accepted. Further input does not belong to the dialogue.
    Open,
}

enum Phase {
    /// Waits for a request; true during an exchange.
    Request(bool),
    Application,
    Verdict,
    Open,
    Closed,
}

/// One connection's dialogue, from its first byte until the client is authenticated.
pub struct Server {
    decoder: Decoder<Request>,
    /// The exchange. Set its options before the first byte.
    pub session: Session,
    mechanisms: Box<str>,
    output: Vec<u8>,
    phase: Phase,
    /// The request that has ended an exchange. It is handled after the failure was reported.
    ended_by: Option<Result<Request, Fault>>,
}

impl Server {
    /// Offers these mechanisms of the registry (names separated by spaces), as far as the session's options allow.
    pub fn new(mechanisms: &str, registry: Arc<Registry>) -> Self {
        Server {
            decoder: Decoder::new(TOKEN_LIMIT),
            session: Session::new(Side::Server, registry),
            mechanisms: mechanisms.into(),
            output: Vec::new(),
            phase: Phase::Request(false),
            ended_by: None,
        }
    }

    /// Sets the longest token that is accepted, in bytes.
    pub fn with_token_limit(mut self, bytes: usize) -> Self {
        self.decoder = Decoder::new(bytes);
        self
    }

    /// Consumes bytes from the front of `input` until there is something to do. Bytes that are left come after the event: pass
    /// them to the next call or, after [`Event::Open`], to the new owner of the connection. Only [`Event::Read`] means that
    /// more bytes are needed: after any other event, call it again, even if no bytes are left.
    pub fn receive(&mut self, input: &mut &[u8], world: &mut World<'_>) -> Event {
        loop {
            let exchanging = match self.phase {
                Phase::Request(exchanging) => exchanging,
                Phase::Application => return Event::Ask,
                Phase::Verdict => return Event::Authenticated,
                Phase::Open => return Event::Open,
                Phase::Closed => return Event::Closed,
            };
            let next = self.ended_by.take().map_or_else(|| self.decoder.next(input), |ended_by| ended_by.map(Some));
            if exchanging && ends_exchange(&next) {
                self.ended_by = next.transpose();
                return self.abandoned();
            }
            let event = match next {
                Ok(None) => return Event::Read,
                Ok(Some(request)) => self.request(request, exchanging, world),
                Err(fault) => {
                    self.end(fault.into());
                    return Event::Broken(fault);
                }
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    fn request(&mut self, request: Request, exchanging: bool, world: &mut World<'_>) -> Option<Event> {
        match request {
            Request::List => {
                let usable = self.session.negotiation().usable(&self.mechanisms);
                let names: Vec<&str> = usable.iter().map(|mechanism| mechanism.name).collect();
                // An empty list would mean that logins are never possible here.
                if names.is_empty() && self.session.fails_without_accounts() {
                    return self.after(Outcome::Failed);
                }
                self.reply(&Reply::Ok(Some(Secret::from(names.join(" ")))));
                None
            }
            Request::Start { mechanism, initial } => {
                self.session.unpick();
                self.session.reset();
                if !lists(&self.mechanisms, &mechanism) {
                    return Some(self.failed(rejected(&mechanism, Rejection::NotOffered)));
                }
                if let Err(error) = self.session.pick(&mechanism) {
                    return Some(self.failed(error));
                }
                without_layer(&mut self.session.config);
                self.session.offer(&self.mechanisms);
                let outcome = self.session.start(initial.as_ref().map(Secret::expose), world);
                self.after(outcome)
            }
            Request::Step(_) if !exchanging => Some(self.failed(Error::Misuse(Misuse::NotStarted))),
            Request::Step(data) => {
                let outcome = self.session.step(data.expose(), world);
                self.after(outcome)
            }
            Request::Quit => {
                self.phase = Phase::Closed;
                Some(Event::Closed)
            }
            Request::Unknown(_) => {
                self.reply(&Reply::Word(Word::UnknownCommand));
                None
            }
            Request::Other(line) => {
                self.end(Word::Unauthorized);
                Some(Event::Command(line))
            }
        }
    }

    /// The question that the application must answer.
    pub fn question(&self) -> Option<&Question> {
        self.session.question()
    }

    /// Takes the application's answer. `Read` means that [`Server::receive`] must be called again.
    pub fn answer(&mut self, answer: Answer, world: &mut World<'_>) -> Event {
        if !matches!(self.phase, Phase::Application) {
            return self.now();
        }
        let outcome = self.session.answer(answer, world);
        self.after(outcome).unwrap_or(Event::Read)
    }

    /// The event for the session's outcome; `None` if the dialogue continues.
    fn after(&mut self, outcome: Outcome) -> Option<Event> {
        match outcome {
            Outcome::Ask => {
                self.phase = Phase::Application;
                Some(Event::Ask)
            }
            Outcome::Send | Outcome::Absent if self.session.is_success() => {
                self.phase = Phase::Verdict;
                Some(Event::Authenticated)
            }
            Outcome::Send => {
                let challenge = Secret::new(self.session.message());
                self.reply(&Reply::Continue(challenge));
                self.phase = Phase::Request(true);
                None
            }
            // This protocol cannot carry a mechanism's last message after a failure. UNAUTHORIZED replaces it.
            Outcome::Failed | Outcome::FailedWithMessage => match self.session.failure() {
                Some(failure) if failure.error.is_unavailable() => {
                    let failure = Box::new(failure.clone());
                    self.end(Word::InternalError);
                    Some(Event::Unavailable(failure))
                }
                _ => Some(self.unauthorized()),
            },
            Outcome::Absent | Outcome::Over | Outcome::Busy => Some(self.failed(Error::Misuse(Misuse::NotStarted))),
        }
    }

    /// Ends the exchange because the application cannot answer. With an error of [`Error::is_unavailable`] the client is neither
    /// accepted nor refused.
    pub fn fail(&mut self, error: Error) -> Event {
        if !matches!(self.phase, Phase::Application) {
            return self.now();
        }
        let outcome = self.session.abort(error);
        self.after(outcome).unwrap_or(Event::Read)
    }

    /// Accepts the client. The reply contains the mechanism's last message, if there is one.
    pub fn accept(&mut self) {
        if matches!(self.phase, Phase::Verdict) {
            let last = (!self.session.message_absent()).then(|| Secret::new(self.session.message()));
            self.reply(&Reply::Ok(last));
            self.phase = Phase::Open;
        }
    }

    /// Refuses a client that has authenticated itself: `Unauthorized` if it is not allowed in at all. The client may then try
    /// again as after a wrong password; otherwise it would learn that the password was right. Any other word ends the
    /// dialogue: `InternalError` if the client cannot be let in now.
    pub fn refuse(&mut self, word: Word) {
        match (&self.phase, word) {
            (Phase::Verdict, Word::Unauthorized) => {
                self.session.reset();
                self.reply(&Reply::Word(word));
                self.phase = Phase::Request(false);
            }
            (Phase::Verdict, _) => self.end(word),
            _ => {}
        }
    }

    /// The client has disconnected. If this ends an exchange, returns its failure.
    pub fn hang_up(&mut self) -> Option<Box<Failure>> {
        let under_way = matches!(self.phase, Phase::Request(true) | Phase::Application);
        let failed = under_way.then(|| self.abandoned());
        self.phase = Phase::Closed;
        match failed {
            Some(Event::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Ends the dialogue at once.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
    }

    /// The authenticated identity, after [`Event::Authenticated`].
    pub fn identity(&self) -> &Identity {
        self.session.identity()
    }

    /// Returns the bytes to be sent.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn now(&self) -> Event {
        match self.phase {
            Phase::Request(_) => Event::Read,
            Phase::Application => Event::Ask,
            Phase::Verdict => Event::Authenticated,
            Phase::Open => Event::Open,
            Phase::Closed => Event::Closed,
        }
    }

    fn failed(&mut self, error: Error) -> Event {
        self.session.abort(error);
        self.unauthorized()
    }

    fn unauthorized(&mut self) -> Event {
        self.reply(&Reply::Word(Word::Unauthorized));
        self.told()
    }

    /// The failure of an exchange that the client has abandoned.
    fn abandoned(&mut self) -> Event {
        self.session.abandon();
        self.told()
    }

    fn told(&mut self) -> Event {
        self.phase = Phase::Request(false);
        let failure = self.session.failure().cloned().unwrap_or(Failure {
            side: Side::Server,
            mechanism: None,
            error: Error::Misuse(Misuse::NotStarted),
        });
        Event::Failed(Box::new(failure))
    }

    fn end(&mut self, word: Word) {
        self.reply(&Reply::Word(word));
        self.phase = Phase::Closed;
    }

    fn reply(&mut self, reply: &Reply) {
        self.output.extend_from_slice(&reply.to_bytes());
    }
}

/// True for requests that end a running exchange: all except its next step and requests that change nothing.
fn ends_exchange(next: &Result<Option<Request>, Fault>) -> bool {
    !matches!(next, Ok(None | Some(Request::Step(_) | Request::List | Request::Unknown(_))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

    use super::*;
    use crate::accounts::Accounts;
    use crate::config::Config;
    use crate::contract::{Abilities, Description};
    use crate::error::Code;
    use crate::world::LocalWorld;

    /// Accounts that serve PLAIN while they are available.
    #[derive(Debug, Default)]
    struct Sometimes(AtomicBool);

    impl Accounts for Sometimes {
        fn abilities(&self) -> Abilities {
            Abilities::CHECK_PASSWORD
        }

        fn answer(&self, _: &Question, _: &Config) -> Result<Answer, Error> {
            Ok(Answer::Verdict(false))
        }

        fn available(&self) -> Result<(), Error> {
            let there = self.0.load(Ordering::Relaxed);
            there.then_some(()).ok_or_else(|| Error::outside(Code::Fail, "the file is away"))
        }

        fn unfit_reason(&self, _: &Description) -> Option<String> {
            self.available().err().map(|error| error.to_string())
        }
    }

    #[test]
    fn unavailable_accounts_are_an_internal_error() {
        for before in [&b""[..], b"auth-start PLAIN 4\r\n\0x\0y\r\n"] {
            let accounts = Arc::new(Sometimes(AtomicBool::new(true)));
            let (mut server, mut world) = (Server::new("PLAIN", crate::mechanism::registry()), LocalWorld::default());
            server.session.accounts = Some(accounts.clone());
            let mut say = |text: &[u8]| {
                let mut rest = text;
                let event = server.receive(&mut rest, &mut world.lend());
                (event, String::from_utf8(server.output()).unwrap())
            };
            if !before.is_empty() {
                assert!(matches!(say(before), (Event::Failed(_), _)));
            }
            let (event, said) = say(b"auth-list-mechanisms\r\n");
            assert_eq!((matches!(event, Event::Read), &*said), (true, "OK 5\r\nPLAIN\r\n"));
            accounts.0.store(false, Ordering::Relaxed);
            let (event, said) = say(b"auth-list-mechanisms\r\n");
            assert_eq!(said, "INTERNAL_ERROR\r\n");
            let Event::Unavailable(failure) = event else { panic!("{event:?}") };
            assert_eq!((failure.error.code(), failure.error.to_string()), (Code::Unavail, "the file is away".into()));
            assert!(matches!(say(b"auth-list-mechanisms\r\n"), (Event::Closed, _)));
        }
        let mut server = Server::new("NOTHING", crate::mechanism::registry());
        let event = server.receive(&mut &b"auth-list-mechanisms\r\n"[..], &mut LocalWorld::default().lend());
        assert!(matches!(event, Event::Read), "{event:?}");
        assert_eq!(server.output(), b"OK 0\r\n\r\n", "nothing is offered, and nothing is away");
    }
}

//! One exchange of one side: feeds events to a mechanism's states, and does once for all
//! mechanisms what RFC 4422 asks of every one (see [`crate::contract`]).

mod application;
pub mod check;
#[cfg(test)]
pub(crate) mod pair;

use std::sync::Arc;

use crate::accounts::{Accounts, Properties};
use crate::config::Config;
use crate::contract::{
    Answer, Context, Established, Event, Mechanism, Next, Question, Setup, Side, Step, World, MESSAGE_LIMIT,
};
use crate::error::{Error, Failure, Malformed, Misuse, PeerMisbehaved, Policy, Refused};
use crate::layer::{self, SharedLayer};
use crate::negotiate::{offers_binding, Negotiation};
use crate::registry::Registry;

use application::Errand;

/// What a call has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Outcome {
    /// [`Session::message`] goes to the peer; it may be empty.
    Send = 0,
    /// There is no message: absent, not empty.
    Absent = 1,
    /// [`Session::question`] waits for [`Session::answer`].
    Ask = 2,
    /// It failed: [`Session::failure`].
    Failed = 3,
    /// It failed, and [`Session::message`] must reach the peer all the same.
    FailedWithMessage = 4,
    /// The exchange was over already; nothing has changed.
    Over = 5,
    /// The call came while the application still owes an answer; nothing has changed.
    Busy = 6,
}

/// What the session waits for.
enum Phase {
    New,
    Peer(Next),
    Application(Next),
    /// Session's own question, after the mechanism's end.
    Finishing,
    /// Server: the exchange is lost, and the peer owes the answer to the message that says so.
    Refused(Error),
    /// The server spoke last; one empty message may follow where the protocol has no success data.
    ServerSpokeLast,
    /// A client has succeeded with an empty message, which a protocol may have taken for none (SMTP's and POP3's modules
    /// do): the server then asks for it with an empty challenge.
    SucceededSilently,
    /// A client has succeeded, as far as it can tell: a message that still comes is a refusal.
    SucceededUnlessRefused(Next),
    Succeeded,
    Failed,
}

/// One side of one exchange. `start` may be called again at any time and begins afresh.
pub struct Session {
    side: Side,
    registry: Arc<Registry>,
    mechanism: Option<&'static dyn Mechanism>,
    /// Options and properties.
    pub config: Config,
    /// A server's accounts: they answer the questions that its application has no callback for.
    pub accounts: Option<Arc<dyn Accounts>>,
    phase: Phase,
    message: Option<Vec<u8>>,
    question: Option<Box<Question>>,
    errand: Errand,
    failure: Option<Box<Failure>>,
    identity: Identity,
    /// Server: whom the client claims to be.
    claimed_user: Option<Box<str>>,
    /// Server: that name has no canonical form; look-ups use another name, and their answers are ignored.
    declined: bool,
    /// Server: why the client cannot log in as that user, whatever it sends.
    fault: Option<Box<Error>>,
    layer: Option<SharedLayer>,
    properties: Option<Box<Properties>>,
    delegated: bool,
}

/// The names of an exchange: a client's as far as they are known, a server's once they are proved.
#[derive(Debug, Default)]
pub struct Identity {
    /// Authentication identity; on a server the canonical one.
    pub authcid: Option<Box<str>>,
    /// Authorization identity, if one was named.
    pub authzid: Option<Box<str>>,
    /// Realm, where the mechanism has one.
    pub realm: Option<Box<str>>,
}

impl Session {
    /// A new side that chooses among the mechanisms of a registry; it has none yet.
    pub fn new(side: Side, registry: Arc<Registry>) -> Self {
        Session {
            side,
            registry,
            mechanism: None,
            config: Config::default(),
            accounts: None,
            phase: Phase::New,
            message: None,
            question: None,
            errand: Errand::None,
            failure: None,
            identity: Identity::default(),
            claimed_user: None,
            declined: false,
            fault: None,
            layer: None,
            properties: None,
            delegated: false,
        }
    }

    /// What the choice of a mechanism depends on.
    pub fn negotiation(&self) -> Negotiation<'_> {
        let setup = Setup { config: &self.config, accounts: self.accounts.as_ref() };
        Negotiation { side: self.side, registry: &self.registry, setup }
    }

    /// Uses other mechanisms from the next choice on.
    pub fn set_registry(&mut self, registry: Arc<Registry>) {
        self.registry = registry;
    }

    /// The mechanisms to choose among.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Picks the strongest usable mechanism of a list.
    ///
    /// # Errors
    /// [`Policy::NoMechanism`] with the reason for each.
    pub fn negotiate(&mut self, list: &str) -> Result<&'static dyn Mechanism, Error> {
        match self.side {
            Side::Client => {
                let offered = self.config.offered_mechanisms().unwrap_or(list);
                self.config.peer_offers_binding = offers_binding(offered);
                self.config.lists_password = self.negotiation().lists_password(list);
            }
            Side::Server => self.offer(list),
        }
        let mechanism = self.negotiation().choose(list)?;
        self.mechanism = Some(mechanism);
        Ok(mechanism)
    }

    /// Server: tells what clients were offered, those mechanisms of the list that may be used now. A client that
    /// was offered no -PLUS variant rightly says so (RFC 5802 §6), whatever data this server has.
    pub fn offer(&mut self, list: &str) {
        self.config.lists_binding = self.negotiation().binds(list);
    }

    /// Picks one mechanism by name; whether it may be used shows at `start`.
    ///
    /// # Errors
    /// [`Policy::NoMechanism`] if there is none of that name.
    pub fn pick(&mut self, name: &str) -> Result<(), Error> {
        match self.registry.find(name, self.side) {
            Some(mechanism) => self.mechanism = Some(mechanism),
            None => return Err(Policy::NoMechanism("there is none of that name".into()).into()),
        }
        Ok(())
    }

    /// Takes the choice back: a server that was given several mechanisms waits for the client's.
    pub fn unpick(&mut self) {
        self.mechanism = None;
    }

    /// Begins an exchange, dropping whatever was under way. A server gives the client's initial
    /// response, `None` if there was none.
    pub fn start(&mut self, initial: Option<&[u8]>, world: &mut World<'_>) -> Outcome {
        self.reset();
        let Some(mechanism) = self.mechanism else {
            return self.fail(Error::Misuse(Misuse::SeveralMechanisms));
        };
        if let Some(reason) = self.negotiation().rejection_reason(mechanism) {
            if self.lacks_accounts() {
                return Outcome::Failed;
            }
            return self.fail(Policy::NoMechanism(format!("{}: {reason}", mechanism.name)).into());
        }
        match (self.side, mechanism.first, initial) {
            (Side::Client, Side::Client, _) => self.advance(mechanism.client(), Event::Begin, world),
            (Side::Client, Side::Server, _) => {
                self.phase = Phase::Peer(mechanism.client());
                Outcome::Absent
            }
            (Side::Server, Side::Client, None) => {
                self.phase = Phase::Peer(mechanism.server());
                self.message = Some(Vec::new());
                Outcome::Send
            }
            (Side::Server, Side::Server, None | Some([])) => self.advance(mechanism.server(), Event::Begin, world),
            (Side::Server, _, Some(bytes)) => {
                self.phase = Phase::Peer(mechanism.server());
                self.step(bytes, world)
            }
        }
    }

    /// Takes the peer's next message. On a client that was not started it starts first: an empty
    /// message then is the server's invitation to a client that goes first.
    pub fn step(&mut self, received: &[u8], world: &mut World<'_>) -> Outcome {
        if matches!(self.phase, Phase::New) {
            if self.side == Side::Server {
                return self.fail(Error::Misuse(Misuse::NotStarted));
            }
            let begun = self.start(None, world);
            if begun != Outcome::Absent {
                if received.is_empty() || begun == Outcome::Failed {
                    return begun;
                }
                return self.fail(Error::malformed(
                    "first challenge",
                    Malformed::Unexpected("it must be empty: the client goes first in this mechanism"),
                ));
            }
        }
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Peer(next) | Phase::SucceededUnlessRefused(next) => {
                self.message = None;
                if received.len() > MESSAGE_LIMIT {
                    let reason = Malformed::TooLong { field: "it", limit: MESSAGE_LIMIT };
                    return self.fail(Error::malformed("message", reason));
                }
                self.advance(next, Event::Received(received), world)
            }
            Phase::Refused(error) => self.fail(error),
            Phase::ServerSpokeLast if received.is_empty() => {
                self.phase = Phase::Succeeded;
                self.message = None;
                Outcome::Absent
            }
            Phase::SucceededSilently if received.is_empty() => {
                self.phase = Phase::Succeeded;
                self.message = Some(Vec::new());
                Outcome::Send
            }
            waiting @ (Phase::Application(_) | Phase::Finishing) => {
                self.phase = waiting;
                Outcome::Busy
            }
            over => {
                self.phase = over;
                Outcome::Over
            }
        }
    }

    /// Gives the application's answer to [`Session::question`].
    pub fn answer(&mut self, answer: Answer, world: &mut World<'_>) -> Outcome {
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Application(next) => {
                self.question = None;
                self.answered(next, answer, world)
            }
            Phase::Finishing => {
                self.question = None;
                self.finishing_answered(answer, world)
            }
            other => {
                self.phase = other;
                Outcome::Over
            }
        }
    }

    /// Server: fails and returns true if its accounts are unavailable now. An empty list of mechanisms would then mislead the client.
    pub fn lacks_accounts(&mut self) -> bool {
        match self.accounts.as_ref().map_or(Ok(()), |accounts| accounts.available()) {
            Ok(()) => false,
            Err(error) => {
                self.fail(application::unasked(error));
                true
            }
        }
    }

    /// Ends the exchange with a failure from outside: a callback's value that could not be
    /// encoded, an exchange that was abandoned.
    pub fn abort(&mut self, error: Error) -> Outcome {
        if self.is_success() || matches!(self.phase, Phase::Failed) {
            return Outcome::Over;
        }
        self.fail(error)
    }

    /// The peer has ended the exchange: by its protocol's word for that, by beginning another one, or by going away. An exchange
    /// that ends without success has failed, whatever ends it.
    pub fn abandon(&mut self) -> Outcome {
        match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::New => Outcome::Over,
            Phase::Refused(error) => self.fail(error),
            phase => {
                self.phase = phase;
                self.abort(Error::misbehaved("exchange", PeerMisbehaved::Abandoned))
            }
        }
    }

    /// Forgets the exchange; options, properties and the mechanism stay.
    pub fn reset(&mut self) {
        self.phase = Phase::New;
        self.message = None;
        self.question = None;
        self.errand = Errand::None;
        self.failure = None;
        self.identity = Identity::default();
        self.claimed_user = None;
        self.declined = false;
        self.fault = None;
        self.layer = None;
        self.properties = None;
        self.delegated = false;
    }

    fn advance(&mut self, next: Next, event: Event<'_>, world: &mut World<'_>) -> Outcome {
        let Some(mechanism) = self.mechanism else {
            return self.fail(Error::Misuse(Misuse::SeveralMechanisms));
        };
        let mut cx = Context { mechanism, config: &self.config, accounts: self.accounts.as_ref(), world };
        match next.step(event, &mut cx) {
            Ok(Step::Send(bytes, next)) => {
                self.phase = Phase::Peer(next);
                self.message = Some(bytes);
                Outcome::Send
            }
            Ok(Step::Wait(next)) => {
                self.phase = Phase::Peer(next);
                self.message = None;
                Outcome::Absent
            }
            Ok(Step::Ask(question, next)) => self.ask(question, next, world),
            Ok(Step::Done(established)) => match self.side {
                Side::Client => self.succeed(established),
                Side::Server => self.finish(established, world),
            },
            Ok(Step::DoneUnlessRefused(established, next)) => match self.side {
                Side::Client => {
                    let outcome = self.succeed(established);
                    self.phase = Phase::SucceededUnlessRefused(next);
                    outcome
                }
                Side::Server => self.finish(established, world),
            },
            Ok(Step::Refuse(bytes, error)) => {
                self.phase = Phase::Refused(error);
                self.message = Some(bytes);
                Outcome::Send
            }
            Ok(Step::Fail(bytes, error)) => {
                self.fail(error);
                self.message = Some(bytes);
                Outcome::FailedWithMessage
            }
            Err(error) => self.fail(error),
        }
    }

    fn succeed(&mut self, established: Established) -> Outcome {
        let Established { last, authcid, authzid, layer, delegated } = established;
        if let (Some(credentials), Some(ccache)) = (delegated, self.config.delegated_ccache()) {
            if let Err(error) = credentials.store(ccache) {
                return self.fail(error);
            }
            self.delegated = true;
        }
        self.identity.authcid = Some(authcid.into());
        self.identity.authzid = authzid.map(Into::into);
        self.layer = layer.zip(self.mechanism).map(|(layer, mechanism)| layer::share(layer, self.side, mechanism.name));
        self.phase = match (self.side, &last) {
            (Side::Server, Some(_)) => Phase::ServerSpokeLast,
            (Side::Client, Some(empty)) if empty.is_empty() => Phase::SucceededSilently,
            _ => Phase::Succeeded,
        };
        self.message = last;
        if self.message.is_some() {
            Outcome::Send
        } else {
            Outcome::Absent
        }
    }

    fn fail(&mut self, error: Error) -> Outcome {
        self.phase = Phase::Failed;
        self.message = None;
        self.question = None;
        self.errand = Errand::None;
        self.layer = None;
        let error = match error {
            Error::Refused(Refused::Credentials) if self.side == Side::Server => {
                self.fault = self.fault.take().or_else(|| self.fault_of_accounts());
                self.fault.clone().map_or(Refused::Credentials, Refused::Unusable).into()
            }
            error => error,
        };
        self.failure = Some(Box::new(self.failure_of(error)));
        Outcome::Failed
    }

    /// Which side this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The mechanism, if one was chosen.
    pub fn mechanism(&self) -> Option<&'static dyn Mechanism> {
        self.mechanism
    }

    /// The message was copied: its bytes are given back, that there was one stays known.
    pub fn message_sent(&mut self) {
        if let Some(message) = &mut self.message {
            *message = Vec::new();
        }
    }

    /// The message for the peer; empty if there is none.
    pub fn message(&self) -> &[u8] {
        self.message.as_deref().unwrap_or_default()
    }

    /// True if there is no message: absent is not empty.
    pub fn message_absent(&self) -> bool {
        self.message.is_none()
    }

    /// The question that waits for an answer.
    pub fn question(&self) -> Option<&Question> {
        self.question.as_deref()
    }

    /// What went wrong.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// The names of the exchange. A server has none before the client has proved its own: a program that takes a
    /// name for a success must not be wrong.
    pub fn identity(&self) -> &Identity {
        static UNPROVED: Identity = Identity { authcid: None, authzid: None, realm: None };
        match self.side {
            Side::Server if !self.is_success() => &UNPROVED,
            _ => &self.identity,
        }
    }

    /// Server: the authentication identity that the client claims, proved or not. It is what a log of failed logins
    /// needs; it is the peer's text, so a log must escape it.
    pub fn claimed_user(&self) -> Option<&str> {
        self.claimed_user.as_deref()
    }

    /// The properties of the user that a server's application wanted to know, once it has succeeded.
    pub fn properties(&self) -> Option<&Properties> {
        self.properties.as_deref().filter(|_| self.is_success())
    }

    /// Server: what is wrong with what is stored of the claimed user. It is for the operator; the peer sees no difference from an
    /// unknown user.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_deref()
    }

    /// The security layer, once the exchange has succeeded with one.
    pub fn layer(&self) -> Option<&SharedLayer> {
        self.layer.as_ref()
    }

    /// True if the client has delegated credentials and they were stored ([`crate::config::Config::delegated_ccache`]).
    pub fn delegated(&self) -> bool {
        self.delegated
    }

    /// True while the peer's next message, or the application's answer, is needed.
    pub fn need_step(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Peer(_) | Phase::Application(_) | Phase::Finishing | Phase::Refused(_))
    }

    /// Server: what this exchange will fail with, whatever the peer answers. A refused OAuth token is known before the client has
    /// answered the error object.
    pub fn pending_failure(&self) -> Option<Failure> {
        match &self.phase {
            Phase::Refused(error) => Some(self.failure_of(error.clone())),
            _ => None,
        }
    }

    fn failure_of(&self, error: Error) -> Failure {
        Failure { side: self.side, mechanism: self.mechanism.map(|m| m.name), error }
    }

    /// True once this side has verified all that it can verify.
    pub fn is_success(&self) -> bool {
        matches!(
            self.phase,
            Phase::Succeeded | Phase::SucceededSilently | Phase::SucceededUnlessRefused(_) | Phase::ServerSpokeLast
        )
    }

    /// Reports a server that ended the protocol's dialogue with success although this client still
    /// waited for its proof.
    pub fn ended_early(&mut self) -> Outcome {
        self.abort(Error::misbehaved("outcome", PeerMisbehaved::ServerProofMissing))
    }
}

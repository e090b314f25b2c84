//! One exchange of one side. The session passes events to a mechanism's states, and does for all mechanisms what
//! RFC 4422 requires of each (see [`crate::contract`]).
//!
//! A call returns an [`Outcome`]: send a message, answer a question, or stop.
//!
//! ```
//! use authen_sasl_rust::contract::{Abilities, Answer, Question, Side};
//! use authen_sasl_rust::session::{Outcome, Session};
//! use authen_sasl_rust::{mechanism, world::LocalWorld};
//!
//! let mut world = LocalWorld::default();
//! let mut server = Session::new(Side::Server, mechanism::registry());
//! server.config.abilities = Abilities::CHECK_PASSWORD;
//! server.pick("PLAIN")?;
//! assert_eq!(server.start(Some(b"\0fred\0pencil"), &mut world.lend()), Outcome::Ask);
//! let Some(Question::CheckPassword { authcid, password, .. }) = server.question() else { panic!() };
//! let right = authcid == "fred" && password.ct_eq(b"pencil");
//! server.answer(Answer::Verdict(right), &mut world.lend());
//! assert!(server.is_success());
//! assert_eq!(server.identity().authcid.as_deref(), Some("fred"));
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

mod admission;
mod application;
#[doc(hidden)]
pub mod check;
#[cfg(test)]
pub(crate) mod pair;
mod questions;
mod state;
mod upgrade;

use crate::contract::{Answer, Context, Event, Mechanism, Next, Side, Step, World, MESSAGE_LIMIT};
use crate::error::{Error, Malformed, Misuse, PeerMisbehaved, Rejection};
use crate::negotiate::{offers_binding, rejected};

use application::{unasked, Progress};
use questions::unknown_user;
use state::Phase;

pub use state::{Identity, Outcome, Session};

impl Session {
    /// Picks the strongest usable mechanism of a list.
    ///
    /// # Errors
    /// [`crate::error::Policy::NoMechanism`] with the reason for each.
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

    /// Server: records what clients are offered: the mechanisms of the list that may be used now. A client that was offered no
    /// -PLUS variant may say so (RFC 5802 §6), even if this server has binding data.
    pub fn offer(&mut self, list: &str) {
        self.config.lists_binding = self.negotiation().binds(list);
    }

    /// Picks one mechanism by name. `start` checks that it may be used.
    ///
    /// # Errors
    /// [`crate::error::Policy::NoMechanism`] if there is none of that name.
    pub fn pick(&mut self, name: &str) -> Result<(), Error> {
        match self.registry.find(name, self.side) {
            Some(mechanism) => self.mechanism = Some(mechanism),
            None => return Err(rejected(name, Rejection::NotSupported)),
        }
        Ok(())
    }

    /// Undoes the choice: a server with several mechanisms waits for the client's choice.
    pub fn unpick(&mut self) {
        self.mechanism = None;
    }

    /// Begins an exchange and discards an earlier one. A server passes the client's initial response, or `None` if there was
    /// none.
    pub fn start(&mut self, initial: Option<&[u8]>, world: &mut World<'_>) -> Outcome {
        self.reset();
        let Some(mechanism) = self.mechanism else {
            return self.fail(Error::Misuse(Misuse::SeveralMechanisms));
        };
        if let Some(reason) = self.negotiation().rejection_reason(mechanism) {
            if self.fails_without_accounts() {
                return Outcome::Failed;
            }
            return self.fail(rejected(mechanism.name, reason));
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

    /// Takes the peer's next message. A client that was not started is started first: an empty message then is the server's
    /// invitation to a client that sends first.
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
            Phase::Refused(error) => self.fail(*error),
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

    /// Takes the application's answer to [`Session::question`].
    pub fn answer(&mut self, answer: Answer, world: &mut World<'_>) -> Outcome {
        match self.take_answer(answer, world) {
            Ok(Progress::Return(outcome)) => outcome,
            Ok(Progress::Resume(next, answer)) => self.advance(next, Event::Answered(answer), world),
            Err(error) => self.fail(error),
        }
    }

    /// Takes as the application's answer that the stored secret of this user is unusable. The peer is answered as for an
    /// unknown user; the operator gets the reason.
    pub fn answer_unusable(&mut self, fault: Error, world: &mut World<'_>) -> Outcome {
        let Some(question) = self.question.as_deref() else { return Outcome::Over };
        let unknown = unknown_user(question);
        self.fault = Some(Box::new(fault));
        self.answer(unknown, world)
    }

    /// Server: if its accounts are unavailable now, fails and returns true. An empty list of mechanisms would mislead the
    /// client.
    pub fn fails_without_accounts(&mut self) -> bool {
        match self.accounts.as_ref().map_or(Ok(()), |accounts| accounts.available()) {
            Ok(()) => false,
            Err(error) => {
                self.fail(unasked(error));
                true
            }
        }
    }

    /// Ends the exchange with an error of the caller: an answer that could not be encoded, for instance.
    pub fn abort(&mut self, error: Error) -> Outcome {
        if self.is_success() || matches!(self.phase, Phase::Failed) {
            return Outcome::Over;
        }
        self.fail(error)
    }

    /// The peer has ended the exchange: it has cancelled it, begun another one, or disconnected. An exchange that ends without
    /// success has failed, whatever ends it.
    pub fn abandon(&mut self) -> Outcome {
        match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::New => Outcome::Over,
            Phase::Refused(error) => self.fail(*error),
            phase => {
                self.phase = phase;
                self.abort(Error::misbehaved("exchange", PeerMisbehaved::Abandoned))
            }
        }
    }

    /// Continues until the caller must act: the mechanism gets each answer that the accounts give at once.
    fn advance(&mut self, mut next: Next, mut event: Event<'_>, world: &mut World<'_>) -> Outcome {
        let Some(mechanism) = self.mechanism else {
            return self.fail(Error::Misuse(Misuse::SeveralMechanisms));
        };
        loop {
            let mut cx = Context { mechanism, config: &self.config, accounts: self.accounts.as_ref(), world };
            let progress = match next.step(event, &mut cx) {
                Ok(Step::Send(bytes, next)) => {
                    self.phase = Phase::Peer(next);
                    self.message = Some(bytes);
                    return Outcome::Send;
                }
                Ok(Step::Wait(next)) => {
                    self.phase = Phase::Peer(next);
                    self.message = None;
                    return Outcome::Absent;
                }
                Ok(Step::Ask(question, next)) => self.ask(question, next, world),
                Ok(Step::Done(established) | Step::DoneUnlessRefused(established, _)) if self.side == Side::Server => {
                    self.finish(established, world)
                }
                Ok(Step::Done(established)) => self.conclude(established, world),
                Ok(Step::DoneUnlessRefused(established, next)) => self.succeed(established).map(|outcome| {
                    self.phase = Phase::SucceededUnlessRefused(next);
                    Progress::Return(outcome)
                }),
                Ok(Step::Refuse(bytes, error)) => {
                    self.phase = Phase::Refused(Box::new(self.explained(error)));
                    self.message = Some(bytes);
                    return Outcome::Send;
                }
                Ok(Step::Fail(bytes, error)) => {
                    self.fail(error);
                    self.message = Some(bytes);
                    return Outcome::FailedWithMessage;
                }
                Err(error) => Err(error),
            };
            match progress {
                Ok(Progress::Return(outcome)) => return outcome,
                Ok(Progress::Resume(same, answer)) => (next, event) = (same, Event::Answered(answer)),
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Reports that the server has announced success although this client still waits for the server's proof.
    pub fn ended_early(&mut self) -> Outcome {
        self.abort(Error::misbehaved("outcome", PeerMisbehaved::ServerProofMissing))
    }
}

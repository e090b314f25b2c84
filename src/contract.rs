//! Everything that the author of a mechanism must read: this file, and the words of [`crate::vocabulary`].
//!
//! A [`Mechanism`] is a [`Description`] with two constructors, one per side. A constructor
//! returns the first [`State`]. The session feeds it [`Event`]s; each state is consumed by the
//! event that it waits for and answers with a [`Step`]: bytes for the peer, a [`Question`] for
//! the application, or the end. Nothing here opens a socket, reads a clock or knows Perl: what a
//! mechanism needs of the world it is lent, in its [`Context`].
//!
//! The session deals with these, so that no mechanism has to:
//! - *client sends first*: a server's first event is `Received(initial response)`; if the
//!   protocol carried none, the session has sent an empty challenge and waited;
//! - *server sends first*: a server's first event is then `Begin` (or `Received`, where the
//!   client sent an initial response all the same), a client's is `Received`;
//! - *server sends last*: `Done` with `last: Some(_)`, whether or not the protocol has room for data
//!   with its success;
//! - a message after the end, a step while an answer is owed, a message above [`MESSAGE_LIMIT`];
//! - the `canonuser`, `authorize` and `checkpass`-or-`getsecret` decisions of a server.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::error::{Application, Code, Error, Malformed, Rejection};
use crate::secret::Secret;

pub use crate::error::Side;
pub use crate::limits::{MESSAGE_LIMIT, NAME_LIMIT, SECRET_LIMIT};
pub use crate::vocabulary::{
    Abilities, Answer, CredentialKind, Description, Property, Question, SecurityFlags, TokenVerdict, Values,
};
pub use crate::world::{DerivedKeys, KeyId, Lookups, Random, World};

/// A mechanism: what it is, and how an exchange of each side begins. It owns its data, so a program can bring its own;
/// it is a static, or it stays for as long as the process.
///
/// A mechanism can be read as its [`Description`]: `mechanism.name`.
pub trait Mechanism: Send + Sync {
    /// What it is.
    fn description(&self) -> &Description;

    /// A client's first state.
    fn client(&'static self) -> Next;

    /// A server's first state.
    fn server(&'static self) -> Next;

    /// Why it cannot be used here on that side, beyond what its description says: the machine lacks a library, for instance.
    fn unavailable_reason(&'static self, _side: Side, _setup: Setup<'_>) -> Option<Rejection> {
        None
    }

    /// True if its server keeps secrets of its own, beside those of the accounts.
    fn keeps_secrets(&'static self) -> bool {
        false
    }

    /// Sets the secret that its server keeps of a user, or takes it away without a password. `flags` are `SASL_SET_*` of sasl.h.
    ///
    /// # Errors
    /// [`Error::Outside`] if it keeps none, or it cannot be stored.
    fn set_secret(
        &'static self,
        _setup: Setup<'_>,
        _user: &str,
        _password: Option<&Secret>,
        _flags: u32,
    ) -> Result<(), Error> {
        Err(Error::outside(Code::NoMech, "this mechanism keeps no secrets"))
    }
}

impl Deref for dyn Mechanism {
    type Target = Description;

    fn deref(&self) -> &Description {
        self.description()
    }
}

impl fmt::Debug for dyn Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A mechanism whose states need nothing but their [`Context`].
pub struct Stateless {
    /// What it is.
    pub description: Description,
    /// Makes a client's first state.
    pub client: fn() -> Next,
    /// Makes a server's first state.
    pub server: fn() -> Next,
    /// [`Mechanism::unavailable_reason`]; [`available`] for a mechanism that needs nothing of the machine or connection.
    pub unavailable_reason: fn(Side, Setup<'_>) -> Option<Rejection>,
}

/// The [`Stateless::unavailable_reason`] of a mechanism that can be used wherever its description allows it.
pub fn available(_: Side, _: Setup<'_>) -> Option<Rejection> {
    None
}

impl Mechanism for Stateless {
    fn description(&self) -> &Description {
        &self.description
    }

    fn client(&'static self) -> Next {
        (self.client)()
    }

    fn server(&'static self) -> Next {
        (self.server)()
    }

    fn unavailable_reason(&'static self, side: Side, setup: Setup<'_>) -> Option<Rejection> {
        (self.unavailable_reason)(side, setup)
    }
}

/// How one side of a connection is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Options and properties.
    pub config: &'a Config,
    /// A server's accounts: they answer the questions that its application has no callback for.
    pub accounts: Option<&'a Arc<dyn Accounts>>,
}

impl<'a> Setup<'a> {
    /// Options alone, without accounts.
    pub fn of(config: &'a Config) -> Self {
        Setup { config, accounts: None }
    }

    /// What is answered at all, by the application or by the accounts.
    pub fn answered(&self) -> Abilities {
        self.accounts.map_or(self.config.abilities, |accounts| self.config.abilities.union(accounts.abilities()))
    }
}

/// A state of one side, named for what it waits for: `AwaitServerFirst`, `AwaitVerdict`.
///
/// It is consumed by its event, so an exchange that has ended cannot be stepped again. Whatever it
/// holds of secrets is a [`Secret`] or zeroized otherwise.
pub trait State: Send {
    /// Takes the event and says what happens next.
    ///
    /// # Errors
    /// Any error ends the exchange; the peer hears nothing. If it must hear something, return
    /// [`Step::Fail`] instead.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error>;
}

/// The state that waits for the next event. A state without fields costs no allocation.
pub type Next = Box<dyn State>;

/// What a state is woken by.
#[derive(Debug)]
pub enum Event<'a> {
    /// The exchange begins and this side speaks first.
    Begin,
    /// A message of the peer. An empty message is `Received(b"")`.
    Received(&'a [u8]),
    /// The application's answer to the question that the state before asked.
    Answered(Answer),
}

/// What a state does next.
pub enum Step {
    /// Send a message (perhaps an empty one), then wait for the peer.
    Send(Vec<u8>, Next),
    /// Send nothing, not even an empty message, and wait for the peer: a mechanism that finds out for itself whether it
    /// speaks first.
    Wait(Next),
    /// Ask the application, then wait for its answer.
    Ask(Question, Next),
    /// This side is satisfied.
    Done(Established),
    /// A client is satisfied and waits for nothing; if the server sends a message all the same, it is
    /// a refusal, and this state answers it (the error object of RFC 7628 §3.2.2).
    DoneUnlessRefused(Established, Next),
    /// The exchange has failed, and the peer must hear this last message.
    Fail(Vec<u8>, Error),
    /// Server: the exchange is lost, and the peer must hear why; it fails with whatever the peer answers, or does not answer
    /// (RFC 7628 §3.2.3).
    Refuse(Vec<u8>, Error),
}

/// The result of a successful exchange.
#[derive(Default)]
pub struct Established {
    /// Final message for the peer; `None` is not empty.
    pub last: Option<Vec<u8>>,
    /// Who was authenticated. A client repeats the name that it sent.
    pub authcid: String,
    /// Whom to act as, if another identity was asked for.
    pub authzid: Option<String>,
    /// The security layer that was negotiated.
    pub layer: Option<Box<dyn SecurityLayer>>,
    /// Server: which of the user's tokens the client has proved, counted from 0 ([`crate::store::tokens`]).
    pub token_index: Option<usize>,
    /// Server: what the client has delegated, if the server wants it. The session stores it once the client is authorized.
    pub delegated: Option<Box<dyn Delegated>>,
}

/// Credentials with which a server may act for its client.
pub trait Delegated: Send {
    /// Stores them in the credentials cache of that name, in place of what it holds.
    ///
    /// # Errors
    /// If they cannot be stored there.
    fn store(&self, ccache: &str) -> Result<(), Error>;
}

/// What the two sides have agreed on for a security layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerLimits {
    /// Its security strength factor.
    pub ssf: u32,
    /// Longest plaintext that `encode` takes, in bytes: its frame is no longer than the peer receives.
    pub max_plaintext: usize,
    /// Longest frame that the peer may send, in bytes.
    pub max_received: usize,
}

/// A negotiated security layer: one message in, one frame out and back, in place and without the
/// framing of four octets of length (RFC 4422 §3.7), which is the same for all layers and lives
/// in [`crate::layer`]. That one also sees to it that a layer is not used after an error.
pub trait SecurityLayer: Send {
    /// What was agreed on; it never changes.
    fn limits(&self) -> LayerLimits;
    /// The most bytes that the frame of a message of that length takes.
    fn room(&self, length: usize) -> usize;
    /// Protects the first `length` bytes of a buffer that has at least the [`SecurityLayer::room`] for
    /// the frame, which it leaves there; gives the frame's length.
    ///
    /// # Errors
    /// When no frame can be made any more; the layer must not be used again.
    fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error>;
    /// Verifies one frame and leaves its plaintext at the start of it; gives the plaintext's length.
    ///
    /// # Errors
    /// When the frame is damaged, repeated or out of order; the layer must not be used again, and
    /// what is in the frame must not be looked at.
    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error>;
}

/// What a mechanism may look at besides its own state.
pub struct Context<'a, 'w> {
    /// The mechanism itself: states that serve a family read its hash here.
    pub mechanism: &'static dyn Mechanism,
    /// Options and properties of the connection.
    pub config: &'a Config,
    /// A server's accounts. The session asks them; a mechanism that looks up more than a credential may do so itself.
    pub accounts: Option<&'a Arc<dyn Accounts>>,
    /// What the world lends.
    pub world: &'a mut World<'w>,
}

impl<'a> Context<'a, '_> {
    /// How the connection is set up.
    pub fn setup(&self) -> Setup<'a> {
        Setup { config: self.config, accounts: self.accounts }
    }
}

impl<'a> Event<'a> {
    /// The peer's message.
    ///
    /// # Errors
    /// If the event is none, which the session never lets happen to a state that has sent.
    pub fn received(self, message: &'static str) -> Result<&'a [u8], Error> {
        match self {
            Event::Received(bytes) => Ok(bytes),
            _ => Err(Error::malformed(message, Malformed::Unexpected("no message was received"))),
        }
    }

    /// The answer to [`Question::Values`].
    ///
    /// # Errors
    /// [`Application::WrongAnswer`].
    pub fn values(self) -> Result<Values, Error> {
        match self {
            Event::Answered(Answer::Values(values)) => Ok(values),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// The answer to [`Question::Realm`] or [`Question::Canonicalize`].
    ///
    /// # Errors
    /// [`Application::WrongAnswer`].
    pub fn text(self) -> Result<Option<String>, Error> {
        match self {
            Event::Answered(Answer::Text(text)) => Ok(text),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// The answer to [`Question::CheckPassword`] or [`Question::Authorize`].
    ///
    /// # Errors
    /// [`Application::WrongAnswer`].
    pub fn verdict(self) -> Result<bool, Error> {
        match self {
            Event::Answered(Answer::Verdict(verdict)) => Ok(verdict),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// The answer to [`Question::Credentials`] or [`Question::Challenge`].
    ///
    /// # Errors
    /// [`Application::WrongAnswer`].
    pub fn credential(self) -> Result<Option<Secret>, Error> {
        match self {
            Event::Answered(Answer::Credential(credential)) => Ok(credential),
            _ => Err(Application::WrongAnswer.into()),
        }
    }

    /// The answer to [`Question::Token`].
    ///
    /// # Errors
    /// [`Application::WrongAnswer`].
    pub fn token(self) -> Result<TokenVerdict, Error> {
        match self {
            Event::Answered(Answer::Token(verdict)) => Ok(verdict),
            _ => Err(Application::WrongAnswer.into()),
        }
    }
}

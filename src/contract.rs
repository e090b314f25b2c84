//! Everything that the author of a mechanism must read: this file, and the words of [`crate::vocabulary`].
//!
//! A [`Mechanism`] is a [`Description`] with two constructors, one per side. A constructor
//! returns the first [`State`]. The session feeds it [`Event`]s; each state is consumed by the
//! event that it waits for and returns a [`Step`]: bytes for the peer, a [`Question`] for
//! the application, or the end. A mechanism opens no socket, reads no clock and knows no Perl. Its [`Context`] lends it
//! what it needs.
//!
//! The session handles the following for all mechanisms:
//! - *client sends first*: a server's first event is `Received(initial response)`; if the
//!   protocol carried none, the session has sent an empty challenge and waited;
//! - *server sends first*: a server's first event is then `Begin` (or `Received`, if the
//!   client sent an initial response anyway), a client's is `Received`;
//! - *server sends last*: `Done` with `last: Some(_)`, whether or not the protocol can carry data
//!   with its success;
//! - a message after the end, a step while an answer is pending, a message above [`MESSAGE_LIMIT`];
//! - a server's questions about a canonical name and an authorization identity, and who checks a password.
//!
//! [`crate::guide::mechanism`] has a whole mechanism, client and server. Its first step, without a session:
//!
//! ```
//! use authen_sasl_rust::config::Config;
//! use authen_sasl_rust::contract::{Context, Event, Question, Side, Step};
//! use authen_sasl_rust::{mechanism, world::LocalWorld};
//!
//! let plain = mechanism::find("PLAIN").ok_or("not built in")?;
//! assert_eq!((plain.first, plain.carries_authzid), (Side::Client, true));
//! let (config, mut world) = (Config::default(), LocalWorld::default());
//! let mut cx = Context { mechanism: plain, config: &config, accounts: None, world: &mut world.lend() };
//! let step = plain.client().step(Event::Begin, &mut cx)?;
//! assert!(matches!(step, Step::Ask(Question::Values(_), _)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::error::{Application, Code, Error, Malformed, Rejection};
use crate::secret::Secret;
use crate::wire::client_keys::ClientKeys;

pub use crate::error::Side;
pub use crate::limits::{MESSAGE_LIMIT, NAME_LIMIT, SECRET_LIMIT};
pub use crate::vocabulary::{
    Abilities, Answer, CredentialKind, Description, Outline, Property, Question, SecurityFlags, Sent, TokenVerdict,
    Values,
};
pub use crate::world::{DerivedKeys, KeyId, Lookups, Random, World};

/// A mechanism: its description, and the first state of each side. It owns its data, so that a program can add its own
/// mechanisms. It lives as long as the process.
///
/// It dereferences to its [`Description`]: `mechanism.name`.
pub trait Mechanism: Send + Sync {
    /// What it is.
    fn description(&self) -> &Description;

    /// A client's first state.
    fn client(&'static self) -> Next;

    /// A server's first state.
    fn server(&'static self) -> Next;

    /// Why this side cannot use it here, apart from what its description requires: a library is missing, for instance.
    fn unavailable_reason(&'static self, _side: Side, _setup: Setup<'_>) -> Option<Rejection> {
        None
    }

    /// What may be shown of a message of an exchange; `None` if nothing may, or it does not parse.
    fn outline(&self, _message: &Sent<'_>) -> Option<Outline> {
        None
    }

    /// True if its server stores secrets of its own besides those of the accounts.
    fn keeps_secrets(&'static self) -> bool {
        false
    }

    /// Sets the secret that its server stores for a user, or removes it if `password` is `None`. `flags` are `SASL_SET_*` of
    /// sasl.h.
    ///
    /// # Errors
    /// [`Error::Outside`] if it stores none, or storing fails.
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

/// A mechanism whose states need only their [`Context`].
pub struct Stateless {
    /// What it is.
    pub description: Description,
    /// Makes a client's first state.
    pub client: fn() -> Next,
    /// Makes a server's first state.
    pub server: fn() -> Next,
    /// [`Mechanism::unavailable_reason`]; [`available`] for a mechanism that does not depend on the machine or connection.
    pub unavailable_reason: fn(Side, Setup<'_>) -> Option<Rejection>,
    /// [`Mechanism::outline`]; [`hidden`] for a mechanism whose messages are not to be shown.
    pub outline: fn(&Description, &Sent<'_>) -> Option<Outline>,
}

/// The [`Stateless::unavailable_reason`] of a mechanism that can be used whenever its description allows it.
pub fn available(_: Side, _: Setup<'_>) -> Option<Rejection> {
    None
}

/// The [`Stateless::outline`] of a mechanism of whose messages nothing may be shown.
pub fn hidden(_: &Description, _: &Sent<'_>) -> Option<Outline> {
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

    fn outline(&self, message: &Sent<'_>) -> Option<Outline> {
        (self.outline)(&self.description, message)
    }
}

/// How one side of a connection is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Options and properties.
    pub config: &'a Config,
    /// A server's accounts. They answer the questions that its application does not answer itself.
    pub accounts: Option<&'a Arc<dyn Accounts>>,
}

impl<'a> Setup<'a> {
    /// Options alone, without accounts.
    pub fn of(config: &'a Config) -> Self {
        Setup { config, accounts: None }
    }

    /// What the application or the accounts can answer.
    pub fn answered(&self) -> Abilities {
        self.accounts.map_or(self.config.abilities, |accounts| self.config.abilities.union(accounts.abilities()))
    }
}

/// A state of one side, named for what it waits for: `AwaitServerFirst`, `AwaitVerdict`.
///
/// Its event consumes it, so an exchange that has ended cannot be stepped again. It keeps secrets in a [`Secret`], or
/// zeroizes them in another way.
pub trait State: Send {
    /// Takes the event and returns what happens next.
    ///
    /// # Errors
    /// Any error ends the exchange without a message to the peer. If the peer must get a message, return
    /// [`Step::Fail`] instead.
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error>;
}

/// The state that waits for the next event. A state without fields needs no allocation.
pub type Next = Box<dyn State>;

/// What a state waits for.
#[derive(Debug)]
pub enum Event<'a> {
    /// The exchange begins and this side sends first.
    Begin,
    /// A message of the peer. An empty message is `Received(b"")`.
    Received(&'a [u8]),
    /// The application's answer to the question of the previous state.
    Answered(Answer),
}

/// What a state does next.
pub enum Step {
    /// Send a message (perhaps an empty one), then wait for the peer.
    Send(Vec<u8>, Next),
    /// Send nothing, not even an empty message, and wait for the peer. For mechanisms that find out only in the exchange
    /// which side sends first.
    Wait(Next),
    /// Ask the application, then wait for its answer.
    Ask(Question, Next),
    /// This side is satisfied.
    Done(Established),
    /// A client is satisfied and expects no message. If the server sends one, the server refuses, and this state answers it
    /// (the error object of RFC 7628 §3.2.2).
    DoneUnlessRefused(Established, Next),
    /// The exchange has failed, and the peer must get this last message.
    Fail(Vec<u8>, Error),
    /// Server: the exchange is going to fail, and the peer must get this message first. It fails whether the peer answers or
    /// not (RFC 7628 §3.2.3).
    Refuse(Vec<u8>, Error),
}

/// The result of a successful exchange.
#[derive(Default)]
pub struct Established {
    /// Final message for the peer. `None` means no message, which differs from an empty one.
    pub last: Option<Vec<u8>>,
    /// The authenticated identity. A client repeats the name that it sent.
    pub authcid: String,
    /// The identity to act as, if the client asked for another one.
    pub authzid: Option<String>,
    /// The security layer that was negotiated.
    pub layer: Option<Box<dyn SecurityLayer>>,
    /// Server: which of the user's tokens the client has proved, counted from 0 ([`crate::store::tokens`]).
    pub token_index: Option<usize>,
    /// The SCRAM keys of this login, if the application keeps them.
    pub keys: Option<Box<ClientKeys>>,
    /// Server: the client's delegated credentials, if the server wants them. The session stores them once the client is
    /// authorized.
    pub delegated: Option<Box<dyn Delegated>>,
}

/// Credentials with which a server may act for its client.
pub trait Delegated: Send {
    /// Stores them in the credentials cache of that name and replaces its contents.
    ///
    /// # Errors
    /// If storing fails.
    fn store(&self, ccache: &str) -> Result<(), Error>;
}

/// The negotiated limits of a security layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerLimits {
    /// Its security strength factor (SSF).
    pub ssf: u32,
    /// Longest plaintext that `encode` takes, in bytes: longer ones would exceed the frame that the peer receives.
    pub max_plaintext: usize,
    /// Longest frame that the peer may send, in bytes.
    pub max_received: usize,
}

/// A negotiated security layer. It turns one message into one frame and back, in place. The four octets of length before
/// a frame (RFC 4422 §3.7) are the same for all layers: [`crate::layer`] adds them, and makes sure that no layer is used
/// after an error.
pub trait SecurityLayer: Send {
    /// The negotiated limits; they never change.
    fn limits(&self) -> LayerLimits;
    /// Maximum size of the frame for a message of that length, in bytes.
    fn room(&self, length: usize) -> usize;
    /// Protects the first `length` bytes of a buffer in place. The buffer has at least [`SecurityLayer::room`] bytes. Returns
    /// the length of the frame.
    ///
    /// # Errors
    /// If no frame can be made any more. The layer must not be used again.
    fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error>;
    /// Verifies one frame and writes its plaintext to the start of the buffer. Returns the length of the plaintext.
    ///
    /// # Errors
    /// If the frame is damaged, repeated or out of order. The layer must not be used again, and the buffer must not be read.
    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error>;
}

/// What a mechanism can read besides its own state.
pub struct Context<'a, 'w> {
    /// The mechanism itself. States that serve a whole family read its hash here.
    pub mechanism: &'static dyn Mechanism,
    /// Options and properties of the connection.
    pub config: &'a Config,
    /// A server's accounts. The session asks them for credentials. A mechanism that needs more may ask them itself.
    pub accounts: Option<&'a Arc<dyn Accounts>>,
    /// Random numbers and the like, lent by the caller.
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
    /// If the event is not a message. The session never does this to a state that has sent.
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

    /// The answer to [`Question::CheckPassword`], [`Question::Replace`] or [`Question::Authorize`].
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

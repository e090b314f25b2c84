//! Everything that the author of a mechanism must read: this file, and what is in its folder.
//!
//! A [`Mechanism`] is a static description with two constructors, one a side. A constructor
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

mod accounts;
mod sets;
mod values;

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::config::Config;
use crate::error::{Application, Error, Malformed};
use crate::secret::Secret;

pub use accounts::{Account, Accounts, Properties};
pub use sets::{Abilities, SecurityFlags};
pub use values::{Property, Values};

/// Longest message that is read from a peer, in bytes. Tickets with a Windows authorization are the longest
/// that there are, some hundred kilobytes.
pub const MESSAGE_LIMIT: usize = 1 << 20;

/// Longest name (authentication or authorization identity, host, port), in bytes, from a peer or from the
/// application. The longest that a standard allows is XMPP's address of 3071 bytes (RFC 7622 §3.1).
pub const NAME_LIMIT: usize = 4096;

/// Longest password, token or stored key that the application gives, in bytes.
pub const SECRET_LIMIT: usize = 1 << 16;

/// One of the two sides of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The side that authenticates itself.
    Client,
    /// The side that verifies.
    Server,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Client => "client",
            Side::Server => "server",
        })
    }
}

/// One mechanism under its IANA name. All of them are listed in [`crate::mechanism::ALL`].
#[derive(Debug)]
pub struct Mechanism {
    /// The registered name, 1 to 20 characters of A-Z, 0-9, hyphen and underscore.
    pub name: &'static str,
    /// Who sends the first message (RFC 4422 §5, item 2a).
    pub first: Side,
    /// Preference among mechanisms: higher is stronger. See [`crate::mechanism`] for the scale.
    pub rank: u8,
    /// Strength of the best security layer it can negotiate; 0 for none.
    pub max_ssf: u32,
    /// Security flags that it satisfies.
    pub security: SecurityFlags,
    /// What a client's application must be able to answer: all of these.
    pub client_needs: Abilities,
    /// What a server's application must be able to answer: one of these; empty for nothing.
    pub server_needs: Abilities,
    /// Client: it can ask to act as another identity than the one that authenticates (ANONYMOUS: its trace).
    pub carries_authzid: bool,
    /// True if a client derives keys that are worth remembering ([`DerivedKeys`]).
    pub derives_keys: bool,
    /// Why this machine does not have it for that side of a connection; `None` if it does. Those that need nothing of
    /// the machine say [`available`].
    pub unavailable: fn(&'static Mechanism, Side, &Config) -> Option<String>,
    /// Makes a client's first state.
    pub client: fn() -> Next,
    /// Makes a server's first state.
    pub server: fn() -> Next,
}

/// The [`Mechanism::unavailable`] of a mechanism that is there on every machine.
pub fn available(_: &'static Mechanism, _: Side, _: &Config) -> Option<String> {
    None
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
    /// The mechanism itself: states that serve a family read its name here.
    pub mechanism: &'static Mechanism,
    /// Options and properties of the connection.
    pub config: &'a Config,
    /// What the world lends.
    pub world: &'a mut World<'w>,
}

/// What stands outside the core and is lent to it for the time of one call.
pub struct World<'w> {
    /// Random bytes for nonces.
    pub random: &'w mut dyn Random,
    /// A client's memory of derived keys, if the application keeps one.
    pub keys: Option<&'w dyn DerivedKeys>,
    /// What a server derives the salts of users without a stored salt from, unknown ones included.
    pub salt_key: &'w [u8],
    /// What a server has learned about the look-ups that its application answers.
    pub lookups: &'w dyn Lookups,
}

/// A source of random bytes fit for nonces.
pub trait Random {
    /// Fills the whole of `buffer`.
    ///
    /// # Errors
    /// [`Error::System`] if the operating system has none; never a weaker source instead.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error>;

    /// A nonce: printable, without comma, never empty. A source that repeats a published exchange
    /// gives that exchange's nonces here.
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn nonce(&mut self) -> Result<String, Error> {
        let mut bytes = [0; 24];
        self.fill(&mut bytes)?;
        Ok(STANDARD.encode(bytes))
    }
}

/// A client's memory of keys that were expensive to derive.
pub trait DerivedKeys {
    /// The keys remembered for exactly these inputs, the password among them.
    fn find(&self, id: &KeyId<'_>) -> Option<Secret>;
    /// Remembers keys. Call it only after the server has proved that they are right.
    fn remember(&self, id: &KeyId<'_>, keys: Secret);
}

/// The inputs of a key derivation.
pub struct KeyId<'a> {
    /// The hash's name, for instance `SHA-256`.
    pub hash: &'static str,
    /// The user name as sent.
    pub authcid: &'a str,
    /// The prepared password.
    pub password: &'a Secret,
    /// The salt.
    pub salt: &'a [u8],
    /// The iteration count.
    pub iterations: u32,
}

/// What a server remembers of its application's `getsecret` answers, so that unknown users cost as much time as
/// known ones with a wrong password.
///
/// A stored key costs PLAIN a key derivation and SCRAM none; a plain password costs SCRAM one and PLAIN none. So every
/// login does the work of all kinds that were seen before it, whatever its own kind is. As long as nothing was seen,
/// both kinds are expected: a process that serves one connection cannot know better.
pub trait Lookups {
    /// A known user's credential was seen: was it a stored key?
    fn saw(&self, stored_key: bool);
    /// True if users may have stored keys.
    fn expects_stored_keys(&self) -> bool;
    /// True if users may have plain passwords.
    fn expects_passwords(&self) -> bool;
}

/// A question to the application. Adding a kind touches this file and the boundary, on purpose.
#[derive(Debug)]
#[non_exhaustive]
pub enum Question {
    /// Client: these values, in one batch. Answered by [`Answer::Values`].
    Values(&'static [Property]),
    /// Client: which of the offered realms? Answered by [`Answer::Text`].
    Realm {
        /// What the server offers, in its order; may be empty.
        offered: Vec<String>,
    },
    /// Server: is this the password? Answered by [`Answer::Verdict`]. The session turns it into
    /// `Credentials` where the application has no `checkpass`.
    CheckPassword {
        /// Authentication identity.
        authcid: String,
        /// Authorization identity, if the client named one.
        authzid: Option<String>,
        /// The password as received.
        password: Secret,
    },
    /// Server: the password or stored key of this user. Answered by [`Answer::Credential`].
    Credentials {
        /// Authentication identity.
        authcid: String,
        /// Authorization identity, if the client named one already.
        authzid: Option<String>,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
    /// Server: may `authcid` act as `authzid`? Asked by the session. Answered by [`Answer::Verdict`].
    Authorize {
        /// Authentication identity, canonical.
        authcid: String,
        /// Authorization identity, canonical.
        authzid: String,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
    /// Server: whose is this OAuth token? Answered by [`Answer::Token`].
    Token {
        /// The bearer token.
        token: Secret,
        /// The identity named beside the token: OAUTHBEARER's `a=`, XOAUTH2's `user=`.
        user: Option<String>,
        /// OAUTHBEARER's host key.
        host: Option<String>,
        /// OAUTHBEARER's port key.
        port: Option<String>,
    },
    /// Client: what does the user answer to this challenge (a one-time password)? Answered by [`Answer::Credential`].
    Challenge {
        /// The server's challenge.
        challenge: String,
        /// What the user is to be asked, in words.
        prompt: String,
        /// True if what the user types may be seen.
        echo: bool,
    },
    /// Server: the canonical form of a name. Asked by the session. Answered by [`Answer::Text`].
    Canonicalize {
        /// True for the authorization identity.
        authzid: bool,
        /// The name as received.
        name: String,
        /// The realm, where the mechanism has one.
        realm: Option<String>,
    },
}

/// The application's answer to a [`Question`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// To [`Question::Values`].
    Values(Values),
    /// To [`Question::Realm`] and [`Question::Canonicalize`]; `None` declines.
    Text(Option<String>),
    /// To [`Question::CheckPassword`] and [`Question::Authorize`].
    Verdict(bool),
    /// To [`Question::Credentials`]: a password or a stored key as text (see
    /// [`crate::store::verifier`]); `None` for an unknown user. To [`Question::Challenge`]: what the user says.
    Credential(Option<Secret>),
    /// To [`Question::Token`].
    Token(TokenVerdict),
}

/// Whose a token is, or why it is refused (RFC 7628 §3.2.2).
#[derive(Debug)]
pub enum TokenVerdict {
    /// It is good, and authenticates this identity.
    Accepted {
        /// The identity.
        authcid: String,
    },
    /// It is refused.
    Rejected {
        /// For instance `invalid_token`.
        status: String,
        /// Scope that would be needed.
        scope: Option<String>,
        /// URL of the OpenID configuration.
        openid_configuration: Option<String>,
    },
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

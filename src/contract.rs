//! Everything that the author of a mechanism must read: one file.
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

use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::config::Config;
use crate::error::{Application, Code, Error, Malformed};
use crate::secret::Secret;

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

/// A negotiated security layer: one message in, one frame out and back, in place and without the
/// framing of four octets of length (RFC 4422 §3.7), which is the same for all layers and lives
/// in [`crate::layer`]. That one also sees to it that a layer is not used after an error.
pub trait SecurityLayer: Send {
    /// Its security strength factor.
    fn ssf(&self) -> u32;
    /// Longest plaintext that `encode` takes, in bytes: its frame is no longer than the peer receives.
    fn max_plaintext(&self) -> usize;
    /// Longest frame that the peer may send, in bytes.
    fn max_received(&self) -> usize;
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
    pub fake_salt_key: &'w [u8],
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

/// What a server remembers of its application's `getsecret` answers, to let an unknown user cost
/// as much time as a known one with a wrong password: plain passwords cost a key derivation,
/// stored keys cost none.
pub trait Lookups {
    /// A known user's credential was seen: was it a stored key?
    fn saw(&self, stored_key: bool);
    /// True if the last known user had a stored key.
    fn stored_keys(&self) -> bool;
}

/// A server's accounts: who answers the questions that its application has no callback for.
///
/// The session asks the application first; what it has no callback for goes here, and is answered at once:
/// an implementation that reads a file or waits for a daemon bounds the time that it takes.
pub trait Accounts: Send + Sync + fmt::Debug {
    /// The questions that it answers: any of [`Abilities::CHECK_PASSWORD`], [`Abilities::CREDENTIALS`],
    /// [`Abilities::CANONICALIZE`] and [`Abilities::AUTHORIZE`].
    fn abilities(&self) -> Abilities;

    /// Answers a question of one of these kinds, asked for a mechanism: a SCRAM server wants the verifier of
    /// its own hash. An unknown user is an answer, as a refusal is.
    ///
    /// # Errors
    /// [`Error::Outside`] when there is no answer: the store is unreadable, the daemon silent.
    fn answer(&self, question: &Question, mechanism: &'static Mechanism, config: &Config) -> Result<Answer, Error>;

    /// Why a mechanism whose questions it answers cannot be offered all the same, for instance because
    /// there are verifiers where a password is needed.
    fn unfit(&self, _mechanism: &'static Mechanism) -> Option<String> {
        None
    }

    /// Looks up the properties that the application has asked for. One that the user lacks is left out.
    ///
    /// # Errors
    /// As [`Accounts::answer`].
    fn properties(&self, _wanted: &[Box<str>], _of: Account<'_>, _config: &Config) -> Result<Properties, Error> {
        Ok(Properties::default())
    }

    /// Sets properties of a user, or takes away those whose value is `None`.
    ///
    /// # Errors
    /// [`Error::Outside`] if it cannot be done, or not here at all.
    fn store(&self, _of: Account<'_>, _values: &[(&str, Option<&Secret>)], _config: &Config) -> Result<(), Error> {
        Err(Error::outside(Code::NoChange, "these accounts cannot be changed"))
    }
}

/// Whose properties are looked up. The names are canonical.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// Authentication identity.
    pub authcid: &'a str,
    /// Authorization identity, if it is another.
    pub authzid: Option<&'a str>,
    /// The realm, where the mechanism has one.
    pub realm: Option<&'a str>,
}

/// Properties of a user by name, each with its values in order.
#[derive(Debug, Default)]
pub struct Properties(Vec<(Box<str>, Vec<Secret>)>);

impl Properties {
    /// Adds values to a property.
    pub fn add(&mut self, name: &str, values: impl IntoIterator<Item = Secret>) {
        match self.0.iter_mut().find(|(n, _)| **n == *name) {
            Some((_, known)) => known.extend(values),
            None => self.0.push((name.into(), values.into_iter().collect())),
        }
    }

    /// The values of a property; none if the user lacks it.
    pub fn get(&self, name: &str) -> &[Secret] {
        self.0.iter().find(|(n, _)| **n == *name).map_or(&[], |(_, values)| values)
    }
}

/// Values that a client's application may be asked for. Their order is that of the bits of
/// [`Abilities`] and of the C header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Property {
    /// Authentication identity.
    Authcid = 0,
    /// Authorization identity; for ANONYMOUS the trace.
    Authzid = 1,
    /// Password.
    Password = 2,
    /// Realm (DIGEST-MD5).
    Realm = 3,
    /// OAuth bearer token.
    Token = 4,
    /// OAUTHBEARER's optional `host` key.
    Host = 5,
    /// OAUTHBEARER's optional `port` key.
    Port = 6,
    /// DIGEST-MD5's serv-name.
    ServName = 7,
}

impl Property {
    /// The value in words and the callbacks that give it, for error texts.
    pub fn describe(self) -> &'static str {
        match self {
            Property::Authcid => "authentication identity (callback user or authcid)",
            Property::Authzid => "authorization identity (callback authname or authzid)",
            Property::Password => "password (callback pass)",
            Property::Realm => "realm (callback realm)",
            Property::Token => "token (callback token)",
            Property::Host => "host (callback host)",
            Property::Port => "port (callback port)",
            Property::ServName => "serv-name (callback serv)",
        }
    }
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

/// The values that a client's application gave, by property.
#[derive(Debug, Default)]
pub struct Values(Vec<(Property, Secret)>);

impl Values {
    /// Adds a value; a later one for the same property wins nothing.
    pub fn push(&mut self, property: Property, value: Secret) {
        self.0.push((property, value));
    }

    /// Takes a value out; `None` if the application gave none.
    pub fn take(&mut self, property: Property) -> Option<Secret> {
        let at = self.0.iter().position(|(p, _)| *p == property)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Looks at a value.
    pub fn get(&self, property: Property) -> Option<&Secret> {
        self.0.iter().find(|(p, _)| *p == property).map(|(_, v)| v)
    }

    /// Takes a secret that the mechanism cannot do without.
    ///
    /// # Errors
    /// [`Application::Missing`] if the application gave none, [`Application::Unusable`] above [`SECRET_LIMIT`].
    pub fn require(&mut self, property: Property) -> Result<Secret, Error> {
        let value = self.take(property).ok_or(Application::Missing(property.describe()))?;
        limited(property, value.expose(), SECRET_LIMIT, "is longer than 65536 bytes")?;
        Ok(value)
    }

    /// Takes a name as text, if there is one.
    ///
    /// # Errors
    /// [`Application::Unusable`] if it is not UTF-8 (the Perl boundary always encodes), or above [`NAME_LIMIT`].
    pub fn text(&mut self, property: Property) -> Result<Option<String>, Error> {
        let Some(value) = self.take(property) else { return Ok(None) };
        limited(property, value.expose(), NAME_LIMIT, "is longer than 4096 bytes")?;
        match value.expose_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Application::Unusable { what: property.describe(), reason: "is not valid UTF-8" }.into()),
        }
    }

    /// Takes a value as text that the mechanism cannot do without and that must not be empty.
    ///
    /// # Errors
    /// [`Application::Missing`], [`Application::Empty`] or [`Application::Unusable`].
    pub fn require_text(&mut self, property: Property) -> Result<String, Error> {
        match self.text(property)? {
            None => Err(Application::Missing(property.describe()).into()),
            Some(text) if text.is_empty() => Err(Application::Empty(property.describe()).into()),
            Some(text) => Ok(text),
        }
    }
}

fn limited(property: Property, value: &[u8], limit: usize, reason: &'static str) -> Result<(), Error> {
    if value.len() > limit {
        return Err(Application::Unusable { what: property.describe(), reason }.into());
    }
    Ok(())
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

/// What an application can answer, as a set: the properties of a client, the questions of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities(pub u32);

impl Abilities {
    /// Nothing.
    pub const NONE: Self = Abilities(0);
    /// Client: [`Property::Authcid`].
    pub const AUTHCID: Self = Abilities(1 << Property::Authcid as u8);
    /// Client: [`Property::Authzid`].
    pub const AUTHZID: Self = Abilities(1 << Property::Authzid as u8);
    /// Client: [`Property::Password`].
    pub const PASSWORD: Self = Abilities(1 << Property::Password as u8);
    /// Client: [`Property::Token`].
    pub const TOKEN: Self = Abilities(1 << Property::Token as u8);
    /// Client: `challenge`.
    pub const CHALLENGE: Self = Abilities(1 << 15);
    /// Server: `checkpass`.
    pub const CHECK_PASSWORD: Self = Abilities(1 << 16);
    /// Server: `getsecret`.
    pub const CREDENTIALS: Self = Abilities(1 << 17);
    /// Server: `authorize`.
    pub const AUTHORIZE: Self = Abilities(1 << 18);
    /// Server: `checktoken`.
    pub const CHECK_TOKEN: Self = Abilities(1 << 19);
    /// Server: `canonuser`.
    pub const CANONICALIZE: Self = Abilities(1 << 20);

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        Abilities(self.0 | other.0)
    }

    /// True if all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if the sets share an element.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The security flags of the API, as a set: what a caller demands, or a mechanism satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecurityFlags(pub u16);

impl SecurityFlags {
    /// No flag.
    pub const NONE: Self = SecurityFlags(0);
    /// The password or token does not travel readable.
    pub const NOPLAINTEXT: Self = SecurityFlags(1);
    /// Not susceptible to active attacks without a dictionary.
    pub const NOACTIVE: Self = SecurityFlags(2);
    /// Not susceptible to passive dictionary attacks.
    pub const NODICTIONARY: Self = SecurityFlags(4);
    /// Authenticates somebody.
    pub const NOANONYMOUS: Self = SecurityFlags(8);
    /// Breaking one session does not help to break the next.
    pub const FORWARD_SECRECY: Self = SecurityFlags(16);
    /// Can pass client credentials on.
    pub const PASS_CREDENTIALS: Self = SecurityFlags(32);
    /// The server proves itself too.
    pub const MUTUAL_AUTH: Self = SecurityFlags(64);

    /// The flags by the names that callers use.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("noplaintext", Self::NOPLAINTEXT),
        ("noactive", Self::NOACTIVE),
        ("nodictionary", Self::NODICTIONARY),
        ("noanonymous", Self::NOANONYMOUS),
        ("forward_secrecy", Self::FORWARD_SECRECY),
        ("pass_credentials", Self::PASS_CREDENTIALS),
        ("mutual_auth", Self::MUTUAL_AUTH),
    ];

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        SecurityFlags(self.0 | other.0)
    }

    /// True if all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

//! Errors by blame, and the only table of SASL_* codes.
//!
//! A mechanism returns an [`Error`]; the session adds which side and which mechanism
//! it was and makes a [`Failure`] of it. No variant carries a secret, an expected
//! digest or unprinted bytes of the peer.

mod code;
mod gss;
mod peer;
mod shown;
mod side;

use std::fmt;

use thiserror::Error;

use shown::shown;

pub use code::Code;
pub use gss::GssFailure;
pub use peer::{Malformed, PeerMisbehaved};
pub use shown::{escaped, printable, SHOWN_LIMIT};
pub use side::Side;

/// Why an exchange failed: who is to blame, in which message, by which rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A message of the peer does not parse.
    #[error("{message}: {reason}")]
    Malformed {
        /// The message's name in its RFC, for instance `client-final-message`.
        message: &'static str,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// A message of the peer parses, and breaks a rule of the mechanism.
    #[error("{message}: {reason}")]
    PeerMisbehaved {
        /// The message's name in its RFC.
        message: &'static str,
        /// The rule that was broken.
        reason: PeerMisbehaved,
    },
    /// Authentication or authorization was refused, by us or by the peer.
    #[error("{0}")]
    Refused(Refused),
    /// A value that the application gave cannot be used.
    #[error("{0}")]
    Application(Application),
    /// The policy set on this side (flags, SSF, channel binding) forbids it.
    #[error("{0}")]
    Policy(Policy),
    /// The calls came in an order that makes no sense.
    #[error("{0}")]
    Misuse(Misuse),
    /// Something of the system failed.
    #[error("{0}")]
    System(&'static str),
    /// The GSS-API library refused.
    #[error("{0}")]
    Gss(Box<GssFailure>),
    /// What was called on behalf of the exchange failed: an account store, a daemon, a plugin.
    #[error("{text}")]
    Outside {
        /// The code that it gave, or that fits.
        code: Code,
        /// Who failed at what, and why; no secret.
        text: Box<str>,
    },
}

/// Refusals of the identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// Wrong password or unknown user: one and the same, on purpose.
    #[error("authentication failed: wrong password or unknown user")]
    Credentials,
    /// What is stored of this user cannot serve this mechanism. To the peer it is [`Refused::Credentials`]: the same
    /// dialogue, after the same work, with the same code.
    #[error("authentication failed: {0} (the client is answered as for a wrong password)")]
    Unusable(Box<Error>),
    /// The authentication was right, and does not allow this authorization identity.
    #[error("'{}' may not act as '{}' (the authorize callback decides)", shown(authcid), shown(authzid))]
    Authorization {
        /// The authentication identity.
        authcid: String,
        /// The authorization identity that was asked for.
        authzid: String,
    },
    /// The peer told why it refused; as [`printable`] gives it.
    #[error("the server refused: {0}")]
    PeerSaid(String),
    /// The server refused the channel binding, in these words: they do not tell a man in the middle from a server that
    /// knows another type.
    #[error("the server refused the channel binding: {0}. Either somebody is between, or the server knows another type than this client prefers (set offered_bindings) or cannot bind to this version of TLS (set channel_binding_policy to disable)")]
    Binding(String),
    /// A DIGEST-MD5 server gave no proof, where the name or password may have been hashed in another charset.
    #[error("the server gave no proof: wrong password, or the server hashes characters beyond ASCII in UTF-8 (option digest_md5_utf8)")]
    OtherCharset,
    /// The OAuth token was refused.
    #[error("the token was refused")]
    Token,
    /// A client of Kerberos has a ticket that names nobody.
    #[error("the client is anonymous, and this mechanism is there to tell who it is")]
    Anonymous,
    /// Nobody proved an identity to this server (EXTERNAL).
    #[error("no identity was established outside SASL (property external_id)")]
    NoExternalIdentity,
}

/// Values of the application that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Application {
    /// A callback is missing or returned undef; the text names the callbacks that would do.
    #[error("no {0}")]
    Missing(&'static str),
    /// The value is empty and must not be.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// The value holds a character that the mechanism cannot carry.
    #[error("the {what} {reason}")]
    Unusable {
        /// Which value, for instance `authentication identity`.
        what: &'static str,
        /// What is wrong with it, for instance `holds a NUL character`.
        reason: &'static str,
    },
    /// What is stored of a user is a verifier, and none that this mechanism can use.
    #[error("the stored secret (callback getsecret or accounts) is {0}")]
    Verifier(&'static str),
    /// An option or property has a wrong value.
    #[error("{name}: {range} was expected")]
    Option {
        /// The option's name.
        name: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// An option or property is no number of its range.
    #[error("{name}: a number from {least} to {most} was expected")]
    Number {
        /// The option's name.
        name: &'static str,
        /// The least that it may be.
        least: u32,
        /// The most that it may be.
        most: u32,
    },
    /// There is no option or property of that name.
    #[error("{}: there is no such option{}", shown(name), nearest.map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    UnknownOption {
        /// The name that was given.
        name: Box<str>,
        /// The option that resembles it.
        nearest: Option<&'static str>,
    },
    /// A client's credentials cannot be stored where they should.
    #[error("{0} (property delegated_ccache)")]
    Cache(String),
    /// A callback could not be called, or left without an answer.
    #[error("callback {name} {reason}")]
    Callback {
        /// The callback's name.
        name: Box<str>,
        /// What it did, or is.
        reason: String,
    },
    /// The application answered with another kind of answer than was asked for.
    #[error("the answer is of another kind than the question")]
    WrongAnswer,
}

/// What the policy of this side forbids.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Policy {
    /// No mechanism is left; one line for each says why.
    #[error("no mechanism is usable: {0}")]
    NoMechanism(String),
    /// Channel binding is required and this message or mechanism has none.
    #[error("channel binding is required (channel_binding_policy) and {0}")]
    ChannelBindingRequired(&'static str),
    /// The security strength does not fit minssf and maxssf.
    #[error("{0}")]
    Strength(&'static str),
    /// A server wants to act for its clients, and this one lets nobody.
    #[error(
        "the client has delegated no credentials, which secflags pass_credentials demands beside delegated_ccache"
    )]
    NothingDelegated,
}

/// Calls in the wrong order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misuse {
    /// A step was called while the application still owes an answer.
    #[error("the connection still waits for the answer of a callback")]
    Busy,
    /// More plaintext than one frame takes.
    #[error("the message is longer than one frame may be (property maxout)")]
    MessageTooLong,
    /// A step was called before start on a server.
    #[error("server_step was called before server_start")]
    NotStarted,
    /// A server was given several mechanisms and none was picked.
    #[error("name the one mechanism that the client chose")]
    SeveralMechanisms,
}

impl Error {
    /// A message that does not parse.
    pub fn malformed(message: &'static str, reason: Malformed) -> Self {
        Error::Malformed { message, reason }
    }

    /// A message that breaks a rule.
    pub fn misbehaved(message: &'static str, reason: PeerMisbehaved) -> Self {
        Error::PeerMisbehaved { message, reason }
    }

    /// A failure of what was called on behalf of the exchange.
    pub fn outside(code: Code, text: impl Into<Box<str>>) -> Self {
        Error::Outside { code, text: text.into() }
    }

    /// The code that a C program would see.
    pub fn code(&self) -> Code {
        match self {
            Error::Malformed { .. } => Code::BadProt,
            Error::PeerMisbehaved { reason, .. } => match reason {
                PeerMisbehaved::ServerProof | PeerMisbehaved::ServerProofMissing => Code::BadServ,
                PeerMisbehaved::ChannelBindingMismatch
                | PeerMisbehaved::BindingUnconfirmed
                | PeerMisbehaved::ChannelBindingUnsupported
                | PeerMisbehaved::Downgrade
                | PeerMisbehaved::OffersChanged
                | PeerMisbehaved::NoCommonBinding => Code::BadBinding,
                PeerMisbehaved::IterationsTooLow { .. } => Code::TooWeak,
                PeerMisbehaved::Replay => Code::BadAuth,
                PeerMisbehaved::Damaged => Code::BadMac,
                _ => Code::BadProt,
            },
            Error::Refused(Refused::Authorization { .. }) => Code::NoAuthz,
            Error::Refused(Refused::Binding(_)) => Code::BadBinding,
            Error::Refused(_) => Code::BadAuth,
            Error::Application(_) => Code::BadParam,
            Error::Policy(Policy::NoMechanism(_)) => Code::NoMech,
            Error::Policy(Policy::ChannelBindingRequired(_)) => Code::BadBinding,
            Error::Policy(Policy::Strength(_) | Policy::NothingDelegated) => Code::TooWeak,
            Error::Misuse(Misuse::NotStarted) => Code::NotInit,
            Error::Misuse(_) => Code::BadParam,
            Error::System(_) => Code::Fail,
            Error::Gss(failure) => failure.code(),
            Error::Outside { code, .. } => *code,
        }
    }

    /// True if nobody was judged: what decides about the client could not be asked, and may be asked later. A protocol has a
    /// reply for that (`INTERNAL_ERROR`, 454 of SMTP), and it is no failure of the client's.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::System(_)) || matches!(self.code(), Code::Unavail | Code::TryAgain)
    }
}

impl From<Refused> for Error {
    fn from(reason: Refused) -> Self {
        Error::Refused(reason)
    }
}

impl From<Application> for Error {
    fn from(reason: Application) -> Self {
        Error::Application(reason)
    }
}

impl From<Policy> for Error {
    fn from(reason: Policy) -> Self {
        Error::Policy(reason)
    }
}

/// An error together with where it happened; its text is what a program shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which side noticed it: `client` or `server`.
    pub side: Side,
    /// The mechanism's name, if one was chosen already.
    pub mechanism: Option<&'static str>,
    /// What happened.
    pub error: Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.mechanism {
            write!(f, "{name} ")?;
        }
        write!(f, "{}: {} ({})", self.side, self.error, self.error.code().name())
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

//! Errors by blame, and the only table of SASL_* codes.
//!
//! A mechanism returns an [`Error`]; the session adds which side and which mechanism
//! it was and makes a [`Failure`] of it. No variant carries a secret, an expected
//! digest or unprinted bytes of the peer.
//!
//! A variant says what it is about by a [`Subject`]. The core has plain words for each; a binding shows its users
//! [`Failure::named`], which adds what it calls them.

mod code;
mod gss;
mod peer;
mod shown;
mod side;
mod subject;
mod text;

pub use code::Code;
pub use gss::GssFailure;
pub use peer::{Malformed, PeerMisbehaved};
pub use shown::{escaped, printable, SHOWN_LIMIT};
pub use side::Side;
pub use subject::{Name, Names, Subject};

/// Why an exchange failed: who is to blame, in which message, by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A message of the peer does not parse.
    Malformed {
        /// The message's name in its RFC, for instance `client-final-message`.
        message: &'static str,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// A message of the peer parses, and breaks a rule of the mechanism.
    PeerMisbehaved {
        /// The message's name in its RFC.
        message: &'static str,
        /// The rule that was broken.
        reason: PeerMisbehaved,
    },
    /// Authentication or authorization was refused, by us or by the peer.
    Refused(Refused),
    /// A value that the application gave cannot be used.
    Application(Application),
    /// The policy set on this side (flags, SSF, channel binding) forbids it.
    Policy(Policy),
    /// The calls came in an order that makes no sense.
    Misuse(Misuse),
    /// Something of the system failed.
    System(&'static str),
    /// The GSS-API library refused.
    Gss(Box<GssFailure>),
    /// What was called on behalf of the exchange failed: an account store, a daemon, a plugin.
    Outside {
        /// The code that it gave, or that fits.
        code: Code,
        /// Who failed at what, and why; no secret.
        text: Box<str>,
    },
}

/// Refusals of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Wrong password or unknown user: one and the same, on purpose.
    Credentials,
    /// No token of the user fits the client's proof, or the user is unknown: one and the same, on purpose.
    HtToken,
    /// What is stored of this user cannot serve this mechanism. To the peer it is [`Refused::Credentials`]: the same
    /// dialogue, after the same work, with the same code.
    Unusable(Box<Error>),
    /// The authentication was right, and does not allow this authorization identity.
    Authorization {
        /// The authentication identity.
        authcid: String,
        /// The authorization identity that was asked for.
        authzid: String,
    },
    /// The peer told why it refused; as [`printable`] gives it.
    PeerSaid(String),
    /// The server refused the channel binding, in these words: they do not tell a man in the middle from a server that
    /// knows another type.
    Binding(String),
    /// A DIGEST-MD5 server gave no proof, where the name or password may have been hashed in another charset.
    OtherCharset,
    /// The OAuth token was refused.
    Token,
    /// A client of Kerberos has a ticket that names nobody.
    Anonymous,
    /// Nobody proved an identity to this server (EXTERNAL).
    NoExternalIdentity,
}

/// Values of the application that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Application {
    /// The application gives none.
    Missing(Subject),
    /// The value is empty and must not be.
    Empty(Subject),
    /// The value holds a character that the mechanism cannot carry.
    Unusable {
        /// Which value.
        what: Subject,
        /// What is wrong with it, for instance `holds a NUL character`.
        reason: &'static str,
    },
    /// What is stored of a user is a verifier, and none that this mechanism can use.
    Verifier(&'static str),
    /// An option or property has a wrong value.
    Option {
        /// The option's name.
        name: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// An option or property is no number of its range.
    Number {
        /// The option's name.
        name: &'static str,
        /// The least that it may be.
        least: u32,
        /// The most that it may be.
        most: u32,
    },
    /// There is no option or property of that name.
    UnknownOption {
        /// The name that was given.
        name: Box<str>,
        /// The option that resembles it.
        nearest: Option<&'static str>,
    },
    /// A client's credentials cannot be stored where they should.
    Cache(String),
    /// The application answered with another kind of answer than was asked for.
    WrongAnswer,
}

/// What the policy of this side forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// No mechanism is left, for these reasons; empty if none was named.
    NoMechanism(Box<[Rejected]>),
    /// Channel binding is required and this message or mechanism has none.
    ChannelBindingRequired(&'static str),
    /// The security strength does not fit minssf and maxssf.
    Strength(&'static str),
    /// A server wants to act for its clients, and this one lets nobody.
    NothingDelegated,
}

/// A mechanism that may not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its name; that of an unknown one as it may be shown.
    pub mechanism: Box<str>,
    /// The reason.
    pub reason: Rejection,
}

/// Why a mechanism may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no mechanism of that name.
    NotSupported,
    /// The server does not offer it.
    NotOffered,
    /// It lacks a security flag that is demanded.
    SecurityFlag(&'static str),
    /// It is not strong enough.
    Strength {
        /// The option minssf.
        wanted: u32,
        /// The most that it reaches.
        offered: u32,
    },
    /// It binds to the channel, which the policy forbids.
    BindingDisabled,
    /// It binds to the channel, and no data is of a type that the server offers.
    BindingNotOffered,
    /// It binds to the channel, and there is no data.
    NoBindingData,
    /// It binds to the channel by one type, of which there is no data.
    NoBindingOfType(&'static str),
    /// It does not bind to the channel, which the policy demands.
    BindingRequired,
    /// It carries no authorization identity, and the client wants to act as another user.
    NoAuthzid,
    /// The application does not give all of these.
    MissingAll(Box<[Subject]>),
    /// Neither the application nor the accounts give one of these.
    MissingAny(Box<[Subject]>),
    /// EXTERNAL: there is a password, and no sign that the client is known outside SASL.
    NoSignOfIdentity,
    /// The server's host name is not known.
    NoHost,
    /// What it needs failed.
    Failed(Box<Error>),
    /// Another reason of the mechanism's or the accounts' own, in words.
    Other(Box<str>),
}

/// Calls in the wrong order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// A step was called while the application still owes an answer.
    Busy,
    /// More plaintext than one frame takes.
    MessageTooLong,
    /// A step was called before start on a server.
    NotStarted,
    /// A server was given several mechanisms and none was picked.
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

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Rejection::Failed(Box::new(error))
    }
}

impl From<&str> for Rejection {
    fn from(reason: &str) -> Self {
        Rejection::Other(reason.into())
    }
}

impl From<String> for Rejection {
    fn from(reason: String) -> Self {
        Rejection::Other(reason.into())
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

/// An [`Error`] or a [`Failure`] with the names of a binding in its text.
pub struct Named<'a, T>(&'a T, Names);

impl std::error::Error for Error {}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

//! Errors, by who is to blame, and the only table of SASL_* codes.
//!
//! A mechanism returns an [`Error`]. The session adds the side and the mechanism and makes a [`Failure`] of it. No
//! variant contains a secret, an expected digest, or bytes of the peer that are not escaped.
//!
//! A variant names what it is about with a [`Subject`]. The core has plain words for each. A binding shows its users
//! [`Failure::named`], which adds its own names.
//!
//! ```
//! use authen_sasl_rust::error::{Code, Error, Malformed, Refused};
//!
//! let error = Error::malformed("client-first-message", Malformed::Missing("the nonce (r=)"));
//! assert_eq!(error.to_string(), "client-first-message: the nonce (r=) is missing");
//! assert_eq!((error.code(), error.code().name()), (Code::BadProt, "SASL_BADPROT"));
//! assert_eq!(Error::from(Refused::Credentials).code(), Code::BadAuth);
//! assert!(Error::outside(Code::Unavail, "the directory does not answer").is_unavailable());
//! ```

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

/// Why an exchange failed: who is to blame, which message, which rule.
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
    /// A message of the peer parses, but breaks a rule of the mechanism.
    PeerMisbehaved {
        /// The message's name in its RFC.
        message: &'static str,
        /// The rule that was broken.
        reason: PeerMisbehaved,
    },
    /// Authentication or authorization was refused, by us or by the peer.
    Refused(Refused),
    /// A value of the application cannot be used.
    Application(Application),
    /// The policy set on this side (flags, SSF, channel binding) forbids it.
    Policy(Policy),
    /// The calls came in a wrong order.
    Misuse(Misuse),
    /// The system failed.
    System(&'static str),
    /// A call of the GSS-API library failed.
    Gss(Box<GssFailure>),
    /// An account store, a daemon or a plugin failed.
    Outside {
        /// The code that it returned, or one that fits.
        code: Code,
        /// What failed, and why; contains no secret.
        text: Box<str>,
    },
}

/// Refusals of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Wrong password or unknown user. The two are not distinguished, on purpose.
    Credentials,
    /// No token of the user fits the client's proof, or the user is unknown: one and the same, on purpose.
    HtToken,
    /// OTP: another exchange used the same one-time password first, or changed the state otherwise.
    OtpUsed,
    /// This mechanism cannot use the stored secret of this user. The peer sees [`Refused::Credentials`]: the same messages
    /// after the same work, and the same code.
    Unusable(Box<Error>),
    /// The authentication succeeded, but this authorization identity is not allowed.
    Authorization {
        /// The authentication identity.
        authcid: String,
        /// The authorization identity that was asked for.
        authzid: String,
    },
    /// The peer's own reason, made [`printable`].
    PeerSaid(String),
    /// The server refused the channel binding, with these words. They do not show whether there is a man in the middle or the
    /// server supports another type.
    Binding(String),
    /// A DIGEST-MD5 server sent no proof. It may have hashed the name or password in another charset.
    OtherCharset,
    /// The OAuth token was refused.
    Token,
    /// A Kerberos client has an anonymous ticket.
    Anonymous,
    /// No identity was proved to this server outside SASL (EXTERNAL).
    NoExternalIdentity,
}

/// Values of the application that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Application {
    /// The application does not have it.
    Missing(Subject),
    /// The value is empty and must not be.
    Empty(Subject),
    /// The mechanism cannot send the value: it contains a forbidden character, for instance.
    Unusable {
        /// Which value.
        what: Subject,
        /// What is wrong with it, for instance `holds a NUL character`.
        reason: &'static str,
    },
    /// The stored secret of a user is a verifier that this mechanism cannot use.
    Verifier(&'static str),
    /// An option or property has a wrong value.
    Option {
        /// The option's name.
        name: &'static str,
        /// The allowed values.
        range: &'static str,
    },
    /// An option or property is not a number within its range.
    Number {
        /// The option's name.
        name: &'static str,
        /// The minimum.
        least: u32,
        /// The maximum.
        most: u32,
    },
    /// There is no option or property of that name.
    UnknownOption {
        /// The name that was given.
        name: Box<str>,
        /// The option that resembles it.
        nearest: Option<&'static str>,
    },
    /// The server's salt or iteration count is not that of the SCRAM keys, and there is no password.
    OtherKeys {
        /// The salts differ.
        salt: bool,
        /// The iteration counts, if they differ: the server's, and that of the keys.
        iterations: Option<(u32, u32)>,
    },
    /// A client's delegated credentials could not be stored.
    Cache(String),
    /// The application's answer does not fit the question.
    WrongAnswer,
}

/// What the policy of this side forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// No mechanism is left, for these reasons; empty if none was named.
    NoMechanism(Box<[Rejected]>),
    /// Channel binding is required, but this message or mechanism has none.
    ChannelBindingRequired(&'static str),
    /// The security strength does not fit minssf and maxssf.
    Strength(&'static str),
    /// A server wants to act for its clients, but this client has delegated no credentials.
    NothingDelegated,
}

/// A mechanism that may not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its name, safe to show.
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
    /// It does not have a required security flag.
    SecurityFlag(&'static str),
    /// It is not strong enough.
    Strength {
        /// The option minssf.
        wanted: u32,
        /// The maximum that it offers.
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
    /// It does not bind to the channel, which the policy requires.
    BindingRequired,
    /// It carries no authorization identity, and the client wants to act as another user.
    NoAuthzid,
    /// The application has none of these, but all are needed.
    MissingAll(Box<[Subject]>),
    /// Neither the application nor the accounts have any of these, of which one is needed.
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
    /// A step was called while an answer of the application is pending.
    Busy,
    /// The plaintext is too long for one frame.
    MessageTooLong,
    /// A step was called before start on a server.
    NotStarted,
    /// A server has several mechanisms and none was picked.
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
                | PeerMisbehaved::TlsVersion
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

    /// True if the client was neither accepted nor refused, since the account store could not be asked. The client may try
    /// again later: protocols have a reply for that (`INTERNAL_ERROR`, 454 in SMTP). It does not count as a failed login.
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

/// An error with its side and mechanism. Programs show its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The side that noticed it.
    pub side: Side,
    /// The mechanism's name, if one was chosen already.
    pub mechanism: Option<&'static str>,
    /// The error itself.
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

//! The texts of errors, with or without the names of a binding.

use std::fmt::{self, Display, Formatter};

use super::shown::shown;
use super::subject::{unnamed, NameAside, NameOrWords, Names, Subject, UsualNames, WithName};
use super::{Application, Error, Failure, Misuse, Named, Policy, Refused, Rejected, Rejection};

/// An error whose text can have the names of a binding.
trait Text {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result;
}

impl<T: Text> Display for Named<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.write(f, self.1)
    }
}

macro_rules! shown_without_names {
    ($($type:ty),*) => {$(
        impl Display for $type {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.write(f, unnamed)
            }
        }
    )*};
}

shown_without_names!(Failure, Error, Refused, Application, Policy, Misuse, Rejection);

impl Failure {
    /// Its text with the names of a binding.
    pub fn named(&self, names: Names) -> Named<'_, Self> {
        Named(self, names)
    }
}

impl Error {
    /// Its text with the names of a binding.
    pub fn named(&self, names: Names) -> Named<'_, Self> {
        Named(self, names)
    }
}

impl Text for Failure {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        if let Some(name) = self.mechanism {
            write!(f, "{name} ")?;
        }
        write!(f, "{}: {} ({})", self.side, Named(&self.error, names), self.error.code().name())
    }
}

impl Text for Error {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        match self {
            Error::Malformed { message, reason } => write!(f, "{message}: {reason}"),
            Error::PeerMisbehaved { message, reason } => write!(f, "{message}: {reason}"),
            Error::Refused(refused) => refused.write(f, names),
            Error::Application(application) => application.write(f, names),
            Error::Policy(policy) => policy.write(f, names),
            Error::Misuse(misuse) => misuse.write(f, names),
            Error::System(text) => f.write_str(text),
            Error::Gss(failure) => failure.fmt(f),
            Error::Outside { text, .. } => f.write_str(text),
        }
    }
}

impl Text for Refused {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        match self {
            Refused::Credentials => f.write_str("authentication failed: wrong password or unknown user"),
            Refused::HtToken => f.write_str(
                "authentication failed: wrong or expired token, unknown user, or another channel binding",
            ),
            Refused::OtpUsed => {
                f.write_str("authentication failed: another exchange has changed the state of OTP since the challenge")
            }
            Refused::Unusable(fault) => {
                let fault = Named(&**fault, names);
                write!(f, "authentication failed: {fault} (the client is answered as for a wrong password)")
            }
            Refused::Authorization { authcid, authzid } => {
                write!(f, "'{}' may not act as '{}'", shown(authcid), shown(authzid))?;
                match names(Subject::Authorization) {
                    Some(name) => write!(f, " (the {} {} decides)", name.names.join(" or "), name.kind),
                    None => Ok(()),
                }
            }
            Refused::PeerSaid(words) => write!(f, "the server refused: {words}"),
            Refused::Binding(words) => write!(
                f,
                "the server refused the channel binding: {words}. Either there is a man in the middle, or the server supports another type than this client prefers (set offered_bindings) or cannot bind to this version of TLS (set channel_binding_policy to disable)"
            ),
            Refused::OtherCharset => f.write_str(
                "the server gave no proof: wrong password, or the server hashes characters beyond ASCII in UTF-8 (option digest_md5_utf8)",
            ),
            Refused::Token => f.write_str("the token was refused"),
            Refused::Anonymous => f.write_str("the client is anonymous, and this mechanism must identify it"),
            Refused::NoExternalIdentity => {
                let name = NameAside(Subject::ExternalIdentity, names);
                write!(f, "no identity was established outside SASL{name}")
            }
        }
    }
}

impl Text for Application {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        let with_name = |subject: &Subject| WithName(*subject, names);
        match self {
            Application::Missing(what) => write!(f, "no {}", with_name(what)),
            Application::Empty(what) => write!(f, "the {} is empty", with_name(what)),
            Application::Unusable { what, reason } => write!(f, "the {} {reason}", with_name(what)),
            Application::Verifier(reason) => write!(f, "the {} is {reason}", with_name(&Subject::StoredSecret)),
            Application::Option { name, range } => write!(f, "{name}: {range} was expected"),
            Application::Number { name, least, most } => {
                write!(f, "{name}: a number from {least} to {most} was expected")
            }
            Application::UnknownOption { name, nearest } => {
                write!(f, "{}: there is no such option", shown(name))?;
                nearest.map_or(Ok(()), |nearest| write!(f, "; did you mean {nearest}?"))
            }
            Application::OtherKeys { salt, iterations } => {
                write!(
                    f,
                    "the {} do not fit, and there is no {}: ",
                    with_name(&Subject::ScramKeys),
                    with_name(&Subject::Password)
                )?;
                if *salt {
                    f.write_str("the server has another salt")?;
                }
                match iterations {
                    Some((theirs, ours)) if *salt => write!(f, ", and {theirs} iterations instead of {ours}"),
                    Some((theirs, ours)) => write!(f, "the server has {theirs} iterations instead of {ours}"),
                    None => Ok(()),
                }
            }
            Application::Cache(reason) => write!(f, "{reason} (property delegated_ccache)"),
            Application::WrongAnswer => f.write_str("the answer is of another kind than the question"),
        }
    }
}

impl Text for Policy {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        match self {
            Policy::NoMechanism(rejected) => {
                f.write_str("no mechanism is usable: ")?;
                if rejected.is_empty() {
                    return f.write_str("none was named");
                }
                for (at, rejected) in rejected.iter().enumerate() {
                    let separator = if at > 0 { "; " } else { "" };
                    write!(f, "{separator}{}", rejected.named(names))?;
                }
                Ok(())
            }
            Policy::ChannelBindingRequired(what) => {
                write!(f, "channel binding is required (channel_binding_policy) and {what}")
            }
            Policy::Strength(reason) => f.write_str(reason),
            Policy::NothingDelegated => f.write_str(
                "the client has delegated no credentials, which secflags pass_credentials demands beside delegated_ccache",
            ),
        }
    }
}

impl Text for Misuse {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        let name = |subject| NameOrWords(subject, names);
        match self {
            Misuse::Busy => write!(f, "the connection still waits for {}", name(Subject::Answer)),
            Misuse::MessageTooLong => {
                let limit = NameAside(Subject::MessageLimit, names);
                write!(f, "the message is longer than one frame may be{limit}")
            }
            Misuse::NotStarted => write!(f, "{} was called before {}", name(Subject::Step), name(Subject::Start)),
            Misuse::SeveralMechanisms => f.write_str("name the one mechanism that the client chose"),
        }
    }
}

impl Rejected {
    /// The mechanism and the reason, with the names of a binding.
    pub fn named(&self, names: Names) -> Named<'_, Self> {
        Named(self, names)
    }
}

impl Text for Rejected {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        write!(f, "{}: {}", self.mechanism, Named(&self.reason, names))
    }
}

impl Text for Rejection {
    fn write(&self, f: &mut Formatter<'_>, names: Names) -> fmt::Result {
        let usual = |subjects, separator, repeat_kind| UsualNames { subjects, separator, repeat_kind, names };
        match self {
            Rejection::NotSupported => f.write_str("not supported"),
            Rejection::NotOffered => f.write_str("not offered"),
            Rejection::SecurityFlag(flag) => write!(f, "it does not satisfy the security flag {flag}"),
            Rejection::Strength { wanted, offered } => {
                write!(f, "minssf is {wanted}; this mechanism offers at most {offered}")
            }
            Rejection::BindingDisabled => f.write_str("channel binding is disabled (channel_binding_policy)"),
            Rejection::BindingNotOffered => {
                f.write_str("there is no channel binding data of a type that is offered (offered_bindings)")
            }
            Rejection::NoBindingData => write!(f, "there is no {}", WithName(Subject::ChannelBinding, names)),
            Rejection::NoBindingOfType(kind) => {
                let name = NameAside(Subject::ChannelBinding, names);
                write!(f, "there is no channel binding data of type {kind}{name}")
            }
            Rejection::BindingRequired => {
                f.write_str("channel binding is required (channel_binding_policy) and it has none")
            }
            Rejection::NoAuthzid => {
                let differ = usual(&[Subject::Authzid, Subject::Authcid], " differs from ", false);
                write!(f, "it cannot ask to act as another user ({differ})")
            }
            Rejection::MissingAll(subjects) => write!(f, "there is no {}", usual(subjects, ", no ", true)),
            Rejection::MissingAny(subjects) => write!(f, "there is no {}", usual(subjects, " or ", false)),
            Rejection::NoSignOfIdentity => {
                let certificate = WithName(Subject::ClientCertificate, names);
                write!(
                    f,
                    "there is a password, and no sign of an identity outside SASL: no {certificate}, no externalssf, no Unix socket"
                )
            }
            Rejection::NoHost => write!(f, "the {} is not known", WithName(Subject::ServerHost, names)),
            Rejection::Failed(error) => error.write(f, names),
            Rejection::Other(reason) => f.write_str(reason),
        }
    }
}

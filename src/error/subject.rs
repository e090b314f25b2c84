//! What an error can be about, and what a binding calls it.

use std::fmt::{self, Display, Formatter};

/// What an error is about: a value or an answer of the application, or something else that each binding names in its own
/// way.
///
/// The core has plain words for each. A binding adds its own names, so that its users know what to change: see [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A client's authentication identity.
    Authcid,
    /// A client's authorization identity.
    Authzid,
    /// A client's password.
    Password,
    /// A client's realm (DIGEST-MD5).
    Realm,
    /// A client's OAuth bearer token.
    Token,
    /// A client's token for the mechanisms of the HT family.
    HtToken,
    /// A client's SCRAM keys, which it has in place of a password.
    ScramKeys,
    /// What an application does with the SCRAM keys of a login.
    KeepKeys,
    /// Where a server stores a stronger verifier.
    VerifierStore,
    /// The tokens that a server has issued to a user (HT).
    HtTokens,
    /// The state of a user's chain of one-time passwords, which a server stores (OTP).
    OtpState,
    /// The pass phrase of a new chain of one-time passwords.
    Phrase,
    /// The `host` key of OAUTHBEARER.
    Host,
    /// The `port` key of OAUTHBEARER.
    Port,
    /// The serv-name of DIGEST-MD5.
    ServName,
    /// The identity that a client proves outside SASL (EXTERNAL).
    Identity,
    /// The trace of ANONYMOUS.
    Trace,
    /// A user's answer to a challenge that is shown to the user.
    ChallengeAnswer,
    /// A server's verdict on a password.
    PasswordCheck,
    /// A user's password or verifier, as a server's application or accounts have stored it.
    StoredSecret,
    /// A server's verdict on a token.
    TokenCheck,
    /// The identity that a token belongs to.
    TokenIdentity,
    /// A server's verdict on an authorization identity.
    Authorization,
    /// The canonical form of a user's name.
    CanonicalName,
    /// The name of a user of an account store.
    UserName,
    /// The identity that a server's application knows from outside SASL.
    ExternalIdentity,
    /// A client's certificate in TLS.
    ClientCertificate,
    /// The data that a mechanism binds to.
    ChannelBinding,
    /// A server's realm.
    ServerRealm,
    /// The server's host name, as a client knows it.
    ServerHost,
    /// The parts of DIGEST-MD5's digest-uri.
    DigestUri,
    /// A client's response, which is made of its values.
    Response,
    /// The name of a service or principal of Kerberos.
    Principal,
    /// The longest message that fits into one frame of a security layer.
    MessageLimit,
    /// An answer that is awaited, whatever the question is.
    Answer,
    /// The call that begins an exchange.
    Start,
    /// The call that passes on a message of the peer.
    Step,
    /// An option of [`crate::config::OPTIONS`].
    Option(&'static str),
}

impl Subject {
    /// The core's own words, without an article.
    fn words(self) -> &'static str {
        match self {
            Subject::Authcid => "authentication identity",
            Subject::Authzid => "authorization identity",
            Subject::Password => "password",
            Subject::Realm | Subject::ServerRealm => "realm",
            Subject::Token => "token",
            Subject::HtToken => "HT token",
            Subject::ScramKeys => "SCRAM keys",
            Subject::VerifierStore => "store of verifiers",
            Subject::KeepKeys => "receiver of SCRAM keys",
            Subject::HtTokens => "list of HT tokens",
            Subject::OtpState => "state of OTP",
            Subject::Phrase => "pass phrase",
            Subject::Host => "host",
            Subject::Port => "port",
            Subject::ServName => "serv-name",
            Subject::Identity | Subject::TokenIdentity => "identity",
            Subject::Trace => "trace",
            Subject::ChallengeAnswer => "answer to the challenge",
            Subject::PasswordCheck => "password check",
            Subject::StoredSecret => "stored secret",
            Subject::TokenCheck => "token check",
            Subject::Authorization => "authorization",
            Subject::CanonicalName => "canonical name",
            Subject::UserName => "user name",
            Subject::ExternalIdentity => "external identity",
            Subject::ClientCertificate => "client certificate",
            Subject::ChannelBinding => "channel binding data",
            Subject::ServerHost => "server's host name",
            Subject::DigestUri => "service, host or serv-name",
            Subject::Response => "response",
            Subject::Principal => "name of the service or principal",
            Subject::MessageLimit => "message limit",
            Subject::Answer => "an answer of the application",
            Subject::Start => "the start",
            Subject::Step => "a step",
            Subject::Option(name) => name,
        }
    }
}

/// A binding's name for a [`Subject`]: for instance `callback` and the names of the callbacks, the usual one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The kind of thing: `callback`, `property`, `setting`. May be empty.
    pub kind: &'static str,
    /// Its names; at least one.
    pub names: &'static [&'static str],
}

impl Display for Name {
    /// `callback authzid, user or authname`
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let last = self.names.len().saturating_sub(1);
        for (at, name) in self.names.iter().enumerate() {
            let before = match at {
                0 if self.kind.is_empty() => "",
                0 => " ",
                _ if at == last => " or ",
                _ => ", ",
            };
            write!(f, "{}{before}{name}", if at == 0 { self.kind } else { "" })?;
        }
        Ok(())
    }
}

/// A binding's table of names. If it has none for a subject, the error text has only the core's words.
///
/// ```
/// use authen_sasl_rust::error::{Application, Error, Name, Subject};
///
/// fn names(subject: Subject) -> Option<Name> {
///     (subject == Subject::Password).then_some(Name { kind: "variable", names: &["SMTP_PASSWORD"] })
/// }
///
/// let error = Error::from(Application::Empty(Subject::Password));
/// assert_eq!(error.to_string(), "the password is empty");
/// assert_eq!(error.named(names).to_string(), "the password (variable SMTP_PASSWORD) is empty");
/// ```
pub type Names = fn(Subject) -> Option<Name>;

/// No names: only the core's words.
pub(super) fn unnamed(_: Subject) -> Option<Name> {
    None
}

/// `password (callback pass)`
pub(super) struct WithName(pub Subject, pub Names);

impl Display for WithName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.words(), NameAside(self.0, self.1))
    }
}

/// ` (property maxout)`, or nothing
pub(super) struct NameAside(pub Subject, pub Names);

impl Display for NameAside {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (self.1)(self.0).map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// `server_start`, or the core's words
pub(super) struct NameOrWords(pub Subject, pub Names);

impl Display for NameOrWords {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.1)(self.0) {
            Some(name) => name.fmt(f),
            None => f.write_str(self.0.words()),
        }
    }
}

/// `callback checkpass or getsecret`: the usual name of each subject, or the core's words. The kind is written once, or
/// before each name with `repeat_kind`.
pub(super) struct UsualNames<'a> {
    pub subjects: &'a [Subject],
    pub separator: &'static str,
    pub repeat_kind: bool,
    pub names: Names,
}

impl Display for UsualNames<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut said = "";
        for (at, subject) in self.subjects.iter().enumerate() {
            f.write_str(if at > 0 { self.separator } else { "" })?;
            match (self.names)(*subject) {
                Some(Name { kind, names: [usual, ..] }) => {
                    if !kind.is_empty() && (self.repeat_kind || said != kind) {
                        write!(f, "{kind} ")?;
                    }
                    said = kind;
                    f.write_str(usual)?;
                }
                _ => f.write_str(subject.words())?,
            }
        }
        Ok(())
    }
}

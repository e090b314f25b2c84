//! The server's side.

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::contract::{Abilities, Answer, Question, Side, World};
use crate::error::{Application, Error, Failure, Rejection};
use crate::negotiate::{lists, rejected};
use crate::secret::Secret;
use crate::session::{Outcome, Session};
use crate::world::OsRandom;

use super::{exchange, text};

/// What a server does next. `T` is a message: bytes, or base64 text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T = Vec<u8>> {
    /// Send this challenge, which may be empty, and pass the client's response to [`Server::step`].
    Challenge(T),
    /// The client is authenticated: [`Server::user`]. The data is sent with the protocol's success; there is none unless
    /// [`Server::with_success_data`] was called.
    Success(Option<T>),
    /// The login has failed. The failure is for a log; a client must not see it. A protocol that can send data with its failure
    /// sends this message. If [`Error::is_unavailable`], the client may try again later.
    Failure(Option<T>, Failure),
}

impl Reply {
    fn into_text(self) -> Reply<String> {
        match self {
            Reply::Challenge(message) => Reply::Challenge(text::encode(&message)),
            Reply::Success(last) => Reply::Success(last.as_deref().map(text::encode)),
            Reply::Failure(last, failure) => Reply::Failure(last.as_deref().map(text::encode), failure),
        }
    }
}

type Lookup = Box<dyn FnMut(&str) -> Option<Secret> + Send>;

/// The logins of one connection: [`Server::offer`], then [`Server::start`] with the client's choice, and [`Server::step`] with
/// each response.
///
/// ```
/// use authen_sasl_rust::login::{Reply, Server};
///
/// // Stored secrets are passwords, or better verifiers (`store::verifier`), with which PLAIN works too.
/// let mut server = Server::new(|user| (user == "fred").then(|| "pencil".to_owned().into())).over_tls(256);
/// assert_eq!(server.offer("PLAIN SCRAM-SHA-256"), "SCRAM-SHA-256 PLAIN");
/// assert!(matches!(server.start("PLAIN", Some(b"\0fred\0rubber")), Reply::Failure(None, _)));
/// assert_eq!(server.user(), None);
/// assert_eq!(server.start("PLAIN", Some(b"\0fred\0pencil")), Reply::Success(None));
/// assert_eq!(server.user(), Some("fred"));
/// ```
pub struct Server {
    session: Session,
    lookup: Option<Lookup>,
    offered: Box<str>,
    success_data: bool,
    failure: Option<Failure>,
}

impl Server {
    /// A server that looks up stored secrets: a password or a verifier ([`crate::store::verifier`]); `None` for an unknown user.
    /// A user may act as itself only.
    pub fn new(lookup: impl FnMut(&str) -> Option<Secret> + Send + 'static) -> Self {
        let mut session = exchange::session(Side::Server);
        session.config.abilities = Abilities::CREDENTIALS;
        Server { session, lookup: Some(Box::new(lookup)), offered: "".into(), success_data: false, failure: None }
    }

    /// A server whose users are in an account store ([`crate::guide::account_store`]).
    pub fn with_accounts(accounts: Arc<dyn Accounts>) -> Self {
        let mut session = exchange::session(Side::Server);
        session.accounts = Some(accounts);
        Server { session, lookup: None, offered: "".into(), success_data: false, failure: None }
    }

    /// Says that TLS of that strength, in bits, protects the connection. Without it no password is accepted in the clear.
    #[must_use]
    pub fn over_tls(mut self, bits: u32) -> Self {
        self.session.config.set_tls_ssf(bits);
        self
    }

    /// Says that the protocol can send a mechanism's last message with its success, as XMPP and LDAP can. Other protocols, such as
    /// IMAP and SMTP, send it as a challenge, which the client answers with an empty response.
    #[must_use]
    pub fn with_success_data(mut self) -> Self {
        self.success_data = true;
        self
    }

    /// The options: the service and the host for DIGEST-MD5, channel bindings, and all others. Set them before
    /// [`Server::offer`].
    pub fn config(&mut self) -> &mut Config {
        &mut self.session.config
    }

    /// The mechanisms of the list that the client may choose from, the strongest first.
    pub fn offer(&mut self, mechanisms: &str) -> String {
        let usable = self.session.negotiation().usable(mechanisms);
        let names = usable.iter().map(|mechanism| mechanism.name).collect::<Vec<_>>().join(" ");
        self.offered = names.as_str().into();
        names
    }

    /// Begins a login with a mechanism that was offered, and the client's initial response if there was one. It can be called
    /// again after a failure: how often a client may try is the program's decision.
    pub fn start(&mut self, mechanism: &str, initial: Option<&[u8]>) -> Reply {
        self.forget();
        let picked = match lists(&self.offered, mechanism) {
            true => self.session.pick(mechanism),
            false => Err(rejected(mechanism, Rejection::NotOffered)),
        };
        if let Err(error) = picked {
            return self.ended(error);
        }
        self.session.offer(&self.offered);
        let outcome = self.session.start(initial, &mut World::of_process(&mut OsRandom, None));
        self.after(outcome)
    }

    /// The same with base64; an initial response of `=` is an empty one.
    pub fn start_base64(&mut self, mechanism: &str, initial: Option<&str>) -> Reply<String> {
        match initial.map(text::decode_initial) {
            None => self.start(mechanism, None),
            Some(Ok(initial)) => self.start(mechanism, Some(&initial)),
            Some(Err(error)) => {
                self.forget();
                self.ended(error)
            }
        }
        .into_text()
    }

    /// Takes the client's response to a challenge.
    pub fn step(&mut self, response: &[u8]) -> Reply {
        let outcome = self.session.step(response, &mut World::of_process(&mut OsRandom, None));
        self.after(outcome)
    }

    /// The same with base64. A text that is not base64 ends the login; so does `*`, with which clients of IMAP and SMTP cancel it.
    pub fn step_base64(&mut self, response: &str) -> Reply<String> {
        match text::decode("response", response) {
            Ok(response) => self.step(&response),
            Err(error) => self.ended(error),
        }
        .into_text()
    }

    /// After success: the user that the client acts as. It is the authorization identity, or else the authentication identity.
    pub fn user(&self) -> Option<&str> {
        let identity = self.session.identity();
        identity.authzid.as_deref().or(identity.authcid.as_deref()).filter(|_| self.failure.is_none())
    }

    /// The session: what it knows of the client and the failure, for a log.
    pub fn session(&self) -> &Session {
        &self.session
    }

    fn after(&mut self, mut outcome: Outcome) -> Reply {
        while outcome == Outcome::Ask {
            let answer = match (self.session.question(), &mut self.lookup) {
                (Some(Question::Credentials { authcid, .. }), Some(lookup)) => Answer::Credential(lookup(authcid)),
                _ => return self.ended(Application::WrongAnswer.into()),
            };
            outcome = self.session.answer(answer, &mut World::of_process(&mut OsRandom, None));
        }
        let message = || (!self.session.message_absent()).then(|| self.session.message().to_vec());
        match outcome {
            Outcome::Send | Outcome::Absent
                if self.session.is_success() && (self.success_data || message().is_none()) =>
            {
                Reply::Success(message())
            }
            Outcome::Send => Reply::Challenge(message().unwrap_or_default()),
            Outcome::FailedWithMessage => {
                let last = message();
                match self.ended(exchange::over("response")) {
                    Reply::Failure(_, failure) => Reply::Failure(last, failure),
                    other => other,
                }
            }
            _ => self.ended(exchange::over("response")),
        }
    }

    /// Discards an earlier login.
    fn forget(&mut self) {
        self.session.reset();
        self.session.unpick();
        self.failure = None;
    }

    /// Ends the login, with this error unless it has failed already.
    fn ended(&mut self, error: Error) -> Reply {
        Reply::Failure(None, self.failure.insert(exchange::ended(&mut self.session, error)).clone())
    }
}

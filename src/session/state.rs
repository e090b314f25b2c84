//! The state of one exchange of one side, and its result.

use std::sync::Arc;

use crate::accounts::{Accounts, Properties};
use crate::config::Config;
use crate::contract::{Established, Mechanism, Next, Question, Setup, Side};
use crate::error::{Error, Failure, Refused};
use crate::layer::{self, SharedLayer};
use crate::negotiate::Negotiation;
use crate::registry::Registry;
use crate::secret::Secret;

/// The result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Outcome {
    /// [`Session::message`] must be sent to the peer; it may be empty.
    Send = 0,
    /// There is no message: absent, not empty.
    Absent = 1,
    /// [`Session::question`] waits for [`Session::answer`].
    Ask = 2,
    /// The exchange has failed: see [`Session::failure`].
    Failed = 3,
    /// The exchange has failed, and [`Session::message`] must still be sent to the peer.
    FailedWithMessage = 4,
    /// The exchange was already over; nothing has changed.
    Over = 5,
    /// The call came while an answer of the application is pending; nothing has changed.
    Busy = 6,
}

/// What the session waits for.
pub(super) enum Phase {
    New,
    Peer(Next),
    Application(Next),
    /// The answer to the session's own question, after the mechanism's end.
    Finishing,
    /// Server: the exchange is going to fail; the peer's answer to the message that says so is pending.
    Refused(Box<Error>),
    /// The server sent last. One empty message may follow if the protocol cannot carry data with its success.
    ServerSpokeLast,
    /// A client has succeeded with an empty message. A protocol module may treat it as no message (those of SMTP and POP3
    /// do): the server then asks for it with an empty challenge.
    SucceededSilently,
    /// A client has succeeded as far as it knows. If another message comes, the server refuses.
    SucceededUnlessRefused(Next),
    Succeeded,
    Failed,
}

/// How the session uses the pending answer.
pub(super) enum PendingAnswer {
    /// The answer goes to the mechanism unchanged.
    None,
    /// The mechanism has asked for the canonical name; the session stores it.
    Name,
    /// The canonical name of the identity that an accepted token belongs to.
    Token(String),
    /// The canonical name replaces the name in this question of the mechanism.
    Canonicalize(Box<Question>),
    /// The credential is compared with this password, and the mechanism gets the verdict.
    Compare(Secret),
    /// The mechanism has ended: names are canonicalized, then the application authorizes.
    FinishAuthcid(Box<Established>),
    FinishAuthzid(Box<Established>),
    FinishAuthorize(Box<Established>),
    FinishKeys(Box<Established>),
    /// The stored secret decides if this password gets a stronger verifier.
    FinishStored(Box<Established>, Secret),
    FinishUpgrade(Box<Established>),
}

/// What is known of an upgrade.
pub(super) enum Upgrade {
    /// The password that is being checked, and what is stored for the user, where the session has compared them.
    Proving { password: Secret, stored: Option<Option<Secret>> },
    /// The verifier was stored.
    Stored,
    /// It was not, for this reason.
    Failed(Error),
}

/// One side of one exchange. `start` may be called again at any time and begins a new exchange.
pub struct Session {
    pub(super) side: Side,
    pub(super) registry: Arc<Registry>,
    pub(super) mechanism: Option<&'static dyn Mechanism>,
    /// Options and properties.
    pub config: Config,
    /// A server's accounts. They answer the questions that its application does not answer itself.
    pub accounts: Option<Arc<dyn Accounts>>,
    pub(super) phase: Phase,
    pub(super) message: Option<Vec<u8>>,
    pub(super) question: Option<Box<Question>>,
    pub(super) pending: PendingAnswer,
    pub(super) failure: Option<Box<Failure>>,
    pub(super) identity: Identity,
    /// Server: the identity that the client claims.
    pub(super) claimed_user: Option<Box<str>>,
    /// Server: that name has no canonical form. Look-ups use another name, and their answers are ignored.
    pub(super) declined: bool,
    /// Server: whether the accounts keep the user out. `None` if they have not been asked.
    pub(super) kept_out: Option<bool>,
    /// Server: why the client cannot log in as that user with any password.
    pub(super) fault: Option<Box<Error>>,
    pub(super) layer: Option<SharedLayer>,
    pub(super) properties: Option<Box<Properties>>,
    pub(super) delegated: bool,
    pub(super) token_index: Option<usize>,
    pub(super) upgrade: Option<Box<Upgrade>>,
}

/// The names of an exchange. A client has them as soon as they are known, a server only once they are proved.
#[derive(Debug, Default)]
pub struct Identity {
    /// Authentication identity; on a server it is canonical.
    pub authcid: Option<Box<str>>,
    /// Authorization identity, if there is one.
    pub authzid: Option<Box<str>>,
    /// Realm, where the mechanism has one.
    pub realm: Option<Box<str>>,
}

impl Session {
    /// A new side that chooses a mechanism of a registry. It has none yet.
    pub fn new(side: Side, registry: Arc<Registry>) -> Self {
        Session {
            side,
            registry,
            mechanism: None,
            config: Config::default(),
            accounts: None,
            phase: Phase::New,
            message: None,
            question: None,
            pending: PendingAnswer::None,
            failure: None,
            identity: Identity::default(),
            claimed_user: None,
            declined: false,
            kept_out: None,
            fault: None,
            layer: None,
            properties: None,
            delegated: false,
            token_index: None,
            upgrade: None,
        }
    }

    /// Everything on which the choice of a mechanism depends.
    pub fn negotiation(&self) -> Negotiation<'_> {
        let setup = Setup { config: &self.config, accounts: self.accounts.as_ref() };
        Negotiation { side: self.side, registry: &self.registry, setup }
    }

    /// Replaces the registry, for the next choice of a mechanism.
    pub fn set_registry(&mut self, registry: Arc<Registry>) {
        self.registry = registry;
    }

    /// The registry of mechanisms.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Discards the exchange. Options, properties and the mechanism stay.
    pub fn reset(&mut self) {
        self.phase = Phase::New;
        self.message = None;
        self.question = None;
        self.pending = PendingAnswer::None;
        self.failure = None;
        self.identity = Identity::default();
        self.claimed_user = None;
        self.declined = false;
        self.kept_out = None;
        self.fault = None;
        self.layer = None;
        self.properties = None;
        self.delegated = false;
        self.token_index = None;
        self.upgrade = None;
    }

    pub(super) fn succeed(&mut self, established: Established) -> Result<Outcome, Error> {
        let Established { last, authcid, authzid, layer, token_index, delegated, .. } = established;
        if let (Some(credentials), Some(ccache)) = (delegated, self.config.delegated_ccache()) {
            credentials.store(ccache)?;
            self.delegated = true;
        }
        self.token_index = token_index;
        self.identity.authcid = Some(authcid.into());
        self.identity.authzid = authzid.map(Into::into);
        self.layer = layer.zip(self.mechanism).map(|(layer, mechanism)| layer::share(layer, self.side, mechanism.name));
        self.phase = match (self.side, &last) {
            (Side::Server, Some(_)) => Phase::ServerSpokeLast,
            (Side::Client, Some(empty)) if empty.is_empty() => Phase::SucceededSilently,
            _ => Phase::Succeeded,
        };
        self.message = last;
        Ok(if self.message.is_some() { Outcome::Send } else { Outcome::Absent })
    }

    pub(super) fn fail(&mut self, error: Error) -> Outcome {
        self.phase = Phase::Failed;
        self.message = None;
        self.question = None;
        self.pending = PendingAnswer::None;
        self.layer = None;
        self.upgrade = None;
        let error = self.explained(error);
        self.failure = Some(Box::new(self.failure_of(error)));
        Outcome::Failed
    }

    /// A server's refusal with the reason why this user cannot log in, if that is known. It is for the operator.
    pub(super) fn explained(&mut self, error: Error) -> Error {
        let refused = match error {
            Error::Refused(refused @ (Refused::Credentials | Refused::HtToken | Refused::Token))
                if self.side == Side::Server =>
            {
                refused
            }
            other => return other,
        };
        // The accounts know nothing of tokens.
        if refused != Refused::Token {
            self.fault = self.fault.take().or_else(|| self.fault_of_accounts());
        }
        self.fault.clone().map_or(refused, Refused::Unusable).into()
    }

    /// Why this user cannot log in at all, if this is why the exchange has failed.
    fn fault_of_accounts(&self) -> Option<Box<Error>> {
        let accounts = self.accounts.as_ref()?;
        let user = self.identity.authcid.as_deref().or(self.claimed_user())?;
        accounts.unusable(user, self.mechanism?.credential).map(Box::new)
    }

    /// The side.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The mechanism, if one was chosen.
    pub fn mechanism(&self) -> Option<&'static dyn Mechanism> {
        self.mechanism
    }

    /// Frees the message, which the caller has copied. That there was one stays known.
    pub fn message_sent(&mut self) {
        if let Some(message) = &mut self.message {
            *message = Vec::new();
        }
    }

    /// The message for the peer; empty if there is none.
    pub fn message(&self) -> &[u8] {
        self.message.as_deref().unwrap_or_default()
    }

    /// True if there is no message, which differs from an empty one.
    pub fn message_absent(&self) -> bool {
        self.message.is_none()
    }

    /// The question that waits for an answer.
    pub fn question(&self) -> Option<&Question> {
        self.question.as_deref()
    }

    /// Why the exchange has failed; `None` if it has not.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// The names of the exchange. A server has none before the client has proved its identity, so that a program may take a
    /// name as proof of success.
    pub fn identity(&self) -> &Identity {
        static UNPROVED: Identity = Identity { authcid: None, authzid: None, realm: None };
        match self.side {
            Side::Server if !self.is_success() => &UNPROVED,
            _ => &self.identity,
        }
    }

    /// Server: the authentication identity that the client claims, proved or not. It is meant for logs of failed logins. It
    /// is text of the peer, so a log must escape it.
    pub fn claimed_user(&self) -> Option<&str> {
        self.claimed_user.as_deref()
    }

    /// After success: the user properties that a server's application has asked for.
    pub fn properties(&self) -> Option<&Properties> {
        self.properties.as_deref().filter(|_| self.is_success())
    }

    /// Server: what is wrong with the stored secret of the claimed user. It is for the operator; the peer sees no difference
    /// from an unknown user.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_deref()
    }

    /// The security layer, once the exchange has succeeded with one.
    pub fn layer(&self) -> Option<&SharedLayer> {
        self.layer.as_ref()
    }

    /// True if the client has delegated credentials and they were stored ([`crate::config::Config::delegated_ccache`]).
    pub fn delegated(&self) -> bool {
        self.delegated
    }

    /// Server, after a success with a token that it had issued: which of the user's tokens it was, counted from 0 in the answer.
    pub fn token_index(&self) -> Option<usize> {
        self.token_index.filter(|_| self.is_success())
    }

    /// True while the peer's next message, or the application's answer, is needed.
    pub fn need_step(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Peer(_) | Phase::Application(_) | Phase::Finishing | Phase::Refused(_))
    }

    /// Server: the failure that this exchange will have, whatever the peer answers. For instance, a refused OAuth token is
    /// known before the client has answered the error object.
    pub fn pending_failure(&self) -> Option<Failure> {
        match &self.phase {
            Phase::Refused(error) => Some(self.failure_of((**error).clone())),
            _ => None,
        }
    }

    pub(super) fn failure_of(&self, error: Error) -> Failure {
        Failure { side: self.side, mechanism: self.mechanism.map(|m| m.name), error }
    }

    /// True once this side has verified everything that it can verify.
    pub fn is_success(&self) -> bool {
        matches!(
            self.phase,
            Phase::Succeeded | Phase::SucceededSilently | Phase::SucceededUnlessRefused(_) | Phase::ServerSpokeLast
        )
    }
}

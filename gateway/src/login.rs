//! The login of one connection: the AUTH line protocol until its client is authenticated and admitted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authen_sasl_account_servers::{Account, Groups};
use authen_sasl_rust::authline::reply::Word;
use authen_sasl_rust::authline::server::{Event, Server};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Question, SecurityFlags, TokenVerdict};
use authen_sasl_rust::error::{Code, Error, Failure};
use authen_sasl_rust::mechanism;
use authen_sasl_rust::secret::wiping_stack;
use authen_sasl_rust::wire::saslprep;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::field::{debug, DebugValue};
use tracing::{debug, error, info, warn};
use zeroize::Zeroizing;

use crate::access::backend_of;
use crate::accounts::{KeptOut, ITERATIONS};
use crate::admission::{admit, Admitted, Applicant, NotAdmitted};
use crate::backend::Backend;
use crate::gate::{ConnectionSlot, LiveConfig};
use crate::identity::CertificateId;
use crate::mechanisms::{derives_key, proved_outside};
use crate::metrics::count;
use crate::names;
use crate::oauth::Failure as TokenFailure;
use crate::peer::Peer;
use crate::relay::{close, Stream};
use crate::sessions::{Proof, Session};
use crate::throttle::{AddressSlot, UserKey};
use crate::upgrade::{self, Stronger};

/// How long a refused client may take to read the reply.
const LINGER: Duration = Duration::from_secs(1);

/// Size of the read buffer. Small, since every connection has one during its login.
const BUFFER_SIZE: usize = 256;

/// Maximum length of an unproved name in the log, in characters.
const MAX_LOGGED_NAME: usize = 200;

/// What the transport provides.
#[derive(Default)]
pub struct TransportSecurity {
    /// Its SSF.
    pub strength: u32,
    pub binding: Option<ChannelBinding>,
    /// Boxed, since most clients have none.
    pub identity: Option<Box<TransportIdentity>>,
}

/// The identity of a client that its transport has proved.
#[derive(Default)]
pub struct TransportIdentity {
    /// The user, for EXTERNAL.
    pub user: Option<String>,
    /// The user ID of the client's process, on the Unix socket.
    pub user_id: Option<u32>,
    /// The client's certificate, and those that it sent with it.
    pub certificates: Box<[CertificateId]>,
}

/// An authenticated client with its backend.
pub struct LoggedIn {
    pub backend: Backend,
    /// What the client has sent after its last authentication message.
    pub early: Vec<u8>,
    pub session: Arc<Session>,
}

/// A bearer token: what it proves, or why it is refused, for the log.
enum Judged {
    Accepted(Proof),
    Refused(String),
}

/// The login of a connection.
pub struct Login<'g> {
    slot: &'g mut ConnectionSlot,
    live: Arc<LiveConfig>,
    peer: &'g Peer,
    address_slot: Option<AddressSlot>,
    identity: Option<Box<TransportIdentity>>,
    /// What was found out about the token of this exchange.
    judged: Option<Box<Judged>>,
    /// `None` while another thread uses it for a key derivation.
    server: Option<Box<Server>>,
    /// The name that the client gave in this exchange, for the log.
    claimed_user: Option<String>,
    /// The same, for the limit of failures.
    user_key: Option<UserKey>,
    /// What this exchange has derived from the password, to be stored.
    stronger: Option<Box<Stronger>>,
    /// The groups of the user whom this exchange is about, for the access rules.
    groups: Groups,
    failures: u32,
}

impl<'g> Login<'g> {
    pub fn new(
        slot: &'g mut ConnectionSlot,
        live: Arc<LiveConfig>,
        security: TransportSecurity,
        peer: &'g Peer,
        address_slot: Option<AddressSlot>,
    ) -> Self {
        let settings = &live.settings;
        let user = security.identity.as_ref().and_then(|identity| identity.user.as_deref());
        let offered = live.mechanisms.split(' ').filter(|name| user.is_some() || !proved_outside(name));
        let mut server = Box::new(
            Server::new(&offered.collect::<Vec<_>>().join(" "), mechanism::registry())
                .with_token_limit(settings.limits.token_bytes),
        );
        let config = &mut server.session.config;
        config.service = settings.service.as_str().into();
        config.host = settings.host.as_str().into();
        config.abilities = Abilities::CREDENTIALS.union(Abilities::CHECK_TOKEN).union(Abilities::CANONICALIZE);
        if live.accounts.checks_passwords() {
            config.abilities = config.abilities.union(Abilities::CHECK_PASSWORD);
        }
        if let Some(upgrade) = live.accounts.upgrade() {
            config.abilities = config.abilities.union(Abilities::SET_VERIFIER);
            config.set_upgrade(Some(upgrade));
        }
        config.iterations = Some(ITERATIONS);
        config.external_ssf = security.strength;
        if !settings.plaintext {
            config.secflags = SecurityFlags::NOPLAINTEXT;
        }
        if let Err(error) = config.set("external_id", user) {
            debug!(peer = peer.text, %error, "no identity for EXTERNAL");
        }
        if let Some(binding) = security.binding {
            if let Err(error) = config.set_binding(binding) {
                debug!(peer = peer.text, %error, "no channel binding");
            }
        }
        Login {
            slot,
            live,
            peer,
            address_slot,
            identity: security.identity,
            judged: None,
            server: Some(server),
            claimed_user: None,
            user_key: None,
            stronger: None,
            groups: Groups::default(),
            failures: 0,
        }
    }

    /// Runs until the client is logged in (`Some`), or the connection is to be closed (`None`).
    pub async fn run<S: Stream>(&mut self, stream: &mut S) -> Option<LoggedIn> {
        // Wiped even if the login times out.
        let mut buffer = Zeroizing::new(vec![0; BUFFER_SIZE]);
        self.talk(stream, &mut buffer).await
    }

    /// What it waits for is boxed, except the client's bytes: a connection that waits for those takes no memory for the rest.
    async fn talk<S: Stream>(&mut self, stream: &mut S, buffer: &mut [u8]) -> Option<LoggedIn> {
        loop {
            let size = match stream.read(buffer).await {
                Ok(0) => {
                    self.disconnected();
                    return None;
                }
                Ok(size) => size,
                Err(error) => {
                    debug!(peer = self.peer.text, %error, "connection lost before authentication");
                    self.disconnected();
                    return None;
                }
            };
            let mut input = &buffer[..size];
            loop {
                if self.is_blocked() {
                    Box::pin(close(stream, LINGER)).await;
                    return None;
                }
                let server = self.server.as_mut()?;
                let mut event = self.live.with_world(|world| server.receive(&mut input, world));
                let is_all_read = matches!(event, Event::Read);
                while matches!(event, Event::Ask) {
                    event = Box::pin(self.answer()).await?;
                }
                let mut logged_in = None;
                let keep_open = match event {
                    Event::Read => true,
                    Event::Authenticated => match Box::pin(self.admit()).await {
                        Ok(client) => {
                            logged_in = Some(client);
                            true
                        }
                        Err(keep_open) => keep_open,
                    },
                    event => self.handle(event),
                };
                let server = self.server.as_mut()?;
                let output = server.output();
                if !output.is_empty() && (stream.write_all(&output).await.is_err() || stream.flush().await.is_err()) {
                    self.disconnected();
                    return None;
                }
                if let Some(client) = logged_in {
                    return Some(LoggedIn { early: input.to_vec(), ..client });
                }
                if !keep_open {
                    Box::pin(close(stream, LINGER)).await;
                    return None;
                }
                if is_all_read {
                    break;
                }
            }
        }
    }

    /// The client is gone, or the login has timed out: an exchange that was under way has failed.
    pub fn disconnected(&mut self) {
        if let Some(failure) = self.server.as_mut().and_then(|server| server.hang_up()) {
            self.handle(Event::Failed(failure));
        }
    }

    /// Looks up the user whom the core's question is about. An error ends the exchange: the client is neither accepted nor refused.
    async fn look_up(&mut self) -> Result<Option<Arc<Account>>, Error> {
        let question = self.server.as_ref().and_then(|server| server.question());
        let Some(finding) = question.and_then(|question| self.live.accounts.find(question)) else { return Ok(None) };
        let account = finding.await.map_err(|error| Error::outside(Code::Unavail, error.to_string()))?;
        self.groups = account.as_ref().map(|account| account.groups.clone()).unwrap_or_default();
        for fault in account.iter().flat_map(|account| &account.faults) {
            let user = self.claimed_user.as_ref().map(debug);
            warn!(peer = self.peer.text, user, error = fault, "the account has an unusable secret");
        }
        Ok(account)
    }

    /// The verdict on the bearer token that the core's question is about. `None` if it is about something else.
    async fn judge(&mut self) -> Result<Option<Answer>, Error> {
        let question = self.server.as_ref().and_then(|server| server.question());
        let Some(Question::Token { token, .. }) = question else { return Ok(None) };
        let (token, live) = (token.clone(), self.live.clone());
        let session = self.server.as_ref().map(|server| &server.session);
        let mechanism = session.and_then(|session| session.mechanism()).map_or("", |mechanism| mechanism.name);
        let verdict = match live.accounts.judge(&token).await {
            Ok((grant, proof)) => {
                // Before the client gets a reply: otherwise it would learn that the token is valid.
                let no_access = match backend_of(&live.settings.access, &grant.user, &grant.groups, self.peer.address) {
                    None => Some("no access rule allows this user"),
                    Some(_) => {
                        let kept_out = live.accounts.keeps_out_now(&prepared(&grant.user)).await;
                        let kept_out = kept_out.map_err(|error| Error::outside(Code::Unavail, error.to_string()))?;
                        kept_out.map(KeptOut::text)
                    }
                };
                let Some(reason) = no_access else {
                    (self.groups, self.judged) = (grant.groups, Some(Judged::Accepted(proof).into()));
                    return Ok(Some(Answer::Token(TokenVerdict::Accepted { authcid: grant.user })));
                };
                warn!(peer = self.peer.text, user = ?grant.user, mechanism, "valid token, but {reason}");
                live.accounts.rejected("invalid_token")
            }
            Err(TokenFailure::Refused(refusal)) => {
                self.judged = Some(Judged::Refused(format!("OAuth, token: {}", refusal.reason)).into());
                live.accounts.rejected(refusal.status)
            }
            Err(TokenFailure::Unavailable(error)) => {
                count(&self.slot.gate.metrics.provider_errors);
                return Err(Error::outside(Code::Unavail, error));
            }
        };
        Ok(Some(Answer::Token(verdict)))
    }

    /// Answers the core's question. A key derivation from a password runs outside the relay threads.
    async fn answer(&mut self) -> Option<Event> {
        let server = self.server.as_mut()?;
        let question = server.question()?;
        if let Some(stronger) = Stronger::of(question) {
            self.stronger = Some(stronger.into());
            // The login does not depend on it.
            return Some(self.live.with_world(|world| server.answer(Answer::Verdict(true), world)));
        }
        match question {
            Question::Canonicalize { authzid: false, name, .. } | Question::Token { user: Some(name), .. } => {
                self.claimed_user = Some(name.chars().take(MAX_LOGGED_NAME).collect());
                self.user_key = self.address_slot.as_ref().map(|slot| slot.key(&prepared(name)));
                if is_blocked(self.slot, &self.live, self.peer, self.address_slot.as_ref(), self.user_key) {
                    return None;
                }
            }
            _ => {}
        }
        // Boxed, so that connections without a token do not take its memory.
        let found = match question {
            Question::Token { .. } => Box::pin(self.judge()).await,
            _ => self.look_up().await.map(|account| {
                self.look_at_upgrade(account.as_deref());
                let question = self.server.as_ref().and_then(|server| server.question());
                question.and_then(|question| wiping_stack(|| self.live.accounts.answer(question, account.as_ref())))
            }),
        };
        let answer = match found {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                warn!(peer = self.peer.text, "unexpected question from the core");
                return None;
            }
            Err(error) => return Some(self.server.as_mut()?.fail(error)),
        };
        let server = self.server.as_mut()?;
        let question = server.question()?;
        // The answer may have taken a while. Attempts on parallel connections count together, also those that have just failed.
        if matches!(question, Question::CheckPassword { .. } | Question::Token { .. })
            && is_blocked(self.slot, &self.live, self.peer, self.address_slot.as_ref(), self.user_key)
        {
            return None;
        }
        let derives = match question {
            Question::Credentials { kind, .. } => derives_key(*kind),
            // The last question before a stronger verifier is derived.
            Question::Canonicalize { authzid: true, .. } => self.live.accounts.upgrade().is_some(),
            _ => false,
        };
        if !derives {
            return Some(self.live.with_world(|world| server.answer(answer, world)));
        }
        let permit = self.slot.gate.derivations.clone().acquire_owned().await.ok()?;
        if self.is_blocked() {
            return None;
        }
        let (mut server, live) = (self.server.take()?, self.live.clone());
        let derived = tokio::task::spawn_blocking(move || {
            let event = live.with_world(|world| server.answer(answer, world));
            // Released when the derivation is done, even if the connection is gone by then.
            drop(permit);
            (server, event)
        });
        let (server, event) = derived.await.ok()?;
        self.server = Some(server);
        Some(event)
    }

    /// Before a password is compared: whether the user is due a stronger verifier, and which.
    fn look_at_upgrade(&mut self, account: Option<&Account>) {
        let accounts = &self.live.accounts;
        let Some(server) = self.server.as_mut().filter(|_| accounts.upgrade().is_some()) else { return };
        if let Some(Question::Credentials { kind: CredentialKind::Comparable, authcid, .. }) = server.question() {
            let due = accounts.due(authcid, account);
            server.session.config.set_upgrade(due);
        }
    }

    fn is_blocked(&self) -> bool {
        is_blocked(self.slot, &self.live, self.peer, self.address_slot.as_ref(), self.user_key)
    }

    /// Lets an authenticated client in. Otherwise returns whether the client may try again.
    async fn admit(&mut self) -> Result<LoggedIn, bool> {
        let server = self.server.as_mut().ok_or(false)?;
        let user: Box<str> = server.identity().authcid.as_deref().unwrap_or_default().into();
        let mechanism = server.session.mechanism().map_or("", |mechanism| mechanism.name);
        // Not taken: a client that is not admitted may try again.
        let identity = self.identity.as_deref();
        let certificates = identity.map(|identity| identity.certificates.clone()).unwrap_or_default();
        let proof = match server.session.mechanism().map(|mechanism| mechanism.credential) {
            Some(CredentialKind::Scram(_) | CredentialKind::Comparable) => Proof::Verifier,
            Some(CredentialKind::Password) => Proof::Password,
            Some(CredentialKind::Token) => match self.judged.take().map(|judged| *judged) {
                Some(Judged::Accepted(proof)) => proof,
                _ => Proof::Nothing,
            },
            Some(CredentialKind::Outside) => {
                identity.and_then(|identity| identity.user_id).map_or(Proof::Certificate, Proof::UserId)
            }
            Some(CredentialKind::HtTokens(_) | CredentialKind::Otp | CredentialKind::None) | None => Proof::Nothing,
        };
        let applicant = Applicant { user: &user, groups: &self.groups, mechanism, proof, certificates };
        match admit(self.slot, &self.live, self.peer, applicant).await {
            Ok(Admitted { backend, session }) => {
                server.accept();
                // Before the client reads the reply: it may open its next connection at once.
                self.slot.authenticated();
                self.address_slot = None;
                if let Some(stronger) = self.stronger.take() {
                    upgrade::store(self.slot.gate.clone(), self.live.clone(), *stronger);
                }
                let name = &*session.about.backend;
                self.slot.gate.metrics.logins.count(name, mechanism);
                info!(peer = self.peer.text, ?user, mechanism, backend = name, "authenticated");
                Ok(LoggedIn { backend, early: Vec::new(), session })
            }
            Err(NotAdmitted::NoAccess) => {
                // The client sees the same as after a wrong password.
                server.refuse(Word::Unauthorized);
                Err(self.failed())
            }
            // The password was right: this is no failure.
            Err(NotAdmitted::Unavailable) => {
                server.refuse(Word::InternalError);
                Err(false)
            }
        }
    }

    /// Counts and logs an event. Returns whether the connection stays open.
    fn handle(&mut self, event: Event) -> bool {
        let peer = &*self.peer.text;
        match event {
            Event::Failed(failure) => {
                self.log_failure(&failure);
                self.failed()
            }
            Event::Unavailable(failure) => {
                if let Some(unlogged) = self.slot.gate.unavailable.admit(Instant::now()) {
                    let (unlogged, error) =
                        ((unlogged > 0).then_some(unlogged), failure.error.named(names::of_settings));
                    error!(peer, mechanism = failure.mechanism, %error, unlogged, "authentication is unavailable");
                }
                false
            }
            Event::Command(_) => {
                debug!(peer, "a command before authentication");
                false
            }
            Event::Broken(fault) => {
                count(&self.slot.gate.metrics.broken);
                debug!(peer, error = %fault, "not the AUTH line protocol");
                false
            }
            _ => false,
        }
    }

    fn log_failure(&mut self, failure: &Failure) {
        // Printed as a string literal, which escapes control characters.
        let user: Option<DebugValue<String>> = self.claimed_user.take().map(debug);
        let error = failure.error.named(names::of_settings);
        let reason = match self.judged.as_deref() {
            Some(Judged::Refused(reason)) => Some(reason.as_str()),
            _ => None,
        };
        warn!(peer = self.peer.text, user, mechanism = failure.mechanism, %error, reason, "not authenticated");
    }

    /// Counts a failure. Returns whether the client may try again.
    fn failed(&mut self) -> bool {
        count(&self.slot.gate.metrics.failures);
        self.claimed_user = None;
        self.groups = Groups::default();
        self.judged = None;
        self.stronger = None;
        if let (Some(server), Some(upgrade)) = (&mut self.server, self.live.accounts.upgrade()) {
            // It was that of one user.
            server.session.config.set_upgrade(Some(upgrade));
        }
        let user = self.user_key.take();
        if let Some(slot) = &self.address_slot {
            slot.failed(user, &self.live.settings.limits, Instant::now());
        }
        self.failures += 1;
        self.failures < self.live.settings.limits.failures_per_connection
    }
}

/// Whether the client's address, or the user from there, has failed too often meanwhile: attempts on parallel connections count
/// together. Then the client is turned away.
fn is_blocked(
    slot: &ConnectionSlot,
    live: &LiveConfig,
    peer: &Peer,
    address: Option<&AddressSlot>,
    user: Option<UserKey>,
) -> bool {
    let blocked = address.and_then(|address| address.blocked(user, &live.settings.limits, Instant::now()));
    if let Some(reason) = blocked {
        slot.gate.turn_away(&peer.text, reason);
    }
    blocked.is_some()
}

/// The one form of a user's name. A name that has none belongs to nobody, and stays as it is.
fn prepared(name: &str) -> Cow<'_, str> {
    saslprep::query(name).unwrap_or(Cow::Borrowed(name))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::sync::atomic::Ordering;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;
    use crate::gate::Gate;
    use crate::settings::Settings;

    /// A client that sends these bytes and is gone when the server replies.
    struct Gone(&'static [u8]);

    impl AsyncRead for Gone {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            to.put_slice(std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// An exchange also fails if its reply cannot be sent. A failure is counted once.
    #[tokio::test]
    async fn an_exchange_whose_reply_is_lost_is_a_failure() {
        for (said, failures) in [
            ("auth-list-mechanisms\r\n", 0),
            ("auth-start EXTERNAL\r\n", 1),
            ("auth-start EXTERNAL 5\r\nother\r\n", 1),
            ("auth-start EXTERNAL\r\nauth-start EXTERNAL\r\n", 1),
        ] {
            let unix_users = [("0".to_owned(), "fred".to_owned())].into_iter().collect();
            let settings = Settings { mechanisms: "EXTERNAL".into(), unix_users, ..Settings::default() };
            let gate = Arc::new(Gate::new(LiveConfig::load(settings).unwrap(), 1, Arc::default()));
            let mut slot = ConnectionSlot::take(&gate).ok().unwrap();
            let identity = TransportIdentity { user: Some("fred".into()), ..TransportIdentity::default() };
            let security = TransportSecurity { identity: Some(identity.into()), ..TransportSecurity::default() };
            let peer = Peer { address: None, text: "a test".into() };
            let mut login = Login::new(&mut slot, gate.live(), security, &peer, None);
            let mut client = Gone(said.as_bytes());
            assert!(login.run(&mut client).await.is_none(), "{said}");
            assert_eq!(gate.metrics.failures.load(Ordering::Relaxed), failures, "{said}");
            // Clients that never finish a login cost this, and the login itself, for as long as they may wait.
            let size = size_of_val(&login.run(&mut client));
            assert!(size <= 320, "{size}");
        }
    }
}

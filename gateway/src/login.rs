//! The dialogue of one connection, until its client is authenticated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use authen_sasl_rust::authline::reply::Word;
use authen_sasl_rust::authline::server::{Event, Server};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Abilities, Answer, Question, SecurityFlags, TokenVerdict};
use authen_sasl_rust::error::Failure;
use authen_sasl_rust::secret::wiping_stack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::field::{debug, DebugValue};
use tracing::{debug, error, info, warn};
use zeroize::Zeroizing;

use crate::access::backend_of;
use crate::accounts::ITERATIONS;
use crate::backend::{connect, Backend};
use crate::gate::{Live, Seat};
use crate::gauges::count;
use crate::need::derives;
use crate::peer::Peer;
use crate::relay::{close, Stream};
use crate::throttle::{Place, TurnedAway};
use crate::tokens;

/// How long a client that was refused may take to read it.
const LINGER: Duration = Duration::from_secs(1);

/// What is read at once. Small, as every connection has one while it is in the dialogue.
const READ: usize = 256;

/// Characters of a name that was not proved, in the log.
const SHOWN: usize = 200;

/// What the transport gives already.
#[derive(Default)]
pub struct Security {
    pub strength: u32,
    pub binding: Option<ChannelBinding>,
    /// Whom it has proved the client to be.
    pub user: Option<String>,
}

/// A client that is in.
pub struct Entered {
    pub backend: Backend,
    /// What it has sent behind its authentication.
    pub early: Vec<u8>,
    pub user: Box<str>,
    /// The backend's name in the rules.
    pub to: Box<str>,
}

/// Where a client that is authenticated goes.
struct Reached {
    backend: Backend,
    user: Box<str>,
    to: Box<str>,
}

/// The dialogue before the relay.
pub struct Login<'g> {
    seat: &'g mut Seat,
    live: Arc<Live>,
    peer: &'g Peer,
    place: Option<Place>,
    /// `None` while another thread has it.
    server: Option<Box<Server>>,
    /// The name that the client of this exchange gave.
    claimed: Option<String>,
    failures: u32,
}

impl<'g> Login<'g> {
    pub fn new(seat: &'g mut Seat, live: Arc<Live>, security: Security, peer: &'g Peer, place: Option<Place>) -> Self {
        let settings = &live.settings;
        let offered = live.mechanisms.split(' ').filter(|name| *name != "EXTERNAL" || security.user.is_some());
        let mut server =
            Box::new(Server::new(&offered.collect::<Vec<_>>().join(" ")).with_token_limit(settings.limits.token_bytes));
        let config = &mut server.session.config;
        config.service = settings.service.as_str().into();
        config.host = settings.host.as_str().into();
        config.abilities = Abilities::CREDENTIALS.and(Abilities::CHECK_TOKEN).and(Abilities::CANONICALIZE);
        config.iterations = ITERATIONS;
        config.external_ssf = security.strength;
        if !settings.plaintext {
            config.secflags = SecurityFlags::NOPLAINTEXT;
        }
        if let Err(error) = config.set("external_id", security.user.as_deref()) {
            debug!(peer = peer.text, %error, "no identity for EXTERNAL");
        }
        if let Some(binding) = security.binding {
            if let Err(error) = config.set_binding(binding) {
                debug!(peer = peer.text, %error, "no channel binding");
            }
        }
        Login { seat, live, peer, place, server: Some(server), claimed: None, failures: 0 }
    }

    /// Until the client is in, or the connection of no more use.
    pub async fn run<S: Stream>(&mut self, stream: &mut S) -> Option<Entered> {
        // Wiped even if time runs out in the middle.
        let mut buffer = Zeroizing::new(vec![0; READ]);
        self.talk(stream, &mut buffer).await
    }

    async fn talk<S: Stream>(&mut self, stream: &mut S, buffer: &mut [u8]) -> Option<Entered> {
        loop {
            let size = match stream.read(buffer).await {
                Ok(0) => {
                    self.hung_up();
                    return None;
                }
                Ok(size) => size,
                Err(error) => {
                    debug!(peer = self.peer.text, %error, "broken before it was authenticated");
                    self.hung_up();
                    return None;
                }
            };
            let mut input = &buffer[..size];
            loop {
                if self.is_shut_out() {
                    self.turn_away();
                    close(stream, LINGER).await;
                    return None;
                }
                let server = self.server.as_mut()?;
                let mut event = self.live.with_world(|world| server.receive(&mut input, world));
                let is_all_read = matches!(event, Event::Read);
                while matches!(event, Event::Ask) {
                    event = self.answer().await?;
                }
                let mut reached = None;
                let goes_on = match event {
                    Event::Read => true,
                    Event::Authenticated => match self.reach().await {
                        Ok(backend) => {
                            reached = Some(backend);
                            true
                        }
                        Err(goes_on) => goes_on,
                    },
                    event => self.goes_on(event),
                };
                let server = self.server.as_mut()?;
                let output = server.output();
                if !output.is_empty() && (stream.write_all(&output).await.is_err() || stream.flush().await.is_err()) {
                    self.hung_up();
                    return None;
                }
                if let Some(Reached { backend, user, to }) = reached {
                    return Some(Entered { backend, early: input.to_vec(), user, to });
                }
                if !goes_on {
                    close(stream, LINGER).await;
                    return None;
                }
                if is_all_read {
                    break;
                }
            }
        }
    }

    /// The client is gone, or late: an exchange that was under way has failed.
    pub fn hung_up(&mut self) {
        if let Some(failure) = self.server.as_mut().and_then(|server| server.hang_up()) {
            self.goes_on(Event::Failed(failure));
        }
    }

    /// Answers the core's question. A password costs a key derivation, which is done beside the threads that relay.
    async fn answer(&mut self) -> Option<Event> {
        let server = self.server.as_mut()?;
        let mechanism = server.session.mechanism().map_or("", |mechanism| mechanism.name);
        let question = server.question()?;
        match question {
            Question::Canonicalize { authzid: false, name, .. } | Question::Token { user: Some(name), .. } => {
                self.claimed = Some(name.chars().take(SHOWN).collect());
            }
            _ => {}
        }
        let Some(mut answer) = wiping_stack(|| self.live.accounts.answer(question, mechanism)) else {
            warn!(peer = self.peer.text, "the core asks what the gateway cannot answer");
            return None;
        };
        if let Answer::Token(TokenVerdict::Accepted { authcid }) = &answer {
            // Judged before the client is told anything: else it would learn that the token is somebody's.
            if backend_of(&self.live.settings.access, authcid).is_none() {
                warn!(peer = self.peer.text, user = ?authcid, mechanism, "a good token, and no rule lets this user in");
                answer = Answer::Token(tokens::refused());
            }
        }
        if !(derives(mechanism) && matches!(question, Question::Credentials { .. })) {
            return Some(self.live.with_world(|world| server.answer(answer, world)));
        }
        let permit = self.seat.gate.derivations.clone().acquire_owned().await.ok()?;
        if self.is_shut_out() {
            self.turn_away();
            return None;
        }
        let (mut server, live) = (self.server.take()?, self.live.clone());
        let derived = tokio::task::spawn_blocking(move || {
            let event = live.with_world(|world| server.answer(answer, world));
            // Given back when the work is done, even if nobody waits for it any more.
            drop(permit);
            (server, event)
        });
        let (server, event) = derived.await.ok()?;
        self.server = Some(server);
        Some(event)
    }

    /// Whether its address has failed too often meanwhile: tries on many connections at once count together.
    fn is_shut_out(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.is_shut_out(&self.live.settings.limits, Instant::now()))
    }

    fn turn_away(&self) {
        self.seat.gate.turn_away(&self.peer.text, TurnedAway::TooManyFailures);
    }

    /// The client is who it says: may it reach a backend, and can that be reached? Else: whether the dialogue goes on.
    async fn reach(&mut self) -> Result<Reached, bool> {
        let server = self.server.as_mut().ok_or(false)?;
        let user: Box<str> = server.identity().authcid.as_deref().unwrap_or_default().into();
        let mechanism = server.session.mechanism().map_or("", |mechanism| mechanism.name);
        let settings = &self.live.settings;
        let Some(name) = backend_of(&settings.access, &user) else {
            // In all that the client can see, this is a wrong password.
            server.refuse(Word::Unauthorized);
            warn!(peer = self.peer.text, ?user, mechanism, "authenticated, and no rule lets this user in");
            return Err(self.failed());
        };
        let to: Box<str> = name.into();
        let address = settings.backends.get(name).unwrap_or(&settings.backend);
        // Boxed: a stranger's connection does not pay for it.
        match Box::pin(connect(address, &self.live)).await {
            Ok(backend) => {
                server.accept();
                // Before the client hears of it: its next connection may be here at once.
                self.seat.authenticated();
                self.place = None;
                count(&self.seat.gate.gauges.logins);
                info!(peer = self.peer.text, ?user, mechanism, backend = name, "authenticated");
                Ok(Reached { backend, user, to })
            }
            Err(error) => {
                server.refuse(Word::InternalError);
                count(&self.seat.gate.gauges.backend_errors);
                warn!(peer = self.peer.text, ?user, backend = %address, %error, "the backend cannot be reached");
                Err(false)
            }
        }
    }

    /// Counts and logs an event; false if the connection is to be closed.
    fn goes_on(&mut self, event: Event) -> bool {
        let peer = self.peer.text.as_str();
        match event {
            Event::Failed(failure) => {
                self.log_failure(&failure);
                self.failed()
            }
            Event::Unavailable(failure) => {
                error!(peer, mechanism = failure.mechanism, error = %failure.error, "nobody can be authenticated now");
                false
            }
            Event::Command(_) => {
                debug!(peer, "a command before authentication");
                false
            }
            Event::Broken(fault) => {
                count(&self.seat.gate.gauges.broken);
                debug!(peer, error = %fault, "no AUTH");
                false
            }
            _ => false,
        }
    }

    fn log_failure(&mut self, failure: &Failure) {
        // Printed as a literal: whatever is no plain character is escaped.
        let user: Option<DebugValue<String>> = self.claimed.take().map(debug);
        warn!(peer = self.peer.text, user, mechanism = failure.mechanism, error = %failure.error, "not authenticated");
    }

    /// Counts a failure; whether the client may try again.
    fn failed(&mut self) -> bool {
        count(&self.seat.gate.gauges.failures);
        self.claimed = None;
        if let Some(place) = &self.place {
            place.failed(&self.live.settings.limits, Instant::now());
        }
        self.failures += 1;
        self.failures < self.live.settings.limits.failures_per_connection
    }
}

//! One connection: AUTH until it has succeeded, then the relay.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authen_sasl_rust::authline::reply::Word;
use authen_sasl_rust::authline::server::{Event, Server};
use authen_sasl_rust::config::ChannelBinding;
use authen_sasl_rust::contract::{Abilities, Question};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};
use zeroize::Zeroize;

use crate::access::backend_of;
use crate::accounts::{derives, ITERATIONS};
use crate::backend::{connect, set_options, Backend};
use crate::gate::{Gate, Live};
use crate::gauges::{count, Held};
use crate::relay::{close, Stream};
use crate::throttle::{Place, TurnedAway};
use crate::tls;

/// How long a client that was refused may take to read it.
const LINGER: Duration = Duration::from_secs(1);

/// Who is at the other end, for limits and logs.
#[derive(Clone)]
pub struct Peer {
    pub address: Option<IpAddr>,
    pub text: String,
}

/// What the transport gives already.
#[derive(Default)]
struct Security {
    strength: u32,
    binding: Option<ChannelBinding>,
    /// Whom it has proved the client to be.
    user: Option<String>,
}

/// A client that is in.
struct Entered {
    backend: Backend,
    /// What it has sent behind its authentication.
    early: Vec<u8>,
}

/// Serves a client on TCP, with or without TLS.
pub async fn serve_tcp(gate: &Gate, stream: TcpStream, address: SocketAddr, with_tls: bool) {
    let live = gate.live();
    let peer = Peer { address: Some(address.ip()), text: address.to_string() };
    let Some(place) = admit(gate, &live, &peer) else { return };
    set_options(&stream);
    let deadline = Instant::now() + live.settings.limits.login();
    if !with_tls {
        return serve(gate, live, stream, Security::default(), peer, place, deadline).await;
    }
    // Boxed, as what is more: a connection pays for what it has, not for what another kind would.
    if let Some((stream, security)) = Box::pin(shake(gate, &live, stream, &peer, deadline)).await {
        Box::pin(serve(gate, live, stream, security, peer, place, deadline)).await;
    }
}

/// The TLS handshake, and what SASL wants to know of it.
async fn shake(
    gate: &Gate,
    live: &Live,
    stream: TcpStream,
    peer: &Peer,
    deadline: Instant,
) -> Option<(Box<TlsStream<TcpStream>>, Security)> {
    let Some(acceptor) = &live.tls else {
        warn!(peer = peer.text, "there is no certificate any more: the connection is closed");
        return None;
    };
    let _held = Held::new(&gate.gauges.waiting);
    match timeout_at(deadline.into(), acceptor.accept(stream)).await {
        Err(_) => {
            count(&gate.gauges.late);
            debug!(peer = peer.text, "no TLS handshake in time");
            None
        }
        Ok(Err(error)) => {
            count(&gate.gauges.broken);
            debug!(peer = peer.text, %error, "the TLS handshake has failed");
            None
        }
        Ok(Ok(stream)) => {
            let connection = stream.get_ref().1;
            let security = Security {
                strength: tls::strength(connection),
                binding: tls::binding(connection),
                user: tls::user(connection, live.settings.tls.client_name),
            };
            Some((Box::new(stream), security))
        }
    }
}

/// Serves a client on a Unix socket: nobody listens there.
pub async fn serve_unix(gate: &Gate, stream: UnixStream) {
    let live = gate.live();
    let uid = stream.peer_cred().map(|credentials| credentials.uid().to_string()).ok();
    let user = uid.as_ref().and_then(|uid| live.settings.unix_users.get(uid).cloned());
    let peer = Peer { address: None, text: uid.map_or("unix".into(), |uid| format!("uid {uid}")) };
    let Some(place) = admit(gate, &live, &peer) else { return };
    let deadline = Instant::now() + live.settings.limits.login();
    serve(gate, live, stream, Security { strength: 1, binding: None, user }, peer, place, deadline).await;
}

/// A place for the connection, unless its address has had too many. `None` inside is a client without an address.
fn admit(gate: &Gate, live: &Live, peer: &Peer) -> Option<Option<Place>> {
    let Some(address) = peer.address else { return Some(None) };
    match gate.throttle.enter(address, &live.settings.limits, Instant::now()) {
        Ok(place) => Some(Some(place)),
        Err(reason) => {
            turn_away(gate, peer, reason);
            None
        }
    }
}

fn turn_away(gate: &Gate, peer: &Peer, reason: TurnedAway) {
    count(&gate.gauges.turned_away);
    match reason {
        TurnedAway::TooManyFailures => warn!(peer = peer.text, "turned away: too many failures"),
        TurnedAway::TooManyWaiting => warn!(peer = peer.text, "turned away: too many waiting connections"),
    }
}

async fn serve<S: Stream>(
    gate: &Gate,
    live: Arc<Live>,
    mut stream: S,
    security: Security,
    peer: Peer,
    place: Option<Place>,
    deadline: Instant,
) {
    // Boxed, and gone when the relay begins: an idle connection pays for its relay alone.
    let entered = Box::pin(enter(gate, live, &mut stream, security, peer, place, deadline)).await;
    let Some(Entered { mut backend, early }) = entered else { return };
    let _held = Held::new(&gate.gauges.relaying);
    let counters = (&gate.gauges.bytes_in, &gate.gauges.bytes_out);
    if let Err(error) = backend.relay(&mut stream, early, counters).await {
        debug!(%error, "a relayed connection was broken");
    }
}

async fn enter<S: Stream>(
    gate: &Gate,
    live: Arc<Live>,
    stream: &mut S,
    security: Security,
    peer: Peer,
    place: Option<Place>,
    deadline: Instant,
) -> Option<Entered> {
    let _held = Held::new(&gate.gauges.waiting);
    let mut login = Login::new(gate, live, security, &peer, place.as_ref());
    match timeout_at(deadline.into(), login.run(stream)).await {
        Ok(entered) => entered,
        Err(_) => {
            count(&gate.gauges.late);
            debug!(peer = peer.text, "not authenticated in time");
            login.hung_up();
            None
        }
    }
}

/// The dialogue before the relay.
struct Login<'g> {
    gate: &'g Gate,
    live: Arc<Live>,
    peer: &'g Peer,
    place: Option<&'g Place>,
    /// `None` while another thread has it.
    server: Option<Box<Server>>,
    failures: u32,
}

impl<'g> Login<'g> {
    fn new(gate: &'g Gate, live: Arc<Live>, security: Security, peer: &'g Peer, place: Option<&'g Place>) -> Self {
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
            config.secflags = authen_sasl_rust::contract::SecurityFlags::NOPLAINTEXT;
        }
        if let Err(error) = config.set("external_id", security.user.as_deref()) {
            debug!(peer = peer.text, %error, "no identity for EXTERNAL");
        }
        if let Some(binding) = security.binding {
            if let Err(error) = config.set_binding(binding) {
                debug!(peer = peer.text, %error, "no channel binding");
            }
        }
        Login { gate, live, peer, place, server: Some(server), failures: 0 }
    }

    /// Until the client is in, or the connection of no more use.
    async fn run<S: Stream>(&mut self, stream: &mut S) -> Option<Entered> {
        let mut buffer = vec![0; 4096];
        let entered = self.talk(stream, &mut buffer).await;
        buffer.zeroize();
        entered
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
                    turn_away(self.gate, self.peer, TurnedAway::TooManyFailures);
                    close(stream, LINGER).await;
                    return None;
                }
                let server = self.server.as_mut()?;
                let mut event = self.live.with_world(|world| server.receive(&mut input, world));
                let reads = matches!(event, Event::Read);
                while matches!(event, Event::Ask) {
                    event = self.answer().await?;
                }
                let mut backend = None;
                let goes_on = match event {
                    Event::Read => true,
                    Event::Authenticated => {
                        backend = self.reach().await;
                        backend.is_some()
                    }
                    event => self.goes_on(event),
                };
                let server = self.server.as_mut()?;
                let output = server.output();
                if !output.is_empty() && (stream.write_all(&output).await.is_err() || stream.flush().await.is_err()) {
                    return None;
                }
                if let Some(backend) = backend {
                    return Some(Entered { backend, early: input.to_vec() });
                }
                if !goes_on {
                    close(stream, LINGER).await;
                    return None;
                }
                if reads {
                    break;
                }
            }
        }
    }

    /// The client is gone, or late: an exchange that was under way has failed.
    fn hung_up(&mut self) {
        if let Some(failure) = self.server.as_mut().and_then(|server| server.hang_up()) {
            self.goes_on(Event::Failed(failure));
        }
    }

    /// Answers the core's question. A password costs a key derivation, which is done beside the threads that relay.
    async fn answer(&mut self) -> Option<Event> {
        let server = self.server.as_mut()?;
        let mechanism = server.session.mechanism().map_or("", |mechanism| mechanism.name);
        let question = server.question()?;
        let Some(answer) = self.live.accounts.answer(question, mechanism) else {
            warn!(peer = self.peer.text, "the core asks what the gateway cannot answer");
            return None;
        };
        if !(derives(mechanism) && matches!(question, Question::Credentials { .. })) {
            return Some(self.live.with_world(|world| server.answer(answer, world)));
        }
        let permit = self.gate.derivations.clone().acquire_owned().await.ok()?;
        if self.is_shut_out() {
            turn_away(self.gate, self.peer, TurnedAway::TooManyFailures);
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
        self.place.is_some_and(|place| place.is_shut_out(&self.live.settings.limits, Instant::now()))
    }

    /// The client is who it says: may it reach a backend, and can that be reached?
    async fn reach(&mut self) -> Option<Backend> {
        let server = self.server.as_mut()?;
        let user = server.identity().authcid.as_deref().unwrap_or_default().to_owned();
        let mechanism = server.session.mechanism().map_or("", |mechanism| mechanism.name);
        let settings = &self.live.settings;
        let Some(name) = backend_of(&settings.access, &user) else {
            server.refuse(Word::Unauthorized);
            count(&self.gate.gauges.failures);
            warn!(peer = self.peer.text, ?user, mechanism, "authenticated, and no rule lets this user in");
            return None;
        };
        let address = settings.backends.get(name).unwrap_or(&settings.backend);
        let connected = match timeout(settings.limits.backend(), connect(address, &self.live)).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".into()),
        };
        match connected {
            Ok(backend) => {
                server.accept();
                count(&self.gate.gauges.logins);
                info!(peer = self.peer.text, ?user, mechanism, backend = name, "authenticated");
                Some(backend)
            }
            Err(error) => {
                server.refuse(Word::InternalError);
                count(&self.gate.gauges.backend_errors);
                warn!(backend = %address, error, "the backend cannot be reached");
                None
            }
        }
    }

    /// Counts and logs an event; false if the connection is to be closed.
    fn goes_on(&mut self, event: Event) -> bool {
        let peer = self.peer.text.as_str();
        match event {
            Event::Failed(failure) => {
                count(&self.gate.gauges.failures);
                warn!(peer, error = %failure, "not authenticated");
                if let Some(place) = self.place {
                    place.failed(Instant::now());
                }
                self.failures += 1;
                self.failures < self.live.settings.limits.failures_per_connection
            }
            Event::Command(_) => {
                debug!(peer, "a command before authentication");
                false
            }
            Event::Broken(fault) => {
                count(&self.gate.gauges.broken);
                debug!(peer, error = %fault, "no AUTH");
                false
            }
            _ => false,
        }
    }
}

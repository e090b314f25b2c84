//! One connection: the TLS handshake, the login, then the relay.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use crate::backend::{connect, set_options};
use crate::end_reason::EndReason;
use crate::gate::{ConnectionSlot, LiveConfig};
use crate::login::{LoggedIn, Login, TransportIdentity, TransportSecurity};
use crate::metrics::{count, GaugeGuard};
use crate::network::any_contains;
use crate::peer::{uid_of, Peer};
use crate::proxy_header;
use crate::relay::{close, Counters, Stream};
use crate::sessions::{About, Proof, Session};
use crate::settings::Role;
use crate::throttle::AddressSlot;
use crate::tls;

/// How long both sides of an ended session may take to read what was sent to them.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a client that a proxy has connected: its header comes first.
pub async fn serve_proxied(
    slot: ConnectionSlot,
    mut stream: TcpStream,
    proxy: SocketAddr,
    with_tls: bool,
    deadline: Instant,
) {
    if let Some(client) = proxied(&slot, &mut stream, &Peer::tcp(proxy), deadline).await {
        serve_tcp(slot, stream, client.unwrap_or(proxy), with_tls, deadline).await;
    }
}

/// Serves a client on TCP, with or without TLS.
pub async fn serve_tcp(
    slot: ConnectionSlot,
    stream: TcpStream,
    address: SocketAddr,
    with_tls: bool,
    deadline: Instant,
) {
    let live = slot.gate.live();
    let peer = Peer::tcp(address);
    let Some(address_slot) = admit(&slot, &live, &peer) else { return };
    set_options(&stream);
    if !with_tls {
        return serve(slot, live, stream, TransportSecurity::default(), peer, address_slot, deadline).await;
    }
    // Boxed, so that a connection without TLS does not take the memory of one with TLS.
    if let Some((stream, security)) = Box::pin(handshake(&slot, &live, stream, &peer, deadline)).await {
        Box::pin(serve(slot, live, stream, security, peer, address_slot, deadline)).await;
    }
}

/// The address of a proxy's client, `Some(None)` if the proxy names none. `None` without a header: the connection must end, because a
/// proxy that forgets it would hide all clients behind its own address.
async fn proxied(
    slot: &ConnectionSlot,
    stream: &mut TcpStream,
    proxy: &Peer,
    deadline: Instant,
) -> Option<Option<SocketAddr>> {
    match timeout_at(deadline.into(), proxy_header::read(stream)).await {
        Ok(Ok(client)) => Some(client),
        Ok(Err(error)) => {
            count(&slot.gate.metrics.broken);
            debug!(peer = proxy.text, %error, "no client address from a proxy");
            None
        }
        Err(_) => {
            count(&slot.gate.metrics.late);
            debug!(peer = proxy.text, "PROXY protocol: header timed out");
            None
        }
    }
}

/// The TLS handshake, and the properties of TLS that SASL needs.
async fn handshake(
    slot: &ConnectionSlot,
    live: &LiveConfig,
    stream: TcpStream,
    peer: &Peer,
    deadline: Instant,
) -> Option<(Box<TlsStream<TcpStream>>, TransportSecurity)> {
    let Some(acceptor) = &live.tls else {
        warn!(peer = peer.text, "no certificate is configured any more; closing the connection");
        return None;
    };
    match timeout_at(deadline.into(), acceptor.accept(stream)).await {
        Err(_) => {
            count(&slot.gate.metrics.late);
            debug!(peer = peer.text, "TLS handshake timed out");
            None
        }
        Ok(Err(error)) => {
            count(&slot.gate.metrics.broken);
            debug!(peer = peer.text, %error, "TLS handshake failed");
            None
        }
        Ok(Ok(stream)) => {
            let connection = stream.get_ref().1;
            let security = TransportSecurity {
                strength: tls::strength(connection),
                binding: tls::binding(connection),
                identity: connection.peer_certificates().is_some().then(|| {
                    let user = tls::user(connection, live.settings.tls.client_name);
                    Box::new(TransportIdentity { user, user_id: None, certificates: tls::certificates(connection) })
                }),
            };
            Some((Box::new(stream), security))
        }
    }
}

/// Serves a client on a Unix socket. It counts as a secure transport, since it cannot be intercepted.
pub async fn serve_unix(slot: ConnectionSlot, stream: UnixStream) {
    let live = slot.gate.live();
    let uid = uid_of(&stream);
    let user = uid.and_then(|uid| live.settings.unix_users.get(&uid.to_string()).cloned());
    let peer = Peer::unix(&stream);
    let deadline = Instant::now() + live.settings.limits.login();
    let identity = TransportIdentity { user, user_id: uid, ..TransportIdentity::default() };
    let security = TransportSecurity { strength: 1, binding: None, identity: Some(identity.into()) };
    serve(slot, live, stream, security, peer, None, deadline).await;
}

/// Takes a slot of the client's address, or turns the client away. `Some(None)` if the client has no address, or need not
/// authenticate, or is exempt.
fn admit(slot: &ConnectionSlot, live: &LiveConfig, peer: &Peer) -> Option<Option<AddressSlot>> {
    let address = match (live.settings.role, peer.address) {
        (Role::Gate, Some(address)) if !any_contains(&live.settings.limits.exempt, address) => address,
        _ => return Some(None),
    };
    let (gate, limits) = (&slot.gate, &live.settings.limits);
    match gate.throttle.enter(address, limits, gate.free(), Instant::now()) {
        Ok(address_slot) => Some(Some(address_slot)),
        Err(reason) => {
            gate.turn_away(&peer.text, reason);
            None
        }
    }
}

async fn serve<S: Stream>(
    mut slot: ConnectionSlot,
    live: Arc<LiveConfig>,
    mut stream: S,
    security: TransportSecurity,
    peer: Peer,
    address_slot: Option<AddressSlot>,
    deadline: Instant,
) {
    let half_closed = live.settings.limits.half_closed();
    // Boxed, and freed before the relay begins: a connection takes the memory of its login or of its relay, not of both.
    let login: Pin<Box<dyn Future<Output = Option<LoggedIn>> + Send + '_>> = match live.settings.role {
        Role::Gate => Box::pin(log_in(&mut slot, live, &mut stream, security, &peer, address_slot, deadline)),
        Role::Connect => Box::pin(pass(&mut slot, live, &peer)),
    };
    let Some(LoggedIn { mut backend, early, session }) = login.await else { return };
    // The session has a copy.
    drop(peer);
    let metrics = &slot.gate.metrics;
    let gauge = GaugeGuard::new(&metrics.relaying);
    let counters = Counters { own: &session.carried, all: &metrics.bytes };
    let result = session.run(Box::pin(backend.relay(&mut stream, early, counters, half_closed))).await;
    let (reason, error) = match &result {
        Ok(Ok(())) => (EndReason::Closed, None),
        Ok(Err(error)) => (EndReason::Failed, Some(error)),
        Err(reason) => (*reason, None),
    };
    log_end(&session, reason, error);
    count(&metrics.sessions_ended[reason as usize]);
    drop(gauge);
    slot.close_session();
    if result.is_err() {
        // Neither side expects it, and a client that does not read must not delay it.
        Box::pin(timeout(2 * LINGER, async { tokio::join!(close(&mut stream, LINGER), backend.close(LINGER)) }))
            .await
            .ok();
    }
}

fn log_end(session: &Session, reason: EndReason, error: Option<&io::Error>) {
    let Session { user, about, begin, carried, .. } = session;
    info!(
        peer = about.peer.text,
        user = (!user.is_empty()).then(|| tracing::field::debug(user)),
        backend = &*about.backend,
        bytes_in = carried.up.load(Ordering::Relaxed),
        bytes_out = carried.down.load(Ordering::Relaxed),
        seconds = begin.elapsed().as_secs(),
        reason = reason.text(),
        error = error.map(tracing::field::display),
        "ended"
    );
}

async fn log_in<S: Stream>(
    slot: &mut ConnectionSlot,
    live: Arc<LiveConfig>,
    stream: &mut S,
    security: TransportSecurity,
    peer: &Peer,
    address_slot: Option<AddressSlot>,
    deadline: Instant,
) -> Option<LoggedIn> {
    let gate = slot.gate.clone();
    let mut login = Login::new(slot, live, security, peer, address_slot);
    match timeout_at(deadline.into(), login.run(stream)).await {
        Ok(logged_in) => logged_in,
        Err(_) => {
            count(&gate.metrics.late);
            debug!(peer = peer.text, "login timed out");
            login.disconnected();
            None
        }
    }
}

/// Connects a client of `sasl-gate connect`. If that fails, the client sees the end of its connection: its protocol has no word
/// for it.
async fn pass(slot: &mut ConnectionSlot, live: Arc<LiveConfig>, peer: &Peer) -> Option<LoggedIn> {
    let address = live.settings.backend.as_ref()?;
    match connect(address, &live, &slot.gate.derivations).await {
        Ok(backend) => {
            slot.authenticated();
            info!(peer = peer.text, backend = %address, "connected");
            let about = About {
                mechanism: "",
                peer: peer.clone(),
                backend: address.to_string().into(),
                proof: Proof::Nothing,
                certificates: Box::default(),
            };
            Some(LoggedIn { backend, early: Vec::new(), session: slot.open_session("", 0, about)? })
        }
        Err(error) => {
            error.count(&slot.gate.metrics);
            warn!(peer = peer.text, backend = %address, %error, "cannot connect to the backend");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;
    use crate::settings::Settings;
    use tokio::net::TcpListener;

    /// An idle relay is this future, its boxed relay and its session. What only the login needs must not be in it.
    #[tokio::test]
    async fn a_connection_takes_little_memory() {
        let unix_users = [("0".to_owned(), "fred".to_owned())].into_iter().collect();
        let settings = Settings { mechanisms: "EXTERNAL".into(), unix_users, ..Settings::default() };
        let gate = Arc::new(Gate::new(LiveConfig::load(settings).unwrap(), 1, Arc::default()));
        let slot = ConnectionSlot::take(&gate).ok().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let size = size_of_val(&serve_tcp(slot, stream, address, false, Instant::now()));
        assert!(size <= 904, "{size}");
    }
}

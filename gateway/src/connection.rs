//! One connection: the TLS handshake, the login, then the relay.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use crate::backend::{connect, set_options};
use crate::gate::{ConnectionSlot, LiveConfig};
use crate::login::{LoggedIn, Login, TransportSecurity};
use crate::metrics::{count, GaugeGuard};
use crate::network::any_contains;
use crate::peer::{uid_of, Peer};
use crate::proxy_header;
use crate::relay::Stream;
use crate::settings::Role;
use crate::throttle::AddressSlot;
use crate::tls;

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
                user: tls::user(connection, live.settings.tls.client_name),
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
    serve(slot, live, stream, TransportSecurity { strength: 1, binding: None, user }, peer, None, deadline).await;
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
    let Some(LoggedIn { mut backend, early, user, backend_name }) = login.await else { return };
    let metrics = &slot.gate.metrics;
    let (_gauge, begin) = (GaugeGuard::new(&metrics.relaying), Instant::now());
    let counters = (&metrics.bytes_in, &metrics.bytes_out);
    let (carried, result) = Box::pin(backend.relay(&mut stream, early, counters, half_closed)).await;
    info!(
        peer = peer.text,
        user = user.map(tracing::field::debug),
        backend = backend_name,
        bytes_in = carried.up,
        bytes_out = carried.down,
        seconds = begin.elapsed().as_secs(),
        error = result.err().map(tracing::field::display),
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
            Some(LoggedIn { backend, early: Vec::new(), user: None, backend_name: address.to_string().into() })
        }
        Err(error) => {
            error.count(&slot.gate.metrics);
            warn!(peer = peer.text, backend = %address, %error, "cannot connect to the backend");
            None
        }
    }
}

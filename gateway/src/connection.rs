//! One connection: AUTH until it has succeeded, then the relay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use crate::backend::set_options;
use crate::gate::{Live, Seat};
use crate::gauges::{count, Held};
use crate::login::{Entered, Login, Security};
use crate::peer::{uid_of, Peer};
use crate::relay::Stream;
use crate::throttle::Place;
use crate::tls;

/// Serves a client on TCP, with or without TLS.
pub async fn serve_tcp(seat: Seat, stream: TcpStream, address: SocketAddr, with_tls: bool) {
    let live = seat.gate.live();
    let peer = Peer::tcp(address);
    let Some(place) = admit(&seat, &live, &peer) else { return };
    set_options(&stream);
    let deadline = Instant::now() + live.settings.limits.login();
    if !with_tls {
        return serve(seat, live, stream, Security::default(), peer, place, deadline).await;
    }
    // Boxed, as what is more: a connection pays for what it has, not for what another kind would.
    if let Some((stream, security)) = Box::pin(shake(&seat, &live, stream, &peer, deadline)).await {
        Box::pin(serve(seat, live, stream, security, peer, place, deadline)).await;
    }
}

/// The TLS handshake, and what SASL wants to know of it.
async fn shake(
    seat: &Seat,
    live: &Live,
    stream: TcpStream,
    peer: &Peer,
    deadline: Instant,
) -> Option<(Box<TlsStream<TcpStream>>, Security)> {
    let Some(acceptor) = &live.tls else {
        warn!(peer = peer.text, "there is no certificate any more: the connection is closed");
        return None;
    };
    match timeout_at(deadline.into(), acceptor.accept(stream)).await {
        Err(_) => {
            count(&seat.gate.gauges.late);
            debug!(peer = peer.text, "no TLS handshake in time");
            None
        }
        Ok(Err(error)) => {
            count(&seat.gate.gauges.broken);
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
pub async fn serve_unix(seat: Seat, stream: UnixStream) {
    let live = seat.gate.live();
    let uid = uid_of(&stream);
    let user = uid.and_then(|uid| live.settings.unix_users.get(&uid.to_string()).cloned());
    let peer = Peer::unix(&stream);
    let deadline = Instant::now() + live.settings.limits.login();
    serve(seat, live, stream, Security { strength: 1, binding: None, user }, peer, None, deadline).await;
}

/// A place for the connection, unless its address has had too many. `None` inside is a client without an address.
fn admit(seat: &Seat, live: &Live, peer: &Peer) -> Option<Option<Place>> {
    let Some(address) = peer.address else { return Some(None) };
    let (gate, limits) = (&seat.gate, &live.settings.limits);
    match gate.throttle.enter(address, limits, gate.free(), Instant::now()) {
        Ok(place) => Some(Some(place)),
        Err(reason) => {
            gate.turn_away(&peer.text, reason);
            None
        }
    }
}

async fn serve<S: Stream>(
    mut seat: Seat,
    live: Arc<Live>,
    mut stream: S,
    security: Security,
    peer: Peer,
    place: Option<Place>,
    deadline: Instant,
) {
    let half_closed = live.settings.limits.half_closed();
    // Boxed, and gone when the relay begins: a connection pays for the dialogue or for its relay.
    let entered = Box::pin(enter(&mut seat, live, &mut stream, security, &peer, place, deadline)).await;
    let Some(Entered { mut backend, early, user, to }) = entered else { return };
    let gauges = &seat.gate.gauges;
    let (_held, begin) = (Held::new(&gauges.relaying), Instant::now());
    let counters = (&gauges.bytes_in, &gauges.bytes_out);
    let (carried, result) = Box::pin(backend.relay(&mut stream, early, counters, half_closed)).await;
    info!(
        peer = peer.text,
        user = ?user,
        backend = to,
        bytes_in = carried.up,
        bytes_out = carried.down,
        seconds = begin.elapsed().as_secs(),
        error = result.err().map(tracing::field::display),
        "ended"
    );
}

async fn enter<S: Stream>(
    seat: &mut Seat,
    live: Arc<Live>,
    stream: &mut S,
    security: Security,
    peer: &Peer,
    place: Option<Place>,
    deadline: Instant,
) -> Option<Entered> {
    let gate = seat.gate.clone();
    let mut login = Login::new(seat, live, security, peer, place);
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

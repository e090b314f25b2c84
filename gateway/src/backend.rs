//! The connection to the backend, and the gateway's login there if the backend demands one.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{lookup_host, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{timeout_at, Instant};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tracing::debug;

use crate::address::Address;
use crate::backend_login::{log_in, BackendSecurity, LoginFailure};
use crate::credentials::BackendLogin;
use crate::gate::LiveConfig;
use crate::metrics::{count, Metrics};
use crate::relay::{close, relay, Counters, Early, Stream};
use crate::tls;

enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to a backend, ready for its protocol.
pub struct Backend {
    connection: Connection,
    /// What the backend has sent after the gateway's login.
    early: Vec<u8>,
}

/// Why there is no connection to the backend.
#[derive(Debug)]
pub enum BackendError {
    Connect(io::Error),
    Login(LoginFailure),
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackendError::Connect(error) => write!(f, "{error}"),
            BackendError::Login(failure) => write!(f, "cannot log in: {failure}"),
        }
    }
}

impl BackendError {
    /// Counts it.
    pub fn count(&self, metrics: &Metrics) {
        count(match self {
            BackendError::Connect(_) => &metrics.backend_errors,
            BackendError::Login(_) => &metrics.backend_login_errors,
        });
    }
}

/// Connects, verifies the certificate of a `tls:` backend, and logs in if `backend_login` is set. If the name has several
/// addresses, they are tried in turn, each for an equal share of the remaining time.
pub async fn connect(
    address: &Address,
    live: &Arc<LiveConfig>,
    derivations: &Arc<Semaphore>,
) -> Result<Backend, BackendError> {
    let end = Instant::now() + live.settings.limits.backend();
    let mut connection = reach(address, live, end).await.map_err(BackendError::Connect)?;
    let early = match &live.settings.backend_login {
        None => Vec::new(),
        Some(login) => {
            let security = connection.security(address, live);
            timeout_at(end, connection.log_in(security, login, live, derivations))
                .await
                .unwrap_or_else(|_| Err(LoginFailure::Lost(late())))
                .map_err(BackendError::Login)?
        }
    };
    Ok(Backend { connection, early })
}

async fn reach(address: &Address, live: &LiveConfig, end: Instant) -> io::Result<Connection> {
    let (place, tls) = match address {
        Address::Unix(path) => return within(end, UnixStream::connect(path)).await.map(Connection::Unix),
        Address::Tcp(place) => (place, None),
        Address::Tls(place) => {
            let connector = live.backend_tls.as_ref().ok_or_else(|| io::Error::other("no backend_tls.ca"))?;
            let name = live.settings.backend_tls.name.as_deref().or(address.host()).unwrap_or_default();
            (place, Some((connector, ServerName::try_from(name.to_owned()).map_err(io::Error::other)?)))
        }
    };
    let places: Vec<_> = within(end, lookup_host(place)).await?.collect();
    first_of(&places, tls.as_ref(), end).await
}

async fn first_of(
    places: &[SocketAddr],
    tls: Option<&(&TlsConnector, ServerName<'static>)>,
    end: Instant,
) -> io::Result<Connection> {
    let mut failed = io::Error::other("the name has no address");
    for (place, left) in places.iter().zip((1..=places.len() as u32).rev()) {
        let now = Instant::now();
        match within(now + end.saturating_duration_since(now) / left, one(*place, tls)).await {
            Ok(backend) => return Ok(backend),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn one(place: SocketAddr, tls: Option<&(&TlsConnector, ServerName<'static>)>) -> io::Result<Connection> {
    let stream = TcpStream::connect(place).await?;
    set_options(&stream);
    match tls {
        None => Ok(Connection::Tcp(stream)),
        Some((connector, name)) => Ok(Connection::Tls(Box::new(connector.connect(name.clone(), stream).await?))),
    }
}

async fn within<T>(end: Instant, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout_at(end, doing).await.map_err(|_| late())?
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// Sends small messages at once, and notices a peer that has vanished.
pub fn set_options(stream: &TcpStream) {
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(120)).with_interval(Duration::from_secs(30));
    let kept = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    if let Err(error) = stream.set_nodelay(true).and(kept) {
        debug!(%error, "cannot set a socket option");
    }
}

impl Connection {
    fn security(&self, address: &Address, live: &LiveConfig) -> BackendSecurity {
        let security = BackendSecurity {
            host: address.host().map_or_else(|| live.settings.host.clone(), str::to_owned),
            ..BackendSecurity::default()
        };
        match self {
            Connection::Tcp(_) => security,
            Connection::Unix(_) => BackendSecurity { strength: 1, is_unix: true, ..security },
            Connection::Tls(stream) => {
                let connection = stream.get_ref().1;
                BackendSecurity {
                    strength: tls::strength(connection),
                    binding: tls::binding(connection),
                    certificate: live.settings.backend_tls.certificate.is_some(),
                    ..security
                }
            }
        }
    }

    async fn log_in(
        &mut self,
        security: BackendSecurity,
        login: &BackendLogin,
        live: &Arc<LiveConfig>,
        derivations: &Arc<Semaphore>,
    ) -> Result<Vec<u8>, LoginFailure> {
        match self {
            Connection::Tcp(stream) => log_in(stream, security, login, live, derivations).await,
            Connection::Unix(stream) => log_in(stream, security, login, live, derivations).await,
            Connection::Tls(stream) => log_in(stream.as_mut(), security, login, live, derivations).await,
        }
    }
}

impl Backend {
    /// Relays between this backend and a client, see [`relay`].
    pub async fn relay<C: Stream>(
        &mut self,
        client: &mut C,
        early: Vec<u8>,
        counters: Counters<'_>,
        half_closed: Duration,
    ) -> io::Result<()> {
        let early = Early { up: early, down: std::mem::take(&mut self.early) };
        match &mut self.connection {
            Connection::Tcp(backend) => relay(client, backend, early, counters, half_closed).await,
            Connection::Unix(backend) => relay(client, backend, early, counters, half_closed).await,
            Connection::Tls(backend) => relay(client, backend.as_mut(), early, counters, half_closed).await,
        }
    }

    /// Closes the connection, see [`close`].
    pub async fn close(&mut self, linger: Duration) {
        match &mut self.connection {
            Connection::Tcp(backend) => close(backend, linger).await,
            Connection::Unix(backend) => close(backend, linger).await,
            Connection::Tls(backend) => close(backend.as_mut(), linger).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        (listener, place)
    }

    /// An address that ignores connection attempts: its queue is full.
    async fn silent() -> (impl Drop, SocketAddr) {
        struct Held(#[allow(dead_code)] Vec<TcpStream>, #[allow(dead_code)] TcpListener);
        impl Drop for Held {
            fn drop(&mut self) {}
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let place = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(place)).await {
            held.push(stream);
        }
        (Held(held, listener), place)
    }

    #[tokio::test]
    async fn the_second_address_is_tried() {
        let (good, place) = listener().await;
        let refusing = listener().await.1;
        let (_held, silent) = silent().await;
        for places in [vec![place], vec![refusing, place], vec![silent, place], vec![silent, refusing, place]] {
            let begin = Instant::now();
            let (connected, _) = tokio::join!(
                first_of(&places, None, begin + Duration::from_secs(3)),
                tokio::time::timeout(Duration::from_secs(10), good.accept())
            );
            assert!(matches!(connected, Ok(Connection::Tcp(_))), "{places:?}");
            assert!(begin.elapsed() < Duration::from_secs(3), "{places:?}");
        }
        let end = Instant::now() + Duration::from_millis(200);
        let failed = first_of(&[refusing, silent], None, end).await.err().unwrap();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert!(first_of(&[], None, end).await.err().unwrap().to_string().contains("no address"));
    }
}

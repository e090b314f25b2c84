//! The server behind.

use std::io;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tracing::debug;

use crate::address::Address;
use crate::gate::Live;
use crate::relay::{relay, Stream};

/// The connection to it.
pub enum Backend {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects, and for a `tls:` address verifies who is there.
pub async fn connect(address: &Address, live: &Live) -> io::Result<Backend> {
    match address {
        Address::Unix(path) => UnixStream::connect(path).await.map(Backend::Unix),
        Address::Tcp(place) => tcp(place).await.map(Backend::Tcp),
        Address::Tls(place) => {
            let connector = live.backend_tls.as_ref().ok_or_else(|| io::Error::other("no backend_tls.ca"))?;
            let name = live.settings.backend_tls.name.as_deref().or(address.host()).unwrap_or_default();
            let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
            let stream = connector.connect(name, tcp(place).await?).await?;
            Ok(Backend::Tls(Box::new(stream)))
        }
    }
}

async fn tcp(place: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(place).await?;
    set_options(&stream);
    Ok(stream)
}

/// Small messages go at once; a peer that has vanished is noticed.
pub fn set_options(stream: &TcpStream) {
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(120)).with_interval(Duration::from_secs(30));
    let kept = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    if let Err(error) = stream.set_nodelay(true).and(kept) {
        debug!(%error, "a socket option could not be set");
    }
}

impl Backend {
    /// Relays between it and a client, see [`relay`].
    pub async fn relay<C: Stream>(
        &mut self,
        client: &mut C,
        early: Vec<u8>,
        counters: (&AtomicU64, &AtomicU64),
    ) -> io::Result<()> {
        match self {
            Backend::Tcp(backend) => relay(client, backend, early, counters).await,
            Backend::Unix(backend) => relay(client, backend, early, counters).await,
            Backend::Tls(backend) => relay(client, backend.as_mut(), early, counters).await,
        }
    }
}

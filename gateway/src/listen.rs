//! Listening sockets: for clients, and for metrics.

use std::collections::VecDeque;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{error, info};

use crate::address::{Address, HostPort};
use crate::connection::{serve_tcp, serve_unix};
use crate::gate::{ConnectionSlot, Gate};
use crate::metrics::count;
use crate::peer::Peer;
use crate::settings::Settings;
use crate::workers::Workers;

/// Connections that the system queues until they are accepted.
const BACKLOG: u32 = 4096;

/// How long to wait after a failed accept. Usually too many files are open, until some connections end.
const PAUSE: Duration = Duration::from_millis(100);

/// Maximum number of concurrent scrapers; usually there is one. Another one replaces the oldest, so that silent connections
/// cannot block the metrics.
const SCRAPERS: usize = 16;

/// A socket that clients connect to.
pub enum Socket {
    /// With TLS or without.
    Tcp(TcpListener, bool),
    Unix(UnixListener, PathBuf),
}

/// Opens all sockets, or none.
pub fn open(settings: &Settings) -> Result<Vec<Socket>, String> {
    settings.listen.iter().map(|address| open_one(address).map_err(|error| format!("{address}: {error}"))).collect()
}

fn open_one(address: &Address) -> std::io::Result<Socket> {
    let socket = match address {
        Address::Tcp(place) => Socket::Tcp(bind(place)?, false),
        Address::Tls(place) => Socket::Tcp(bind(place)?, true),
        Address::Unix(path) => {
            if is_stale(path) {
                std::fs::remove_file(path)?;
            }
            Socket::Unix(UnixListener::bind(path)?, path.clone())
        }
    };
    match &socket {
        Socket::Tcp(listener, with_tls) => {
            info!(address = %listener.local_addr()?, tls = with_tls, "listening");
        }
        Socket::Unix(_, path) => info!(address = %path.display(), "listening"),
    }
    Ok(socket)
}

/// Whether it is a stale socket, on which no process listens. Connecting to any other kind of file fails too; such a file is kept.
fn is_stale(path: &Path) -> bool {
    let refuses = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    std::fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err_and(refuses)
}

fn bind(place: &str) -> std::io::Result<TcpListener> {
    let mut last = None;
    for address in std::net::ToSocketAddrs::to_socket_addrs(place)? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("the name has no address")))
}

impl Socket {
    /// Accepts connections until `stopped`, then closes the socket.
    pub async fn accept(self, gate: Arc<Gate>, workers: Arc<Workers>, mut stopped: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&gate, &workers) => accepted,
                _ = stopped.changed() => break,
            };
            if let Err(error) = accepted {
                error!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
        if let Socket::Unix(_, path) = &self {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Accepts a connection and gives it to a worker. The stream must be registered with that worker's runtime.
    async fn next(&self, gate: &Arc<Gate>, workers: &Workers) -> std::io::Result<()> {
        match self {
            Socket::Tcp(listener, with_tls) => {
                let (stream, address) = listener.accept().await?;
                let Some(slot) = take_slot(gate, || Peer::tcp(address)) else { return Ok(()) };
                let (stream, with_tls) = (stream.into_std()?, *with_tls);
                workers.spawn(async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => serve_tcp(slot, stream, address, with_tls).await,
                        Err(error) => error!(%error, "cannot serve a connection"),
                    }
                });
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let Some(slot) = take_slot(gate, || Peer::unix(&stream)) else { return Ok(()) };
                let stream = stream.into_std()?;
                workers.spawn(async move {
                    match UnixStream::from_std(stream) {
                        Ok(stream) => serve_unix(slot, stream).await,
                        Err(error) => error!(%error, "cannot serve a connection"),
                    }
                });
            }
        }
        Ok(())
    }
}

fn take_slot(gate: &Arc<Gate>, peer: impl FnOnce() -> Peer) -> Option<ConnectionSlot> {
    count(&gate.metrics.accepted);
    ConnectionSlot::take(gate).map_err(|reason| gate.turn_away(&peer().text, reason)).ok()
}

/// Serves the metrics over HTTP, as far as a scraper needs it.
pub async fn serve_metrics(
    gate: Arc<Gate>,
    HostPort(address): HostPort,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let listener = bind(&address).map_err(|error| format!("metrics at {address}: {error}"))?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "metrics");
    }
    let mut scrapers: VecDeque<AbortHandle> = VecDeque::new();
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.changed() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let gate = gate.clone();
                    let scraper = tokio::spawn(async move {
                        // A scraper that is too slow or has disconnected tries again.
                        let _ = tokio::time::timeout(Duration::from_secs(5), answer(stream, &gate)).await;
                    });
                    scrapers.retain(|scraper| !scraper.is_finished());
                    if scrapers.len() == SCRAPERS {
                        scrapers.pop_front().inspect(AbortHandle::abort);
                    }
                    scrapers.push_back(scraper.abort_handle());
                }
                Err(error) => {
                    error!(%error, "cannot accept a scraper");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(mut stream: TcpStream, gate: &Gate) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 8192 {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            size => request.extend_from_slice(&buffer[..size]),
        }
    }
    let (status, body) = match request.starts_with(b"GET /metrics ") {
        true => ("200 OK", gate.metrics.text(gate.unauthenticated())),
        false => ("404 Not Found", "GET /metrics\n".into()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all([head, body].concat().as_bytes()).await?;
    stream.shutdown().await
}

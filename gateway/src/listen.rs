//! Sockets: those of the clients, and that of the scraper.

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

use crate::address::{Address, Place};
use crate::connection::{serve_tcp, serve_unix};
use crate::gate::{Gate, Seat};
use crate::gauges::count;
use crate::peer::Peer;
use crate::settings::Settings;
use crate::workers::Workers;

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 4096;

/// How long nobody is accepted after an error. Too many open files, mostly: connections that end make room.
const PAUSE: Duration = Duration::from_millis(100);

/// Scrapers at once: there is one, usually. One more takes the place of the one that is there longest: who says nothing
/// keeps nobody waiting.
const SCRAPERS: usize = 16;

/// A socket that clients connect to.
pub enum Socket {
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
            if is_left_over(path) {
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

/// Whether it is a socket from before, at which nobody listens. Any other file refuses connections too, and is not ours.
fn is_left_over(path: &Path) -> bool {
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
    /// Accepts until `stopped`; the socket is closed then.
    pub async fn accept(self, gate: Arc<Gate>, workers: Arc<Workers>, mut stopped: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&gate, &workers) => accepted,
                _ = stopped.changed() => break,
            };
            if let Err(error) = accepted {
                error!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
        if let Socket::Unix(_, path) = &self {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Accepts a connection and gives it to a worker, whose runtime it must belong to.
    async fn next(&self, gate: &Arc<Gate>, workers: &Workers) -> std::io::Result<()> {
        match self {
            Socket::Tcp(listener, with_tls) => {
                let (stream, address) = listener.accept().await?;
                let Some(seat) = seat(gate, || Peer::tcp(address)) else { return Ok(()) };
                let (stream, with_tls) = (stream.into_std()?, *with_tls);
                workers.spawn(async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => serve_tcp(seat, stream, address, with_tls).await,
                        Err(error) => error!(%error, "a connection cannot be served"),
                    }
                });
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let Some(seat) = seat(gate, || Peer::unix(&stream)) else { return Ok(()) };
                let stream = stream.into_std()?;
                workers.spawn(async move {
                    match UnixStream::from_std(stream) {
                        Ok(stream) => serve_unix(seat, stream).await,
                        Err(error) => error!(%error, "a connection cannot be served"),
                    }
                });
            }
        }
        Ok(())
    }
}

fn seat(gate: &Arc<Gate>, peer: impl FnOnce() -> Peer) -> Option<Seat> {
    count(&gate.gauges.accepted);
    Seat::take(gate).map_err(|reason| gate.turn_away(&peer().text, reason)).ok()
}

/// Serves the figures by as much HTTP as a scraper needs.
pub async fn serve_metrics(
    gate: Arc<Gate>,
    Place(place): Place,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let listener = bind(&place).map_err(|error| format!("metrics at {place}: {error}"))?;
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
                        // A scraper that is slow or gone asks again.
                        let _ = tokio::time::timeout(Duration::from_secs(5), answer(stream, &gate)).await;
                    });
                    scrapers.retain(|scraper| !scraper.is_finished());
                    if scrapers.len() == SCRAPERS {
                        scrapers.pop_front().inspect(AbortHandle::abort);
                    }
                    scrapers.push_back(scraper.abort_handle());
                }
                Err(error) => {
                    error!(%error, "a scraper cannot be accepted");
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
        true => ("200 OK", gate.gauges.text(gate.strangers())),
        false => ("404 Not Found", "GET /metrics\n".into()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all([head, body].concat().as_bytes()).await?;
    stream.shutdown().await
}

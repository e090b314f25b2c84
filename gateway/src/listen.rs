//! Listening sockets for clients.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tracing::{error, info};

use crate::address::Address;
use crate::connection::{serve_proxied, serve_tcp, serve_unix};
use crate::files::is_stale_socket;
use crate::gate::{ConnectionSlot, Gate};
use crate::handed::Handed;
use crate::metrics::count;
use crate::network::any_contains;
use crate::peer::Peer;
use crate::settings::Settings;
use crate::workers::Workers;

/// Connections that the system queues until they are accepted.
const BACKLOG: u32 = 4096;

/// How long to wait after a failed accept. Usually too many files are open, until some connections end.
pub const PAUSE: Duration = Duration::from_millis(100);

/// A socket that clients connect to.
pub enum Socket {
    /// With TLS or without.
    Tcp(TcpListener, bool),
    Unix(UnixListener, UnixPath),
}

/// The path of a Unix socket. Its file is removed when this is dropped, unless another process has made the socket, or uses it now.
pub struct UnixPath {
    path: PathBuf,
    is_ours: bool,
    handed_over: watch::Receiver<bool>,
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        if self.is_ours && !*self.handed_over.borrow() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens all sockets, or none. Those that were handed to this process are used.
pub fn open(settings: &Settings, handed: &Handed, handed_over: &watch::Receiver<bool>) -> Result<Vec<Socket>, String> {
    let open = |address: &Address| {
        open_one(address, handed, handed_over.clone()).map_err(|error| format!("{address}: {error}"))
    };
    settings.listen.iter().map(open).collect()
}

fn open_one(address: &Address, handed: &Handed, handed_over: watch::Receiver<bool>) -> std::io::Result<Socket> {
    let socket = match address {
        Address::Tcp(place) => Socket::Tcp(bind(place, handed)?, false),
        Address::Tls(place) => Socket::Tcp(bind(place, handed)?, true),
        Address::Unix(path) => {
            let (listener, is_ours) = match handed.unix(path) {
                Some(listener) => {
                    listener.set_nonblocking(true)?;
                    (UnixListener::from_std(listener)?, false)
                }
                None => {
                    if is_stale_socket(path) {
                        std::fs::remove_file(path)?;
                    }
                    (UnixListener::bind(path)?, true)
                }
            };
            Socket::Unix(listener, UnixPath { path: path.clone(), is_ours, handed_over })
        }
    };
    match &socket {
        Socket::Tcp(listener, with_tls) => {
            info!(address = %listener.local_addr()?, tls = with_tls, "listening");
        }
        Socket::Unix(_, unix) => info!(address = %unix.path.display(), "listening"),
    }
    Ok(socket)
}

/// The socket with that address that was handed to this process, or a new one.
pub fn bind(place: &str, handed: &Handed) -> std::io::Result<TcpListener> {
    let addresses: Vec<_> = std::net::ToSocketAddrs::to_socket_addrs(place)?.collect();
    if let Some(listener) = handed.tcp(&addresses) {
        listener.set_nonblocking(true)?;
        return TcpListener::from_std(listener);
    }
    let mut last = None;
    for address in addresses {
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
    }

    /// The same socket again, for a successor.
    pub fn duplicate(&self) -> std::io::Result<OwnedFd> {
        match self {
            Socket::Tcp(listener, _) => listener.as_fd().try_clone_to_owned(),
            Socket::Unix(listener, _) => listener.as_fd().try_clone_to_owned(),
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
                    let live = slot.gate.live();
                    let is_proxy = any_contains(&live.settings.proxies, address.ip());
                    let deadline = Instant::now() + live.settings.limits.login();
                    drop(live);
                    match TcpStream::from_std(stream) {
                        // Boxed, so that other connections do not take the memory for it.
                        Ok(stream) if is_proxy => {
                            Box::pin(serve_proxied(slot, stream, address, with_tls, deadline)).await
                        }
                        Ok(stream) => serve_tcp(slot, stream, address, with_tls, deadline).await,
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

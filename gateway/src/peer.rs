//! Who is at the other end of a connection, for limits and logs.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UnixStream;

#[derive(Debug, Clone)]
pub struct Peer {
    /// `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// For the log.
    pub text: Box<str>,
}

impl Peer {
    pub fn tcp(address: SocketAddr) -> Self {
        Peer { address: Some(address.ip()), text: address.to_string().into() }
    }

    pub fn unix(stream: &UnixStream) -> Self {
        Peer { address: None, text: uid_of(stream).map_or("unix".into(), |uid| format!("uid {uid}").into()) }
    }
}

/// The account of the process at the other end of a Unix socket.
pub fn uid_of(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().map(|credentials| credentials.uid()).ok()
}

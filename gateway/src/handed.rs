//! Listening sockets that another process has handed to this one: systemd (LISTEN_FDS), or the gateway that it replaces. And how a
//! gateway hands its sockets to its successor.
//!
//! A successor is the same program with the same command line. It gets the sockets over its standard input, and answers with a byte
//! as soon as it accepts connections. Until then, and if it fails, the old process goes on.

use std::io::{Error, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use rustix::io::{fcntl_setfd, FdFlags};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use tokio::io::AsyncReadExt;

/// Set in the environment of a successor.
const SUCCESSOR: &str = "SASL_GATE_SUCCESSOR";

/// How many sockets one message can carry (SCM_MAX_FD of Linux).
const MAX_SOCKETS: usize = 253;

/// What goes with the sockets, and the answer: a message without any bytes would look like the end.
const SIGN: [u8; 1] = [b'.'];

/// The sockets that were handed to this process and have not been taken.
pub struct Handed {
    sockets: Mutex<Vec<OwnedFd>>,
    /// The process that this one replaces.
    predecessor: Option<UnixStream>,
}

impl Handed {
    /// Takes what the environment announces. Call it before any thread is started: it changes the environment.
    pub fn take() -> Result<Self, String> {
        let cannot = |error| format!("cannot take over the sockets: {error}");
        if std::env::var_os(SUCCESSOR).is_some() {
            std::env::remove_var(SUCCESSOR);
            let predecessor = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(cannot)?);
            let sockets = Mutex::new(receive(&predecessor).map_err(cannot)?);
            return Ok(Handed { sockets, predecessor: Some(predecessor) });
        }
        Ok(Handed { sockets: Mutex::new(of_systemd().map_err(cannot)?), predecessor: None })
    }

    /// Takes the TCP socket with one of these addresses, if there is one.
    pub fn tcp(&self, addresses: &[SocketAddr]) -> Option<TcpListener> {
        let is_it = |name: &socket2::SockAddr| name.as_socket().is_some_and(|name| addresses.contains(&name));
        self.remove(is_it).map(TcpListener::from)
    }

    /// Takes the Unix socket with this path, if there is one.
    pub fn unix(&self, path: &Path) -> Option<UnixListener> {
        self.remove(|name| name.as_pathname() == Some(path)).map(UnixListener::from)
    }

    fn remove(&self, is_it: impl Fn(&socket2::SockAddr) -> bool) -> Option<OwnedFd> {
        let mut sockets = self.sockets.lock().ok()?;
        let at = sockets.iter().position(|socket| {
            let about = socket2::SockRef::from(socket);
            about.r#type().is_ok_and(|kind| kind == socket2::Type::STREAM)
                && about.local_addr().is_ok_and(|name| is_it(&name))
        })?;
        Some(sockets.swap_remove(at))
    }

    /// Checks that none is left: nobody would accept its connections. A predecessor may have listened elsewhere; its sockets are
    /// closed here.
    pub fn check(&self) -> Result<(), String> {
        let Ok(mut sockets) = self.sockets.lock() else { return Ok(()) };
        match sockets.first() {
            Some(socket) if self.predecessor.is_none() => {
                Err(format!("systemd has handed over the socket {}, which no setting names", shown(socket)))
            }
            _ => {
                sockets.clear();
                Ok(())
            }
        }
    }

    /// Whether this process replaces another one.
    pub fn is_successor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Tells the predecessor that this process accepts connections.
    pub fn ready(&self) -> Result<(), String> {
        let Some(mut predecessor) = self.predecessor.as_ref() else { return Ok(()) };
        predecessor.write_all(&SIGN).map_err(|error| format!("the process to replace has ended: {error}"))
    }
}

fn shown(socket: &OwnedFd) -> String {
    match socket2::SockRef::from(socket).local_addr() {
        Err(error) => error.to_string(),
        Ok(name) => match (name.as_socket(), name.as_pathname()) {
            (Some(address), _) => address.to_string(),
            (_, Some(path)) => format!("unix:{}", path.display()),
            _ => "without a name".into(),
        },
    }
}

/// The sockets of systemd, if it has started this very process (sd_listen_fds(3)).
fn of_systemd() -> Result<Vec<OwnedFd>, Error> {
    let sockets: Vec<OwnedFd> =
        sd_listen_fds::get().map_err(Error::other)?.into_iter().map(|(_, socket)| socket.into_std()).collect();
    for socket in &sockets {
        fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    }
    Ok(sockets)
}

fn receive(from: &UnixStream) -> Result<Vec<OwnedFd>, Error> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut sign = [0; SIGN.len()];
    let message = recvmsg(from, &mut [IoSliceMut::new(&mut sign)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if message.bytes != SIGN.len() {
        return Err(Error::other("the process to replace has ended"));
    }
    let rights = control.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok(rights.flatten().collect())
}

fn send(to: &UnixStream, sockets: &[OwnedFd]) -> Result<(), Error> {
    let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if sockets.len() > MAX_SOCKETS || !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(Error::other(format!("more than {MAX_SOCKETS} sockets")));
    }
    sendmsg(to, &[IoSlice::new(&SIGN)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A successor that has been started. Dropping it before it is ready ends it.
pub struct Successor {
    process: Child,
    answers: tokio::net::UnixStream,
    is_ready: bool,
}

impl Successor {
    /// Starts this program again with its command line, and hands it the sockets.
    pub fn start(sockets: &[OwnedFd]) -> Result<Self, Error> {
        let mut words = std::env::args_os();
        let program = words.next().ok_or_else(|| Error::other("no command line"))?;
        let (ours, theirs) = UnixStream::pair()?;
        send(&ours, sockets)?;
        ours.set_nonblocking(true)?;
        let answers = tokio::net::UnixStream::from_std(ours)?;
        let process =
            Command::new(program).args(words).env(SUCCESSOR, "1").stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        Ok(Successor { process, answers, is_ready: false })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it accepts connections. If it cannot, it has logged the reason.
    pub async fn ready(&mut self) -> Result<(), Error> {
        match self.answers.read(&mut [0; SIGN.len()]).await? {
            0 => Err(Error::other("the new process has ended")),
            _ => {
                self.is_ready = true;
                Ok(())
            }
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_ready {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn sockets_arrive_and_are_found_by_their_addresses() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (tcp, six) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::1]:0").unwrap());
        let path = std::env::temp_dir().join(format!("sasl-gate-handed-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        let addresses = [tcp.local_addr().unwrap(), six.local_addr().unwrap()];
        send(&ours, &[tcp.into(), six.into(), unix.into()]).unwrap();
        let sockets = Mutex::new(receive(&theirs).unwrap());
        let mut handed = Handed { sockets, predecessor: None };
        assert!(handed.tcp(&["127.0.0.1:1".parse().unwrap()]).is_none());
        assert!(handed.unix(Path::new("/nonexistent")).is_none());
        for address in addresses {
            assert_eq!(handed.tcp(&[address]).unwrap().local_addr().unwrap(), address);
            assert!(handed.tcp(&[address]).is_none(), "taken");
        }
        assert!(handed.check().unwrap_err().contains(&format!("unix:{}", path.display())));
        handed.predecessor = Some(theirs);
        let found = handed.unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        assert!(found.accept().is_ok());
        handed.check().unwrap();
        handed.ready().unwrap();
        assert_eq!((&ours).read(&mut [0; 2]).unwrap(), SIGN.len());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_predecessor_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert!(receive(&theirs).is_err());
        let handed = Handed { sockets: Mutex::default(), predecessor: Some(theirs) };
        assert!(handed.ready().unwrap_err().contains("has ended"));
    }
}

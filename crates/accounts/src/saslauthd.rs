//! A client of Cyrus SASL's saslauthd, the daemon that checks passwords for programs that may not do so themselves (shadow,
//! PAM).
//!
//! It reads four counted strings from its socket and replies with one. A counted string is a length of two octets, the most
//! significant first, and that many bytes. The reply begins with `OK` or `NO`; text may follow.
//!
//! ```text
//! count user  count password  count service  count realm       ->       count "OK"
//! ```

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fd::AsFd;
use rustix::io::{fcntl_setfd, Errno, FdFlags};
use rustix::net::{connect, send, socket, AddressFamily, SendFlags, SocketAddrUnix, SocketType};

use crate::domain::is_foreign;
use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::error::{printable, Application, Code, Error};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::vocabulary::{Abilities, Answer, Question};

/// Longest string that the daemon accepts, in bytes: its MAX_REQ_LEN.
const STRING_LIMIT: usize = 256;

/// The accounts of a saslauthd.
#[derive(Debug)]
pub struct Saslauthd {
    path: PathBuf,
    limit: Duration,
}

/// The daemon's verdict.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The password is right.
    Yes,
    /// The password is wrong, or the strings cannot be sent. The reason is not for the peer.
    No(String),
}

impl Reply {
    /// Parses the daemon's string; `None` if it is not a valid reply.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match (text.get(..2), text.get(2)) {
            (Some(b"OK"), None | Some(b' ')) => Some(Reply::Yes),
            (Some(b"NO"), None | Some(b' ')) => Some(Reply::No(printable(text[2..].trim_ascii()))),
            _ => None,
        }
    }
}

/// A question to the daemon.
#[derive(Debug)]
pub struct Login<'a> {
    /// User name. The part after its last `@` is the realm.
    pub user: &'a str,
    /// Password.
    pub password: &'a Secret,
    /// Service, for PAM.
    pub service: &'a str,
    /// Realm for names without one.
    pub realm: &'a str,
}

impl Saslauthd {
    /// The daemon with that socket. `limit` is the time limit of a whole check.
    ///
    /// # Errors
    /// [`Application::Option`] for a limit of zero, or of more than a day.
    pub fn new(path: &Path, limit: Duration) -> Result<Self, Error> {
        if limit.is_zero() || limit > Duration::from_secs(86400) {
            return Err(Application::Option { name: "timeout", range: "seconds, above 0 and at most 86400" }.into());
        }
        Ok(Saslauthd { path: path.to_owned(), limit })
    }

    /// Asks whether a password is right.
    ///
    /// # Errors
    /// [`Error::Outside`]: with [`Code::Unavail`] if the daemon cannot be reached, closes the connection early or is too slow;
    /// with [`Code::Fail`] if its reply is neither `OK` nor `NO`.
    pub fn check(&self, login: &Login<'_>) -> Result<Reply, Error> {
        let request = match request(login) {
            Ok(request) => request,
            Err(reason) => return Ok(Reply::No(reason)),
        };
        let end = Instant::now() + self.limit;
        let mut stream = self.connected(end)?;
        self.write(&stream, request.expose(), end)?;
        let mut count = [0; 2];
        self.read(&mut stream, &mut count, end)?;
        let mut reply = vec![0; u16::from_be_bytes(count).into()];
        self.read(&mut stream, &mut reply, end)?;
        Reply::parse(&reply)
            .ok_or_else(|| self.failed(Code::Fail, &format!("it answered neither OK nor NO: {}", printable(&reply))))
    }

    /// If the daemon's queue is full, connecting waits too.
    fn connected(&self, end: Instant) -> Result<UnixStream, Error> {
        let opened = socket(AddressFamily::UNIX, SocketType::STREAM, None)
            .and_then(|socket| fcntl_setfd(&socket, FdFlags::CLOEXEC).map(|()| UnixStream::from(socket)));
        let failed = |error: Errno| self.failed(Code::Unavail, &format!("it cannot be reached: {error}"));
        let stream = opened.map_err(failed)?;
        let address = SocketAddrUnix::new(&self.path).map_err(failed)?;
        silence(&stream).map_err(failed)?;
        stream.set_nonblocking(true).map_err(|error| self.lost(&error))?;
        loop {
            match connect(&stream, &address) {
                Ok(()) => break,
                Err(Errno::AGAIN | Errno::INTR) => sleep(Duration::from_millis(5).min(self.left(end)?)),
                Err(error) => return Err(failed(error)),
            }
        }
        stream.set_nonblocking(false).map_err(|error| self.lost(&error))?;
        Ok(stream)
    }

    fn write(&self, stream: &UnixStream, mut request: &[u8], end: Instant) -> Result<(), Error> {
        while !request.is_empty() {
            stream.set_write_timeout(Some(self.left(end)?)).map_err(|error| self.lost(&error))?;
            match send(stream, request, NO_SIGNAL) {
                Ok(sent) => request = &request[sent..],
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(self.lost(&error.into())),
            }
        }
        Ok(())
    }

    fn read(&self, stream: &mut UnixStream, mut buffer: &mut [u8], end: Instant) -> Result<(), Error> {
        while !buffer.is_empty() {
            stream.set_read_timeout(Some(self.left(end)?)).map_err(|error| self.lost(&error))?;
            match stream.read(buffer) {
                Ok(0) => return Err(self.failed(Code::Unavail, "it ended in the middle of its answer")),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(self.lost(&error)),
            }
        }
        Ok(())
    }

    fn left(&self, end: Instant) -> Result<Duration, Error> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.failed(Code::Unavail, &format!("no answer within {} seconds", self.limit.as_secs_f64())));
        }
        Ok(left)
    }

    fn lost(&self, error: &std::io::Error) -> Error {
        self.failed(Code::Unavail, &format!("the connection was lost: {error}"))
    }

    fn failed(&self, code: Code, what: &str) -> Error {
        Error::outside(code, format!("saslauthd at {}: {what}", self.path.display()))
    }
}

/// A daemon that closes the connection must not end this program with a signal.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
fn silence(_stream: &impl AsFd) -> Result<(), Errno> {
    Ok(())
}

#[cfg(target_vendor = "apple")]
fn silence(stream: &impl AsFd) -> Result<(), Errno> {
    rustix::net::sockopt::set_socket_nosigpipe(stream, true)
}

/// The four counted strings. Strings that the daemon cannot accept, or would misread, are refused.
fn request(login: &Login<'_>) -> Result<Secret, String> {
    let (user, realm) = login.user.rsplit_once('@').unwrap_or((login.user, login.realm));
    let fields = [
        ("user name", user.as_bytes()),
        ("password", login.password.expose()),
        ("service", login.service.as_bytes()),
        ("realm", realm.as_bytes()),
    ];
    let mut request = Vec::with_capacity(4 * (2 + STRING_LIMIT));
    for (name, field) in fields {
        if field.contains(&0) {
            return Err(format!("the {name} holds a NUL"));
        }
        let count = u16::try_from(field.len()).ok().filter(|count| usize::from(*count) <= STRING_LIMIT);
        let count = count.ok_or_else(|| format!("the {name} is longer than {STRING_LIMIT} bytes"))?;
        request.extend_from_slice(&count.to_be_bytes());
        request.extend_from_slice(field);
    }
    if user.is_empty() || login.password.is_empty() {
        return Err("the user name or the password is empty".into());
    }
    Ok(request.into())
}

impl Accounts for Saslauthd {
    fn abilities(&self) -> Abilities {
        Abilities::CHECK_PASSWORD
    }

    fn answer(&self, question: &Question, config: &Config) -> Result<Answer, Error> {
        let Question::CheckPassword { authcid, password, .. } = question else {
            return Err(Application::WrongAnswer.into());
        };
        if is_foreign(authcid, config) {
            return Ok(Answer::Verdict(false));
        }
        let realm = config.realm().unwrap_or_default();
        let login = Login { user: authcid, password, service: &config.service, realm };
        Ok(Answer::Verdict(self.check(&login)? == Reply::Yes))
    }
}

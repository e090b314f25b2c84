//! The control socket: lists the live sessions of this process, and ends them.
//!
//! The setting `control` names a folder that only the gateway's user can enter. Each process has a socket of its own there, so that a
//! process that drains after a hand-over answers too.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use authen_sasl_rust::wire::saslprep;

use crate::control_line::{Listed, Outcome, Request, SessionId, MAX_REQUEST};
use crate::end_reason::EndReason;
use crate::files::{is_stale_socket, named};
use crate::gate::Gate;
use crate::listen::PAUSE;
use crate::peer::uid_of;
use crate::recent::RecentTasks;
use crate::sessions::Session;

/// How long an operator may take to send the request, and to read each part of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer waits for the sessions that were ended to close.
const CLOSING: Duration = Duration::from_secs(1);

/// How many sessions are written at once.
const PART: usize = 256;

/// The control socket of this process. Its file is removed when this is dropped.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Control {
    /// Makes the socket, and its folder if there is none.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("control: {}", named(folder, error));
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(cannot)?,
        }
        check(folder)?;
        remove_stale(folder).map_err(cannot)?;
        let path = folder.join(std::process::id().to_string());
        let listener = UnixListener::bind(&path).map_err(|error| format!("control: {}", named(&path, error)))?;
        let control = Control { listener, path };
        std::fs::set_permissions(&control.path, Permissions::from_mode(0o600)).map_err(cannot)?;
        info!(address = %control.path.display(), "control socket");
        Ok(control)
    }

    /// Answers operators until the process ends.
    pub async fn serve(self, gate: Arc<Gate>) {
        let mut operators = RecentTasks::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let gate = gate.clone();
                    operators.spawn(async move {
                        // An operator who is too slow or has gone tries again.
                        let _ = answer(stream, &gate).await;
                    });
                }
                Err(error) => {
                    error!(%error, "cannot accept a connection to the control socket");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Checks that nobody else can enter the folder.
fn check(folder: &Path) -> Result<(), String> {
    let about = std::fs::symlink_metadata(folder).map_err(|error| format!("control: {}", named(folder, error)))?;
    let fault = if !about.is_dir() {
        "not a folder"
    } else if about.uid() != geteuid().as_raw() {
        "it does not belong to the user of this program"
    } else if about.mode() & 0o077 != 0 {
        "others can enter it (chmod 700)"
    } else {
        return Ok(());
    };
    Err(format!("control: {}", named(folder, fault)))
}

/// Removes the sockets of processes that have been killed.
fn remove_stale(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_stale_socket(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

async fn answer(mut stream: UnixStream, gate: &Gate) -> io::Result<()> {
    let outcome = match uid_of(&stream) {
        Some(uid) if uid == 0 || uid == geteuid().as_raw() => match read_line(&mut stream).await? {
            Ok(line) => obey(&line, uid, &mut stream, gate).await?,
            Err(fault) => Outcome::Failed(fault.into()),
        },
        uid => {
            warn!(uid, "another user is refused at the control socket");
            Outcome::Failed("only the gateway's user and root may use this socket".into())
        }
    };
    send(&mut stream, outcome.print().as_bytes()).await?;
    stream.shutdown().await
}

/// Reads a line without its end.
async fn read_line(stream: &mut UnixStream) -> io::Result<Result<Vec<u8>, &'static str>> {
    let mut line = Vec::new();
    let reading = async {
        loop {
            let mut buffer = [0; 512];
            let size = stream.read(&mut buffer).await?;
            if size == 0 {
                return Ok(Err("the request has no end"));
            }
            line.extend_from_slice(&buffer[..size]);
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                let is_last = end + 1 == line.len();
                line.truncate(end);
                return Ok(if is_last { Ok(()) } else { Err("more than one request") });
            }
            if line.len() > MAX_REQUEST {
                return Ok(Err("the request is too long"));
            }
        }
    };
    let read = timeout(PATIENCE, reading).await.unwrap_or(Ok(Err("no request in time")));
    read.map(|read| read.map(|()| line))
}

async fn obey(line: &[u8], uid: u32, stream: &mut UnixStream, gate: &Gate) -> io::Result<Outcome> {
    let process = std::process::id();
    let (ended, what) = match Request::parse(line) {
        Err(fault) => return Ok(Outcome::Failed(fault.into())),
        Ok(Request::Sessions) => return list(stream, gate).await.map(Outcome::Done),
        Ok(Request::KickUser(name)) => {
            let name = saslprep::query(name).unwrap_or(name.into());
            (kick(gate.sessions.of_user(&name)).await, name.into_owned())
        }
        Ok(Request::KickSession(id)) => {
            let found = Some(id.number).filter(|_| id.process == process).and_then(|number| gate.sessions.find(number));
            (kick(found.into_iter().collect()).await, id.text())
        }
    };
    info!(uid, what, sessions = ended, "kicked");
    Ok(Outcome::Done(ended))
}

/// Ends these sessions, and waits until they are closed. Returns their number.
async fn kick(sessions: Vec<Arc<Session>>) -> usize {
    let ended: Vec<_> = sessions.into_iter().filter(|session| session.end(EndReason::Kicked)).collect();
    let closing = async {
        while ended.iter().any(|session| session.is_listed()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(CLOSING, closing).await;
    ended.len()
}

/// Writes all sessions, and returns their number.
async fn list(stream: &mut UnixStream, gate: &Gate) -> io::Result<usize> {
    let sessions = gate.sessions.all();
    for part in sessions.chunks(PART) {
        let mut text = Vec::new();
        for session in part {
            serde_json::to_writer(&mut text, &listed(session)).map_err(io::Error::other)?;
            text.push(b'\n');
        }
        send(stream, &text).await?;
    }
    Ok(sessions.len())
}

fn listed(session: &Session) -> Listed {
    use std::sync::atomic::Ordering::Relaxed;
    let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let about = &session.about;
    Listed {
        id: SessionId { process: std::process::id(), number: session.number }.text(),
        user: word(&session.user),
        mechanism: word(about.mechanism),
        peer: about.peer.text.to_string(),
        backend: about.backend.to_string(),
        seconds: session.begin.elapsed().as_secs(),
        bytes_in: session.carried.up.load(Relaxed),
        bytes_out: session.carried.down.load(Relaxed),
    }
}

/// Writes bytes, each part of which must be read in time.
async fn send(stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written =
            timeout(PATIENCE, stream.write(bytes)).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

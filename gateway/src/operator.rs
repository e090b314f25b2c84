//! `sasl-gate sessions` and `sasl-gate kick`: ask the gateway's processes over their control sockets.

use std::io::{self, stdout, BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::control_line::{Listed, Outcome, Request, SessionId, FOLDER};
use crate::files::named;
use crate::options::{ControlFolder, Kick, Sessions};
use crate::settings::Settings;

/// How long a process may take for each part of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints the sessions of all processes.
pub fn sessions(wanted: &Sessions) -> Result<(), String> {
    let mut all = Vec::new();
    ask_all(&wanted.control, &Request::Sessions, |line| {
        let session: Listed = serde_json::from_str(line).map_err(|error| error.to_string())?;
        all.push(session);
        Ok(())
    })?;
    all.sort_by_cached_key(|session| SessionId::parse(&session.id));
    let mut text = String::new();
    if wanted.json {
        for session in &all {
            text += &serde_json::to_string(session).map_err(|error| error.to_string())?;
            text.push('\n');
        }
    } else {
        text = table(&all);
    }
    let written = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
    written.map_err(|error| format!("standard output: {error}"))
}

/// Ends sessions.
pub fn kick(wanted: &Kick) -> Result<(), String> {
    let (request, what) = match (&wanted.user, &wanted.session) {
        (Some(user), _) if user.is_empty() || user.contains('\n') => {
            return Err(format!("{user:?} is not a user name"))
        }
        (Some(user), _) => (Request::KickUser(user), format!("{user:?} has no session")),
        (None, Some(id)) => (Request::KickSession(*id), format!("there is no session {}", id.text())),
        (None, None) => return Err("expected a user, or --session".into()),
    };
    match ask_all(&wanted.control, &request, |_| Err("not expected".into()))? {
        0 => Err(what),
        ended => {
            let written = writeln!(stdout(), "sessions ended: {ended}");
            written.map_err(|error| format!("standard output: {error}"))
        }
    }
}

fn table(all: &[Listed]) -> String {
    let heads = ["ID", "SECONDS", "BYTES IN", "BYTES OUT", "MECHANISM", "BACKEND", "PEER", "USER"].map(str::to_owned);
    let rows = all.iter().map(|one| {
        let text = |text: &Option<String>| text.as_ref().map_or("-".to_owned(), |text| format!("{text:?}"));
        [
            one.id.clone(),
            one.seconds.to_string(),
            one.bytes_in.to_string(),
            one.bytes_out.to_string(),
            one.mechanism.clone().unwrap_or_else(|| "-".into()),
            format!("{:?}", one.backend).trim_matches('"').to_owned(),
            one.peer.clone(),
            text(&one.user),
        ]
    });
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
            line += &format!("{cell:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Sends a request to all processes that have a socket in the folder, and returns the sum of their numbers. `each` gets the lines
/// before the last one.
fn ask_all(
    folder: &ControlFolder,
    request: &Request<'_>,
    mut each: impl FnMut(&str) -> Result<(), String>,
) -> Result<usize, String> {
    let folder = path(folder)?;
    let fault = |error: io::Error| match error.kind() {
        ErrorKind::PermissionDenied => named(&folder, "permission denied; run this as the gateway's user or as root"),
        ErrorKind::NotFound => {
            named(&folder, "there is no such folder; does a gateway run with this setting of control?")
        }
        _ => named(&folder, error),
    };
    let (mut sum, mut answered) = (0, 0);
    for entry in std::fs::read_dir(&folder).map_err(fault)? {
        let socket = entry.map_err(fault)?.path();
        let stream = match UnixStream::connect(&socket) {
            // The process has ended.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => continue,
            connected => connected.map_err(|error| named(&socket, error))?,
        };
        match ask(stream, request, &mut each).map_err(|error| named(&socket, error))? {
            Outcome::Done(number) => sum += number,
            Outcome::Failed(text) => return Err(named(&socket, format!("refused: {text}"))),
        }
        answered += 1;
    }
    match answered {
        0 => Err(named(&folder, "no gateway answers there")),
        _ => Ok(sum),
    }
}

fn ask(
    mut stream: UnixStream,
    request: &Request<'_>,
    each: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<Outcome, String> {
    let text = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock => "no answer in time".to_owned(),
        _ => error.to_string(),
    };
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(text)?;
    // A gateway that refuses may not read the request; its answer has the reason.
    let _ = stream.write_all(request.print().as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(text)?;
        match Outcome::parse(&line) {
            Some(outcome) => return Ok(outcome),
            None => each(&line)?,
        }
    }
    Err("the answer is not complete".into())
}

fn path(folder: &ControlFolder) -> Result<PathBuf, String> {
    if let Some(path) = &folder.control {
        return Ok(path.clone());
    }
    match &folder.config {
        Some(path) => Settings::read(path)?.control.ok_or_else(|| named(path, "control is not set")),
        None => Ok(Path::new(FOLDER).into()),
    }
}

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
    let (_, unanswered) = ask_all(&wanted.control, &Request::Sessions, |line| {
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
    written.map_err(|error| format!("standard output: {error}"))?;
    unanswered
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
        (0, unanswered) => unanswered.and(Err(what)),
        (ended, unanswered) => {
            let written = writeln!(stdout(), "sessions ended: {ended}");
            written.map_err(|error| format!("standard output: {error}"))?;
            unanswered
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
    let mut widths = heads.each_ref().map(|_| 0);
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Sends a request to all processes that have a socket in the folder, and returns the sum of their numbers, and an error if some of
/// them have not answered: these must not keep the others from being asked. `each` gets the lines before the last one.
fn ask_all(
    folder: &ControlFolder,
    request: &Request<'_>,
    mut each: impl FnMut(&str) -> Result<(), String>,
) -> Result<(usize, Result<(), String>), String> {
    let folder = path(folder)?;
    let fault = |error: io::Error| match error.kind() {
        ErrorKind::PermissionDenied => named(&folder, "permission denied; run this as the gateway's user or as root"),
        ErrorKind::NotFound => {
            named(&folder, "there is no such folder; does a gateway run with this setting of control?")
        }
        _ => named(&folder, error),
    };
    let (mut sum, mut answered, mut faults) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(&folder).map_err(fault)? {
        let socket = entry.map_err(fault)?.path();
        let asked = match UnixStream::connect(&socket) {
            // The process has ended.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => continue,
            Err(error) => Err(error.to_string()),
            Ok(stream) => ask(stream, request, &mut each),
        };
        match asked {
            Ok(Outcome::Done(number)) => (sum, answered) = (sum + number, answered + 1),
            Ok(Outcome::Failed(text)) => faults.push(named(&socket, format!("refused: {text}"))),
            Err(error) => faults.push(named(&socket, error)),
        }
    }
    match (answered, faults.is_empty()) {
        (0, true) => Err(named(&folder, "no gateway answers there")),
        (_, true) => Ok((sum, Ok(()))),
        (_, false) => Ok((sum, Err(faults.join("; ")))),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u64, user: &str) -> Listed {
        Listed {
            id: SessionId { process: 1, number }.text(),
            user: Some(user.into()),
            mechanism: None,
            peer: "[2001:db8::1]:4711".into(),
            backend: "default".into(),
            seconds: 1,
            bytes_in: number,
            bytes_out: 0,
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(
            table(&[session(7, "j\u{f6}rg"), session(1234, "x\n")]),
            "ID      SECONDS  BYTES IN  BYTES OUT  MECHANISM  BACKEND  PEER                USER\n\
             1-7     1        7         0          -          default  [2001:db8::1]:4711  \"j\u{f6}rg\"\n\
             1-1234  1        1234      0          -          default  [2001:db8::1]:4711  \"x\\n\"\n"
        );
    }

    /// A gateway may have more connections than this. A look at all rows for each of them would take minutes.
    #[test]
    fn the_work_grows_with_the_sessions_and_no_faster() {
        let all: Vec<_> = (0..50_000).map(|number| session(number, "fred")).collect();
        assert_eq!(table(&all).lines().count(), 50_001);
    }
}

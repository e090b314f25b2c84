//! The protocol of the control socket, as `docs/sasl-gate.pod` describes it: one request, its answer, the end.
//!
//! ```text
//! request = ( "sessions" / "kick user " name / "kick session " id ) LF
//! answer  = *( session LF ) ( "ok " number / "error " text ) LF
//! ```
//! A session is an object of JSON. A name contains no line feed, since SASLprep forbids it.

use serde::{Deserialize, Serialize};

/// The default of the setting `control`.
pub const FOLDER: &str = "/run/sasl-gate/control";

/// The longest request in bytes, longer than any name.
pub const MAX_REQUEST: usize = 16_384;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'r> {
    /// The list of all sessions.
    Sessions,
    /// To end the sessions of a user.
    KickUser(&'r str),
    /// To end one session.
    KickSession(SessionId),
}

/// The process of a session, and the session's number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId {
    pub process: u32,
    pub number: u64,
}

/// A session in an answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    pub id: String,
    /// `null` in `sasl-gate connect`.
    pub user: Option<String>,
    pub mechanism: Option<String>,
    pub peer: String,
    pub backend: String,
    pub seconds: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// The last line of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// How many sessions were listed or ended.
    Done(usize),
    Failed(String),
}

impl SessionId {
    pub fn parse(text: &str) -> Option<Self> {
        let (process, number) = text.split_once('-')?;
        let id = SessionId { process: process.parse().ok()?, number: number.parse().ok()? };
        // One form only: no sign, no leading zero.
        (id.text() == text).then_some(id)
    }

    pub fn text(self) -> String {
        format!("{}-{}", self.process, self.number)
    }
}

impl<'r> Request<'r> {
    /// Parses a line without its end.
    pub fn parse(line: &'r [u8]) -> Result<Self, &'static str> {
        let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
        if line == "sessions" {
            return Ok(Request::Sessions);
        }
        if let Some(id) = line.strip_prefix("kick session ") {
            return SessionId::parse(id).map(Request::KickSession).ok_or("not the ID of a session");
        }
        match line.strip_prefix("kick user ") {
            Some("") => Err("no user"),
            Some(name) => Ok(Request::KickUser(name)),
            None => Err("unknown request"),
        }
    }

    /// The line with its end.
    pub fn print(&self) -> String {
        match self {
            Request::Sessions => "sessions\n".into(),
            Request::KickUser(name) => format!("kick user {name}\n"),
            Request::KickSession(id) => format!("kick session {}\n", id.text()),
        }
    }
}

impl Outcome {
    /// Parses a line without its end; `None` if it is not the last one.
    pub fn parse(line: &str) -> Option<Self> {
        match line.strip_prefix("error ") {
            Some(text) => Some(Outcome::Failed(text.into())),
            None => line.strip_prefix("ok ")?.parse().ok().map(Outcome::Done),
        }
    }

    /// The line with its end.
    pub fn print(&self) -> String {
        match self {
            Outcome::Done(number) => format!("ok {number}\n"),
            Outcome::Failed(text) => format!("error {text}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed() {
        let id = SessionId { process: 4242, number: 17 };
        for request in [Request::Sessions, Request::KickUser("j\u{f6}rg's `x` "), Request::KickSession(id)] {
            let line = request.print();
            assert_eq!(Request::parse(line.strip_suffix('\n').unwrap().as_bytes()), Ok(request));
        }
        for outcome in [Outcome::Done(0), Outcome::Done(65_536), Outcome::Failed("unknown request".into())] {
            assert_eq!(Outcome::parse(outcome.print().strip_suffix('\n').unwrap()), Some(outcome));
        }
        assert_eq!(Outcome::parse("{\"id\":\"1-1\"}"), None);
        assert_eq!(Outcome::parse("ok "), None);
    }

    #[test]
    fn other_requests_are_errors() {
        let bad: [&[u8]; 12] = [
            b"",
            b"session",
            b"sessions ",
            b"sessions\r",
            b"kick user ",
            b"kick user",
            b"kick fred",
            b"kick session 1",
            b"kick session +1-2",
            b"kick session 1-02",
            b"kick session 99999999999-1",
            b"kick user \xff",
        ];
        for line in bad {
            assert!(Request::parse(line).is_err(), "{}", line.escape_ascii());
        }
    }
}

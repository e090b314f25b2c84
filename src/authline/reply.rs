//! The messages of a server.
//!
//! ```text
//! reply    = ok / continue / word CRLF
//! ok       = "OK" [SP bytes CRLF data] CRLF
//! continue = "CONTINUE" SP bytes CRLF data CRLF
//! word     = "UNAUTHORIZED" / "UNKNOWN_COMMAND" / "BAD_FORMAT" / "TOO_BIG" /
//!            "EXPECTED_CRLF" / "INTERNAL_ERROR"
//! ```

use super::decoder::{Line, Message};
use super::{message, number, Fault};
use crate::error::printable;
use crate::secret::Secret;

/// A server's message.
#[derive(Debug)]
pub enum Reply {
    /// Success, with its data: the mechanisms, or the server's last message. No data differs from empty data.
    Ok(Option<Secret>),
    /// Another step is needed.
    Continue(Secret),
    /// A one-word reply.
    Word(Word),
    /// A line that does not belong to this protocol.
    Other(Vec<u8>),
}

/// A reply of one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Authentication or authorization has failed.
    Unauthorized,
    /// There is no such command. As a reply to `auth-list-mechanisms`: the server does not support authentication.
    UnknownCommand,
    /// The request is malformed. The server closes the connection.
    BadFormat,
    /// The request announces more data than the server accepts. It closes the connection.
    TooBig,
    /// There is no CRLF after the data. The server closes the connection.
    ExpectedCrlf,
    /// The server cannot serve the request now. It closes the connection.
    InternalError,
}

impl Word {
    /// All of them.
    pub const ALL: [Word; 6] = [
        Word::Unauthorized,
        Word::UnknownCommand,
        Word::BadFormat,
        Word::TooBig,
        Word::ExpectedCrlf,
        Word::InternalError,
    ];

    /// The word itself.
    pub fn text(self) -> &'static str {
        match self {
            Word::Unauthorized => "UNAUTHORIZED",
            Word::UnknownCommand => "UNKNOWN_COMMAND",
            Word::BadFormat => "BAD_FORMAT",
            Word::TooBig => "TOO_BIG",
            Word::ExpectedCrlf => "EXPECTED_CRLF",
            Word::InternalError => "INTERNAL_ERROR",
        }
    }
}

impl From<Fault> for Word {
    /// The reply to a faulty request.
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooBig { .. } => Word::TooBig,
            Fault::ExpectedCrlf => Word::ExpectedCrlf,
            Fault::LineTooLong | Fault::BareLineFeed | Fault::Syntax(_) => Word::BadFormat,
        }
    }
}

/// The line of a [`Reply`].
#[derive(Debug)]
#[allow(missing_docs)]
pub enum ReplyHead {
    Ok,
    Continue,
    Word(Word),
    Other(Vec<u8>),
}

impl Message for Reply {
    type Head = ReplyHead;

    fn head(line: &[u8]) -> Result<Line<ReplyHead>, Fault> {
        let size = |text| number(text).ok_or(Fault::Syntax("a reply with an invalid number of bytes"));
        if line == b"OK" {
            return Ok((ReplyHead::Ok, None));
        }
        if let Some(text) = line.strip_prefix(b"OK ") {
            return Ok((ReplyHead::Ok, Some(size(text)?)));
        }
        if let Some(text) = line.strip_prefix(b"CONTINUE ") {
            return Ok((ReplyHead::Continue, Some(size(text)?)));
        }
        match Word::ALL.into_iter().find(|word| word.text().as_bytes() == line) {
            Some(word) => Ok((ReplyHead::Word(word), None)),
            None => Ok((ReplyHead::Other(line.to_vec()), None)),
        }
    }

    fn complete(head: ReplyHead, data: Option<Secret>) -> Self {
        match head {
            ReplyHead::Ok => Reply::Ok(data),
            ReplyHead::Continue => Reply::Continue(data.unwrap_or_default()),
            ReplyHead::Word(word) => Reply::Word(word),
            ReplyHead::Other(line) => Reply::Other(line),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Reply::Ok(data) => message("OK", data.as_ref().map(Secret::expose)),
            Reply::Continue(data) => message("CONTINUE", Some(data.expose())),
            Reply::Word(word) => message(word.text(), None),
            Reply::Other(line) => [line, &b"\r\n"[..]].concat(),
        }
    }
}

impl Reply {
    /// The reply's first word, safe to show.
    pub fn name(&self) -> String {
        match self {
            Reply::Ok(_) => "OK".into(),
            Reply::Continue(_) => "CONTINUE".into(),
            Reply::Word(word) => word.text().into(),
            Reply::Other(line) => printable(&line[..line.len().min(40)]),
        }
    }
}

//! The messages of a client.
//!
//! ```text
//! request   = list / start / step / quit / other
//! list      = "auth-list-mechanisms" CRLF
//! start     = "auth-start" SP mechanism [SP bytes CRLF data] CRLF
//! step      = "auth-step" SP bytes CRLF data CRLF
//! quit      = "quit" CRLF
//! mechanism = 1*32(%x41-5A / DIGIT / "-" / "_")
//! ```

use super::decoder::{Line, Message};
use super::{message, number, Fault, NAME_LIMIT};
use crate::secret::Secret;

/// A client's message.
#[derive(Debug)]
pub enum Request {
    /// Asks for the mechanisms.
    List,
    /// Begins an exchange.
    Start {
        /// The mechanism's name; well-formed, but perhaps unknown.
        mechanism: String,
        /// The initial response. None differs from an empty one.
        initial: Option<Secret>,
    },
    /// The next message of the exchange.
    Step(Secret),
    /// Ends the connection.
    Quit,
    /// A command that begins with `auth-` but is not in this version.
    Unknown(Vec<u8>),
    /// Any other line: a command for the protocol behind this one.
    Other(Vec<u8>),
}

/// The line of a [`Request`].
#[derive(Debug)]
#[allow(missing_docs)]
pub enum RequestHead {
    List,
    Start(String),
    Step,
    Quit,
    Unknown(Vec<u8>),
    Other(Vec<u8>),
}

impl Message for Request {
    type Head = RequestHead;

    fn head(line: &[u8]) -> Result<Line<RequestHead>, Fault> {
        let mut words = line.split(|&b| b == b' ');
        let command = words.next().unwrap_or_default();
        let arguments = [words.next(), words.next(), words.next()];
        match (command, arguments) {
            (b"auth-list-mechanisms", [None, ..]) => Ok((RequestHead::List, None)),
            (b"auth-list-mechanisms", _) => Err(Fault::Syntax("auth-list-mechanisms takes no argument")),
            (b"auth-start", [Some(name), size, None]) => {
                let name = mechanism(name).ok_or(Fault::Syntax(
                    "auth-start: the mechanism's name is not 1 to 32 characters of A-Z, 0-9, hyphen and underscore",
                ))?;
                match size {
                    None => Ok((RequestHead::Start(name), None)),
                    Some(size) => Ok((RequestHead::Start(name), Some(bytes(size)?))),
                }
            }
            (b"auth-start", _) => Err(Fault::Syntax("auth-start takes a mechanism and a number of bytes")),
            (b"auth-step", [Some(size), None, None]) => Ok((RequestHead::Step, Some(bytes(size)?))),
            (b"auth-step", _) => Err(Fault::Syntax("auth-step takes a number of bytes")),
            (b"quit", [None, ..]) => Ok((RequestHead::Quit, None)),
            (unknown, _) if unknown.starts_with(b"auth-") => Ok((RequestHead::Unknown(line.to_vec()), None)),
            _ => Ok((RequestHead::Other(line.to_vec()), None)),
        }
    }

    fn complete(head: RequestHead, data: Option<Secret>) -> Self {
        match head {
            RequestHead::List => Request::List,
            RequestHead::Start(mechanism) => Request::Start { mechanism, initial: data },
            RequestHead::Step => Request::Step(data.unwrap_or_default()),
            RequestHead::Quit => Request::Quit,
            RequestHead::Unknown(line) => Request::Unknown(line),
            RequestHead::Other(line) => Request::Other(line),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Request::List => message("auth-list-mechanisms", None),
            Request::Start { mechanism, initial } => {
                message(&format!("auth-start {mechanism}"), initial.as_ref().map(Secret::expose))
            }
            Request::Step(data) => message("auth-step", Some(data.expose())),
            Request::Quit => message("quit", None),
            Request::Unknown(line) | Request::Other(line) => [line, &b"\r\n"[..]].concat(),
        }
    }
}

fn mechanism(name: &[u8]) -> Option<String> {
    let good = |&b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !(1..=NAME_LIMIT).contains(&name.len()) || !name.iter().all(good) {
        return None;
    }
    String::from_utf8(name.to_vec()).ok()
}

fn bytes(text: &[u8]) -> Result<usize, Fault> {
    number(text).ok_or(Fault::Syntax("the number of bytes is not 1 to 9 digits without sign and leading zero"))
}

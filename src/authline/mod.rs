//! The AUTH line protocol: SASL for protocols of lines, beanstalkd's above all.
//!
//! `docs/auth-line-protocol.md` specifies it. Both ends are here, without I/O: bytes go in at any
//! split, bytes and events come out.
//!
//! - [`request`], [`reply`]: the messages, parsed and printed;
//! - [`decoder`]: cuts messages out of a stream, with limits that hold before anything is stored;
//! - [`server`], [`client`]: one connection's dialogue, around a [`crate::session::Session`].
//!
//! Time is the caller's: how long a peer may take is not decided here.

pub mod client;
pub mod decoder;
pub mod reply;
pub mod request;
pub mod server;

use thiserror::Error;

use crate::config::Config;

/// Longest line, its CRLF included. It is beanstalkd's.
pub const LINE_LIMIT: usize = 224;

/// Longest mechanism name that is read at all.
pub const NAME_LIMIT: usize = 32;

/// Longest token of SASL, in bytes, unless the caller says otherwise.
pub const TOKEN_LIMIT: usize = 65_536;

/// Why a stream is no dialogue of this protocol. After any of these nothing can be read any more,
/// as nobody knows where the next message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// No CRLF within [`LINE_LIMIT`].
    #[error("a line is longer than {LINE_LIMIT} bytes")]
    LineTooLong,
    /// A line feed without a carriage return before it.
    #[error("a line does not end with CRLF")]
    BareLineFeed,
    /// A command or reply of this protocol with wrong arguments.
    #[error("{0}")]
    Syntax(&'static str),
    /// More bytes announced than are read.
    #[error("a token of {size} bytes is announced, the limit is {limit}")]
    TooBig {
        /// What the peer announced.
        size: usize,
        /// What is read.
        limit: usize,
    },
    /// The bytes announced are not followed by CRLF.
    #[error("the data is not followed by CRLF: it is longer than announced")]
    ExpectedCrlf,
}

/// `bytes = "0" / (%x31-39 *8DIGIT)`: no sign, no leading zero, nine digits at most.
fn number(text: &[u8]) -> Option<usize> {
    let fits = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 9 && text.iter().all(u8::is_ascii_digit);
    if !fits {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The protocol has no room for a security layer: none is offered, none accepted.
fn without_layer(config: &mut Config) {
    // The value is in the option's range, so this cannot be refused.
    let _ = config.set("maxssf", Some("0"));
}

/// Writes `head`, then, if there is data, its length and the data.
fn message(head: &str, data: Option<&[u8]>) -> Vec<u8> {
    // Exactly as long as needed: a buffer that grows leaves copies of what it held.
    let Some(data) = data else { return [head.as_bytes(), b"\r\n"].concat() };
    [head.as_bytes(), b" ", data.len().to_string().as_bytes(), b"\r\n", data, b"\r\n"].concat()
}

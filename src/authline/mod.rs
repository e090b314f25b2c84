//! The AUTH line protocol: SASL for line-based protocols, mainly that of beanstalkd.
//!
//! `docs/auth-line-protocol.md` specifies it. Both sides are here, without I/O: bytes go in, however they are divided, and
//! bytes and events come out.
//!
//! - [`request`], [`reply`]: the messages, parsed and printed;
//! - [`decoder`]: divides a stream into messages, and checks limits before anything is stored;
//! - [`server`], [`client`]: one connection's dialogue, with a [`crate::session::Session`].
//!
//! The caller must limit the time that a peer may take.
//!
//! ```
//! use authen_sasl_rust::authline::server::{Event, Server};
//! use authen_sasl_rust::contract::{Abilities, Answer};
//! use authen_sasl_rust::{mechanism, world::LocalWorld};
//!
//! let mut world = LocalWorld::default();
//! let mut server = Server::new("PLAIN", mechanism::registry());
//! server.session.config.abilities = Abilities::CHECK_PASSWORD;
//!
//! let mut input = &b"auth-start PLAIN 12\r\n\0fred\0pencil\r\nput 0 0 60 5\r\n"[..];
//! assert!(matches!(server.receive(&mut input, &mut world.lend()), Event::Ask));
//! server.answer(Answer::Verdict(true), &mut world.lend());
//! assert!(matches!(server.receive(&mut input, &mut world.lend()), Event::Authenticated));
//! assert_eq!(server.identity().authcid.as_deref(), Some("fred"));
//! server.accept();
//! assert!(matches!(server.receive(&mut input, &mut world.lend()), Event::Open));
//! assert_eq!(server.output(), b"OK\r\n");
//! // The client's next command is for the protocol behind this one.
//! assert_eq!(input, b"put 0 0 60 5\r\n");
//! ```

pub mod client;
pub mod decoder;
pub mod reply;
pub mod request;
pub mod server;

use thiserror::Error;

use crate::config::Config;

/// Longest line, including CRLF. It is the limit of beanstalkd.
pub const LINE_LIMIT: usize = 224;

/// Longest mechanism name that is accepted.
pub const NAME_LIMIT: usize = 32;

/// Default of the longest SASL token, in bytes.
pub const TOKEN_LIMIT: usize = 65_536;

/// Why a stream does not belong to this protocol. After any of these nothing can be read any more, since the beginning of
/// the next message is unknown.
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
    /// The announced data is longer than the limit.
    #[error("a token of {size} bytes is announced, the limit is {limit}")]
    TooBig {
        /// The announced length.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// There is no CRLF after the announced data.
    #[error("the data is not followed by CRLF: it is longer than announced")]
    ExpectedCrlf,
}

/// `bytes = "0" / (%x31-39 *8DIGIT)`: no sign, no leading zero, at most nine digits.
fn number(text: &[u8]) -> Option<usize> {
    let fits = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 9 && text.iter().all(u8::is_ascii_digit);
    if !fits {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The protocol cannot carry a security layer: none is offered, and none is accepted.
fn without_layer(config: &mut Config) {
    // The value is within the option's range, so this cannot fail.
    let _ = config.set("maxssf", Some("0"));
}

/// Prints `head`, then, if there is data, its length and the data.
fn message(head: &str, data: Option<&[u8]>) -> Vec<u8> {
    // Exactly as long as needed: a buffer that grows leaves copies of its contents behind.
    let Some(data) = data else { return [head.as_bytes(), b"\r\n"].concat() };
    [head.as_bytes(), b" ", data.len().to_string().as_bytes(), b"\r\n", data, b"\r\n"].concat()
}

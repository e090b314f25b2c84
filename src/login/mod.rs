//! Logs in, or lets log in, with few lines: a [`Client`] and a [`Server`] that take messages and return messages.
//!
//! Both are made for one connection of a protocol without security layers, such as IMAP, SMTP, POP3, XMPP or IRC. The program
//! sends and receives; a message is bytes, or base64 text ([`Client::respond_base64`], [`Server::step_base64`]). No password is
//! sent or accepted in the clear: PLAIN and its like are used only if the program says that TLS protects the connection
//! (`over_tls`). What they do not cover, [`crate::session`] does: other questions to the application, security layers, OAuth
//! servers, asynchronous account stores.
//!
//! ```
//! use authen_sasl_rust::login::{Client, Reply, Server};
//!
//! let mut server = Server::new(|user| (user == "fred").then(|| "pencil".to_owned().into()));
//! let mut client = Client::with_password("fred", "pencil");
//!
//! let mechanism = client.choose(&server.offer("SCRAM-SHA-256 PLAIN"))?;
//! let mut reply = server.start(mechanism, client.initial_response()?.as_deref());
//! while let Reply::Challenge(challenge) = reply {
//!     reply = server.step(&client.respond(&challenge)?);
//! }
//! assert!(matches!(reply, Reply::Success(None)));
//! client.finish(None)?;
//! assert_eq!((mechanism, server.user()), ("SCRAM-SHA-256", Some("fred")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/` in the crate has programs that log in to an IMAP server, blocking and with tokio, and an IMAP server.

mod client;
mod exchange;
mod server;
#[cfg(test)]
mod tests;
mod text;

pub use client::Client;
pub use server::{Reply, Server};

//! Limits of the values that are read from a peer and taken from the application.
//!
//! ```
//! use authen_sasl_rust::contract::Side;
//! use authen_sasl_rust::session::{Outcome, Session};
//! use authen_sasl_rust::{limits::MESSAGE_LIMIT, mechanism, world::LocalWorld};
//!
//! let mut server = Session::new(Side::Server, mechanism::registry());
//! server.pick("ANONYMOUS")?;
//! let long = vec![b'x'; MESSAGE_LIMIT + 1];
//! assert_eq!(server.start(Some(&long), &mut LocalWorld::default().lend()), Outcome::Failed);
//! assert_eq!(server.failure().unwrap().error.to_string(), "message: it is longer than 1048576 bytes");
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

/// Longest message that is read from a peer, in bytes. The longest in practice are Kerberos tickets with Windows
/// authorization data: some hundred kilobytes.
pub const MESSAGE_LIMIT: usize = 1 << 20;

/// Longest name (authentication or authorization identity, host, port) of a peer or of the application, in bytes.
/// The longest name in a standard is XMPP's address of 3071 bytes (RFC 7622 §3.1).
pub const NAME_LIMIT: usize = 4096;

/// Longest password, token or verifier of the application, in bytes.
pub const SECRET_LIMIT: usize = 1 << 16;

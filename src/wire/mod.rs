//! Parsing and printing. Each is the inverse of the other.
//!
//! ```
//! use authen_sasl_rust::wire::scram::ClientFirst;
//! use authen_sasl_rust::wire::{names, saslprep};
//!
//! // RFC 5802 §5
//! let message = b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
//! let first = ClientFirst::parse(message)?;
//! assert_eq!((&*first.name, first.nonce), ("user", "fyko+d2lbbFgONRv9qkxdawL"));
//! let mut printed = Vec::new();
//! first.print(&mut printed);
//! assert_eq!(printed, message);
//!
//! assert_eq!(saslprep::query("I\u{ad}X").unwrap(), "IX"); // RFC 4013 §3
//! assert!(names::offers_binding("PLAIN scram-sha-256-plus"));
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

pub mod client_keys;
pub mod digest;
pub mod fields;
pub mod gs2;
pub mod hex;
pub mod json;
pub mod kvpairs;
pub mod names;
pub mod saslname;
pub mod saslprep;
pub mod scram;

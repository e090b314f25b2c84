//! The types that mechanisms, sessions and applications exchange: properties and their values, questions and answers, the
//! abilities of an application, descriptions of mechanisms, and what may be shown of messages.
//!
//! [`crate::contract`] has them too, for the authors of mechanisms.
//!
//! ```
//! use authen_sasl_rust::contract::{Abilities, CredentialKind, Property, Values};
//! use authen_sasl_rust::{crypto::hash::Hash, mechanism};
//!
//! let scram = mechanism::find("SCRAM-SHA-256").unwrap();
//! assert_eq!(scram.credential, CredentialKind::Scram(Hash::Sha256));
//! assert!(scram.client_needs.contains(Abilities::PASSWORD));
//!
//! let mut values = Values::default();
//! values.push(Property::Authcid, b"fred"[..].to_vec().into());
//! assert_eq!(values.require_text(Property::Authcid)?, "fred");
//! assert_eq!(values.require(Property::Password).unwrap_err().to_string(), "no password");
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

mod description;
mod outline;
mod questions;
mod sets;
mod values;

pub use description::{CredentialKind, Description};
pub use outline::{Outline, Sent};
pub use questions::{Answer, Question, TokenVerdict};
pub use sets::{Abilities, SecurityFlags};
pub use values::{Property, Values};

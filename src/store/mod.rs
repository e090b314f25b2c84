//! Stored verifiers and issued tokens as values, mock credentials for unknown users, and a client's cache of derived keys.
//!
//! ```
//! use authen_sasl_rust::secret::Secret;
//! use authen_sasl_rust::store::check::check_password;
//! use authen_sasl_rust::store::verifier::{make_text, VerifierFormat};
//! use authen_sasl_rust::world::LookupMemory;
//!
//! let verifier = make_text("SCRAM-SHA-256", "pencil", None, 4096, VerifierFormat::Rfc5803)?;
//! assert!(verifier.starts_with("SCRAM-SHA-256$4096:"));
//! let lookups = LookupMemory::new();
//! assert!(check_password(Some(verifier.into()), &Secret::new(b"pencil"), 4096, &lookups)?);
//! // An unknown user fails after the same work.
//! assert!(!check_password(None, &Secret::new(b"pencil"), 4096, &lookups)?);
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

pub mod check;
pub mod keys;
#[doc(hidden)]
pub mod mock;
#[cfg(feature = "otp")]
pub mod otp;
pub mod tokens;
pub mod verifier;

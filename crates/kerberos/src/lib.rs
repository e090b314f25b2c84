//! Kerberos: GSSAPI (RFC 4752), GSS-SPNEGO, GS2-KRB5 and GS2-KRB5-PLUS (RFC 5801). They use the system's GSS-API library,
//! which is opened at run time. Each file imports only files of lower floors:
//!
//! | floor | files | what |
//! |---|---|---|
//! | 2 | `mechanism/` | the mechanisms |
//! | 1 | `gssapi/` | the library |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

pub mod gssapi;
mod mechanism;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use mechanism::fuzzing;

use std::sync::{Arc, OnceLock};

use authen_sasl_rust::contract::Mechanism;
use authen_sasl_rust::mechanism::ALL;
use authen_sasl_rust::registry::Registry;

/// All of these mechanisms. [`Mechanism::unavailable_reason`] checks that this machine has the library.
pub static MECHANISMS: &[&dyn Mechanism] =
    &[&mechanism::GS2_KRB5_PLUS, &mechanism::GSSAPI, &mechanism::GSS_SPNEGO, &mechanism::GS2_KRB5];

/// The registry of the core's mechanisms and of these.
pub fn registry() -> Arc<Registry> {
    static REGISTRY: OnceLock<Arc<Registry>> = OnceLock::new();
    Arc::clone(REGISTRY.get_or_init(|| Arc::new(Registry::new(ALL.iter().chain(MECHANISMS).copied()))))
}

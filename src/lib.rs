//! SASL mechanisms (RFC 4422), client and server, without I/O.
//!
//! This crate is the core of Perl's `Authen::SASL::Rust`. It opens no file and no socket, and knows neither Perl nor C;
//! the crates in `crates/` do that. Each file imports only files of lower floors. A test (`xt/imports.t`) compares the
//! imports with this table:
//!
//! | floor | files | what |
//! |---|---|---|
//! | 12 | `guide/` | documentation only: how to write a mechanism and an account store, how to drive a session |
//! | 11 | `login/` | logs in, and lets log in, in few lines |
//! | 10 | `mechanism/`, `authline/` | one file or folder per mechanism; the AUTH line protocol, both ends |
//! | 9 | `session/` | drives one exchange of one side |
//! | 8 | `negotiate.rs` | chooses the mechanism; has a reason for each one rejected |
//! | 7 | `registry.rs`, `layer/`, `store/` | the mechanisms of a program; framing of security layers; stored verifiers |
//! | 6 | `contract.rs` | the interface of a mechanism |
//! | 5 | `accounts.rs` | the interface of an account store |
//! | 4 | `config/`, `world/` | options of a connection; what a program lends for one call |
//! | 3 | `vocabulary/` | properties, questions, answers, descriptions of mechanisms |
//! | 2 | `wire/` | parsing and printing |
//! | 1 | `error/`, `crypto/`, `secret.rs`, `limits.rs` | import nothing of ours |
//!
//! The floors below `login/` are for programs that need more than it offers. `wire/`, `limits.rs`, `vocabulary/` (which `contract`
//! exports), `authline/` and parts of `crypto/` are public only for the crates above this one; the documentation does not list them, and
//! they may change in any version.
//!
//! ```
//! use authen_sasl_rust::login::Client;
//!
//! let mut client = Client::with_password("fred", "pencil").over_tls(256);
//! assert_eq!(client.choose("PLAIN X-OTHER")?, "PLAIN");
//! assert_eq!(client.initial_response()?.as_deref(), Some(&b"\0fred\0pencil"[..]));
//! client.finish(None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
// A peer's bytes never cause a panic: clippy rejects each call that could, outside tests.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

pub mod accounts;
#[doc(hidden)]
pub mod authline;
pub mod config;
pub mod contract;
pub mod crypto;
pub mod error;
pub mod guide;
pub mod layer;
#[doc(hidden)]
pub mod limits;
pub mod login;
pub mod mechanism;
pub mod negotiate;
pub mod registry;
pub mod secret;
pub mod session;
pub mod store;
#[doc(hidden)]
pub mod vocabulary;
#[doc(hidden)]
pub mod wire;
pub mod world;

/// Runs the programs of the crate's first page.
#[cfg(doctest)]
#[doc = include_str!("../docs/crate.md")]
struct FirstPage;

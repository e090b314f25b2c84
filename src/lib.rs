//! SASL mechanisms (RFC 4422), client and server, without I/O.
//!
//! This crate is the core of Perl's `Authen::SASL::Rust`. It opens no file and no socket, and knows neither Perl nor C;
//! the crates in `crates/` do that. Each file imports only files of lower floors. A test (`xt/imports.t`) compares the
//! imports with this table:
//!
//! | floor | files | what |
//! |---|---|---|
//! | 11 | `guide/` | documentation only: how to write a mechanism and an account store, how to drive a session |
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
//! ```
//! use authen_sasl_rust::contract::{Abilities, Answer, Property, Side, Values};
//! use authen_sasl_rust::session::{Outcome, Session};
//! use authen_sasl_rust::world::LocalWorld;
//!
//! let mut world = LocalWorld::default();
//! let mut client = Session::new(Side::Client, authen_sasl_rust::mechanism::registry());
//! client.config.abilities = Abilities::AUTHCID.union(Abilities::PASSWORD);
//! client.pick("PLAIN")?;
//! assert_eq!(client.start(None, &mut world.lend()), Outcome::Ask);
//!
//! let mut values = Values::default();
//! values.push(Property::Authcid, b"fred"[..].to_vec().into());
//! values.push(Property::Password, b"pencil"[..].to_vec().into());
//! assert_eq!(client.answer(Answer::Values(values), &mut world.lend()), Outcome::Send);
//! assert_eq!(client.message(), b"\0fred\0pencil");
//! assert!(client.is_success());
//! # Ok::<(), authen_sasl_rust::error::Error>(())
//! ```

#![forbid(unsafe_code)]
// A peer's bytes never cause a panic: clippy rejects each call that could, outside tests.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

pub mod accounts;
pub mod authline;
pub mod config;
pub mod contract;
pub mod crypto;
pub mod error;
pub mod guide;
pub mod layer;
pub mod limits;
pub mod mechanism;
pub mod negotiate;
pub mod registry;
pub mod secret;
pub mod session;
pub mod store;
pub mod vocabulary;
pub mod wire;
pub mod world;

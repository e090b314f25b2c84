//! SASL mechanisms (RFC 4422), client and server, without I/O.
//!
//! This crate is the core of Perl's `Authen::SASL::Rust`. Imports only point down:
//!
//! - [`contract`], [`config`], [`error`], [`secret`]: what everything else is written against;
//! - [`wire`], [`crypto`], [`store`], [`layer`]: parsing and printing, hashes, stored keys, the framing of security layers;
//! - [`gssapi`]: the system's Kerberos, opened at run time;
//! - [`mechanism`]: one file a mechanism, and the registry;
//! - [`plugin`]: mechanisms that live in the shared objects of Cyrus SASL;
//! - [`negotiate`]: which mechanism, and the reason for each one refused;
//! - [`session`]: drives one exchange of one side;
//! - [`authline`]: a protocol that carries exchanges over a stream of lines, both ends;
//! - `ffi`: the C surface that the Perl extension links.
//!
//! ```
//! use authen_sasl_rust::contract::{Abilities, Answer, Property, Side, Values};
//! use authen_sasl_rust::session::{Outcome, Session};
//! use authen_sasl_rust::world::LocalWorld;
//!
//! let mut world = LocalWorld::default();
//! let mut client = Session::new(Side::Client);
//! client.config.abilities = Abilities::AUTHCID.and(Abilities::PASSWORD);
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

pub mod authline;
pub mod config;
pub mod contract;
pub mod crypto;
pub mod error;
pub mod ffi;
pub mod gssapi;
pub mod layer;
pub mod mechanism;
pub mod negotiate;
pub mod plugin;
pub mod secret;
pub mod session;
pub mod store;
pub mod wire;
pub mod world;

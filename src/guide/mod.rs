//! How to use this crate: pages of documentation. Their programs are run as tests.
//!
//! - [`mechanism`]: write a mechanism, in a crate of your own;
//! - [`account_store`]: write an account store for servers;
//! - [`own_protocol`]: drive a session over a protocol of your own, blocking or asynchronous.

pub mod account_store;
pub mod mechanism;
pub mod own_protocol;

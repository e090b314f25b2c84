//! Accounts in servers: PostgreSQL, LDAP, and what a configuration of Cyrus SASL names. A [`Store`] asks them on a thread of its own and
//! never blocks its caller.
//!
//! An [`Engine`] asks one kind of server. Deadlines, the limit of look-ups at once, the cache and the figures belong to the
//! [`Store`] around it, and opening a lost connection again to [`link::Link`].
//!
//! | floor | files | what |
//! |---|---|---|
//! | 4 | `cyrus.rs`, `ldap/`, `postgres/` | Cyrus SASL's plugins and saslauthd; LDAP; PostgreSQL |
//! | 3 | `store.rs`, `link.rs` | what all engines share; a connection that is opened again when it is lost |
//! | 2 | `cache.rs`, `engine.rs` | answers of the last seconds; what an engine does |
//! | 1 | `account.rs`, `figures.rs`, `settings.rs` | an account; counts and times for the metrics; limits of look-ups |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod account;
mod cache;
#[cfg(feature = "cyrus")]
pub mod cyrus;
mod engine;
mod figures;
#[cfg(feature = "ldap")]
pub mod ldap;
pub mod link;
#[cfg(feature = "postgres")]
pub mod postgres;
mod settings;
mod store;

pub use account::{Account, Answer, Groups, Unavailable};
pub use engine::{Asking, Engine};
pub use figures::{Figures, BOUNDS};
pub use settings::StoreSettings;
pub use store::Store;

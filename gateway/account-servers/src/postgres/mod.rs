//! Accounts in a PostgreSQL database.

mod settings;

pub use settings::{Settings, QUERY};

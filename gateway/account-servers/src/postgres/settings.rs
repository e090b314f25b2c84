//! The table `postgres`.

use std::path::PathBuf;

use serde::Deserialize;

/// The query if none is set. `docs/postgres.sql` creates these tables.
pub const QUERY: &str = "SELECT verifier, disabled, groups FROM sasl_accounts WHERE name = $1";

/// Where the accounts are, and how they are found.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A libpq URL or `keyword=value` pairs, without a password.
    pub connection: String,
    /// A file with the password. It is read again for each connection.
    pub password_file: Option<PathBuf>,
    /// CAs of the server's certificate, PEM. With them, nothing is sent without TLS.
    pub ca: Option<PathBuf>,
    /// `$1` is the user's name.
    pub query: String,
    /// How many connections at most. Look-ups do not wait for each other on them.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { connection: String::new(), password_file: None, ca: None, query: QUERY.into(), connections: 2 }
    }
}

//! The table `postgres`.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::Config;

/// The query if none is set. `docs/postgres.sql` creates this view.
pub const QUERY: &str = "SELECT verifier, disabled, groups FROM sasl_accounts WHERE name = $1";

/// The statement of `sasl-gate passwd` if none is set. `docs/postgres.sql` creates this function.
pub const UPDATE: &str = "SELECT sasl_set_verifiers($1, $2)";

/// The statement for `upgrade` if none is set. `docs/postgres.sql` creates this function.
pub const UPGRADE: &str = "SELECT sasl_upgrade_verifier($1, $2, $3)";

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
    /// `$1` is the user's name, `$2` an array of all verifiers.
    pub update: String,
    /// `$1` is the user's name, `$2` a stronger verifier, `$3` the one with which the password was compared.
    pub upgrade: String,
    /// How many connections at most.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            connection: String::new(),
            password_file: None,
            ca: None,
            query: QUERY.into(),
            update: UPDATE.into(),
            upgrade: UPGRADE.into(),
            connections: 2,
        }
    }
}

impl Settings {
    /// Checks the values, without reading the files that they name.
    ///
    /// # Errors
    /// The setting, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        self.config().map(drop)
    }

    /// How to connect.
    pub(super) fn config(&self) -> Result<Config, String> {
        for (setting, statement, parameters) in [
            ("query", &self.query, &["$1"][..]),
            ("update", &self.update, &["$1", "$2"]),
            ("upgrade", &self.upgrade, &["$1", "$2", "$3"]),
        ] {
            if let Some(missing) = parameters.iter().find(|parameter| !statement.contains(**parameter)) {
                return Err(format!("postgres.{setting}: the parameter {missing} is missing"));
            }
        }
        if !(1..=64).contains(&self.connections) {
            return Err("postgres.connections: expected 1 to 64".into());
        }
        if self.connection.trim().is_empty() {
            return Err("postgres.connection: empty".into());
        }
        // The parser's error may quote a part of the text, so a password must not be in it.
        let mut config: Config = self.connection.parse().map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => format!("postgres.connection: {cause}"),
            None => format!("postgres.connection: {error}"),
        })?;
        if config.get_password().is_some() {
            return Err("postgres.connection: a password must not be here; use postgres.password_file".into());
        }
        if config.get_application_name().is_none() {
            config.application_name("sasl-gate");
        }
        let is_remote = |host: &Host| match host {
            Host::Tcp(name) => name != "localhost" && !name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
            #[cfg(unix)]
            Host::Unix(_) => false,
        };
        // An address has precedence over the host's name.
        let crosses_network = match config.get_hostaddrs() {
            [] => config.get_hosts().iter().any(is_remote),
            addresses => addresses.iter().any(|address| !address.is_loopback()),
        };
        match (&self.ca, config.get_ssl_mode()) {
            (Some(_), SslMode::Disable) => return Err("postgres.ca: sslmode=disable contradicts it".into()),
            (Some(_), _) => config.ssl_mode(SslMode::Require),
            (None, SslMode::Prefer) if crosses_network => {
                return Err(
                    "postgres.ca: required for another machine, unless the connection has sslmode=disable".into()
                );
            }
            (None, SslMode::Prefer | SslMode::Disable) => config.ssl_mode(SslMode::Disable),
            (None, _) => return Err("postgres.ca: required for TLS".into()),
        };
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting_and_show_no_password() {
        let with = |connection: &str, ca: bool| Settings {
            connection: connection.into(),
            ca: ca.then(|| "/ca".into()),
            ..Settings::default()
        };
        let good = with("host=/run/postgresql user=gate", false);
        for connection in [
            "host=127.0.0.1 dbname=a",
            "postgresql://gate@localhost/a",
            "host=db.example.org sslmode=disable",
            "host=db hostaddr=127.0.0.1",
        ] {
            assert_eq!(with(connection, false).check(), Ok(()), "{connection}");
        }
        assert_eq!(
            with("host=db.example.org", true).config().map(|config| config.get_ssl_mode()),
            Ok(SslMode::Require)
        );
        for (settings, word) in [
            (Settings::default(), "postgres.connection: empty"),
            (with("host=127.0.0.1 password=hunter2", false), "postgres.password_file"),
            (with("postgresql://gate:hunter2@localhost/", false), "postgres.password_file"),
            (with("host=127.0.0.1 colour=red", false), "postgres.connection: unknown option"),
            (with("host=127.0.0.1 sslmode=require", false), "postgres.ca: required for TLS"),
            (with("host=db.example.org", false), "postgres.ca: required for another machine"),
            (with("hostaddr=192.0.2.7", false), "postgres.ca: required for another machine"),
            (with("host=localhost hostaddr=192.0.2.7", false), "postgres.ca: required for another machine"),
            (with("host=a,b hostaddr=127.0.0.1,192.0.2.7", false), "postgres.ca: required for another machine"),
            (with("host=127.0.0.1 sslmode=disable", true), "postgres.ca"),
            (Settings { connections: 0, ..good.clone() }, "postgres.connections"),
            (Settings { query: "SELECT verifier FROM a".into(), ..good.clone() }, "postgres.query: the parameter $1"),
            (Settings { update: "SELECT f($1)".into(), ..good.clone() }, "postgres.update: the parameter $2"),
            (Settings { upgrade: "SELECT f($1, $2)".into(), ..good.clone() }, "postgres.upgrade: the parameter $3"),
        ] {
            let error = settings.check().unwrap_err();
            assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
        }
    }
}

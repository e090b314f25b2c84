//! Limits on connections, failures and times.

use std::time::Duration;

use serde::Deserialize;

use crate::network::Network;

/// The longest configurable time in seconds. Longer ones are mistakes, and very long ones would overflow the clock.
const MAX_SECONDS: u64 = 365 * 86_400;

/// The default of `revocation_seconds` with an account server.
const SERVER_REVOCATION_SECONDS: u64 = 60;

/// The table `limits`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Concurrent connections.
    pub connections: usize,
    /// Concurrent connections that are not authenticated yet. The default is half of `connections`.
    pub unauthenticated: Option<usize>,
    /// Concurrent unauthenticated connections from one address.
    pub unauthenticated_per_address: usize,
    /// Concurrent connections of one user; 0: no limit.
    pub connections_per_user: usize,
    /// Failures from one address within the window, after which it is blocked until the window ends.
    pub failures_per_address: u32,
    /// Failures of one user from one address within the window, after which this user is blocked there. The default is half of
    /// `failures_per_address`.
    pub failures_per_user: Option<u32>,
    /// Networks to which the limits per address do not apply.
    pub exempt: Vec<Network>,
    /// In seconds.
    pub failure_window: u64,
    /// Failures on one connection, after which it is closed.
    pub failures_per_connection: u32,
    /// Seconds from accept to OK, including the TLS handshake.
    pub login_seconds: u64,
    /// Seconds for connecting to the backend.
    pub backend_seconds: u64,
    /// Seconds without data from the backend after the client has closed its side.
    pub half_closed_seconds: u64,
    /// Seconds between two looks for users who may not stay; 0: only a reload looks. The default depends on the account stores.
    pub revocation_seconds: Option<u64>,
    /// Seconds that authenticated connections may continue after SIGTERM.
    pub drain_seconds: u64,
    /// Maximum size of one SASL message in bytes.
    pub token_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 65_536,
            unauthenticated: None,
            unauthenticated_per_address: 256,
            connections_per_user: 0,
            failures_per_address: 20,
            failures_per_user: None,
            exempt: Vec::new(),
            failure_window: 60,
            failures_per_connection: 3,
            login_seconds: 30,
            backend_seconds: 5,
            half_closed_seconds: 60,
            revocation_seconds: None,
            drain_seconds: 30,
            token_bytes: 12_288,
        }
    }
}

impl Limits {
    /// The maximum number of unauthenticated connections. The others are reserved for authenticated clients.
    pub fn unauthenticated(&self) -> usize {
        self.unauthenticated.unwrap_or((self.connections / 2).max(1))
    }

    /// The maximum number of failures of one user from one address.
    pub fn failures_per_user(&self) -> u32 {
        self.failures_per_user.unwrap_or((self.failures_per_address / 2).max(1))
    }

    pub fn login(&self) -> Duration {
        Duration::from_secs(self.login_seconds)
    }

    pub fn window(&self) -> Duration {
        Duration::from_secs(self.failure_window)
    }

    pub fn backend(&self) -> Duration {
        Duration::from_secs(self.backend_seconds)
    }

    pub fn half_closed(&self) -> Duration {
        Duration::from_secs(self.half_closed_seconds)
    }

    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// How often to look for users who may not stay. `has_server`: accounts are in a server, which knows nothing of reloads.
    pub fn revocation(&self, has_server: bool) -> Option<Duration> {
        let default = if has_server { SERVER_REVOCATION_SECONDS } else { 0 };
        Some(self.revocation_seconds.unwrap_or(default)).filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// Checks the values.
    pub fn check(&self) -> Result<(), String> {
        if !(12_288..=1 << 20).contains(&self.token_bytes) {
            return Err("limits.token_bytes: expected 12288 to 1048576".into());
        }
        for (name, value) in [
            ("login_seconds", self.login_seconds),
            ("backend_seconds", self.backend_seconds),
            ("failure_window", self.failure_window),
            ("half_closed_seconds", self.half_closed_seconds),
            ("drain_seconds", self.drain_seconds),
            ("revocation_seconds", self.revocation_seconds.unwrap_or(0)),
        ] {
            if value > MAX_SECONDS {
                return Err(format!("limits.{name}: at most {MAX_SECONDS} seconds (a year)"));
            }
        }
        for (name, value) in [
            ("connections", self.connections),
            ("unauthenticated_per_address", self.unauthenticated_per_address),
            ("failures_per_address", self.failures_per_address as usize),
            ("failures_per_user", self.failures_per_user() as usize),
            ("failures_per_connection", self.failures_per_connection as usize),
            ("login_seconds", self.login_seconds as usize),
            ("backend_seconds", self.backend_seconds as usize),
            ("failure_window", self.failure_window as usize),
            ("half_closed_seconds", self.half_closed_seconds as usize),
            ("unauthenticated", self.unauthenticated()),
        ] {
            if value == 0 {
                return Err(format!("limits.{name}: must not be 0"));
            }
        }
        if self.unauthenticated() > self.connections {
            return Err("limits.unauthenticated exceeds limits.connections".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_looks_by_itself_if_accounts_are_in_a_server() {
        let interval = |seconds, has_server| {
            Limits { revocation_seconds: seconds, ..Limits::default() }
                .revocation(has_server)
                .map(|time| time.as_secs())
        };
        assert_eq!((interval(None, false), interval(None, true)), (None, Some(60)));
        assert_eq!((interval(Some(5), false), interval(Some(5), true)), (Some(5), Some(5)));
        assert_eq!((interval(Some(0), false), interval(Some(0), true)), (None, None));
    }
}

//! Configuration: the TOML file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use authen_sasl_rust::contract::CredentialKind;
use serde::Deserialize;

use crate::access::Rule;
use crate::address::{Address, HostPort};
use crate::files::{self, Readers};
use crate::identity::ClientName;
use crate::mechanisms;

/// The default mechanisms. Each connection is offered those that are possible on it.
pub const MECHANISMS: &str = "EXTERNAL SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS \
    SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER PLAIN";

/// The longest configurable time in seconds. Longer ones are mistakes, and very long ones would overflow the clock.
const MAX_SECONDS: u64 = 365 * 86_400;

/// The whole configuration, as in the TOML file. `docs/sasl-gate.pod` describes each setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub listen: Vec<Address>,
    pub backend: Address,
    /// Backends by name, for the access rules.
    pub backends: BTreeMap<String, Address>,
    pub backend_tls: BackendTls,
    pub users: Option<PathBuf>,
    /// Plain-text passwords, for CRAM-MD5 and DIGEST-MD5.
    pub passwords: Option<PathBuf>,
    /// Hashes of bearer tokens.
    pub tokens: Option<PathBuf>,
    /// The users of the Unix socket for EXTERNAL, by user id.
    pub unix_users: BTreeMap<String, String>,
    pub salt_key: Option<PathBuf>,
    pub mechanisms: String,
    /// Offer PLAIN, LOGIN and the OAuth mechanisms on TCP without TLS too.
    pub plaintext: bool,
    pub service: String,
    pub host: String,
    pub access: Vec<Rule>,
    pub tls: Tls,
    pub limits: Limits,
    pub metrics: Option<HostPort>,
    pub log: Log,
    /// Also log why connections ended that were never authenticated.
    pub verbose: bool,
    pub threads: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// CAs whose certificates identify clients. A client without a certificate may use another mechanism.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists of these CAs.
    pub client_revoked: Option<PathBuf>,
    pub client_name: ClientName,
}

/// For backends that are `tls:` addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackendTls {
    /// CAs of the backends' certificates.
    pub ca: Option<PathBuf>,
    /// The name that these certificates must have, if it is not the host of the address.
    pub name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Concurrent connections.
    pub connections: usize,
    /// Concurrent connections that are not authenticated yet. The default is half of `connections`.
    pub unauthenticated: Option<usize>,
    /// Concurrent unauthenticated connections from one address.
    pub unauthenticated_per_address: usize,
    /// Failures from one address within the window, after which it is blocked until the window ends.
    pub failures_per_address: u32,
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
            failures_per_address: 20,
            failure_window: 60,
            failures_per_connection: 3,
            login_seconds: 30,
            backend_seconds: 5,
            half_closed_seconds: 60,
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
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: Vec::new(),
            backend: Address::Tcp("127.0.0.1:11300".into()),
            backends: Default::default(),
            backend_tls: BackendTls::default(),
            users: None,
            passwords: None,
            tokens: None,
            unix_users: Default::default(),
            salt_key: None,
            mechanisms: MECHANISMS.into(),
            plaintext: false,
            service: "beanstalkd".into(),
            host: "localhost".into(),
            access: Vec::new(),
            tls: Tls::default(),
            limits: Limits::default(),
            metrics: None,
            log: Log::default(),
            verbose: false,
            threads: None,
        }
    }
}

impl Settings {
    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = files::read(path, Readers::Any)?;
        let text = text.expose_str().ok_or_else(|| files::named(path, "not UTF-8"))?;
        toml::from_str(text).map_err(|error| files::named(path, error.to_string().trim_end()))
    }

    /// Whether the transport can prove identities.
    pub fn has_transport_identities(&self) -> bool {
        self.tls.client_ca.is_some() || !self.unix_users.is_empty()
    }

    fn backends(&self) -> impl Iterator<Item = &Address> {
        self.backends.values().chain([&self.backend])
    }

    /// Checks the values, without reading the files that they name.
    pub fn check(&self) -> Result<(), String> {
        let no_files = [&self.users, &self.passwords, &self.tokens].iter().all(|file| file.is_none());
        if no_files && !self.has_transport_identities() {
            return Err("no users: use --users FILE, or users = \"FILE\" in the configuration".into());
        }
        if self.listen.iter().any(|address| matches!(address, Address::Tls(_)))
            && (self.tls.certificate.is_none() || self.tls.key.is_none())
        {
            return Err("a tls: address needs a certificate and a key".into());
        }
        if self.tls.certificate.is_none() && (self.tls.client_ca.is_some() || self.tls.client_revoked.is_some()) {
            return Err("tls.client_ca needs tls.certificate".into());
        }
        if self.tls.client_ca.is_none() && self.tls.client_revoked.is_some() {
            return Err("tls.client_revoked needs tls.client_ca".into());
        }
        for address in self.backends() {
            if matches!(address, Address::Tls(_)) && self.backend_tls.ca.is_none() {
                return Err(format!("backend {address}: a tls: backend needs backend_tls.ca"));
            }
        }
        if let Some((address, _)) =
            self.listen.iter().flat_map(|here| self.backends().map(move |to| (here, to))).find(|(here, to)| here == to)
        {
            return Err(format!("backend {address}: the gateway itself listens there"));
        }
        for (uid, name) in &self.unix_users {
            if uid.parse::<u32>().is_err() || uid.starts_with('+') || name.is_empty() {
                return Err(format!("unix_users: {uid} = \"{name}\": expected a user id and a user name"));
            }
        }
        for name in self.mechanisms.split_whitespace() {
            let Some(mechanism) = mechanisms::supported(name) else {
                return Err(format!("mechanisms: {name} is not supported"));
            };
            let missing = match mechanism.credential {
                // The default ones are left out where they are not possible.
                _ if MECHANISMS.split_whitespace().any(|default| default == name) => continue,
                CredentialKind::Password if self.passwords.is_none() => "passwords = \"FILE\"",
                CredentialKind::Token if self.tokens.is_none() => "tokens = \"FILE\"",
                _ => continue,
            };
            return Err(format!("mechanisms: {name} needs {missing}"));
        }
        if self.mechanisms.split_whitespace().next().is_none() {
            return Err("mechanisms: empty".into());
        }
        let limits = &self.limits;
        if !(12_288..=1 << 20).contains(&limits.token_bytes) {
            return Err("limits.token_bytes: expected 12288 to 1048576".into());
        }
        for (name, value) in [
            ("login_seconds", limits.login_seconds),
            ("backend_seconds", limits.backend_seconds),
            ("failure_window", limits.failure_window),
            ("half_closed_seconds", limits.half_closed_seconds),
            ("drain_seconds", limits.drain_seconds),
        ] {
            if value > MAX_SECONDS {
                return Err(format!("limits.{name}: at most {MAX_SECONDS} seconds (a year)"));
            }
        }
        for (name, value) in [
            ("connections", limits.connections),
            ("unauthenticated_per_address", limits.unauthenticated_per_address),
            ("failures_per_address", limits.failures_per_address as usize),
            ("failures_per_connection", limits.failures_per_connection as usize),
            ("login_seconds", limits.login_seconds as usize),
            ("backend_seconds", limits.backend_seconds as usize),
            ("failure_window", limits.failure_window as usize),
            ("half_closed_seconds", limits.half_closed_seconds as usize),
            ("unauthenticated", limits.unauthenticated()),
        ] {
            if value == 0 {
                return Err(format!("limits.{name}: must not be 0"));
            }
        }
        if limits.unauthenticated() > limits.connections {
            return Err("limits.unauthenticated exceeds limits.connections".into());
        }
        if self.threads == Some(0) {
            return Err("threads: must not be 0".into());
        }
        for rule in &self.access {
            rule.check()?;
            if rule.backend != "default" && !self.backends.contains_key(&rule.backend) {
                return Err(format!("access: there is no backend '{}'", rule.backend));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting() {
        let good: Settings = toml::from_str(
            "listen = ['127.0.0.1:1']\nusers = '/u'\n[backends]\nlow = 'unix:/b'\n\
             [[access]]\nusers = ['w*']\nbackend = 'low'\n[limits]\nlogin_seconds = 1\n",
        )
        .unwrap();
        assert_eq!(good.check(), Ok(()));
        for (text, word) in [
            ("userz = '/u'", "userz"),
            ("users = '/u'\nlisten = ['nowhere']", "nowhere"),
            ("users = '/u'\nlisten = ['tls:1.2.3.4:5']", "certificate"),
            ("users = '/u'\nmechanisms = 'CRAM-MD5'", "CRAM-MD5"),
            ("users = '/u'\nmechanisms = 'XOAUTH2'", "tokens"),
            ("users = '/u'\nmechanisms = 'GSSAPI'", "GSSAPI"),
            ("users = '/u'\nmechanisms = 'FOO'", "FOO"),
            ("users = '/u'\nbackend = 'tls:1.2.3.4:5'", "backend_tls.ca"),
            ("users = '/u'\n[backends]\nlow = 'tls:1.2.3.4:5'", "backend_tls.ca"),
            ("users = '/u'\n[tls]\nclient_ca = '/c'", "client_ca"),
            ("users = '/u'\n[tls]\nclient_name = 'serial'", "serial"),
            ("users = '/u'\n[tls]\ncertificate = '/c'\nkey = '/k'\nclient_revoked = '/r'", "client_revoked"),
            ("unix_users = { fred = 'fred' }", "unix_users"),
            ("unix_users = { 1000 = '' }", "unix_users"),
            ("users = '/u'\nlisten = ['tcp:[::1]:5']\nbackend = '[::1]:5'", "itself listens"),
            ("users = '/u'\nmetrics = 'localhost'", "metrics"),
            ("users = '/u'\nmechanisms = ' '", "mechanisms"),
            ("users = '/u'\n[limits]\nunauthenticated = 0", "limits.unauthenticated"),
            ("users = '/u'\n[limits]\nconnections = 5\nunauthenticated = 6", "limits.unauthenticated"),
            ("users = '/u'\n[limits]\nhalf_closed_seconds = 0", "half_closed_seconds"),
            ("users = '/u'\n[limits]\ntoken_bytes = 1", "token_bytes"),
            ("users = '/u'\n[limits]\nlogin_seconds = 0", "login_seconds"),
            ("users = '/u'\n[limits]\nlogin_seconds = 9223372036854775807", "login_seconds"),
            ("users = '/u'\n[limits]\ndrain_seconds = 31536001", "drain_seconds"),
            ("users = '/u'\n[[access]]\nusers = ['fred', 'wor\u{ad}ker-*']", "'worker-*'"),
            ("users = '/u'\n[[access]]\nusers = [\"\\u0007\"]", "not a valid"),
            ("users = '/u'\n[[access]]\nusers = ['*']\nbackend = 'x'", "'x'"),
            ("backend = '127.0.0.1:1'", "users"),
        ] {
            let read: Result<Settings, _> = toml::from_str(text);
            let error = match read {
                Err(error) => error.to_string(),
                Ok(settings) => settings.check().unwrap_err(),
            };
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

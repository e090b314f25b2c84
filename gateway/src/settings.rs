//! What the gateway is told: the command line, and a TOML file with the same words.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::access::Rule;

/// Mechanisms that are offered unless others are named, as far as the connection allows.
pub const MECHANISMS: &str = "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS \
    SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN";

/// A place to listen at, or to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

impl Address {
    /// `host:port`, `tls:host:port` or `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match Path::new(path).is_absolute() {
                true => Ok(Address::Unix(path.into())),
                false => Err(format!("'{text}': a Unix socket's path is absolute")),
            };
        }
        let (tls, place) = match text.strip_prefix("tls:") {
            Some(place) => (true, place),
            None => (false, text.strip_prefix("tcp:").unwrap_or(text)),
        };
        let well_formed = place.parse::<SocketAddr>().is_ok()
            || place.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok()
            });
        match (well_formed, tls) {
            (false, _) => Err(format!("'{text}': host:port, tls:host:port or unix:/path was expected")),
            (true, true) => Ok(Address::Tls(place.into())),
            (true, false) => Ok(Address::Tcp(place.into())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(place) => f.write_str(place),
            Address::Tls(place) => write!(f, "tls:{place}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Address::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The whole configuration, as the TOML file has it. `docs/sasl-gate.1.md` describes each word.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub listen: Vec<Address>,
    pub backend: Address,
    /// Backends by name, for the rules.
    pub backends: std::collections::BTreeMap<String, Address>,
    pub users: Option<PathBuf>,
    pub salt_key: Option<PathBuf>,
    pub mechanisms: String,
    /// Offer PLAIN and LOGIN on TCP without TLS too.
    pub plaintext: bool,
    pub service: String,
    pub host: String,
    pub access: Vec<Rule>,
    pub tls: Tls,
    pub limits: Limits,
    pub metrics: Option<SocketAddr>,
    pub log: Log,
    pub threads: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
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
    /// Connections at once, all of them.
    pub connections: usize,
    /// Connections of one address that are not authenticated yet.
    pub unauthenticated_per_address: usize,
    /// Failures of one address within the window, after which it is refused until the window ends.
    pub failures_per_address: u32,
    /// Seconds.
    pub failure_window: u64,
    /// Failures of one connection, after which it is closed.
    pub failures_per_connection: u32,
    /// Seconds from accept to OK, the TLS handshake included.
    pub login_seconds: u64,
    /// Seconds for the connection to the backend.
    pub backend_seconds: u64,
    /// Seconds that authenticated connections go on after SIGTERM.
    pub drain_seconds: u64,
    /// Bytes of one SASL token.
    pub token_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 65_536,
            unauthenticated_per_address: 256,
            failures_per_address: 20,
            failure_window: 60,
            failures_per_connection: 3,
            login_seconds: 30,
            backend_seconds: 5,
            drain_seconds: 30,
            token_bytes: 65_536,
        }
    }
}

impl Limits {
    pub fn login(&self) -> Duration {
        Duration::from_secs(self.login_seconds)
    }

    pub fn backend(&self) -> Duration {
        Duration::from_secs(self.backend_seconds)
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
            users: None,
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
            threads: None,
        }
    }
}

impl Settings {
    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.to_string().trim_end()))
    }

    /// Whatever is wrong with the values, as far as it shows without the files that they name.
    pub fn check(&self) -> Result<(), String> {
        if self.users.is_none() {
            return Err("no users: --users FILE, or users = \"FILE\" in the configuration".into());
        }
        if self.listen.iter().any(|address| matches!(address, Address::Tls(_)))
            && (self.tls.certificate.is_none() || self.tls.key.is_none())
        {
            return Err("a tls: address needs a certificate and a key".into());
        }
        for address in self.backends.values().chain([&self.backend]) {
            if matches!(address, Address::Tls(_)) {
                return Err(format!("backend {address}: TLS to the backend is not supported"));
            }
        }
        for name in self.mechanisms.split_whitespace() {
            match authen_sasl_rust::mechanism::find(name) {
                None => return Err(format!("mechanisms: there is no {name}")),
                // A verifier is no password, and nobody here can judge a token.
                Some(_) if !name.starts_with("SCRAM-") && !["PLAIN", "LOGIN", "ANONYMOUS"].contains(&name) => {
                    return Err(format!("mechanisms: {name} cannot work with the users of a file of stored keys"));
                }
                Some(_) => {}
            }
        }
        if self.mechanisms.split_whitespace().next().is_none() {
            return Err("mechanisms: none is named".into());
        }
        let limits = &self.limits;
        if !(12_288..=1 << 20).contains(&limits.token_bytes) {
            return Err("limits.token_bytes: a number from 12288 to 1048576 was expected".into());
        }
        for (name, value) in [
            ("connections", limits.connections),
            ("unauthenticated_per_address", limits.unauthenticated_per_address),
            ("failures_per_address", limits.failures_per_address as usize),
            ("failures_per_connection", limits.failures_per_connection as usize),
            ("login_seconds", limits.login_seconds as usize),
            ("backend_seconds", limits.backend_seconds as usize),
            ("failure_window", limits.failure_window as usize),
        ] {
            if value == 0 {
                return Err(format!("limits.{name}: must not be 0"));
            }
        }
        if self.threads == Some(0) {
            return Err("threads: must not be 0".into());
        }
        for rule in &self.access {
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
    fn addresses() {
        for (text, address) in [
            ("127.0.0.1:1", Address::Tcp("127.0.0.1:1".into())),
            ("tcp:localhost:80", Address::Tcp("localhost:80".into())),
            ("tls:[::1]:2", Address::Tls("[::1]:2".into())),
            ("unix:/run/x", Address::Unix("/run/x".into())),
        ] {
            assert_eq!(Address::parse(text), Ok(address));
        }
        for wrong in ["", "x", "1.2.3.4", "::1:80:", "unix:x", "host:70000", ":80", "a b:1", "http://x:1"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_read_and_wrong_ones_name_the_word() {
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
            ("users = '/u'\nmechanisms = 'FOO'", "FOO"),
            ("users = '/u'\nmechanisms = ' '", "mechanisms"),
            ("users = '/u'\n[limits]\ntoken_bytes = 1", "token_bytes"),
            ("users = '/u'\n[limits]\nlogin_seconds = 0", "login_seconds"),
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

//! Addresses to listen on and to connect to.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

/// An address to listen on or to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

/// `host:port`, where the host is a name or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort(pub String);

impl HostPort {
    /// Checks only the syntax. Whether the name resolves shows when it is used.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_named = |(host, port): (&str, &str)| {
            !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok()
        };
        if text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(is_named) {
            return Ok(HostPort(text.into()));
        }
        Err(format!("'{text}': expected host:port"))
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HostPort::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Address {
    /// `host:port`, `tls:host:port` or `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match Path::new(path).is_absolute() {
                true => Ok(Address::Unix(path.into())),
                false => Err(format!("'{text}': the path of a Unix socket must be absolute")),
            };
        }
        let (tls, place) = match text.strip_prefix("tls:") {
            Some(place) => (true, place),
            None => (false, text.strip_prefix("tcp:").unwrap_or(text)),
        };
        match (HostPort::parse(place), tls) {
            (Err(_), _) => Err(format!("'{text}': expected host:port, tls:host:port or unix:/path")),
            (Ok(HostPort(place)), true) => Ok(Address::Tls(place)),
            (Ok(HostPort(place)), false) => Ok(Address::Tcp(place)),
        }
    }

    /// The host of `host:port`; an IPv6 address comes without its brackets.
    pub fn host(&self) -> Option<&str> {
        let (Address::Tcp(place) | Address::Tls(place)) = self else { return None };
        let (host, _) = place.rsplit_once(':')?;
        Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports() {
        for text in ["localhost:9123", "127.0.0.1:0", "[::1]:9123"] {
            assert_eq!(HostPort::parse(text), Ok(HostPort(text.into())));
        }
        for wrong in ["", "localhost", "::1:9123", "unix:/x", "tls:1.2.3.4:5", "localhost:http"] {
            assert!(HostPort::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses() {
        for (text, address, host) in [
            ("127.0.0.1:1", Address::Tcp("127.0.0.1:1".into()), Some("127.0.0.1")),
            ("tcp:localhost:80", Address::Tcp("localhost:80".into()), Some("localhost")),
            ("tls:[::1]:2", Address::Tls("[::1]:2".into()), Some("::1")),
            ("unix:/run/x", Address::Unix("/run/x".into()), None),
        ] {
            assert_eq!(address.host(), host);
            assert_eq!(Address::parse(text), Ok(address));
        }
        for wrong in ["", "x", "1.2.3.4", "::1:80:", "unix:x", "host:70000", ":80", "a b:1", "http://x:1"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! A server's own options: who its users are, and what is known of them.

use crate::error::Error;
use crate::secret::Secret;
use crate::wire::names::words;

use super::{option, Config};

/// The options of a connection that has set any.
#[derive(Debug, Default)]
pub(super) struct Server {
    external_id: Option<String>,
    salt_key: Option<Secret>,
    auxprop: Vec<Box<str>>,
}

impl Config {
    /// The identity that TLS or the socket proved, for an EXTERNAL server.
    pub fn external_id(&self) -> Option<&str> {
        self.rare.as_ref()?.server.external_id.as_deref()
    }

    /// What the salts of users without one are derived from, if the application set it.
    pub fn salt_key(&self) -> Option<&Secret> {
        self.rare.as_ref()?.server.salt_key.as_ref()
    }

    /// The properties of a user that a server's application wants to know after success.
    pub fn auxprop(&self) -> &[Box<str>] {
        self.rare.as_ref().map_or(&[], |rare| &*rare.server.auxprop)
    }

    /// A copy of what tells whose accounts a server has: its service, host and realm.
    pub fn names(&self) -> Config {
        let mut config = Config { service: self.service.clone(), host: self.host.clone(), ..Config::default() };
        if let Some(realm) = self.realm() {
            config.rare().realm = Some(realm.to_owned());
        }
        config
    }

    /// Sets one of these options; false for a name that is none of them.
    pub(super) fn set_server(&mut self, name: &str, value: Option<&str>) -> Result<bool, Error> {
        match name {
            "external_id" => self.rare().server.external_id = value.map(str::to_owned),
            "auxprop" => self.rare().server.auxprop = words(value.unwrap_or("")).map(Into::into).collect(),
            // The second is its old name.
            "salt_key" | "fake_salt_key" => {
                let name = if name == "salt_key" { "salt_key" } else { "fake_salt_key" };
                if value.is_some_and(|v| v.len() < 16) {
                    return Err(option(name, "at least 16 bytes"));
                }
                self.rare().server.salt_key = value.map(|v| Secret::new(v.as_bytes()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads one of them; a secret is not given back.
    pub(super) fn get_server(&self, name: &str) -> Option<String> {
        match name {
            "external_id" => self.external_id().map(str::to_owned),
            "auxprop" => Some(self.auxprop().join(" ")),
            _ => None,
        }
    }
}

//! The table `ldap`.

use std::net::IpAddr;
use std::path::PathBuf;

use ldap3::Scope;
use serde::Deserialize;

use super::filter::Filter;

/// Which directory is asked, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `ldap://HOST`, `ldaps://HOST` or `ldapi://SOCKET`.
    pub url: String,
    /// Switch to TLS before anything else is said.
    pub start_tls: bool,
    /// CAs of the server's certificate.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Send secrets to another machine without TLS.
    pub plaintext: bool,
    /// The service account.
    pub bind_dn: Option<String>,
    /// Its password.
    pub password_file: Option<PathBuf>,
    /// Authenticate by SASL EXTERNAL instead: by the certificate, or as the user of this process on a Unix socket.
    pub external: bool,
    /// The entry below which the users are.
    pub base: String,
    /// How deep.
    pub scope: SearchScope,
    /// Finds a user's entry.
    pub filter: String,
    /// The attribute with the user's name.
    pub name: String,
    /// What proves a password.
    pub check: Check,
    /// The attributes with verifiers.
    pub verifiers: Vec<String>,
    /// An attribute, or `attribute=value`, that disables its user.
    pub disabled: Option<String>,
    /// The attribute with the user's groups.
    pub groups: Option<String>,
    /// Groups directly below this entry are known by their own names.
    pub group_base: Option<String>,
    /// The entry that is bound to for an unknown user.
    pub unknown_dn: Option<String>,
}

/// How deep a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchScope {
    /// The whole tree.
    #[default]
    Subtree,
    /// Directly below the base.
    One,
}

impl From<SearchScope> for Scope {
    fn from(scope: SearchScope) -> Self {
        match scope {
            SearchScope::Subtree => Scope::Subtree,
            SearchScope::One => Scope::OneLevel,
        }
    }
}

/// What proves a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Verifiers in the user's entry.
    #[default]
    Verifiers,
    /// The directory, to which the user's own password is sent.
    Bind,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            url: String::new(),
            start_tls: false,
            ca: None,
            certificate: None,
            key: None,
            plaintext: false,
            bind_dn: None,
            password_file: None,
            external: false,
            base: String::new(),
            scope: SearchScope::default(),
            filter: "(uid={name})".into(),
            name: "uid".into(),
            check: Check::default(),
            verifiers: vec!["authPassword".into(), "userPassword".into()],
            disabled: None,
            groups: None,
            group_base: None,
            unknown_dn: None,
        }
    }
}

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
    Unix,
}

impl Settings {
    /// True if the directory checks the passwords.
    pub fn binds(&self) -> bool {
        self.check == Check::Bind
    }

    /// True if the connection is protected by TLS.
    pub fn uses_tls(&self) -> bool {
        self.start_tls || self.url.starts_with("ldaps://")
    }

    /// The attribute that disables its user, by itself or with a value.
    pub fn disabling_attribute(&self) -> Option<&str> {
        self.disabled.as_deref().map(|mark| mark.split_once('=').map_or(mark, |(attribute, _)| attribute))
    }

    /// Checks the values, without reading the files that they name.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let (transport, host) = self.target()?;
        self.check_transport(transport, host)?;
        self.check_service_account(transport)?;
        if self.base.is_empty() {
            return Err("ldap.base: expected the name of the entry below which the users are".into());
        }
        Filter::parse(&self.filter).map_err(|error| format!("ldap.filter: {error}"))?;
        let names = [("ldap.name", Some(&self.name)), ("ldap.groups", self.groups.as_ref())];
        let names = names.into_iter().filter_map(|(setting, name)| Some((setting, name?.as_str())));
        let verifiers = self.verifiers.iter().map(|name| ("ldap.verifiers", name.as_str()));
        let disabled = self.disabling_attribute().map(|name| ("ldap.disabled", name));
        for (setting, name) in names.chain(verifiers).chain(disabled) {
            if !is_attribute(name) {
                return Err(format!("{setting}: expected the name of an attribute, not '{name}'"));
            }
        }
        if self.verifiers.is_empty() && !self.binds() {
            return Err("ldap.verifiers: expected at least one attribute".into());
        }
        if self.group_base.is_some() && self.groups.is_none() {
            return Err("ldap.group_base needs ldap.groups".into());
        }
        if self.unknown_dn.is_some() && !self.binds() {
            return Err("ldap.unknown_dn needs ldap.check = \"bind\"".into());
        }
        if self.unknown_dn.as_ref().is_some_and(String::is_empty) {
            return Err("ldap.unknown_dn: empty".into());
        }
        Ok(())
    }

    fn target(&self) -> Result<(Transport, &str), String> {
        let wrong = || format!("ldap.url: expected ldap://HOST, ldaps://HOST or ldapi://%2FSOCKET, not '{}'", self.url);
        let (scheme, rest) = self.url.split_once("://").ok_or_else(wrong)?;
        let target = rest.strip_suffix('/').unwrap_or(rest);
        let transport = match scheme {
            "ldap" => Transport::Plain,
            "ldaps" => Transport::Tls,
            "ldapi" => Transport::Unix,
            _ => return Err(wrong()),
        };
        if target.is_empty() || target.contains(['/', '?', '#', '@', ' ']) {
            return Err(wrong());
        }
        if transport == Transport::Unix {
            return Ok((transport, target));
        }
        let (host, port) = match target.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (target, "389"),
        };
        let is_host =
            !host.is_empty() && (host.starts_with('[') && host.ends_with(']') || !host.contains([':', '[', ']']));
        match is_host && port.parse::<u16>().is_ok_and(|port| port > 0) {
            true => Ok((transport, host)),
            false => Err(wrong()),
        }
    }

    fn check_transport(&self, transport: Transport, host: &str) -> Result<(), String> {
        if self.start_tls && transport != Transport::Plain {
            return Err("ldap.start_tls needs an ldap:// URL".into());
        }
        if self.uses_tls() != self.ca.is_some() {
            return Err("ldap.ca: needed for TLS, and only then (an ldaps:// URL, or ldap.start_tls)".into());
        }
        if self.uses_tls() && host.starts_with('[') {
            return Err("ldap.url: with TLS, expected the server's name instead of its IPv6 address".into());
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err("ldap.certificate and ldap.key must be set together".into());
        }
        if self.certificate.is_some() && !self.uses_tls() {
            return Err("ldap.certificate needs TLS (an ldaps:// URL, or ldap.start_tls)".into());
        }
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if transport == Transport::Plain && !self.start_tls && !is_here && !self.plaintext {
            return Err("ldap.url: passwords and verifiers would cross the network in clear text; \
                use ldaps:// or ldap.start_tls, or set ldap.plaintext"
                .into());
        }
        Ok(())
    }

    fn check_service_account(&self, transport: Transport) -> Result<(), String> {
        if self.bind_dn.is_some() != self.password_file.is_some() {
            return Err("ldap.bind_dn and ldap.password_file must be set together".into());
        }
        if self.bind_dn.as_ref().is_some_and(String::is_empty) {
            return Err("ldap.bind_dn: empty".into());
        }
        if self.external && self.bind_dn.is_some() {
            return Err("ldap.external and ldap.bind_dn: expected one of them".into());
        }
        if self.external && transport != Transport::Unix && self.certificate.is_none() {
            return Err("ldap.external needs ldap.certificate, or an ldapi:// URL".into());
        }
        if !self.external && self.bind_dn.is_none() && !self.binds() {
            return Err("ldap: verifiers need a service account (ldap.bind_dn, or ldap.external)".into());
        }
        Ok(())
    }
}

/// Whether this is the name of an attribute (RFC 4512 §2.5), perhaps with options.
fn is_attribute(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';');
    name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            url: "ldaps://directory.example.org".into(),
            ca: Some("/ca".into()),
            bind_dn: Some("cn=gateway".into()),
            password_file: Some("/password".into()),
            base: "dc=example,dc=org".into(),
            ..Settings::default()
        }
    }

    #[test]
    fn errors_name_the_setting() {
        assert_eq!(settings().check(), Ok(()));
        type Change = fn(&mut Settings);
        let changes: [(Change, &str); 23] = [
            (|it| it.url.clear(), "ldap.url"),
            (|it| it.url = "http://h".into(), "ldap.url"),
            (|it| it.url = "ldaps://h/dc=example".into(), "ldap.url"),
            (|it| it.url = "ldaps://fred:pencil@h".into(), "ldap.url"),
            (|it| it.url = "ldaps://h:0".into(), "ldap.url"),
            (|it| it.url = "ldaps://::1".into(), "ldap.url"),
            (|it| it.url = "ldaps://[::1]:636".into(), "IPv6"),
            (|it| it.start_tls = true, "ldap.start_tls"),
            (|it| it.ca = None, "ldap.ca"),
            (|it| it.url = "ldap://127.0.0.1".into(), "ldap.ca"),
            (|it| it.certificate = Some("/c".into()), "ldap.key"),
            (|it| (it.url, it.ca) = ("ldap://h".into(), None), "clear text"),
            (|it| it.password_file = None, "ldap.password_file"),
            (|it| it.external = true, "ldap.external and ldap.bind_dn"),
            (|it| (it.external, it.bind_dn, it.password_file) = (true, None, None), "ldap.certificate"),
            (|it| (it.bind_dn, it.password_file) = (None, None), "service account"),
            (|it| it.base.clear(), "ldap.base"),
            (|it| it.filter = "(uid=fred)".into(), "ldap.filter"),
            (|it| it.name = "uid=".into(), "ldap.name"),
            (|it| it.disabled = Some("(x=y)".into()), "ldap.disabled"),
            (|it| it.verifiers.clear(), "ldap.verifiers"),
            (|it| it.group_base = Some("ou=groups".into()), "ldap.groups"),
            (|it| it.unknown_dn = Some("cn=nobody".into()), "ldap.unknown_dn"),
        ];
        for (change, word) in changes {
            let mut changed = settings();
            change(&mut changed);
            let error = changed.check().unwrap_err();
            assert!(error.contains(word) && !error.contains("pencil") || word == "ldap.url", "{error}");
        }
    }

    #[test]
    fn secrets_stay_on_this_machine_or_under_tls() {
        let check = |url: &str| Settings { url: url.into(), ca: None, ..settings() }.check();
        for url in
            ["ldap://localhost", "ldap://127.0.0.1:3890/", "ldap://[::1]", "ldap://[::1]:389", "ldapi://%2Frun%2Fldapi"]
        {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in ["ldap://192.0.2.1", "ldap://localhost.example.org", "ldap://[2001:db8::1]:389"] {
            assert!(check(url).unwrap_err().contains("clear text"), "{url}");
            let allowed = Settings { url: url.into(), ca: None, plaintext: true, ..settings() };
            assert_eq!(allowed.check(), Ok(()));
        }
        for url in ["ldap://h", "ldap://h:389"] {
            assert_eq!(Settings { url: url.into(), start_tls: true, ..settings() }.check(), Ok(()));
        }
    }

    #[test]
    fn a_directory_that_checks_passwords_may_be_searched_by_anyone() {
        let anonymous = Settings { check: Check::Bind, bind_dn: None, password_file: None, ..settings() };
        assert_eq!(anonymous.check(), Ok(()));
    }
}

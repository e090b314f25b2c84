//! Configuration: the TOML file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[cfg(feature = "cyrus")]
use authen_sasl_account_servers::cyrus;
#[cfg(feature = "ldap")]
use authen_sasl_account_servers::ldap;
#[cfg(feature = "postgres")]
use authen_sasl_account_servers::postgres;
use authen_sasl_account_servers::StoreSettings;
use authen_sasl_rust::contract::CredentialKind;
use serde::Deserialize;

use crate::access::{Rule, DEFAULT_BACKEND};
use crate::address::{Address, HostPort};
use crate::credentials::BackendLogin;
use crate::files::{self, Readers, Stamp};
use crate::identity::ClientName;
use crate::limits::Limits;
use crate::mechanisms;
use crate::network::Network;
use crate::oauth::settings::{Introspection, Jwt};

/// On which side this process authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// `sasl-gate`: its clients authenticate to it.
    #[default]
    Gate,
    /// `sasl-gate connect`: its clients do not; it authenticates to the backend.
    Connect,
}

/// The whole configuration, as in the TOML file. `docs/sasl-gate.pod` describes each setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From the command line.
    #[serde(skip)]
    pub role: Role,
    pub listen: Vec<Address>,
    /// Networks of proxies, whose connections begin with a header of the PROXY protocol.
    pub proxies: Vec<Network>,
    /// The command line has a default for it.
    pub backend: Option<Address>,
    /// Backends by name, for the access rules.
    pub backends: BTreeMap<String, Address>,
    pub backend_tls: BackendTls,
    pub backend_login: Option<BackendLogin>,
    pub users: Option<PathBuf>,
    /// Accounts in PostgreSQL, instead of the users' file.
    #[cfg(feature = "postgres")]
    pub postgres: Option<postgres::Settings>,
    /// Accounts in an LDAP directory, instead of the users' file.
    #[cfg(feature = "ldap")]
    pub ldap: Option<ldap::Settings>,
    /// Accounts that a configuration of Cyrus SASL names, instead of the users' file.
    #[cfg(feature = "cyrus")]
    pub cyrus: Option<cyrus::Settings>,
    /// Limits of look-ups in an account server.
    pub store: StoreSettings,
    /// Plain-text passwords, for CRAM-MD5 and DIGEST-MD5.
    pub passwords: Option<PathBuf>,
    /// Hashes of bearer tokens.
    pub tokens: Option<PathBuf>,
    /// Tokens of an OAuth provider: signed ones, and others about which it is asked.
    pub jwt: Option<Jwt>,
    pub introspection: Option<Introspection>,
    /// Let nobody in who has no account in `users` or the account server, whatever proves the identity.
    pub require_account: bool,
    /// The SCRAM mechanism, and iterations, of the verifiers that users get who log in with the password and have weaker ones.
    pub upgrade: Option<String>,
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
    /// The folder of the control socket.
    pub control: Option<PathBuf>,
    pub log: Log,
    /// Also log why connections ended that were never authenticated.
    pub verbose: bool,
    pub threads: Option<usize>,
    /// Relay threads poll for a short time before they sleep.
    pub busy_poll: bool,
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

impl Tls {
    fn is_set(&self) -> bool {
        let Tls { certificate, key, client_ca, client_revoked, client_name } = self;
        let files = [certificate, key, client_ca, client_revoked];
        files.iter().any(|file| file.is_some()) || *client_name != ClientName::default()
    }
}

/// For backends that are `tls:` addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackendTls {
    /// CAs of the backends' certificates.
    pub ca: Option<PathBuf>,
    /// The name that these certificates must have, if it is not the host of the address.
    pub name: Option<String>,
    /// The gateway's own certificate for the backends.
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

impl Default for Settings {
    fn default() -> Self {
        Settings {
            role: Role::default(),
            listen: Vec::new(),
            proxies: Vec::new(),
            backend: None,
            backends: Default::default(),
            backend_tls: BackendTls::default(),
            backend_login: None,
            users: None,
            #[cfg(feature = "postgres")]
            postgres: None,
            #[cfg(feature = "ldap")]
            ldap: None,
            #[cfg(feature = "cyrus")]
            cyrus: None,
            store: StoreSettings::default(),
            passwords: None,
            tokens: None,
            jwt: None,
            introspection: None,
            require_account: false,
            upgrade: None,
            unix_users: Default::default(),
            salt_key: None,
            mechanisms: mechanisms::DEFAULT.into(),
            plaintext: false,
            service: "beanstalkd".into(),
            host: "localhost".into(),
            access: Vec::new(),
            tls: Tls::default(),
            limits: Limits::default(),
            metrics: None,
            control: None,
            log: Log::default(),
            verbose: false,
            threads: None,
            busy_poll: true,
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

    /// The tables of account servers that are there. More than one is an error.
    fn account_servers(&self) -> Vec<&'static str> {
        let tables: &[(&'static str, bool)] = &[
            #[cfg(feature = "postgres")]
            ("postgres", self.postgres.is_some()),
            #[cfg(feature = "ldap")]
            ("ldap", self.ldap.is_some()),
            #[cfg(feature = "cyrus")]
            ("cyrus", self.cyrus.is_some()),
        ];
        tables.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect()
    }

    /// The table of the account server, if there is one.
    pub fn account_server(&self) -> Option<&'static str> {
        self.account_servers().first().copied()
    }

    /// True if the account server checks passwords itself, and has no verifiers for us.
    pub fn server_checks_passwords(&self) -> bool {
        #[cfg(feature = "cyrus")]
        if self.cyrus.is_some() {
            return true;
        }
        #[cfg(feature = "ldap")]
        if self.ldap.as_ref().is_some_and(ldap::Settings::binds) {
            return true;
        }
        false
    }

    /// The mechanisms to offer, as far as they are possible.
    pub fn mechanisms(&self) -> &str {
        match self.account_server() {
            Some(_) if self.mechanisms == mechanisms::DEFAULT => mechanisms::DEFAULT_OF_SERVER,
            _ => &self.mechanisms,
        }
    }

    /// Whether the transport can prove identities.
    pub fn has_transport_identities(&self) -> bool {
        self.tls.client_ca.is_some() || !self.unix_users.is_empty()
    }

    fn has_tokens(&self) -> bool {
        self.tokens.is_some() || self.jwt.is_some() || self.introspection.is_some()
    }

    /// Whether anything says of which groups a user is.
    fn has_groups(&self) -> bool {
        let claims = [self.jwt.as_ref().map(|jwt| &jwt.groups), self.introspection.as_ref().map(|other| &other.groups)];
        self.account_server().is_some() || claims.into_iter().flatten().any(|claim| claim.is_some())
    }

    /// The backend of that name in the rules.
    pub fn backend(&self, name: &str) -> Option<&Address> {
        self.backends.get(name).or(self.backend.as_ref())
    }

    fn backends(&self) -> impl Iterator<Item = &Address> {
        self.backends.values().chain(&self.backend)
    }

    /// The files that decide who may log in, as they are now.
    pub fn stamps(&self) -> Vec<Option<Stamp>> {
        let files = [&self.users, &self.passwords, &self.tokens, &self.tls.client_revoked];
        files.into_iter().flatten().map(|path| Stamp::of(path)).collect()
    }

    /// Checks the values, without reading the files that they name.
    pub fn check(&self) -> Result<(), String> {
        match self.role {
            Role::Gate => self.check_clients()?,
            Role::Connect => self.check_connect()?,
        }
        self.check_backends()?;
        self.limits.check()?;
        if self.control.as_deref().is_some_and(|folder| !folder.is_absolute()) {
            return Err("control: expected the absolute path of a folder".into());
        }
        if self.threads == Some(0) {
            return Err("threads: must not be 0".into());
        }
        Ok(())
    }

    /// How clients authenticate.
    fn check_clients(&self) -> Result<(), String> {
        let no_files = [&self.users, &self.passwords].iter().all(|file| file.is_none()) && !self.has_tokens();
        if no_files && self.account_server().is_none() && !self.has_transport_identities() {
            return Err("no users: use --users FILE, or users = \"FILE\" in the configuration".into());
        }
        if self.require_account && self.users.is_none() && self.account_server().is_none() {
            return Err("require_account: there are no accounts; it needs users or an account server".into());
        }
        self.check_account_server()?;
        self.check_upgrade()?;
        self.jwt.as_ref().map_or(Ok(()), Jwt::check)?;
        self.introspection.as_ref().map_or(Ok(()), Introspection::check)?;
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
                _ if mechanisms::DEFAULT.split_whitespace().any(|default| default == name) => continue,
                CredentialKind::Password if self.passwords.is_none() => "passwords = \"FILE\"",
                CredentialKind::Token if !self.has_tokens() => "tokens = \"FILE\", jwt or introspection",
                _ => continue,
            };
            return Err(format!("mechanisms: {name} needs {missing}"));
        }
        if self.mechanisms.split_whitespace().next().is_none() {
            return Err("mechanisms: empty".into());
        }
        for rule in &self.access {
            rule.check()?;
            if !rule.groups.is_empty() && !self.has_groups() {
                return Err("access: groups come from an account server, jwt.groups or introspection.groups, \
                    and none is set"
                    .into());
            }
            if let Some(name) =
                rule.backend().filter(|name| *name != DEFAULT_BACKEND && !self.backends.contains_key(*name))
            {
                return Err(format!("access: there is no backend '{name}'"));
            }
        }
        Ok(())
    }

    fn check_upgrade(&self) -> Result<(), String> {
        let Some(wanted) = &self.upgrade else { return Ok(()) };
        mechanisms::strength(wanted)?;
        if self.users.is_none() && self.account_server() != Some("postgres") {
            return Err("upgrade: it needs users or postgres; other accounts cannot be changed".into());
        }
        let sends_password =
            |name| mechanisms::supported(name).is_some_and(|one| one.credential == CredentialKind::Comparable);
        match self.mechanisms().split_whitespace().any(sends_password) {
            true => Ok(()),
            false => Err("upgrade: mechanisms has neither PLAIN nor LOGIN, and no other one shows the password".into()),
        }
    }

    fn check_account_server(&self) -> Result<(), String> {
        let Some(server) = self.account_server() else { return Ok(()) };
        if self.users.is_some() {
            return Err(format!("users and {server}: which one counts for a user who is in both? Set one of them"));
        }
        #[cfg(feature = "postgres")]
        self.postgres.as_ref().map_or(Ok(()), postgres::Settings::check)?;
        #[cfg(feature = "ldap")]
        self.ldap.as_ref().map_or(Ok(()), ldap::Settings::check)?;
        if let [one, other, ..] = self.account_servers()[..] {
            return Err(format!("{one} and {other}: which one counts for a user who is in both? Set one of them"));
        }
        if self.salt_key.is_none() && !self.server_checks_passwords() {
            return Err(format!("{server} needs salt_key = \"FILE\", the same on all gateways"));
        }
        self.store.check()
    }

    /// What `sasl-gate connect` needs: it lets in whoever can reach it, so only this machine may.
    fn check_connect(&self) -> Result<(), String> {
        let unused = [
            ("users", self.users.is_some()),
            (self.account_server().unwrap_or_default(), self.account_server().is_some()),
            ("store", self.store != StoreSettings::default()),
            ("passwords", self.passwords.is_some()),
            ("tokens", self.tokens.is_some()),
            ("jwt", self.jwt.is_some()),
            ("introspection", self.introspection.is_some()),
            ("require_account", self.require_account),
            ("upgrade", self.upgrade.is_some()),
            ("unix_users", !self.unix_users.is_empty()),
            ("salt_key", self.salt_key.is_some()),
            ("mechanisms", self.mechanisms != mechanisms::DEFAULT),
            ("plaintext", self.plaintext),
            ("proxies", !self.proxies.is_empty()),
            ("access", !self.access.is_empty()),
            ("backends", !self.backends.is_empty()),
            ("tls", self.tls.is_set()),
        ];
        if let Some((name, _)) = unused.iter().find(|(_, is_set)| *is_set) {
            return Err(format!(
                "{name}: sasl-gate connect does not authenticate its clients; it cannot use this setting"
            ));
        }
        for address in &self.listen {
            let is_local = match address {
                Address::Unix(_) => true,
                Address::Tls(_) => false,
                Address::Tcp(_) => address.host().is_some_and(|host| {
                    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
                }),
            };
            if !is_local {
                return Err(format!(
                    "listen {address}: sasl-gate connect does not authenticate its clients; \
                     expected a loopback address or a Unix socket"
                ));
            }
        }
        if self.backend.is_none() {
            return Err("no backend: use --backend ADDRESS, or backend = \"ADDRESS\" in the configuration".into());
        }
        if self.backend_login.is_none() {
            return Err("backend_login: sasl-gate connect needs credentials for the backend".into());
        }
        Ok(())
    }

    fn check_backends(&self) -> Result<(), String> {
        for address in self.backends() {
            if matches!(address, Address::Tls(_)) && self.backend_tls.ca.is_none() {
                return Err(format!("backend {address}: a tls: backend needs backend_tls.ca (--backend-ca)"));
            }
        }
        if let Some((address, _)) =
            self.listen.iter().flat_map(|here| self.backends().map(move |to| (here, to))).find(|(here, to)| here == to)
        {
            return Err(format!("backend {address}: the gateway itself listens there"));
        }
        let tls = &self.backend_tls;
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("backend_tls.certificate and backend_tls.key must be set together".into());
        }
        if tls.certificate.is_some() && !self.backends().any(|address| matches!(address, Address::Tls(_))) {
            return Err("backend_tls.certificate needs a tls: backend".into());
        }
        self.backend_login.as_ref().map_or(Ok(()), |login| login.check(tls.certificate.is_some()))
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
            ("users = '/u'\nproxies = ['10.0.0.1/8']", "bits set after the first 8"),
            ("users = '/u'\n[limits]\nexempt = ['here']", "expected a network"),
            ("users = '/u'\n[[access]]\nusers = ['*']\nnetworks = ['10.0.0.0/33']", "expected a network"),
            ("users = '/u'\n[limits]\nfailures_per_user = 0", "failures_per_user"),
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
            ("users = '/u'\n[[access]]\nusers = ['*']\nbackend = 'default'\ndeny = true", "deny = true has no backend"),
            ("users = '/u'\n[[access]]\nusers = ['*']\ndeny = 'yes'", "deny"),
            ("users = '/u'\n[[access]]\ndeny = true", "needs users or groups"),
            ("users = '/u'\n[limits]\nrevocation_seconds = 31536001", "revocation_seconds"),
            ("users = '/u'\ncontrol = ''", "control"),
            ("tokens = '/t'\nrequire_account = true", "require_account"),
            ("users = '/u'\nupgrade = 'PLAIN'", "upgrade"),
            ("users = '/u'\nupgrade = 'SCRAM-SHA-512 1'", "4096"),
            ("tokens = '/t'\nupgrade = 'SCRAM-SHA-512'", "upgrade: it needs users"),
            ("users = '/u'\nupgrade = 'SCRAM-SHA-512'\nmechanisms = 'SCRAM-SHA-256'", "neither PLAIN nor LOGIN"),
            ("backend = '127.0.0.1:1'", "users"),
            ("users = '/u'\n[backend_login]\npassword = 'x'", "unknown field `password`"),
            ("users = '/u'\n[backend_login]\nuser = 'fred'", "backend_login"),
            ("users = '/u'\n[backend_tls]\ncertificate = '/c'", "backend_tls.key"),
            ("users = '/u'\n[backend_tls]\ncertificate = '/c'\nkey = '/k'", "needs a tls: backend"),
        ] {
            let read: Result<Settings, _> = toml::from_str(text);
            let error = match read {
                Err(error) => error.to_string(),
                Ok(settings) => settings.check().unwrap_err(),
            };
            assert!(error.contains(word), "{text}: {error}");
        }
    }
    #[test]
    fn connect_lets_in_this_machine_only_and_uses_no_settings_of_clients() {
        let good = "backend = 'h:1'\nlisten = ['127.0.0.1:1', '[::1]:2', 'localhost:3', 'unix:/s']\n\
            [backend_login]\nuser = 'fred'\npassword_file = '/p'\n";
        let check = |text: &str| match toml::from_str::<Settings>(text) {
            Err(error) => Err(error.to_string()),
            Ok(settings) => Settings { role: Role::Connect, ..settings }.check(),
        };
        assert_eq!(check(good), Ok(()));
        for line in [
            "users = '/u'",
            "passwords = '/u'",
            "tokens = '/u'",
            "unix_users = { 0 = 'root' }",
            "require_account = true",
            "upgrade = 'SCRAM-SHA-512'",
            "salt_key = '/u'",
            "mechanisms = 'PLAIN'",
            "plaintext = true",
            "access = [{ users = ['*'] }]",
            "proxies = ['::1']",
            "backends = { low = 'h:1' }",
            "tls = { client_ca = '/c' }",
        ] {
            let name = line.split(' ').next().unwrap();
            let error = check(&format!("{line}\n{good}")).unwrap_err();
            assert!(error.starts_with(&format!("{name}: sasl-gate connect")), "{line}: {error}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "queue.example.org:1", "tls:127.0.0.1:1"] {
            let error = check(&good.replace("[::1]:2", address)).unwrap_err();
            assert!(error.contains(address) && error.contains("expected a loopback address"), "{error}");
        }
        assert!(check(&good.replace("backend = 'h:1'", "")).unwrap_err().contains("--backend"));
        assert!(check("backend = 'h:1'").unwrap_err().contains("credentials"));
    }
}

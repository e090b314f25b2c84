//! Options and properties of one connection, by the names that callers use.

use std::sync::Arc;

use crate::contract::{Abilities, Accounts, SecurityFlags};
use crate::error::{Application, Error};
use crate::plugin::Plugins;
use crate::secret::Secret;

/// Longest value of an option, and of a channel binding's data, in bytes.
pub const VALUE_LIMIT: usize = 1 << 16;
/// Types of channel binding that one connection can have data of; three are in use.
pub const BINDINGS_LIMIT: usize = 16;
/// Longest frame of a security layer that can be agreed on, in bytes: its length has three octets
/// (RFC 4752 §3.1, RFC 2831 §2.1.1).
pub const FRAME_LIMIT: u32 = 0xFF_FFFF;
/// Longest frame that is received unless the caller says otherwise, in bytes (RFC 2831 §2.1.1).
pub const DEFAULT_MAX_BUF: u32 = 65536;
/// SCRAM's iterations: the fewest that a client accepts (RFC 7677 §4) and a server names, unless the caller
/// says otherwise; a server cannot name fewer.
pub const LEAST_ITERATIONS: u32 = 4096;
/// The most that a client accepts unless the caller says otherwise: a second of work.
pub const MOST_ITERATIONS: u32 = 2_000_000;
/// The most that a server can be told to name: nobody waits for more.
pub const ITERATIONS_LIMIT: u32 = 100_000_000;

/// Whether channel binding is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindingPolicy {
    /// Never, even where binding data is at hand.
    Disable,
    /// Where both sides can.
    #[default]
    Allow,
    /// Always: every mechanism and message without it is refused.
    Require,
}

/// Data of the TLS connection that an exchange is bound to (RFC 5056).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelBinding {
    /// The type's name, for instance `tls-exporter`.
    pub kind: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Options and properties of a connection. The fields that few connections set are boxed, since
/// one of these lives as long as each connection.
#[derive(Debug)]
pub struct Config {
    /// Registered name of the service, for instance `imap`.
    pub service: Box<str>,
    /// The server's host name.
    pub host: Box<str>,
    /// What the application can answer.
    pub abilities: Abilities,
    /// Security flags that the caller demands.
    pub secflags: SecurityFlags,
    /// Least strength that must be reached, external strength included.
    pub min_ssf: u32,
    /// Most strength that may be reached, external strength included; by default see [`Config::max_ssf`].
    pub max_ssf: Option<u32>,
    /// Strength that TLS or the socket gives already.
    pub external_ssf: u32,
    /// True if the caller itself said so.
    external_ssf_given: bool,
    /// Longest frame that this side receives, in bytes.
    pub max_buf: u32,
    /// Fewest SCRAM iterations that a client accepts.
    pub min_iterations: u32,
    /// Most SCRAM iterations that a client accepts.
    pub max_iterations: u32,
    /// Iterations that a server names for plain passwords and unknown users.
    pub iterations: u32,
    /// Whether channel binding is used.
    pub binding_policy: BindingPolicy,
    /// Server: offer no integrity layer.
    pub no_integrity: bool,
    /// Server: offer no confidentiality layer.
    pub no_confidentiality: bool,
    /// Client: the server's list of mechanisms holds a -PLUS variant (RFC 5802 §6).
    pub peer_offers_binding: bool,
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    realm: Option<String>,
    external_id: Option<String>,
    fake_salt_key: Option<Secret>,
    bindings: Vec<ChannelBinding>,
    ccache: Option<String>,
    keytab: Option<String>,
    principal: Option<String>,
    delegate: bool,
    delegated_ccache: Option<String>,
    offered_mechanisms: Option<Box<str>>,
    offered_bindings: Option<Box<str>>,
    tls_ssf: u32,
    accounts: Option<Arc<dyn Accounts>>,
    plugins: Option<Arc<Plugins>>,
    local: Option<Box<str>>,
    remote: Option<Box<str>>,
    auxprop: Vec<Box<str>>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            service: "".into(),
            host: "".into(),
            abilities: Abilities::NONE,
            secflags: SecurityFlags::NONE,
            min_ssf: 0,
            max_ssf: None,
            external_ssf: 0,
            external_ssf_given: false,
            max_buf: DEFAULT_MAX_BUF,
            min_iterations: LEAST_ITERATIONS,
            max_iterations: MOST_ITERATIONS,
            iterations: LEAST_ITERATIONS,
            binding_policy: BindingPolicy::Allow,
            no_integrity: false,
            no_confidentiality: false,
            peer_offers_binding: false,
            rare: None,
        }
    }
}

impl Config {
    /// A server's default realm.
    pub fn realm(&self) -> Option<&str> {
        self.rare.as_ref()?.realm.as_deref()
    }

    /// The identity that TLS or the socket proved, for an EXTERNAL server.
    pub fn external_id(&self) -> Option<&str> {
        self.rare.as_ref()?.external_id.as_deref()
    }

    /// Kerberos: a client's credentials cache, if it is not the environment's.
    pub fn ccache(&self) -> Option<&str> {
        self.rare.as_ref()?.ccache.as_deref()
    }

    /// Kerberos: the key table, if it is not the environment's.
    pub fn keytab(&self) -> Option<&str> {
        self.rare.as_ref()?.keytab.as_deref()
    }

    /// Kerberos: this side's own principal, if it is not the default one.
    pub fn principal(&self) -> Option<&str> {
        self.rare.as_ref()?.principal.as_deref()
    }

    /// Kerberos: a client lets the server act for it.
    pub fn delegate(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.delegate)
    }

    /// The plugins whose mechanisms may be used.
    pub fn plugins(&self) -> Option<&Arc<Plugins>> {
        self.rare.as_ref()?.plugins.as_ref()
    }

    /// Sets or takes away the plugins.
    pub fn set_plugins(&mut self, plugins: Option<Arc<Plugins>>) {
        if plugins.is_some() || self.rare.is_some() {
            self.rare().plugins = plugins;
        }
    }

    /// The address and port of this side, `ip;port`.
    pub fn local(&self) -> Option<&str> {
        self.rare.as_ref()?.local.as_deref()
    }

    /// The address and port of the peer, `ip;port`.
    pub fn remote(&self) -> Option<&str> {
        self.rare.as_ref()?.remote.as_deref()
    }

    /// Who answers a server's questions where its application has no callback.
    pub fn accounts(&self) -> Option<&Arc<dyn Accounts>> {
        self.rare.as_ref()?.accounts.as_ref()
    }

    /// Sets or takes away the accounts of a server.
    pub fn set_accounts(&mut self, accounts: Option<Arc<dyn Accounts>>) {
        self.rare().accounts = accounts;
    }

    /// The properties of a user that a server's application wants to know after success.
    pub fn auxprop(&self) -> &[Box<str>] {
        self.rare.as_ref().map_or(&[], |rare| &rare.auxprop)
    }

    /// What is answered at all, by the application or by the accounts.
    pub fn answered(&self) -> Abilities {
        self.accounts().map_or(self.abilities, |accounts| self.abilities.and(accounts.abilities()))
    }

    /// Kerberos: where a server stores what its client delegates to it; by default nowhere.
    pub fn delegated_ccache(&self) -> Option<&str> {
        self.rare.as_ref()?.delegated_ccache.as_deref()
    }

    /// What the salts of users without one are derived from, if the application set it.
    pub fn fake_salt_key(&self) -> Option<&Secret> {
        self.rare.as_ref()?.fake_salt_key.as_ref()
    }

    /// The channel bindings that may be used, the preferred one first; none if the policy disables
    /// them, and none of a type that is not offered, where it is known what is.
    pub fn bindings(&self) -> impl Iterator<Item = &ChannelBinding> {
        let offered = self.offered_bindings();
        self.binding_data().iter().filter(move |b| offered.is_none_or(|list| words(list).any(|w| w == b.kind)))
    }

    /// All data at hand, of types that are not offered too; none if the policy disables them.
    pub fn binding_data(&self) -> &[ChannelBinding] {
        match &self.rare {
            Some(rare) if self.binding_policy != BindingPolicy::Disable => &rare.bindings,
            _ => &[],
        }
    }

    /// True if there is channel binding data that may be used.
    pub fn binds(&self) -> bool {
        self.bindings().next().is_some()
    }

    /// The data of the binding of that type.
    pub fn binding(&self, kind: &str) -> Option<&[u8]> {
        self.bindings().find(|b| b.kind == kind).map(|b| b.data.as_slice())
    }

    /// Adds a channel binding, or replaces the one of the same type.
    ///
    /// # Errors
    /// [`Application::Option`] for a type that could not stand in a GS2 header (RFC 5801 §4), for data of no
    /// bytes, which would bind to nothing, and above [`VALUE_LIMIT`] and [`BINDINGS_LIMIT`].
    pub fn set_binding(&mut self, binding: ChannelBinding) -> Result<(), Error> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        if binding.kind.is_empty() || !binding.kind.bytes().all(fits) {
            return Err(option("channel_binding", "types of letters, digits, dots and hyphens"));
        }
        if binding.data.is_empty() {
            return Err(option("channel_binding", "data of at least one byte for each type"));
        }
        if binding.kind.len() > VALUE_LIMIT || binding.data.len() > VALUE_LIMIT {
            return Err(option("channel_binding", "types and data of at most 65536 bytes"));
        }
        let bindings = &mut self.rare().bindings;
        bindings.retain(|b| b.kind != binding.kind);
        if bindings.len() == BINDINGS_LIMIT {
            return Err(option("channel_binding", "data of at most 16 types"));
        }
        bindings.push(binding);
        bindings.sort_by(|a, b| preference(&a.kind).cmp(&preference(&b.kind)).then_with(|| a.kind.cmp(&b.kind)));
        Ok(())
    }

    /// Forgets all channel bindings.
    pub fn forget_bindings(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.bindings.clear();
        }
    }

    /// The strength of the TLS connection that the caller named, in bits: this is the external
    /// strength unless the caller says another one.
    pub fn set_tls_ssf(&mut self, bits: u32) {
        self.rare().tls_ssf = bits;
        if !self.external_ssf_given {
            self.external_ssf = bits;
        }
    }

    /// The mechanisms that the server offers: a server's own word, or what the client has received.
    pub fn offered_mechanisms(&self) -> Option<&str> {
        self.rare.as_ref()?.offered_mechanisms.as_deref()
    }

    /// The types of channel binding that the server offers by name (XEP-0440).
    pub fn offered_bindings(&self) -> Option<&str> {
        self.rare.as_ref()?.offered_bindings.as_deref()
    }

    /// Most strength that may be reached. Where nobody set it, layers are for the programs that know
    /// of them: those of the protocols named here go on as before after an exchange, and a layer would leave them
    /// with a peer that they do not understand (docs/decisions/0004-layers.md).
    pub fn max_ssf(&self) -> u32 {
        const WITHOUT_LAYERS: [&str; 15] = [
            "",
            "acap",
            "http",
            "imap",
            "jabber",
            "jabber-client",
            "lmtp",
            "managesieve",
            "nntp",
            "pop",
            "pop3",
            "sieve",
            "smtp",
            "submission",
            "xmpp",
        ];
        let known = || WITHOUT_LAYERS.iter().any(|name| name.eq_ignore_ascii_case(&self.service));
        self.max_ssf.unwrap_or_else(|| if self.min_ssf == 0 && known() { 0 } else { u32::MAX })
    }

    /// True if a password may travel readable: nothing forbids it, or TLS is below.
    pub fn allows_plaintext(&self) -> bool {
        self.external_ssf > 0 || !self.secflags.contains(SecurityFlags::NOPLAINTEXT)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(Box::default)
    }

    /// Sets an option by the name that callers use. `None` puts the default back.
    /// Returns false for a name that the core does not know.
    ///
    /// # Errors
    /// [`Application::Option`] with the name and the range, for a value out of it.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<bool, Error> {
        let default = Config::default();
        if value.is_some_and(|value| value.len() > VALUE_LIMIT) {
            return match Config::default().set(name, None)? {
                true => Err(option("an option's value", "at most 65536 bytes")),
                false => Ok(false),
            };
        }
        match name {
            "service" => self.service = value.unwrap_or("").into(),
            "serverfqdn" | "host" => self.host = value.unwrap_or("").into(),
            "minssf" => self.min_ssf = number("minssf", value, 0, u32::MAX, default.min_ssf)?,
            "maxssf" => self.max_ssf = value.map(|_| number("maxssf", value, 0, u32::MAX, 0)).transpose()?,
            "externalssf" => {
                let below = self.rare.as_ref().map_or(0, |rare| rare.tls_ssf);
                self.external_ssf = number("externalssf", value, 0, u32::MAX, below)?;
                self.external_ssf_given = value.is_some();
            }
            "maxbuf" => self.max_buf = number("maxbuf", value, 0, FRAME_LIMIT, default.max_buf)?,
            "min_iterations" => {
                self.min_iterations = number("min_iterations", value, 1, u32::MAX, default.min_iterations)?;
            }
            "max_iterations" => {
                self.max_iterations = number("max_iterations", value, 1, u32::MAX, default.max_iterations)?;
            }
            "iterations" => {
                self.iterations = number("iterations", value, LEAST_ITERATIONS, ITERATIONS_LIMIT, default.iterations)?;
            }
            "secflags" => self.secflags = security_flags(value.unwrap_or(""))?,
            "channel_binding_policy" => {
                self.binding_policy = match value {
                    None | Some("allow") => BindingPolicy::Allow,
                    Some("disable") => BindingPolicy::Disable,
                    Some("require") => BindingPolicy::Require,
                    Some(_) => return Err(option("channel_binding_policy", "disable, allow or require")),
                }
            }
            "offered_mechanisms" => {
                if value.is_some_and(|v| words(v).next().is_none()) {
                    return Err(option("offered_mechanisms", "names of mechanisms"));
                }
                self.rare().offered_mechanisms = value.map(Into::into);
            }
            "offered_bindings" => self.rare().offered_bindings = value.map(Into::into),
            "no_integrity" => self.no_integrity = truth(value),
            "no_confidentiality" => self.no_confidentiality = truth(value),
            "realm" => self.rare().realm = value.map(str::to_owned),
            "ccache" => self.rare().ccache = value.map(str::to_owned),
            "keytab" => self.rare().keytab = value.map(str::to_owned),
            "principal" => self.rare().principal = value.map(str::to_owned),
            "delegate" => self.rare().delegate = truth(value),
            "delegated_ccache" => {
                if value.is_some_and(|name| name.is_empty() || name.contains('\0')) {
                    return Err(option("delegated_ccache", "the name of a credentials cache"));
                }
                self.rare().delegated_ccache = value.map(str::to_owned);
            }
            "external_id" => self.rare().external_id = value.map(str::to_owned),
            "iplocalport" => self.rare().local = value.map(Into::into),
            "ipremoteport" => self.rare().remote = value.map(Into::into),
            "auxprop" => self.rare().auxprop = words(value.unwrap_or("")).map(Into::into).collect(),
            "fake_salt_key" => {
                if value.is_some_and(|v| v.len() < 16) {
                    return Err(option("fake_salt_key", "at least 16 bytes"));
                }
                self.rare().fake_salt_key = value.map(|v| Secret::new(v.as_bytes()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads an option by the name that callers use; `None` for an unknown or unset one.
    /// A secret option is not given back.
    pub fn get(&self, name: &str) -> Option<String> {
        Some(match name {
            "service" => self.service.to_string(),
            "serverfqdn" | "host" => self.host.to_string(),
            "minssf" => self.min_ssf.to_string(),
            "maxssf" => self.max_ssf().to_string(),
            "externalssf" => self.external_ssf.to_string(),
            "maxbuf" => self.max_buf.to_string(),
            "min_iterations" => self.min_iterations.to_string(),
            "max_iterations" => self.max_iterations.to_string(),
            "iterations" => self.iterations.to_string(),
            "secflags" => SecurityFlags::NAMES
                .iter()
                .filter(|(_, flag)| self.secflags.contains(*flag))
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(" "),
            "channel_binding_policy" => match self.binding_policy {
                BindingPolicy::Disable => "disable".into(),
                BindingPolicy::Allow => "allow".into(),
                BindingPolicy::Require => "require".into(),
            },
            "no_integrity" => u8::from(self.no_integrity).to_string(),
            "no_confidentiality" => u8::from(self.no_confidentiality).to_string(),
            "realm" => self.realm()?.to_owned(),
            "ccache" => self.ccache()?.to_owned(),
            "keytab" => self.keytab()?.to_owned(),
            "principal" => self.principal()?.to_owned(),
            "delegate" => u8::from(self.delegate()).to_string(),
            "delegated_ccache" => self.delegated_ccache()?.to_owned(),
            "external_id" => self.external_id()?.to_owned(),
            "iplocalport" => self.local()?.to_owned(),
            "ipremoteport" => self.remote()?.to_owned(),
            "auxprop" => self.auxprop().join(" "),
            "offered_mechanisms" => self.offered_mechanisms()?.to_owned(),
            "offered_bindings" => self.offered_bindings()?.to_owned(),
            _ => return None,
        })
    }
}

/// The names in a list of offers.
pub fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|word| !word.is_empty())
}

/// Types of channel binding that both sides have: the sooner, the better. The exporter is of this
/// connection alone (RFC 9266 §4), the end point's is that of a certificate (RFC 5929 §4.2);
/// tls-unique is for old TLS, and the weaker one where sessions are resumed (RFC 7627 §1).
fn preference(kind: &str) -> u8 {
    match kind {
        "tls-exporter" => 0,
        "tls-server-end-point" => 1,
        "tls-unique" => 2,
        _ => 3,
    }
}

fn option(name: &'static str, range: &'static str) -> Error {
    Application::Option { name, range }.into()
}

fn number(name: &'static str, value: Option<&str>, least: u32, most: u32, default: u32) -> Result<u32, Error> {
    let Some(text) = value else { return Ok(default) };
    match text.parse::<u32>() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(option(
            name,
            match name {
                "iterations" => "a number from 4096 to 100000000",
                "maxbuf" => "a number from 0 to 16777215",
                _ if least == 1 => "a number from 1 to 4294967295",
                _ => "a number from 0 to 4294967295",
            },
        )),
    }
}

/// Perl's idea of truth.
fn truth(value: Option<&str>) -> bool {
    !matches!(value, None | Some("" | "0"))
}

fn security_flags(text: &str) -> Result<SecurityFlags, Error> {
    let mut flags = SecurityFlags::NONE;
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()) {
        let known = SecurityFlags::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        let Some((_, flag)) = known else {
            return Err(option(
                "secflags",
                "noplaintext, noactive, nodictionary, noanonymous, forward_secrecy, pass_credentials or mutual_auth",
            ));
        };
        flags = flags.and(*flag);
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_back_and_reset() {
        let mut config = Config::default();
        for (name, value) in [
            ("minssf", "56"),
            ("iterations", "10000"),
            ("realm", "r"),
            ("delegated_ccache", "FILE:/tmp/c"),
            ("secflags", "noactive mutual_auth"),
        ] {
            assert_eq!(config.set(name, Some(value)), Ok(true));
            assert_eq!(config.get(name).as_deref(), Some(value));
            assert_eq!(config.set(name, None), Ok(true));
            assert_ne!(config.get(name).as_deref(), Some(value));
        }
        assert_eq!(config.set("no such name", Some("1")), Ok(false));
    }

    #[test]
    fn wrong_values_name_the_option_and_its_range() {
        let mut config = Config::default();
        for (name, value) in [
            ("minssf", "-1"),
            ("maxssf", "many"),
            ("iterations", "4095"),
            ("maxbuf", "16777216"),
            ("secflags", "noplaintext nosuch"),
            ("channel_binding_policy", "maybe"),
            ("fake_salt_key", "short"),
            ("delegated_ccache", ""),
            ("delegated_ccache", "FILE:/tmp/a\0b"),
        ] {
            let error = config.set(name, Some(value)).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }

    fn bound(kinds: &[&str]) -> Config {
        let mut config = Config::default();
        for kind in kinds {
            config.set_binding(ChannelBinding { kind: (*kind).into(), data: vec![1] }).unwrap();
        }
        config
    }

    fn kinds(config: &Config) -> Vec<&str> {
        config.bindings().map(|b| b.kind.as_str()).collect()
    }

    #[test]
    fn bindings_vanish_when_disabled() {
        let mut config = bound(&["tls-exporter"]);
        config.set_binding(ChannelBinding { kind: "tls-exporter".into(), data: vec![2] }).unwrap();
        assert_eq!(config.binding("tls-exporter"), Some(&[2][..]));
        config.set("channel_binding_policy", Some("disable")).unwrap();
        assert_eq!(config.binding("tls-exporter"), None);
        assert!(!config.binds());
        config.set("channel_binding_policy", None).unwrap();
        assert!(config.binds());
        config.forget_bindings();
        assert!(!config.binds());
    }

    #[test]
    fn bindings_stand_in_the_order_of_preference() {
        let mut config = bound(&["ldap", "tls-unique", "tls-server-end-point", "a.b", "tls-exporter"]);
        assert_eq!(kinds(&config), ["tls-exporter", "tls-server-end-point", "tls-unique", "a.b", "ldap"]);
        config.set("offered_bindings", Some("ldap, tls-unique other")).unwrap();
        assert_eq!(kinds(&config), ["tls-unique", "ldap"]);
        config.set("offered_bindings", Some("")).unwrap();
        assert!(!config.binds());
        config.set("offered_bindings", None).unwrap();
        assert_eq!(kinds(&config).len(), 5);
    }

    #[test]
    fn a_binding_has_a_name_and_data() {
        let mut config = Config::default();
        for (kind, data) in [("", &b"x"[..]), ("tls,unique", b"x"), ("a=b", b"x"), ("\u{e4}", b"x"), ("ldap", b"")] {
            let error = config.set_binding(ChannelBinding { kind: kind.into(), data: data.into() }).unwrap_err();
            assert!(error.to_string().starts_with("channel_binding"), "{error}");
        }
        assert!(!config.binds());
    }

    #[test]
    fn tls_gives_strength_unless_the_caller_does() {
        let mut config = Config::default();
        config.set_tls_ssf(256);
        assert_eq!(config.external_ssf, 256);
        config.set("externalssf", Some("0")).unwrap();
        config.set_tls_ssf(128);
        assert_eq!(config.external_ssf, 0);
        config.set("externalssf", None).unwrap();
        assert_eq!(config.external_ssf, 128);
    }
}

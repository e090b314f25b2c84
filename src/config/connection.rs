//! The properties of a connection, typed.

use crate::crypto::hash::Hash;
use crate::crypto::scram::{usual_iterations, Strength};
use crate::error::Error;
use crate::secret::Secret;
use crate::vocabulary::{Abilities, SecurityFlags};
use crate::wire::names::{offers_binding, words};

use super::binding::{self, BindingPolicy, ChannelBinding};
use super::limits::{DEFAULT_MAX_BUF, MAX_ITERATIONS, MIN_ITERATIONS};

/// Options and properties of a connection. Fields that few connections set are boxed to save memory: a `Config` lives as
/// long as its connection.
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
    /// Minimum strength (SSF), external strength included.
    pub min_ssf: u32,
    /// Maximum strength (SSF), external strength included; [`Config::max_ssf`] has the default.
    pub max_ssf: Option<u32>,
    /// Strength (SSF) of TLS or of the socket.
    pub external_ssf: u32,
    /// True if the caller has set it.
    pub(super) external_ssf_given: bool,
    /// Longest frame that this side receives, in bytes.
    pub max_buf: u32,
    /// Minimum number of SCRAM iterations that a client accepts.
    pub min_iterations: u32,
    /// Maximum number of SCRAM iterations that a client accepts, and that a verifier may have with which a server compares a
    /// password.
    pub max_iterations: u32,
    /// Iterations that a server sends for users with plain passwords and for unknown users, if the caller has set them:
    /// [`Config::iterations`].
    pub iterations: Option<u32>,
    /// Whether channel binding is used.
    pub binding_policy: BindingPolicy,
    /// Server: offer no integrity layer.
    pub no_integrity: bool,
    /// Server: offer no confidentiality layer.
    pub no_confidentiality: bool,
    /// Client: the server's list of mechanisms has a -PLUS variant (RFC 5802 §6).
    pub peer_offers_binding: bool,
    /// Server: clients were offered a -PLUS variant. `offered_mechanisms` overrides this ([`Config::offers_binding`]).
    pub lists_binding: bool,
    /// Client: the list of mechanisms to choose from has one that uses a password.
    pub lists_password: bool,
    pub(super) rare: Option<Box<Rare>>,
}

/// Options that few connections set.
#[derive(Debug, Default)]
pub(super) struct Rare {
    pub realm: Option<String>,
    pub bindings: Vec<ChannelBinding>,
    pub offered_mechanisms: Option<Box<str>>,
    pub offered_bindings: Option<Box<str>>,
    pub tls_version: Option<Box<str>>,
    pub digest_md5_utf8: bool,
    pub tls_ssf: u32,
    tls_certificate: bool,
    unix_peer: bool,
    pub local: Option<Box<str>>,
    pub remote: Option<Box<str>>,
    pub external_id: Option<String>,
    pub salt_key: Option<Secret>,
    pub upgrade: Option<Strength>,
    pub auxprop: Vec<Box<str>>,
    pub ccache: Option<String>,
    pub keytab: Option<String>,
    pub principal: Option<String>,
    pub kerberos_password: bool,
    pub delegate: bool,
    pub otp_renew: u32,
    pub delegated_ccache: Option<String>,
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
            min_iterations: MIN_ITERATIONS,
            max_iterations: MAX_ITERATIONS,
            iterations: None,
            binding_policy: BindingPolicy::Allow,
            no_integrity: false,
            no_confidentiality: false,
            peer_offers_binding: false,
            lists_binding: false,
            lists_password: false,
            rare: None,
        }
    }
}

impl Config {
    /// A server's default realm.
    pub fn realm(&self) -> Option<&str> {
        self.rare.as_ref()?.realm.as_deref()
    }

    /// OTP client: a challenge with a sequence number below this makes it begin a new chain; 0 for never.
    pub fn otp_renew(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.otp_renew)
    }

    /// The address and port of this side, `ip;port`.
    pub fn local(&self) -> Option<&str> {
        self.rare.as_ref()?.local.as_deref()
    }

    /// The address and port of the peer, `ip;port`.
    pub fn remote(&self) -> Option<&str> {
        self.rare.as_ref()?.remote.as_deref()
    }

    /// Sets the strength of the TLS connection that the caller has passed, in bits. It is the external strength unless the
    /// caller sets another one.
    pub fn set_tls_ssf(&mut self, bits: u32) {
        self.rare().tls_ssf = bits;
        self.rare().tls_certificate &= bits > 0;
        if !self.external_ssf_given {
            self.external_ssf = bits;
        }
    }

    /// Sets whether this side of the TLS connection has a certificate of its own.
    pub fn set_tls_certificate(&mut self, has_one: bool) {
        self.rare().tls_certificate = has_one;
    }

    /// Sets whether the connection is a Unix socket, whose peer the system can identify.
    pub fn set_unix_peer(&mut self, is_one: bool) {
        if is_one || self.rare.is_some() {
            self.rare().unix_peer = is_one;
        }
    }

    /// Client: whether something outside SASL may prove its identity. If the caller has passed the TLS connection, a client
    /// certificate counts. If only the strength of TLS is known, there may be a certificate, so that counts too.
    pub fn proves_outside(&self) -> bool {
        let told = self.external_ssf_given && self.external_ssf > 0;
        let Some(rare) = &self.rare else { return told };
        rare.tls_certificate || rare.unix_peer || (told && rare.tls_ssf == 0)
    }

    /// The mechanisms that the server offers: as a server states them, or as a client has received them.
    pub fn offered_mechanisms(&self) -> Option<&str> {
        self.rare.as_ref()?.offered_mechanisms.as_deref()
    }

    /// The version of TLS as four hexadecimal digits in lower case (XEP-0515).
    pub fn tls_version(&self) -> Option<&str> {
        self.rare.as_ref()?.tls_version.as_deref()
    }

    /// Maximum strength (SSF). If it is not set, it is 0 for the services named here: their programs do not use security
    /// layers, and could not read what their peer sends after a layer has been negotiated
    /// (docs/decisions/0004-layers.md).
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

    /// Client: DIGEST-MD5 hashes names and passwords in UTF-8, although RFC 2831 asks for ISO 8859-1.
    pub fn digest_md5_utf8(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.digest_md5_utf8)
    }

    /// True if a password may be sent in the clear: no flag forbids it, or TLS protects it.
    pub fn allows_plaintext(&self) -> bool {
        self.external_ssf > 0 || !self.secflags.contains(SecurityFlags::NOPLAINTEXT)
    }

    /// The identity that TLS or the socket proved, for an EXTERNAL server.
    pub fn external_id(&self) -> Option<&str> {
        self.rare.as_ref()?.external_id.as_deref()
    }

    /// The key from which salts are derived for users who have none, if the application has set it.
    pub fn salt_key(&self) -> Option<&Secret> {
        self.rare.as_ref()?.salt_key.as_ref()
    }

    /// Iterations that a server sends for users with plain passwords and for unknown users: those that the caller has set, or
    /// else the usual ones of the hash.
    pub fn iterations(&self, hash: Hash) -> u32 {
        self.iterations.unwrap_or_else(|| usual_iterations(hash))
    }

    /// Server: the least strength of the verifiers of its users; weaker ones are replaced at login.
    pub fn upgrade(&self) -> Option<Strength> {
        self.rare.as_ref()?.upgrade
    }

    /// Sets what [`Config::upgrade`] returns.
    pub fn set_upgrade(&mut self, least: Option<Strength>) {
        self.rare().upgrade = least;
    }

    /// The user properties that a server's application wants to read after success.
    pub fn auxprop(&self) -> &[Box<str>] {
        self.rare.as_ref().map_or(&[], |rare| &*rare.auxprop)
    }

    /// A copy of the options that identify a server's accounts: service, host and realm.
    pub fn names(&self) -> Config {
        let mut config = Config { service: self.service.clone(), host: self.host.clone(), ..Config::default() };
        if let Some(realm) = self.realm() {
            config.rare().realm = Some(realm.to_owned());
        }
        config
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(Box::default)
    }
}

/// Channel binding.
impl Config {
    /// The types of channel binding that the server offers by name (XEP-0440).
    pub fn offered_bindings(&self) -> Option<&str> {
        self.rare.as_ref()?.offered_bindings.as_deref()
    }

    /// The channel bindings that may be used, in order of preference. None if the policy disables them. If the offered types
    /// are known, other types are left out.
    pub fn bindings(&self) -> impl Iterator<Item = &ChannelBinding> {
        let offered = self.offered_bindings();
        self.binding_data().iter().filter(move |b| offered.is_none_or(|list| words(list).any(|w| w == b.kind)))
    }

    /// All binding data, including types that are not offered; none if the policy disables channel binding.
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

    /// Server: true if clients were offered a -PLUS variant. A client that says it was offered none (`y`) has then read a
    /// list that was changed on the way (RFC 5802 §6).
    pub fn offers_binding(&self) -> bool {
        self.offered_mechanisms().map_or(self.lists_binding, offers_binding)
    }

    /// The data of the binding of that type.
    pub fn binding(&self, kind: &str) -> Option<&[u8]> {
        self.bindings().find(|b| b.kind == kind).map(|b| b.data.as_slice())
    }

    /// Adds a channel binding, or replaces the one of the same type.
    ///
    /// # Errors
    /// [`crate::error::Application::Option`] for a type that a GS2 header cannot contain (RFC 5801 §4), for empty data, which
    /// would bind to nothing, and above [`super::VALUE_LIMIT`] and [`super::BINDINGS_LIMIT`].
    pub fn set_binding(&mut self, binding: ChannelBinding) -> Result<(), Error> {
        binding::insert(&mut self.rare().bindings, binding)
    }

    /// Removes all channel bindings.
    pub fn forget_bindings(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.bindings.clear();
        }
    }
}

/// Kerberos: which credentials are used, and what is delegated to a server.
impl Config {
    /// Kerberos: a client's credentials cache, if not that of the environment.
    pub fn ccache(&self) -> Option<&str> {
        self.rare.as_ref()?.ccache.as_deref()
    }

    /// Kerberos: the keytab, if not that of the environment.
    pub fn keytab(&self) -> Option<&str> {
        self.rare.as_ref()?.keytab.as_deref()
    }

    /// Kerberos: this side's principal, if not the default one.
    pub fn principal(&self) -> Option<&str> {
        self.rare.as_ref()?.principal.as_deref()
    }

    /// Kerberos: a client without a ticket may get one with its password.
    pub fn kerberos_password(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.kerberos_password)
    }

    /// Kerberos: the client delegates its credentials to the server.
    pub fn delegate(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.delegate)
    }

    /// Kerberos: the cache in which a server stores delegated credentials; by default they are not stored.
    pub fn delegated_ccache(&self) -> Option<&str> {
        self.rare.as_ref()?.delegated_ccache.as_deref()
    }
}

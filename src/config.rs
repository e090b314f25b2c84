//! Options and properties of one connection, by the names that callers use.

mod binding;
mod kerberos;
mod names;
mod server;

use crate::error::{Application, Error};
use crate::vocabulary::{Abilities, SecurityFlags};
use crate::wire::names::words;

pub use binding::{BindingPolicy, ChannelBinding};
pub use names::{nearest, Closeness, OPTIONS};

use kerberos::Kerberos;
use server::Server;

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
    /// Server: a -PLUS variant is among the mechanisms that clients were offered, unless `offered_mechanisms`
    /// says otherwise ([`Config::offers_binding`]).
    pub lists_binding: bool,
    /// Client: the list of mechanisms to choose from holds one that uses a password.
    pub lists_password: bool,
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    realm: Option<String>,
    bindings: Vec<ChannelBinding>,
    kerberos: Kerberos,
    server: Server,
    offered_mechanisms: Option<Box<str>>,
    offered_bindings: Option<Box<str>>,
    digest_md5_utf8: bool,
    tls_ssf: u32,
    tls_certificate: bool,
    unix_peer: bool,
    local: Option<Box<str>>,
    remote: Option<Box<str>>,
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

    /// The address and port of this side, `ip;port`.
    pub fn local(&self) -> Option<&str> {
        self.rare.as_ref()?.local.as_deref()
    }

    /// The address and port of the peer, `ip;port`.
    pub fn remote(&self) -> Option<&str> {
        self.rare.as_ref()?.remote.as_deref()
    }

    /// The strength of the TLS connection that the caller named, in bits: this is the external
    /// strength unless the caller says another one.
    pub fn set_tls_ssf(&mut self, bits: u32) {
        self.rare().tls_ssf = bits;
        self.rare().tls_certificate &= bits > 0;
        if !self.external_ssf_given {
            self.external_ssf = bits;
        }
    }

    /// This side of the TLS connection that the caller named has a certificate of its own.
    pub fn set_tls_certificate(&mut self, has_one: bool) {
        self.rare().tls_certificate = has_one;
    }

    /// The connection is a Unix socket, whose other end the system knows.
    pub fn set_unix_peer(&mut self, is_one: bool) {
        if is_one || self.rare.is_some() {
            self.rare().unix_peer = is_one;
        }
    }

    /// Client: whether there is a sign that something outside SASL proves who it is. Of a TLS connection that the caller
    /// has named it is known whether the client has a certificate; of one whose strength alone was told, it is not.
    pub fn proves_outside(&self) -> bool {
        let told = self.external_ssf_given && self.external_ssf > 0;
        let Some(rare) = &self.rare else { return told };
        rare.tls_certificate || rare.unix_peer || (told && rare.tls_ssf == 0)
    }

    /// The mechanisms that the server offers: a server's own word, or what the client has received.
    pub fn offered_mechanisms(&self) -> Option<&str> {
        self.rare.as_ref()?.offered_mechanisms.as_deref()
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

    /// Client: DIGEST-MD5 hashes names and passwords in UTF-8, whatever the standard says.
    pub fn digest_md5_utf8(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.digest_md5_utf8)
    }

    /// True if a password may travel readable: nothing forbids it, or TLS is below.
    pub fn allows_plaintext(&self) -> bool {
        self.external_ssf > 0 || !self.secflags.contains(SecurityFlags::NOPLAINTEXT)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(Box::default)
    }

    /// Sets an option by the name that callers use, one of [`OPTIONS`]. `None` puts the default back.
    ///
    /// # Errors
    /// [`Application::Option`] with the name and the range, for a value out of it; [`Application::UnknownOption`].
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let default = Config::default();
        if !OPTIONS.contains(&name) {
            let nearest = nearest(name, OPTIONS, Closeness::Hint);
            return Err(Application::UnknownOption { name: name.into(), nearest }.into());
        }
        if value.is_some_and(|value| value.len() > VALUE_LIMIT) {
            return Err(option("an option's value", "at most 65536 bytes"));
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
            // Authen::SASL::Perl takes any number.
            "maxbuf" => self.max_buf = number("maxbuf", value, 0, u32::MAX, default.max_buf)?.min(FRAME_LIMIT),
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
            "channel_binding_policy" => self.binding_policy = BindingPolicy::find(value)?,
            "offered_mechanisms" => {
                if value.is_some_and(|v| words(v).next().is_none()) {
                    return Err(option("offered_mechanisms", "names of mechanisms"));
                }
                self.rare().offered_mechanisms = value.map(Into::into);
            }
            "offered_bindings" => self.rare().offered_bindings = value.map(Into::into),
            "digest_md5_utf8" => self.rare().digest_md5_utf8 = truth(value),
            "no_integrity" => self.no_integrity = truth(value),
            "no_confidentiality" => self.no_confidentiality = truth(value),
            "realm" => self.rare().realm = value.map(str::to_owned),
            "iplocalport" => self.rare().local = value.map(Into::into),
            "ipremoteport" => self.rare().remote = value.map(Into::into),
            _ => {
                let known = self.set_kerberos(name, value)? || self.set_server(name, value)?;
                debug_assert!(known, "{name} is in OPTIONS only");
            }
        }
        Ok(())
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
            "channel_binding_policy" => self.binding_policy.name().into(),
            "digest_md5_utf8" => u8::from(self.digest_md5_utf8()).to_string(),
            "no_integrity" => u8::from(self.no_integrity).to_string(),
            "no_confidentiality" => u8::from(self.no_confidentiality).to_string(),
            "realm" => self.realm()?.to_owned(),
            "iplocalport" => self.local()?.to_owned(),
            "ipremoteport" => self.remote()?.to_owned(),
            "offered_mechanisms" => self.offered_mechanisms()?.to_owned(),
            "offered_bindings" => self.offered_bindings()?.to_owned(),
            _ => return self.get_kerberos(name).or_else(|| self.get_server(name)),
        })
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
mod tests;

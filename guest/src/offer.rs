//! Which mechanisms can be offered to libsasl2, and with what flags.

use std::ffi::{c_char, c_uint, c_ulong, c_void, CString};
use std::ptr;
use std::sync::OnceLock;

use authen_sasl_rust::contract::{Mechanism, Side};
use authen_sasl_rust::mechanism::find;
use saslplug::{callback, feature, security};

/// When a server offers a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    /// Unless the administrator's list leaves it out.
    ByDefault,
    /// Only if the administrator's list names it.
    IfNamed,
}

/// What libsasl2 needs to know of a mechanism besides what the core knows of it.
#[derive(Debug)]
struct Row {
    name: &'static str,
    /// SASL_SEC_ flags that the core does not have, and the strength of SCRAM's hash.
    security: c_uint,
    client: c_uint,
    server: c_uint,
    prompts: &'static [c_ulong],
    on_server: Offered,
    /// `setpass` stores a verifier of this mechanism.
    makes_verifiers: bool,
    /// A server must not compare the host that the client names: few programs tell libsasl2 the name that clients know them by. It
    /// takes the machine's name then, and does not compare it with the digest-uri.
    ignores_host: bool,
}

const NAME_AND_PASSWORD: &[c_ulong] = &[callback::AUTHNAME, callback::PASS, callback::LIST_END];
const NOTHING: &[c_ulong] = &[callback::LIST_END];

/// `SASL_SET_HASH_STRENGTH_BITS`: libsasl2 prefers the longer hash.
const fn hash_bits(bits: c_uint) -> c_uint {
    (bits / 8) << 16
}

/// `SASL_SEC_PASS_CREDENTIALS`: the client sends the password itself.
const PASS_CREDENTIALS: c_uint = 0x20;

const fn row(name: &'static str, security: c_uint, client: c_uint, server: c_uint) -> Row {
    Row {
        name,
        security,
        client,
        server,
        prompts: NAME_AND_PASSWORD,
        on_server: Offered::ByDefault,
        makes_verifiers: false,
        ignores_host: false,
    }
}

const fn scram(name: &'static str, bits: c_uint) -> Row {
    use feature::{ALLOWS_PROXY, CHANNEL_BINDING, WANT_CLIENT_FIRST};
    let features = WANT_CLIENT_FIRST | ALLOWS_PROXY | CHANNEL_BINDING;
    Row { makes_verifiers: bits == 256, ..row(name, hash_bits(bits), features, features) }
}

/// The administrator must configure who checks tokens, so a server offers these only if they are named.
const fn bearer(name: &'static str) -> Row {
    use feature::WANT_CLIENT_FIRST;
    Row { on_server: Offered::IfNamed, ..row(name, 0, WANT_CLIENT_FIRST, WANT_CLIENT_FIRST) }
}

/// All mechanisms that can be offered, strongest first. libsasl2 derives -PLUS from a mechanism with channel binding, and has its own
/// EXTERNAL.
static ROWS: [Row; 13] = {
    use feature::{ALLOWS_PROXY, DONTUSE_USERPASSWD, NEEDS_SERVER_FQDN, SERVER_FIRST, WANT_CLIENT_FIRST};
    [
        scram("SCRAM-SHA3-512", 512),
        scram("SCRAM-SHA-512", 512),
        scram("SCRAM-SHA-384", 384),
        scram("SCRAM-SHA-256", 256),
        scram("SCRAM-SHA-224", 224),
        scram("SCRAM-SHA-1", 160),
        Row { ignores_host: true, ..row("DIGEST-MD5", 0, NEEDS_SERVER_FQDN | ALLOWS_PROXY, ALLOWS_PROXY) },
        row("CRAM-MD5", 0, SERVER_FIRST, SERVER_FIRST),
        row("PLAIN", PASS_CREDENTIALS, WANT_CLIENT_FIRST | ALLOWS_PROXY, WANT_CLIENT_FIRST | ALLOWS_PROXY),
        // A client of LOGIN may send the name as its initial response.
        row("LOGIN", PASS_CREDENTIALS, SERVER_FIRST, 0),
        bearer("OAUTHBEARER"),
        bearer("XOAUTH2"),
        Row { prompts: NOTHING, ..row("ANONYMOUS", 0, WANT_CLIENT_FIRST, WANT_CLIENT_FIRST | DONTUSE_USERPASSWD) },
    ]
};

/// A mechanism as libsasl2's global context has it.
#[derive(Debug)]
pub struct Offer {
    /// Without channel binding.
    pub mechanism: &'static dyn Mechanism,
    /// With channel binding, if the mechanism has it.
    pub plus: Option<&'static dyn Mechanism>,
    name: CString,
    row: &'static Row,
}

impl Offer {
    /// The offer that a `glob_context` points to.
    ///
    /// # Safety
    /// The pointer is null, or the `context` of an offer.
    pub unsafe fn of<'a>(context: *mut c_void) -> Option<&'a Offer> {
        // SAFETY: the caller's promise; an offer lives as long as the process.
        unsafe { context.cast::<Offer>().as_ref() }
    }

    /// The `glob_context` of this offer.
    pub fn context(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub fn name(&'static self) -> *const c_char {
        self.name.as_ptr()
    }

    /// Its SASL_SEC_ flags.
    pub fn security(&self) -> c_uint {
        security::theirs(self.mechanism.security) | self.row.security
    }

    /// Its SASL_FEAT_ flags.
    pub fn features(&self, side: Side) -> c_uint {
        match side {
            Side::Client => self.row.client,
            Side::Server => self.row.server,
        }
    }

    /// The callbacks or prompts that a client needs, ended by `SASL_CB_LIST_END`.
    pub fn prompts(&self) -> *const c_ulong {
        self.row.prompts.as_ptr()
    }

    /// Whether a side offers it without being asked to.
    pub fn is_default(&self, side: Side) -> bool {
        side == Side::Client || self.row.on_server == Offered::ByDefault
    }

    /// Whether a server must not compare the host that the client names.
    pub fn ignores_host(&self) -> bool {
        self.row.ignores_host
    }

    /// Whether `setpass` stores a verifier of this mechanism.
    pub fn makes_verifiers(&self) -> bool {
        self.row.makes_verifiers
    }
}

/// All offers, strongest first.
pub fn offers() -> &'static [Offer] {
    static OFFERS: OnceLock<Vec<Offer>> = OnceLock::new();
    OFFERS.get_or_init(|| {
        let offer = |row: &'static Row| {
            let plus = find(&format!("{}-PLUS", row.name));
            Some(Offer { mechanism: find(row.name)?, plus, name: CString::new(row.name).ok()?, row })
        };
        ROWS.iter().filter_map(offer).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::contract::CredentialKind;

    #[test]
    fn each_row_is_a_mechanism_of_ours() {
        assert_eq!(offers().len(), ROWS.len());
        for offer in offers() {
            let binds = offer.row.client & feature::CHANNEL_BINDING != 0;
            assert_eq!(offer.plus.is_some(), binds, "{}", offer.mechanism.name);
            assert_eq!(offer.row.prompts.last(), Some(&callback::LIST_END));
        }
    }

    /// Except EXTERNAL, which libsasl2 has itself; HT, as libsasl2 knows no callback for its tokens; and OTP, which libsasl2 has a plugin
    /// for.
    #[test]
    fn every_mechanism_of_the_core_has_a_row() {
        for mechanism in authen_sasl_rust::mechanism::ALL {
            let name = mechanism.name.strip_suffix("-PLUS").unwrap_or(mechanism.name);
            let left_out = matches!(mechanism.credential, CredentialKind::HtTokens(_) | CredentialKind::Otp);
            assert_eq!(ROWS.iter().any(|row| row.name == name), name != "EXTERNAL" && !left_out, "{name}");
        }
    }
}

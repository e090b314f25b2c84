//! The digests of DIGEST-MD5 (RFC 2831 §2.1.2.1, §2.1.3).

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::wire::hex;

use super::quality::Qop;

/// The only nonce count, since there is no subsequent authentication.
pub const NONCE_COUNT: &str = "00000001";

/// H(A1), which both sides know after the exchange. The keys of a security layer are derived from it.
pub type SessionKey = Zeroizing<[u8; 16]>;

/// The side whose proof a digest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The client's `response`.
    Client,
    /// The server's `rspauth`.
    Server,
}

/// The inputs of the digests, besides the password.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub authcid: String,
    pub authzid: Option<String>,
    /// The realm as in the response; empty if the response has none.
    pub realm: Vec<u8>,
    pub nonce: Vec<u8>,
    pub cnonce: Vec<u8>,
    pub digest_uri: Vec<u8>,
    pub qop: Qop,
}

/// The character encoding in which the name and the password are hashed. It matters only beyond ASCII.
#[derive(Debug, Clone, Copy)]
pub enum NameEncoding {
    /// Both in ISO 8859-1 if they fit, even if the message is UTF-8 (RFC 2831 §2.1.2.1).
    Standard,
    /// The password as in the standard, the name in UTF-8: libgsasl.
    NameInUtf8,
    /// Both in UTF-8: Authen::SASL::Perl, Dovecot.
    InUtf8,
}

impl Exchange {
    /// `A1 = { H( { username ":" realm ":" passwd } ) ":" nonce ":" cnonce [ ":" authzid ] }`
    pub fn session_key(&self, password: &[u8], encoding: NameEncoding) -> SessionKey {
        let (name_in_utf8, password_in_utf8) = match encoding {
            NameEncoding::Standard => (false, false),
            NameEncoding::NameInUtf8 => (true, false),
            NameEncoding::InUtf8 => (true, true),
        };
        let mut secret = Md5::new();
        update_name(&mut secret, self.authcid.as_bytes(), name_in_utf8);
        secret.update(b":");
        secret.update(&self.realm);
        secret.update(b":");
        update_name(&mut secret, password, password_in_utf8);
        let secret = Zeroizing::new(<[u8; 16]>::from(secret.finalize()));

        let mut a1 = Md5::new();
        a1.update(&secret[..]);
        for part in [&self.nonce, &self.cnonce] {
            a1.update(b":");
            a1.update(part);
        }
        if let Some(authzid) = &self.authzid {
            a1.update(b":");
            a1.update(authzid);
        }
        Zeroizing::new(a1.finalize().into())
    }

    /// True if another encoding would give another key.
    pub fn encodings_differ(&self, password: &[u8], encoding: NameEncoding) -> bool {
        let latin = |name: &[u8]| !name.is_ascii() && std::str::from_utf8(name).is_ok_and(fits_latin1);
        matches!(encoding, NameEncoding::Standard) && (latin(self.authcid.as_bytes()) || latin(password))
    }

    /// What both proofs with a key hash first: `HEX(H(A1)) ":" nonce ":" nc ":" cnonce ":" qop ":"`
    pub fn keyed(&self, key: &SessionKey) -> Md5 {
        let mut kd = Md5::new();
        kd.update(&Zeroizing::new(hex::print(key))[..]);
        kd.update(b":");
        for part in [&self.nonce[..], NONCE_COUNT.as_bytes(), &self.cnonce, self.qop.name().as_bytes()] {
            kd.update(part);
            kd.update(b":");
        }
        kd
    }

    /// `HEX( KD( HEX(H(A1)), { nonce ":" nc ":" cnonce ":" qop ":" HEX(H(A2)) } ) )`, from [`Exchange::keyed`].
    pub fn proof(&self, whose: Proof, keyed: &Md5) -> [u8; 32] {
        let mut a2 = Md5::new();
        a2.update(match whose {
            Proof::Client => &b"AUTHENTICATE:"[..],
            Proof::Server => b":",
        });
        a2.update(&self.digest_uri);
        if self.qop != Qop::Auth {
            a2.update(b":00000000000000000000000000000000");
        }
        let kd = keyed.clone().chain_update(hex::print(&a2.finalize().into()));
        hex::print(&kd.finalize().into())
    }
}

fn fits_latin1(text: &str) -> bool {
    text.chars().all(|c| u32::from(c) < 0x100)
}

/// Hashes a user name or password: in UTF-8 if requested, else in ISO 8859-1 if all its characters fit. Without
/// `charset=utf-8` the name is ISO 8859-1 anyway, so one rule serves both cases.
fn update_name(hash: &mut Md5, name: &[u8], in_utf8: bool) {
    match std::str::from_utf8(name) {
        Ok(text) if !in_utf8 && !name.is_ascii() && fits_latin1(text) => {
            // Character by character, so that no second copy of a password is made.
            for c in text.chars() {
                hash.update([c as u8]);
            }
        }
        _ => hash.update(name),
    }
}

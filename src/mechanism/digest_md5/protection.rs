//! Quality of protection: what a server offers, and what a client chooses of it
//! (RFC 2831 §2.1.1, `qop`, `cipher` and `maxbuf`).

use crate::config::Config;
use crate::contract::SecurityLayer;
use crate::error::{Error, Malformed, Policy};

use super::response::SessionKey;

/// The peer's longest frame where it names none (RFC 2831 §2.1.1).
const DEFAULT_MAX_BUF: u32 = 65536;

/// Quality of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Qop {
    Auth = 1,
    Integrity = 2,
    Confidentiality = 4,
}

impl Qop {
    /// From the weakest to the strongest.
    const ALL: [Qop; 3] = [Qop::Auth, Qop::Integrity, Qop::Confidentiality];

    pub fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::Integrity => "auth-int",
            Qop::Confidentiality => "auth-conf",
        }
    }

    pub fn find(name: &[u8]) -> Option<Qop> {
        Qop::ALL.into_iter().find(|qop| qop.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A cipher of `auth-conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cipher {
    Rc4 = 1,
    TripleDes = 2,
    Des = 4,
    Rc4With56 = 8,
    Rc4With40 = 16,
}

impl Cipher {
    const ALL: [Cipher; 5] = [Cipher::Rc4, Cipher::TripleDes, Cipher::Des, Cipher::Rc4With56, Cipher::Rc4With40];

    pub fn name(self) -> &'static str {
        match self {
            Cipher::Rc4 => "rc4",
            Cipher::TripleDes => "3des",
            Cipher::Des => "des",
            Cipher::Rc4With56 => "rc4-56",
            Cipher::Rc4With40 => "rc4-40",
        }
    }

    pub fn find(name: &[u8]) -> Option<Cipher> {
        Cipher::ALL.into_iter().find(|cipher| cipher.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// What a server offers, or this side is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    qops: u8,
    ciphers: u8,
    /// Longest frame that the server receives.
    pub max_buf: u32,
}

impl Offer {
    /// What this side can: so far no layer.
    pub fn ours(_config: &Config) -> Self {
        Offer { qops: Qop::Auth as u8, ciphers: 0, max_buf: DEFAULT_MAX_BUF }
    }

    /// What a challenge offers. Unknown words are ignored; a missing `qop` is `auth`.
    pub fn parsed<'a>(
        qops: Option<impl Iterator<Item = &'a [u8]>>,
        ciphers: Option<impl Iterator<Item = &'a [u8]>>,
        max_buf: Option<u32>,
    ) -> Self {
        let qops = match qops {
            None => Qop::Auth as u8,
            Some(words) => words.filter_map(Qop::find).fold(0, |set, qop| set | qop as u8),
        };
        let ciphers = ciphers.map_or(0, |words| words.filter_map(Cipher::find).fold(0, |set, c| set | c as u8));
        Offer { qops, ciphers, max_buf: max_buf.unwrap_or(DEFAULT_MAX_BUF) }
    }

    pub fn has(&self, qop: Qop) -> bool {
        self.qops & qop as u8 != 0
    }

    /// The value of `qop`.
    pub fn qops(&self) -> String {
        list(Qop::ALL.into_iter().filter(|qop| self.has(*qop)).map(Qop::name))
    }

    /// The value of `cipher`, if there is any cipher.
    pub fn ciphers(&self) -> Option<String> {
        let names = Cipher::ALL.into_iter().filter(|cipher| self.ciphers & *cipher as u8 != 0).map(Cipher::name);
        (self.ciphers != 0).then(|| list(names))
    }

    /// The value of `maxbuf`, where it is not the default.
    pub fn max_buf(&self) -> Option<u32> {
        (self.max_buf != DEFAULT_MAX_BUF).then_some(self.max_buf)
    }

    /// A client's choice among what the server offers: the strongest that both can.
    ///
    /// # Errors
    /// If there is none.
    pub fn choose(&self, config: &Config) -> Result<Protection, Error> {
        let ours = Offer::ours(config);
        let qop = Qop::ALL.into_iter().rev().find(|qop| self.has(*qop) && ours.has(*qop));
        let Some(qop) = qop else {
            return Err(Policy::Strength("the server offers no quality of protection (qop) that this side has").into());
        };
        Ok(Protection { qop, cipher: None, max_out: self.max_buf })
    }
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    pub qop: Qop,
    pub cipher: Option<Cipher>,
    /// Longest frame that the peer receives.
    pub max_out: u32,
}

impl Protection {
    /// What a response names. A missing `qop` is `auth`.
    pub fn parsed(qop: Option<Qop>, cipher: Option<Cipher>, max_buf: Option<u32>) -> Self {
        Protection { qop: qop.unwrap_or(Qop::Auth), cipher, max_out: max_buf.unwrap_or(DEFAULT_MAX_BUF) }
    }

    /// The security layer, keyed by H(A1) (RFC 2831 §2.3, §2.4).
    pub fn layer(&self, _session_key: &SessionKey) -> Option<Box<dyn SecurityLayer>> {
        None
    }
}

/// `maxbuf-value = 1*DIGIT`, bigger than 16 and at most 16777215 (RFC 2831 §2.1.1).
pub fn max_buf(value: &[u8]) -> Result<u32, Malformed> {
    let wrong = Malformed::Number("maxbuf");
    if value.len() > 16 || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.filter(|n| (17..=0xFF_FFFF).contains(n)).ok_or(wrong)
}

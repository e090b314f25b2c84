//! Negotiation of the protection: what a server offers, and what a client chooses
//! (RFC 2831 §2.1.1, `qop`, `cipher` and `maxbuf`).

use crate::config::{Config, DEFAULT_MAX_BUF, FRAME_LIMIT};
use crate::contract::{SecurityLayer, Side};
use crate::error::{Error, Malformed, Policy};

use super::layer::{self, Layer};
use super::quality::{Cipher, Qop};
use super::response::SessionKey;

/// A `maxbuf` must be greater than 16 (RFC 2831 §2.1.1): the overhead of protection, and one byte.
const MIN_MAX_BUF: u32 = 17;

/// What a server offers, or what this side accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    qops: u8,
    ciphers: u8,
    /// Longest frame that the server receives.
    pub max_buf: u32,
}

impl Offer {
    /// What this side supports and its options allow: minssf and maxssf minus the strength of TLS, a server's `no_integrity` and
    /// `no_confidentiality`, and a buffer that is large enough for the shortest frame.
    pub fn ours(config: &Config) -> Self {
        let least = config.min_ssf.saturating_sub(config.external_ssf);
        let most = config.max_ssf().saturating_sub(config.external_ssf);
        let allowed = |ssf: u32| {
            let switched_off = match ssf {
                0 => false,
                1 => config.no_integrity,
                _ => config.no_integrity || config.no_confidentiality,
            };
            (least..=most).contains(&ssf) && !switched_off && (ssf == 0 || config.max_buf >= MIN_MAX_BUF)
        };
        let usable = |cipher: &Cipher| allowed(cipher.ssf()) && layer::max_plaintext(Some(*cipher), config.max_buf) > 0;
        let ciphers = Cipher::ALL.into_iter().filter(usable).fold(0, |set, cipher| set | cipher as u8);
        let mut qops = 0;
        for (qop, has) in [(Qop::Auth, allowed(0)), (Qop::Integrity, allowed(1)), (Qop::Confidentiality, ciphers != 0)]
        {
            qops |= if has { qop as u8 } else { 0 };
        }
        Offer { qops, ciphers, max_buf: config.max_buf }
    }

    /// A server's offer. Its `maxbuf` is a little less than what the server receives: clients of Authen::SASL::Perl divide
    /// plaintext into pieces of exactly that size and forget the overhead.
    ///
    /// # Errors
    /// If the policy allows nothing.
    pub fn of_server(config: &Config) -> Result<Self, Error> {
        const FORGOTTEN: u32 = 32;
        let mut offer = Offer::ours(config);
        if offer.qops == 0 {
            return Err(Policy::Strength(
                "no quality of protection is left by minssf, maxssf, externalssf, maxbuf, no_integrity and no_confidentiality",
            )
            .into());
        }
        if offer.max_buf >= 8 * FORGOTTEN {
            offer.max_buf -= FORGOTTEN;
        }
        Ok(offer)
    }

    /// The offer of a challenge. Unknown words are ignored. A missing `qop` means `auth`.
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

    pub fn has_cipher(&self, cipher: Cipher) -> bool {
        self.ciphers & cipher as u8 != 0
    }

    /// The value of `qop`.
    pub fn qops(&self) -> String {
        list(Qop::ALL.into_iter().filter(|qop| self.has(*qop)).map(Qop::name))
    }

    /// The value of `cipher`, if there is any cipher.
    pub fn ciphers(&self) -> Option<String> {
        let names = Cipher::ALL.into_iter().filter(|cipher| self.has_cipher(*cipher)).map(Cipher::name);
        (self.ciphers != 0).then(|| list(names))
    }

    /// The value of `maxbuf`, if a layer is offered and the value is not the default.
    pub fn max_buf(&self) -> Option<u32> {
        (self.qops != Qop::Auth as u8 && self.max_buf != DEFAULT_MAX_BUF).then_some(self.max_buf)
    }

    /// A client's choice: the strongest protection that both sides support and allow.
    ///
    /// # Errors
    /// If there is none.
    pub fn choose(&self, config: &Config) -> Result<Protection, Error> {
        let ours = Offer::ours(config);
        let fits = |cipher: &Cipher| layer::max_plaintext(Some(*cipher), self.max_buf) > 0;
        let ciphers = Cipher::ALL.into_iter().filter(|cipher| self.has_cipher(*cipher) && ours.has_cipher(*cipher));
        let strongest = ciphers.filter(fits).max_by_key(|cipher| cipher.ssf());
        let both = |qop: Qop| self.has(qop) && ours.has(qop);
        let (qop, cipher) = if both(Qop::Confidentiality) && strongest.is_some() {
            (Qop::Confidentiality, strongest)
        } else if both(Qop::Integrity) {
            (Qop::Integrity, None)
        } else if both(Qop::Auth) {
            (Qop::Auth, None)
        } else {
            return Err(Policy::Strength(if ours.qops == Qop::Auth as u8 && config.max_ssf() == 0 {
                "the server offers no quality of protection without a layer, and this side may have no layer (property \
                 maxssf is 0, the default for protocols whose programs use no layers)"
            } else {
                "the server offers no quality of protection (qop, cipher) that this side has and minssf and maxssf allow"
            })
            .into());
        };
        Ok(Protection { qop, cipher, max_buf: ours.max_buf })
    }
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// The protection in a client's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    pub qop: Qop,
    pub cipher: Option<Cipher>,
    /// Longest frame that the client receives.
    pub max_buf: u32,
}

impl Protection {
    /// A missing `qop` means `auth`.
    pub fn parsed(qop: Option<Qop>, cipher: Option<Cipher>, max_buf: Option<u32>) -> Self {
        Protection { qop: qop.unwrap_or(Qop::Auth), cipher, max_buf: max_buf.unwrap_or(DEFAULT_MAX_BUF) }
    }

    /// The value of `maxbuf`, if there is a layer and the value is not the default.
    pub fn max_buf(&self) -> Option<u32> {
        (self.qop != Qop::Auth && self.max_buf != DEFAULT_MAX_BUF).then_some(self.max_buf)
    }

    /// The security layer, keyed with H(A1) (RFC 2831 §2.3, §2.4). `server_max_buf` is the longest frame that the server
    /// receives.
    ///
    /// # Errors
    /// If the peer receives frames that are too short for any message.
    pub fn layer(
        &self,
        side: Side,
        session_key: &SessionKey,
        server_max_buf: u32,
    ) -> Result<Option<Box<dyn SecurityLayer>>, Error> {
        let cipher = match self.qop {
            Qop::Auth => return Ok(None),
            Qop::Integrity => None,
            Qop::Confidentiality => self.cipher,
        };
        let (sent, received) = match side {
            Side::Client => (server_max_buf, self.max_buf),
            Side::Server => (self.max_buf, server_max_buf),
        };
        if layer::max_plaintext(cipher, sent) == 0 {
            return Err(Policy::Strength("the peer's maxbuf leaves no room for a message").into());
        }
        Ok(Some(Box::new(Layer::new(side, cipher, session_key, sent, received))))
    }
}

/// `maxbuf-value = 1*DIGIT`, greater than 16 and at most 16777215 (RFC 2831 §2.1.1).
pub fn max_buf(value: &[u8]) -> Result<u32, Malformed> {
    let wrong = Malformed::Number("maxbuf");
    if value.len() > 16 || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.filter(|n| (MIN_MAX_BUF..=FRAME_LIMIT).contains(n)).ok_or(wrong)
}

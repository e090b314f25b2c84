//! The choice of the layer, and the layer itself.

use crate::gssapi::SecurityContext;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{LayerLimits, SecurityLayer};
use authen_sasl_rust::error::{Error, PeerMisbehaved, Policy};
use authen_sasl_rust::layer::FRAME;

/// The bits of RFC 4752 §3.3.
pub const NONE: u8 = 1;
pub const INTEGRITY: u8 = 2;
pub const CONFIDENTIALITY: u8 = 4;

/// The longest frame that RFC 4752 can express, in three octets.
pub const LONGEST: u32 = 0xFF_FFFF;
/// The longest frame for a peer that has sent no limit.
pub const MODEST: u32 = 65536;

/// The maximum overhead of a wrapped message, for all enctypes: two headers of 16 bytes, a confounder of 16 and a checksum
/// of 24 (RFC 4121 §4.2.4, RFC 8009 §5). The old enctypes have less.
const OVERHEAD: usize = 128;

/// The allowed strengths, minus the strength of TLS.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    min: u32,
    max: u32,
    integrity: bool,
    confidentiality: bool,
}

impl Limits {
    /// Over TLS there is no layer unless the options ask for one: Active Directory refuses both at once.
    pub fn of(config: &Config) -> Self {
        let min = config.min_ssf.saturating_sub(config.external_ssf);
        let tls_is_enough = config.max_ssf.is_none() && config.external_ssf > 0 && min == 0;
        let max = if tls_is_enough { 0 } else { config.max_ssf().saturating_sub(config.external_ssf) };
        let room = config.max_buf > 0;
        Limits {
            min,
            max,
            integrity: room && !config.no_integrity,
            confidentiality: room && !config.no_integrity && !config.no_confidentiality,
        }
    }

    /// True if there can be no layer at all.
    pub fn forbid_layers(&self) -> bool {
        self.max == 0 || !self.integrity
    }

    /// True if confidentiality may be requested, before its strength is known.
    pub fn may_encrypt(&self) -> bool {
        self.confidentiality && self.max > 1
    }

    /// The layers that this context supports and these limits allow, as bits.
    pub fn allowed(&self, strength: u32) -> u8 {
        let fits = |ssf: u32| (self.min..=self.max).contains(&ssf);
        let mut bits = 0;
        for (bit, has) in [
            (NONE, fits(0)),
            (INTEGRITY, fits(1) && self.integrity),
            (CONFIDENTIALITY, fits(strength) && self.confidentiality),
        ] {
            bits |= if has { bit } else { 0 };
        }
        bits
    }
}

/// The strongest of these layers.
///
/// # Errors
/// If there is none: the limits of the two sides do not overlap.
pub fn strongest(bits: u8) -> Result<u8, Error> {
    [CONFIDENTIALITY, INTEGRITY, NONE].into_iter().find(|bit| bits & bit != 0).ok_or_else(|| {
        Policy::Strength(
            "no security layer is left by minssf, maxssf, externalssf, maxbuf, no_integrity and no_confidentiality of this side and by what the other side offers",
        )
        .into()
    })
}

/// A layer that protects messages with a context.
pub struct Layer {
    context: SecurityContext,
    confidential: bool,
    limits: LayerLimits,
}

impl Layer {
    /// The layer of that bit; `None` for no layer. `sent` and `received` are the longest frames of each direction.
    ///
    /// # Errors
    /// If the peer's frames are too short for a single byte.
    pub fn boxed(
        context: SecurityContext,
        bit: u8,
        sent: u32,
        received: u32,
    ) -> Result<Option<Box<dyn SecurityLayer>>, Error> {
        if bit == NONE {
            return Ok(None);
        }
        let confidential = bit == CONFIDENTIALITY;
        let max_plaintext = context.room_for(confidential, sent) as usize;
        if max_plaintext == 0 {
            return Err(Policy::Strength("the other side's frames are too short for a security layer").into());
        }
        let ssf = if confidential { context.strength() } else { 1 };
        let limits = LayerLimits { ssf, max_plaintext, max_received: received as usize };
        Ok(Some(Box::new(Layer { context, confidential, limits })))
    }
}

impl SecurityLayer for Layer {
    fn limits(&self) -> LayerLimits {
        self.limits
    }

    fn room(&self, length: usize) -> usize {
        length + OVERHEAD
    }

    fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        const TOO_LONG: Error = Error::System("a wrapped message is longer than any enctype makes it");
        let frame = self.context.wrap(self.confidential, buffer.get(..length).ok_or(TOO_LONG)?)?;
        buffer.get_mut(..frame.len()).ok_or(TOO_LONG)?.copy_from_slice(&frame);
        Ok(frame.len())
    }

    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        let (plaintext, encrypted) = self.context.unwrap(frame)?;
        let misbehaved = |reason| Error::misbehaved(FRAME, reason);
        if self.confidential && !encrypted {
            return Err(misbehaved(PeerMisbehaved::NotEncrypted));
        }
        // A frame is never shorter than its plaintext.
        let place = frame.get_mut(..plaintext.len()).ok_or_else(|| misbehaved(PeerMisbehaved::Inflated))?;
        place.copy_from_slice(&plaintext);
        Ok(plaintext.len())
    }
}

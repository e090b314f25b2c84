//! A plugin's `encode` and `decode` as a security layer of the core.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;

use authen_sasl_rust::contract::{LayerLimits, SecurityLayer};
use authen_sasl_rust::error::{Code, Error, Misuse, Policy};

use super::connection::Connection;
use super::parameters::Limits;
use saslplug::{code, Decode, Encode, Iovec, OutParams};

/// The length before each frame (RFC 4422 §3.7). Plugins write and read it themselves.
const PREFIX: usize = 4;

/// The maximum overhead of a frame, for any mechanism: headers, padding and a code. Kerberos needs about a hundred bytes.
const OVERHEAD: usize = 1024;

/// The data that lives as long as the layer: the plugin's context, and everything to which it has pointers.
pub trait Owner: Send {
    /// The mechanism's context, which encode and decode get.
    fn context(&self) -> *mut c_void;
    /// The connection on whose behalf the plugin is called.
    fn connection(&self) -> &Connection;
}

struct Layer<T> {
    owner: T,
    limits: LayerLimits,
    encode: Encode,
    decode: Decode,
}

/// The layer that a mechanism has negotiated, if any.
///
/// # Errors
/// [`Policy::Strength`] if it is weaker or stronger than this side allows, even if the plugin accepts it, or if maxbuf forbids
/// layers; [`Error::Outside`] if there is a strength but no function.
pub fn agreed<T: Owner + 'static>(
    owner: T,
    out: &OutParams,
    limits: Limits,
) -> Result<Option<Box<dyn SecurityLayer>>, Error> {
    if out.mech_ssf < limits.least {
        return Err(Policy::Strength("the plugin has negotiated a weaker layer than minssf requires").into());
    }
    if out.mech_ssf > limits.most {
        return Err(Policy::Strength("the plugin has negotiated a stronger layer than maxssf allows").into());
    }
    if out.mech_ssf == 0 {
        return Ok(None);
    }
    let (Some(encode), Some(decode)) = (out.encode, out.decode) else {
        return Err(Error::outside(
            Code::Fail,
            "the plugin has negotiated a security layer, but has no functions for it",
        ));
    };
    let max_received = limits.max_received;
    if max_received == 0 {
        return Err(Policy::Strength("the plugin has negotiated a security layer, which maxbuf forbids").into());
    }
    let max_plaintext = if out.maxoutbuf == 0 { max_received } else { out.maxoutbuf as usize };
    let limits = LayerLimits { ssf: out.mech_ssf, max_plaintext, max_received };
    Ok(Some(Box::new(Layer { owner, limits, encode, decode })))
}

impl<T: Owner> Layer<T> {
    /// Calls one of the two functions, and copies its result to `to`. The plugin keeps its own buffer.
    fn pass(
        &self,
        call: impl FnOnce(*mut c_void, *mut *const c_char, *mut c_uint) -> c_int,
        to: &mut [u8],
        skipped: usize,
        refusal: Code,
    ) -> Result<usize, Error> {
        let connection = self.owner.connection();
        let (mut out, mut length) = (ptr::null(), 0);
        let result = connection.during(|| call(self.owner.context(), &mut out, &mut length));
        if result != code::OK {
            let text = connection.take_error().unwrap_or_else(|| "the plugin's security layer has failed".into());
            // Most plugins use one code for all failures.
            let code = if result == code::FAIL { refusal } else { Code::of(result) };
            return Err(Error::outside(code, text));
        }
        let length = if out.is_null() { 0 } else { length as usize };
        if length > to.len().saturating_add(skipped) {
            return Err(Error::Misuse(Misuse::MessageTooLong));
        }
        let start: *const u8 = out.cast();
        if skipped > 0 {
            // SAFETY: the plugin returns that many bytes, which stay until it is called again.
            let prefix = || u32::from_be_bytes(unsafe { start.cast::<[u8; PREFIX]>().read() });
            if length < PREFIX || prefix() as usize != length - PREFIX {
                return Err(Error::outside(
                    Code::Fail,
                    "the plugin's security layer gave something else than one frame",
                ));
            }
        }
        let length = length.saturating_sub(skipped);
        if length > 0 {
            // SAFETY: as above, and there is room. A plugin may give back what it was given, so the two may overlap.
            unsafe { ptr::copy(start.add(skipped), to.as_mut_ptr(), length) };
        }
        Ok(length)
    }
}

impl<T: Owner> SecurityLayer for Layer<T> {
    fn limits(&self) -> LayerLimits {
        self.limits
    }

    fn room(&self, length: usize) -> usize {
        length + OVERHEAD
    }

    fn encode(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Error> {
        let part = Iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: length };
        let encode = self.encode;
        // SAFETY: the plugin's own function with its own context; it reads `length` bytes, which are there.
        self.pass(|context, out, count| unsafe { encode(context, &part, 1, out, count) }, buffer, PREFIX, Code::Fail)
    }

    fn decode(&mut self, frame: &mut [u8]) -> Result<usize, Error> {
        let mut input = Vec::with_capacity(PREFIX + frame.len());
        input.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        input.extend_from_slice(frame);
        let decode = self.decode;
        let (start, length) = (input.as_ptr().cast(), input.len() as c_uint);
        // SAFETY: as in `encode`.
        self.pass(|context, out, count| unsafe { decode(context, start, length, out, count) }, frame, 0, Code::BadMac)
    }
}

//! encode and decode: the core's security layer with libsasl2's framing. Both are called with the mechanism's context, perhaps by a
//! thread that writes and one that reads at the same time.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::slice;
use std::sync::{Mutex, PoisonError};

use zeroize::{Zeroize, Zeroizing};

use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::layer::{lock, SharedLayer};
use authen_sasl_rust::plugin::abi::Iovec;

use crate::exchange::{self, Connection};
use crate::host::Host;

/// A layer with what was given to libsasl2 last, which stays until the next call of its kind.
pub struct Layer {
    stream: SharedLayer,
    host: Host,
    encoded: Mutex<Zeroizing<Vec<u8>>>,
    decoded: Mutex<Zeroizing<Vec<u8>>>,
}

impl Layer {
    pub fn new(stream: SharedLayer, host: Host) -> Self {
        Layer { stream, host, encoded: Mutex::default(), decoded: Mutex::default() }
    }

    /// Its strength, and the longest plaintext of a frame.
    pub fn strength(&self) -> (u32, usize) {
        let limits = lock(&self.stream).limits();
        (limits.ssf, limits.max_plaintext)
    }

    fn seal(&self, plaintext: &[u8], to: &mut Vec<u8>) -> Result<(), Error> {
        lock(&self.stream).frame(plaintext, to)
    }

    fn open(&self, frames: &[u8], to: &mut Vec<u8>) -> Result<(), Error> {
        let mut stream = lock(&self.stream);
        stream.feed(frames)?;
        to.extend_from_slice(stream.plaintext());
        let count = to.len();
        stream.consume(count);
        Ok(())
    }

    /// Fills a buffer anew and hands it out.
    fn pass(
        &self,
        buffer: &Mutex<Zeroizing<Vec<u8>>>,
        out: *mut *const c_char,
        length: *mut c_uint,
        work: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> c_int {
        let done = {
            let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            buffer.zeroize();
            work(&mut buffer).and_then(|()| {
                let count = c_uint::try_from(buffer.len());
                let count = count.map_err(|_| Error::System("the message is longer than libsasl2 can count"))?;
                let start = if buffer.is_empty() { c"".as_ptr() } else { buffer.as_ptr().cast() };
                // SAFETY: libsasl2 passes a place for each.
                unsafe { (*out, *length) = (start, count) };
                Ok(())
            })
        };
        match done {
            Ok(()) => Code::Ok as c_int,
            Err(error) => {
                // SAFETY: as above.
                unsafe { (*out, *length) = (std::ptr::null(), 0) };
                let failure = lock(&self.stream).failure();
                match &failure {
                    Some(failure) => exchange::fail(self.host, failure),
                    None => {
                        self.host.set_error(&error.to_string());
                        error.code() as c_int
                    }
                }
            }
        }
    }
}

/// The layer of a mechanism's context; the code to return if there is none, or if the call lacks something.
///
/// # Safety
/// The context is null, or one of this type that was not disposed of.
unsafe fn agreed<'a, T: 'a>(context: *mut c_void, lacking: bool) -> Result<&'a Layer, Code> {
    // SAFETY: the caller's promise.
    let layer = unsafe { Connection::<T>::of(context) }.and_then(Connection::layer).ok_or(Code::NotDone)?;
    if lacking {
        return Err(Code::BadParam);
    }
    Ok(layer)
}

/// `oparams->encode`.
///
/// # Safety
/// libsasl2 calls it with the context of a mechanism that has agreed on a layer.
pub unsafe extern "C" fn encode<T>(
    context: *mut c_void,
    parts: *const Iovec,
    count: c_uint,
    out: *mut *const c_char,
    length: *mut c_uint,
) -> c_int {
    crate::shielded(Code::Fail as c_int, || {
        // SAFETY: the caller's promise.
        let layer = match unsafe { agreed::<T>(context, parts.is_null() || out.is_null() || length.is_null()) } {
            Ok(layer) => layer,
            Err(code) => return code as c_int,
        };
        // SAFETY: so many parts are there, each with its length.
        let parts = unsafe { slice::from_raw_parts(parts, count as usize) };
        let bytes = |part: &Iovec| match part.iov_len {
            0 => &[][..],
            // SAFETY: likewise.
            length => unsafe { slice::from_raw_parts(part.iov_base.cast::<u8>(), length) },
        };
        layer.pass(&layer.encoded, out, length, |to| match parts {
            [one] => layer.seal(bytes(one), to),
            parts => {
                let total = parts.iter().map(|part| part.iov_len).sum();
                let mut whole = Zeroizing::new(Vec::with_capacity(total));
                parts.iter().for_each(|part| whole.extend_from_slice(bytes(part)));
                layer.seal(&whole, to)
            }
        })
    })
}

/// `oparams->decode`.
///
/// # Safety
/// As [`encode`].
pub unsafe extern "C" fn decode<T>(
    context: *mut c_void,
    start: *const c_char,
    count: c_uint,
    out: *mut *const c_char,
    length: *mut c_uint,
) -> c_int {
    crate::shielded(Code::Fail as c_int, || {
        // SAFETY: the caller's promise.
        let layer = match unsafe { agreed::<T>(context, out.is_null() || length.is_null()) } {
            Ok(layer) => layer,
            Err(code) => return code as c_int,
        };
        // SAFETY: it is null or has that length.
        let frames = unsafe { exchange::input(start, count) }.unwrap_or_default();
        layer.pass(&layer.decoded, out, length, |to| layer.open(frames, to))
    })
}

//! The core's security layer with libsasl2's buffers. One thread may encode while another decodes.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::{Mutex, PoisonError};

use zeroize::{Zeroize, Zeroizing};

use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::layer::{lock, SharedLayer};

use crate::host::Host;
use crate::names;
use crate::pointers;

/// A layer with the buffers that libsasl2 was given last. Each stays valid until the next call in the same direction.
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

    /// The SSF, and the longest plaintext of a frame.
    pub fn limits(&self) -> (u32, usize) {
        let limits = lock(&self.stream).limits();
        (limits.ssf, limits.max_plaintext)
    }

    /// Hands out the frames of a plaintext, for `oparams->encode`.
    pub fn encode(&self, plaintext: &[u8], out: *mut *const c_char, length: *mut c_uint) -> c_int {
        self.hand_out(&self.encoded, out, length, |to| lock(&self.stream).frame(plaintext, to))
    }

    /// Hands out the plaintext of the frames that are complete, for `oparams->decode`.
    pub fn decode(&self, frames: &[u8], out: *mut *const c_char, length: *mut c_uint) -> c_int {
        self.hand_out(&self.decoded, out, length, |to| {
            let mut stream = lock(&self.stream);
            stream.feed(frames)?;
            to.extend_from_slice(stream.plaintext());
            let count = to.len();
            stream.consume(count);
            Ok(())
        })
    }

    /// Refills a buffer and hands it out.
    fn hand_out(
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
                    Some(failure) => pointers::fail(self.host, failure),
                    None => {
                        self.host.set_error(&error.named(names::of_libsasl2).to_string());
                        error.code() as c_int
                    }
                }
            }
        }
    }
}

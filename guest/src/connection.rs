//! The context of a mechanism that libsasl2 holds: an exchange, and the security layer that it has negotiated.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;
use std::slice;
use std::sync::{Mutex, OnceLock, PoisonError};

use zeroize::Zeroizing;

use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::session::Outcome;
use saslplug::{code, shielded, Iovec, OutParams};

use crate::exchange::Exchange;
use crate::host::Host;
use crate::layer::Layer;
use crate::names;
use crate::offer::Offer;
use crate::pointers::{self, fail, input, Output, Params};

const DEFECT: &str = "internal error: a defect of this plugin, please report it";

/// The context of a mechanism. `T` is what its side keeps besides the session.
///
/// A step takes the exchange out and puts it back at its end, so nothing is locked while libsasl2 is called. After a panic it is
/// empty: the exchange has failed.
pub struct Connection<T> {
    exchange: Mutex<Option<Box<Exchange<T>>>>,
    layer: OnceLock<Layer>,
}

impl<T> Connection<T> {
    /// Starts an exchange and gives its context to libsasl2.
    pub fn start(
        host: Host,
        offer: &Offer,
        context: *mut *mut c_void,
        exchange: impl FnOnce() -> Result<Exchange<T>, Error>,
    ) -> c_int {
        if context.is_null() {
            return Code::BadParam as c_int;
        }
        match exchange() {
            Ok(exchange) => {
                let exchange = Mutex::new(Some(Box::new(exchange)));
                let connection = Box::new(Connection { exchange, layer: OnceLock::new() });
                // SAFETY: libsasl2 passes a place for it.
                unsafe { *context = Box::into_raw(connection).cast() };
                Code::Ok as c_int
            }
            Err(error) => {
                let name = offer.mechanism.name;
                host.set_error(&format!("{name}: {}", error.named(names::of_libsasl2)));
                error.code() as c_int
            }
        }
    }

    /// # Safety
    /// The context is null, or one of this type that was not disposed of.
    unsafe fn of<'a>(context: *mut c_void) -> Option<&'a Self> {
        // SAFETY: the caller's promise.
        unsafe { context.cast::<Self>().as_ref() }
    }

    /// `mech_step` of either side: `work` drives the session with the peer's message, and returns its outcome or the code to return
    /// at once.
    ///
    /// # Safety
    /// libsasl2 calls it, as saslplug.h says, with a context of this type.
    pub unsafe fn step<P: Params>(
        context: *mut c_void,
        params: *const P,
        (received, count): (*const c_char, c_uint),
        output: Output,
        out: *mut OutParams,
        work: impl FnOnce(Host, &mut Exchange<T>, Option<&[u8]>) -> Result<Outcome, c_int>,
    ) -> c_int {
        shielded(Code::Fail as c_int, || {
            // SAFETY: the caller's promise.
            let (connection, params) = unsafe { (Self::of(context), pointers::params(params)) };
            let (Some(connection), Some((_, host)), false) = (connection, params, out.is_null()) else {
                return Code::BadParam as c_int;
            };
            // SAFETY: likewise.
            let received = unsafe { input(received, count) };
            connection.drive(host, output, out, |exchange| work(host, exchange, received))
        })
    }

    fn drive(
        &self,
        host: Host,
        output: Output,
        out: *mut OutParams,
        work: impl FnOnce(&mut Exchange<T>) -> Result<Outcome, c_int>,
    ) -> c_int {
        output.set(ptr::null(), 0);
        let taken = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut exchange) = taken else {
            host.set_error("the exchange has ended, or another step is still running");
            return Code::Fail as c_int;
        };
        let result = shielded(None, || {
            let code = match work(&mut exchange) {
                Ok(outcome) => self.finish(&mut exchange, outcome, host, output, out),
                Err(code) => code,
            };
            Some((exchange, code))
        });
        match result {
            Some((exchange, code)) => {
                *self.exchange.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
                code
            }
            None => {
                output.set(ptr::null(), 0);
                host.set_error(DEFECT);
                Code::Fail as c_int
            }
        }
    }

    /// Ends a step: hands the message out, and returns the code. After a success it fills the out-parameters except for the names.
    fn finish(
        &self,
        exchange: &mut Exchange<T>,
        outcome: Outcome,
        host: Host,
        output: Output,
        out: *mut OutParams,
    ) -> c_int {
        match outcome {
            Outcome::Send | Outcome::Absent => {
                if !exchange.accepted {
                    exchange.send(output);
                }
                if !exchange.session.is_success() {
                    return code::CONTINUE;
                }
                let is_done = !exchange.sends_token() || exchange.accepted;
                // SAFETY: libsasl2 passes its own parameters; nothing else uses them while the step runs.
                self.fill(exchange, is_done, host, unsafe { &mut *out });
                match is_done {
                    true => Code::Ok as c_int,
                    false => code::CONTINUE,
                }
            }
            // The dummy answer to the error object (RFC 7628 §3.2.3). The server's failure follows it, in the words of the application
            // protocol, and the program reads that.
            Outcome::FailedWithMessage if exchange.sends_token() => {
                exchange.send(output);
                if let Some(failure) = exchange.session.failure() {
                    fail(host, failure);
                }
                code::CONTINUE
            }
            Outcome::Failed | Outcome::FailedWithMessage => match exchange.session.failure() {
                Some(failure) => fail(host, failure),
                None => Code::Fail as c_int,
            },
            Outcome::Ask => Code::Fail as c_int,
            Outcome::Over | Outcome::Busy => match exchange.session.failure() {
                Some(failure) if exchange.sends_token() => fail(host, failure),
                _ => {
                    host.set_error("the peer has sent another message after the end of the exchange");
                    Code::BadProt as c_int
                }
            },
        }
    }

    fn fill(&self, exchange: &Exchange<T>, is_done: bool, host: Host, out: &mut OutParams) {
        out.doneflag = c_uint::from(is_done);
        if let Some((kind, used)) = exchange.binding_use() {
            out.cbindingname = kind;
            out.cbindingdisp = used;
        }
        let Some(stream) = exchange.session.layer() else {
            (out.mech_ssf, out.maxoutbuf) = (0, 0);
            (out.encode, out.decode) = (None, None);
            return;
        };
        let layer = self.layer.get_or_init(|| Layer::new(stream.clone(), host));
        let (ssf, max_plaintext) = layer.limits();
        (out.mech_ssf, out.maxoutbuf) = (ssf, max_plaintext as c_uint);
        let context: *mut c_void = ptr::from_ref(self).cast_mut().cast();
        (out.encode_context, out.decode_context) = (context, context);
        out.encode = Some(encode::<T>);
        out.decode = Some(decode::<T>);
    }

    /// Frees the context, and returns what its side must give back.
    ///
    /// # Safety
    /// The context is null, or one of this type, and is not used again.
    pub unsafe fn dispose(context: *mut c_void) -> Option<T> {
        if context.is_null() {
            return None;
        }
        // SAFETY: it came from Box::into_raw in `start`.
        let connection = unsafe { Box::from_raw(context.cast::<Self>()) };
        let exchange = connection.exchange.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Some(exchange.own)
    }

    /// The security layer of a context, or the code to return: there is no layer yet, or a pointer of the call is null.
    ///
    /// # Safety
    /// The context is null, or one of this type that was not disposed of.
    unsafe fn layer<'a>(context: *mut c_void, has_null: bool) -> Result<&'a Layer, Code>
    where
        T: 'a,
    {
        // SAFETY: the caller's promise.
        let layer = unsafe { Self::of(context) }.and_then(|connection| connection.layer.get()).ok_or(Code::NotDone)?;
        match has_null {
            true => Err(Code::BadParam),
            false => Ok(layer),
        }
    }
}

/// `oparams->encode`.
///
/// # Safety
/// libsasl2 calls it with the context of a mechanism that has negotiated a layer.
unsafe extern "C" fn encode<T>(
    context: *mut c_void,
    parts: *const Iovec,
    count: c_uint,
    out: *mut *const c_char,
    length: *mut c_uint,
) -> c_int {
    shielded(Code::Fail as c_int, || {
        let has_null = parts.is_null() || out.is_null() || length.is_null();
        // SAFETY: the caller's promise.
        let layer = match unsafe { Connection::<T>::layer(context, has_null) } {
            Ok(layer) => layer,
            Err(code) => return code as c_int,
        };
        // SAFETY: there are that many parts, each with its length.
        let parts = unsafe { slice::from_raw_parts(parts, count as usize) };
        let bytes = |part: &Iovec| match part.iov_len {
            0 => &[][..],
            // SAFETY: likewise.
            length => unsafe { slice::from_raw_parts(part.iov_base.cast::<u8>(), length) },
        };
        match parts {
            [one] => layer.encode(bytes(one), out, length),
            parts => {
                let total = parts.iter().map(|part| part.iov_len).sum();
                let mut whole = Zeroizing::new(Vec::with_capacity(total));
                parts.iter().for_each(|part| whole.extend_from_slice(bytes(part)));
                layer.encode(&whole, out, length)
            }
        }
    })
}

/// `oparams->decode`.
///
/// # Safety
/// As [`encode`].
unsafe extern "C" fn decode<T>(
    context: *mut c_void,
    start: *const c_char,
    count: c_uint,
    out: *mut *const c_char,
    length: *mut c_uint,
) -> c_int {
    shielded(Code::Fail as c_int, || {
        // SAFETY: the caller's promise.
        let layer = match unsafe { Connection::<T>::layer(context, out.is_null() || length.is_null()) } {
            Ok(layer) => layer,
            Err(code) => return code as c_int,
        };
        // SAFETY: it is null, or has that length.
        let frames = unsafe { input(start, count) }.unwrap_or_default();
        layer.decode(frames, out, length)
    })
}

//! What libsasl2 passes and takes: parameters, messages, texts, and the code of a failure.

use std::ffi::{c_char, c_int, c_uint, c_ulong, CStr};
use std::slice;

use authen_sasl_rust::error::{Error, Failure, Refused};
use saslplug::{ClientParams, SecurityProperties, ServerParams, Utils};

use crate::host::Host;
use crate::names;

/// The parameters that both sides have.
pub struct CommonParams<'a> {
    pub utils: *const Utils,
    pub service: *const c_char,
    pub host: *const c_char,
    pub local: *const c_char,
    pub remote: *const c_char,
    pub limits: &'a SecurityProperties,
    pub external_ssf: c_uint,
}

/// The parameters of either side.
pub trait Params {
    fn common(&self) -> CommonParams<'_>;
}

macro_rules! has_common_params {
    ($($params:ty),*) => {$(
        impl Params for $params {
            fn common(&self) -> CommonParams<'_> {
                CommonParams {
                    utils: self.utils,
                    service: self.service,
                    host: self.serverFQDN,
                    local: self.iplocalport,
                    remote: self.ipremoteport,
                    limits: &self.props,
                    external_ssf: self.external_ssf,
                }
            }
        }
    )*};
}

has_common_params!(ClientParams, ServerParams);

/// The parameters of a call, and the functions of libsasl2 that come with them. `None` if either is missing.
///
/// # Safety
/// The pointer is null, or libsasl2's parameters, which stay as long as the result is used.
pub unsafe fn params<'a, P: Params>(params: *const P) -> Option<(&'a P, Host)> {
    // SAFETY: the caller's promise.
    unsafe {
        let params = params.as_ref()?;
        Some((params, Host::of(params.common().utils)?))
    }
}

/// Where a step leaves its message.
#[derive(Clone, Copy)]
pub struct Output {
    /// `clientout` or `serverout`.
    pub text: *mut *const c_char,
    /// Its length.
    pub length: *mut c_uint,
}

impl Output {
    pub fn set(self, text: *const c_char, length: usize) {
        // SAFETY: libsasl2 passes a place for each; a caller that wants none passes null.
        unsafe {
            if !self.text.is_null() {
                *self.text = text;
            }
            if !self.length.is_null() {
                *self.length = length as c_uint;
            }
        }
    }
}

/// A message of the peer. A null pointer means no message, which differs from an empty one.
///
/// # Safety
/// The pointer is null, or points to that many bytes, which stay as long as the result is used.
pub unsafe fn input<'a>(start: *const c_char, length: c_uint) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length as usize) })
}

/// A text of the parameters; empty for a null pointer.
///
/// # Safety
/// The pointer is null, or the text ends in a NUL.
pub unsafe fn text(start: *const c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

/// Tells the application why a step fails, and returns the code.
///
/// Some servers, slapd among them, send the text of `sasl_errdetail` to the client. So the fault of one user's secret is only logged.
pub fn fail(host: Host, failure: &Failure) -> c_int {
    let Failure { side, mechanism, error } = failure;
    let text = |error: &Error| format!("{} {side}: {}", mechanism.unwrap_or_default(), error.named(names::of_libsasl2));
    match error {
        Error::Refused(Refused::Unusable(_)) => {
            host.log_failure(&text(error));
            host.set_error(&text(&Refused::Credentials.into()));
        }
        error => host.set_error(&text(error)),
    }
    error.code() as c_int
}

/// The number of a callback, in the type that the callback functions take.
pub fn number(id: c_ulong) -> c_int {
    id as c_int
}

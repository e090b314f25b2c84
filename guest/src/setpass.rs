//! Stores a SCRAM verifier instead of a password, for `saslpasswd2 -n`.

use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::slice;

use authen_sasl_rust::config::MIN_ITERATIONS;
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::store::verifier::{self, VerifierFormat};
use saslplug::{code, set, shielded, ServerParams};

use crate::host::Host;
use crate::offer::Offer;
use crate::pointers;

/// The property with verifiers, which libsasl2's own SCRAM reads too (RFC 5803).
const VERIFIER: &CStr = c"authPassword";

/// `setpass` of a server.
///
/// If the password itself is stored, the verifier is removed: another program that changes the password later would not change the
/// verifier, and the old password would stay valid.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn setpass(
    global: *mut c_void,
    params: *mut ServerParams,
    user: *const c_char,
    password: *const c_char,
    count: c_uint,
    _old: *const c_char,
    _old_count: c_uint,
    flags: c_uint,
) -> c_int {
    // SAFETY: the caller's promise, for everything that the parameters point to.
    shielded(Code::Fail as c_int, || unsafe {
        let call = (Offer::of(global), pointers::params(params), user.is_null());
        let (Some(offer), Some((_, host)), false) = call else { return Code::BadParam as c_int };
        let given = (!password.is_null()).then(|| slice::from_raw_parts(password.cast::<u8>(), count as usize));
        let to_store = given.filter(|_| flags & set::DISABLE == 0 && flags & (set::NOPLAIN | set::CURMECH_ONLY) != 0);
        let text = match to_store.map(|password| verifier(offer, host, password)) {
            Some(Ok(text)) => Some(text),
            Some(Err(error)) => {
                host.set_error(&format!("{}: {error}", offer.mechanism.name));
                return error.code() as c_int;
            }
            None => None,
        };
        match host.store(CStr::from_ptr(user), VERIFIER, text.as_deref()) {
            // There was no verifier to remove.
            code::NOUSER | code::FAIL if text.is_none() => Code::NoChange as c_int,
            result => result,
        }
    })
}

fn verifier(offer: &Offer, host: Host, password: &[u8]) -> Result<String, Error> {
    let password = std::str::from_utf8(password)
        .map_err(|_| Error::outside(Code::BadParam, "the password is not valid UTF-8, which SCRAM requires"))?;
    let configured = host.option(c"scram_iteration_counter").and_then(|count| count.trim().parse().ok());
    let iterations = configured.map(|count: u32| count.max(MIN_ITERATIONS));
    verifier::make_text(offer.mechanism.name, password, None, iterations, VerifierFormat::Rfc5803)
}

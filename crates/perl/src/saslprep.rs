//! The part of the C surface that says whether a name is prepared; the rules are those of the crate.

use authen_sasl_rust::wire::saslprep;

use super::numbers::preparation;
use super::shielded::shielded;
use super::slice::Slice;

/// What SASLprep (RFC 4013) does to a name: one of [`preparation`]. It forbids a name that is absent.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_saslprep(name: Slice) -> i32 {
    shielded(preparation::FORBIDDEN, || {
        // SAFETY: the module's rules.
        let name = unsafe { name.bytes() }.and_then(|bytes| std::str::from_utf8(bytes).ok());
        match name.map(|name| (name, saslprep::query(name))) {
            Some((name, Ok(prepared))) if prepared == name => preparation::PREPARED,
            Some((_, Ok(_))) => preparation::CHANGED,
            _ => preparation::FORBIDDEN,
        }
    })
}

//! The names of an exchange that a plugin gets and sets: `canon_user` and the out-parameters.

use std::cell::RefCell;
use std::ffi::{c_int, c_uint, CString};

use authen_sasl_rust::contract::NAME_LIMIT;

use super::given::given;
use saslplug::{code, flag, OutParams};

/// Canonical names. Their texts must not move during the exchange, since a plugin keeps pointers to all of them.
#[derive(Default)]
pub struct Names(RefCell<Vec<CString>>);

impl Names {
    /// Sets a name in the out-parameters, for one identity or for both.
    pub fn leave(&self, name: &str, flags: c_uint, out: &mut OutParams) -> c_int {
        let Ok(text) = CString::new(name) else { return code::BADPROT };
        let (start, length) = (text.as_ptr(), name.len() as c_uint);
        self.0.borrow_mut().push(text);
        if flags & flag::CU_AUTHID != 0 {
            (out.authid, out.alen) = (start, length);
        }
        if flags & flag::CU_AUTHZID != 0 {
            (out.user, out.ulen) = (start, length);
        }
        code::OK
    }
}

/// A received name, without the blanks around it; `None` if no user can have it.
pub fn trimmed(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?.trim_matches(|c: char| c.is_ascii_whitespace());
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

/// The authcid, and the authzid if it differs. `None` if the plugin has not set both.
///
/// # Safety
/// The pointers in the out-parameters are null or valid for the lengths beside them.
pub unsafe fn identity(out: &OutParams) -> Option<(String, Option<String>)> {
    let text = |start, length| {
        let there = length as usize <= NAME_LIMIT;
        // SAFETY: the caller's promise. Longer values are not names, and are not read.
        trimmed(there.then(|| unsafe { given(start, length) })??).map(str::to_owned)
    };
    let (authcid, authzid) = (text(out.authid, out.alen)?, text(out.user, out.ulen)?);
    let other = (authzid != authcid).then_some(authzid);
    Some((authcid, other))
}

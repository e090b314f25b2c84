//! Bytes and texts that are passed between Rust and C; the rules are those of the crate.

use std::path::PathBuf;
use std::ptr;

use authen_sasl_rust::error::{Application, Error, Subject};

use super::shielded::shielded;

/// Lent bytes. A null pointer means *absent*.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    ptr: *const u8,
    len: usize,
}

pub(super) const NONE: Slice = Slice { ptr: ptr::null(), len: 0 };

impl Slice {
    pub(super) fn of(bytes: &[u8]) -> Slice {
        Slice { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    pub(super) fn of_text(text: Option<&str>) -> Slice {
        text.map_or(NONE, |text| Slice::of(text.as_bytes()))
    }

    /// The bytes, `None` for a null pointer.
    ///
    /// # Safety
    /// The pointer is null or valid for `len` bytes for as long as the result is used.
    pub(super) unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: by this function's contract.
        (!self.ptr.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }

    /// The bytes as text. Invalid UTF-8 is replaced (the XS side always encodes).
    ///
    /// # Safety
    /// As for [`Slice::bytes`].
    pub(super) unsafe fn text(self) -> Option<String> {
        // SAFETY: by this function's contract.
        unsafe { self.bytes() }.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The bytes as a file's name.
    ///
    /// # Safety
    /// As for [`Slice::bytes`].
    pub(super) unsafe fn path(self) -> PathBuf {
        // SAFETY: by this function's contract.
        let bytes = unsafe { self.bytes() }.unwrap_or_default();
        #[cfg(unix)]
        {
            <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).into()
        }
        #[cfg(not(unix))]
        {
            String::from_utf8_lossy(bytes).into_owned().into()
        }
    }

    /// The bytes as a name of that kind. Perl's strings can contain code points that UTF-8 does not allow (surrogates). They are
    /// an error, since a replacement could make two names equal.
    ///
    /// # Safety
    /// As for [`Slice::bytes`].
    pub(super) unsafe fn name(self, what: Subject) -> Result<Option<String>, Error> {
        // SAFETY: by this function's contract.
        let Some(bytes) = (unsafe { self.bytes() }) else { return Ok(None) };
        String::from_utf8(bytes.to_vec())
            .map(Some)
            .map_err(|_| Application::Unusable { what, reason: "is not valid UTF-8" }.into())
    }
}

/// Frees a text that was passed with its ownership; does nothing for null.
///
/// # Safety
/// The text came from there, and is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_text_free(text: *mut String) {
    shielded((), || {
        if !text.is_null() {
            // SAFETY: it came from Box::into_raw.
            drop(unsafe { Box::from_raw(text) });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_empty() {
        // SAFETY: the slices are static or null.
        unsafe {
            assert_eq!(NONE.bytes(), None);
            assert_eq!(Slice::of(b"").bytes(), Some(&b""[..]));
        }
    }
}

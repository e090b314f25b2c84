//! The opened library, calls to it, and the texts of its errors.

use std::ffi::c_int;
use std::ptr;
use std::sync::OnceLock;

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{printable, Error, GssFailure};

use super::raw::{self, Buffer, Functions, Oid, Word};

/// Flags of a context (RFC 2744 §5.19, RFC 4121; the last one of MIT and RFC draft kitten).
pub mod flag {
    /// The initiator delegates its credentials to the acceptor.
    pub const DELEGATE: u32 = 1;
    /// The acceptor is authenticated too.
    pub const MUTUAL: u32 = 2;
    /// Repeated messages are detected.
    pub const REPLAY: u32 = 4;
    /// Messages out of order are detected.
    pub const SEQUENCE: u32 = 8;
    /// Confidentiality.
    pub const CONFIDENTIALITY: u32 = 16;
    /// Integrity.
    pub const INTEGRITY: u32 = 32;
    /// The initiator is anonymous.
    pub const ANONYMOUS: u32 = 64;
    /// Both sides have passed the same channel binding.
    pub const CHANNEL_BOUND: u32 = 2048;
}

/// The GSS-API mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaking {
    /// Kerberos 5 itself.
    Kerberos,
    /// SPNEGO, which negotiates a mechanism.
    Spnego,
}

impl Speaking {
    pub(super) fn oid(self) -> &'static Oid {
        match self {
            Speaking::Kerberos => &raw::KRB5,
            Speaking::Spnego => &raw::SPNEGO,
        }
    }
}

pub(super) const COMPLETE: Word = 0;
pub(super) const CONTINUE_NEEDED: Word = 1;
/// A token that is repeated, old, out of order or after a gap.
pub(super) const OUT_OF_ORDER: Word = 0b1_1110;
/// The error bits of a major status.
pub(super) const ERROR: Word = 0xffff_0000;
const GSS_CODE: c_int = 1;
const MECHANISM_CODE: c_int = 2;

fn functions() -> Option<&'static Functions> {
    static FOUND: OnceLock<Option<Functions>> = OnceLock::new();
    FOUND.get_or_init(|| raw::open(&["libgssapi_krb5.so.2", "libgssapi.so.3"])).as_ref()
}

/// True if the system has a GSS-API library.
pub fn is_present() -> bool {
    functions().is_some()
}

pub(super) fn required() -> Result<&'static Functions, Error> {
    functions().ok_or(Error::System("the system has no GSS-API library"))
}

/// A running call: its side and subject, for the error text.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) by_password: bool,
    pub(super) gss: &'static Functions,
    pub(super) side: Side,
    pub(super) doing: &'static str,
    pub(super) about: &'a str,
}

impl<'a> Call<'a> {
    pub(super) fn new(gss: &'static Functions, side: Side, doing: &'static str, about: &'a str) -> Self {
        Call { gss, side, doing, by_password: false, about }
    }

    pub(super) fn check(&self, major: Word, minor: Word) -> Result<(), Error> {
        if major & ERROR == 0 {
            return Ok(());
        }
        Err(self.failed(major, minor))
    }

    pub(super) fn failed(&self, major: Word, minor: Word) -> Error {
        let mut text = self.words(major, GSS_CODE);
        let detail = if minor == 0 { String::new() } else { self.words(minor, MECHANISM_CODE) };
        // MIT's text for "see the minor status" adds nothing to the minor status itself. Nor does its text for missing
        // credentials if a password was refused.
        let adds_nothing = text.starts_with("Unspecified GSS failure") || text.is_empty() || self.by_password;
        if !detail.is_empty() && adds_nothing {
            text = detail;
        } else if !detail.is_empty() {
            text = format!("{}: {detail}", text.trim_end_matches('.'));
        }
        let Call { side, doing, by_password, .. } = *self;
        let about = self.about.to_owned();
        Error::Gss(Box::new(GssFailure { side, doing, by_password, about, major, minor, text }))
    }

    fn words(&self, code: Word, kind: c_int) -> String {
        let (mut more, mut words) = (0, Vec::new());
        // A library that never stops returning texts is cut off.
        for _ in 0..8 {
            let mut out = Owned::new(self.gss);
            let mut minor = 0;
            // SAFETY: all pointers are to live variables of this function; no mechanism means any.
            let major = unsafe {
                (self.gss.gss_display_status)(&mut minor, code, kind, ptr::null_mut(), &mut more, &mut out.buffer)
            };
            if major & ERROR != 0 {
                break;
            }
            words.push(printable(out.bytes()).trim().to_owned());
            if more == 0 {
                break;
            }
        }
        words.join("; ")
    }
}

/// A buffer that the library has allocated.
pub(super) struct Owned {
    gss: &'static Functions,
    pub(super) buffer: Buffer,
}

impl Owned {
    pub(super) fn new(gss: &'static Functions) -> Self {
        Owned { gss, buffer: Buffer::EMPTY }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.buffer.value.is_null() || self.buffer.length == 0 {
            return &[];
        }
        // SAFETY: the library has set this length, and the bytes stay until this is dropped.
        unsafe { std::slice::from_raw_parts(self.buffer.value.cast(), self.buffer.length) }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer is empty, or the library's own and not released yet.
        unsafe { (self.gss.gss_release_buffer)(&mut minor, &mut self.buffer) };
    }
}

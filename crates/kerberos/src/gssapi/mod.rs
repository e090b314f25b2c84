//! The system's GSS-API library (RFC 2744), opened at run time: MIT Kerberos or Heimdal.
//!
//! This module and [`raw`] are the only ones that call it; what they give is safe. Names, credentials
//! and contexts belong to whoever holds them and are released with them.
#![allow(unsafe_code)]

mod context;
mod credentials;
mod raw;

use std::ffi::c_int;
use std::ptr;
use std::sync::OnceLock;

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{printable, Application, Error, GssFailure};

use raw::{Buffer, Functions, Handle, Oid, Word};

pub use context::{Acceptor, Client, Initiator, Progress, SecurityContext};
pub use credentials::{Credentials, Store};

/// Flags of a context (RFC 2744 §5.19, RFC 4121; the last one of MIT and RFC draft kitten).
pub mod flag {
    /// The acceptor may act for the initiator.
    pub const DELEGATE: u32 = 1;
    /// The acceptor proves itself too.
    pub const MUTUAL: u32 = 2;
    /// Repeated messages are noticed.
    pub const REPLAY: u32 = 4;
    /// Messages out of order are noticed.
    pub const SEQUENCE: u32 = 8;
    /// Confidentiality.
    pub const CONFIDENTIALITY: u32 = 16;
    /// Integrity.
    pub const INTEGRITY: u32 = 32;
    /// Nobody was authenticated.
    pub const ANONYMOUS: u32 = 64;
    /// Both sides gave the same channel binding.
    pub const CHANNEL_BOUND: u32 = 2048;
}

/// The GSS-API mechanism that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaking {
    /// Kerberos 5 itself.
    Kerberos,
    /// SPNEGO, which negotiates.
    Spnego,
}

impl Speaking {
    fn oid(self) -> &'static Oid {
        match self {
            Speaking::Kerberos => &raw::KRB5,
            Speaking::Spnego => &raw::SPNEGO,
        }
    }
}

const COMPLETE: Word = 0;
const CONTINUE_NEEDED: Word = 1;
/// A token that is repeated, old, out of order or after a gap.
const OUT_OF_ORDER: Word = 0b1_1110;
/// The error bits of a major status.
const ERROR: Word = 0xffff_0000;
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

fn required() -> Result<&'static Functions, Error> {
    functions().ok_or(Error::System("the system has no GSS-API library"))
}

/// A call under way: who makes it and about what, for the error text.
#[derive(Clone, Copy)]
struct Call<'a> {
    gss: &'static Functions,
    side: Side,
    doing: &'static str,
    about: &'a str,
}

impl Call<'_> {
    fn check(&self, major: Word, minor: Word) -> Result<(), Error> {
        if major & ERROR == 0 {
            return Ok(());
        }
        Err(self.failed(major, minor))
    }

    fn failed(&self, major: Word, minor: Word) -> Error {
        let mut text = self.words(major, GSS_CODE);
        let detail = if minor == 0 { String::new() } else { self.words(minor, MECHANISM_CODE) };
        // MIT's text for "see the minor status" says nothing beside the minor status itself.
        if !detail.is_empty() && (text.starts_with("Unspecified GSS failure") || text.is_empty()) {
            text = detail;
        } else if !detail.is_empty() {
            text = format!("{}: {detail}", text.trim_end_matches('.'));
        }
        let (side, doing, about) = (self.side, self.doing, self.about.to_owned());
        Error::Gss(Box::new(GssFailure { side, doing, about, major, minor, text }))
    }

    fn words(&self, code: Word, kind: c_int) -> String {
        let (mut more, mut words) = (0, Vec::new());
        // A library that always has more to say is cut short.
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
struct Owned {
    gss: &'static Functions,
    buffer: Buffer,
}

impl Owned {
    fn new(gss: &'static Functions) -> Self {
        Owned { gss, buffer: Buffer::EMPTY }
    }

    fn bytes(&self) -> &[u8] {
        if self.buffer.value.is_null() || self.buffer.length == 0 {
            return &[];
        }
        // SAFETY: the library says that so many bytes are there, and they are until this is dropped.
        unsafe { std::slice::from_raw_parts(self.buffer.value.cast(), self.buffer.length) }
    }

    fn text(&self) -> String {
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

/// A name (`gss_name_t`).
pub struct Name {
    gss: &'static Functions,
    handle: Handle,
}

// SAFETY: a name is memory without ties to a thread; all its uses here take it by reference from one owner.
unsafe impl Send for Name {}

impl Name {
    /// The service on that host, `service@host`; no name service is asked here.
    ///
    /// # Errors
    /// If the library cannot make a name of it.
    pub fn of_service(side: Side, service: &str, host: &str) -> Result<Name, Error> {
        Name::import(side, &format!("{service}@{host}"), &raw::HOSTBASED_SERVICE)
    }

    /// A principal as it is written in Kerberos: `fred@EXAMPLE.ORG`, `ldap/host.example.org`.
    ///
    /// # Errors
    /// If the library cannot make a name of it.
    pub fn of_principal(side: Side, text: &str) -> Result<Name, Error> {
        Name::import(side, text, &raw::PRINCIPAL_NAME)
    }

    fn import(side: Side, text: &str, kind: &'static Oid) -> Result<Name, Error> {
        let gss = required()?;
        if text.contains('\0') {
            let reason = "holds a NUL character";
            return Err(Application::Unusable { what: "name of the service or principal", reason }.into());
        }
        let mut name = Name { gss, handle: ptr::null_mut() };
        let (mut minor, mut buffer) = (0, Buffer::of(text.as_bytes()));
        // SAFETY: the buffer and the out pointers live for the call, the type is static.
        let major = unsafe { (gss.gss_import_name)(&mut minor, &mut buffer, kind.pointer(), &mut name.handle) };
        Call { gss, side, doing: "reading the name", about: text }.check(major, minor)?;
        Ok(name)
    }

    fn display(&self, call: Call<'_>) -> Result<String, Error> {
        let (mut minor, mut out) = (0, Owned::new(self.gss));
        // SAFETY: the name is alive; a null pointer asks for no name type.
        let major = unsafe { (self.gss.gss_display_name)(&mut minor, self.handle, &mut out.buffer, ptr::null_mut()) };
        call.check(major, minor)?;
        Ok(out.text())
    }

    /// The local name that the library's own rules (auth_to_local) give it, if they do.
    fn local(&self) -> Option<String> {
        let (mut minor, mut out) = (0, Owned::new(self.gss));
        let localname = self.gss.gss_localname?;
        // SAFETY: the name is alive, the type is static.
        let major = unsafe { localname(&mut minor, self.handle, raw::KRB5.pointer(), &mut out.buffer) };
        let name = out.text();
        let name = name.trim_end_matches('\0');
        (major == COMPLETE && !name.is_empty()).then(|| name.to_owned())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        if !self.handle.is_null() {
            // SAFETY: the name is the library's own and not released yet.
            unsafe { (self.gss.gss_release_name)(&mut minor, &mut self.handle) };
        }
    }
}

//! Names of principals and services.

use std::ptr;

use authen_sasl_rust::contract::Side;
use authen_sasl_rust::error::{Application, Error, Subject};

use super::library::{required, Call, Owned, COMPLETE};
use super::raw::{self, Buffer, Functions, Handle, Oid};

/// A name (`gss_name_t`).
pub struct Name {
    pub(super) gss: &'static Functions,
    pub(super) handle: Handle,
}

// SAFETY: a name is memory that is not tied to a thread. Here it has one owner, and is used by reference.
unsafe impl Send for Name {}

impl Name {
    /// The service on that host, `service@host`. No name service is asked here.
    ///
    /// # Errors
    /// If the library cannot import the name.
    pub fn of_service(side: Side, service: &str, host: &str) -> Result<Name, Error> {
        Name::import(side, &format!("{service}@{host}"), &raw::HOSTBASED_SERVICE)
    }

    /// A principal in Kerberos' notation: `fred@EXAMPLE.ORG`, `ldap/host.example.org`.
    ///
    /// # Errors
    /// If the library cannot import the name.
    pub fn of_principal(side: Side, text: &str) -> Result<Name, Error> {
        Name::import(side, text, &raw::PRINCIPAL_NAME)
    }

    fn import(side: Side, text: &str, kind: &'static Oid) -> Result<Name, Error> {
        let gss = required()?;
        if text.contains('\0') {
            let reason = "holds a NUL character";
            return Err(Application::Unusable { what: Subject::Principal, reason }.into());
        }
        let mut name = Name { gss, handle: ptr::null_mut() };
        let (mut minor, mut buffer) = (0, Buffer::of(text.as_bytes()));
        // SAFETY: the buffer and the out pointers live for the call, the type is static.
        let major = unsafe { (gss.gss_import_name)(&mut minor, &mut buffer, kind.pointer(), &mut name.handle) };
        Call::new(gss, side, "reading the name", text).check(major, minor)?;
        Ok(name)
    }

    pub(super) fn display(&self, call: Call<'_>) -> Result<String, Error> {
        let (mut minor, mut out) = (0, Owned::new(self.gss));
        // SAFETY: the name is alive; a null pointer asks for no name type.
        let major = unsafe { (self.gss.gss_display_name)(&mut minor, self.handle, &mut out.buffer, ptr::null_mut()) };
        call.check(major, minor)?;
        Ok(out.text())
    }

    /// The local name by the library's rules (auth_to_local), if there is one.
    pub(super) fn local(&self) -> Option<String> {
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

//! Credentials: where they are found, and where delegated credentials are stored.

use std::ffi::{c_int, CStr, CString};
use std::ptr;

use authen_sasl_rust::contract::{Delegated, Side};
use authen_sasl_rust::error::{Application, Error};
use authen_sasl_rust::secret::Secret;

use super::library::{required, Call, Speaking};
use super::name::Name;
use super::raw::{self, Buffer, Functions, Handle, KeyValue, KeyValueSet, OidSet, Word};

const INITIATE: c_int = 1;
const ACCEPT: c_int = 2;
const CCACHE: &CStr = c"ccache";

/// This error also appears before a client is accepted.
pub const CANNOT_STORE: Error = Error::System("this GSS-API library stores no credentials in a cache by its name");

/// Where credentials are looked for. If a field is `None`, the library chooses, for instance by the environment.
#[derive(Debug, Default, Clone, Copy)]
pub struct Store<'a> {
    /// Credentials cache of a client, `FILE:/tmp/krb5cc_1000` for instance.
    pub ccache: Option<&'a str>,
    /// Keytab: a server's keys, or the keys with which a client gets tickets.
    pub keytab: Option<&'a str>,
}

/// A credential store's keys and values, in the library's format.
struct Places {
    /// The texts to which the elements point.
    _values: Vec<CString>,
    elements: Vec<KeyValue>,
}

impl Places {
    fn new(named: &[(&'static CStr, Option<&str>)]) -> Result<Self, Error> {
        let (mut values, mut elements) = (Vec::new(), Vec::new());
        for (key, value) in named.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
            let value = CString::new(value)
                .map_err(|_| Application::Option { name: "ccache or keytab", range: "a name without NUL" })?;
            // The text keeps its address when its owner is moved into the list.
            elements.push(KeyValue { key: key.as_ptr(), value: value.as_ptr() });
            values.push(value);
        }
        Ok(Places { _values: values, elements })
    }

    fn set(&self) -> KeyValueSet {
        KeyValueSet { count: self.elements.len() as Word, elements: self.elements.as_ptr() }
    }
}

/// Credentials (`gss_cred_id_t`).
pub struct Credentials {
    pub(super) gss: &'static Functions,
    pub(super) handle: Handle,
}

// SAFETY: credentials are not tied to a thread. MIT and Heimdal lock shared ones; here they have a single owner.
unsafe impl Send for Credentials {}

impl Credentials {
    /// The credentials of that name, or the default ones.
    ///
    /// # Errors
    /// If there are none, or the library can only look in the default place.
    pub fn acquire(
        side: Side,
        speaking: Speaking,
        name: Option<&Name>,
        about: &str,
        store: Store<'_>,
    ) -> Result<Credentials, Error> {
        let gss = required()?;
        let usage = if side == Side::Client { INITIATE } else { ACCEPT };
        let keytab_key = if side == Side::Client { c"client_keytab" } else { c"keytab" };
        let places = Places::new(&[(CCACHE, store.ccache), (keytab_key, store.keytab)])?;
        let mut mechanisms = OidSet { count: 1, elements: speaking.oid().pointer() };
        let desired = name.map_or(ptr::null_mut(), |name| name.handle);
        let mut found = Credentials { gss, handle: ptr::null_mut() };
        let (mut minor, none) = (0, ptr::null_mut());
        let major = if places.elements.is_empty() {
            // SAFETY: the name is alive, the other pointers are to live variables; null pointers ask for nothing.
            unsafe {
                let acquire = gss.gss_acquire_cred;
                acquire(&mut minor, desired, 0, &mut mechanisms, usage, &mut found.handle, none, ptr::null_mut())
            }
        } else {
            let Some(acquire) = gss.gss_acquire_cred_from else {
                return Err(Error::System("this GSS-API library knows of no ccache and keytab but its own"));
            };
            let found = &mut found.handle;
            // SAFETY: as above; the set points into `places`, which lives until the end of this function.
            unsafe {
                acquire(&mut minor, desired, 0, &mut mechanisms, usage, &places.set(), found, none, ptr::null_mut())
            }
        };
        Call::new(gss, side, "looking for credentials", about).check(major, minor)?;
        Ok(found)
    }

    /// Gets a ticket with a password, into memory that goes with the credentials. `about` is the principal in words.
    ///
    /// # Errors
    /// If the KDC refuses or cannot be asked, or the library has no such function.
    pub fn by_password(speaking: Speaking, name: &Name, about: &str, password: &Secret) -> Result<Credentials, Error> {
        let gss = required()?;
        let acquire = gss
            .gss_acquire_cred_with_password
            .ok_or(Error::System("this GSS-API library gets no tickets with a password"))?;
        let mut mechanisms = OidSet { count: 1, elements: speaking.oid().pointer() };
        let mut got = Credentials { gss, handle: ptr::null_mut() };
        let mut bytes = Buffer::of(password.expose());
        let (mut minor, none) = (0, ptr::null_mut());
        let call = Call { by_password: true, ..Call::new(gss, Side::Client, "getting a ticket by password", about) };
        // SAFETY: the name and the password are alive, the other pointers are to live variables; null asks for nothing.
        let major = unsafe {
            let found = &mut got.handle;
            acquire(&mut minor, name.handle, &mut bytes, 0, &mut mechanisms, INITIATE, found, none, ptr::null_mut())
        };
        call.check(major, minor)?;
        // MIT asks the KDC when the credentials are first used: here, where an error is about the password.
        got.lifetime(call)?;
        Ok(got)
    }

    /// How long they are good for, in seconds; 0 once they have expired.
    fn lifetime(&self, call: Call<'_>) -> Result<u32, Error> {
        let (mut minor, mut left) = (0, 0);
        // SAFETY: the credentials are alive, `left` is a live variable; null pointers ask for nothing.
        let major = unsafe {
            let inquire = self.gss.gss_inquire_cred;
            inquire(&mut minor, self.handle, ptr::null_mut(), &mut left, ptr::null_mut(), ptr::null_mut())
        };
        call.check(major, minor)?;
        Ok(left)
    }

    /// True if they are there and have not expired.
    pub fn are_usable(&self) -> bool {
        let call = Call::new(self.gss, Side::Client, "asking for the lifetime", "");
        self.lifetime(call).is_ok_and(|left| left > 0)
    }

    /// Their principal.
    ///
    /// # Errors
    /// If the library does not know it.
    pub fn owner(&self) -> Result<String, Error> {
        let call = Call::new(self.gss, Side::Server, "asking whose the credentials are", "");
        let mut owner = Name { gss: self.gss, handle: ptr::null_mut() };
        let (mut minor, none) = (0, ptr::null_mut());
        // SAFETY: the credentials are alive, the name is a live variable; null pointers ask for nothing.
        let major = unsafe {
            let inquire = self.gss.gss_inquire_cred;
            inquire(&mut minor, self.handle, &mut owner.handle, none, ptr::null_mut(), ptr::null_mut())
        };
        call.check(major, minor)?;
        owner.display(call)
    }

    /// Requests that contexts get no layer unless one is asked for. Libraries that do not support this ignore it.
    pub fn without_layers(&mut self) {
        let (mut minor, mut empty) = (0, Buffer::EMPTY);
        if let Some(set) = self.gss.gss_set_cred_option {
            // SAFETY: the credentials are alive, the option is static and takes an empty value.
            unsafe { set(&mut minor, &mut self.handle, raw::NO_CI_FLAGS.pointer(), &mut empty) };
        }
    }
}

impl Delegated for Credentials {
    fn store(&self, ccache: &str) -> Result<(), Error> {
        let store = self.gss.gss_store_cred_into.ok_or(CANNOT_STORE)?;
        let places = Places::new(&[(CCACHE, Some(ccache))])?;
        let (mut minor, any, anew, not_by_default) = (0, ptr::null_mut(), 1, 0);
        // SAFETY: the credentials are alive; the set points into `places`; null pointers mean any, and ask for nothing.
        let major = unsafe {
            let (stored, usage) = (ptr::null_mut(), ptr::null_mut());
            store(&mut minor, self.handle, INITIATE, any, anew, not_by_default, &places.set(), stored, usage)
        };
        let call = Call::new(self.gss, Side::Server, "storing credentials in", ccache);
        call.check(major, minor).map_err(|failed| Application::Cache(failed.to_string()).into())
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        let mut minor = 0;
        if !self.handle.is_null() {
            // SAFETY: the credentials are the library's own and not released yet.
            unsafe { (self.gss.gss_release_cred)(&mut minor, &mut self.handle) };
        }
    }
}

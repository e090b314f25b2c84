//! The functions that libsasl2 lends (`sasl_utils_t`). They are called only from here.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr, CString};
use std::mem::{offset_of, transmute};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libloading::os::unix::{Library, RTLD_LAZY};
use zeroize::Zeroizing;

use authen_sasl_rust::secret::Secret;
use saslplug::{callback, code, Conn, Proc, Propctx, Propval, ServerChannelBinding, Utils};

/// The size of the eight MD5 functions, which libsasl2 no longer has from version 2.2 on.
const MD5_SIZE: usize = offset_of!(Utils, mkchal) - offset_of!(Utils, MD5Init);

/// The name of this plugin for libsasl2.
const NAME: &CStr = c"saslrust";

/// `SASL_LOG_ERR` and `SASL_LOG_FAIL`.
const LOG_ERROR: c_int = 1;
const LOG_FAILURE: c_int = 2;

/// The functions of a connection, for the duration of a call.
#[derive(Clone, Copy)]
pub struct Host {
    utils: *const Utils,
    /// How much earlier the functions after MD5 are in this libsasl2.
    shift: usize,
}

/// A field of the table, at its offset in this libsasl2.
macro_rules! slot {
    ($host:expr, $field:ident) => {
        // SAFETY: the caller of `Host::of` promised the table, and the type belongs to the field at that offset.
        unsafe { $host.slot(offset_of!(Utils, $field), |utils| &utils.$field) }
    };
}

impl Host {
    /// The table at a pointer from libsasl2; `None` for a null pointer.
    ///
    /// # Safety
    /// The pointer is null, or a `sasl_utils_t` that stays as long as this is used.
    pub unsafe fn of(utils: *const Utils) -> Option<Host> {
        if utils.is_null() {
            return None;
        }
        let mut host = Host { utils, shift: 0 };
        let first: usize = slot!(host, MD5Init) as usize;
        if has_no_md5(first) {
            host.shift = MD5_SIZE;
        }
        Some(host)
    }

    /// # Safety
    /// The table has a field of that type at that offset.
    unsafe fn slot<T: Copy>(&self, offset: usize, _type: fn(&Utils) -> &T) -> T {
        let behind = offset > offset_of!(Utils, MD5Init);
        let offset = if behind { offset - self.shift } else { offset };
        // SAFETY: the table has a field of that type there.
        unsafe { self.utils.cast::<u8>().add(offset).cast::<T>().read() }
    }

    fn conn(&self) -> *mut Conn {
        slot!(self, conn)
    }

    /// The table itself.
    pub fn utils(&self) -> *const Utils {
        self.utils
    }

    /// Sets the reason of a failure, which the application reads with `sasl_errdetail`.
    pub fn set_error(&self, text: &str) {
        let conn = self.conn();
        if !conn.is_null() {
            let set = slot!(self, seterror);
            let text = c_text(text);
            // SAFETY: the format takes one text.
            unsafe { set(conn, 0, c"%s".as_ptr(), text.as_ptr()) };
        }
    }

    /// Logs an error.
    pub fn log(&self, text: &str) {
        self.log_at(LOG_ERROR, text);
    }

    /// Logs a failed login.
    pub fn log_failure(&self, text: &str) {
        self.log_at(LOG_FAILURE, text);
    }

    fn log_at(&self, level: c_int, text: &str) {
        let log = slot!(self, log);
        let text = c_text(text);
        // SAFETY: as in `set_error`; libsasl2 takes a null connection for its global log.
        unsafe { log(self.conn(), level, c"%s".as_ptr(), text.as_ptr()) };
    }

    /// The value of an option of the application or of its configuration file.
    pub fn option(&self, name: &CStr) -> Option<String> {
        let (get, context) = (slot!(self, getopt), slot!(self, getopt_context));
        let (mut value, mut length): (*const c_char, c_uint) = (ptr::null(), 0);
        // SAFETY: texts end in a NUL; the results are local variables.
        let result = unsafe { get(context, NAME.as_ptr(), name.as_ptr(), &mut value, &mut length) };
        if result != code::OK || value.is_null() {
            return None;
        }
        // SAFETY: what getopt gives ends in a NUL.
        Some(unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
    }

    /// Allocates zeroed memory that libsasl2 or the application may access; null on failure.
    pub fn allocate(&self, count: usize, size: usize) -> *mut c_void {
        let calloc = slot!(self, calloc);
        // SAFETY: it is calloc.
        unsafe { calloc(count, size) }
    }

    /// # Safety
    /// The memory came from [`Host::allocate`], and is not used again.
    pub unsafe fn free(&self, memory: *mut c_void) {
        let free = slot!(self, free);
        // SAFETY: the caller's promise.
        unsafe { free(memory) };
    }

    /// The application's callback with that id, and its context. The error is `code::INTERACT` if the user must be prompted.
    pub fn callback(&self, id: c_ulong) -> Result<(Proc, *mut c_void), c_int> {
        let get = slot!(self, getcallback);
        let (mut proc, mut context): (Proc, *mut c_void) = (None, ptr::null_mut());
        // SAFETY: the results are local variables.
        match unsafe { get(self.conn(), id, &mut proc, &mut context) } {
            code::OK if proc.is_some() => Ok((proc, context)),
            code::OK => Err(code::INTERACT),
            refused => Err(refused),
        }
    }

    /// Lets the program of a server set channel binding data of this type (the property `SASL_CHANNEL_BINDING`). True if it has.
    pub fn request_binding(&self, mechanism: &str, kind: &str) -> bool {
        let Ok((Some(proc), context)) = self.callback(callback::SERVER_CHANNEL_BINDING) else { return false };
        // SAFETY: this id belongs to a callback of that type.
        let request: ServerChannelBinding = unsafe { transmute(proc) };
        let (mechanism, kind) = (c_text(mechanism), c_text(kind));
        // SAFETY: both texts end in a NUL, and the context is the callback's.
        code::OK == unsafe { request(self.conn(), context, mechanism.as_ptr(), kind.as_ptr()) }
    }

    /// Checks a password with `sasl_checkpass`, which follows the application's `pwcheck_method`.
    pub fn check_password(&self, user: &str, password: &Secret) -> c_int {
        let check = slot!(self, checkpass);
        let user = c_text(user);
        let mut text = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
        text.extend_from_slice(password.expose());
        text.push(0);
        let (length, conn) = (user.as_bytes().len() as c_uint, self.conn());
        // SAFETY: both texts end in a NUL after their lengths.
        unsafe { check(conn, user.as_ptr(), length, text.as_ptr().cast(), password.expose().len() as c_uint) }
    }

    /// Requests properties. They are looked up when the name is canonicalized.
    ///
    /// # Safety
    /// The context is that of the parameters of this connection.
    pub unsafe fn request(&self, context: *mut Propctx, names: &[&CStr]) -> c_int {
        let request = slot!(self, prop_request);
        let names = pointers(names);
        // SAFETY: the caller's promise; the list ends with a null name.
        unsafe { request(context, names.as_ptr()) }
    }

    /// The values of properties, in the order of the names.
    ///
    /// # Safety
    /// As [`Host::request`].
    pub unsafe fn properties(&self, context: *mut Propctx, names: &[&CStr]) -> Vec<Vec<Secret>> {
        let get = slot!(self, prop_getnames);
        let nothing = Propval { name: ptr::null(), values: ptr::null_mut(), nvalues: 0, valsize: 0 };
        let mut found = vec![nothing; names.len() + 1];
        let list = pointers(names);
        // SAFETY: the caller's promise; there is room for each name.
        if unsafe { get(context, list.as_ptr(), found.as_mut_ptr()) } < 0 {
            return names.iter().map(|_| Vec::new()).collect();
        }
        found.pop();
        found.iter().map(entry_values).collect()
    }

    /// Wipes the values of a property: passwords and verifiers that nothing else needs.
    ///
    /// # Safety
    /// As [`Host::request`].
    pub unsafe fn erase(&self, context: *mut Propctx, name: &CStr) {
        let erase = slot!(self, prop_erase);
        // SAFETY: the caller's promise.
        unsafe { erase(context, name.as_ptr()) };
    }

    /// Stores one property of a user, or removes it.
    pub fn store(&self, user: &CStr, property: &CStr, value: Option<&str>) -> c_int {
        let (new, request, set) = (slot!(self, prop_new), slot!(self, prop_request), slot!(self, prop_set));
        let (store, dispose) = (slot!(self, auxprop_store), slot!(self, prop_dispose));
        // SAFETY: the context is created, filled, stored and disposed of here; texts end in a NUL or are passed with their lengths.
        unsafe {
            let mut context = new(0);
            if context.is_null() {
                return code::NOMEM;
            }
            let names = pointers(&[property]);
            let mut result = request(context, names.as_ptr());
            if let (code::OK, Some(value)) = (result, value) {
                result = set(context, property.as_ptr(), value.as_ptr().cast(), value.len() as c_int);
            }
            if result == code::OK {
                result = store(self.conn(), context, user.as_ptr());
            }
            dispose(&mut context);
            result
        }
    }
}

fn entry_values(entry: &Propval) -> Vec<Secret> {
    let mut values = Vec::new();
    let mut at = entry.values;
    // SAFETY: the values are texts that end in a NUL, and the list of them ends in a null.
    unsafe {
        while !at.is_null() && !(*at).is_null() {
            values.push(Secret::new(CStr::from_ptr(*at).to_bytes()));
            at = at.add(1);
        }
    }
    values
}

/// A list of texts for C, with a null pointer at the end.
fn pointers(names: &[&CStr]) -> Vec<*const c_char> {
    names.iter().map(|name| name.as_ptr()).chain([ptr::null()]).collect()
}

/// A text for C. NULs, which would end it, become question marks.
pub fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}

/// Whether this libsasl2 has no MD5 functions: the field where they would begin is `sasl_mkchal`, which follows them.
fn has_no_md5(slot: usize) -> bool {
    // The values seen last, so that the symbols are looked up once and not for each connection.
    static WITH: AtomicUsize = AtomicUsize::new(0);
    static WITHOUT: AtomicUsize = AtomicUsize::new(0);
    if WITH.load(Ordering::Relaxed) == slot {
        return false;
    }
    if WITHOUT.load(Ordering::Relaxed) == slot {
        return true;
    }
    let found = mkchal().contains(&slot);
    let memory = if found { &WITHOUT } else { &WITH };
    memory.store(slot, Ordering::Relaxed);
    found
}

/// The addresses of `sasl_mkchal` in the program and in each loaded libsasl2.
fn mkchal() -> Vec<usize> {
    /// From glibc's dlfcn.h: only if it is already loaded.
    const RTLD_NOLOAD: c_int = 4;
    const NAMES: [&str; 4] = ["libsasl2.so.2", "libsasl2.so.3", "libsasl2.so.4", "libsasl2.so"];
    // SAFETY: nothing is newly loaded, so no initializer runs.
    let loaded = NAMES.iter().filter_map(|name| unsafe { Library::open(Some(name), RTLD_LAZY | RTLD_NOLOAD) }.ok());
    [Library::this()]
        .into_iter()
        .chain(loaded)
        // SAFETY: only the address is used.
        .filter_map(|library| unsafe { library.get::<*mut c_void>(b"sasl_mkchal\0") }.ok().map(|at| at.as_raw_ptr()))
        .map(|at| at as usize)
        .collect()
}

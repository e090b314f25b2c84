//! The data behind a plugin's `sasl_conn_t *`, on which the functions of its utils work.
//!
//! A plugin calls these from within its own functions. So everything here is accessed through a shared reference, and no
//! lock or borrow is held while foreign code runs. A connection is used by one thread at a time.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_uint, c_ulong, c_void, CStr, CString};
use std::ptr;
use std::sync::Arc;

use authen_sasl_rust::error::escaped;

use super::journal::Log;
use super::options::Options;
use saslplug::{code, property, Conn, OutParams, Proc, Propctx, SecurityProperties, Utils};

/// The default of the option `log_level`: unusual errors.
const LOG_LEVEL: c_int = 1;
/// The level of texts that a plugin passes to `seterror`.
const LOG_FAIL: c_int = 2;
/// The last level whose lines count as reasons: warnings.
const LOG_WARN: c_int = 3;
/// Maximum number of texts of `seterror` that are kept: the first ones, which come from the deepest functions, and the last.
const ERRORS: usize = 4;

/// The initial capacity for properties: enough for most connections.
const PROPERTIES: usize = 10;

/// The functions that a connection provides to its plugin, besides options and log. They depend on the owner of the connection.
pub trait Hooks: Send {
    /// The function for a `SASL_CB_*` number, other than GETOPT, LOG and VERIFYFILE.
    fn callback(&self, _id: c_ulong) -> CallbackReply {
        CallbackReply::Absent
    }

    /// `sasl_checkpass`; a code of sasl.h.
    fn check_password(&self, _user: &[u8], _password: &[u8]) -> c_int {
        code::NOMECH
    }

    /// `canon_user` of the parameters; a code of sasl.h.
    fn canon_user(&self, _name: &[u8], _flags: c_uint, _out: &mut OutParams) -> c_int {
        code::BADPARAM
    }

    /// `sasl_auxprop_store`; without a user, whether anything can be stored. Returns a code of sasl.h.
    fn store(&self, _properties: *mut Propctx, _user: Option<&CStr>) -> c_int {
        code::NOMECH
    }
}

/// No functions besides options and log.
pub struct NoHooks;

impl Hooks for NoHooks {}

/// The answer to `getcallback`.
pub enum CallbackReply {
    /// There is no such callback.
    Absent,
    /// The plugin must prompt (`SASL_INTERACT`).
    Interact,
    /// This function, with this context.
    Call(Proc, *mut c_void),
}

/// A property of `getprop`. A value that was given out lives until the property is set again.
enum Value {
    Text(CString),
    Number(Box<c_uint>),
    Security(Box<SecurityProperties>),
    Pointer(*const c_void),
}

/// One connection, or its substitute while a plugin is loaded.
pub struct Connection {
    pub(super) utils: Utils,
    options: Arc<Options>,
    log: Option<Log>,
    log_level: c_int,
    hooks: Box<dyn Hooks>,
    /// As the plugin has written them. Most are of no interest: sasldb reports each property that a user does not have.
    errors: RefCell<Vec<Box<[u8]>>>,
    /// Errors and warnings that were logged, whether or not the log shows them. Some plugins report errors in no other way.
    logged: RefCell<Vec<String>>,
    /// By number.
    properties: RefCell<Vec<(c_int, Value)>>,
}

thread_local! {
    /// The connection for a plugin that passes none.
    static CURRENT: Cell<*const Connection> = const { Cell::new(ptr::null()) };
}

/// While this exists, this thread calls plugins on behalf of a connection.
pub struct Entered {
    before: *const Connection,
}

impl Entered {
    /// The connection lives at least as long as the call.
    pub fn new(connection: *const Connection) -> Self {
        Entered { before: CURRENT.replace(connection) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

impl Connection {
    /// A connection with these functions for its plugin.
    pub fn new(utils: Utils, options: Arc<Options>, log: Option<Log>, hooks: Box<dyn Hooks>) -> Self {
        let log_level = options.get("log_level").and_then(|level| level.trim().parse().ok()).unwrap_or(LOG_LEVEL);
        let (errors, logged) = Default::default();
        let properties = RefCell::new(Vec::with_capacity(PROPERTIES));
        Connection { utils, options, log, log_level, hooks, errors, logged, properties }
    }

    /// The connection that a plugin passes. It must be the one on whose behalf this thread has called the plugin. A plugin gets
    /// nothing if it keeps the pointer after the end of the connection, or passes it to a thread of its own.
    ///
    /// # Safety
    /// The result must not be used after the plugin's function has returned.
    pub unsafe fn of<'a>(conn: *mut Conn) -> Option<&'a Connection> {
        let current = CURRENT.get();
        let meant = conn.is_null() || ptr::eq(current, conn.cast_const().cast());
        // SAFETY: the current connection lives as long as the call for which it was set.
        unsafe { current.as_ref() }.filter(|_| meant)
    }

    /// The connection that the context of `getopt` or of the log points to; without a context, as [`Connection::of`].
    ///
    /// # Safety
    /// The pointer is null or that of a living connection: our utils have passed it to the plugin.
    pub unsafe fn behind<'a>(context: *mut c_void) -> Option<&'a Connection> {
        let connection = if context.is_null() { CURRENT.get() } else { context.cast_const().cast() };
        // SAFETY: the caller's promise; the current connection lives as long as the call for which it was set.
        unsafe { connection.as_ref() }
    }

    /// Calls a plugin on behalf of this connection.
    pub fn during<T>(&self, call: impl FnOnce() -> T) -> T {
        let _entered = Entered::new(self);
        call()
    }

    /// The functions for the plugin.
    pub fn utils(&self) -> *const Utils {
        &raw const self.utils
    }

    /// As a plugin passes it.
    pub fn conn(&self) -> *mut Conn {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The options that the plugin may ask for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn hooks(&self) -> &dyn Hooks {
        &*self.hooks
    }

    /// The level up to which lines are logged.
    pub fn log_level(&self) -> c_int {
        self.log_level
    }

    /// Logs a line, if its level is enabled.
    pub fn log(&self, level: c_int, text: &[u8]) {
        if (LOG_LEVEL..=LOG_WARN).contains(&level) {
            let mut logged = self.logged.borrow_mut();
            logged.truncate(ERRORS - 1);
            logged.push(legible(text));
        }
        if let Some(log) = self.log.as_ref().filter(|_| level <= self.log_level) {
            log(level, &legible(text));
        }
    }

    /// Keeps an error that a plugin reports.
    pub(super) fn set_error(&self, text: &[u8], logged: bool) {
        let text = text.trim_ascii_end();
        if logged {
            self.log(LOG_FAIL, text);
        }
        let mut errors = self.errors.borrow_mut();
        if !text.is_empty() && !errors.iter().any(|error| **error == *text) {
            errors.truncate(ERRORS - 1);
            errors.push(text.into());
        }
    }

    /// The errors that plugins have reported since the last call, with the deepest cause at the end.
    pub fn take_error(&self) -> Option<String> {
        let errors: Vec<String> = self.errors.take().iter().rev().map(|error| legible(error)).collect();
        (!errors.is_empty()).then(|| errors.join(": "))
    }

    /// As [`Connection::take_error`]. If plugins have reported none: the errors that they have logged.
    pub fn take_reason(&self) -> Option<String> {
        let mut logged = self.logged.take();
        logged.dedup();
        self.take_error().or_else(|| (!logged.is_empty()).then(|| logged.join(": ")))
    }

    /// Discards the logged errors.
    pub fn forget_log(&self) {
        self.logged.take();
    }

    /// Sets a text property; `None` removes it.
    pub fn set_text(&self, number: c_int, text: Option<&CStr>) {
        self.set(number, text.map(|text| Value::Text(text.to_owned())));
    }

    /// Sets a numeric property.
    pub fn set_number(&self, number: c_int, value: c_uint) {
        self.set(number, Some(Value::Number(Box::new(value))));
    }

    /// Sets a property that is a pointer. It must be valid as long as the connection.
    pub fn set_pointer(&self, number: c_int, pointer: *const c_void) {
        self.set(number, Some(Value::Pointer(pointer)));
    }

    /// Sets [`property::SEC_PROPS`].
    pub fn set_security(&self, properties: SecurityProperties) {
        self.set(property::SEC_PROPS, Some(Value::Security(Box::new(properties))));
    }

    fn set(&self, number: c_int, value: Option<Value>) {
        let mut properties = self.properties.borrow_mut();
        let at = properties.iter().position(|(known, _)| *known == number);
        match (at, value) {
            (Some(at), Some(value)) => properties[at].1 = value,
            (Some(at), None) => drop(properties.swap_remove(at)),
            (None, Some(value)) => properties.push((number, value)),
            (None, None) => {}
        }
    }

    /// A property as `getprop` gives it.
    pub(super) fn property(&self, number: c_int) -> Option<*const c_void> {
        if number == property::GETOPTCTX {
            return Some(self.conn().cast_const().cast());
        }
        if number == property::PLUGERR {
            let text = self.errors.borrow().last().map(|error| legible(error)).unwrap_or_default();
            self.set(number, CString::new(text).ok().map(Value::Text));
        }
        let properties = self.properties.borrow();
        let (_, value) = properties.iter().find(|(known, _)| *known == number)?;
        Some(match value {
            Value::Text(text) => text.as_ptr().cast(),
            Value::Number(number) => ptr::from_ref(&**number).cast(),
            Value::Security(properties) => ptr::from_ref(&**properties).cast(),
            Value::Pointer(pointer) => *pointer,
        })
    }
}

/// A plugin's text, safe for a terminal or a log file.
fn legible(text: &[u8]) -> String {
    escaped(String::from_utf8_lossy(text).trim_end())
}

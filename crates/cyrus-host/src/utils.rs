//! `sasl_utils_t`: the functions that a plugin calls, one for each slot.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr};
use std::{ptr, slice};

use super::connection::{CallbackReply, Connection};
use super::{md5, mutex, propctx, text};
use authen_sasl_rust::error::Code;
use saslplug::{self, callback, code, flag, property, shielded, Conn, OutParams, Proc, Propctx, Utils};

extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
    // In shim.c.
    fn asr_plugin_log_format(conn: *mut Conn, level: c_int, format: *const c_char, ...);
    fn asr_plugin_seterror_format(conn: *mut Conn, flags: c_uint, format: *const c_char, ...);
}

/// The table for a connection. `context` is what the plugin passes to `getopt`.
pub fn table(conn: *mut Conn, context: *mut c_void) -> Utils {
    Utils {
        version: saslplug::version::UTILS,
        conn,
        rpool: ptr::null_mut(),
        getopt_context: context,
        getopt,
        malloc,
        calloc,
        realloc,
        free,
        mutex_alloc: mutex::mutex_alloc,
        mutex_lock: mutex::mutex_lock,
        mutex_unlock: mutex::mutex_unlock,
        mutex_free: mutex::mutex_free,
        MD5Init: md5::md5_init,
        MD5Update: md5::md5_update,
        MD5Final: md5::md5_final,
        hmac_md5: md5::hmac_md5,
        hmac_md5_init: md5::hmac_md5_init,
        hmac_md5_final: md5::hmac_md5_final,
        hmac_md5_precalc: md5::hmac_md5_precalc,
        hmac_md5_import: md5::hmac_md5_import,
        mkchal: text::mkchal,
        utf8verify: text::utf8verify,
        rand: text::rand,
        churn: text::churn,
        checkpass,
        decode64: text::decode64,
        encode64: text::encode64,
        erasebuffer: text::erasebuffer,
        getprop,
        setprop,
        getcallback,
        log: asr_plugin_log_format,
        seterror: asr_plugin_seterror_format,
        spare_fptr: None,
        prop_new: propctx::prop_new,
        prop_dup: propctx::prop_dup,
        prop_request: propctx::prop_request,
        prop_get: propctx::prop_get,
        prop_getnames: propctx::prop_getnames,
        prop_clear: propctx::prop_clear,
        prop_dispose: propctx::prop_dispose,
        prop_format: propctx::prop_format,
        prop_set: propctx::prop_set,
        prop_setvals: propctx::prop_setvals,
        prop_erase: propctx::prop_erase,
        auxprop_store,
        spare_fptr1: None,
        spare_fptr2: None,
    }
}

// No panic of the hooks and the log of an application may cross into C, so these are called in `shielded`.
//
// SAFETY of all below: a plugin passes the connection and the contexts that it was given, texts that end in a NUL
// or have the length beside them, and pointers to variables of its own for results.

unsafe fn string<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: as above.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

/// A text of this length. If the length is 0, the text ends at its NUL.
unsafe fn counted<'a>(pointer: *const c_char, length: c_uint) -> Option<&'a [u8]> {
    // SAFETY: as above.
    unsafe {
        match length {
            _ if pointer.is_null() => None,
            0 => Some(CStr::from_ptr(pointer).to_bytes()),
            _ => Some(slice::from_raw_parts(pointer.cast(), length as usize)),
        }
    }
}

/// `sasl_getopt_t`. For an absent option the result is set to null, too: the SCRAM plugin ignores the code.
unsafe extern "C" fn getopt(
    context: *mut c_void,
    _plugin: *const c_char,
    option: *const c_char,
    result: *mut *const c_char,
    length: *mut c_uint,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        let (Some(result), Some(option)) = (result.as_mut(), string(option)) else { return code::BADPARAM };
        *result = ptr::null();
        let found = Connection::behind(context).and_then(|connection| connection.options().find(option.to_bytes()));
        let Some(value) = found else { return code::FAIL };
        *result = value.as_ptr();
        if let Some(length) = length.as_mut() {
            *length = value.to_bytes().len() as c_uint;
        }
        code::OK
    }
}

/// `sasl_log_t`.
unsafe extern "C" fn log_line(context: *mut c_void, level: c_int, text: *const c_char) -> c_int {
    // SAFETY: as above.
    if let (Some(connection), Some(text)) = unsafe { (Connection::behind(context), string(text)) } {
        shielded((), || connection.log(level, text.to_bytes()));
    }
    code::OK
}

/// `sasl_verifyfile_t`: the files are those that the options name.
unsafe extern "C" fn verify_file(_: *mut c_void, _: *const c_char, _: c_int) -> c_int {
    code::OK
}

/// `sasl_getcallback_t`.
unsafe extern "C" fn getcallback(conn: *mut Conn, id: c_ulong, proc: *mut Proc, context: *mut *mut c_void) -> c_int {
    // SAFETY: as above; the plugin calls a function with the type that belongs to its id.
    unsafe {
        let (Some(proc), Some(context)) = (proc.as_mut(), context.as_mut()) else { return code::BADPARAM };
        (*proc, *context) = (None, ptr::null_mut());
        let connection = Connection::of(conn);
        let own = connection.map_or(ptr::null_mut(), |connection| connection.conn().cast());
        let reply = match (id, connection) {
            (callback::GETOPT, _) => CallbackReply::Call(erased(getopt as saslplug::GetOpt as *const ()), own),
            (callback::LOG, _) => CallbackReply::Call(erased(log_line as saslplug::LogProc as *const ()), own),
            (callback::VERIFYFILE, _) => {
                CallbackReply::Call(erased(verify_file as saslplug::VerifyFile as *const ()), own)
            }
            (_, Some(connection)) => shielded(CallbackReply::Absent, || connection.hooks().callback(id)),
            (_, None) => CallbackReply::Absent,
        };
        match reply {
            CallbackReply::Absent => code::FAIL,
            CallbackReply::Interact => code::INTERACT,
            CallbackReply::Call(found, with) => {
                (*proc, *context) = (found, with);
                code::OK
            }
        }
    }
}

/// A function as `getcallback` gives it.
///
/// # Safety
/// The pointer is that of a function, and is called with the function's own type.
pub unsafe fn erased(function: *const ()) -> Proc {
    // SAFETY: the caller's promise; all function pointers have the same representation here.
    unsafe { std::mem::transmute::<*const (), Proc>(function) }
}

/// Properties that may not be set yet: `getprop` returns NOTDONE for them, and BADPARAM for unknown ones.
const KNOWN: [c_int; 17] = [
    property::USERNAME,
    property::SSF,
    property::MAXOUTBUF,
    property::DEFUSERREALM,
    property::CALLBACK,
    property::IPLOCALPORT,
    property::IPREMOTEPORT,
    property::DELEGATEDCREDS,
    property::SERVICE,
    property::SERVERFQDN,
    property::AUTHSOURCE,
    property::MECHNAME,
    property::AUTHUSER,
    property::APPNAME,
    property::GSS_PEER_NAME,
    property::GSS_LOCAL_NAME,
    property::AUTH_EXTERNAL,
];

unsafe extern "C" fn getprop(conn: *mut Conn, number: c_int, value: *mut *const c_void) -> c_int {
    // SAFETY: as above.
    unsafe {
        let (Some(connection), Some(value)) = (Connection::of(conn), value.as_mut()) else { return code::BADPARAM };
        let found = connection.property(number);
        *value = found.unwrap_or(ptr::null());
        match found {
            Some(_) => code::OK,
            None if KNOWN.contains(&number) => code::NOTDONE,
            None => code::BADPARAM,
        }
    }
}

unsafe extern "C" fn setprop(conn: *mut Conn, number: c_int, value: *const c_void) -> c_int {
    // SAFETY: as above; what the value points to follows from the number.
    unsafe {
        let Some(connection) = Connection::of(conn) else { return code::BADPARAM };
        match number {
            property::DEFUSERREALM | property::IPLOCALPORT | property::IPREMOTEPORT | property::APPNAME => {
                connection.set_text(number, string(value.cast()));
            }
            property::AUTH_EXTERNAL => connection.set_text(number, string(value.cast())),
            property::SSF_EXTERNAL if !value.is_null() => connection.set_number(number, *value.cast()),
            property::SEC_PROPS if !value.is_null() => {
                connection.set_security(value.cast::<saslplug::SecurityProperties>().read())
            }
            property::GSS_CREDS | property::CHANNEL_BINDING | property::HTTP_REQUEST => {
                connection.set_pointer(number, value);
            }
            _ => return code::BADPARAM,
        }
        code::OK
    }
}

unsafe extern "C" fn checkpass(
    conn: *mut Conn,
    user: *const c_char,
    user_length: c_uint,
    password: *const c_char,
    password_length: c_uint,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        let user = counted(user, user_length);
        let password = counted(password, password_length);
        match (Connection::of(conn), user, password) {
            (Some(connection), Some(user), Some(password)) => {
                shielded(code::FAIL, || connection.hooks().check_password(user, password))
            }
            _ => code::BADPARAM,
        }
    }
}

/// `sasl_canon_user_t`, a field of the parameters, not of the utils.
pub unsafe extern "C" fn canon_user(
    conn: *mut Conn,
    name: *const c_char,
    length: c_uint,
    flags: c_uint,
    out: *mut OutParams,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        match (Connection::of(conn), counted(name, length), out.as_mut()) {
            (Some(connection), Some(name), Some(out)) => {
                shielded(code::FAIL, || connection.hooks().canon_user(name, flags, out))
            }
            _ => code::BADPARAM,
        }
    }
}

unsafe extern "C" fn auxprop_store(conn: *mut Conn, properties: *mut Propctx, user: *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        match Connection::of(conn) {
            Some(connection) => shielded(code::FAIL, || connection.hooks().store(properties, string(user))),
            None => code::BADPARAM,
        }
    }
}

/// Logs the text that the shim has formatted from the arguments of `log`.
#[no_mangle]
unsafe extern "C" fn asr_plugin_log(conn: *mut Conn, level: c_int, text: *const u8, length: usize) {
    // SAFETY: as above; the text is the shim's.
    let (connection, text) = unsafe { (Connection::of(conn), slice::from_raw_parts(text, length)) };
    if let Some(connection) = connection {
        shielded((), || connection.log(level, text));
    }
}

/// Keeps the text that the shim has formatted from the arguments of `seterror`.
#[no_mangle]
unsafe extern "C" fn asr_plugin_seterror(conn: *mut Conn, flags: c_uint, text: *const u8, length: usize) {
    // SAFETY: as above; the text is the shim's.
    let (connection, text) = unsafe { (Connection::of(conn), slice::from_raw_parts(text, length)) };
    if let Some(connection) = connection {
        shielded((), || connection.set_error(text, flags & flag::NOLOG == 0));
    }
}

/// The name of a code, cut to the size of the buffer, with a NUL.
#[no_mangle]
unsafe extern "C" fn asr_plugin_code_name(number: c_int, out: *mut u8, size: usize) {
    // SAFETY: the shim passes a buffer of that size.
    let out = unsafe { slice::from_raw_parts_mut(out, size) };
    let name = match number {
        code::CONTINUE => "SASL_CONTINUE",
        code::INTERACT => "SASL_INTERACT",
        number => Code::of(number).name(),
    };
    let length = name.len().min(size.saturating_sub(1));
    if let Some((text, end)) = out.split_at_mut_checked(length) {
        text.copy_from_slice(&name.as_bytes()[..length]);
        end.iter_mut().take(1).for_each(|end| *end = 0);
    }
}

//! The types of sasl.h, saslplug.h and prop.h, as a Cyrus plugin sees them. Field names are those of the
//! headers; a test compares sizes and offsets with the installed ones.
//!
//! A function pointer that may be null is an `Option`. Those in the tables of a plugin may all be null.

#![allow(missing_docs)] // the headers document them
#![allow(non_snake_case)]
#![allow(dead_code)] // the headers in full, including what we do not use
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The result of `work`, or `fallback` if it panics: no panic may leave a function that C calls.
pub fn shielded<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // The payload's own destructor may panic too.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        fallback
    })
}

/// `sasl_conn_t`: opaque to a plugin.
#[repr(C)]
pub struct Conn {
    _opaque: [u8; 0],
}

/// `sasl_rand_t`.
#[repr(C)]
pub struct Rand {
    _opaque: [u8; 0],
}

/// `struct propctx`.
#[repr(C)]
pub struct Propctx {
    _opaque: [u8; 0],
}

/// A function whose true type depends on a number beside it.
pub type Proc = Option<unsafe extern "C" fn() -> c_int>;

/// `sasl_getopt_t`.
pub type GetOpt =
    unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *mut *const c_char, *mut c_uint) -> c_int;
/// `sasl_getcallback_t`.
pub type GetCallback = unsafe extern "C" fn(*mut Conn, c_ulong, *mut Proc, *mut *mut c_void) -> c_int;
/// `sasl_log_t`, the proc of [`callback::LOG`].
pub type LogProc = unsafe extern "C" fn(*mut c_void, c_int, *const c_char) -> c_int;
/// `sasl_verifyfile_t`, the proc of [`callback::VERIFYFILE`].
pub type VerifyFile = unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> c_int;
/// `sasl_server_channel_binding_t`: the names of the mechanism and of the binding type.
pub type ServerChannelBinding = unsafe extern "C" fn(*mut Conn, *mut c_void, *const c_char, *const c_char) -> c_int;
/// `sasl_authorize_t`, the proc of [`callback::PROXY_POLICY`].
pub type Authorize = unsafe extern "C" fn(
    *mut Conn,
    *mut c_void,
    *const c_char,
    c_uint,
    *const c_char,
    c_uint,
    *const c_char,
    c_uint,
    *mut Propctx,
) -> c_int;

/// The codes in addition to those of [`authen_sasl_rust::error::Code`].
pub mod code {
    use std::ffi::c_int;

    pub const CONTINUE: c_int = 1;
    pub const INTERACT: c_int = 2;
    pub const OK: c_int = 0;
    pub const FAIL: c_int = -1;
    pub const NOMEM: c_int = -2;
    pub const BUFOVER: c_int = -3;
    pub const NOMECH: c_int = -4;
    pub const BADPROT: c_int = -5;
    pub const NOTDONE: c_int = -6;
    pub const BADPARAM: c_int = -7;
    pub const BADAUTH: c_int = -13;
    pub const NOUSER: c_int = -20;
    pub const BADVERS: c_int = -23;
    pub const UNAVAIL: c_int = -24;
}

/// `SASL_CB_*`.
pub mod callback {
    use std::ffi::c_ulong;

    pub const LIST_END: c_ulong = 0;
    pub const GETOPT: c_ulong = 1;
    pub const LOG: c_ulong = 2;
    pub const GETPATH: c_ulong = 3;
    pub const VERIFYFILE: c_ulong = 4;
    pub const GETCONFPATH: c_ulong = 5;
    pub const USER: c_ulong = 0x4001;
    pub const AUTHNAME: c_ulong = 0x4002;
    pub const LANGUAGE: c_ulong = 0x4003;
    pub const PASS: c_ulong = 0x4004;
    pub const ECHOPROMPT: c_ulong = 0x4005;
    pub const NOECHOPROMPT: c_ulong = 0x4006;
    pub const CNONCE: c_ulong = 0x4007;
    pub const GETREALM: c_ulong = 0x4008;
    pub const PROXY_POLICY: c_ulong = 0x8001;
    pub const SERVER_USERDB_CHECKPASS: c_ulong = 0x8005;
    pub const SERVER_USERDB_SETPASS: c_ulong = 0x8006;
    pub const CANON_USER: c_ulong = 0x8007;
    /// From libsasl2 2.2 on; earlier ones pass it on too.
    pub const SERVER_CHANNEL_BINDING: c_ulong = 0x8008;
}

/// The properties of a connection, by the numbers of `sasl_getprop`.
pub mod property {
    use std::ffi::c_int;

    pub const USERNAME: c_int = 0;
    pub const SSF: c_int = 1;
    pub const MAXOUTBUF: c_int = 2;
    pub const DEFUSERREALM: c_int = 3;
    pub const GETOPTCTX: c_int = 4;
    pub const CALLBACK: c_int = 7;
    pub const IPLOCALPORT: c_int = 8;
    pub const IPREMOTEPORT: c_int = 9;
    pub const PLUGERR: c_int = 10;
    pub const DELEGATEDCREDS: c_int = 11;
    pub const SERVICE: c_int = 12;
    pub const SERVERFQDN: c_int = 13;
    pub const AUTHSOURCE: c_int = 14;
    pub const MECHNAME: c_int = 15;
    pub const AUTHUSER: c_int = 16;
    pub const APPNAME: c_int = 17;
    pub const GSS_CREDS: c_int = 18;
    pub const GSS_PEER_NAME: c_int = 19;
    pub const GSS_LOCAL_NAME: c_int = 20;
    pub const CHANNEL_BINDING: c_int = 21;
    pub const HTTP_REQUEST: c_int = 22;
    pub const SSF_EXTERNAL: c_int = 100;
    pub const SEC_PROPS: c_int = 101;
    pub const AUTH_EXTERNAL: c_int = 102;
}

/// `SASL_CU_*` and `SASL_AUXPROP_*`.
pub mod flag {
    use std::ffi::c_uint;

    pub const CU_AUTHID: c_uint = 0x01;
    pub const CU_AUTHZID: c_uint = 0x02;
    pub const CU_EXTERNALLY_VERIFIED: c_uint = 0x04;
    pub const CU_OVERRIDE: c_uint = 0x08;
    pub const CU_ASIS_MASK: c_uint = 0xfff0;
    pub const AUXPROP_OVERRIDE: c_uint = 0x01;
    pub const AUXPROP_AUTHZID: c_uint = 0x02;
    pub const AUXPROP_VERIFY_AGAINST_HASH: c_uint = 0x10;
    /// Of `sasl_seterror`: do not log it too.
    pub const NOLOG: c_uint = 0x01;
}

/// `SASL_FEAT_*`.
pub mod feature {
    use std::ffi::c_uint;

    pub const NEEDS_SERVER_FQDN: c_uint = 0x0001;
    pub const WANT_CLIENT_FIRST: c_uint = 0x0002;
    pub const SERVER_FIRST: c_uint = 0x0010;
    pub const ALLOWS_PROXY: c_uint = 0x0020;
    pub const DONTUSE_USERPASSWD: c_uint = 0x0080;
    pub const CHANNEL_BINDING: c_uint = 0x0800;
}

/// `SASL_CB_DISP_*`: how a client uses channel binding.
pub mod disposition {
    use std::ffi::c_uint;

    pub const NONE: c_uint = 0;
    pub const WANT: c_uint = 1;
    pub const USED: c_uint = 2;
}

/// `SASL_SEC_*`, beside our own flags.
pub mod security {
    use std::ffi::c_uint;

    use authen_sasl_rust::contract::SecurityFlags;

    const FLAGS: [(c_uint, SecurityFlags); 7] = [
        (0x01, SecurityFlags::NOPLAINTEXT),
        (0x02, SecurityFlags::NOACTIVE),
        (0x04, SecurityFlags::NODICTIONARY),
        (0x08, SecurityFlags::FORWARD_SECRECY),
        (0x10, SecurityFlags::NOANONYMOUS),
        (0x20, SecurityFlags::PASS_CREDENTIALS),
        (0x40, SecurityFlags::MUTUAL_AUTH),
    ];

    /// Our flags for a plugin's.
    pub fn ours(flags: c_uint) -> SecurityFlags {
        let set = FLAGS.iter().filter(|(theirs, _)| flags & theirs != 0);
        set.fold(SecurityFlags::NONE, |all, (_, ours)| all.union(*ours))
    }

    /// A plugin's flags for ours.
    pub fn theirs(flags: SecurityFlags) -> c_uint {
        let set = FLAGS.iter().filter(|(_, ours)| flags.contains(*ours));
        set.fold(0, |all, (theirs, _)| all | theirs)
    }
}

/// `SASL_SET_*`, the flags of `setpass`.
pub mod set {
    use std::ffi::c_uint;

    pub const CREATE: c_uint = 0x01;
    pub const DISABLE: c_uint = 0x02;
    pub const NOPLAIN: c_uint = 0x04;
    pub const CURMECH_ONLY: c_uint = 0x08;
}

/// The versions of the four kinds of plugins.
pub mod version {
    use std::ffi::c_int;

    pub const UTILS: c_int = 4;
    pub const CLIENT: c_int = 4;
    pub const SERVER: c_int = 4;
    pub const CANONUSER: c_int = 5;
    pub const AUXPROP: c_int = 8;
}

/// `sasl_callback_t`.
#[repr(C)]
pub struct Callback {
    pub id: c_ulong,
    pub proc: Proc,
    pub context: *mut c_void,
}

/// `sasl_interact_t`.
#[repr(C)]
pub struct Interact {
    pub id: c_ulong,
    pub challenge: *const c_char,
    pub prompt: *const c_char,
    pub defresult: *const c_char,
    pub result: *const c_void,
    pub len: c_uint,
}

/// `sasl_secret_t`; the data continues after it.
#[repr(C)]
pub struct SaslSecret {
    pub len: c_ulong,
    pub data: [u8; 1],
}

/// `sasl_security_properties_t`.
#[repr(C)]
pub struct SecurityProperties {
    pub min_ssf: c_uint,
    pub max_ssf: c_uint,
    pub maxbufsize: c_uint,
    pub security_flags: c_uint,
    pub property_names: *const *const c_char,
    pub property_values: *const *const c_char,
}

/// `sasl_channel_binding_t`.
#[repr(C)]
pub struct Binding {
    pub name: *const c_char,
    pub critical: c_int,
    pub len: c_ulong,
    pub data: *const u8,
}

/// `sasl_http_request_t`.
#[repr(C)]
pub struct HttpRequest {
    pub method: *const c_char,
    pub uri: *const c_char,
    pub entity: *const u8,
    pub elen: c_ulong,
    pub non_persist: c_uint,
}

/// `struct iovec`.
#[repr(C)]
pub struct Iovec {
    pub iov_base: *mut c_void,
    pub iov_len: usize,
}

/// `struct propval`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Propval {
    pub name: *const c_char,
    pub values: *mut *const c_char,
    pub nvalues: c_uint,
    pub valsize: c_uint,
}

/// `MD5_CTX`, which a plugin allocates. Since Debian 13 it is OpenSSL's, with other names and a number after the buffer.
#[repr(C)]
pub struct Md5Context {
    pub state: [u32; 4],
    pub count: [u32; 2],
    pub buffer: [u8; 64],
}

/// `HMAC_MD5_CTX`, likewise. With OpenSSL's contexts it is longer, and `octx`, which no plugin touches, has a greater offset.
#[repr(C)]
pub struct HmacMd5Context {
    pub ictx: Md5Context,
    pub octx: Md5Context,
}

/// `HMAC_MD5_STATE`, likewise.
#[repr(C)]
pub struct HmacMd5State {
    pub istate: [u32; 4],
    pub ostate: [u32; 4],
}

/// A variadic `void (*)(sasl_conn_t *, level or flags, const char *format, ...)`.
pub type LogFormat = unsafe extern "C" fn(*mut Conn, c_int, *const c_char, ...);
/// See [`LogFormat`].
pub type ErrorFormat = unsafe extern "C" fn(*mut Conn, c_uint, *const c_char, ...);

/// `sasl_utils_t`.
#[repr(C)]
pub struct Utils {
    pub version: c_int,
    pub conn: *mut Conn,
    pub rpool: *mut Rand,
    pub getopt_context: *mut c_void,
    pub getopt: GetOpt,
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void),
    pub mutex_alloc: unsafe extern "C" fn() -> *mut c_void,
    pub mutex_lock: unsafe extern "C" fn(*mut c_void) -> c_int,
    pub mutex_unlock: unsafe extern "C" fn(*mut c_void) -> c_int,
    pub mutex_free: unsafe extern "C" fn(*mut c_void),
    pub MD5Init: unsafe extern "C" fn(*mut Md5Context) -> c_int,
    pub MD5Update: unsafe extern "C" fn(*mut Md5Context, *const u8, c_uint) -> c_int,
    pub MD5Final: unsafe extern "C" fn(*mut [u8; 16], *mut Md5Context) -> c_int,
    pub hmac_md5: unsafe extern "C" fn(*const u8, c_int, *const u8, c_int, *mut [u8; 16]),
    pub hmac_md5_init: unsafe extern "C" fn(*mut HmacMd5Context, *const u8, c_int),
    pub hmac_md5_final: unsafe extern "C" fn(*mut [u8; 16], *mut HmacMd5Context),
    pub hmac_md5_precalc: unsafe extern "C" fn(*mut HmacMd5State, *const u8, c_int),
    pub hmac_md5_import: unsafe extern "C" fn(*mut HmacMd5Context, *mut HmacMd5State),
    pub mkchal: unsafe extern "C" fn(*mut Conn, *mut c_char, c_uint, c_uint) -> c_int,
    pub utf8verify: unsafe extern "C" fn(*const c_char, c_uint) -> c_int,
    pub rand: unsafe extern "C" fn(*mut Rand, *mut c_char, c_uint),
    pub churn: unsafe extern "C" fn(*mut Rand, *const c_char, c_uint),
    pub checkpass: unsafe extern "C" fn(*mut Conn, *const c_char, c_uint, *const c_char, c_uint) -> c_int,
    pub decode64: unsafe extern "C" fn(*const c_char, c_uint, *mut c_char, c_uint, *mut c_uint) -> c_int,
    pub encode64: unsafe extern "C" fn(*const c_char, c_uint, *mut c_char, c_uint, *mut c_uint) -> c_int,
    pub erasebuffer: unsafe extern "C" fn(*mut c_char, c_uint),
    pub getprop: unsafe extern "C" fn(*mut Conn, c_int, *mut *const c_void) -> c_int,
    pub setprop: unsafe extern "C" fn(*mut Conn, c_int, *const c_void) -> c_int,
    pub getcallback: GetCallback,
    pub log: LogFormat,
    pub seterror: ErrorFormat,
    pub spare_fptr: Proc,
    pub prop_new: unsafe extern "C" fn(c_uint) -> *mut Propctx,
    pub prop_dup: unsafe extern "C" fn(*mut Propctx, *mut *mut Propctx) -> c_int,
    pub prop_request: unsafe extern "C" fn(*mut Propctx, *const *const c_char) -> c_int,
    pub prop_get: unsafe extern "C" fn(*mut Propctx) -> *const Propval,
    pub prop_getnames: unsafe extern "C" fn(*mut Propctx, *const *const c_char, *mut Propval) -> c_int,
    pub prop_clear: unsafe extern "C" fn(*mut Propctx, c_int),
    pub prop_dispose: unsafe extern "C" fn(*mut *mut Propctx),
    pub prop_format:
        unsafe extern "C" fn(*mut Propctx, *const c_char, c_int, *mut c_char, c_uint, *mut c_uint) -> c_int,
    pub prop_set: unsafe extern "C" fn(*mut Propctx, *const c_char, *const c_char, c_int) -> c_int,
    pub prop_setvals: unsafe extern "C" fn(*mut Propctx, *const c_char, *const *const c_char) -> c_int,
    pub prop_erase: unsafe extern "C" fn(*mut Propctx, *const c_char),
    pub auxprop_store: unsafe extern "C" fn(*mut Conn, *mut Propctx, *const c_char) -> c_int,
    pub spare_fptr1: Proc,
    pub spare_fptr2: Proc,
}

/// The `encode` that a mechanism leaves in its out-parameters.
pub type Encode = unsafe extern "C" fn(*mut c_void, *const Iovec, c_uint, *mut *const c_char, *mut c_uint) -> c_int;
/// The `decode` that a mechanism leaves in its out-parameters.
pub type Decode = unsafe extern "C" fn(*mut c_void, *const c_char, c_uint, *mut *const c_char, *mut c_uint) -> c_int;
/// `canon_user` of the parameters.
pub type CanonUser = unsafe extern "C" fn(*mut Conn, *const c_char, c_uint, c_uint, *mut OutParams) -> c_int;

/// `sasl_out_params_t`.
#[repr(C)]
pub struct OutParams {
    pub doneflag: c_uint,
    pub user: *const c_char,
    pub authid: *const c_char,
    pub ulen: c_uint,
    pub alen: c_uint,
    pub maxoutbuf: c_uint,
    pub mech_ssf: c_uint,
    pub encode_context: *mut c_void,
    pub encode: Option<Encode>,
    pub decode_context: *mut c_void,
    pub decode: Option<Decode>,
    pub client_creds: *mut c_void,
    pub gss_peer_name: *const c_void,
    pub gss_local_name: *const c_void,
    pub cbindingname: *const c_char,
    pub spare_fptr1: Proc,
    pub spare_fptr2: Proc,
    pub cbindingdisp: c_uint,
    pub spare_int2: c_int,
    pub spare_int3: c_int,
    pub spare_int4: c_int,
    pub param_version: c_int,
}

/// `sasl_client_params_t`.
#[repr(C)]
pub struct ClientParams {
    pub service: *const c_char,
    pub serverFQDN: *const c_char,
    pub clientFQDN: *const c_char,
    pub utils: *const Utils,
    pub prompt_supp: *const Callback,
    pub iplocalport: *const c_char,
    pub ipremoteport: *const c_char,
    pub servicelen: c_uint,
    pub slen: c_uint,
    pub clen: c_uint,
    pub iploclen: c_uint,
    pub ipremlen: c_uint,
    pub props: SecurityProperties,
    pub external_ssf: c_uint,
    pub gss_creds: *const c_void,
    pub cbinding: *const Binding,
    pub http_request: *const HttpRequest,
    pub spare_ptr4: *mut c_void,
    pub canon_user: Option<CanonUser>,
    pub spare_fptr1: Proc,
    pub cbindingdisp: c_uint,
    pub log_level: c_int,
    pub spare_int3: c_int,
    pub flags: c_uint,
    pub param_version: c_int,
}

/// `sasl_server_params_t`.
#[repr(C)]
pub struct ServerParams {
    pub service: *const c_char,
    pub appname: *const c_char,
    pub serverFQDN: *const c_char,
    pub user_realm: *const c_char,
    pub iplocalport: *const c_char,
    pub ipremoteport: *const c_char,
    pub servicelen: c_uint,
    pub applen: c_uint,
    pub slen: c_uint,
    pub urlen: c_uint,
    pub iploclen: c_uint,
    pub ipremlen: c_uint,
    pub log_level: c_int,
    pub utils: *const Utils,
    pub callbacks: *const Callback,
    pub props: SecurityProperties,
    pub external_ssf: c_uint,
    pub transition: Option<unsafe extern "C" fn(*mut Conn, *const c_char, c_uint) -> c_int>,
    pub canon_user: Option<CanonUser>,
    pub propctx: *mut Propctx,
    pub gss_creds: *const c_void,
    pub cbinding: *const Binding,
    pub http_request: *const HttpRequest,
    pub spare_ptr4: *mut c_void,
    pub spare_fptr1: Proc,
    pub spare_fptr2: Proc,
    pub spare_int1: c_int,
    pub spare_int2: c_int,
    pub spare_int3: c_int,
    pub flags: c_uint,
    pub param_version: c_int,
}

/// Frees what a plugin keeps, or a mechanism's context.
pub type Free = unsafe extern "C" fn(*mut c_void, *const Utils);

/// `sasl_client_plug_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ClientPlug {
    pub mech_name: *const c_char,
    pub max_ssf: c_uint,
    pub security_flags: c_uint,
    pub features: c_uint,
    pub required_prompts: *const c_ulong,
    pub glob_context: *mut c_void,
    pub mech_new: Option<unsafe extern "C" fn(*mut c_void, *mut ClientParams, *mut *mut c_void) -> c_int>,
    pub mech_step: Option<
        unsafe extern "C" fn(
            *mut c_void,
            *mut ClientParams,
            *const c_char,
            c_uint,
            *mut *mut Interact,
            *mut *const c_char,
            *mut c_uint,
            *mut OutParams,
        ) -> c_int,
    >,
    pub mech_dispose: Option<Free>,
    pub mech_free: Option<Free>,
    pub idle: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *mut ClientParams) -> c_int>,
    pub spare_fptr1: Proc,
    pub spare_fptr2: Proc,
}

/// `sasl_server_plug_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ServerPlug {
    pub mech_name: *const c_char,
    pub max_ssf: c_uint,
    pub security_flags: c_uint,
    pub features: c_uint,
    pub glob_context: *mut c_void,
    pub mech_new:
        Option<unsafe extern "C" fn(*mut c_void, *mut ServerParams, *const c_char, c_uint, *mut *mut c_void) -> c_int>,
    pub mech_step: Option<
        unsafe extern "C" fn(
            *mut c_void,
            *mut ServerParams,
            *const c_char,
            c_uint,
            *mut *const c_char,
            *mut c_uint,
            *mut OutParams,
        ) -> c_int,
    >,
    pub mech_dispose: Option<Free>,
    pub mech_free: Option<Free>,
    pub setpass: Option<
        unsafe extern "C" fn(
            *mut c_void,
            *mut ServerParams,
            *const c_char,
            *const c_char,
            c_uint,
            *const c_char,
            c_uint,
            c_uint,
        ) -> c_int,
    >,
    pub user_query:
        Option<unsafe extern "C" fn(*mut c_void, *mut ServerParams, *const c_char, c_int, *mut *const c_char) -> c_int>,
    pub idle: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *mut ServerParams) -> c_int>,
    pub mech_avail: Option<unsafe extern "C" fn(*mut c_void, *mut ServerParams, *mut *mut c_void) -> c_int>,
    pub spare_fptr2: Proc,
}

/// `sasl_canonuser_plug_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CanonuserPlug {
    pub features: c_int,
    pub spare_int1: c_int,
    pub glob_context: *mut c_void,
    pub name: *mut c_char,
    pub canon_user_free: Option<Free>,
    pub canon_user_server: Option<Canonicalize<ServerParams>>,
    pub canon_user_client: Option<Canonicalize<ClientParams>>,
    pub spare_fptr1: Proc,
    pub spare_fptr2: Proc,
    pub spare_fptr3: Proc,
}

/// `canon_user_server` and `canon_user_client`.
pub type Canonicalize<Params> = unsafe extern "C" fn(
    *mut c_void,
    *mut Params,
    *const c_char,
    c_uint,
    c_uint,
    *mut c_char,
    c_uint,
    *mut c_uint,
) -> c_int;

/// `sasl_auxprop_plug_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AuxpropPlug {
    pub features: c_int,
    pub spare_int1: c_int,
    pub glob_context: *mut c_void,
    pub auxprop_free: Option<Free>,
    pub auxprop_lookup:
        Option<unsafe extern "C" fn(*mut c_void, *mut ServerParams, c_uint, *const c_char, c_uint) -> c_int>,
    pub name: *mut c_char,
    pub auxprop_store:
        Option<unsafe extern "C" fn(*mut c_void, *mut ServerParams, *mut Propctx, *const c_char, c_uint) -> c_int>,
}

/// `sasl_client_plug_init_t` and `sasl_server_plug_init_t`.
pub type MechanismInit<Plug> =
    unsafe extern "C" fn(*const Utils, c_int, *mut c_int, *mut *mut Plug, *mut c_int) -> c_int;
/// `sasl_canonuser_init_t` and `sasl_auxprop_init_t`.
pub type Init<Plug> = unsafe extern "C" fn(*const Utils, c_int, *mut c_int, *mut *mut Plug, *const c_char) -> c_int;

#[cfg(test)]
mod tests {
    use std::mem::offset_of;
    use std::process::Command;

    use super::*;

    #[test]
    fn no_panic_leaves() {
        struct PanicsAgain;
        impl Drop for PanicsAgain {
            fn drop(&mut self) {
                panic!("in the payload's destructor");
            }
        }
        assert_eq!(shielded(1, || 2), 2);
        assert_eq!(shielded(1, || panic!("a defect")), 1);
        assert_eq!(shielded(1, || std::panic::panic_any(PanicsAgain)), 1);
    }

    /// For each of our types: the C statement that prints its size and offsets in the headers, and the line that is expected for
    /// our type.
    macro_rules! layouts {
        ($($rust:ident = $c:literal { $($field:ident)* })*) => {
            [$((
                concat!(
                    "printf(\"", $c, " %zu",
                    $(" ", stringify!($field), " %zu",)*
                    "\\n\", sizeof(", $c, ")",
                    $(", offsetof(", $c, ", ", stringify!($field), ")",)*
                    ");\n"
                ),
                {
                    let mut line = format!("{} {}", $c, size_of::<$rust>());
                    $(line += &format!(" {} {}", stringify!($field), offset_of!($rust, $field));)*
                    line + "\n"
                },
            )),*]
        };
    }

    /// The MD5 contexts of the header, in either generation, with our field names. OpenSSL's MD5_CTX has other field names and a
    /// number after our fields, so it may be longer.
    const MD5_FIELDS: &str = "
        #if defined OPENSSL_MD5_H || defined HEADER_MD5_H
        typedef struct { unsigned state[4], count[2]; unsigned char buffer[64]; } md5_fields;
        typedef struct { md5_fields ictx, octx; } hmac_fields;
        #define SAME(ours, theirs) _Static_assert(offsetof(md5_fields, ours) == offsetof(MD5_CTX, theirs), #ours)
        SAME(state, A);
        SAME(count, Nl);
        SAME(buffer, data);
        _Static_assert(sizeof(md5_fields) <= sizeof(MD5_CTX), \"a context has room for ours\");
        _Static_assert(sizeof(hmac_fields) <= sizeof(HMAC_MD5_CTX), \"two contexts have room for ours\");
        #else
        typedef MD5_CTX md5_fields;
        typedef HMAC_MD5_CTX hmac_fields;
        #endif
    ";

    /// In plain C, without any library; libsasl2-dev has the headers.
    #[test]
    fn layouts_of_the_headers() {
        let layouts = layouts! {
            Callback = "sasl_callback_t" { id proc context }
            Interact = "sasl_interact_t" { id challenge prompt defresult result len }
            SaslSecret = "sasl_secret_t" { len data }
            SecurityProperties = "sasl_security_properties_t" {
                min_ssf max_ssf maxbufsize security_flags property_names property_values
            }
            Binding = "sasl_channel_binding_t" { name critical len data }
            HttpRequest = "sasl_http_request_t" { method uri entity elen non_persist }
            Iovec = "struct iovec" { iov_base iov_len }
            Propval = "struct propval" { name values nvalues valsize }
            Md5Context = "md5_fields" { state count buffer }
            HmacMd5Context = "hmac_fields" { ictx octx }
            HmacMd5State = "HMAC_MD5_STATE" { istate ostate }
            Utils = "sasl_utils_t" {
                version conn rpool getopt_context getopt malloc calloc realloc free mutex_alloc mutex_lock
                mutex_unlock mutex_free MD5Init MD5Update MD5Final hmac_md5 hmac_md5_init hmac_md5_final
                hmac_md5_precalc hmac_md5_import mkchal utf8verify rand churn checkpass decode64 encode64
                erasebuffer getprop setprop getcallback log seterror spare_fptr prop_new prop_dup prop_request
                prop_get prop_getnames prop_clear prop_dispose prop_format prop_set prop_setvals prop_erase
                auxprop_store spare_fptr1 spare_fptr2
            }
            OutParams = "sasl_out_params_t" {
                doneflag user authid ulen alen maxoutbuf mech_ssf encode_context encode decode_context decode
                client_creds gss_peer_name gss_local_name cbindingname spare_fptr1 spare_fptr2 cbindingdisp
                spare_int2 spare_int3 spare_int4 param_version
            }
            ClientParams = "sasl_client_params_t" {
                service serverFQDN clientFQDN utils prompt_supp iplocalport ipremoteport servicelen slen clen
                iploclen ipremlen props external_ssf gss_creds cbinding http_request spare_ptr4 canon_user
                spare_fptr1 cbindingdisp log_level spare_int3 flags param_version
            }
            ServerParams = "sasl_server_params_t" {
                service appname serverFQDN user_realm iplocalport ipremoteport servicelen applen slen urlen
                iploclen ipremlen log_level utils callbacks props external_ssf transition canon_user propctx
                gss_creds cbinding http_request spare_ptr4 spare_fptr1 spare_fptr2 spare_int1 spare_int2
                spare_int3 flags param_version
            }
            ClientPlug = "sasl_client_plug_t" {
                mech_name max_ssf security_flags features required_prompts glob_context mech_new mech_step
                mech_dispose mech_free idle spare_fptr1 spare_fptr2
            }
            ServerPlug = "sasl_server_plug_t" {
                mech_name max_ssf security_flags features glob_context mech_new mech_step mech_dispose mech_free
                setpass user_query idle mech_avail spare_fptr2
            }
            CanonuserPlug = "sasl_canonuser_plug_t" {
                features spare_int1 glob_context name canon_user_free canon_user_server canon_user_client
                spare_fptr1 spare_fptr2 spare_fptr3
            }
            AuxpropPlug = "sasl_auxprop_plug_t" {
                features spare_int1 glob_context auxprop_free auxprop_lookup name auxprop_store
            }
        };
        let (calls, ours): (Vec<_>, Vec<_>) = layouts.into_iter().unzip();
        let folder = std::env::temp_dir().join(format!("asr-layouts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (source, program) = (folder.join("layouts.c"), folder.join("layouts"));
        let headers = ["stddef.h", "stdio.h", "sys/uio.h", "sasl/sasl.h", "sasl/saslplug.h", "sasl/prop.h"];
        let includes: String = headers.iter().map(|header| format!("#include <{header}>\n")).collect();
        let program_text = format!("{includes}{MD5_FIELDS}int main(void) {{\n{}return 0;\n}}\n", calls.concat());
        std::fs::write(&source, program_text).unwrap();
        let built = Command::new("cc").arg(&source).arg("-o").arg(&program).status().unwrap();
        let said = Command::new(&program).output();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(built.success(), "cc and the headers of libsasl2-dev are needed");
        assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), ours.concat());
    }
}

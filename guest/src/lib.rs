//! Our mechanisms as a plugin of Cyrus SASL's libsasl2, client and server: the other direction of the core's `plugin` module.
//!
//! libsasl2 opens `libsaslrust.so` and calls one of the two functions below. What it is told and what it does is in
//! saslplug.h and in the Plugin Programmer's Guide of Cyrus SASL; its types are those of
//! [`authen_sasl_rust::plugin::abi`].
//!
//! - `table`: which mechanisms, and what libsasl2 is told of them;
//! - `host`: the functions that libsasl2 lends;
//! - `exchange`: a session of the core with what libsasl2 keeps of it;
//! - `client`, `answers`: the steps of a client, and who answers for its user;
//! - `server`, `accounts`: the steps of a server, and its users;
//! - `layer`: encode and decode;
//! - `setpass`: SCRAM's verifiers in place of passwords.
//!
//! Rules, the same for each function that libsasl2 calls: no panic leaves it; nothing is locked and nothing is borrowed
//! while it calls libsasl2, which may call us again; what it hands out lives as long as the connection's context.
//! `docs/decisions/0012-guest.md` has the reasons.
#![allow(unsafe_code)]

mod accounts;
mod answers;
mod client;
mod exchange;
mod host;
mod layer;
mod server;
mod setpass;
mod table;

use std::ffi::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};

use authen_sasl_rust::error::Code;
use authen_sasl_rust::plugin::abi::{version, ClientPlug, ServerPlug, Utils};
use authen_sasl_rust::world::process_salt_key;

use host::Host;

/// The result of `work`, or of a panic in it `fallback`: a panic must not reach C.
fn shielded<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // The payload's own destructor may panic too.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        fallback
    })
}

/// What the two functions below do alike.
///
/// # Safety
/// As theirs.
unsafe fn introduce<Plug: 'static>(
    utils: *const Utils,
    most: c_int,
    ours: c_int,
    out: (*mut c_int, *mut *mut Plug, *mut c_int),
    plugs: impl FnOnce(Host) -> &'static [Plug],
) -> c_int {
    let (out_version, list, count) = out;
    // SAFETY: the caller's promise.
    let Some(host) = (unsafe { Host::of(utils) }) else { return Code::BadParam as c_int };
    if out_version.is_null() || list.is_null() || count.is_null() {
        return Code::BadParam as c_int;
    }
    if most < ours {
        host.log(&format!("saslrust: this libsasl2 knows version {most} of mechanisms, and {ours} is needed"));
        return Code::BadVers as c_int;
    }
    let plugs = plugs(host);
    if plugs.is_empty() {
        return Code::NoMech as c_int;
    }
    // SAFETY: they are not null, and libsasl2's to be written to; it reads the list alone.
    unsafe {
        *out_version = ours;
        *list = plugs.as_ptr().cast_mut();
        *count = plugs.len() as c_int;
    }
    Code::Ok as c_int
}

/// `sasl_client_plug_init_t`.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
#[no_mangle]
pub unsafe extern "C" fn sasl_client_plug_init(
    utils: *const Utils,
    max_version: c_int,
    out_version: *mut c_int,
    list: *mut *mut ClientPlug,
    count: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    shielded(Code::Fail as c_int, || unsafe {
        introduce(utils, max_version, version::CLIENT, (out_version, list, count), table::clients)
    })
}

/// `sasl_server_plug_init_t`.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
#[no_mangle]
pub unsafe extern "C" fn sasl_server_plug_init(
    utils: *const Utils,
    max_version: c_int,
    out_version: *mut c_int,
    list: *mut *mut ServerPlug,
    count: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    shielded(Code::Fail as c_int, || unsafe {
        // Before the application forks.
        process_salt_key();
        introduce(utils, max_version, version::SERVER, (out_version, list, count), table::servers)
    })
}

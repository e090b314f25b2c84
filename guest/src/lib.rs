//! Our mechanisms as a plugin for Cyrus SASL's libsasl2, client and server. `crates/cyrus-host` is the reverse: it hosts
//! libsasl2's plugins.
//!
//! libsasl2 opens `libsaslrust.so` and calls one of the two functions below. saslplug.h and Cyrus SASL's Plugin Programmer's
//! Guide describe the interface; its types are in [`saslplug`].
//!
//! Each file imports only files of lower floors; `xt/imports.t` checks that.
//!
//! | floor | files | what |
//! |---|---|---|
//! | 6 | `plugs.rs` | the tables of mechanisms that libsasl2 gets |
//! | 5 | `client.rs`, `server.rs`, `setpass.rs` | the functions of a mechanism |
//! | 4 | `connection.rs` | a mechanism's context: its exchange, its security layer, and what every step does |
//! | 3 | `exchange.rs`, `layer.rs`, `answers.rs`, `accounts.rs` | a session of the core; encode and decode; the user of a client; the users of a server |
//! | 2 | `pointers.rs` | what libsasl2 passes and takes |
//! | 1 | `host.rs`, `names.rs`, `offer.rs` | import nothing of ours: libsasl2's functions; names for error texts; the mechanisms that can be offered |
//!
//! Rules for each function that libsasl2 calls: it never panics; it holds no lock and no borrow while it calls libsasl2, which
//! may call us again; memory that it hands out lives as long as the connection's context. `docs/decisions/0012-guest.md` has
//! the reasons.
#![allow(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod accounts;
mod answers;
mod client;
mod connection;
mod exchange;
mod host;
mod layer;
mod names;
mod offer;
mod plugs;
mod pointers;
mod server;
mod setpass;

use std::ffi::c_int;

use authen_sasl_rust::error::Code;
use authen_sasl_rust::world::process_salt_key;
use saslplug::{shielded, version, ClientPlug, ServerPlug, Utils};

use host::Host;

/// What both functions below have in common.
///
/// # Safety
/// As theirs.
unsafe fn introduce<Plug: 'static>(
    utils: *const Utils,
    max_version: c_int,
    needed: c_int,
    out: (*mut c_int, *mut *mut Plug, *mut c_int),
    plugs: impl FnOnce(Host) -> &'static [Plug],
) -> c_int {
    let (out_version, list, count) = out;
    // SAFETY: the caller's promise.
    let Some(host) = (unsafe { Host::of(utils) }) else { return Code::BadParam as c_int };
    if out_version.is_null() || list.is_null() || count.is_null() {
        return Code::BadParam as c_int;
    }
    if max_version < needed {
        host.log(&format!("saslrust: this libsasl2 supports plugin version {max_version}; {needed} is needed"));
        return Code::BadVers as c_int;
    }
    let plugs = plugs(host);
    if plugs.is_empty() {
        return Code::NoMech as c_int;
    }
    // SAFETY: they are not null, and libsasl2 passes them to be written to; it only reads the list.
    unsafe {
        *out_version = needed;
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
        introduce(utils, max_version, version::CLIENT, (out_version, list, count), plugs::clients)
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
        introduce(utils, max_version, version::SERVER, (out_version, list, count), plugs::servers)
    })
}

//! The server's functions.

use std::ffi::{c_char, c_int, c_uint, c_void};

use authen_sasl_rust::contract::{Abilities, Side};
use authen_sasl_rust::error::{Code, Error, Refused};
use authen_sasl_rust::session::Outcome;
use authen_sasl_rust::wire::gs2::{Flag, Header};
use saslplug::{disposition, shielded, OutParams, ServerParams, Utils};

use crate::accounts::Users;
use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::host::Host;
use crate::names;
use crate::offer::Offer;
use crate::pointers::{self, text, Output, Params};

/// SCRAM's iterations for passwords: the same option as that of libsasl2's own SCRAM.
const ITERATIONS: &std::ffi::CStr = c"scram_iteration_counter";

/// What a server keeps besides the session.
pub struct ServerState {
    offer: *const Offer,
    started: bool,
    /// The flags of the identities that were canonicalized, see [`Users`].
    canonicalized: c_uint,
}

/// `mech_new` of a server.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_new(
    global: *mut c_void,
    params: *mut ServerParams,
    _challenge: *const c_char,
    _count: c_uint,
    context: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller's promise, for all that the parameters point to.
    shielded(Code::Fail as c_int, || unsafe {
        let (Some(offer), Some((params, host))) = (Offer::of(global), pointers::params(params)) else {
            return Code::BadParam as c_int;
        };
        Connection::start(host, offer, context, || exchange(offer, params, host))
    })
}

/// # Safety
/// As [`mech_new`].
unsafe fn exchange(offer: &Offer, params: &ServerParams, host: Host) -> Result<Exchange<ServerState>, Error> {
    let state = ServerState { offer, started: false, canonicalized: 0 };
    // SAFETY: the caller's promise.
    let mut exchange = unsafe { Exchange::new(Side::Server, offer, &params.common(), state) }?;
    let config = &mut exchange.session.config;
    config.abilities = Abilities::CREDENTIALS
        .union(Abilities::CHECK_PASSWORD)
        .union(Abilities::CHECK_TOKEN)
        .union(Abilities::AUTHORIZE);
    // SAFETY: likewise.
    let realm = unsafe { text(params.user_realm) };
    if !realm.is_empty() {
        config.set("realm", Some(&realm))?;
    } else if !config.host.is_empty() {
        let host = config.host.to_string();
        config.set("realm", Some(&host))?;
    }
    if offer.ignores_host() {
        config.host = "".into();
    }
    if let Some(count) = host.option(ITERATIONS) {
        // An unusable value is logged; logins do not fail because of it.
        if let Err(error) = config.set("iterations", Some(count.trim())) {
            host.log(&format!("saslrust: option scram_iteration_counter: {error}"));
        }
    }
    if offer.plus.is_some() {
        // SAFETY: likewise.
        unsafe { exchange.bind(params.cbinding, disposition::NONE) }?;
    }
    Ok(exchange)
}

/// The channel binding type that a client's first message names.
fn binding_type(first: &[u8]) -> Option<&str> {
    match Header::parse(std::str::from_utf8(first).ok()?).ok()?.0.flag {
        Flag::Bound(kind) => Some(kind),
        Flag::Unsupported | Flag::Unoffered => None,
    }
}

/// The program has one type of channel binding data at a time. If the client uses another one, the program may change it.
///
/// # Safety
/// As [`mech_step`].
unsafe fn request_binding(
    host: Host,
    exchange: &mut Exchange<ServerState>,
    params: *const ServerParams,
    first: Option<&[u8]>,
) -> Result<(), Error> {
    // SAFETY: an offer lives as long as the process.
    let offer = unsafe { &*exchange.own.offer };
    let Some(kind) = first.and_then(binding_type).filter(|_| offer.plus.is_some()) else { return Ok(()) };
    if exchange.session.config.binding(kind).is_none() && host.request_binding(offer.mechanism.name, kind) {
        // SAFETY: the caller's promise; libsasl2 has put the new data there.
        unsafe { exchange.bind((*params).cbinding, disposition::NONE) }?;
    }
    Ok(())
}

/// libsasl2 has one name for a mechanism with and without channel binding; the client's first message says which one it uses.
fn pick_plus(exchange: &mut Exchange<ServerState>, first: Option<&[u8]>) -> Result<(), Error> {
    // SAFETY: an offer lives as long as the process.
    let Some(plus) = (unsafe { &*exchange.own.offer }).plus else { return Ok(()) };
    let used = match first {
        Some([b'p', b'=', ..]) => disposition::USED,
        Some([b'y', ..]) => disposition::WANT,
        _ => disposition::NONE,
    };
    exchange.set_binding_use(used);
    if used == disposition::USED && exchange.session.config.binds() {
        exchange.session.pick(plus.name)?;
    }
    Ok(())
}

/// `mech_step` of a server.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_step(
    context: *mut c_void,
    params: *mut ServerParams,
    received: *const c_char,
    count: c_uint,
    text: *mut *const c_char,
    length: *mut c_uint,
    out: *mut OutParams,
) -> c_int {
    // SAFETY: the caller's promise, for all that the parameters point to.
    unsafe {
        let output = Output { text, length };
        Connection::<ServerState>::step(context, params, (received, count), output, out, |host, exchange, received| {
            let mut canonicalized = exchange.own.canonicalized;
            let mut users = Users::new(host, params, out, &mut canonicalized);
            let mut outcome = if exchange.own.started {
                exchange.run(|session, world| session.step(received.unwrap_or_default(), world))
            } else {
                match request_binding(host, exchange, params, received).and_then(|()| pick_plus(exchange, received)) {
                    Ok(()) => exchange.run(|session, world| session.start(received, world)),
                    Err(error) => exchange.session.abort(error),
                }
            };
            exchange.own.started = true;
            while outcome == Outcome::Ask {
                let Some(question) = exchange.session.question() else { return Err(Code::Fail as c_int) };
                outcome = match users.answer(question) {
                    Ok(answer) => exchange.run(|session, world| session.answer(answer, world)),
                    Err(Error::Refused(Refused::Unusable(fault))) => {
                        exchange.run(|session, world| session.answer_unusable(*fault, world))
                    }
                    Err(error) => exchange.session.abort(error),
                };
            }
            if matches!(outcome, Outcome::Send | Outcome::Absent) && exchange.session.is_success() {
                if let Err(failure) = users.set_names(exchange.session.identity()) {
                    host.set_error(&failure.named(names::of_libsasl2).to_string());
                    return Err(failure.code() as c_int);
                }
            }
            exchange.own.canonicalized = canonicalized;
            Ok(outcome)
        })
    }
}

/// `mech_dispose` of a server.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_dispose(context: *mut c_void, _utils: *const Utils) {
    shielded((), || {
        // SAFETY: the caller's promise.
        unsafe { Connection::<ServerState>::dispose(context) };
    });
}

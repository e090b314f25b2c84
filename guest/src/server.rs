//! The server's functions.

use std::ffi::{c_char, c_int, c_uint, c_void};

use authen_sasl_rust::contract::{Abilities, Side};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::plugin::abi::{disposition, OutParams, ServerParams, Utils};
use authen_sasl_rust::session::Outcome;

use crate::accounts::Users;
use crate::exchange::{input, text, Connection, Exchange, Facts, Output};
use crate::host::Host;
use crate::table::Offer;

/// SCRAM's iterations for passwords: the option that libsasl2's own SCRAM has.
const ITERATIONS: &std::ffi::CStr = c"scram_iteration_counter";

/// What a server needs beside the session.
pub struct Begun {
    offer: *const Offer,
    begun: bool,
    /// See [`Users`].
    named: c_uint,
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
    crate::shielded(Code::Fail as c_int, || unsafe {
        let (Some(offer), Some(params)) = (Offer::of(global), params.as_ref()) else { return Code::BadParam as c_int };
        let Some(host) = Host::of(params.utils).filter(|_| !context.is_null()) else { return Code::BadParam as c_int };
        Connection::begin(exchange(offer, params, host), offer, host, context)
    })
}

/// # Safety
/// As [`mech_new`].
unsafe fn exchange(offer: &Offer, params: &ServerParams, host: Host) -> Result<Exchange<Begun>, Error> {
    let facts = Facts {
        service: params.service,
        host: params.serverFQDN,
        local: params.iplocalport,
        remote: params.ipremoteport,
        limits: &params.props,
        external_ssf: params.external_ssf,
    };
    // SAFETY: the caller's promise.
    let mut exchange = unsafe { Exchange::new(Side::Server, offer, &facts, Begun { offer, begun: false, named: 0 }) }?;
    let config = &mut exchange.session.config;
    config.abilities =
        Abilities::CREDENTIALS.and(Abilities::CHECK_PASSWORD).and(Abilities::CHECK_TOKEN).and(Abilities::AUTHORIZE);
    // SAFETY: likewise.
    let realm = unsafe { text(params.user_realm) };
    if !realm.is_empty() {
        config.set("realm", Some(&realm))?;
    } else if !config.host.is_empty() {
        let host = config.host.to_string();
        config.set("realm", Some(&host))?;
    }
    if offer.mechanism.name == "DIGEST-MD5" {
        // Few programs tell libsasl2 the name that clients know them by; it takes the machine's, and holds no digest-uri against it.
        config.host = "".into();
    }
    if let Some(count) = host.option(ITERATIONS) {
        // What cannot be used is told, and no login fails for it.
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

/// libsasl2 has one name for a mechanism with and without channel binding: the client's first message says which it is.
fn choose(exchange: &mut Exchange<Begun>, first: Option<&[u8]>) -> Result<(), Error> {
    // SAFETY: an offer lives as long as the process.
    let Some(plus) = (unsafe { &*exchange.own.offer }).plus else { return Ok(()) };
    let made = match first {
        Some([b'p', b'=', ..]) => disposition::USED,
        Some([b'y', ..]) => disposition::WANT,
        _ => disposition::NONE,
    };
    exchange.binding_made(made);
    if made == disposition::USED && exchange.session.config.binds() {
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
    crate::shielded(Code::Fail as c_int, || unsafe {
        let connection = Connection::<Begun>::of(context);
        let (Some(connection), Some(shared)) = (connection, params.as_ref()) else { return Code::BadParam as c_int };
        let Some(host) = Host::of(shared.utils).filter(|_| !out.is_null()) else { return Code::BadParam as c_int };
        let received = input(received, count);
        connection.step(host, Output { text, length }, out, |exchange| {
            let name = exchange.session.mechanism().map_or("", |mechanism| mechanism.name);
            let mut named = exchange.own.named;
            let mut users = Users::new(host, params, out, name, &mut named);
            let mut outcome = if exchange.own.begun {
                exchange.run(|session, world| session.step(received.unwrap_or_default(), world))
            } else {
                match choose(exchange, received) {
                    Ok(()) => exchange.run(|session, world| session.start(received, world)),
                    Err(error) => exchange.session.abort(error),
                }
            };
            exchange.own.begun = true;
            while outcome == Outcome::Ask {
                let Some(question) = exchange.session.question() else { return Err(Code::Fail as c_int) };
                outcome = match users.answer(question) {
                    Ok(answer) => exchange.run(|session, world| session.answer(answer, world)),
                    Err(error) => exchange.session.abort(error),
                };
            }
            if matches!(outcome, Outcome::Send | Outcome::Absent) && exchange.session.is_success() {
                if let Err(failure) = users.name(exchange.session.identity()) {
                    host.set_error(&failure.to_string());
                    return Err(failure.code() as c_int);
                }
            }
            exchange.own.named = named;
            Ok(outcome)
        })
    })
}

/// `mech_dispose` of a server.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_dispose(context: *mut c_void, _utils: *const Utils) {
    crate::shielded((), || {
        // SAFETY: the caller's promise.
        unsafe { Connection::<Begun>::dispose(context) };
    });
}

//! The client's functions.

use std::ffi::{c_char, c_int, c_uint, c_void};

use authen_sasl_rust::contract::{Abilities, Side};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::plugin::abi::{disposition, ClientParams, Interact, OutParams, Utils};
use authen_sasl_rust::session::Outcome;

use crate::answers::{Asked, Reply, User};
use crate::exchange::{input, Connection, Exchange, Facts, Output, INTERACT};
use crate::host::Host;
use crate::table::Offer;

/// `mech_new` of a client.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_new(global: *mut c_void, params: *mut ClientParams, context: *mut *mut c_void) -> c_int {
    // SAFETY: the caller's promise, for all that the parameters point to.
    crate::shielded(Code::Fail as c_int, || unsafe {
        let (Some(offer), Some(params)) = (Offer::of(global), params.as_ref()) else { return Code::BadParam as c_int };
        let Some(host) = Host::of(params.utils).filter(|_| !context.is_null()) else { return Code::BadParam as c_int };
        Connection::begin(exchange(offer, params), offer, host, context)
    })
}

/// # Safety
/// As [`mech_new`].
unsafe fn exchange(offer: &Offer, params: &ClientParams) -> Result<Exchange<Asked>, Error> {
    let facts = Facts {
        service: params.service,
        host: params.serverFQDN,
        local: params.iplocalport,
        remote: params.ipremoteport,
        limits: &params.props,
        external_ssf: params.external_ssf,
    };
    // SAFETY: the caller's promise.
    let mut exchange = unsafe { Exchange::new(Side::Client, offer, &facts, Asked::default()) }?;
    // What cannot be answered is told when it is asked for; libsasl2 has looked at the prompts before.
    exchange.session.config.abilities =
        Abilities::AUTHCID.and(Abilities::AUTHZID).and(Abilities::PASSWORD).and(Abilities::TOKEN);
    if offer.plus.is_some() && params.cbindingdisp != disposition::NONE {
        // SAFETY: the caller's promise.
        unsafe { exchange.bind(params.cbinding, params.cbindingdisp) }?;
    }
    if let (disposition::USED, Some(plus)) = (params.cbindingdisp, offer.plus) {
        exchange.session.config.peer_offers_binding = true;
        exchange.session.pick(plus.name)?;
    }
    Ok(exchange)
}

/// `mech_step` of a client. It is called again with the same message when the user has answered.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_step(
    context: *mut c_void,
    params: *mut ClientParams,
    received: *const c_char,
    count: c_uint,
    prompts: *mut *mut Interact,
    text: *mut *const c_char,
    length: *mut c_uint,
    out: *mut OutParams,
) -> c_int {
    // SAFETY: the caller's promise, for all that the parameters point to.
    crate::shielded(Code::Fail as c_int, || unsafe {
        let connection = Connection::<Asked>::of(context);
        let (Some(connection), Some(shared)) = (connection, params.as_ref()) else { return Code::BadParam as c_int };
        let Some(host) = Host::of(shared.utils).filter(|_| !out.is_null()) else { return Code::BadParam as c_int };
        let received = input(received, count);
        connection.step(host, Output { text, length }, out, |exchange| {
            let user = User { host, params, out };
            let mut given = exchange.own.take(host, prompts);
            // What programs pass for a success that brings no data is null or empty; a refusal has an error object.
            let nothing = received.unwrap_or_default().is_empty();
            exchange.accepted =
                exchange.own.begun && nothing && exchange.sends_token() && exchange.session.is_success();
            let mut outcome = match (exchange.session.question(), received) {
                (Some(_), _) => Outcome::Ask,
                _ if exchange.accepted => Outcome::Absent,
                (None, Some(bytes)) => exchange.run(|session, world| session.step(bytes, world)),
                (None, None) if exchange.own.begun => exchange.run(|session, world| session.step(b"", world)),
                (None, None) => exchange.run(|session, world| session.start(None, world)),
            };
            exchange.own.begun = true;
            while outcome == Outcome::Ask {
                let Some(question) = exchange.session.question() else { return Err(Code::Fail as c_int) };
                let mechanism = exchange.session.mechanism();
                outcome = match user.answer(question, mechanism, &mut given) {
                    Reply::Answer(answer) => exchange.run(|session, world| session.answer(answer, world)),
                    Reply::Ask(wanted) => {
                        exchange.own.ask(host, wanted, prompts)?;
                        return Err(INTERACT);
                    }
                    Reply::Fail(error) => exchange.session.abort(error),
                };
            }
            Ok(outcome)
        })
    })
}

/// `mech_dispose` of a client.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_dispose(context: *mut c_void, utils: *const Utils) {
    // SAFETY: the caller's promise.
    crate::shielded((), || unsafe {
        let asked = Connection::<Asked>::dispose(context);
        if let (Some(mut asked), Some(host)) = (asked, Host::of(utils)) {
            asked.forget(host);
        }
    });
}

//! The client's functions.

use std::ffi::{c_char, c_int, c_uint, c_void};

use authen_sasl_rust::contract::{Abilities, Side};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::session::Outcome;
use saslplug::{code, disposition, shielded, ClientParams, Interact, OutParams, Utils};

use crate::answers::{Prompts, User, UserReply};
use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::host::Host;
use crate::offer::Offer;
use crate::pointers::{self, Output, Params};

/// `mech_new` of a client.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_new(global: *mut c_void, params: *mut ClientParams, context: *mut *mut c_void) -> c_int {
    // SAFETY: the caller's promise, for all that the parameters point to.
    shielded(Code::Fail as c_int, || unsafe {
        let (Some(offer), Some((params, host))) = (Offer::of(global), pointers::params(params)) else {
            return Code::BadParam as c_int;
        };
        Connection::start(host, offer, context, || exchange(offer, params))
    })
}

/// # Safety
/// As [`mech_new`].
unsafe fn exchange(offer: &Offer, params: &ClientParams) -> Result<Exchange<Prompts>, Error> {
    // SAFETY: the caller's promise.
    let mut exchange = unsafe { Exchange::new(Side::Client, offer, &params.common(), Prompts::default()) }?;
    // A question without an answer fails when it is asked; libsasl2 has already checked the required prompts.
    exchange.session.config.abilities =
        Abilities::AUTHCID.union(Abilities::AUTHZID).union(Abilities::PASSWORD).union(Abilities::TOKEN);
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

/// `mech_step` of a client. After prompts, libsasl2 calls it again with the same message and the user's answers.
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
    unsafe {
        let output = Output { text, length };
        Connection::<Prompts>::step(context, params, (received, count), output, out, |host, exchange, received| {
            let user = User { host, params, out };
            let mut given = exchange.own.take(host, prompts);
            // Programs pass null or an empty message for a success without data; a server that refuses the token sends an error object.
            let is_empty = received.unwrap_or_default().is_empty();
            exchange.accepted =
                exchange.own.started && is_empty && exchange.sends_token() && exchange.session.is_success();
            let mut outcome = match (exchange.session.question(), received) {
                (Some(_), _) => Outcome::Ask,
                _ if exchange.accepted => Outcome::Absent,
                (None, Some(bytes)) => exchange.run(|session, world| session.step(bytes, world)),
                (None, None) if exchange.own.started => exchange.run(|session, world| session.step(b"", world)),
                (None, None) => exchange.run(|session, world| session.start(None, world)),
            };
            exchange.own.started = true;
            while outcome == Outcome::Ask {
                let Some(question) = exchange.session.question() else { return Err(Code::Fail as c_int) };
                let mechanism = exchange.session.mechanism();
                outcome = match user.answer(question, mechanism.map(|one| one.description()), &mut given) {
                    UserReply::Answer(answer) => exchange.run(|session, world| session.answer(answer, world)),
                    UserReply::Ask(wanted) => {
                        exchange.own.ask(host, wanted, prompts)?;
                        return Err(code::INTERACT);
                    }
                    UserReply::Fail(error) => exchange.session.abort(error),
                };
            }
            Ok(outcome)
        })
    }
}

/// `mech_dispose` of a client.
///
/// # Safety
/// libsasl2 calls it, as saslplug.h says.
pub unsafe extern "C" fn mech_dispose(context: *mut c_void, utils: *const Utils) {
    // SAFETY: the caller's promise.
    shielded((), || unsafe {
        let prompts = Connection::<Prompts>::dispose(context);
        if let (Some(mut prompts), Some(host)) = (prompts, Host::of(utils)) {
            prompts.free(host);
        }
    });
}

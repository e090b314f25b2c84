//! The part of the C surface that chooses the mechanism; the rules are those of the crate.

use authen_sasl_kerberos::gssapi;
use authen_sasl_rust::contract::{Sent, Side};
use authen_sasl_rust::error::Error;
use authen_sasl_rust::mechanism::ALL;
use authen_sasl_rust::negotiate;

use super::handle::Handle;
use super::names;
use super::shielded::{shielded, DEFECT};
use super::slice::{Slice, NONE};

/// Chooses a mechanism of `list`. Gives null text on success, else the reason.
/// A server whose list has several has not picked one yet.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_negotiate(handle: *mut Handle, list: Slice) -> Slice {
    // SAFETY: the module's rules.
    let (handle, list) = unsafe { (&mut *handle, list.text().unwrap_or_default()) };
    handle.list = list.into();
    handle.stale = false;
    shielded(Slice::of(DEFECT.as_bytes()), || match choose(handle) {
        Ok(()) => NONE,
        Err(error) => {
            let (side, code) = (handle.session.side(), error.code().name());
            let text = format!("{side}: {} ({code})", error.named(names::of_connection));
            handle.lend(text)
        }
    })
}

pub(super) fn choose(handle: &mut Handle) -> Result<(), Error> {
    let Handle { session, list, .. } = handle;
    session.negotiate(list)?;
    let several = session.side() == Side::Server && negotiate::names(list).nth(1).is_some();
    if several && session.negotiation().usable(list).len() > 1 {
        session.unpick();
    }
    Ok(())
}

/// Picks one mechanism by name (a server's); gives 1 if it is one of the list.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_pick(handle: *mut Handle, name: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, name) = unsafe { (&mut *handle, name.text().unwrap_or_default()) };
    let picked = shielded(false, || negotiate::lists(&handle.list, &name) && handle.session.pick(&name).is_ok());
    handle.picked |= picked;
    i32::from(picked)
}

/// The mechanism's name, absent while none is chosen.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_mechanism(handle: *const Handle) -> Slice {
    shielded(NONE, || {
        // SAFETY: the module's rules.
        let session = unsafe { &(*handle).session };
        Slice::of_text(session.mechanism().map(|m| m.name))
    })
}

/// The rank of the mechanism, -1 while none is chosen.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_rank(handle: *const Handle) -> i32 {
    shielded(-1, || {
        // SAFETY: the module's rules.
        let session = unsafe { &(*handle).session };
        session.mechanism().map_or(-1, |m| i32::from(m.rank))
    })
}

/// The names of the mechanisms of `list` that this side may use, the strongest first; without a
/// handle, those of all that there are.
///
/// # Safety
/// The module's rules; `handle` may be null. The text is lent through `out` and freed by
/// [`asr_text_free`].
#[no_mangle]
pub unsafe extern "C" fn asr_usable(handle: *const Handle, out: *mut Slice) -> *mut String {
    // SAFETY: the module's rules.
    let handle = unsafe { handle.as_ref() };
    let names: Vec<&str> = shielded(Vec::new(), || match handle {
        None => {
            let kerberos = authen_sasl_kerberos::MECHANISMS.iter().filter(|_| gssapi::is_present());
            let mut names: Vec<&str> = ALL.iter().chain(kerberos).map(|m| m.name).collect();
            for (hosted, _) in super::plugins::default().plugins.iter().flat_map(|plugins| plugins.mechanisms()) {
                if !names.contains(&hosted.name()) {
                    names.push(hosted.name());
                }
            }
            names
        }
        Some(handle) => {
            let session = &handle.session;
            session.negotiation().usable(&handle.list).iter().map(|m| m.name).collect()
        }
    });
    let text = Box::new(names.join(" "));
    // SAFETY: the module's rules.
    unsafe { out.write(Slice::of(text.as_bytes())) };
    Box::into_raw(text)
}

/// Why each mechanism of the list may not be used, or its rank, as one text, which is lent.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_reasons(handle: *mut Handle) -> Slice {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    let text = shielded(String::new(), || {
        let negotiation = handle.session.negotiation();
        let clauses = negotiation.verdicts(&handle.list).map(|verdict| match verdict {
            Ok(mechanism) => format!("{}: usable, rank {}", mechanism.name, mechanism.rank),
            Err(rejected) => rejected.named(names::of_connection).to_string(),
        });
        clauses.collect::<Vec<_>>().join("; ")
    });
    handle.lend(text)
}

/// What may be shown of a message, lent: that of the client for a `from` of 0, of the server for 1, after `index` others of that
/// side. The text is empty if nothing may.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_outline(handle: *mut Handle, from: i32, index: u32, message: Slice) -> Slice {
    // SAFETY: the module's rules.
    let (handle, bytes) = unsafe { (&mut *handle, message.bytes().unwrap_or_default()) };
    let text = shielded(String::new(), || {
        let from = if from == 0 { Side::Client } else { Side::Server };
        let mechanism = handle.session.mechanism();
        let outline = mechanism.and_then(|mechanism| mechanism.outline(&Sent { from, index, bytes }));
        outline.map_or_else(String::new, |outline| outline.to_string())
    });
    handle.lend(text)
}

//! The C surface, which `Rust.xs` links; `ffi.h` beside this file declares it.
//!
//! Rules for every function: the handle is not null and not in use by another thread. Slices that are passed in are valid
//! for the call. Slices that are returned belong to the handle and are valid until the next call that changes it, so C
//! copies them immediately. No call runs Perl code. No panic reaches C (xt/surface.t checks each function): it becomes a
//! failure of the exchange, or a harmless value. The exchange is in this file, the other parts of the surface in the modules
//! below. Each file imports only files of lower floors:
//!
//! | floor | files | what |
//! |---|---|---|
//! | 5 | `choice.rs`, `cyrus.rs`, `otp.rs` | the mechanism is chosen; accounts of a Cyrus configuration; states of OTP |
//! | 4 | `accounts.rs`, `answers.rs`, `keys.rs`, `layer.rs`, `plugins.rs`, `properties.rs`, `saslprep.rs` | the other parts of the surface |
//! | 3 | `handle.rs` | what one Perl object owns |
//! | 2 | `slice.rs` | bytes and texts that cross the border |
//! | 1 | `names.rs`, `numbers.rs`, `shielded.rs` | names for error texts; the numbers of `ffi.h`; no panic reaches C |
#![allow(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod accounts;
mod answers;
mod choice;
mod cyrus;
mod handle;
mod keys;
mod layer;
mod names;
pub mod numbers;
mod otp;
mod plugins;
mod properties;
mod saslprep;
mod shielded;
mod slice;

use authen_sasl_rust::contract::{Abilities, Side, NAME_LIMIT};
use authen_sasl_rust::error::{Code, Error, Misuse};
use authen_sasl_rust::session::Session;
use authen_sasl_rust::world::process_salt_key;

use choice::choose;
pub use handle::Handle;
use numbers::abort_reason;
use shielded::{shielded, DEFECT};
use slice::{Slice, NONE};

/// The module was loaded: creates the data that threads and forks must share.
#[no_mangle]
pub extern "C" fn asr_loaded() {
    shielded((), || {
        process_salt_key();
    });
}

/// Creates a handle. `side` 0 is a client.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_new(side: i32, service: Slice, host: Slice, abilities: u32) -> *mut Handle {
    shielded(std::ptr::null_mut(), || {
        // SAFETY: the module's rules.
        let (service, host) = unsafe { (service.text(), host.text()) };
        let mut session = Session::new(if side == 0 { Side::Client } else { Side::Server }, plugins::registry());
        session.config.service = service.unwrap_or_default().into();
        session.config.host = host.unwrap_or_default().into();
        session.config.abilities = Abilities(abilities);
        Box::into_raw(Box::new(Handle::new(session)))
    })
}

/// Frees a handle.
///
/// # Safety
/// The module's rules; the handle is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_free(handle: *mut Handle) {
    // SAFETY: it came from Box::into_raw in asr_new.
    shielded((), || drop(unsafe { Box::from_raw(handle) }));
}

/// Begins an exchange.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_start(handle: *mut Handle, initial: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, initial) = unsafe { (&mut *handle, initial.bytes()) };
    if handle.stale && !handle.picked {
        handle.stale = false;
        if let Err(error) = shielded(Err(Error::System(DEFECT)), || choose(handle)) {
            handle.session.reset();
            return handle.session.abort(error) as i32;
        }
    }
    let list = &handle.list;
    if handle.session.side() == Side::Server {
        // A changed property may have changed the choice.
        shielded((), || handle.session.offer(list));
    }
    handle.run(|session, world| session.start(initial, world))
}

/// Takes the peer's next message.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_step(handle: *mut Handle, received: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, received) = unsafe { (&mut *handle, received.bytes().unwrap_or_default()) };
    handle.run(|session, world| session.step(received, world))
}

/// Reports a start or step that came while the answer of a callback is pending. Nothing else changes.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_busy(handle: *mut Handle) {
    shielded((), || {
        // SAFETY: the module's rules.
        unsafe { (*handle).notice = Some(Box::new(Error::Misuse(Misuse::Busy))) };
    });
}

/// Ends the exchange because the callback `name` did not answer. `kind` describes the callback or its result: `a string`,
/// `an array reference`.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_abort(handle: *mut Handle, why: i32, name: Slice, kind: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, name, kind) = unsafe { (&mut *handle, name.text(), kind.text().unwrap_or_default()) };
    let reason = match why {
        abort_reason::DIED => "died or was left without returning".into(),
        abort_reason::NOT_CALLABLE => {
            format!("is {kind}; a string, a code reference, or an array that begins with one was expected")
        }
        abort_reason::NO_CODE => format!("is {kind}; a code reference, or an array that begins with one was expected"),
        abort_reason::DROPPED => "neither called its continuation nor kept it".into(),
        abort_reason::REFERENCE => format!("returned {kind} where a plain value was expected"),
        abort_reason::TOO_LONG => format!("returned a name that is longer than {NAME_LIMIT} bytes"),
        _ => "kept its continuation to answer later, and server_start or server_step was given none".into(),
    };
    let text = format!("callback {} {reason}", name.unwrap_or_default());
    handle.run(|session, _| {
        answers::not_stored(session, text.clone())
            .unwrap_or_else(|| session.abort(Error::outside(Code::BadParam, text)))
    })
}

/// The peer has ended the exchange or disconnected.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_abandon(handle: *mut Handle) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.run(|session, _| session.abandon())
}

/// The message for the peer; absent where there is none.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_message(handle: *const Handle) -> Slice {
    shielded(NONE, || {
        // SAFETY: the module's rules.
        let session = unsafe { &(*handle).session };
        if session.message_absent() {
            NONE
        } else {
            Slice::of(session.message())
        }
    })
}

/// The message was copied and is no longer needed.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_sent(handle: *mut Handle) {
    shielded((), || {
        // SAFETY: the module's rules.
        unsafe { &mut *handle }.session.message_sent();
    });
}

/// The error text; absent if there is no error.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_error(handle: *mut Handle) -> Slice {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    shielded(Slice::of(DEFECT.as_bytes()), || {
        let broken = handle.broken();
        let text = match (handle.session.failure().or(broken.as_ref()), &handle.notice) {
            (Some(failure), _) => failure.named(names::of_connection).to_string(),
            (None, Some(error)) => format!("{} ({})", error.named(names::of_connection), error.code().name()),
            (None, None) => return NONE,
        };
        handle.lend(text)
    })
}

/// 0, or the negative SASL_* number.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_code(handle: *const Handle) -> i32 {
    shielded(Error::System(DEFECT).code() as i32, || {
        // SAFETY: the module's rules.
        let handle = unsafe { &*handle };
        handle.of_error(|error| error.code() as i32).unwrap_or(0)
    })
}

/// 1 if the peer was neither accepted nor refused ([`Error::is_unavailable`]).
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_unavailable(handle: *const Handle) -> i32 {
    shielded(1, || {
        // SAFETY: the module's rules.
        let handle = unsafe { &*handle };
        i32::from(handle.of_error(Error::is_unavailable).unwrap_or(false))
    })
}

/// Bit 0: the peer's next message is needed. Bit 1: this side has succeeded.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_status(handle: *const Handle) -> i32 {
    shielded(0, || {
        // SAFETY: the module's rules.
        let handle = unsafe { &*handle };
        let session = &handle.session;
        i32::from(session.need_step()) | i32::from(session.is_success() && handle.broken().is_none()) << 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use authen_sasl_rust::session::Outcome;

    #[test]
    fn a_panic_fails_the_exchange_and_goes_no_further() {
        // SAFETY: null slices, and a handle that is used by this thread alone.
        unsafe {
            let handle = asr_new(0, NONE, NONE, 0);
            assert_eq!(asr_unavailable(handle), 0);
            assert_eq!((*handle).run(|_, _| panic!("a defect")), Outcome::Failed as i32);
            assert_eq!(asr_unavailable(handle), 1);
            assert!(asr_error(handle).text().unwrap_or_default().contains("internal error"));
            assert_eq!(asr_status(handle), 0);
            asr_free(handle);
        }
    }
}

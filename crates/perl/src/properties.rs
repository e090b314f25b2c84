//! The part of the C surface that deals with options and properties; the rules are those of the crate.

use authen_sasl_rust::config::{nearest, ChannelBinding, Closeness, OPTIONS};
use authen_sasl_rust::contract::Abilities;
use authen_sasl_rust::error::Error;
use authen_sasl_rust::layer::lock;
use authen_sasl_rust::negotiate;

use super::handle::Handle;
use super::names;
use super::shielded::{shielded, DEFECT};
use super::slice::{Slice, NONE};

/// Sets the abilities of the application.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_set_abilities(handle: *mut Handle, abilities: u32) {
    shielded((), || {
        // SAFETY: the module's rules.
        let handle = unsafe { &mut *handle };
        handle.session.config.abilities = Abilities(abilities);
        handle.stale = true;
    });
}

/// Gives 1 if the core knows an option of that name.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_knows(name: Slice) -> i32 {
    // SAFETY: the module's rules.
    let name = unsafe { name.text().unwrap_or_default() };
    i32::from(shielded(false, || OPTIONS.contains(&name.as_str())))
}

/// The names of the core's options, separated by spaces. The text is lent through `out` and freed by [`super::slice::asr_text_free`].
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_option_names(out: *mut Slice) -> *mut String {
    let text = Box::new(shielded(String::new(), || OPTIONS.join(" ")));
    // SAFETY: the module's rules.
    unsafe { out.write(Slice::of(text.as_bytes())) };
    Box::into_raw(text)
}

/// The word of `names`, separated by spaces, that resembles `name`, as a part of `names`; absent if none does.
/// `own` is 1 where the name may be the caller's own.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_nearest(name: Slice, names: Slice, own: i32) -> Slice {
    // SAFETY: the module's rules.
    let (name, names) = unsafe { (name.text().unwrap_or_default(), names.bytes().unwrap_or_default()) };
    let closeness = if own == 0 { Closeness::Hint } else { Closeness::Mistyped };
    Slice::of_text(shielded(None, || {
        let names: Vec<&str> = std::str::from_utf8(names).unwrap_or_default().split(' ').collect();
        nearest(&name, &names, closeness)
    }))
}

/// Sets an option. Gives 1 if the core knows it, 0 if not, -1 for a wrong value, whose error text
/// is then lent through `error`.
///
/// # Safety
/// The module's rules; `error` is valid for writing.
#[no_mangle]
pub unsafe extern "C" fn asr_set(handle: *mut Handle, name: Slice, value: Slice, error: *mut Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, name, value) = unsafe { (&mut *handle, name.text().unwrap_or_default(), value.text()) };
    if !OPTIONS.contains(&name.as_str()) {
        return 0;
    }
    match shielded(Err(Error::System(DEFECT)), || handle.session.config.set(&name, value.as_deref())) {
        Ok(()) => {
            handle.stale = true;
            1
        }
        Err(e) => {
            let text = handle.lend(e.to_string());
            // SAFETY: the module's rules.
            unsafe { error.write(text) };
            -1
        }
    }
}

/// Adds channel binding data of the type `kind`. Gives null text on success, else the reason.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_bind(handle: *mut Handle, kind: Slice, data: Slice) -> Slice {
    shielded(Slice::of(DEFECT.as_bytes()), || {
        // SAFETY: the module's rules.
        let (handle, kind, data) = unsafe { (&mut *handle, kind.text().unwrap_or_default(), data.bytes()) };
        handle.stale = true;
        let binding = ChannelBinding { kind, data: data.unwrap_or_default().into() };
        match handle.session.config.set_binding(binding) {
            Ok(()) => NONE,
            Err(error) => handle.lend(error.to_string()),
        }
    })
}

/// Removes all channel binding data.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_unbind(handle: *mut Handle) {
    shielded((), || {
        // SAFETY: the module's rules.
        let handle = unsafe { &mut *handle };
        handle.stale = true;
        handle.session.config.forget_bindings();
    });
}

/// The strength of the TLS connection below, in bits, 0 for none; and whether this side has a certificate there.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_tls(handle: *mut Handle, bits: u32, certificate: i32) {
    shielded((), || {
        // SAFETY: the module's rules.
        let handle = unsafe { &mut *handle };
        handle.stale = true;
        handle.session.config.set_tls_ssf(bits);
        handle.session.config.set_tls_certificate(certificate != 0);
    });
}

/// Whether the connection is a Unix socket.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_unix_peer(handle: *mut Handle, is_one: i32) {
    shielded((), || {
        // SAFETY: the module's rules.
        let handle = unsafe { &mut *handle };
        handle.stale = true;
        handle.session.config.set_unix_peer(is_one != 0);
    });
}

/// Reads an option or property of the exchange; absent for an unknown or unset one.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_get(handle: *mut Handle, name: Slice) -> Slice {
    // SAFETY: the module's rules.
    let (handle, name) = unsafe { (&mut *handle, name.text().unwrap_or_default()) };
    let value = shielded(None, || handle.property(&name));
    match value {
        None => NONE,
        Some(text) => handle.lend(text),
    }
}

impl Handle {
    fn property(&mut self, name: &str) -> Option<String> {
        let session = &mut self.session;
        let identity = session.identity();
        match name {
            "authcid" | "authuser" => identity.authcid.as_deref().map(str::to_owned),
            "authzid" => identity.authzid.as_deref().map(str::to_owned),
            "user" => identity.authzid.as_deref().or(identity.authcid.as_deref()).map(str::to_owned),
            "claimed_user" => session.claimed_user().map(str::to_owned),
            "pending_error" => session.pending_failure().map(|failure| failure.named(names::of_connection).to_string()),
            "realm" => identity.realm.as_deref().map(str::to_owned).or_else(|| session.config.get("realm")),
            "mechname" => session.mechanism().map(|m| m.name.to_owned()),
            "mechanism" => session.mechanism().map(|m| negotiate::spelling(&self.list, m.name).to_owned()),
            "message_absent" => Some(u8::from(session.message_absent()).to_string()),
            "ssf" => {
                if session.is_success() {
                    Some(session.layer().map_or(0, |layer| lock(layer).limits().ssf).to_string())
                } else {
                    None
                }
            }
            "delegated" => session.is_success().then(|| u8::from(session.delegated()).to_string()),
            "upgraded" => session.is_success().then(|| u8::from(session.upgraded()).to_string()),
            "ht_token_index" => session.token_index().map(|index| index.to_string()),
            "maxout" => session.layer().map(|layer| lock(layer).limits().max_plaintext.to_string()),
            _ => session.config.get(name),
        }
    }
}

//! The part of the C surface that makes verifiers and remembers derived ones; the rules are those of the crate.

use std::sync::Arc;

use authen_sasl_rust::contract::{Abilities, Random, Side};
use authen_sasl_rust::crypto::hash::Hash;
use authen_sasl_rust::crypto::scram::parse_mechanism_name;
use authen_sasl_rust::error::{Application, Error};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::store::keys::KeyMemory;
use authen_sasl_rust::store::verifier::{self, Verifier, VerifierFormat};
use authen_sasl_rust::wire::client_keys::ClientKeys;
use authen_sasl_rust::world::OsRandom;

use super::handle::Handle;
use super::shielded::{shielded, DEFECT};
use super::slice::Slice;

/// Makes a verifier; 0 iterations are the usual ones. `mechanism` and `spelling` as in [`verifier::make_text`] and [`VerifierFormat::find`]. Gives 1 and the text, or 0
/// and the reason, lent through `out`.
///
/// # Safety
/// The module's rules; the text is freed by [`asr_text_free`].
#[no_mangle]
pub unsafe extern "C" fn asr_make_verifier(
    mechanism: Slice,
    password: Slice,
    salt: Slice,
    iterations: u32,
    spelling: Slice,
    out: *mut Slice,
    owner: *mut *mut String,
) -> i32 {
    // SAFETY: the module's rules.
    let (mechanism, password, salt, spelling) =
        unsafe { (mechanism.text(), password.text(), salt.bytes(), spelling.text()) };
    let password = Secret::from(password.unwrap_or_default());
    let made = shielded(Err(Error::System(DEFECT)), || {
        let spelling = VerifierFormat::find(&spelling.unwrap_or_default())
            .ok_or(Application::Option { name: "spelling", range: "rfc5803, postgresql, dovecot or gsasl" })?;
        let (mechanism, password) =
            (mechanism.as_deref().unwrap_or_default(), password.expose_str().unwrap_or_default());
        verifier::make_text(mechanism, password, salt, (iterations != 0).then_some(iterations), spelling)
    });
    // SAFETY: the module's rules.
    unsafe { give(made, out, owner) }
}

/// Gives 1 and a text, or 0 and the reason, lent through `out`.
///
/// # Safety
/// Both pointers are valid for writing; the text is freed by `asr_text_free`.
pub(super) unsafe fn give(made: Result<String, Error>, out: *mut Slice, owner: *mut *mut String) -> i32 {
    let (ok, text) = match made {
        Ok(text) => (1, text),
        Err(error) => (0, error.to_string()),
    };
    let text = Box::new(text);
    // SAFETY: by this function's contract.
    unsafe {
        out.write(Slice::of(text.as_bytes()));
        owner.write(Box::into_raw(text));
    }
    ok
}

fn hash_of(mechanism: Option<String>) -> Result<Hash, Error> {
    let found = parse_mechanism_name(&mechanism.unwrap_or_default().to_ascii_uppercase());
    let range = "the name of a SCRAM mechanism";
    found.map(|(hash, _)| hash).ok_or_else(|| Application::Option { name: "mechanism", range }.into())
}

/// The salted password of a password, in hexadecimal. As [`asr_make_verifier`].
///
/// # Safety
/// The module's rules; the text is freed by `asr_text_free`.
#[no_mangle]
pub unsafe extern "C" fn asr_salted_password(
    mechanism: Slice,
    password: Slice,
    salt: Slice,
    iterations: u32,
    out: *mut Slice,
    owner: *mut *mut String,
) -> i32 {
    // SAFETY: the module's rules.
    unsafe {
        let (mechanism, password, salt) = (mechanism.text(), password.text(), salt.bytes().unwrap_or_default());
        let password = Secret::from(password.unwrap_or_default());
        let made = shielded(Err(Error::System(DEFECT)), || {
            let text = password.expose_str().unwrap_or_default();
            verifier::salted_password(hash_of(mechanism)?, text, salt, iterations)
        });
        give(made.map(|salted| salted.expose().iter().map(|byte| format!("{byte:02x}")).collect()), out, owner)
    }
}

/// The verifier of a salted password. As [`asr_make_verifier`].
///
/// # Safety
/// The module's rules; the text is freed by `asr_text_free`.
#[no_mangle]
pub unsafe extern "C" fn asr_verifier_of_salted(
    mechanism: Slice,
    salted: Slice,
    salt: Slice,
    iterations: u32,
    out: *mut Slice,
    owner: *mut *mut String,
) -> i32 {
    // SAFETY: the module's rules.
    unsafe {
        let (mechanism, salt) = (mechanism.text(), salt.bytes().unwrap_or_default());
        let salted = Secret::new(salted.bytes().unwrap_or_default());
        let made = shielded(Err(Error::System(DEFECT)), || {
            Verifier::of_salted(hash_of(mechanism)?, &salted, salt, iterations)
        });
        give(made.map(|verifier| verifier.print(VerifierFormat::Rfc5803)), out, owner)
    }
}

/// Fills a buffer with random bytes. Gives 0 if the system has none.
///
/// # Safety
/// `out` is valid for writing `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn asr_random(out: *mut u8, length: usize) -> i32 {
    shielded(0, || {
        let mut bytes = vec![0; length];
        let filled = OsRandom.fill(&mut bytes).is_ok();
        // SAFETY: by this function's contract.
        unsafe { out.copy_from_nonoverlapping(bytes.as_ptr(), length) };
        i32::from(filled)
    })
}

/// The abilities of a client that has these SCRAM keys: one bit for each hash. If the text is malformed, all of them: the exchange
/// then reports what is wrong.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_key_abilities(keys: Slice) -> u32 {
    // SAFETY: the module's rules.
    let keys = unsafe { keys.bytes() }.unwrap_or_default();
    shielded(0, || match ClientKeys::parse(keys) {
        Ok(keys) => keys.iter().fold(0, |bits, keys| bits | Abilities::scram_keys(keys.hash).0),
        Err(_) => Hash::ALL.iter().fold(0, |bits, hash| bits | Abilities::scram_keys(*hash).0),
    })
}

/// True if the mechanism can use a memory of derived keys.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_wants_keys(handle: *const Handle) -> i32 {
    shielded(0, || {
        // SAFETY: the module's rules.
        let session = unsafe { &(*handle).session };
        i32::from(session.side() == Side::Client && session.mechanism().is_some_and(|m| m.derives_keys))
    })
}

/// Makes a memory of derived keys.
#[no_mangle]
pub extern "C" fn asr_keys_new() -> *const KeyMemory {
    shielded(std::ptr::null(), || Arc::into_raw(Arc::new(KeyMemory::default())))
}

/// Frees a memory of derived keys; handles that use it keep it alive.
///
/// # Safety
/// It came from [`asr_keys_new`], and is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_keys_free(keys: *const KeyMemory) {
    shielded((), || {
        // SAFETY: it came from Arc::into_raw.
        drop(unsafe { Arc::from_raw(keys) });
    });
}

/// Lets the handle use a memory of derived keys.
///
/// # Safety
/// The module's rules; `keys` came from [`asr_keys_new`].
#[no_mangle]
pub unsafe extern "C" fn asr_use_keys(handle: *mut Handle, keys: *const KeyMemory) {
    shielded((), || {
        // SAFETY: the count is raised before it is owned once more.
        let keys = unsafe {
            Arc::increment_strong_count(keys);
            Arc::from_raw(keys)
        };
        // SAFETY: the module's rules.
        unsafe { (*handle).keys = Some(keys) };
    });
}

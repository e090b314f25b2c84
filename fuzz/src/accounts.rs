//! Accounts of the C surface: names, passwords and verdicts.
#![allow(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use crate::input::Input;
use crate::surface::*;

/// Names of users; not all of them can be stored.
pub const NAMES: [&str; 8] = ["fred", "anna", "fr\u{ad}ed", "J\u{fc}rgen", "a b@c", "eve:x", "", "#x"];
/// Passwords of users.
pub const PASSWORDS: [&str; 4] = ["pencil-Q7", "granite-K2", "p\u{e9}ncil-Q7", ""];

/// Borrows a path.
pub fn path_of(path: &Path) -> Slice {
    Slice::of(Some(path.as_os_str().as_bytes()))
}

/// Accounts that were made, or `None` with a reason that shows no secret.
pub fn made(make: impl FnOnce(*mut Slice, *mut *mut std::ffi::c_void) -> Accounts) -> Option<Accounts> {
    let (mut error, mut owner) = (NONE, ptr::null_mut());
    let accounts = make(&mut error, &mut owner);
    if accounts.is_null() {
        // SAFETY: the reason belongs to `owner`, which is freed afterwards.
        unsafe {
            check_text(&error.text().expect("a reason"));
            asr_text_free(owner);
        }
        return None;
    }
    Some(accounts)
}

/// One line for a log, without a password or a verifier.
pub fn check_text(text: &str) {
    assert!(!PASSWORDS[..3].iter().any(|secret| text.contains(secret)), "{text}");
    assert!(!text.contains("$4096:") && !text.contains('\n'), "{text:?}");
    assert!(text.ends_with(')') && text.len() < 2000, "{text}");
}

/// Checks that a verdict and the error text fit each other.
///
/// # Safety
/// The accounts are alive.
pub unsafe fn check_verdict(store: Accounts, verdict: i32) {
    // SAFETY: by this function's contract; the reason is copied at once.
    let error = unsafe { asr_accounts_error(store).text() };
    assert!((-1..=1).contains(&verdict));
    assert!(verdict != -1 || error.is_some(), "no reason");
    assert!(verdict != 1 || error.is_none(), "{error:?}");
    error.iter().for_each(|error| check_text(error));
}

/// One of the usual names, or any bytes.
pub fn name(input: &mut Input<'_>) -> Option<Vec<u8>> {
    match input.byte() {
        byte if byte < 128 => Some(NAMES[usize::from(byte) % NAMES.len()].into()),
        _ => input.optional().map(<[u8]>::to_vec),
    }
}

/// One of the usual passwords, or any bytes.
pub fn password(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() {
        byte if byte < 192 => PASSWORDS[usize::from(byte) % PASSWORDS.len()].into(),
        _ => input.string().to_vec(),
    }
}

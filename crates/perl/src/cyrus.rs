//! The part of the C surface that makes accounts of a Cyrus configuration; the rules are those of the crate.

use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::Arc;

use authen_sasl_accounts::conf::{self, Conf};
use authen_sasl_cyrus_host::{folders, journal, privileged, CyrusAccounts, Options};
use authen_sasl_rust::error::Error;

use super::accounts::{give, told, AccountsHandle};
use super::shielded::{shielded, DEFECT};
use super::slice::{Slice, NONE};

/// The accounts that options describe: names and values in turn, each followed by a NUL. `path` has the folders
/// of plugins, separated by colons; if it is absent, the environment's or the system's are used.
///
/// # Safety
/// The module's rules; those of [`give`].
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_cyrus(
    path: Slice,
    options: Slice,
    error: *mut Slice,
    owner: *mut *mut String,
) -> *mut AccountsHandle {
    // SAFETY: the module's rules.
    unsafe {
        let (path, options) = (path.text(), options.text().unwrap_or_default());
        let made = shielded(Err(Error::System(DEFECT)), || {
            let mut words = options.split_terminator('\0');
            let mut all = Options::default();
            while let (Some(name), Some(value)) = (words.next(), words.next()) {
                all.set(name, value)?;
            }
            let accounts = CyrusAccounts::new(&folders(path.as_deref()), all, Some(journal::log()))?;
            Ok(AccountsHandle::of(Arc::new(accounts)))
        });
        give(made, error, owner)
    }
}

/// The options of a service's configuration file, names and values in turn, each followed by a NUL, lent through `out` until `owner` is
/// freed. 1; 0 if there is no such file, -1 and the reason if it cannot be used.
///
/// # Safety
/// The module's rules; both pointers are valid for writing.
#[no_mangle]
pub unsafe extern "C" fn asr_configuration(service: Slice, out: *mut Slice, owner: *mut *mut String) -> i32 {
    // SAFETY: the module's rules.
    let service = unsafe { service.text().unwrap_or_default() };
    let found = shielded(Err(Error::System(DEFECT)), || Conf::find(&service, &conf::folders(privileged())));
    let (outcome, text) = match found {
        Ok(Some((_, conf))) => (1, conf.options().map(|(name, value)| format!("{name}\0{value}\0")).collect()),
        Ok(None) => (0, String::new()),
        Err(error) => (-1, told(&error)),
    };
    let text = Box::new(text);
    // SAFETY: the module's rules.
    unsafe {
        out.write(Slice::of(text.as_bytes()));
        owner.write(Box::into_raw(text));
    }
    outcome
}

/// The oldest log line that this thread's calls have left, with its level from 1 to 6; absent if there is none. It is lent until this is
/// called again in this thread.
///
/// # Safety
/// The module's rules; `level` is valid for writing.
#[no_mangle]
pub unsafe extern "C" fn asr_log_line(level: *mut c_int) -> Slice {
    thread_local! {
        static LENT: RefCell<String> = const { RefCell::new(String::new()) };
    }
    shielded(NONE, || {
        let Some((number, line)) = journal::take() else { return NONE };
        // SAFETY: by this function's contract.
        unsafe { level.write(number) };
        LENT.with_borrow_mut(|lent| {
            *lent = line;
            Slice::of(lent.as_bytes())
        })
    })
}

/// Forgets the log lines of this thread.
#[no_mangle]
pub extern "C" fn asr_log_forget() {
    shielded((), journal::forget);
}

//! The part of the C surface that makes accounts of a Cyrus configuration; the rules are those of the module above.

use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::Arc;

use crate::error::{Code, Error};
use crate::plugin::{folders, journal, privileged, CyrusAccounts, Options};
use crate::store::conf::{self, Conf};

use super::accounts::{give, AccountsHandle};
use super::{shielded, Slice, DEFECT, NONE};

/// Accounts of options: names and values in turn, a NUL behind each. `path` has the folders of plugins with colons between
/// them; absent, it is the environment's, or the system's.
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
            accounts(path.as_deref(), all)
        });
        give(made, error, owner)
    }
}

/// Accounts of the configuration file of a service.
///
/// # Safety
/// The module's rules; those of [`give`].
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_service(
    path: Slice,
    service: Slice,
    error: *mut Slice,
    owner: *mut *mut String,
) -> *mut AccountsHandle {
    // SAFETY: the module's rules.
    unsafe {
        let (path, service) = (path.text(), service.text().unwrap_or_default());
        let made = shielded(Err(Error::System(DEFECT)), || {
            let Some((_, conf)) = Conf::find(&service, &conf::folders(privileged()))? else {
                let reason = format!("there is no {service}.conf in the folders of Cyrus' configuration files");
                return Err(Error::outside(Code::ConfigErr, reason));
            };
            let mut all = Options::default();
            for (name, value) in conf.options() {
                all.set(name, value)?;
            }
            accounts(path.as_deref(), all)
        });
        give(made, error, owner)
    }
}

fn accounts(path: Option<&str>, options: Options) -> Result<AccountsHandle, Error> {
    let accounts = CyrusAccounts::new(&folders(path), options, Some(journal::log()))?;
    Ok(AccountsHandle::of(Arc::new(accounts)))
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

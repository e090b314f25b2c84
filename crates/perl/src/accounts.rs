//! The part of the C surface that deals with a server's accounts; the rules are those of the crate.

use std::sync::Arc;
use std::time::Duration;

use authen_sasl_accounts::saslauthd::Saslauthd;
use authen_sasl_accounts::users::{Expected, NewPassword, UsersFile};
use authen_sasl_rust::accounts::{Account, Accounts};
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::Abilities;
use authen_sasl_rust::error::{Application, Code, Error, Refused, Subject};
use authen_sasl_rust::secret::Secret;
use authen_sasl_rust::session::check::check;
use authen_sasl_rust::session::Outcome;
use authen_sasl_rust::store::otp;
use authen_sasl_rust::world::process_lookups;

use super::handle::Handle;
use super::numbers::expected_user;
use super::shielded::{shielded, DEFECT};
use super::slice::{Slice, NONE};

/// What one Perl object of accounts owns.
pub struct AccountsHandle {
    accounts: Arc<dyn Accounts>,
    /// The same, if they are a users' file: it can do more.
    users: Option<Arc<UsersFile>>,
    /// Why the last call failed; lent to C, like the list.
    error: Option<Box<str>>,
    list: Box<str>,
}

impl AccountsHandle {
    fn of_users(users: UsersFile) -> Self {
        let users = Arc::new(users);
        AccountsHandle { users: Some(users.clone()), ..AccountsHandle::of(users) }
    }

    /// Accounts that can be read, and perhaps written.
    pub(super) fn of(accounts: Arc<dyn Accounts>) -> Self {
        AccountsHandle { accounts, users: None, error: None, list: "".into() }
    }

    /// 1 for yes, 0 for no, -1 for an error, whose text is lent then. An unusable stored secret gives 0 and lends its reason: a
    /// program that dies for such a user, but not for an unknown one, reveals that the user exists.
    fn say(&mut self, work: impl FnOnce(&Self) -> Result<bool, Error>) -> i32 {
        let (outcome, error) = match shielded(Err(Error::System(DEFECT)), || work(self)) {
            Ok(verdict) => (i32::from(verdict), None),
            Err(Error::Refused(Refused::Unusable(fault))) => (0, Some(told(&fault))),
            Err(error) => (-1, Some(told(&error))),
        };
        self.error = error.map(Into::into);
        outcome
    }

    fn users(&self) -> Result<&UsersFile, Error> {
        let none = || Error::outside(Code::NoChange, "only a users' file can do that");
        self.users.as_deref().ok_or_else(none)
    }

    /// Sets or removes the password in a store that keeps it as a property.
    fn store(&self, name: &str, password: Option<&Secret>, expected: Expected) -> Result<bool, Error> {
        let (account, config) = (Account { authcid: name, authzid: None, realm: None }, Config::default());
        if expected != Expected::Either && self.accounts.abilities().contains(Abilities::CREDENTIALS) {
            let found = self.accounts.properties(&["*userPassword".into()], account, &config)?;
            let known = !found.get("*userPassword").is_empty();
            expected.check(known).map_err(|(code, what)| Error::outside(code, what))?;
        }
        self.accounts.store(account, &[("userPassword", password)], &config)?;
        Ok(true)
    }
}

pub(super) fn told(error: &Error) -> String {
    format!("{error} ({})", error.code().name())
}

/// Gives a handle, or null and the reason, lent through `error` until `owner` is freed.
///
/// # Safety
/// The module's rules; both pointers are valid for writing.
pub(super) unsafe fn give(
    made: Result<AccountsHandle, Error>,
    error: *mut Slice,
    owner: *mut *mut String,
) -> *mut AccountsHandle {
    match made {
        Ok(accounts) => Box::into_raw(Box::new(accounts)),
        Err(reason) => {
            let text = Box::new(told(&reason));
            // SAFETY: by this function's contract.
            unsafe {
                error.write(Slice::of(text.as_bytes()));
                owner.write(Box::into_raw(text));
            }
            std::ptr::null_mut()
        }
    }
}

/// A users' file.
///
/// # Safety
/// The module's rules; those of [`give`].
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_users(
    path: Slice,
    error: *mut Slice,
    owner: *mut *mut String,
) -> *mut AccountsHandle {
    // SAFETY: the module's rules.
    unsafe {
        let path = path.path();
        give(shielded(Err(Error::System(DEFECT)), || UsersFile::new(&path).map(AccountsHandle::of_users)), error, owner)
    }
}

/// The accounts of saslauthd, through its socket; the limit is in seconds.
///
/// # Safety
/// The module's rules; those of [`give`].
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_saslauthd(
    path: Slice,
    limit: f64,
    error: *mut Slice,
    owner: *mut *mut String,
) -> *mut AccountsHandle {
    let limit = Duration::try_from_secs_f64(limit).unwrap_or_default();
    // SAFETY: the module's rules.
    unsafe {
        let path = path.path();
        let made = shielded(Err(Error::System(DEFECT)), || {
            Saslauthd::new(&path, limit).map(|daemon| AccountsHandle::of(Arc::new(daemon)))
        });
        give(made, error, owner)
    }
}

/// Frees accounts; connections that use them keep them alive.
///
/// # Safety
/// The module's rules; the handle is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_free(accounts: *mut AccountsHandle) {
    // SAFETY: it came from Box::into_raw.
    shielded((), || drop(unsafe { Box::from_raw(accounts) }));
}

/// Lets a server use accounts; none for a null pointer.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_use_accounts(handle: *mut Handle, accounts: *const AccountsHandle) {
    shielded((), || {
        // SAFETY: the module's rules.
        let (handle, accounts) = unsafe { (&mut *handle, accounts.as_ref()) };
        handle.stale = true;
        handle.session.accounts = accounts.map(|accounts| accounts.accounts.clone());
    });
}

/// 1 if a server's accounts are unavailable now; that is its error then.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_lacks_accounts(handle: *mut Handle) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    let mut lacks = false;
    handle.run(|session, _| {
        lacks = session.fails_without_accounts();
        Outcome::Over
    });
    i32::from(lacks)
}

/// The value at `index` of a property of the user that logged in; absent after the last one.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_auxprop(handle: *const Handle, name: Slice, index: usize) -> Slice {
    shielded(NONE, || {
        // SAFETY: the module's rules.
        let (session, name) = unsafe { (&(*handle).session, name.text().unwrap_or_default()) };
        let value = session.properties().and_then(|properties| properties.get(&name).get(index));
        value.map_or(NONE, |value| Slice::of(value.expose()))
    })
}

/// The error of the last call, which returned -1, or 0 for an unusable stored secret. Absent if there was none.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_error(accounts: *const AccountsHandle) -> Slice {
    shielded(NONE, || {
        // SAFETY: the module's rules.
        let error = unsafe { &*accounts }.error.as_deref();
        error.map_or(NONE, |error| Slice::of(error.as_bytes()))
    })
}

/// Is this the user's password? 1, 0 or -1.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_check(
    accounts: *mut AccountsHandle,
    name: Slice,
    password: Slice,
    service: Slice,
    realm: Slice,
) -> i32 {
    // SAFETY: the module's rules.
    let (accounts, name, password, service, realm) =
        unsafe { (&mut *accounts, name.name(Subject::UserName), password.bytes(), service.text(), realm.text()) };
    accounts.say(|of| {
        let mut config = Config::default();
        config.set("service", service.as_deref())?;
        config.set("realm", realm.as_deref())?;
        let password = Secret::new(password.unwrap_or_default());
        check(&*of.accounts, &name?.unwrap_or_default(), &password, &config, process_lookups())
    })
}

/// Sets a password. `mechanisms` may be absent, `iterations` 0; `expected` is 0 for a new user, 1 for a known one,
/// 2 for either. 1 or -1.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_set(
    accounts: *mut AccountsHandle,
    name: Slice,
    password: Slice,
    mechanisms: Slice,
    iterations: u32,
    expected: i32,
) -> i32 {
    // SAFETY: the module's rules.
    let (accounts, name, password, mechanisms) =
        unsafe { (&mut *accounts, name.name(Subject::UserName), password.bytes(), mechanisms.text()) };
    let expected = match expected {
        expected_user::NEW => Expected::New,
        expected_user::KNOWN => Expected::Known,
        _ => Expected::Either,
    };
    accounts.say(|of| {
        let (name, password) = (name?.unwrap_or_default(), Secret::new(password.unwrap_or_default()));
        let Some(users) = &of.users else {
            if mechanisms.is_some() || iterations != 0 {
                let range = "a users' file, which alone has them";
                return Err(Application::Option { name: "mechanism and iterations", range }.into());
            }
            return of.store(&name, Some(&password), expected);
        };
        let iterations = (iterations != 0).then_some(iterations);
        let new = NewPassword { password: &password, mechanisms: mechanisms.as_deref(), iterations };
        users.set_password(&name, &new, expected).map(|()| true)
    })
}

/// Deletes a user, or its password. 1 or -1.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_delete(accounts: *mut AccountsHandle, name: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (accounts, name) = unsafe { (&mut *accounts, name.name(Subject::UserName)) };
    accounts.say(|of| {
        let name = name?.unwrap_or_default();
        match &of.users {
            Some(users) => users.delete(&name).map(|()| true),
            None => of.store(&name, None, Expected::Either),
        }
    })
}

/// Disables (1) or enables (0) a user. 1 or -1.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_disable(accounts: *mut AccountsHandle, name: Slice, disabled: i32) -> i32 {
    // SAFETY: the module's rules.
    let (accounts, name) = unsafe { (&mut *accounts, name.name(Subject::UserName)) };
    accounts.say(|of| of.users()?.disable(&name?.unwrap_or_default(), disabled != 0).map(|()| true))
}

/// Stores a user's state of OTP, or removes it if it is absent. 1 or -1.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_store_otp(accounts: *mut AccountsHandle, name: Slice, state: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (accounts, name, state) = unsafe { (&mut *accounts, name.name(Subject::UserName), state.bytes()) };
    accounts.say(|of| {
        let (name, state) = (name?.unwrap_or_default(), state.map(Secret::new));
        let account = Account { authcid: &name, authzid: None, realm: None };
        of.accounts.store(account, &[(otp::PROPERTY, state.as_ref())], &Config::default()).map(|()| true)
    })
}

/// All users: lines of a name, 0 or 1 for disabled, and pairs of mechanism and iterations, for OTP the number of passwords, with tabs
/// between. Absent for an error, which [`asr_accounts_error`] gives.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_accounts_list(accounts: *mut AccountsHandle) -> Slice {
    // SAFETY: the module's rules.
    let accounts = unsafe { &mut *accounts };
    let mut text = String::new();
    let listed = accounts.say(|of| {
        for user in of.users()?.users()?.list() {
            text += &format!("{}\t{}", user.name, u8::from(user.disabled));
            for (hash, iterations) in user.keys {
                text += &format!("\tSCRAM-{}\t{iterations}", hash.name());
            }
            if let Some(left) = user.otp {
                text += &format!("\tOTP\t{left}");
            }
            text.push('\n');
        }
        Ok(true)
    });
    if listed == 1 {
        accounts.list = text.into();
        Slice::of(accounts.list.as_bytes())
    } else {
        NONE
    }
}

//! The functions that a server's plugin calls during its step: for canonical names, passwords, and properties of users.
//! Each call becomes a question to the session, or goes to the accounts.

use std::cell::RefCell;
use std::ffi::{c_int, c_uint, CStr, CString};
use std::ptr;
use std::sync::Arc;

use authen_sasl_rust::accounts::Account;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Abilities, Answer, CredentialKind, Question};
use authen_sasl_rust::error::{Application, Error};
use authen_sasl_rust::secret::Secret;

use super::connection::Hooks;
use super::coroutine::SessionLink;
use super::names::{self, Names};
use super::propctx::{prop_dispose, prop_get, prop_new, prop_set, PASSWORD, VERIFIER};
use saslplug::{code, flag, OutParams, Propctx};

/// The data that the plugin's callbacks share with the exchange.
pub struct Shared {
    /// The link over which the session is asked.
    pub link: SessionLink,
    /// The kind of credential that the plugin needs when it looks up a password.
    kind: CredentialKind,
    names: Names,
    propctx: *mut Propctx,
    /// The name that was last canonicalized, and its canonical form.
    canonical: RefCell<Option<(String, String)>>,
    /// Why a callback failed, if a SASL code cannot express it.
    error: RefCell<Option<Error>>,
}

// SAFETY: an exchange and its callbacks are run by one thread at a time.
unsafe impl Send for Shared {}
// SAFETY: as above; the two that share it are never run at the same time.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it came from `prop_new`; the plugin's context and the connection with these hooks are gone.
        unsafe { prop_dispose(&mut self.propctx) };
    }
}

impl Shared {
    /// For one exchange of a mechanism that needs this kind of credential.
    pub fn new(kind: CredentialKind) -> Arc<Self> {
        // SAFETY: it makes a context of ours.
        let propctx = unsafe { prop_new(0) };
        let (link, names, canonical, error) = Default::default();
        Arc::new(Shared { link, kind, names, propctx, canonical, error })
    }

    /// The properties that the plugin has asked for, and their values.
    pub fn propctx(&self) -> *mut Propctx {
        self.propctx
    }

    /// Why a callback failed.
    pub fn take_error(&self) -> Option<Error> {
        self.error.take()
    }

    /// Asks the session.
    fn ask(&self, question: Question) -> Option<Answer> {
        self.link.ask(question)
    }

    fn wrong_answer(&self) -> c_int {
        self.error.replace(Some(Application::WrongAnswer.into()));
        code::FAIL
    }

    fn answered(&self) -> Abilities {
        self.link.with_setup(|setup| setup.answered()).unwrap_or(Abilities::NONE)
    }

    /// The canonical form of a name, from the application or the accounts, if one of them provides it.
    fn canonical(&self, name: &str) -> Result<String, c_int> {
        if let Some((_, canonical)) = self.canonical.borrow().as_ref().filter(|(given, _)| given == name) {
            return Ok(canonical.clone());
        }
        let mut canonical = name.to_owned();
        if self.answered().contains(Abilities::CANONICALIZE) {
            let question = Question::Canonicalize { authzid: false, name: canonical, realm: None };
            canonical = match self.ask(question) {
                Some(Answer::Text(Some(name))) => name,
                Some(Answer::Text(None)) => return Err(code::NOUSER),
                Some(_) => return Err(self.wrong_answer()),
                None => return Err(code::FAIL),
            };
        }
        self.canonical.replace(Some((name.to_owned(), canonical.clone())));
        Ok(canonical)
    }

    /// Looks up the properties that the plugin has requested with `prop_request`: with an authzid, those of the authorization identity;
    /// without one, those of the authentication identity, whose names begin with a star.
    fn look_up(&self, authcid: &str, authzid: Option<&str>, flags: c_uint) -> c_int {
        let mut wanted = self.wanted(authzid.is_none(), flags & flag::CU_OVERRIDE != 0);
        let (mut asked, mut found) = (false, false);
        let is = |name: &str, property: &CStr| name.as_bytes() == property.to_bytes();
        if wanted.iter().any(|name| is(name, PASSWORD)) && self.answered().contains(Abilities::CREDENTIALS) {
            asked = true;
            let question =
                Question::Credentials { kind: self.kind, authcid: authcid.to_owned(), authzid: None, realm: None };
            match self.ask(question) {
                Some(Answer::Credential(Some(secret))) => {
                    let verifier =
                        wanted.iter().any(|name| is(name, VERIFIER)) && secret.expose().starts_with(b"SCRAM-");
                    let name = if verifier { VERIFIER } else { PASSWORD };
                    found = self.set(name, &secret);
                    // The application knows both kinds, and has returned the one that fits the mechanism.
                    wanted.retain(|name| !is(name, VERIFIER));
                }
                Some(Answer::Credential(None)) => {}
                Some(_) => return self.wrong_answer(),
                None => return code::FAIL,
            }
            wanted.retain(|name| !is(name, PASSWORD));
        }
        if !wanted.is_empty() {
            let looked_up = self.link.with_setup(|setup| {
                let account = Account { authzid, ..account(authcid, setup.config) };
                setup.accounts.map(|accounts| accounts.properties(&wanted, account, setup.config))
            });
            match looked_up.flatten() {
                None => {}
                Some(Ok(properties)) => {
                    asked = true;
                    for name in &wanted {
                        let Ok(text) = CString::new(&**name) else { continue };
                        for value in properties.get(name) {
                            found |= self.set(&text, value);
                        }
                    }
                }
                Some(Err(error)) => {
                    let code = error.code() as c_int;
                    self.error.replace(Some(error));
                    return code;
                }
            }
        }
        if asked && !found && flags & flag::CU_EXTERNALLY_VERIFIED == 0 && authzid.is_none() {
            return code::NOUSER;
        }
        code::OK
    }

    /// The requested properties of one identity that have no value yet, or, with `again`, all of them.
    fn wanted(&self, of_authcid: bool, again: bool) -> Vec<Box<str>> {
        let mut names = Vec::new();
        // SAFETY: the context is ours; the list ends with a null name, and names end in a NUL.
        unsafe {
            let mut entry = prop_get(self.propctx);
            while !entry.is_null() && !(*entry).name.is_null() {
                let name = CStr::from_ptr((*entry).name).to_str().unwrap_or_default();
                if name.starts_with('*') == of_authcid && ((*entry).values.is_null() || again) {
                    names.push(name.into());
                }
                entry = entry.add(1);
            }
        }
        names
    }

    fn set(&self, name: &CStr, value: &Secret) -> bool {
        let bytes = value.expose();
        if bytes.is_empty() || bytes.contains(&0) {
            return false;
        }
        // SAFETY: the context is ours, and copies the value.
        let result = unsafe { prop_set(self.propctx, name.as_ptr(), bytes.as_ptr().cast(), bytes.len() as c_int) };
        result == code::OK
    }
}

/// The account of a name. A plugin with secrets of its own may append this server's realm, or else its host, to the name.
fn account<'a>(name: &'a str, config: &'a Config) -> Account<'a> {
    let home = config.realm().filter(|realm| !realm.is_empty()).unwrap_or(&config.host);
    let authcid =
        name.strip_suffix(home).filter(|_| !home.is_empty()).and_then(|name| name.strip_suffix('@')).unwrap_or(name);
    Account { authcid, authzid: None, realm: config.realm() }
}

/// The callbacks of a server's connection.
pub struct ServerHooks(pub Arc<Shared>);

impl Hooks for ServerHooks {
    fn check_password(&self, user: &[u8], password: &[u8]) -> c_int {
        let shared = &*self.0;
        if !shared.answered().intersects(Abilities::CHECK_PASSWORD.union(Abilities::CREDENTIALS)) {
            return code::NOMECH;
        }
        let Some(name) = names::trimmed(user).filter(|_| !password.is_empty()) else { return code::BADAUTH };
        let authcid = match shared.canonical(name) {
            Ok(name) => name,
            Err(code) => return code,
        };
        match shared.ask(Question::CheckPassword { authcid, authzid: None, password: Secret::new(password) }) {
            Some(Answer::Verdict(true)) => code::OK,
            Some(Answer::Verdict(false)) => code::BADAUTH,
            Some(_) => shared.wrong_answer(),
            None => code::FAIL,
        }
    }

    fn canon_user(&self, name: &[u8], flags: c_uint, out: &mut OutParams) -> c_int {
        let shared = &*self.0;
        let Some(name) = names::trimmed(name) else { return code::BADPROT };
        if flags & flag::CU_AUTHID == 0 {
            let authcid = shared.canonical.borrow().as_ref().map(|(_, canonical)| canonical.clone());
            return match shared.look_up(authcid.as_deref().unwrap_or(name), Some(name), flags) {
                code::OK => shared.names.leave(name, flag::CU_AUTHZID, out),
                refused => refused,
            };
        }
        let canonical = match shared.canonical(name) {
            Ok(canonical) => canonical,
            Err(code) => return code,
        };
        match shared.look_up(&canonical, None, flags) {
            code::OK => shared.names.leave(&canonical, flags, out),
            refused => refused,
        }
    }

    fn store(&self, properties: *mut Propctx, user: Option<&CStr>) -> c_int {
        let shared = &*self.0;
        let Some(user) = user.and_then(|user| user.to_str().ok()) else {
            let any = shared.link.with_setup(|setup| setup.accounts.is_some());
            return if any == Some(true) { code::OK } else { code::NOMECH };
        };
        let mut values: Vec<(String, Option<Secret>)> = Vec::new();
        // SAFETY: the plugin passes a context of ours; the list ends with a null name, and texts end in a NUL.
        unsafe {
            let mut entry = prop_get(properties);
            while !entry.is_null() && !(*entry).name.is_null() {
                let name = CStr::from_ptr((*entry).name).to_string_lossy().into_owned();
                let first = if (*entry).values.is_null() { ptr::null() } else { *(*entry).values };
                let value = (!first.is_null()).then(|| Secret::new(CStr::from_ptr(first).to_bytes()));
                values.push((name, value));
                entry = entry.add(1);
            }
        }
        let values: Vec<(&str, Option<&Secret>)> =
            values.iter().map(|(name, value)| (name.trim_start_matches('*'), value.as_ref())).collect();
        let stored = shared.link.with_setup(|setup| {
            // Without a realm and a host, nothing follows the @ that the plugin appends. (A client's name is not cut at an @.)
            let user = user.strip_suffix('@').unwrap_or(user);
            setup.accounts.map(|accounts| accounts.store(account(user, setup.config), &values, setup.config))
        });
        match stored.flatten() {
            None => code::NOMECH,
            Some(Ok(())) => code::OK,
            Some(Err(error)) => {
                let code = error.code() as c_int;
                shared.error.replace(Some(error));
                code
            }
        }
    }
}

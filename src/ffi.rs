//! The C surface that `Rust.xs` links; `ffi.h` beside this file is its other half.
//!
//! Rules, the same for every function: the handle is not null and not in use by another thread;
//! slices that come in are valid for the call; slices that go out belong to the handle and are valid
//! until the next call that changes it, so C copies at once. No call runs Perl code, and no panic
//! leaves: it becomes a failure of the exchange.
#![allow(unsafe_code)]

mod layer;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::{Arc, OnceLock};

use crate::config::{ChannelBinding, Config};
use crate::contract::{Abilities, Answer, Property, Question, Side, TokenVerdict, Values, World};
use crate::error::{Application, Code, Error, Failure, Misuse};
use crate::layer::lock;
use crate::mechanism;
use crate::negotiate;
use crate::secret::Secret;
use crate::session::{Outcome, Session};
use crate::store::keys::KeyMemory;
use crate::store::verifier::{self, Spelling};
use crate::world::{LookupMemory, OsRandom};

/// What one Perl object owns.
pub struct Handle {
    session: Session,
    /// The caller's list of mechanisms, for a second choice when a property has changed.
    list: Box<str>,
    stale: bool,
    /// The caller picked the mechanism itself: it stays.
    picked: bool,
    keys: Option<Arc<KeyMemory>>,
    /// Text lent to C.
    text: Box<str>,
    /// A misuse that is no failure of the exchange.
    notice: Option<Misuse>,
}

/// Bytes lent across the border; a null pointer is *absent*.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    ptr: *const u8,
    len: usize,
}

/// One value of a client's application.
#[repr(C)]
pub struct Value {
    property: u32,
    bytes: Slice,
}

/// A question, flattened; which fields count depends on `kind`.
#[repr(C)]
pub struct FlatQuestion {
    kind: i32,
    wanted: u32,
    name: Slice,
    authzid: Slice,
    secret: Slice,
    realm: Slice,
    host: Slice,
    port: Slice,
}

const NONE: Slice = Slice { ptr: ptr::null(), len: 0 };
const DEFECT: &str = "internal error: a defect of this library, please report it";

/// The result of `work`, or of a panic in it `fallback`: a panic must not reach C.
fn shielded<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // The payload's own destructor may panic too.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        fallback
    })
}

impl Slice {
    fn of(bytes: &[u8]) -> Slice {
        Slice { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    fn of_text(text: Option<&str>) -> Slice {
        text.map_or(NONE, |text| Slice::of(text.as_bytes()))
    }

    /// The bytes, `None` for a null pointer.
    ///
    /// # Safety
    /// The pointer is null or valid for `len` bytes for as long as the result is used.
    unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: by this function's contract.
        (!self.ptr.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }

    /// The bytes as text; what is not UTF-8 is replaced, since the boundary always encodes.
    ///
    /// # Safety
    /// As for [`Slice::bytes`].
    unsafe fn text(self) -> Option<String> {
        // SAFETY: by this function's contract.
        unsafe { self.bytes() }.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The bytes as a name: Perl's strings can hold what Unicode does not (surrogates), and replacing
    /// that would make one name of two.
    ///
    /// # Safety
    /// As for [`Slice::bytes`].
    unsafe fn name(self) -> Result<Option<String>, Error> {
        // SAFETY: by this function's contract.
        let Some(bytes) = (unsafe { self.bytes() }) else { return Ok(None) };
        String::from_utf8(bytes.to_vec())
            .map(Some)
            .map_err(|_| Application::Unusable { what: "name", reason: "is not valid UTF-8" }.into())
    }
}

static LOOKUPS: LookupMemory = LookupMemory::new();
static FAKE_SALT_KEY: OnceLock<Secret> = OnceLock::new();

/// Random once per process and its forks. Should the system have no randomness, nonces fail and
/// with them every exchange that would need this key.
fn fake_salt_key() -> &'static [u8] {
    FAKE_SALT_KEY
        .get_or_init(|| {
            let mut key = vec![0; 32];
            let _ = crate::contract::Random::fill(&mut OsRandom, &mut key);
            Secret::from(key)
        })
        .expose()
}

impl Handle {
    /// Runs `work` on the session with the world lent to it; a panic fails the exchange.
    fn run(&mut self, work: impl FnOnce(&mut Session, &mut World<'_>) -> Outcome) -> i32 {
        self.notice = None;
        let keys = self.keys.clone();
        let session = &mut self.session;
        let result = shielded(None, || {
            let mut random = OsRandom;
            let mut world = World {
                random: &mut random,
                keys: keys.as_deref().map(|k| k as _),
                fake_salt_key: fake_salt_key(),
                lookups: &LOOKUPS,
            };
            Some(work(session, &mut world))
        });
        let outcome = result.unwrap_or_else(|| {
            self.session.reset();
            self.session.abort(Error::System(DEFECT))
        });
        if outcome == Outcome::Busy {
            self.notice = Some(Misuse::Busy);
        }
        outcome as i32
    }

    fn lend(&mut self, text: String) -> Slice {
        self.text = text.into();
        Slice::of(self.text.as_bytes())
    }

    /// Why the security layer has ended, if it has.
    fn broken(&self) -> Option<Failure> {
        self.session.layer().and_then(|layer| lock(layer).failure())
    }

    fn property(&mut self, name: &str) -> Option<String> {
        let session = &mut self.session;
        let identity = session.identity();
        match name {
            "authcid" | "authuser" => identity.authcid.as_deref().map(str::to_owned),
            "authzid" => identity.authzid.as_deref().map(str::to_owned),
            "user" => identity.authzid.as_deref().or(identity.authcid.as_deref()).map(str::to_owned),
            "realm" => identity.realm.as_deref().map(str::to_owned).or_else(|| session.config.get("realm")),
            "mechname" => session.mechanism().map(|m| m.name.to_owned()),
            "message_absent" => Some(u8::from(session.message_absent()).to_string()),
            "ssf" => {
                if session.is_success() {
                    Some(session.layer().map_or(0, |layer| lock(layer).ssf()).to_string())
                } else {
                    None
                }
            }
            "delegated" => session.is_success().then(|| u8::from(session.delegated()).to_string()),
            "maxout" => session.layer().map(|layer| lock(layer).max_plaintext().to_string()),
            _ => session.config.get(name),
        }
    }
}

/// Makes a handle; `side` 0 is a client.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_new(side: i32, service: Slice, host: Slice, abilities: u32) -> *mut Handle {
    // SAFETY: the module's rules.
    let (service, host) = unsafe { (service.text(), host.text()) };
    let mut session = Session::new(if side == 0 { Side::Client } else { Side::Server });
    session.config.service = service.unwrap_or_default().into();
    session.config.host = host.unwrap_or_default().into();
    session.config.abilities = Abilities(abilities);
    Box::into_raw(Box::new(Handle {
        session,
        list: "".into(),
        stale: false,
        picked: false,
        keys: None,
        text: "".into(),
        notice: None,
    }))
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

/// Chooses a mechanism of `list`. Gives null text on success, else the reason.
/// A server whose list leaves several has none picked yet.
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
            let text = format!("{}: {error} ({})", handle.session.side(), error.code().name());
            handle.lend(text)
        }
    })
}

fn choose(handle: &mut Handle) -> Result<(), Error> {
    let Handle { session, list, .. } = handle;
    session.negotiate(list)?;
    let several = session.side() == Side::Server && negotiate::names(list).nth(1).is_some();
    if several && negotiate::usable(list, Side::Server, &session.config).len() > 1 {
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
    let picked = shielded(false, || {
        negotiate::names(&handle.list).any(|n| n.eq_ignore_ascii_case(&name)) && handle.session.pick(&name).is_ok()
    });
    handle.picked |= picked;
    i32::from(picked)
}

/// What the application can answer has changed.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_set_abilities(handle: *mut Handle, abilities: u32) {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.session.config.abilities = Abilities(abilities);
    handle.stale = true;
}

/// Gives 1 if the core knows an option of that name.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_knows(name: Slice) -> i32 {
    // SAFETY: the module's rules.
    let name = unsafe { name.text().unwrap_or_default() };
    i32::from(shielded(false, || Config::default().set(&name, None) == Ok(true)))
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
    match shielded(Err(Error::System(DEFECT)), || handle.session.config.set(&name, value.as_deref())) {
        Ok(known) => {
            handle.stale |= known;
            i32::from(known)
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
    // SAFETY: the module's rules.
    let (handle, kind, data) = unsafe { (&mut *handle, kind.text().unwrap_or_default(), data.bytes()) };
    handle.stale = true;
    let binding = ChannelBinding { kind, data: data.unwrap_or_default().into() };
    match handle.session.config.set_binding(binding) {
        Ok(()) => NONE,
        Err(error) => handle.lend(error.to_string()),
    }
}

/// Forgets all channel binding data.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_unbind(handle: *mut Handle) {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.stale = true;
    handle.session.config.forget_bindings();
}

/// The strength of the TLS connection below, in bits; 0 for none.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_tls_ssf(handle: *mut Handle, bits: u32) {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.stale = true;
    handle.session.config.set_tls_ssf(bits);
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

/// A start or step came while a callback owes an answer: reported, and nothing else changes.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_busy(handle: *mut Handle) {
    // SAFETY: the module's rules.
    unsafe { (*handle).notice = Some(Misuse::Busy) };
}

/// Ends the exchange because the application could not answer; `why` follows `callback NAME`.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_abort(handle: *mut Handle, why: i32) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    let error = Application::Callback(match why {
        0 => "a callback died or was left without returning",
        1 => "a callback is neither a string, nor a code reference, nor an array that begins with one",
        2 => "a callback neither called its continuation nor kept it",
        3 => "a callback gave a reference where a string was expected",
        4 => "getsecret gave a hash that is no stored key (mechanism, iterations, salt, stored_key, server_key)",
        _ => "a callback kept its continuation to answer later, and server_start or server_step was given none",
    });
    handle.run(|session, _| session.abort(error.into()))
}

/// The message for the peer; absent where there is none.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_message(handle: *const Handle) -> Slice {
    // SAFETY: the module's rules.
    let session = unsafe { &(*handle).session };
    if session.message_absent() {
        NONE
    } else {
        Slice::of(session.message())
    }
}

/// The message was copied and is not needed again.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_sent(handle: *mut Handle) {
    // SAFETY: the module's rules.
    unsafe { &mut *handle }.session.message_sent();
}

/// What went wrong; absent while all is well.
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
            (Some(failure), _) => failure.to_string(),
            (None, Some(misuse)) => format!("{misuse} (SASL_BADPARAM)"),
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
    // SAFETY: the module's rules.
    let handle = unsafe { &*handle };
    let broken = handle.broken();
    match (handle.session.failure().or(broken.as_ref()), &handle.notice) {
        (Some(failure), _) => failure.error.code() as i32,
        (None, Some(_)) => Code::BadParam as i32,
        (None, None) => 0,
    }
}

/// Bit 0: the peer's next message is needed. Bit 1: this side has succeeded.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_status(handle: *const Handle) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &*handle };
    let session = &handle.session;
    i32::from(session.need_step()) | i32::from(session.is_success() && handle.broken().is_none()) << 1
}

/// The mechanism's name, absent while none is chosen.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_mechanism(handle: *const Handle) -> Slice {
    // SAFETY: the module's rules.
    let session = unsafe { &(*handle).session };
    Slice::of_text(session.mechanism().map(|m| m.name))
}

/// The rank of the mechanism, -1 while none is chosen.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_rank(handle: *const Handle) -> i32 {
    // SAFETY: the module's rules.
    let session = unsafe { &(*handle).session };
    session.mechanism().map_or(-1, |m| i32::from(m.rank))
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
        None => mechanism::present().map(|m| m.name).collect(),
        Some(handle) => {
            let session = &handle.session;
            negotiate::usable(&handle.list, session.side(), &session.config).iter().map(|m| m.name).collect()
        }
    });
    let text = Box::new(names.join(" "));
    // SAFETY: the module's rules.
    unsafe { out.write(Slice::of(text.as_bytes())) };
    Box::into_raw(text)
}

/// Frees a text of [`asr_usable`] or [`asr_make_verifier`].
///
/// # Safety
/// The text came from there, and is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_text_free(text: *mut String) {
    // SAFETY: it came from Box::into_raw.
    drop(unsafe { Box::from_raw(text) });
}

/// Makes a stored key. `mechanism` and `spelling` as in [`verifier::make_text`] and [`Spelling::find`]. Gives 1 and the text, or 0
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
        let spelling = Spelling::find(&spelling.unwrap_or_default()).ok_or(Application::Option {
            name: "spelling",
            range: "postgresql, rfc5803, openldap, dovecot or gsasl",
        })?;
        let (mechanism, password) =
            (mechanism.as_deref().unwrap_or_default(), password.expose_str().unwrap_or_default());
        verifier::make_text(mechanism, password, salt, iterations, spelling)
    });
    let (ok, text) = match made {
        Ok(text) => (1, text),
        Err(error) => (0, error.to_string()),
    };
    let text = Box::new(text);
    // SAFETY: the module's rules.
    unsafe {
        out.write(Slice::of(text.as_bytes()));
        owner.write(Box::into_raw(text));
    }
    ok
}

/// The question that waits, flattened. Gives 0 if none does.
///
/// # Safety
/// The module's rules; `out` is valid for writing.
#[no_mangle]
pub unsafe extern "C" fn asr_question_get(handle: *const Handle, out: *mut FlatQuestion) -> i32 {
    // SAFETY: the module's rules.
    let session = unsafe { &(*handle).session };
    let Some(question) = session.question() else { return 0 };
    let mut flat = FlatQuestion {
        kind: 0,
        wanted: 0,
        name: NONE,
        authzid: NONE,
        secret: NONE,
        realm: NONE,
        host: NONE,
        port: NONE,
    };
    match question {
        Question::Values(properties) => {
            flat.kind = 1;
            flat.wanted = properties.iter().fold(0, |bits, p| bits | 1 << (*p as u8));
        }
        Question::Realm { offered } => {
            flat.kind = 2;
            flat.wanted = u32::try_from(offered.len()).unwrap_or(0);
        }
        Question::CheckPassword { authcid, authzid, password } => {
            flat.kind = 3;
            flat.name = Slice::of(authcid.as_bytes());
            flat.authzid = Slice::of_text(authzid.as_deref());
            flat.secret = Slice::of(password.expose());
            flat.realm = Slice::of_text(session.config.realm());
        }
        Question::Credentials { authcid, authzid, realm } => {
            flat.kind = 4;
            flat.name = Slice::of(authcid.as_bytes());
            flat.authzid = Slice::of_text(authzid.as_deref());
            flat.realm = Slice::of_text(realm.as_deref().or(session.config.realm()));
        }
        Question::Authorize { authcid, authzid, realm } => {
            flat.kind = 5;
            flat.name = Slice::of(authcid.as_bytes());
            flat.authzid = Slice::of(authzid.as_bytes());
            flat.realm = Slice::of_text(realm.as_deref());
        }
        Question::Token { token, user, host, port } => {
            flat.kind = 6;
            flat.name = Slice::of_text(user.as_deref());
            flat.secret = Slice::of(token.expose());
            flat.host = Slice::of_text(host.as_deref());
            flat.port = Slice::of_text(port.as_deref());
        }
        Question::Canonicalize { authzid, name, realm } => {
            flat.kind = 7;
            flat.wanted = u32::from(*authzid);
            flat.name = Slice::of(name.as_bytes());
            flat.realm = Slice::of_text(realm.as_deref());
        }
    }
    // SAFETY: the module's rules.
    unsafe { out.write(flat) };
    1
}

/// The realm at `index` of those that the waiting question offers.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_offered_realm(handle: *const Handle, index: u32) -> Slice {
    // SAFETY: the module's rules.
    match unsafe { &(*handle).session }.question() {
        Some(Question::Realm { offered }) => Slice::of_text(offered.get(index as usize).map(String::as_str)),
        _ => NONE,
    }
}

/// Answers the values of a client.
///
/// # Safety
/// The module's rules; `values` points to `count` of them.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_values(handle: *mut Handle, values: *const Value, count: usize) -> i32 {
    const PROPERTIES: [Property; 8] = [
        Property::Authcid,
        Property::Authzid,
        Property::Password,
        Property::Realm,
        Property::Token,
        Property::Host,
        Property::Port,
        Property::ServName,
    ];
    // SAFETY: the module's rules.
    let (handle, given) = unsafe { (&mut *handle, std::slice::from_raw_parts(values, count)) };
    let mut values = Values::default();
    for value in given {
        // SAFETY: the module's rules.
        if let (Some(property), Some(bytes)) = (PROPERTIES.get(value.property as usize), unsafe { value.bytes.bytes() })
        {
            values.push(*property, Secret::new(bytes));
        }
    }
    handle.run(|session, world| session.answer(Answer::Values(values), world))
}

/// Answers a realm or a canonical name; absent declines.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_text(handle: *mut Handle, text: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, text) = unsafe { (&mut *handle, text.name()) };
    handle.run(|session, world| match text {
        Ok(text) => session.answer(Answer::Text(text), world),
        Err(error) => session.abort(error),
    })
}

/// Answers yes or no.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_verdict(handle: *mut Handle, verdict: i32) -> i32 {
    // SAFETY: the module's rules.
    let handle = unsafe { &mut *handle };
    handle.run(|session, world| session.answer(Answer::Verdict(verdict != 0), world))
}

/// Answers a password or stored key; absent for an unknown user.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_credential(handle: *mut Handle, credential: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (handle, credential) = unsafe { (&mut *handle, credential.bytes().map(Secret::new)) };
    handle.run(|session, world| session.answer(Answer::Credential(credential), world))
}

/// Answers whose a token is; without an identity it is refused with the other three.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_answer_token(
    handle: *mut Handle,
    identity: Slice,
    status: Slice,
    scope: Slice,
    openid_configuration: Slice,
) -> i32 {
    // SAFETY: the module's rules.
    let (handle, identity, status, scope, openid_configuration) =
        unsafe { (&mut *handle, identity.name(), status.text(), scope.text(), openid_configuration.text()) };
    handle.run(|session, world| {
        let verdict = match identity {
            Err(error) => return session.abort(error),
            Ok(Some(authcid)) if !authcid.is_empty() => TokenVerdict::Accepted { authcid },
            Ok(_) => TokenVerdict::Rejected {
                status: status.unwrap_or_else(|| "invalid_token".into()),
                scope,
                openid_configuration,
            },
        };
        session.answer(Answer::Token(verdict), world)
    })
}

/// True if the mechanism would gain by a memory of derived keys.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_wants_keys(handle: *const Handle) -> i32 {
    // SAFETY: the module's rules.
    let session = unsafe { &(*handle).session };
    i32::from(session.side() == Side::Client && session.mechanism().is_some_and(|m| m.derives_keys))
}

/// Makes a memory of derived keys.
#[no_mangle]
pub extern "C" fn asr_keys_new() -> *const KeyMemory {
    Arc::into_raw(Arc::new(KeyMemory::default()))
}

/// Frees a memory of derived keys; handles that use it keep it alive.
///
/// # Safety
/// It came from [`asr_keys_new`], and is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_keys_free(keys: *const KeyMemory) {
    // SAFETY: it came from Arc::into_raw.
    drop(unsafe { Arc::from_raw(keys) });
}

/// Lets the handle use a memory of derived keys.
///
/// # Safety
/// The module's rules; `keys` came from [`asr_keys_new`].
#[no_mangle]
pub unsafe extern "C" fn asr_use_keys(handle: *mut Handle, keys: *const KeyMemory) {
    // SAFETY: the count is raised before it is owned once more.
    let keys = unsafe {
        Arc::increment_strong_count(keys);
        Arc::from_raw(keys)
    };
    // SAFETY: the module's rules.
    unsafe { (*handle).keys = Some(keys) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_fails_the_exchange_and_goes_no_further() {
        // SAFETY: null slices, and a handle that is used by this thread alone.
        unsafe {
            let handle = asr_new(0, NONE, NONE, 0);
            assert_eq!((*handle).run(|_, _| panic!("a defect")), Outcome::Failed as i32);
            assert!(asr_error(handle).text().unwrap_or_default().contains("internal error"));
            assert_eq!(asr_status(handle), 0);
            asr_free(handle);
        }
    }

    #[test]
    fn absent_is_not_empty() {
        // SAFETY: the slices are static or null.
        unsafe {
            assert_eq!(NONE.bytes(), None);
            assert_eq!(Slice::of(b"").bytes(), Some(&b""[..]));
        }
    }
}

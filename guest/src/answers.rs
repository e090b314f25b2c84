//! Who answers for a client's user: the application's callbacks, or where it has none but asks the user, prompts.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr, CString};
use std::mem::{size_of, transmute};
use std::ptr;
use std::slice;

use authen_sasl_rust::contract::{Answer, Description, Property, Question, SecurityFlags, Values};
use authen_sasl_rust::error::{Application, Code, Error};
use authen_sasl_rust::plugin::abi::{callback, code, flag, ClientParams, Conn, Interact, OutParams, Proc, SaslSecret};
use authen_sasl_rust::secret::Secret;

use crate::host::{c_text, Host};
use crate::pointers::{number, text};

/// `sasl_getsimple_t`.
type GetSimple = unsafe extern "C" fn(*mut c_void, c_int, *mut *const c_char, *mut c_uint) -> c_int;
/// `sasl_getsecret_t`.
type GetSecret = unsafe extern "C" fn(*mut Conn, *mut c_void, c_int, *mut *mut SaslSecret) -> c_int;
/// `sasl_getrealm_t`.
type GetRealm = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char, *mut *const c_char) -> c_int;

/// What a question has come to.
pub enum UserReply {
    /// An answer.
    Answer(Answer),
    /// The user is to be asked for these.
    Ask(Vec<Wanted>),
    /// There is no answer.
    Fail(Error),
}

/// A prompt to be.
pub struct Wanted {
    id: c_ulong,
    challenge: &'static CStr,
    prompt: CString,
    default: Option<CString>,
}

/// What a client keeps besides the session: the prompts that the application was given.
#[derive(Default)]
pub struct Prompts {
    /// The first step has been made.
    pub started: bool,
    list: Option<PromptList>,
}

/// The list is memory of libsasl2, since applications may treat it as such; its texts are ours.
struct PromptList {
    start: *mut Interact,
    _texts: Vec<Wanted>,
}

/// What the user has answered, by the number of the prompt.
pub type Given = Vec<(c_ulong, Option<Secret>)>;

impl Prompts {
    /// Takes the answers to the prompts, and the prompts back.
    ///
    /// # Safety
    /// The application has left the list as it was, but for results.
    pub unsafe fn take(&mut self, host: Host, prompts: *mut *mut Interact) -> Given {
        let Some(list) = &self.list else { return Vec::new() };
        // SAFETY: the caller's promise.
        let given = unsafe { results(list.start) };
        // SAFETY: libsasl2 passes a place for it, or null.
        unsafe {
            if !prompts.is_null() && *prompts == list.start {
                *prompts = ptr::null_mut();
            }
        }
        self.free(host);
        given
    }

    /// Makes the list of prompts.
    pub fn ask(&mut self, host: Host, wanted: Vec<Wanted>, prompts: *mut *mut Interact) -> Result<(), c_int> {
        if prompts.is_null() {
            host.set_error("the user must be asked, and the application gives no place for prompts");
            return Err(Code::BadParam as c_int);
        }
        let start: *mut Interact = host.allocate(wanted.len() + 1, size_of::<Interact>()).cast();
        if start.is_null() {
            return Err(Code::NoMem as c_int);
        }
        for (at, one) in wanted.iter().enumerate() {
            let default = one.default.as_ref().map_or(ptr::null(), |text| text.as_ptr());
            let (challenge, prompt) = (one.challenge.as_ptr(), one.prompt.as_ptr());
            let prompt = Interact { id: one.id, challenge, prompt, defresult: default, result: ptr::null(), len: 0 };
            // SAFETY: there is room for each and for the end, which is all zeros.
            unsafe { start.add(at).write(prompt) };
        }
        self.list = Some(PromptList { start, _texts: wanted });
        // SAFETY: it is not null, and libsasl2's to be written to.
        unsafe { *prompts = start };
        Ok(())
    }

    /// Frees the list.
    pub fn free(&mut self, host: Host) {
        if let Some(list) = self.list.take() {
            // SAFETY: it came from `allocate`.
            unsafe { host.free(list.start.cast()) };
        }
    }
}

/// # Safety
/// It is a list of prompts that ends with the number 0.
unsafe fn results(mut at: *const Interact) -> Given {
    let mut given = Vec::new();
    // SAFETY: the caller's promise.
    while let Some(prompt) = unsafe { at.as_ref() }.filter(|prompt| prompt.id != callback::LIST_END) {
        // SAFETY: likewise; a result has its length, or ends in a NUL where it has none.
        let value = (!prompt.result.is_null()).then(|| unsafe { bytes(prompt.result.cast(), prompt.len) });
        given.push((prompt.id, value));
        // SAFETY: the list goes on until its end.
        at = unsafe { at.add(1) };
    }
    given
}

/// # Safety
/// It has that length, or ends in a NUL if that is 0.
unsafe fn bytes(start: *const c_char, length: c_uint) -> Secret {
    // SAFETY: the caller's promise.
    unsafe {
        match length {
            0 => Secret::new(CStr::from_ptr(start).to_bytes()),
            length => Secret::new(slice::from_raw_parts(start.cast(), length as usize)),
        }
    }
}

/// What one of the sources has.
enum Found {
    Value(Secret),
    Nothing,
    Prompt,
    Fail(Error),
}

/// The application of a client, for the time of a step.
pub struct User {
    pub host: Host,
    pub params: *mut ClientParams,
    pub out: *mut OutParams,
}

impl User {
    /// Answers a question, by the prompts' results first.
    pub fn answer(&self, question: &Question, mechanism: Option<&Description>, given: &mut Given) -> UserReply {
        match question {
            Question::Values(properties) => self.values(properties, mechanism, given),
            Question::Realm { offered } => self.realm(offered, given),
            _ => UserReply::Fail(Application::WrongAnswer.into()),
        }
    }

    fn values(&self, properties: &[Property], mechanism: Option<&Description>, given: &mut Given) -> UserReply {
        let anonymous = mechanism.is_some_and(|mechanism| !mechanism.security.contains(SecurityFlags::NOANONYMOUS));
        let (mut found, mut wanted): (Vec<(Property, Secret)>, Vec<Wanted>) = (Vec::new(), Vec::new());
        for property in properties {
            let (id, challenge, prompt) = match property {
                // ANONYMOUS' trace is asked for as the name, since that is who it says it is.
                Property::Authzid if anonymous => {
                    (callback::AUTHNAME, c"Authentication Name", c"Who you say you are, for the log")
                }
                Property::Authcid => (callback::AUTHNAME, c"Authentication Name", c"Please enter your name"),
                Property::Authzid | Property::Identity => {
                    (callback::USER, c"Authorization Name", c"Please enter whom to act as")
                }
                Property::Password => (callback::PASS, c"Password", c"Please enter your password"),
                Property::Token => (callback::PASS, c"Token", c"Please enter your token"),
                Property::Host => {
                    // SAFETY: the parameters are libsasl2's, and the text ends in a NUL.
                    found.push((*property, Secret::from(unsafe { text((*self.params).serverFQDN) })));
                    continue;
                }
                Property::Port => {
                    // SAFETY: likewise.
                    let remote = unsafe { text((*self.params).ipremoteport) };
                    if let Some((_, port)) = remote.rsplit_once(';') {
                        found.push((*property, Secret::new(port.as_bytes())));
                    }
                    continue;
                }
                Property::Realm | Property::ServName => continue,
            };
            match self.find(id, given) {
                Found::Value(value) => found.push((*property, value)),
                Found::Nothing => {}
                Found::Prompt => wanted.push(Wanted { id, challenge, prompt: prompt.into(), default: None }),
                Found::Fail(error) => return UserReply::Fail(error),
            }
        }
        if !wanted.is_empty() {
            // What the callbacks gave is asked for again: prompts' results are kept until then.
            return UserReply::Ask(wanted);
        }
        match self.named(found, anonymous) {
            Ok(values) => UserReply::Answer(Answer::Values(values)),
            Err(error) => UserReply::Fail(error),
        }
    }

    /// The value of a callback or a prompt.
    fn find(&self, id: c_ulong, given: &mut Given) -> Found {
        if let Some(at) = given.iter().position(|(prompt, _)| *prompt == id) {
            return given.swap_remove(at).1.map_or(Found::Nothing, Found::Value);
        }
        match self.host.callback(id) {
            Ok((proc, context)) if id == callback::PASS => self.secret(proc, context),
            Ok((proc, context)) => simple(proc, context, id),
            Err(code::INTERACT) => Found::Prompt,
            Err(_) => Found::Nothing,
        }
    }

    fn secret(&self, proc: Proc, context: *mut c_void) -> Found {
        let Some(proc) = proc else { return Found::Nothing };
        // SAFETY: libsasl2 keeps a getsecret under this number.
        let get: GetSecret = unsafe { transmute(proc) };
        let mut secret: *mut SaslSecret = ptr::null_mut();
        // SAFETY: the utils are this connection's.
        let conn = unsafe { (*self.host.utils()).conn };
        // SAFETY: the result is ours.
        match unsafe { get(conn, context, number(callback::PASS), &mut secret) } {
            code::OK if secret.is_null() => Found::Nothing,
            code::OK => {
                // SAFETY: the bytes follow the length, and go on behind the one that the type has.
                let bytes =
                    unsafe { slice::from_raw_parts((&raw const (*secret).data).cast(), (*secret).len as usize) };
                Found::Value(Secret::new(bytes))
            }
            refused => Found::Fail(callback_failed(callback::PASS, refused)),
        }
    }

    /// The names are made canonical, and those are what is sent.
    fn named(&self, found: Vec<(Property, Secret)>, anonymous: bool) -> Result<Values, Error> {
        let mut values = Values::default();
        found.into_iter().for_each(|(property, value)| values.push(property, value));
        if anonymous {
            self.canonicalize(b"anonymous", flag::CU_AUTHID | flag::CU_AUTHZID)?;
            return Ok(values);
        }
        let Some(authcid) = values.take(Property::Authcid).filter(|name| !name.is_empty()) else {
            return Err(Application::Missing("authentication name (SASL_CB_AUTHNAME)").into());
        };
        match values.take(Property::Authzid).filter(|name| !name.is_empty()) {
            Some(authzid) => {
                self.canonicalize(authzid.expose(), flag::CU_AUTHZID)?;
                self.canonicalize(authcid.expose(), flag::CU_AUTHID)?;
                // SAFETY: canon_user has set it.
                values.push(Property::Authzid, unsafe { bytes((*self.out).user, (*self.out).ulen) });
            }
            None => self.canonicalize(authcid.expose(), flag::CU_AUTHID | flag::CU_AUTHZID)?,
        }
        // SAFETY: likewise.
        values.push(Property::Authcid, unsafe { bytes((*self.out).authid, (*self.out).alen) });
        Ok(values)
    }

    fn canonicalize(&self, name: &[u8], flags: c_uint) -> Result<(), Error> {
        // SAFETY: the parameters are libsasl2's.
        let (canon, conn) = unsafe { ((*self.params).canon_user, (*self.host.utils()).conn) };
        let canon = canon.ok_or_else(|| Error::outside(Code::BadParam, "libsasl2 gives no canon_user"))?;
        let name =
            CString::new(name).map_err(|_| Application::Unusable { what: "name", reason: "holds a NUL character" })?;
        // SAFETY: the name ends in a NUL behind its length; the out-parameters are libsasl2's.
        match unsafe { canon(conn, name.as_ptr(), name.as_bytes().len() as c_uint, flags, self.out) } {
            code::OK => Ok(()),
            refused => Err(Error::outside(Code::of(refused), "libsasl2 could not make the name canonical")),
        }
    }

    /// One realm is taken as it is offered; among several, and where none is named, the application chooses.
    fn realm(&self, offered: &[String], given: &mut Given) -> UserReply {
        let text = |realm: Secret| UserReply::Answer(Answer::Text(realm.expose_str().map(str::to_owned)));
        if offered.len() == 1 {
            return UserReply::Answer(Answer::Text(None));
        }
        if let Some(at) = given.iter().position(|(prompt, _)| *prompt == callback::GETREALM) {
            return given.swap_remove(at).1.map_or(UserReply::Answer(Answer::Text(None)), text);
        }
        match self.host.callback(callback::GETREALM) {
            Ok((proc, context)) => match chosen_realm(proc, context, offered) {
                Found::Value(realm) => text(realm),
                Found::Fail(error) => UserReply::Fail(error),
                Found::Nothing | Found::Prompt => UserReply::Answer(Answer::Text(None)),
            },
            Err(code::INTERACT) => UserReply::Ask(vec![Wanted {
                id: callback::GETREALM,
                challenge: c"Realm",
                prompt: c_text(&match offered {
                    [] => "Please enter your realm".to_owned(),
                    several => format!("Please choose your realm: {}", several.join(", ")),
                }),
                default: offered.first().map(|realm| c_text(realm)),
            }]),
            Err(_) => UserReply::Answer(Answer::Text(None)),
        }
    }
}

fn simple(proc: Proc, context: *mut c_void, id: c_ulong) -> Found {
    let Some(proc) = proc else { return Found::Nothing };
    // SAFETY: libsasl2 keeps a getsimple under these numbers.
    let get: GetSimple = unsafe { transmute(proc) };
    let (mut value, mut length): (*const c_char, c_uint) = (ptr::null(), 0);
    // SAFETY: the results are ours.
    match unsafe { get(context, number(id), &mut value, &mut length) } {
        code::OK if value.is_null() => Found::Nothing,
        // SAFETY: the text has that length, or ends in a NUL where a callback says none.
        code::OK => Found::Value(unsafe { bytes(value, length) }),
        refused => Found::Fail(callback_failed(id, refused)),
    }
}

fn chosen_realm(proc: Proc, context: *mut c_void, offered: &[String]) -> Found {
    let Some(proc) = proc else { return Found::Nothing };
    // SAFETY: libsasl2 keeps a getrealm under this number.
    let get: GetRealm = unsafe { transmute(proc) };
    let texts: Vec<CString> = offered.iter().map(|realm| c_text(realm)).collect();
    let list: Vec<*const c_char> = texts.iter().map(|realm| realm.as_ptr()).chain([ptr::null()]).collect();
    let mut realm: *const c_char = ptr::null();
    // SAFETY: the list ends with a null; the result is ours.
    match unsafe { get(context, number(callback::GETREALM), list.as_ptr(), &mut realm) } {
        code::OK if realm.is_null() => Found::Nothing,
        // SAFETY: it ends in a NUL.
        code::OK => Found::Value(unsafe { bytes(realm, 0) }),
        refused => Found::Fail(callback_failed(callback::GETREALM, refused)),
    }
}

fn callback_failed(id: c_ulong, result: c_int) -> Error {
    let name = match id {
        callback::AUTHNAME => "SASL_CB_AUTHNAME",
        callback::USER => "SASL_CB_USER",
        callback::PASS => "SASL_CB_PASS",
        _ => "SASL_CB_GETREALM",
    };
    Error::outside(Code::of(result), format!("the application's callback {name} has failed"))
}

//! Answers for a client: from the application's callbacks, or from prompts if the application asks its user.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr, CString};
use std::mem::{size_of, transmute};
use std::ptr;
use std::slice;

use authen_sasl_rust::contract::{Answer, Description, Property, Question, SecurityFlags, Values};
use authen_sasl_rust::error::{Application, Code, Error, Subject};
use authen_sasl_rust::secret::Secret;
use saslplug::{callback, code, flag, ClientParams, Conn, Interact, OutParams, Proc, SaslSecret};

use crate::host::{c_text, Host};
use crate::names;
use crate::pointers::{number, text};

/// `sasl_getsimple_t`.
type GetSimple = unsafe extern "C" fn(*mut c_void, c_int, *mut *const c_char, *mut c_uint) -> c_int;
/// `sasl_getsecret_t`.
type GetSecret = unsafe extern "C" fn(*mut Conn, *mut c_void, c_int, *mut *mut SaslSecret) -> c_int;
/// `sasl_getrealm_t`.
type GetRealm = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char, *mut *const c_char) -> c_int;

/// The reply to a question.
pub enum UserReply {
    /// An answer.
    Answer(Answer),
    /// The user must be prompted for these.
    Ask(Vec<Prompt>),
    /// There is no answer.
    Fail(Error),
}

/// A prompt to show.
pub struct Prompt {
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
    _texts: Vec<Prompt>,
}

/// The user's answers by prompt id.
pub type UserInput = Vec<(c_ulong, Option<Secret>)>;

impl Prompts {
    /// Takes the answers, and frees the prompts.
    ///
    /// # Safety
    /// The application has not changed the list, except for the results.
    pub unsafe fn take(&mut self, host: Host, prompts: *mut *mut Interact) -> UserInput {
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

    /// Creates the list of prompts.
    pub fn ask(&mut self, host: Host, wanted: Vec<Prompt>, prompts: *mut *mut Interact) -> Result<(), c_int> {
        if prompts.is_null() {
            host.set_error("the user must be prompted, but the application does not accept prompts");
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
            // SAFETY: there is room for each prompt, and for the end of the list, which is zeroed.
            unsafe { start.add(at).write(prompt) };
        }
        self.list = Some(PromptList { start, _texts: wanted });
        // SAFETY: it is not null, and libsasl2 passes it to be written to.
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
/// The pointer is a list of prompts that ends with the id 0.
unsafe fn results(mut at: *const Interact) -> UserInput {
    let mut given = Vec::new();
    // SAFETY: the caller's promise.
    while let Some(prompt) = unsafe { at.as_ref() }.filter(|prompt| prompt.id != callback::LIST_END) {
        // SAFETY: likewise; a result has a length, or length 0 and a NUL at its end.
        let value = (!prompt.result.is_null()).then(|| unsafe { bytes(prompt.result.cast(), prompt.len) });
        given.push((prompt.id, value));
        // SAFETY: this was not the end of the list.
        at = unsafe { at.add(1) };
    }
    given
}

/// # Safety
/// The bytes have that length, or end in a NUL if the length is 0.
unsafe fn bytes(start: *const c_char, length: c_uint) -> Secret {
    // SAFETY: the caller's promise.
    unsafe {
        match length {
            0 => Secret::new(CStr::from_ptr(start).to_bytes()),
            length => Secret::new(slice::from_raw_parts(start.cast(), length as usize)),
        }
    }
}

/// The result of a callback or prompt.
enum Found {
    Value(Secret),
    Nothing,
    Prompt,
    Fail(Error),
}

/// The application of a client, for the duration of a step.
pub struct User {
    pub host: Host,
    pub params: *mut ClientParams,
    pub out: *mut OutParams,
}

impl User {
    /// Answers a question. The results of prompts come before callbacks.
    pub fn answer(&self, question: &Question, mechanism: Option<&Description>, input: &mut UserInput) -> UserReply {
        match question {
            Question::Values(properties) => self.values(properties, mechanism, input),
            Question::Realm { offered } => self.realm(offered, input),
            _ => UserReply::Fail(Application::WrongAnswer.into()),
        }
    }

    fn values(&self, properties: &[Property], mechanism: Option<&Description>, input: &mut UserInput) -> UserReply {
        let anonymous = mechanism.is_some_and(|mechanism| !mechanism.security.contains(SecurityFlags::NOANONYMOUS));
        let (mut found, mut wanted): (Vec<(Property, Secret)>, Vec<Prompt>) = (Vec::new(), Vec::new());
        for property in properties {
            let (id, challenge, prompt) = match property {
                // ANONYMOUS asks for its trace information as the name.
                Property::Authzid if anonymous => {
                    (callback::AUTHNAME, c"Authentication Name", c"Please enter trace information for the log")
                }
                Property::Authcid => (callback::AUTHNAME, c"Authentication Name", c"Please enter your name"),
                Property::Authzid | Property::Identity => {
                    (callback::USER, c"Authorization Name", c"Please enter the name to act as")
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
                Property::Realm | Property::ServName | Property::HtToken | Property::ScramKeys => continue,
            };
            match self.find(id, input) {
                Found::Value(value) => found.push((*property, value)),
                Found::Nothing => {}
                Found::Prompt => wanted.push(Prompt { id, challenge, prompt: prompt.into(), default: None }),
                Found::Fail(error) => return UserReply::Fail(error),
            }
        }
        if !wanted.is_empty() {
            // The callbacks are called again after the prompts.
            return UserReply::Ask(wanted);
        }
        match self.canonical(found, anonymous) {
            Ok(values) => UserReply::Answer(Answer::Values(values)),
            Err(error) => UserReply::Fail(error),
        }
    }

    /// The value of a callback or a prompt.
    fn find(&self, id: c_ulong, input: &mut UserInput) -> Found {
        if let Some(at) = input.iter().position(|(prompt, _)| *prompt == id) {
            return input.swap_remove(at).1.map_or(Found::Nothing, Found::Value);
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
        // SAFETY: this id belongs to a getsecret callback.
        let get: GetSecret = unsafe { transmute(proc) };
        let mut secret: *mut SaslSecret = ptr::null_mut();
        // SAFETY: the utils are this connection's.
        let conn = unsafe { (*self.host.utils()).conn };
        // SAFETY: the result is a local variable.
        match unsafe { get(conn, context, number(callback::PASS), &mut secret) } {
            code::OK if secret.is_null() => Found::Nothing,
            code::OK => {
                // SAFETY: the bytes follow the length, beyond the one byte that the type declares.
                let bytes =
                    unsafe { slice::from_raw_parts((&raw const (*secret).data).cast(), (*secret).len as usize) };
                Found::Value(Secret::new(bytes))
            }
            refused => Found::Fail(callback_failed(callback::PASS, refused)),
        }
    }

    /// Canonicalizes the names, which are sent in that form.
    fn canonical(&self, found: Vec<(Property, Secret)>, anonymous: bool) -> Result<Values, Error> {
        let mut values = Values::default();
        found.into_iter().for_each(|(property, value)| values.push(property, value));
        if anonymous {
            self.canonicalize(b"anonymous", flag::CU_AUTHID | flag::CU_AUTHZID)?;
            return Ok(values);
        }
        let Some(authcid) = values.take(Property::Authcid).filter(|name| !name.is_empty()) else {
            return Err(Application::Missing(Subject::Authcid).into());
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
        let canon = canon.ok_or_else(|| Error::outside(Code::BadParam, "libsasl2 provides no canon_user"))?;
        let what = if flags & flag::CU_AUTHID == 0 { Subject::Authzid } else { Subject::Authcid };
        let name = CString::new(name).map_err(|_| Application::Unusable { what, reason: "holds a NUL character" })?;
        // SAFETY: the name ends in a NUL after its length; the out-parameters are libsasl2's.
        match unsafe { canon(conn, name.as_ptr(), name.as_bytes().len() as c_uint, flags, self.out) } {
            code::OK => Ok(()),
            refused => Err(Error::outside(Code::of(refused), "libsasl2 could not canonicalize the name")),
        }
    }

    /// A single offered realm is used. If there are several or none, the application chooses.
    fn realm(&self, offered: &[String], input: &mut UserInput) -> UserReply {
        let text = |realm: Secret| UserReply::Answer(Answer::Text(realm.expose_str().map(str::to_owned)));
        if offered.len() == 1 {
            return UserReply::Answer(Answer::Text(None));
        }
        if let Some(at) = input.iter().position(|(prompt, _)| *prompt == callback::GETREALM) {
            return input.swap_remove(at).1.map_or(UserReply::Answer(Answer::Text(None)), text);
        }
        match self.host.callback(callback::GETREALM) {
            Ok((proc, context)) => match chosen_realm(proc, context, offered) {
                Found::Value(realm) => text(realm),
                Found::Fail(error) => UserReply::Fail(error),
                Found::Nothing | Found::Prompt => UserReply::Answer(Answer::Text(None)),
            },
            Err(code::INTERACT) => UserReply::Ask(vec![Prompt {
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
    // SAFETY: these ids belong to getsimple callbacks.
    let get: GetSimple = unsafe { transmute(proc) };
    let (mut value, mut length): (*const c_char, c_uint) = (ptr::null(), 0);
    // SAFETY: the results are local variables.
    match unsafe { get(context, number(id), &mut value, &mut length) } {
        code::OK if value.is_null() => Found::Nothing,
        // SAFETY: the text has that length, or length 0 and a NUL at its end.
        code::OK => Found::Value(unsafe { bytes(value, length) }),
        refused => Found::Fail(callback_failed(id, refused)),
    }
}

fn chosen_realm(proc: Proc, context: *mut c_void, offered: &[String]) -> Found {
    let Some(proc) = proc else { return Found::Nothing };
    // SAFETY: this id belongs to a getrealm callback.
    let get: GetRealm = unsafe { transmute(proc) };
    let texts: Vec<CString> = offered.iter().map(|realm| c_text(realm)).collect();
    let list: Vec<*const c_char> = texts.iter().map(|realm| realm.as_ptr()).chain([ptr::null()]).collect();
    let mut realm: *const c_char = ptr::null();
    // SAFETY: the list ends with a null pointer; the result is a local variable.
    match unsafe { get(context, number(callback::GETREALM), list.as_ptr(), &mut realm) } {
        code::OK if realm.is_null() => Found::Nothing,
        // SAFETY: it ends in a NUL.
        code::OK => Found::Value(unsafe { bytes(realm, 0) }),
        refused => Found::Fail(callback_failed(callback::GETREALM, refused)),
    }
}

fn callback_failed(id: c_ulong, result: c_int) -> Error {
    let name = match id {
        callback::AUTHNAME => names::AUTHNAME,
        callback::USER => names::USER,
        callback::PASS => names::PASS,
        _ => names::GETREALM,
    };
    Error::outside(Code::of(result), format!("the application's callback {name} failed"))
}

//! A server's mechanism that a plugin has. What it asks for while it is inside its step becomes questions to the session.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::{c_char, c_int, c_uint, c_void, CStr, CString};
use std::ptr;
use std::sync::Arc;

use crate::config::Config;
use crate::contract::{
    Abilities, Account, Answer, Context, Established, Event, Mechanism, Next, Question, Side, State, Step,
};
use crate::error::{Application, Code, Error, PeerMisbehaved};
use crate::secret::Secret;

use super::abi::{callback, code, disposition, feature, flag, Callback, OutParams, Propctx, ServerParams, ServerPlug};
use super::connection::{Connection, Hooks, Owned};
use super::coroutine::{self, Line, Progress, Suspended, Work};
use super::layer::{self, Owner};
use super::names::{self, Names};
use super::parameters::{nothing_out, Facts};
use super::propctx::{prop_dispose, prop_get, prop_new, prop_set};
use super::registry::Hosted;
use super::{failed, given, journal, utils, with_nul};

/// The first state of a server.
pub fn begin() -> Next {
    Box::new(AwaitStart)
}

/// True if a server's mechanism is a plugin's and keeps secrets of its own.
pub fn sets_passwords(mechanism: &'static Mechanism) -> bool {
    Hosted::of(mechanism, Side::Server).and_then(Hosted::server).is_ok_and(|plug| plug.setpass.is_some())
}

/// Sets the secret that a server's mechanism keeps of a user, as `setpass` of saslplug.h; without a password it is taken away. `flags` are
/// `SASL_SET_*`.
///
/// # Errors
/// [`Error::Outside`] if the mechanism keeps none, or it cannot be stored.
pub fn set_password(
    mechanism: &'static Mechanism,
    config: &Config,
    user: &str,
    password: Option<&Secret>,
    flags: u32,
) -> Result<(), Error> {
    let unusable = |what| Application::Unusable { what, reason: "holds a NUL character" };
    let name = CString::new(user).map_err(|_| unusable("user name"))?;
    if password.is_some_and(|password| password.expose().contains(&0)) {
        return Err(unusable("password").into());
    }
    let server = Server::new(Hosted::of(mechanism, Side::Server)?, config)?;
    server.set_password(&name, password, flags, config)
}

/// The property that passwords are in, of the authentication identity.
const PASSWORD: &str = "*userPassword";
/// The property that stored keys are in.
const STORED_KEY: &str = "*authPassword";

/// What the plugin's call backs share with the exchange.
struct Shared {
    line: Line,
    names: Names,
    propctx: *mut Propctx,
    /// The last name that was made canonical, and its canonical form.
    canonical: RefCell<Option<(String, String)>>,
    /// Why a call back had to refuse, if a SASL code cannot tell.
    trouble: RefCell<Option<Error>>,
}

// SAFETY: an exchange and its call backs are run by one thread at a time.
unsafe impl Send for Shared {}
// SAFETY: as above; the two that share it are never run at the same time.
unsafe impl Sync for Shared {}

impl Shared {
    /// Asks the session; what is no answer is remembered as the reason.
    fn ask(&self, question: Question) -> Option<Answer> {
        self.line.ask(question)
    }

    fn wrong_answer(&self) -> c_int {
        self.trouble.replace(Some(Application::WrongAnswer.into()));
        code::FAIL
    }

    fn answered(&self) -> Abilities {
        self.line.with_config(Config::answered).unwrap_or(Abilities::NONE)
    }

    /// The canonical form of a name, by the application or the accounts, if one of them has it.
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

    /// Looks up what the plugin has asked for by `prop_request`: with a star before their names, the properties of the authentication
    /// identity, else those of the authorization identity.
    fn look_up(&self, authcid: &str, authzid: Option<&str>, flags: c_uint) -> c_int {
        let mut wanted = self.wanted(authzid.is_none(), flags & flag::CU_OVERRIDE != 0);
        let (mut asked, mut found) = (false, false);
        if wanted.iter().any(|name| **name == *PASSWORD) && self.answered().contains(Abilities::CREDENTIALS) {
            asked = true;
            let question = Question::Credentials { authcid: authcid.to_owned(), authzid: None, realm: None };
            match self.ask(question) {
                Some(Answer::Credential(Some(secret))) => {
                    let stored_key =
                        wanted.iter().any(|name| **name == *STORED_KEY) && secret.expose().starts_with(b"SCRAM-");
                    let name = if stored_key { STORED_KEY } else { PASSWORD };
                    found = self.set(name, &secret);
                }
                Some(Answer::Credential(None)) => {}
                Some(_) => return self.wrong_answer(),
                None => return code::FAIL,
            }
            wanted.retain(|name| **name != *PASSWORD);
        }
        if !wanted.is_empty() {
            let looked_up = self.line.with_config(|config| {
                let account = Account { authzid, ..account(authcid, config) };
                config.accounts().map(|accounts| accounts.properties(&wanted, account, config))
            });
            match looked_up.flatten() {
                None => {}
                Some(Ok(properties)) => {
                    asked = true;
                    for name in &wanted {
                        for value in properties.get(name) {
                            found |= self.set(name, value);
                        }
                    }
                }
                Some(Err(error)) => {
                    let code = error.code() as c_int;
                    self.trouble.replace(Some(error));
                    return code;
                }
            }
        }
        if asked && !found && flags & flag::CU_EXTERNALLY_VERIFIED == 0 && authzid.is_none() {
            return code::NOUSER;
        }
        code::OK
    }

    /// The names without a value yet, of one of the identities.
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

    fn set(&self, name: &str, value: &Secret) -> bool {
        let Ok(name) = CString::new(name) else { return false };
        let bytes = value.expose();
        if bytes.is_empty() || bytes.contains(&0) {
            return false;
        }
        // SAFETY: the context is ours, and copies the value.
        let result = unsafe { prop_set(self.propctx, name.as_ptr(), bytes.as_ptr().cast(), bytes.len() as c_int) };
        result == code::OK
    }
}

/// Whose account it is: a plugin that keeps secrets of its own may write this server's realm, or else its host, behind the name.
fn account<'a>(name: &'a str, config: &'a Config) -> Account<'a> {
    let home = config.realm().unwrap_or(&config.host);
    let authcid = name.strip_suffix(home).and_then(|name| name.strip_suffix('@')).unwrap_or(name);
    Account { authcid, authzid: None, realm: config.realm() }
}

struct ServerHooks(Arc<Shared>);

impl Hooks for ServerHooks {
    fn check_password(&self, user: &[u8], password: &[u8]) -> c_int {
        let shared = &*self.0;
        if !shared.answered().intersects(Abilities::CHECK_PASSWORD.and(Abilities::CREDENTIALS)) {
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
            let any = shared.line.with_config(|config| config.accounts().is_some());
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
        let stored = shared.line.with_config(|config| {
            config.accounts().map(|accounts| accounts.store(account(user, config), &values, config))
        });
        match stored.flatten() {
            None => code::NOMECH,
            Some(Ok(())) => code::OK,
            Some(Err(error)) => {
                let code = error.code() as c_int;
                shared.trouble.replace(Some(error));
                code
            }
        }
    }
}

/// What a step has left: the code, and what is to be sent.
type Left = (c_int, Option<Vec<u8>>);

/// One exchange of a server with all that the plugin points to.
struct Server {
    plug: ServerPlug,
    context: Cell<*mut c_void>,
    begun: Cell<bool>,
    params: Box<UnsafeCell<ServerParams>>,
    out: Box<UnsafeCell<OutParams>>,
    left: Cell<Left>,
    connection: Owned,
    shared: Arc<Shared>,
    facts: Facts,
    binds: bool,
    _callbacks: Box<Callback>,
}

// SAFETY: the pointers lead to what this owns or into the plugin, which serves all threads; one thread at a time uses it.
unsafe impl Send for Server {}

impl Drop for Server {
    fn drop(&mut self) {
        let context = self.context.get();
        if let Some(dispose) = self.plug.mech_dispose.filter(|_| !context.is_null()) {
            // SAFETY: the context is the plugin's own, and is not used again.
            self.connection.during(|| unsafe { dispose(context, self.connection.utils()) });
        }
        // SAFETY: it came from `prop_new`, and the plugin's context is gone.
        unsafe { prop_dispose(&mut self.shared.propctx.clone()) };
    }
}

impl Work for Server {
    fn line(&self) -> &Line {
        &self.shared.line
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Owner for Server {
    fn context(&self) -> *mut c_void {
        self.context.get()
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Server {
    fn new(hosted: &Hosted, config: &Config) -> Result<Server, Error> {
        let facts = Facts::of(config, Side::Server)?;
        let plug = hosted.server()?;
        // SAFETY: it makes a context of ours.
        let propctx = unsafe { prop_new(0) };
        let shared = Arc::new(Shared {
            line: Line::default(),
            names: Names::default(),
            propctx,
            canonical: RefCell::default(),
            trouble: RefCell::default(),
        });
        let options = config.plugins().map(|plugins| plugins.options().clone()).unwrap_or_default();
        let connection = Owned::new(options, Some(journal::log()), Box::new(ServerHooks(Arc::clone(&shared))));
        facts.tell(&connection, hosted.mechanism.name);
        let callbacks = Box::new(Callback { id: callback::LIST_END, proc: None, context: ptr::null_mut() });
        let params = facts.server(&connection, &raw const *callbacks, utils::canon_user, propctx);
        Ok(Server {
            plug,
            context: Cell::new(ptr::null_mut()),
            begun: Cell::new(false),
            params: Box::new(UnsafeCell::new(params)),
            out: Box::new(UnsafeCell::new(nothing_out())),
            left: Cell::new((code::FAIL, None)),
            connection,
            shared,
            facts,
            binds: hosted.binds(),
            _callbacks: callbacks,
        })
    }

    /// The plugin's own setting of passwords.
    fn set_password(
        &self,
        user: &CStr,
        password: Option<&Secret>,
        flags: c_uint,
        config: &Config,
    ) -> Result<(), Error> {
        let Some(set) = self.plug.setpass else {
            return Err(Error::outside(Code::NoMech, "the plugin keeps no secrets of this mechanism"));
        };
        let text = password.map(|password| Secret::from(with_nul(password.expose())));
        let (start, length) = text.as_ref().map_or((ptr::null(), 0), |text| {
            (text.expose().as_ptr().cast::<c_char>(), text.expose().len() as c_uint - 1)
        });
        let (context, params, user) = (self.plug.glob_context, self.params.get(), user.as_ptr());
        // SAFETY: the types are those of saslplug.h; all that is pointed to lives longer than the call.
        let call = || unsafe { set(context, params, user, start, length, ptr::null(), 0, flags) };
        match self.shared.line.lend(config, || self.connection.during(call)) {
            code::OK => Ok(()),
            result => Err(self.shared.trouble.take().unwrap_or_else(|| failed(result, &self.connection))),
        }
    }

    /// Runs a step of the plugin until it returns or asks. `input` has a NUL behind it.
    fn step(self, input: Option<Vec<u8>>, config: &Config) -> Result<Step, Error> {
        let progress = coroutine::start(self, config, move |server: &Server| {
            let first = !server.begun.replace(true);
            // An initial response, where the server must speak first.
            let early = first && input.is_some() && server.plug.features & feature::SERVER_FIRST != 0;
            let began = match first {
                _ if early => code::BADPROT,
                true => server.begin(),
                false => code::OK,
            };
            server.left.set(match began {
                code::OK => server.call(input.as_deref()),
                refused => (refused, None),
            });
        })?;
        Self::went(progress)
    }

    fn went(progress: Progress<Server>) -> Result<Step, Error> {
        match progress {
            Progress::Asks(question, suspended) => Ok(Step::Ask(question, Box::new(AwaitAnswer(suspended)))),
            Progress::Done(server) => server.returned(),
        }
    }

    /// Makes the mechanism's context.
    fn begin(&self) -> c_int {
        let params = self.params.get();
        let mut context = ptr::null_mut();
        if let Some(available) = self.plug.mech_avail {
            // SAFETY: the types are those of saslplug.h; the parameters live as long as the context.
            let result = unsafe { available(self.plug.glob_context, params, &mut context) };
            self.context.set(context);
            if result != code::OK || !context.is_null() {
                return result;
            }
        }
        let Some(new) = self.plug.mech_new else { return code::FAIL };
        // SAFETY: as above.
        let result = unsafe { new(self.plug.glob_context, params, ptr::null(), 0, &mut context) };
        self.context.set(context);
        result
    }

    fn call(&self, input: Option<&[u8]>) -> Left {
        let Some(step) = self.plug.mech_step else { return (code::FAIL, None) };
        let (mut out, mut length) = (ptr::null::<c_char>(), 0);
        let (start, count) = input.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len() as c_uint - 1));
        let (context, params, results) = (self.context.get(), self.params.get(), self.out.get());
        // SAFETY: the types are those of saslplug.h; all that is pointed to lives longer than the call.
        let result = unsafe { step(context, params, start, count, &mut out, &mut length, results) };
        // SAFETY: what the plugin sends is its own until it is called again.
        (result, unsafe { given(out, length) }.map(<[u8]>::to_vec))
    }

    fn returned(self) -> Result<Step, Error> {
        match self.left.take() {
            (code::CONTINUE, out) => Ok(Step::Send(out.unwrap_or_default(), Box::new(AwaitClient(self)))),
            (code::OK, last) => self.end(last),
            (result, _) => Err(match self.shared.trouble.take() {
                Some(error) => error,
                // To the outside an unknown user is a wrong password.
                None if result == code::NOUSER => failed(code::BADAUTH, &self.connection),
                None => failed(result, &self.connection),
            }),
        }
    }

    fn end(self, last: Option<Vec<u8>>) -> Result<Step, Error> {
        // SAFETY: the plugin has returned, and its out-parameters are as it has left them.
        let (out, identity) = unsafe { (self.out.get().read(), names::identity(&*self.out.get())) };
        let Some((authcid, authzid)) = identity else {
            return Err(Error::outside(Code::BadProt, "the plugin has ended without both identities (canon_user)"));
        };
        self.check_binding(&out)?;
        let limits = self.facts.limits();
        let layer = layer::agreed(self, &out, limits)?;
        Ok(Step::Done(Established { last, authcid, authzid, layer, ..Established::default() }))
    }

    /// What the client made of channel binding must fit what this server has and offers (RFC 5802 §6).
    fn check_binding(&self, out: &OutParams) -> Result<(), Error> {
        let refused = |reason| Err(Error::misbehaved("channel binding", reason));
        let Some(kind) = self.facts.binding_kind() else { return Ok(()) };
        match out.cbindingdisp {
            disposition::USED => {
                // SAFETY: the plugin's text ends in a NUL.
                let named = (!out.cbindingname.is_null()).then(|| unsafe { CStr::from_ptr(out.cbindingname) });
                if named != Some(kind) {
                    return refused(PeerMisbehaved::ChannelBindingUnsupported);
                }
                Ok(())
            }
            _ if self.binds || self.facts.binding_required() => {
                refused(PeerMisbehaved::Rule("the client has bound to nothing"))
            }
            disposition::WANT => refused(PeerMisbehaved::Downgrade),
            _ => Ok(()),
        }
    }
}

struct AwaitStart;
struct AwaitClient(Server);
struct AwaitAnswer(Suspended<Server>);

impl State for AwaitStart {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let hosted = Hosted::of(cx.mechanism, Side::Server)?;
        let input = match event {
            Event::Received(bytes) => Some(with_nul(bytes)),
            _ => None,
        };
        Server::new(hosted, cx.config)?.step(input, cx.config)
    }
}

impl State for AwaitClient {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let input = with_nul(event.received("message")?);
        self.0.step(Some(input), cx.config)
    }
}

impl State for AwaitAnswer {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let Event::Answered(answer) = event else { return Err(Application::WrongAnswer.into()) };
        Server::went(self.0.answer(answer, cx.config)?)
    }
}

//! A plugin's mechanism as a server. Each step runs on its own stack.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_uint, c_void, CStr, CString};
use std::ptr;
use std::sync::Arc;

use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Context, Established, Event, Next, Setup, Side, State, Step};
use authen_sasl_rust::error::{Application, Code, Error, PeerMisbehaved, Rejection, Subject};
use authen_sasl_rust::secret::Secret;

use super::callbacks::{ServerHooks, Shared};
use super::connection::Connection;
use super::coroutine::{self, Progress, SessionLink, Suspended, Work};
use super::given::{failed, step_output, with_nul, StepOutput};
use super::hosted::Hosted;
use super::journal;
use super::layer::{self, Owner};
use super::names;
use super::owned::Owned;
use super::parameters::{nothing_out, ConnectionFacts};
use super::utils;
use saslplug::{callback, code, disposition, feature, Callback, OutParams, ServerParams, ServerPlug};

/// The first state of a server.
pub fn begin(hosted: &'static Hosted) -> Next {
    Box::new(AwaitStart(hosted))
}

/// Why the plugin does not offer its mechanism on this connection (`mech_avail` of saslplug.h); `None` if it does.
pub fn unavailable_reason(hosted: &Hosted, setup: Setup<'_>) -> Option<Rejection> {
    let asked = hosted.server().and_then(|plug| match plug.mech_avail {
        None => Ok(code::OK),
        Some(_) => {
            let server = Server::new(hosted, setup)?;
            let available = || server.available();
            match server.shared.link.lend(setup, || server.connection.during(available)) {
                code::OK => Ok(code::OK),
                result => Err(failed(result, &server.connection)),
            }
        }
    });
    asked.err().map(|error| format!("the plugin does not offer it here: {error}").into())
}

/// True if the plugin stores secrets of its own.
pub fn keeps_secrets(hosted: &Hosted) -> bool {
    hosted.server().is_ok_and(|plug| plug.setpass.is_some())
}

/// Sets the secret that a plugin stores for a user, as `setpass` of saslplug.h.
///
/// # Errors
/// [`Application::Unusable`] for a name or password with a NUL; [`Error::Outside`] if the plugin stores no secrets, or storing fails.
pub fn set_secret(
    hosted: &'static Hosted,
    setup: Setup<'_>,
    user: &str,
    password: Option<&Secret>,
    flags: u32,
) -> Result<(), Error> {
    let unusable = |what| Application::Unusable { what, reason: "holds a NUL character" };
    let name = CString::new(user).map_err(|_| unusable(Subject::UserName))?;
    if password.is_some_and(|password| password.expose().contains(&0)) {
        return Err(unusable(Subject::Password).into());
    }
    Server::new(hosted, setup)?.set_secret(&name, password, flags, setup)
}

/// One exchange of a server, with all data to which the plugin has pointers.
struct Server {
    plug: ServerPlug,
    context: Cell<*mut c_void>,
    begun: Cell<bool>,
    params: Box<UnsafeCell<ServerParams>>,
    out: Box<UnsafeCell<OutParams>>,
    output: Cell<StepOutput>,
    connection: Owned,
    shared: Arc<Shared>,
    facts: ConnectionFacts,
    binds: bool,
    /// Names and accounts, for a plugin that stores something when its context is disposed of.
    parting: Option<(Config, Arc<dyn Accounts>)>,
    _callbacks: Box<Callback>,
}

// SAFETY: the pointers lead to what this owns or into the plugin, which serves all threads; one thread at a time uses it.
unsafe impl Send for Server {}

impl Drop for Server {
    fn drop(&mut self) {
        let context = self.context.get();
        if let Some(dispose) = self.plug.mech_dispose.filter(|_| !context.is_null()) {
            // SAFETY: the context is the plugin's own, and is not used again.
            let dispose = || self.connection.during(|| unsafe { dispose(context, self.connection.utils()) });
            match &self.parting {
                // OTP releases the lock that it has set in the user's account.
                Some((config, accounts)) => {
                    self.shared.link.lend(Setup { config, accounts: Some(accounts) }, dispose);
                }
                None => dispose(),
            }
        }
    }
}

impl Work for Server {
    fn link(&self) -> &SessionLink {
        &self.shared.link
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
    fn new(hosted: &Hosted, setup: Setup<'_>) -> Result<Server, Error> {
        let config = setup.config;
        let mut facts = ConnectionFacts::of(config, Side::Server)?;
        if !hosted.binds() && !config.offers_binding() {
            // If the plugin had the data, it would refuse clients that correctly say that no -PLUS was offered (RFC 5802 §6).
            facts.forget_binding();
        }
        let plug = hosted.server()?;
        let shared = Shared::new(hosted.computes_with());
        let connection =
            Owned::new(Arc::clone(&hosted.options), Some(journal::log()), Box::new(ServerHooks(Arc::clone(&shared))));
        facts.tell(&connection, hosted.text);
        let callbacks = Box::new(Callback { id: callback::LIST_END, proc: None, context: ptr::null_mut() });
        let params = facts.server(&connection, &raw const *callbacks, utils::canon_user, shared.propctx());
        Ok(Server {
            plug,
            context: Cell::new(ptr::null_mut()),
            begun: Cell::new(false),
            params: Box::new(UnsafeCell::new(params)),
            out: Box::new(UnsafeCell::new(nothing_out())),
            output: Cell::new((code::FAIL, None)),
            connection,
            shared,
            facts,
            binds: hosted.binds(),
            parting: setup.accounts.map(|accounts| (config.names(), Arc::clone(accounts))),
            _callbacks: callbacks,
        })
    }

    /// Calls the plugin's `setpass`.
    fn set_secret(&self, user: &CStr, password: Option<&Secret>, flags: c_uint, setup: Setup<'_>) -> Result<(), Error> {
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
        match self.shared.link.lend(setup, || self.connection.during(call)) {
            code::OK => Ok(()),
            result => Err(self.shared.take_error().unwrap_or_else(|| failed(result, &self.connection))),
        }
    }

    /// Runs a step of the plugin until it returns or asks. `input` is followed by a NUL.
    fn step(self, input: Option<Vec<u8>>, setup: Setup<'_>) -> Result<Step, Error> {
        self.refuse_binding(input.as_deref().unwrap_or_default())?;
        let progress = coroutine::start(self, setup, move |server: &Server| {
            let first = !server.begun.replace(true);
            // An initial response, although the server must send first.
            let early = first && input.is_some() && server.plug.features & feature::SERVER_FIRST != 0;
            let began = match first {
                _ if early => code::BADPROT,
                true => server.begin(),
                false => code::OK,
            };
            server.output.set(match began {
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

    /// Refuses a client's first message that asks for channel binding (GS2 header, RFC 5801 §4) if there is no data. The
    /// plugin never gets such a message: Cyrus SASL's SCRAM before 2.1.28 reads the data anyway (CVE-2026-132138).
    fn refuse_binding(&self, message: &[u8]) -> Result<(), Error> {
        let first = !self.begun.get() && self.plug.features & feature::CHANNEL_BINDING != 0;
        let header = message.strip_prefix(b"F,").unwrap_or(message);
        if first && header.starts_with(b"p=") && self.facts.binding_kind().is_none() {
            return Err(Error::misbehaved("channel binding", PeerMisbehaved::ChannelBindingUnsupported));
        }
        Ok(())
    }

    /// Creates the mechanism's context.
    fn begin(&self) -> c_int {
        let result = self.available();
        if result != code::OK || !self.context.get().is_null() {
            return result;
        }
        let params = self.params.get();
        let mut context = ptr::null_mut();
        let Some(new) = self.plug.mech_new else { return code::FAIL };
        // SAFETY: the types are those of saslplug.h; the parameters live as long as the context.
        let result = unsafe { new(self.plug.glob_context, params, ptr::null(), 0, &mut context) };
        self.context.set(context);
        result
    }

    /// Asks the plugin whether it offers its mechanism on this connection. It may create the context at once.
    fn available(&self) -> c_int {
        let Some(available) = self.plug.mech_avail else { return code::OK };
        let (params, mut context) = (self.params.get(), ptr::null_mut());
        // SAFETY: the types are those of saslplug.h; the parameters live as long as the context.
        let result = unsafe { available(self.plug.glob_context, params, &mut context) };
        self.context.set(context);
        result
    }

    fn call(&self, input: Option<&[u8]>) -> StepOutput {
        let Some(step) = self.plug.mech_step else { return (code::FAIL, None) };
        let (mut out, mut length) = (ptr::null::<c_char>(), 0);
        let (start, count) = input.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len() as c_uint - 1));
        let (context, params, results) = (self.context.get(), self.params.get(), self.out.get());
        // SAFETY: the types are those of saslplug.h; all that is pointed to lives longer than the call.
        let result = unsafe { step(context, params, start, count, &mut out, &mut length, results) };
        // SAFETY: what the plugin sends is its own until it is called again.
        unsafe { step_output(&self.connection, result, out, length) }
    }

    fn returned(self) -> Result<Step, Error> {
        match self.output.take() {
            (code::CONTINUE, out) => Ok(Step::Send(out.unwrap_or_default(), Box::new(AwaitClient(self)))),
            (code::OK, last) => self.end(last),
            (result, _) => Err(match self.shared.take_error() {
                Some(error) => error,
                // The peer must not see whether the user is unknown or the password wrong.
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

    /// Checks that the client's use of channel binding fits what this server has and offers (RFC 5802 §6).
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
            _ if self.binds || self.facts.binding_required() => refused(PeerMisbehaved::MissingBinding),
            disposition::WANT => refused(PeerMisbehaved::Downgrade),
            _ => Ok(()),
        }
    }
}

struct AwaitStart(&'static Hosted);
struct AwaitClient(Server);
struct AwaitAnswer(Suspended<Server>);

impl State for AwaitStart {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let input = match event {
            Event::Received(bytes) => Some(with_nul(bytes)),
            _ => None,
        };
        Server::new(self.0, cx.setup())?.step(input, cx.setup())
    }
}

impl State for AwaitClient {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let input = with_nul(event.received("message")?);
        self.0.step(Some(input), cx.setup())
    }
}

impl State for AwaitAnswer {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let Event::Answered(answer) = event else { return Err(Application::WrongAnswer.into()) };
        Server::went(self.0.answer(answer, cx.setup())?)
    }
}

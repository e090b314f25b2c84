//! A plugin's mechanism as a client. Its prompts become questions to the application.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr};
use std::ptr;
use std::sync::Arc;

use authen_sasl_rust::contract::{
    Abilities, Answer, Context, Description, Established, Event, Next, Property, Question, SecurityFlags, Side, State,
    Step, Values,
};
use authen_sasl_rust::error::{Application, Code, Error, Subject};
use authen_sasl_rust::secret::Secret;

use super::connection::{CallbackReply, Connection, Hooks};
use super::given::{failed, step_output, with_nul, StepOutput};
use super::hosted::Hosted;
use super::journal;
use super::layer::{self, Owner};
use super::names::{self, Names};
use super::owned::Owned;
use super::parameters::{nothing_out, ConnectionFacts};
use super::utils;
use saslplug::{callback, code, disposition, Callback, ClientParams, ClientPlug, Interact, OutParams};

/// The first state of a client.
pub fn begin(hosted: &'static Hosted) -> Next {
    Box::new(AwaitBegin(hosted))
}

/// Maximum number of prompts of a plugin in one exchange.
const PROMPTS: u32 = 8;

/// The prompts that this host supports.
const PROMPTED: [c_ulong; 6] = [
    callback::USER,
    callback::AUTHNAME,
    callback::PASS,
    callback::GETREALM,
    callback::ECHOPROMPT,
    callback::NOECHOPROMPT,
];

/// The properties that are asked for in one question, by the bits of [`property`].
const BATCHES: [&[Property]; 8] = [
    &[],
    &[Property::Authcid],
    &[Property::Authzid],
    &[Property::Authcid, Property::Authzid],
    &[Property::Password],
    &[Property::Authcid, Property::Password],
    &[Property::Authzid, Property::Password],
    &[Property::Authcid, Property::Authzid, Property::Password],
];

/// The property that a prompt asks for, and its bit in [`BATCHES`]. An anonymous mechanism uses the authentication name as
/// its trace.
fn property(id: c_ulong, mechanism: &Description) -> Option<(Property, usize)> {
    let anonymous = !mechanism.security.contains(SecurityFlags::NOANONYMOUS);
    match id {
        callback::AUTHNAME if !anonymous => Some((Property::Authcid, 1)),
        callback::USER | callback::AUTHNAME => Some((Property::Authzid, 2)),
        callback::PASS => Some((Property::Password, 4)),
        _ => None,
    }
}

fn is_challenge(id: c_ulong) -> bool {
    matches!(id, callback::ECHOPROMPT | callback::NOECHOPROMPT)
}

/// True for a prompt that needs a separate question.
fn is_alone(id: c_ulong) -> bool {
    id == callback::GETREALM || is_challenge(id)
}

struct ClientHooks {
    names: Names,
    can: Abilities,
}

impl Hooks for ClientHooks {
    fn callback(&self, id: c_ulong) -> CallbackReply {
        let answered = match id {
            callback::USER | callback::AUTHNAME | callback::GETREALM => true,
            callback::PASS => self.can.contains(Abilities::PASSWORD),
            callback::ECHOPROMPT | callback::NOECHOPROMPT => self.can.contains(Abilities::CHALLENGE),
            _ => false,
        };
        if answered {
            CallbackReply::Interact
        } else {
            CallbackReply::Absent
        }
    }

    fn canon_user(&self, name: &[u8], flags: c_uint, out: &mut OutParams) -> c_int {
        names::trimmed(name).map_or(code::BADPROT, |name| self.names.leave(name, flags, out))
    }
}

/// One exchange of a client, with all data to which the plugin has pointers.
struct Client {
    plug: ClientPlug,
    context: *mut c_void,
    params: Box<UnsafeCell<ClientParams>>,
    out: Box<UnsafeCell<OutParams>>,
    prompts: *mut Interact,
    prompted: u32,
    /// The answers to prompts; the plugin may keep pointers to them.
    results: Vec<Secret>,
    connection: Owned,
    facts: ConnectionFacts,
    hosted: &'static Hosted,
    _callbacks: Box<[Callback]>,
}

// SAFETY: the pointers lead to what this owns or into the plugin, which serves all threads; one thread at a time uses it.
unsafe impl Send for Client {}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(dispose) = self.plug.mech_dispose.filter(|_| !self.context.is_null()) {
            // SAFETY: the context is the plugin's own, and is not used again.
            self.connection.during(|| unsafe { dispose(self.context, self.connection.utils()) });
        }
    }
}

impl Owner for Client {
    fn context(&self) -> *mut c_void {
        self.context
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Client {
    fn new(hosted: &'static Hosted, cx: &Context<'_, '_>) -> Result<Box<Client>, Error> {
        let plug = hosted.client()?;
        let hooks = ClientHooks { names: Names::default(), can: cx.config.abilities };
        let connection = Owned::new(Arc::clone(&hosted.options), Some(journal::log()), Box::new(hooks));
        let facts = ConnectionFacts::of(cx.config, Side::Client)?;
        facts.tell(&connection, hosted.text);
        let mut listed: Vec<Callback> = Vec::new();
        for id in PROMPTED {
            if let CallbackReply::Interact = connection.hooks().callback(id) {
                listed.push(Callback { id, proc: None, context: ptr::null_mut() });
            }
        }
        listed.push(Callback { id: callback::LIST_END, proc: None, context: ptr::null_mut() });
        let callbacks = listed.into_boxed_slice();
        let disposition = match (hosted.binds(), cx.config.binds() && !cx.config.peer_offers_binding) {
            (true, _) => disposition::USED,
            (false, true) => disposition::WANT,
            (false, false) => disposition::NONE,
        };
        let params = facts.client(&connection, callbacks.as_ptr(), utils::canon_user, disposition);
        let mut client = Box::new(Client {
            plug,
            context: ptr::null_mut(),
            params: Box::new(UnsafeCell::new(params)),
            out: Box::new(UnsafeCell::new(nothing_out())),
            prompts: ptr::null_mut(),
            prompted: 0,
            results: Vec::new(),
            connection,
            facts,
            hosted,
            _callbacks: callbacks,
        });
        let Some(new) = plug.mech_new else { return Err(failed(code::FAIL, &client.connection)) };
        let (params, context) = (client.params.get(), &raw mut client.context);
        // SAFETY: the types are those of saslplug.h; the parameters live as long as the context.
        match client.connection.during(|| unsafe { new(plug.glob_context, params, context) }) {
            code::OK => Ok(client),
            result => Err(failed(result, &client.connection)),
        }
    }

    /// Calls the plugin; returns its code and its message. A null pointer means that there is no message.
    fn call(&mut self, input: Option<&[u8]>) -> StepOutput {
        let Some(step) = self.plug.mech_step else { return (code::FAIL, None) };
        let (mut out, mut length) = (ptr::null::<c_char>(), 0);
        let (start, count) = input.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len() as c_uint - 1));
        let (context, params, results, prompts) =
            (self.context, self.params.get(), self.out.get(), &raw mut self.prompts);
        // SAFETY: the types are those of saslplug.h; all that is pointed to lives longer than the call.
        let result = self
            .connection
            .during(|| unsafe { step(context, params, start, count, prompts, &mut out, &mut length, results) });
        // SAFETY: what the plugin sends is its own until it is called again.
        unsafe { step_output(&self.connection, result, out, length) }
    }

    /// One step: `input` is the server's message, followed by a NUL.
    fn step(mut self: Box<Self>, input: Option<Vec<u8>>) -> Result<Step, Error> {
        let first = input.is_none();
        let (result, out) = self.call(input.as_deref());
        match result {
            code::INTERACT if !self.prompts.is_null() && self.prompted < PROMPTS => {
                self.prompted += 1;
                Prompted { client: self, input, values: Values::default(), answers: Vec::new() }.ask()
            }
            code::CONTINUE => Ok(match out {
                None if first => Step::Wait(Box::new(AwaitServer { client: self })),
                out => Step::Send(out.unwrap_or_default(), Box::new(AwaitServer { client: self })),
            }),
            code::OK => self.end(out),
            code::INTERACT if self.prompts.is_null() => {
                Err(Error::outside(Code::Fail, "the plugin prompts without saying for what"))
            }
            code::INTERACT => Err(Error::outside(Code::Fail, "the plugin prompts without end")),
            result => Err(failed(result, &self.connection)),
        }
    }

    fn end(self: Box<Self>, last: Option<Vec<u8>>) -> Result<Step, Error> {
        // SAFETY: the plugin has returned, and its out-parameters are as it has left them.
        let (out, identity) = unsafe { (self.out.get().read(), names::identity(&*self.out.get())) };
        let Some((authcid, authzid)) = identity else {
            return Err(Error::outside(Code::BadProt, "the plugin has ended without both identities (canon_user)"));
        };
        let limits = self.facts.limits();
        let layer = layer::agreed(*self, &out, limits)?;
        Ok(Step::Done(Established { last, authcid, authzid, layer, ..Established::default() }))
    }

    /// True for a value that must not be empty. A client with a Kerberos ticket needs no name.
    fn needs(&self, property: Property) -> bool {
        property == Property::Password || self.hosted.description.client_needs.contains(Abilities(1 << property as u8))
    }

    /// The prompts, up to the end of their list.
    fn prompts(&self) -> impl Iterator<Item = *mut Interact> {
        let first = self.prompts;
        // SAFETY: the list ends with LIST_END (sasl.h); no plugin has a hundred.
        (0..100)
            .map(move |index| unsafe { first.add(index) })
            .take_while(|prompt| unsafe { (**prompt).id } != callback::LIST_END)
    }

    /// Sets the result of a prompt, followed by a NUL.
    fn answer(&mut self, prompt: *mut Interact, value: &[u8]) {
        let kept = Secret::from(with_nul(value));
        // SAFETY: it is one of the list that the plugin has made and waits for.
        unsafe {
            (*prompt).result = kept.expose().as_ptr().cast();
            (*prompt).len = value.len() as c_uint;
        }
        self.results.push(kept);
    }
}

struct AwaitBegin(&'static Hosted);

struct AwaitServer {
    client: Box<Client>,
}

/// The plugin has prompted. The application is asked.
struct Prompted {
    client: Box<Client>,
    /// The input with which the step is repeated.
    input: Option<Vec<u8>>,
    values: Values,
    /// The answers to prompts with separate questions, in the order of the prompts.
    answers: Vec<Option<Secret>>,
}

struct AwaitValues(Option<Prompted>);
struct AwaitOne(Option<Prompted>);

impl State for AwaitBegin {
    fn step(self: Box<Self>, event: Event<'_>, cx: &mut Context<'_, '_>) -> Result<Step, Error> {
        let input = match event {
            Event::Received(bytes) => Some(with_nul(bytes)),
            _ => None,
        };
        Client::new(self.0, cx)?.step(input)
    }
}

impl State for AwaitServer {
    fn step(self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let input = with_nul(event.received("message")?);
        self.client.step(Some(input))
    }
}

impl Prompted {
    fn ask(self) -> Result<Step, Error> {
        let mechanism = &self.client.hosted.description;
        // SAFETY: as in `Client::prompts`.
        let bits = |prompt: *mut Interact| property(unsafe { (*prompt).id }, mechanism).map_or(0, |(_, bit)| bit);
        let wanted = self.client.prompts().fold(0, |all, prompt| all | bits(prompt));
        if wanted == 0 {
            return self.ask_next();
        }
        Ok(Step::Ask(Question::Values(BATCHES[wanted]), Box::new(AwaitValues(Some(self)))))
    }

    /// Asks a separate question: for a realm, or the answer to a challenge.
    fn ask_next(self) -> Result<Step, Error> {
        // SAFETY: as in `Client::prompts`.
        let alone = |prompt: &*mut Interact| unsafe { is_alone((**prompt).id) };
        let Some(prompt) = self.client.prompts().filter(alone).nth(self.answers.len()) else { return self.go_on() };
        // SAFETY: as in `Client::prompts`; the texts of a prompt end in a NUL.
        let question = unsafe {
            let prompt = &*prompt;
            let words = |start| text(start).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
            match prompt.id {
                callback::GETREALM => Question::Realm { offered: offered(prompt) },
                id => Question::Challenge {
                    challenge: words(prompt.challenge),
                    prompt: words(prompt.prompt),
                    echo: id == callback::ECHOPROMPT,
                },
            }
        };
        Ok(Step::Ask(question, Box::new(AwaitOne(Some(self)))))
    }

    /// Repeats the step with the answers.
    fn go_on(mut self) -> Result<Step, Error> {
        let prompts: Vec<*mut Interact> = self.client.prompts().collect();
        let mut answers = std::mem::take(&mut self.answers).into_iter();
        for prompt in prompts {
            // SAFETY: as in `Client::prompts`; its texts end in a NUL.
            let (id, default) = unsafe { ((*prompt).id, text((*prompt).defresult)) };
            let asked = property(id, &self.client.hosted.description).map(|(property, _)| property);
            let given = match asked {
                Some(property) => self.values.take(property),
                None if is_alone(id) => answers.next().flatten(),
                None => None,
            };
            match (given.or(default.map(Secret::from)), asked) {
                (Some(value), _) => self.client.answer(prompt, value.expose()),
                (None, Some(property)) if self.client.needs(property) => {
                    self.give_up();
                    return Err(Application::Missing(property.into()).into());
                }
                (None, _) if is_challenge(id) => {
                    self.give_up();
                    return Err(Application::Missing(Subject::ChallengeAnswer).into());
                }
                (None, _) => self.client.answer(prompt, b""),
            }
        }
        let Prompted { client, input, .. } = self;
        client.step(input)
    }

    /// There is no answer. The step is repeated with empty answers, since a plugin frees its prompts only there.
    fn give_up(mut self) {
        let prompts: Vec<*mut Interact> = self.client.prompts().collect();
        for prompt in prompts {
            self.client.answer(prompt, b"");
        }
        self.client.call(self.input.as_deref());
    }
}

impl State for AwaitValues {
    fn step(mut self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let values = event.values()?;
        let prompted = self.0.take().ok_or(Application::WrongAnswer)?;
        Prompted { values, ..prompted }.ask_next()
    }
}

impl State for AwaitOne {
    fn step(mut self: Box<Self>, event: Event<'_>, _: &mut Context<'_, '_>) -> Result<Step, Error> {
        let answer = match event {
            Event::Answered(Answer::Text(realm)) => realm.map(Secret::from),
            event => event.credential()?,
        };
        let mut prompted = self.0.take().ok_or(Application::WrongAnswer)?;
        prompted.answers.push(answer);
        prompted.ask_next()
    }
}

impl Drop for AwaitValues {
    fn drop(&mut self) {
        if let Some(prompted) = self.0.take() {
            prompted.give_up();
        }
    }
}

impl Drop for AwaitOne {
    fn drop(&mut self) {
        if let Some(prompted) = self.0.take() {
            prompted.give_up();
        }
    }
}

/// The realms of a prompt, which has them as `{one, two}`, or the default one.
///
/// # Safety
/// The texts end in a NUL.
unsafe fn offered(prompt: &Interact) -> Vec<String> {
    // SAFETY: the caller's promise.
    let (listed, default) = unsafe { (text(prompt.challenge), text(prompt.defresult)) };
    let listed = String::from_utf8_lossy(listed.as_deref().unwrap_or_default()).into_owned();
    let inner = listed.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match inner {
        Some(inner) => inner.split(", ").map(str::to_owned).collect(),
        None => default.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned()).collect(),
    }
}

/// # Safety
/// The text is null or ends in a NUL.
unsafe fn text(start: *const c_char) -> Option<Vec<u8>> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { CStr::from_ptr(start) }.to_bytes().to_vec())
}

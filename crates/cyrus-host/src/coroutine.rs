//! A server plugin calls callbacks within its step: for a password, a verdict, a canonical name. The application answers
//! only between steps, perhaps much later. So the step runs on a stack of its own, and a callback suspends that stack until
//! there is an answer.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use authen_sasl_rust::accounts::Accounts;
use authen_sasl_rust::config::Config;
use authen_sasl_rust::contract::{Answer, Question, Setup};
use authen_sasl_rust::error::{Error, Misuse};

use super::connection::{Connection, Entered};

/// Virtual memory of a stack, in bytes. Pages that are not used take no memory. Kerberos and name services, which plugins
/// call, need more than a plugin itself.
const STACK: usize = 1 << 20;

/// Maximum number of stacks that are kept for later exchanges.
const SPARE: usize = 16;

static SPARES: Mutex<Vec<DefaultStack>> = Mutex::new(Vec::new());

/// The value with which a step is started or resumed.
struct Resume {
    /// `None` at the beginning, and if the exchange was dropped.
    answer: Option<Answer>,
    /// `None` if the exchange was dropped.
    setup: Option<Lent>,
}

/// The setup of the connection, lent for one step.
#[derive(Clone, Copy)]
struct Lent {
    config: NonNull<Config>,
    accounts: Option<NonNull<Arc<dyn Accounts>>>,
}

impl From<Setup<'_>> for Lent {
    fn from(setup: Setup<'_>) -> Self {
        Lent { config: NonNull::from(setup.config), accounts: setup.accounts.map(NonNull::from) }
    }
}

/// A callback's link to the session: the connection's options, and a way to ask the application. It is connected only while
/// a step runs.
#[derive(Default)]
pub struct SessionLink {
    yielder: Cell<Option<NonNull<Yielder<Resume, Question>>>>,
    setup: Cell<Option<Lent>>,
}

// SAFETY: the pointers are set only while a step runs, and a step runs in one thread.
unsafe impl Send for SessionLink {}

impl SessionLink {
    /// Reads the setup of the connection. It may have changed after the next question.
    pub fn with_setup<T>(&self, look: impl FnOnce(Setup<'_>) -> T) -> Option<T> {
        self.setup.get().map(|lent| {
            // SAFETY: whoever runs the step lends them until it returns or asks.
            look(unsafe { Setup { config: lent.config.as_ref(), accounts: lent.accounts.map(|one| one.as_ref()) } })
        })
    }

    /// Lends the setup to code that runs without a stack of its own, and so cannot ask.
    pub fn lend<T>(&self, setup: Setup<'_>, work: impl FnOnce() -> T) -> T {
        self.connected(None, Some(setup.into()), work)
    }

    /// Suspends the plugin's step until the application has answered. `None` if there will be no answer: the plugin then gets
    /// SASL_FAIL.
    pub fn ask(&self, question: Question) -> Option<Answer> {
        let yielder = self.yielder.get()?;
        // SAFETY: `connected` removes the pointer before the yielder is dropped, and a callback runs on the
        // yielder's own stack.
        let reply = unsafe { yielder.as_ref() }.suspend(question);
        self.setup.set(reply.setup);
        if reply.answer.is_none() {
            self.yielder.set(None);
        }
        reply.answer
    }

    fn connected<T>(
        &self,
        yielder: Option<&Yielder<Resume, Question>>,
        setup: Option<Lent>,
        work: impl FnOnce() -> T,
    ) -> T {
        struct Disconnect<'a>(&'a SessionLink);
        impl Drop for Disconnect<'_> {
            fn drop(&mut self) {
                self.0.yielder.set(None);
                self.0.setup.set(None);
            }
        }
        self.yielder.set(yielder.map(NonNull::from));
        self.setup.set(setup);
        let _disconnect = Disconnect(self);
        work()
    }
}

/// The state of a step that has left its stack.
pub enum Progress<T: Work> {
    /// It asks a question.
    Asks(Question, Suspended<T>),
    /// It has returned.
    Done(T),
}

/// Everything that a step works on, including its result. The step owns it while it runs, and then returns it.
pub trait Work: 'static {
    /// Its callbacks' link to the session.
    fn link(&self) -> &SessionLink;
    /// The connection on whose behalf the plugin is called.
    fn connection(&self) -> &Connection;
}

type Running<T> = Coroutine<Resume, Question, T, DefaultStack>;

/// A step that waits for an answer. If it is dropped, it gets no answer and runs until it returns: the stack frames of a
/// plugin cannot be unwound.
pub struct Suspended<T: Work> {
    running: Option<Running<T>>,
    connection: *const Connection,
}

// SAFETY: a plugin's step may continue in another thread than the one that began it: it is suspended only within its calls
// into the host, holds no lock of the host there, and libsasl2 does not guarantee plugins a thread either.
unsafe impl<T: Work + Send> Send for Suspended<T> {}

/// Runs `step` until it returns or asks.
///
/// # Errors
/// [`Error::System`] if there is no memory for a stack.
pub fn start<T: Work>(work: T, setup: Setup<'_>, step: impl FnOnce(&T) + 'static) -> Result<Progress<T>, Error> {
    let connection = std::ptr::from_ref(work.connection());
    let running = Coroutine::with_stack(stack()?, move |yielder: &Yielder<Resume, Question>, begin: Resume| {
        work.link().connected(Some(yielder), begin.setup, || step(&work));
        work
    });
    Ok(go_on(running, connection, Resume { answer: None, setup: Some(setup.into()) }))
}

fn go_on<T: Work>(mut running: Running<T>, connection: *const Connection, reply: Resume) -> Progress<T> {
    // Here, and not on the coroutine's stack: the current connection must not stay set while the step is suspended.
    let entered = Entered::new(connection);
    let result = running.resume(reply);
    drop(entered);
    match result {
        CoroutineResult::Yield(question) => Progress::Asks(question, Suspended { running: Some(running), connection }),
        CoroutineResult::Return(work) => {
            give_back(running.into_stack());
            Progress::Done(work)
        }
    }
}

impl<T: Work> Suspended<T> {
    /// Continues with the answer.
    ///
    /// # Errors
    /// [`Misuse::Busy`] in theory only: a step that was answered no longer exists.
    pub fn answer(mut self, answer: Answer, setup: Setup<'_>) -> Result<Progress<T>, Error> {
        let running = self.running.take().ok_or(Error::Misuse(Misuse::Busy))?;
        Ok(go_on(running, self.connection, Resume { answer: Some(answer), setup: Some(setup.into()) }))
    }
}

impl<T: Work> Drop for Suspended<T> {
    fn drop(&mut self) {
        let mut running = self.running.take();
        while let Some(left) = running.take() {
            let dropped = Resume { answer: None, setup: None };
            match go_on(left, self.connection, dropped) {
                Progress::Asks(_, mut suspended) => running = suspended.running.take(),
                Progress::Done(work) => drop(work),
            }
        }
    }
}

fn stack() -> Result<DefaultStack, Error> {
    // Another thread may have held the lock when this process was forked, so never wait for it.
    if let Some(stack) = SPARES.try_lock().ok().and_then(|mut spares| spares.pop()) {
        return Ok(stack);
    }
    DefaultStack::new(STACK).map_err(|_| Error::System("there is no memory for a plugin's stack"))
}

fn give_back(stack: DefaultStack) {
    if let Ok(mut spares) = SPARES.try_lock() {
        if spares.len() < SPARE {
            spares.push(stack);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;

    use super::super::connection::NoHooks;
    use super::super::owned::Owned;
    use super::*;

    fn begin(talk: Talk, step: impl FnOnce(&Talk) + 'static) -> Progress<Talk> {
        start(talk, Setup::of(&Config::default()), step).unwrap()
    }

    fn go_on(suspended: Suspended<Talk>, text: &str) -> Progress<Talk> {
        suspended.answer(Answer::Text(Some(text.into())), Setup::of(&Config::default())).unwrap()
    }

    struct Talk {
        link: SessionLink,
        connection: Owned,
        heard: Rc<RefCell<Vec<String>>>,
    }

    impl Work for Talk {
        fn link(&self) -> &SessionLink {
            &self.link
        }

        fn connection(&self) -> &Connection {
            &self.connection
        }
    }

    impl Talk {
        fn new() -> (Self, Rc<RefCell<Vec<String>>>) {
            let heard = Rc::default();
            let connection = Owned::new(Arc::default(), None, Box::new(NoHooks));
            (Talk { link: SessionLink::default(), connection, heard: Rc::clone(&heard) }, heard)
        }

        fn ask(&self) -> bool {
            let answer = self.link.ask(Question::Realm { offered: vec![] });
            let text = match &answer {
                Some(Answer::Text(Some(text))) => text.clone(),
                Some(_) => "something".into(),
                None => "nothing".into(),
            };
            self.heard.borrow_mut().push(text);
            answer.is_some()
        }
    }

    fn suspended(progress: Progress<Talk>) -> Suspended<Talk> {
        match progress {
            Progress::Asks(_, suspended) => suspended,
            Progress::Done(_) => panic!("it has returned"),
        }
    }

    #[test]
    fn a_step_asks_twice_and_returns() {
        let (talk, heard) = Talk::new();
        let first = suspended(begin(talk, |talk| while talk.heard.borrow().len() < 2 && talk.ask() {}));
        let second = suspended(go_on(first, "one"));
        assert!(matches!(go_on(second, "two"), Progress::Done(_)));
        assert_eq!(*heard.borrow(), ["one", "two"]);
    }

    #[test]
    fn a_dropped_step_runs_to_its_end_and_hears_nothing() {
        let (talk, heard) = Talk::new();
        let three_times = |talk: &Talk| {
            for _ in 0..3 {
                talk.ask();
            }
            assert_eq!(talk.link.with_setup(|_| ()), None, "nobody lends options any more");
        };
        let first = suspended(begin(talk, three_times));
        drop(suspended(go_on(first, "one")));
        assert_eq!(*heard.borrow(), ["one", "nothing", "nothing"]);
        assert_eq!(Rc::strong_count(&heard), 1, "what the step worked on was dropped");
    }

    #[test]
    fn options_are_lent_for_the_time_of_a_step() {
        let (talk, _) = Talk::new();
        assert_eq!(talk.link.with_setup(|_| ()), None);
        let first = suspended(begin(talk, |talk| {
            assert_eq!(talk.link.with_setup(|setup| setup.config.iterations), Some(None));
            talk.ask();
            assert_eq!(talk.link.with_setup(|setup| setup.config.iterations), Some(Some(5000)));
        }));
        let mut other = Config::default();
        other.iterations = Some(5000);
        assert!(matches!(first.answer(Answer::Verdict(true), Setup::of(&other)).unwrap(), Progress::Done(_)));
    }

    #[test]
    fn outside_a_step_nobody_answers() {
        let (talk, heard) = Talk::new();
        assert!(!talk.ask());
        let Progress::Done(talk) = begin(talk, |_| ()) else { panic!("it asks") };
        assert!(!talk.ask());
        assert_eq!(*heard.borrow(), ["nothing", "nothing"]);
    }

    #[test]
    fn a_panic_on_the_stack_arrives_where_it_can_be_caught() {
        let (talk, _) = Talk::new();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            begin(talk, |_| panic!("a defect"));
        }));
        assert!(caught.is_err());
    }
}

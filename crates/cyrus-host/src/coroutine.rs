//! A server plugin calls back while it is inside its step: for a password, a verdict, a canonical name.
//! The application answers between steps only, perhaps much later. So the step runs on a stack of its own,
//! and the callback leaves that stack as it is until there is an answer.

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

/// Virtual memory of a stack, in bytes; the pages that nobody touches cost nothing. Kerberos and name
/// services below a plugin need more than a plugin itself.
const STACK: usize = 1 << 20;

/// Stacks that are kept for the next exchange, at most.
const SPARE: usize = 16;

static SPARES: Mutex<Vec<DefaultStack>> = Mutex::new(Vec::new());

/// What a step is started or resumed with.
struct Resume {
    /// `None` at the beginning, and where the exchange was dropped.
    answer: Option<Answer>,
    /// `None` where the exchange was dropped.
    setup: Option<Lent>,
}

/// How the connection is set up, lent for the time of a step.
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

/// A callback's link to the session: the connection's options, and the application to ask. There is nothing at its other end
/// unless a step runs.
#[derive(Default)]
pub struct SessionLink {
    yielder: Cell<Option<NonNull<Yielder<Resume, Question>>>>,
    setup: Cell<Option<Lent>>,
}

// SAFETY: the pointers are there while a step runs only, and a step runs in one thread.
unsafe impl Send for SessionLink {}

impl SessionLink {
    /// Looks at how the connection is set up. It may be set up otherwise after the next question.
    pub fn with_setup<T>(&self, look: impl FnOnce(Setup<'_>) -> T) -> Option<T> {
        self.setup.get().map(|lent| {
            // SAFETY: whoever runs the step lends them until it returns or asks.
            look(unsafe { Setup { config: lent.config.as_ref(), accounts: lent.accounts.map(|one| one.as_ref()) } })
        })
    }

    /// Lends the setup to what runs without a stack of its own, and so cannot ask.
    pub fn lend<T>(&self, setup: Setup<'_>, work: impl FnOnce() -> T) -> T {
        self.connected(None, Some(setup.into()), work)
    }

    /// Leaves the plugin's step until the application has answered. `None` if nobody will: the plugin
    /// then hears SASL_FAIL.
    pub fn ask(&self, question: Question) -> Option<Answer> {
        let yielder = self.yielder.get()?;
        // SAFETY: `connected` takes the pointer away before the yielder goes, and a callback runs on the
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

/// The state of a step when it leaves its stack.
pub enum Progress<T: Work> {
    /// It asks.
    Asks(Question, Suspended<T>),
    /// It has returned.
    Done(T),
}

/// All that a step works on, its result included: owned by the step while it runs, and given back.
pub trait Work: 'static {
    /// Its callbacks' link to the session.
    fn link(&self) -> &SessionLink;
    /// The connection on whose behalf the plugin is called.
    fn connection(&self) -> &Connection;
}

type Running<T> = Coroutine<Resume, Question, T, DefaultStack>;

/// A step that waits for an answer. When it is dropped, it gets no answer and runs until it returns: a plugin's frames
/// cannot be unwound.
pub struct Suspended<T: Work> {
    running: Option<Running<T>>,
    connection: *const Connection,
}

// SAFETY: a plugin's step may go on in another thread than it began in: it is left within calls of its own into the
// host only, holds none of the host's locks there, and libsasl2 promises plugins no thread either.
unsafe impl<T: Work + Send> Send for Suspended<T> {}

/// Runs `step` on what it works on, until it returns or asks.
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
    // Here, and not on the coroutine's stack: what is current must not stay so while the step is left.
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
    /// Goes on with the answer.
    ///
    /// # Errors
    /// [`Misuse::Busy`] never comes, since a step that was answered is gone.
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
    // Another thread may have been in here when this process was forked: never wait.
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
            assert_eq!(talk.link.with_setup(|setup| setup.config.iterations), Some(4096));
            talk.ask();
            assert_eq!(talk.link.with_setup(|setup| setup.config.iterations), Some(5000));
        }));
        let mut other = Config::default();
        other.iterations = 5000;
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

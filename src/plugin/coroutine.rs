//! A server plugin calls back while it is inside its step: for a password, a verdict, a canonical name.
//! The application answers between steps only, perhaps much later. So the step runs on a stack of its own,
//! and the call back leaves that stack as it is until there is an answer.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Mutex;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::contract::{Answer, Question};
use crate::error::{Error, Misuse};

/// Virtual memory of a stack, in bytes; the pages that nobody touches cost nothing. Kerberos and name
/// services below a plugin need more than a plugin itself.
const STACK: usize = 1 << 20;

/// Stacks that are kept for the next exchange, at most.
const SPARE: usize = 16;

static SPARES: Mutex<Vec<DefaultStack>> = Mutex::new(Vec::new());

/// `None` stands for the end of an exchange that was dropped.
type Reply = Option<Answer>;

/// Where a call back asks the application. It leads nowhere unless a step runs in [`start`].
#[derive(Default)]
pub struct Line {
    yielder: Cell<Option<NonNull<Yielder<Reply, Question>>>>,
    dropped: Cell<bool>,
}

impl Line {
    /// Leaves the plugin's step until the application has answered. `None` if nobody will: the plugin
    /// then hears SASL_FAIL.
    pub fn ask(&self, question: Question) -> Option<Answer> {
        let yielder = self.yielder.get().filter(|_| !self.dropped.get())?;
        // SAFETY: `connected` takes the pointer away before the yielder goes, and a call back runs on the
        // yielder's own stack.
        let reply = unsafe { yielder.as_ref() }.suspend(question);
        self.dropped.set(reply.is_none());
        reply
    }

    /// Runs a step whose call backs may ask.
    fn connected<T>(&self, yielder: &Yielder<Reply, Question>, step: impl FnOnce() -> T) -> T {
        struct Hangup<'a>(&'a Line);
        impl Drop for Hangup<'_> {
            fn drop(&mut self) {
                self.0.yielder.set(None);
            }
        }
        self.yielder.set(Some(NonNull::from(yielder)));
        let _hangup = Hangup(self);
        step()
    }
}

/// What a step has come to.
pub enum Progress<T: Work> {
    /// It asks.
    Asks(Question, Suspended<T>),
    /// It has returned.
    Done(T),
}

/// All that a step works on, its result included: owned by the step while it runs, and given back.
pub trait Work: 'static {
    /// Where its call backs ask.
    fn line(&self) -> &Line;
}

/// A step that waits for an answer. Dropped, it is told so, and runs on to its return: a plugin's frames cannot be unwound.
pub struct Suspended<T: Work>(Option<Coroutine<Reply, Question, T, DefaultStack>>);

// SAFETY: a plugin's step may go on in another thread than it began in: it is left within calls of its own into the
// host only, holds none of the host's locks there, and libsasl2 promises plugins no thread either.
unsafe impl<T: Work + Send> Send for Suspended<T> {}

/// Runs `step` on what it works on, until it returns or asks.
///
/// # Errors
/// [`Error::System`] if there is no memory for a stack.
pub fn start<T: Work>(work: T, step: impl FnOnce(&T) + 'static) -> Result<Progress<T>, Error> {
    let coroutine = Coroutine::with_stack(stack()?, move |yielder: &Yielder<Reply, Question>, _: Reply| {
        work.line().connected(yielder, || step(&work));
        work
    });
    Ok(go_on(coroutine, None))
}

fn go_on<T: Work>(mut coroutine: Coroutine<Reply, Question, T, DefaultStack>, reply: Reply) -> Progress<T> {
    match coroutine.resume(reply) {
        CoroutineResult::Yield(question) => Progress::Asks(question, Suspended(Some(coroutine))),
        CoroutineResult::Return(work) => {
            give_back(coroutine.into_stack());
            Progress::Done(work)
        }
    }
}

impl<T: Work> Suspended<T> {
    /// Goes on with the answer.
    ///
    /// # Errors
    /// [`Misuse::Busy`] never comes, since a step that was answered is gone.
    pub fn answer(mut self, answer: Answer) -> Result<Progress<T>, Error> {
        let coroutine = self.0.take().ok_or(Error::Misuse(Misuse::Busy))?;
        Ok(go_on(coroutine, Some(answer)))
    }
}

impl<T: Work> Drop for Suspended<T> {
    fn drop(&mut self) {
        let Some(mut coroutine) = self.0.take() else { return };
        while !coroutine.done() {
            if let CoroutineResult::Return(work) = coroutine.resume(None) {
                drop(work);
            }
        }
        give_back(coroutine.into_stack());
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

    use super::*;

    struct Talk {
        line: Line,
        heard: Rc<RefCell<Vec<String>>>,
    }

    impl Work for Talk {
        fn line(&self) -> &Line {
            &self.line
        }
    }

    impl Talk {
        fn new() -> (Self, Rc<RefCell<Vec<String>>>) {
            let heard = Rc::default();
            (Talk { line: Line::default(), heard: Rc::clone(&heard) }, heard)
        }

        fn ask(&self) -> bool {
            let answer = self.line.ask(Question::Realm { offered: vec![] });
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

    fn say(text: &str) -> Answer {
        Answer::Text(Some(text.into()))
    }

    #[test]
    fn a_step_asks_twice_and_returns() {
        let (talk, heard) = Talk::new();
        let first = suspended(start(talk, |talk| while talk.heard.borrow().len() < 2 && talk.ask() {}).unwrap());
        let second = suspended(first.answer(say("one")).unwrap());
        assert!(matches!(second.answer(say("two")).unwrap(), Progress::Done(_)));
        assert_eq!(*heard.borrow(), ["one", "two"]);
    }

    #[test]
    fn a_dropped_step_runs_to_its_end_and_hears_nothing() {
        let (talk, heard) = Talk::new();
        let first = suspended(
            start(talk, |talk| {
                for _ in 0..3 {
                    talk.ask();
                }
            })
            .unwrap(),
        );
        drop(suspended(first.answer(say("one")).unwrap()));
        assert_eq!(*heard.borrow(), ["one", "nothing", "nothing"]);
        assert_eq!(Rc::strong_count(&heard), 1, "what the step worked on was dropped");
    }

    #[test]
    fn outside_a_step_nobody_answers() {
        let (talk, heard) = Talk::new();
        assert!(!talk.ask());
        let Ok(Progress::Done(talk)) = start(talk, |_| ()) else { panic!("it asks") };
        assert!(!talk.ask());
        assert_eq!(*heard.borrow(), ["nothing", "nothing"]);
    }

    #[test]
    fn a_panic_on_the_stack_arrives_where_it_can_be_caught() {
        let (talk, _) = Talk::new();
        let caught =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(start(talk, |_| panic!("a defect")))));
        assert!(caught.is_err());
    }
}

//! What all engines share: a thread of their own, a deadline for each look-up, a limit of how many at once, one question for all who
//! ask for the same user, and the answers of the last seconds.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use authen_sasl_rust::contract::NAME_LIMIT;
use authen_sasl_rust::secret::Secret;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch, Semaphore};
use tokio::time::{sleep_until, timeout};

use crate::account::{Account, Answer, Unavailable};
use crate::cache::Cache;
use crate::engine::Engine;
use crate::figures::Figures;
use crate::settings::StoreSettings;

/// Accounts in a server. Its thread ends when this is dropped, with what is under way.
pub struct Store {
    shared: Arc<Shared>,
    runtime: Handle,
    /// Tells the thread to end when it is dropped.
    _running: watch::Sender<()>,
}

struct Shared {
    engine: Box<dyn Engine>,
    deadline: Duration,
    permits: Semaphore,
    figures: OnceLock<Arc<Figures>>,
    known: Mutex<Known>,
}

struct Known {
    cache: Cache,
    /// Whether a task removes answers when they end. One is enough, however many names are asked for.
    is_purged: bool,
    /// Who waits for the answers to the questions that are being asked.
    asked: HashMap<Arc<str>, Vec<oneshot::Sender<Answer>>>,
}

/// A question that is being asked. Whoever waits for its answer learns it, or at least that there will be none.
struct Flight {
    shared: Arc<Shared>,
    name: Arc<str>,
    has_landed: bool,
}

impl Store {
    /// Starts the thread. Nothing is asked yet.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(engine: impl Engine, settings: &StoreSettings) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (_running, mut running) = watch::channel(());
        std::thread::Builder::new().name("accounts".into()).spawn(move || {
            // Nothing is ever sent: this returns when the sender is dropped.
            let _ = runtime.block_on(running.changed());
            runtime.shutdown_background();
        })?;
        Ok(Store { shared: Arc::new(Shared::new(engine, settings)), runtime: handle, _running })
    }

    /// Counts into these figures from now on, unless it counts already.
    pub fn count_into(&self, figures: &Arc<Figures>) {
        let _ = self.shared.figures.set(figures.clone());
    }

    /// The account of a user, `None` if there is no such user. `name` is prepared with SASLprep.
    pub fn find(&self, name: &str) -> impl Future<Output = Answer> + Send + 'static + use<> {
        let asked = self.ask(name);
        async move {
            match asked {
                Ok(answer) => Ok(answer),
                Err(waiting) => waiting.await.unwrap_or_else(|_| Err(Unavailable::new("the question was given up"))),
            }
        }
    }

    /// The answer, if it is known, or else where it will arrive.
    fn ask(&self, name: &str) -> Result<Option<Arc<Account>>, oneshot::Receiver<Answer>> {
        if !can_exist(name) {
            return Ok(None);
        }
        let mut known = self.shared.known();
        if let Some(answer) = known.cache.get(name, Instant::now()) {
            return Ok(answer);
        }
        let (sender, receiver) = oneshot::channel();
        match known.asked.get_mut(name) {
            Some(waiting) => waiting.push(sender),
            None => {
                let name: Arc<str> = name.into();
                known.asked.insert(name.clone(), vec![sender]);
                self.runtime.spawn(Flight { shared: self.shared.clone(), name, has_landed: false }.fly());
            }
        }
        Err(receiver)
    }

    /// True if the server checks passwords itself and shows no verifiers.
    pub fn checks_passwords(&self) -> bool {
        self.shared.engine.checks_passwords()
    }

    /// Whether [`Store::find`] tells who exists and who is disabled.
    pub fn knows_users(&self) -> bool {
        self.shared.engine.knows_users()
    }

    /// Lets the server check a password: the user's account; `None` if the user is unknown or disabled, or the password is wrong. The
    /// answer is not kept.
    pub fn check(&self, name: &str, password: Secret) -> impl Future<Output = Answer> + Send + 'static + use<> {
        let (shared, name) = (self.shared.clone(), name.to_owned());
        let checked = can_exist(&name).then(|| {
            let check = async move { shared.limited(shared.engine.check(&name, &password)).await.map(shared_account) };
            self.runtime.spawn(check)
        });
        async move {
            match checked {
                None => Ok(None),
                Some(checked) => checked.await.unwrap_or_else(|_| Err(Unavailable::new("the question was given up"))),
            }
        }
    }

    /// Gives a user a stronger verifier, if the user still has `stored`. Returns whether it was stored.
    pub fn strengthen(
        &self,
        name: &str,
        verifier: Secret,
        stored: Secret,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send + 'static + use<> {
        let (shared, name) = (self.shared.clone(), name.to_owned());
        let done = self.runtime.spawn(async move {
            let stored = shared.limited(shared.engine.strengthen(&name, &verifier, &stored)).await;
            if matches!(stored, Ok(true)) {
                shared.known().cache.remove(&name);
            }
            stored
        });
        async move { done.await.unwrap_or_else(|_| Err(Unavailable::new("the question was given up"))) }
    }

    /// Whether the server can be asked, and has what the settings say.
    pub fn probe(&self) -> impl Future<Output = Result<(), Unavailable>> + Send + 'static + use<> {
        let shared = self.shared.clone();
        let probed = self.runtime.spawn(async move {
            timeout(shared.deadline, shared.engine.probe()).await.unwrap_or_else(|_| Err(shared.late()))
        });
        async move { probed.await.unwrap_or_else(|_| Err(Unavailable::new("the question was given up"))) }
    }

    /// The same for a caller who may wait.
    ///
    /// # Errors
    /// Why not.
    pub fn probe_blocking(&self) -> Result<(), Unavailable> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let probed = self.probe();
        self.runtime.spawn(async move {
            let _ = sender.send(probed.await);
        });
        receiver.recv().unwrap_or_else(|_| Err(Unavailable::new("the question was given up")))
    }
}

/// Whether a server can have a user of this name: no text of theirs contains NUL.
fn can_exist(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_LIMIT && !name.contains('\0')
}

impl Shared {
    fn new(engine: impl Engine, settings: &StoreSettings) -> Self {
        Shared {
            engine: Box::new(engine),
            deadline: settings.deadline(),
            permits: Semaphore::new(settings.at_once),
            figures: OnceLock::new(),
            known: Mutex::new(Known { cache: Cache::new(settings.cached()), is_purged: false, asked: HashMap::new() }),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic leaves no half-changed data here.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> Unavailable {
        Unavailable::new(format!("no answer within {} s", self.deadline.as_secs_f64()))
    }

    /// Asks a question when it is its turn, and counts it. The wait is part of the time that it may take.
    async fn limited<T>(&self, question: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let begin = Instant::now();
        let asked = async {
            // It is never closed.
            let _permit = self.permits.acquire().await;
            question.await
        };
        let answer = timeout(self.deadline, asked).await.unwrap_or_else(|_| Err(self.late()));
        if let Some(figures) = self.figures.get() {
            figures.observe(begin.elapsed(), answer.is_err());
        }
        answer
    }

    /// Removes answers when they end, so that no verifier stays longer than it is used. Returns when there are none.
    async fn purge(&self) {
        while let Some(end) = self.purge_ended() {
            sleep_until(end.into()).await;
        }
    }

    /// Removes the answers that have ended, and returns when the next one does.
    fn purge_ended(&self) -> Option<Instant> {
        let mut known = self.known();
        let next = known.cache.purge(Instant::now());
        known.is_purged = next.is_some();
        next
    }
}

fn shared_account(account: Option<Account>) -> Option<Arc<Account>> {
    account.map(Arc::new)
}

impl Flight {
    async fn fly(self) {
        let answer = self.shared.limited(self.shared.engine.find(&self.name)).await.map(shared_account);
        let shared = self.shared.clone();
        self.land(answer);
        if !std::mem::replace(&mut shared.known().is_purged, true) {
            tokio::spawn(async move { shared.purge().await });
        }
    }

    fn land(mut self, answer: Answer) {
        self.has_landed = true;
        let mut known = self.shared.known();
        if let Ok(account) = &answer {
            known.cache.insert(self.name.clone(), account.clone(), Instant::now());
        }
        let waiting = known.asked.remove(&self.name).unwrap_or_default();
        drop(known);
        for sender in waiting {
            // Who has gone needs no answer.
            let _ = sender.send(answer.clone());
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Once this one has landed, the next one of this name may be under way.
        if !self.has_landed {
            self.shared.known().asked.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::Asking;

    /// Knows fred, is slow for "slow", fails for "broken", panics for "panic".
    #[derive(Default)]
    struct Trial(Arc<AtomicUsize>);

    impl Engine for Trial {
        fn find<'a>(&'a self, name: &'a str) -> Asking<'a, Option<Account>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                match name {
                    "fred" => Ok(Some(Account::default())),
                    "broken" => Err(Unavailable::new("broken")),
                    "slow" => std::future::pending().await,
                    "panic" => panic!("on purpose"),
                    _ => Ok(None),
                }
            })
        }

        fn probe(&self) -> Asking<'_, ()> {
            Box::pin(async { Ok(()) })
        }

        fn check<'a>(&'a self, name: &'a str, password: &'a Secret) -> Asking<'a, Option<Account>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { Ok((name == "fred" && password.ct_eq(b"pencil")).then(Account::default)) })
        }
    }

    fn store(settings: StoreSettings) -> (Store, Arc<AtomicUsize>, Arc<Figures>) {
        let trial = Trial::default();
        let (asked, figures) = (trial.0.clone(), Arc::new(Figures::default()));
        let store = Store::start(trial, &settings).unwrap();
        store.count_into(&figures);
        (store, asked, figures)
    }

    #[tokio::test]
    async fn answers_are_used_again_but_errors_are_not() {
        let (store, asked, figures) = store(StoreSettings::default());
        for _ in 0..3 {
            assert!(store.find("fred").await.unwrap().is_some());
            assert!(store.find("nobody").await.unwrap().is_none());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        // Each error is followed at once by the next question for the same name.
        for _ in 0..200 {
            assert_eq!(store.find("broken").await.unwrap_err(), Unavailable::new("broken"));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 202);
        assert_eq!((figures.cumulative().last(), figures.errors.load(Ordering::Relaxed)), (Some(&202), 200));
        for name in ["", "fr\0ed", &"x".repeat(NAME_LIMIT + 1)] {
            assert!(store.find(name).await.unwrap().is_none());
            assert!(store.check(name, Secret::new(b"pencil")).await.unwrap().is_none());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 202);
        assert_eq!(store.probe().await, Ok(()));
    }

    #[tokio::test]
    async fn passwords_are_checked_each_time() {
        let (store, asked, _) = store(StoreSettings::default());
        for (password, right) in [("pencil", true), ("pencils", false), ("pencil", true)] {
            let found = store.check("fred", Secret::new(password.as_bytes())).await.unwrap();
            assert_eq!(found.is_some(), right, "{password}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn all_who_ask_for_a_user_share_one_question() {
        let (store, asked, _) = store(StoreSettings { seconds: 0.1, ..StoreSettings::default() });
        let waiting: Vec<_> = (0..1500).map(|_| store.find("slow")).collect();
        for answer in waiting {
            assert_eq!(answer.await.unwrap_err().to_string(), "no answer within 0.1 s");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(store.find("fred").await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_counts() {
        let shared = Shared::new(Trial::default(), &StoreSettings { at_once: 1, ..StoreSettings::default() });
        let ask = |name: &'static str| shared.limited(shared.engine.find(name));
        let begin = tokio::time::Instant::now();
        let second = Duration::from_secs(1);
        let late = async {
            tokio::time::sleep(second).await;
            let answer = ask("slow").await;
            (answer, begin.elapsed())
        };
        let (first, (answer, end)) = tokio::join!(ask("slow"), late);
        // It had its turn after 2 seconds, and waited from the first one on.
        assert_eq!((first.is_err(), answer.is_err(), end.as_secs()), (true, true, 3));
        assert!(ask("fred").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_learns_that_there_will_be_no_answer() {
        let (store, asked, _) = store(StoreSettings::default());
        for count in 1..3 {
            assert_eq!(store.find("panic").await.unwrap_err().to_string(), "the question was given up");
            assert_eq!(asked.load(Ordering::Relaxed), count);
        }
        let slow = store.find("slow");
        drop(store);
        assert_eq!(slow.await.unwrap_err().to_string(), "the question was given up");
    }

    /// Strangers choose how many names they ask for.
    #[tokio::test]
    async fn the_tasks_are_as_few_as_the_questions_under_way() {
        let (store, ..) = store(StoreSettings { cache_seconds: 3600.0, ..StoreSettings::default() });
        for at in 0..200 {
            assert!(store.find(&format!("stranger{at}")).await.unwrap().is_none());
        }
        // The last question's own task may not have ended yet.
        let ended = async {
            while store.runtime.metrics().num_alive_tasks() > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(Duration::from_secs(5), ended).await.is_ok());
    }

    #[tokio::test]
    async fn nothing_stays_longer_than_it_is_used() {
        let (store, asked, _) = store(StoreSettings { cache_seconds: 0.05, ..StoreSettings::default() });
        let account = Arc::downgrade(&store.find("fred").await.unwrap().unwrap());
        while account.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(store.find("fred").await.unwrap().is_some());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}

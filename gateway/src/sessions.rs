//! Live sessions: who is connected, and how a session is ended from outside.
//!
//! A connection owns its session, and the registry lists it. Ending a session wakes the task that relays it, which then closes both
//! sides; a relay pays one load of an atomic number each time it is polled.

use std::collections::HashMap;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::end_reason::EndReason;
use crate::identity::CertificateId;
use crate::oauth::Grant;
use crate::peer::Peer;
use crate::relay::Carried;
use crate::tokens::TokenHash;

/// The position of a session that is not listed.
const UNLISTED: usize = usize::MAX;

/// The number of places from which a user's list is shrunk.
const MIN_SHRINK: usize = 64;

/// What a client has proved its identity with. It must stay valid while the client is connected.
#[derive(Debug)]
pub enum Proof {
    /// Its user has a verifier.
    Verifier,
    /// Its user has a password.
    Password,
    /// A bearer token.
    Token(Box<TokenHash>),
    /// A bearer token of an OAuth provider.
    Grant(Box<Grant>),
    /// The certificate of its connection.
    Certificate,
    /// The user ID of its process.
    UserId(u32),
    /// Nothing is proved, or the gateway does not ask.
    Nothing,
}

/// What is known of a session when it begins.
#[derive(Debug)]
pub struct About {
    pub mechanism: &'static str,
    pub peer: Peer,
    /// The name of the backend in the access rules; the address in `sasl-gate connect`.
    pub backend: Arc<str>,
    pub proof: Proof,
    /// The client's certificate, and those that it sent with it.
    pub certificates: Box<[CertificateId]>,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    /// Its number in this process.
    pub number: u64,
    /// Empty in `sasl-gate connect`.
    pub user: Arc<str>,
    pub about: About,
    pub begin: Instant,
    pub carried: Carried,
    /// In its user's list. It changes only while the table is locked.
    position: AtomicUsize,
    /// An [`EndReason`] and 1, or 0.
    ending: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Session {
    /// Ends it, and returns whether it had not been ended before.
    pub fn end(&self, reason: EndReason) -> bool {
        let ended = self.ending.compare_exchange(0, reason as u8 + 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if let Some(waker) = self.waker().take() {
            waker.wake();
        }
        ended
    }

    fn end_reason(&self) -> Option<EndReason> {
        let reason = self.ending.load(Ordering::Acquire).checked_sub(1)?;
        EndReason::ALL.get(usize::from(reason)).copied()
    }

    /// Does the work of this session, unless it is ended before. The work is boxed: a future that is moved into another one takes its
    /// memory twice.
    pub async fn run<F: Future>(&self, mut work: Pin<Box<F>>) -> Result<F::Output, EndReason> {
        // A task has one waker, so a later poll need not store it again.
        poll_fn(|cx| {
            *self.waker() = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| match self.end_reason() {
            Some(reason) => Poll::Ready(Err(reason)),
            None => work.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Whether it is in the registry.
    pub fn is_listed(&self) -> bool {
        self.position.load(Ordering::Relaxed) != UNLISTED
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registry of live sessions.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// No list is empty. The name is shared by the sessions of its list.
    users: HashMap<Arc<str>, Vec<Arc<Session>>>,
    opened: u64,
}

impl Sessions {
    /// Lists a new session, unless its user has `limit` already (0: no limit).
    pub fn open(&self, user: &str, limit: usize, mut about: About) -> Option<Arc<Session>> {
        let mut table = self.lock();
        let (user, position) =
            match table.users.get(user).and_then(|sessions| Some((sessions.first()?, sessions.len()))) {
                None => (user.into(), 0),
                Some((_, position)) if limit > 0 && position >= limit => return None,
                Some((first, position)) => {
                    // One copy in memory, of the name and mostly of the backend's too.
                    if first.about.backend == about.backend {
                        about.backend = first.about.backend.clone();
                    }
                    (first.user.clone(), position)
                }
            };
        table.opened += 1;
        let session = Arc::new(Session {
            number: table.opened,
            user: user.clone(),
            about,
            begin: Instant::now(),
            carried: Carried::default(),
            position: position.into(),
            ending: 0.into(),
            waker: Mutex::default(),
        });
        table.users.entry(user).or_insert_with(|| Vec::with_capacity(1)).push(session.clone());
        Some(session)
    }

    /// Removes a session from the list, if it is there.
    pub fn close(&self, session: &Session) {
        let mut table = self.lock();
        let position = session.position.swap(UNLISTED, Ordering::Relaxed);
        let Some(sessions) = table.users.get_mut(&*session.user).filter(|sessions| position < sessions.len()) else {
            return;
        };
        sessions.swap_remove(position);
        if let Some(moved) = sessions.get(position) {
            moved.position.store(position, Ordering::Relaxed);
        }
        if sessions.is_empty() {
            table.users.remove(&*session.user);
            if table.users.capacity() > MIN_SHRINK.max(4 * table.users.len()) {
                table.users.shrink_to_fit();
            }
        } else if sessions.capacity() > MIN_SHRINK.max(4 * sessions.len()) {
            sessions.shrink_to(2 * sessions.len());
        }
    }

    /// All sessions; those of one user follow each other.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().users.values().flatten().cloned().collect()
    }

    /// The sessions of a user.
    pub fn of_user(&self, user: &str) -> Vec<Arc<Session>> {
        self.lock().users.get(user).cloned().unwrap_or_default()
    }

    /// The session with this number.
    pub fn find(&self, number: u64) -> Option<Arc<Session>> {
        self.lock().users.values().flatten().find(|session| session.number == number).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn open(sessions: &Sessions, user: &str, limit: usize) -> Option<Arc<Session>> {
        let about = About {
            mechanism: "PLAIN",
            peer: Peer { address: None, text: "a test".into() },
            backend: "default".into(),
            proof: Proof::Verifier,
            certificates: Box::default(),
        };
        sessions.open(user, limit, about)
    }

    fn numbers(sessions: &[Arc<Session>]) -> Vec<u64> {
        let mut numbers: Vec<u64> = sessions.iter().map(|session| session.number).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn sessions_are_listed_until_they_are_closed() {
        let sessions = Sessions::default();
        let (one, two, three, other) = (
            open(&sessions, "fred", 3).unwrap(),
            open(&sessions, "fred", 3).unwrap(),
            open(&sessions, "fred", 3).unwrap(),
            open(&sessions, "anna", 3).unwrap(),
        );
        assert!(open(&sessions, "fred", 3).is_none(), "the limit");
        assert!(Arc::ptr_eq(&one.user, &two.user), "one name in memory");
        assert_eq!(numbers(&sessions.all()), [1, 2, 3, 4]);
        assert_eq!(numbers(&sessions.of_user("fred")), [1, 2, 3]);
        assert!(sessions.of_user("nobody").is_empty());
        sessions.close(&one);
        sessions.close(&one);
        assert!(!one.is_listed() && two.is_listed());
        assert_eq!(numbers(&sessions.of_user("fred")), [2, 3], "closing it twice closes no other one");
        sessions.close(&three);
        sessions.close(&two);
        assert_eq!(sessions.find(other.number).unwrap().number, other.number);
        assert!(sessions.find(two.number).is_none());
        sessions.close(&other);
        assert!(sessions.lock().users.is_empty(), "no name is left");
        assert_eq!(open(&sessions, "fred", 1).unwrap().number, 5, "numbers are not used again");
    }

    #[test]
    fn memory_is_given_back() {
        let sessions = Sessions::default();
        let one_user: Vec<_> = (0..10_000).map(|_| open(&sessions, "fred", 0).unwrap()).collect();
        let many: Vec<_> = (0..10_000).map(|number| open(&sessions, &number.to_string(), 0).unwrap()).collect();
        for session in one_user[1..].iter().chain(&many) {
            sessions.close(session);
        }
        let table = sessions.lock();
        assert!(table.users.capacity() <= MIN_SHRINK, "{}", table.users.capacity());
        assert!(table.users["fred"].capacity() <= MIN_SHRINK, "{}", table.users["fred"].capacity());
    }

    /// Each connection has one.
    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 208, "{}", size_of::<Session>());
    }

    #[tokio::test]
    async fn an_ended_session_does_no_more_work() {
        let sessions = Sessions::default();
        let session = open(&sessions, "fred", 0).unwrap();
        assert_eq!(session.run(Box::pin(async { 1 })).await, Ok(1));
        let running = session.clone();
        let task = tokio::spawn(async move { running.run(Box::pin(std::future::pending::<()>())).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(session.end(EndReason::Kicked));
        assert!(!session.end(EndReason::NoUser), "the first reason stays");
        assert_eq!(task.await.unwrap(), Err(EndReason::Kicked));
        assert_eq!(session.run(Box::pin(async { 1 })).await, Err(EndReason::Kicked), "ended before it began");
    }

    #[test]
    fn all_reasons_are_found() {
        for reason in EndReason::ALL {
            let session = open(&Sessions::default(), "fred", 0).unwrap();
            session.end(reason);
            assert_eq!(session.end_reason(), Some(reason));
        }
    }
}

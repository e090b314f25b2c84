//! A connection that is opened when it is first needed, and again when it is lost.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::account::Unavailable;

/// The first pause after a failed attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection of this type.
pub struct Link<C> {
    state: Mutex<State<C>>,
}

enum State<C> {
    Open(Arc<C>),
    /// Until this time nobody tries again, and look-ups fail at once for this reason.
    Closed {
        until: Instant,
        pause: Duration,
        why: Unavailable,
    },
}

/// Notes its outcome when it ends, also if it is dropped because it takes too long.
struct Attempt<'a, C> {
    state: MutexGuard<'a, State<C>>,
    pause: Duration,
    outcome: Result<Arc<C>, Unavailable>,
}

impl<C> Drop for Attempt<'_, C> {
    fn drop(&mut self) {
        *self.state = match &self.outcome {
            Ok(connection) => State::Open(connection.clone()),
            Err(why) => {
                let (until, pause) = (Instant::now() + self.pause, LONGEST_PAUSE.min(2 * self.pause));
                State::Closed { until, pause, why: why.clone() }
            }
        };
    }
}

impl<C> Default for Link<C> {
    fn default() -> Self {
        let why = Unavailable::new("not connected");
        Link { state: Mutex::new(State::Closed { until: Instant::now(), pause: FIRST_PAUSE, why }) }
    }
}

impl<C> Link<C> {
    /// The connection, opened by `open` if there is none.
    ///
    /// # Errors
    /// That of `open`, now or a moment ago.
    pub async fn get(&self, open: impl Future<Output = Result<C, Unavailable>>) -> Result<Arc<C>, Unavailable> {
        let state = self.state.lock().await;
        let pause = match &*state {
            State::Open(connection) => return Ok(connection.clone()),
            State::Closed { until, why, .. } if Instant::now() < *until => return Err(why.clone()),
            State::Closed { pause, .. } => *pause,
        };
        let mut attempt =
            Attempt { state, pause, outcome: Err(Unavailable::new("the connection could not be opened in time")) };
        attempt.outcome = open.await.map(Arc::new);
        attempt.outcome.clone()
    }

    /// Gives up a connection that was lost, unless another one has replaced it already. The next [`Link::get`] opens a new one.
    pub fn lost(&self, connection: &Arc<C>) {
        // If it is locked, somebody is opening a new one.
        let Ok(mut state) = self.state.try_lock() else { return };
        if matches!(&*state, State::Open(open) if Arc::ptr_eq(open, connection)) {
            let why = Unavailable::new("the connection was lost");
            *state = State::Closed { until: Instant::now(), pause: FIRST_PAUSE, why };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failed_attempt_is_repeated_after_a_pause() {
        let link = Link::<u32>::default();
        let refused = || async { Err(Unavailable::new("refused")) };
        assert_eq!(link.get(refused()).await, Err(Unavailable::new("refused")));
        // At once: not tried, and the reason is known.
        assert_eq!(link.get(async { Ok(1) }).await, Err(Unavailable::new("refused")));
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(link.get(refused()).await.is_err());
        // The second pause is longer.
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(link.get(async { Ok(1) }).await.is_err());
        tokio::time::advance(FIRST_PAUSE).await;
        let one = link.get(async { Ok(1) }).await.unwrap();
        assert_eq!(*link.get(async { Ok(2) }).await.unwrap(), 1);
        link.lost(&one);
        let two = link.get(async { Ok(2) }).await.unwrap();
        // That of the first one, reported late, changes nothing.
        link.lost(&one);
        assert_eq!((*link.get(async { Ok(3) }).await.unwrap(), *two), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_takes_too_long_holds_up_nobody_else() {
        let link = Link::<u32>::default();
        let silent = link.get(std::future::pending());
        assert!(tokio::time::timeout(Duration::from_secs(2), silent).await.is_err());
        let error = link.get(async { Ok(1) }).await.unwrap_err();
        assert_eq!(error.to_string(), "the connection could not be opened in time");
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(link.get(async { Ok(1) }).await.is_ok());
    }
}

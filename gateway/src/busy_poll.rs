//! Whether a thread that relays sleeps as soon as there is nothing to do.
//!
//! To wake it costs more than to relay a message, for the thread and for whoever wakes it: an idle processor has to be
//! called by an interrupt, which on a virtual machine is dearer still. So after bytes have passed the thread asks
//! again for some rounds, and gives the processor away in between. Who writes meanwhile need not wake it, and what is
//! written meanwhile goes on in one piece.
//!
//! Where somebody else keeps the processor, a thread that asks would wait for it each time, and one that sleeps is
//! woken at once: so it sleeps for a while.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// How often it asks, about a microsecond each where nobody else wants the processor.
const ROUNDS: u32 = 50;

/// Longer than the two ends of a relay need the processor for what they have been sent.
const AWAY: Duration = Duration::from_millis(1);

/// How long it sleeps as soon as it can, when the processor was away.
const REST: Duration = Duration::from_millis(200);

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(0) };
    static ASLEEP: Cell<Option<Waker>> = const { Cell::new(None) };
    static RESTS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Bytes have passed on this thread.
pub fn renew() {
    if RESTS.get().is_some_and(|until| Instant::now() < until) {
        return;
    }
    LEFT.set(ROUNDS);
    if let Some(waker) = ASLEEP.take() {
        waker.wake();
    }
}

/// Keeps its thread awake; one task of each thread, which has no end. It sleeps itself when the rounds are over.
pub async fn keep() {
    loop {
        poll_fn(|cx| match LEFT.get() {
            0 => {
                ASLEEP.set(Some(cx.waker().clone()));
                Poll::Pending
            }
            left => {
                LEFT.set(left - 1);
                Poll::Ready(())
            }
        })
        .await;
        let begin = Instant::now();
        std::thread::yield_now();
        if begin.elapsed() > AWAY {
            LEFT.set(0);
            RESTS.set(Some(Instant::now() + REST));
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::Arc;
    use std::time::Duration;

    /// The thread is awake for as many rounds as were granted, then parks; and again after the next bytes.
    #[test]
    fn a_thread_sleeps_when_its_rounds_are_over() {
        let parked = Arc::new(AtomicU32::new(0));
        let counter = parked.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || _ = counter.fetch_add(1, Ordering::Relaxed))
            .build()
            .unwrap();
        runtime.spawn(keep());
        for _ in 0..3 {
            runtime.block_on(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(LEFT.get() == 0 && parked.swap(0, Ordering::Relaxed) > 0);
                RESTS.set(None);
                renew();
                assert_eq!(LEFT.get(), ROUNDS);
                for round in 1..ROUNDS {
                    tokio::task::yield_now().await;
                    assert!(LEFT.get() <= ROUNDS - round + 1, "round {round}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert!(LEFT.get() == 0, "the rounds have no end");
            });
        }
    }

    #[test]
    fn a_thread_that_lost_the_processor_sleeps() {
        RESTS.set(Some(Instant::now() + REST));
        renew();
        assert_eq!(LEFT.get(), 0);
        RESTS.set(Some(Instant::now()));
        renew();
        assert_eq!(LEFT.get(), ROUNDS);
    }
}

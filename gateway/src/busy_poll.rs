//! Busy polling: a relay thread that has just passed bytes on polls for more before it sleeps.
//!
//! Waking a thread costs more than relaying a message, both for the thread and for the program that wakes it: an idle
//! processor must be interrupted, which is even slower on a virtual machine. So after bytes have passed, the thread polls
//! for some rounds, and yields the processor between them. A program that writes meanwhile need not wake the thread, and
//! everything it has written meanwhile is relayed in one piece.
//!
//! That pays only if the next bytes come before the rounds are over. With messages at longer intervals each of them would cost the
//! rounds in vain, more processor time than the relay itself. So a thread polls while most of the bytes follow each other quickly.
//!
//! If another program keeps the processor busy, a polling thread would have to wait for it in each round, while a sleeping
//! thread is woken at once. So busy polling then pauses for a while.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Rounds of polling, about a microsecond each if no other program wants the processor.
const ROUNDS: u32 = 50;

/// How long the rounds take.
const SPAN: Duration = Duration::from_micros(50);

/// The share of bytes that must follow others within [`SPAN`], in parts of 256: two thirds. A request and its reply follow each other
/// quickly at any rate, so that a half says nothing.
const MIN_SHARE: u32 = 171;

/// A yield that takes longer than this means that the processor is busy: client and backend need less for what they were sent.
const BUSY_AFTER: Duration = Duration::from_millis(1);

/// How long busy polling pauses when the processor was busy.
const PAUSE: Duration = Duration::from_millis(200);

thread_local! {
    static ROUNDS_LEFT: Cell<u32> = const { Cell::new(0) };
    static SLEEPER: Cell<Option<Waker>> = const { Cell::new(None) };
    /// When bytes passed last.
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    /// How many of the last bytes followed others quickly, in parts of 256.
    static SHARE: Cell<u32> = const { Cell::new(0) };
    static PAUSED_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Restarts polling: bytes have passed on this thread.
pub fn renew() {
    let now = Instant::now();
    let is_quick = LAST.replace(Some(now)).is_some_and(|last| now.duration_since(last) < SPAN);
    SHARE.set(next_share(SHARE.get(), is_quick));
    if SHARE.get() < MIN_SHARE || PAUSED_UNTIL.get().is_some_and(|until| now < until) {
        return;
    }
    ROUNDS_LEFT.set(ROUNDS);
    if let Some(waker) = SLEEPER.take() {
        waker.wake();
    }
}

/// An average over about eight bytes.
fn next_share(share: u32, is_quick: bool) -> u32 {
    share - share.div_ceil(8) + if is_quick { 32 } else { 0 }
}

/// Keeps its thread awake while rounds are left. Runs for ever, as one task of each thread.
pub async fn poll() {
    loop {
        poll_fn(|cx| match ROUNDS_LEFT.get() {
            0 => {
                SLEEPER.set(Some(cx.waker().clone()));
                Poll::Pending
            }
            left => {
                ROUNDS_LEFT.set(left - 1);
                Poll::Ready(())
            }
        })
        .await;
        let begin = Instant::now();
        std::thread::yield_now();
        if begin.elapsed() > BUSY_AFTER {
            ROUNDS_LEFT.set(0);
            PAUSED_UNTIL.set(Some(Instant::now() + PAUSE));
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

    /// The thread stays awake for that many rounds, then parks; and does so again after the next bytes.
    #[test]
    fn a_thread_sleeps_when_its_rounds_are_over() {
        let parked = Arc::new(AtomicU32::new(0));
        let counter = parked.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || _ = counter.fetch_add(1, Ordering::Relaxed))
            .build()
            .unwrap();
        runtime.spawn(poll());
        for _ in 0..3 {
            runtime.block_on(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(ROUNDS_LEFT.get() == 0 && parked.swap(0, Ordering::Relaxed) > 0);
                PAUSED_UNTIL.set(None);
                SHARE.set(256);
                renew();
                assert_eq!(ROUNDS_LEFT.get(), ROUNDS);
                for round in 1..ROUNDS {
                    tokio::task::yield_now().await;
                    assert!(ROUNDS_LEFT.get() <= ROUNDS - round + 1, "round {round}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert!(ROUNDS_LEFT.get() == 0, "the rounds never end");
            });
        }
    }

    #[test]
    fn a_thread_polls_only_if_most_bytes_follow_quickly() {
        let after = |share, pattern: &[bool]| pattern.iter().fold(share, |share, quick| next_share(share, *quick));
        // A burst begins and ends.
        assert!(after(0, &[true; 6]) < MIN_SHARE && after(0, &[true; 12]) >= MIN_SHARE);
        assert_eq!(after(256, &[true; 100]), 256);
        assert!(after(256, &[false; 4]) < MIN_SHARE && after(256, &[false; 1000]) < 8);
        // Requests at longer intervals, each with a quick reply.
        assert!(after(256, &[true, false].repeat(20)) < MIN_SHARE);
        assert!(after(after(0, &[true, false].repeat(20)), &[true]) < MIN_SHARE);
        // Pipelined requests.
        assert!(after(0, &[true, true, true, true, false].repeat(20)) >= MIN_SHARE);
        SHARE.set(0);
        PAUSED_UNTIL.set(None);
        renew();
        assert_eq!(ROUNDS_LEFT.get(), 0);
    }

    #[test]
    fn polling_pauses_while_the_processor_is_busy() {
        SHARE.set(256);
        PAUSED_UNTIL.set(Some(Instant::now() + PAUSE));
        renew();
        assert_eq!(ROUNDS_LEFT.get(), 0);
        SHARE.set(256);
        PAUSED_UNTIL.set(Some(Instant::now()));
        renew();
        assert_eq!(ROUNDS_LEFT.get(), ROUNDS);
    }
}

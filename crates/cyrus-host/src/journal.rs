//! Log lines of plugins. They are kept for each thread until the program asks for them, since a plugin logs within a call,
//! where the program cannot be called.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::c_int;
use std::sync::Arc;

/// Where log lines go: a level (`SASL_LOG_*`, 1 to 6) and a line.
pub type Log = Arc<dyn Fn(c_int, &str) + Send + Sync>;

/// Maximum number of lines. The oldest one is removed first.
const LINES: usize = 64;

thread_local! {
    static KEPT: RefCell<VecDeque<(c_int, String)>> = const { RefCell::new(VecDeque::new()) };
}

/// A log that keeps the lines for [`take`].
pub fn log() -> Log {
    Arc::new(|level, line| {
        KEPT.with_borrow_mut(|kept| {
            if kept.len() == LINES {
                kept.pop_front();
            }
            kept.push_back((level, line.to_owned()));
        });
    })
}

/// Removes and returns the oldest line of this thread, with its level (`SASL_LOG_*`, 1 to 6).
pub fn take() -> Option<(c_int, String)> {
    KEPT.with_borrow_mut(VecDeque::pop_front)
}

/// Removes all lines.
pub fn forget() {
    KEPT.with_borrow_mut(VecDeque::clear);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_in_order_and_for_their_thread() {
        let log = log();
        for number in 0..70 {
            log(3, &number.to_string());
        }
        assert!(std::thread::spawn(take).join().unwrap().is_none());
        for number in 6..70 {
            assert_eq!(take(), Some((3, number.to_string())));
        }
        assert_eq!(take(), None);
        log(1, "forgotten");
        forget();
        assert_eq!(take(), None);
    }
}

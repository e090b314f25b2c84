//! Limits log lines that unauthenticated clients can cause at will: a few of them are written, the others counted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The number of lines that are written in each period.
const LINES: u32 = 10;
const PERIOD: Duration = Duration::from_secs(10);

/// The limit of one kind of line.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    written: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Whether to write the next line. If so, returns the number of lines that were suppressed before it.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            state.since = Some(now);
            state.written = 0;
        }
        if state.written >= LINES {
            state.suppressed += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_written_in_part_and_counted() {
        let (limit, begin) = (LogLimit::default(), Instant::now());
        let written = (0..1000).filter_map(|_| limit.admit(begin)).collect::<Vec<_>>();
        assert_eq!(written, [0; LINES as usize]);
        assert_eq!(limit.admit(begin + PERIOD), Some(1000 - u64::from(LINES)));
        assert_eq!(limit.admit(begin + PERIOD), Some(0));
    }
}

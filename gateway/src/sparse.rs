//! Lines of the log that strangers can cause as fast as they like: a few of them are written, the others counted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many are written in each period.
const LINES: u32 = 10;
const PERIOD: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug, Default)]
pub struct Sparse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    written: u32,
    unwritten: u64,
}

impl Sparse {
    /// Whether the next line is to be written: with the number of those that were not since the last one.
    pub fn next(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            state.since = Some(now);
            state.written = 0;
        }
        if state.written >= LINES {
            state.unwritten += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_written_in_part_and_counted() {
        let (sparse, begin) = (Sparse::default(), Instant::now());
        let written = (0..1000).filter_map(|_| sparse.next(begin)).collect::<Vec<_>>();
        assert_eq!(written, [0; LINES as usize]);
        assert_eq!(sparse.next(begin + PERIOD), Some(1000 - u64::from(LINES)));
        assert_eq!(sparse.next(begin + PERIOD), Some(0));
    }
}

//! Counts and times of look-ups, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the histogram, in seconds. Above the last one there is no bound.
pub const BOUNDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.5];

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Figures {
    /// Questions to which the server gave no answer.
    pub errors: AtomicU64,
    /// How many questions took at most as long as each bound, and longer than the one before; then those beyond.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Figures {
    /// Counts a question that the server was asked.
    pub fn observe(&self, took: Duration, failed: bool) {
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many questions took at most as long as each bound, and all of them.
    pub fn cumulative(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sum = 0;
        self.buckets.each_ref().map(|bucket| {
            sum += bucket.load(Ordering::Relaxed);
            sum
        })
    }

    /// The time that all questions took together, in seconds.
    pub fn seconds(&self) -> f64 {
        self.microseconds.load(Ordering::Relaxed) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let figures = Figures::default();
        for (millis, failed) in [(1, false), (2, false), (600, true), (9000, true)] {
            figures.observe(Duration::from_millis(millis), failed);
        }
        assert_eq!(figures.cumulative(), [1, 2, 2, 2, 2, 2, 2, 3, 3, 4]);
        assert_eq!(figures.errors.load(Ordering::Relaxed), 2);
        assert!((figures.seconds() - 9.603).abs() < 1e-9);
    }
}

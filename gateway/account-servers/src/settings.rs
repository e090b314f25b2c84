//! Limits of look-ups, whatever the server.

use std::time::Duration;

use serde::Deserialize;

/// The table `store`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// How long a look-up may take, waiting for its turn included.
    pub seconds: f64,
    /// How many look-ups may be under way at once.
    pub at_once: usize,
    /// How long an answer is used again.
    pub cache_seconds: f64,
    /// Iterations that an unknown user appears to have.
    pub iterations: u32,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings { seconds: 2.0, at_once: 32, cache_seconds: 5.0, iterations: 4096 }
    }
}

impl StoreSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// The setting that is out of range, and its range.
    pub fn check(&self) -> Result<(), String> {
        if !(0.01..=60.0).contains(&self.seconds) {
            return Err("store.seconds: expected 0.01 to 60".into());
        }
        if !(1..=10_000).contains(&self.at_once) {
            return Err("store.at_once: expected 1 to 10000".into());
        }
        if !(0.0..=3600.0).contains(&self.cache_seconds) {
            return Err("store.cache_seconds: expected 0 to 3600".into());
        }
        if !(4096..=2_000_000).contains(&self.iterations) {
            return Err("store.iterations: expected 4096 to 2000000".into());
        }
        Ok(())
    }

    /// How long a look-up may take.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// How long an answer is used again.
    pub fn cached(&self) -> Duration {
        Duration::from_secs_f64(self.cache_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting() {
        let good = StoreSettings::default();
        assert_eq!(good.check(), Ok(()));
        for (settings, word) in [
            (StoreSettings { seconds: 0.0, ..good.clone() }, "store.seconds"),
            (StoreSettings { seconds: f64::NAN, ..good.clone() }, "store.seconds"),
            (StoreSettings { at_once: 0, ..good.clone() }, "store.at_once"),
            (StoreSettings { cache_seconds: -1.0, ..good.clone() }, "store.cache_seconds"),
            (StoreSettings { cache_seconds: f64::INFINITY, ..good.clone() }, "store.cache_seconds"),
            (StoreSettings { iterations: 4095, ..good.clone() }, "store.iterations"),
        ] {
            let error = settings.check().unwrap_err();
            assert!(error.starts_with(word), "{error}");
        }
    }
}

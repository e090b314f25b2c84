//! Answers of the last seconds, the negative ones too. A password is never kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::account::Account;

/// Maximum number of answers. The oldest one goes first.
const ENTRIES: usize = 4096;

/// Answers by name. All live equally long, so their order is that in which they end.
pub struct Cache {
    lifetime: Duration,
    answers: HashMap<Arc<str>, (Instant, Option<Arc<Account>>)>,
    order: VecDeque<(Instant, Arc<str>)>,
}

impl Cache {
    /// An empty cache, whose answers live that long.
    pub fn new(lifetime: Duration) -> Self {
        Cache { lifetime, answers: HashMap::new(), order: VecDeque::new() }
    }

    /// The answer for a name, if there is one that has not ended.
    pub fn get(&self, name: &str, now: Instant) -> Option<Option<Arc<Account>>> {
        let (end, answer) = self.answers.get(name)?;
        (now < *end).then(|| answer.clone())
    }

    /// Keeps an answer.
    pub fn insert(&mut self, name: Arc<str>, answer: Option<Arc<Account>>, now: Instant) {
        if self.lifetime.is_zero() {
            return;
        }
        self.purge(now);
        while self.order.len() >= ENTRIES {
            self.remove_first();
        }
        let end = now + self.lifetime;
        self.order.push_back((end, name.clone()));
        self.answers.insert(name, (end, answer));
    }

    /// Forgets the answer for a name.
    pub fn remove(&mut self, name: &str) {
        // Its place in the order stays, until it ends.
        self.answers.remove(name);
    }

    /// Removes answers that have ended, and returns when the next one does.
    pub fn purge(&mut self, now: Instant) -> Option<Instant> {
        while self.order.front().is_some_and(|(end, _)| *end <= now) {
            self.remove_first();
        }
        self.order.front().map(|(end, _)| *end)
    }

    fn remove_first(&mut self) {
        let Some((end, name)) = self.order.pop_front() else { return };
        // Not a later answer for the same name.
        if self.answers.get(&name).is_some_and(|(of_answer, _)| *of_answer == end) {
            self.answers.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_and_the_oldest_goes_first() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut cache = Cache::new(5 * second);
        cache.insert("fred".into(), Some(Arc::default()), begin);
        cache.insert("nobody".into(), None, begin);
        assert!(cache.get("fred", begin + 4 * second).is_some_and(|answer| answer.is_some()));
        assert!(cache.get("nobody", begin + 4 * second).is_some_and(|answer| answer.is_none()));
        assert!(cache.get("anna", begin).is_none() && cache.get("fred", begin + 5 * second).is_none());
        // A new answer outlives the end of the old one.
        cache.insert("fred".into(), None, begin + 4 * second);
        cache.purge(begin + 5 * second);
        assert_eq!(cache.answers.len(), 1);
        assert!(cache.get("fred", begin + 5 * second).is_some_and(|answer| answer.is_none()));
        cache.remove("fred");
        assert!(cache.get("fred", begin + 5 * second).is_none());
        cache.insert("fred".into(), None, begin + 5 * second);
        for at in 0..ENTRIES {
            cache.insert(at.to_string().into(), None, begin + 5 * second);
        }
        assert!(cache.get("fred", begin + 5 * second).is_none() && cache.get("0", begin + 5 * second).is_some());
        assert_eq!((cache.answers.len(), cache.order.len()), (ENTRIES, ENTRIES));
    }

    #[test]
    fn nothing_is_kept_without_a_lifetime() {
        let (now, mut cache) = (Instant::now(), Cache::new(Duration::ZERO));
        cache.insert("fred".into(), None, now);
        assert!(cache.get("fred", now).is_none() && cache.answers.is_empty());
    }
}

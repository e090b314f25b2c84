//! Tasks for clients that need little and come seldom: operators and scrapers.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::AbortHandle;

/// The maximum number of tasks at a time.
const LIMIT: usize = 16;

/// The most recent tasks. Another one replaces the oldest, so that clients that say nothing, or do not read, keep out no others.
#[derive(Default)]
pub struct RecentTasks(VecDeque<AbortHandle>);

impl RecentTasks {
    /// Starts a task.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.retain(|task| !task.is_finished());
        if self.0.len() == LIMIT {
            self.0.pop_front().inspect(AbortHandle::abort);
        }
        self.0.push_back(tokio::spawn(task).abort_handle());
    }
}

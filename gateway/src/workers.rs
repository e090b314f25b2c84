//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on its thread. A runtime of many threads wakes another one for each message that is relayed, in
//! case there were more to do, and so costs more than the relay itself.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::busy_poll;

/// All of them. They end when this is dropped, with whatever they still do.
pub struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
    /// Dropped, it tells the threads.
    _running: watch::Sender<()>,
}

impl Workers {
    /// Starts so many.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let (_running, running) = watch::channel(());
        let handles = (0..count).map(|number| start_one(number, running.clone())).collect::<Result<_, _>>()?;
        Ok(Workers { handles, next: AtomicUsize::new(0), _running })
    }

    /// Gives a connection to the next one in turn.
    pub fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len().max(1);
        if let Some(handle) = self.handles.get(turn) {
            handle.spawn(connection);
        }
    }
}

fn start_one(number: usize, mut running: watch::Receiver<()>) -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
        runtime.spawn(busy_poll::keep());
        // It fails when the sender is gone, and never succeeds.
        let _ = runtime.block_on(running.changed());
        runtime.shutdown_background();
    })?;
    Ok(handle)
}

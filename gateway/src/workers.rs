//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on its thread. A runtime with several threads would wake another thread for each relayed message,
//! in case there is more to do, and that costs more than the relay itself.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::busy_poll;

/// All worker threads. They end when this is dropped, along with the connections that they still serve.
pub struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
    /// Tells the threads to end when it is dropped.
    _running: watch::Sender<()>,
}

impl Workers {
    /// Starts `count` threads. With `busy_poll`, they poll for a short time before they sleep.
    pub fn start(count: usize, busy_poll: bool) -> std::io::Result<Self> {
        let (_running, running) = watch::channel(());
        let handles =
            (0..count).map(|number| start_one(number, busy_poll, running.clone())).collect::<Result<_, _>>()?;
        Ok(Workers { handles, next: AtomicUsize::new(0), _running })
    }

    /// Gives a connection to the next thread in turn.
    pub fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len().max(1);
        if let Some(handle) = self.handles.get(turn) {
            handle.spawn(connection);
        }
    }
}

fn start_one(number: usize, busy_poll: bool, mut running: watch::Receiver<()>) -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
        if busy_poll {
            runtime.spawn(busy_poll::poll());
        }
        // Nothing is ever sent: this returns when the sender is dropped.
        let _ = runtime.block_on(running.changed());
        runtime.shutdown_background();
    })?;
    Ok(handle)
}

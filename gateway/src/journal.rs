//! The log. Its lines wait in a queue for standard error, which a thread of its own writes: a reader that stalls stops no
//! connection. What the queue cannot take is dropped and counted.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{reload, Registry};

use crate::gauges::count;
use crate::settings::Log;

/// Lines that wait at most: some hundred kilobytes.
const WAITING: usize = 1024;

/// How long the last lines may take when the gateway ends.
const FLUSH: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The queue's end that takes lines.
#[derive(Clone)]
struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

/// The log of this process.
pub struct Journal {
    queue: Queue,
    level: reload::Handle<LevelFilter, Registry>,
}

impl Journal {
    /// Logs to standard error from now on.
    pub fn start(format: Log, verbose: bool) -> Result<Self, String> {
        let cannot = |error: &dyn std::fmt::Display| format!("the log cannot be started: {error}");
        // A handle of its own: the one of the library has a lock, which a stalled write would keep.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?);
        let queue = Queue::start(out).map_err(|error| cannot(&error))?;
        let (filter, level) = reload::Layer::new(level(verbose));
        // A log that cannot be written, as the disk is full, is no reason to end: without the last word here it would be one.
        let lines = tracing_subscriber::fmt::layer().with_writer(queue.clone()).log_internal_errors(false);
        let registry = tracing_subscriber::registry().with(filter);
        match format {
            Log::Text => registry.with(lines.with_ansi(false)).try_init(),
            Log::Json => registry.with(lines.json()).try_init(),
        }
        .map_err(|error| cannot(&error))?;
        Ok(Journal { queue, level })
    }

    /// Whether connections that nobody has authenticated are logged too.
    pub fn set_verbose(&self, verbose: bool) {
        if let Err(error) = self.level.reload(level(verbose)) {
            warn!(%error, "verbose cannot be changed");
        }
    }

    /// How many lines were dropped until now.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.queue.dropped.clone()
    }

    /// Waits for the last lines, and not for long.
    pub fn flush(&self) {
        self.queue.flush(FLUSH);
    }
}

fn level(verbose: bool) -> LevelFilter {
    if verbose {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    }
}

impl Queue {
    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || write_all(&waiting, &counter, out))?;
        Ok(Queue { entries, dropped })
    }

    fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.entries.try_send(Entry::Flush(done.clone())) {
            if Instant::now() > end {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn write_all(waiting: &Receiver<Entry>, dropped: &AtomicU64, mut out: impl Write) {
    let mut told = 0;
    for entry in waiting {
        match entry {
            Entry::Line(line) if out.write_all(&line).is_err() => count(dropped),
            // Only a line that was written says so: a disk that is full would else have no end of it.
            Entry::Line(_) => {
                let lost = dropped.load(Ordering::Relaxed);
                if lost > told {
                    warn!(lines = lost - told, "lines of the log were dropped");
                    told = lost;
                }
            }
            Entry::Flush(done) => _ = done.try_send(()),
        }
    }
}

impl Write for Queue {
    /// Takes a whole line: the subscriber writes each at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            count(&self.dropped);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Queue;

    fn make_writer(&'w self) -> Queue {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Writes when it is let, and passes on what was written.
    struct Stalled {
        lets: Receiver<()>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.lets.recv().map_err(io::Error::other)?;
            self.written.send(line.to_vec()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_no_time() {
        let ((lets, allowed), (written, out)) = (channel(), sync_channel(10 * WAITING));
        let mut queue = Queue::start(Stalled { lets: allowed, written }).unwrap();
        let begin = Instant::now();
        for number in 0..3 * WAITING {
            Write::write_all(&mut queue, format!("{number}\n").as_bytes()).unwrap();
        }
        queue.flush(Duration::from_millis(50));
        assert!(begin.elapsed() < Duration::from_secs(5), "it waits for the reader");
        let lost = queue.dropped.load(Ordering::Relaxed) as usize;
        assert!((2 * WAITING - 1..=2 * WAITING).contains(&lost), "{lost}");
        for _ in 0..3 * WAITING {
            lets.send(()).unwrap();
        }
        // The first lines come, in order; one of them was with the reader already.
        queue.flush(Duration::from_secs(60));
        let lines: Vec<_> = out.try_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert!(lines.iter().enumerate().all(|(at, line)| *line == format!("{at}\n")), "{lines:?}");
        assert_eq!(lines.len() + lost, 3 * WAITING);
    }
}

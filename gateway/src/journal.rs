//! The log. A separate thread writes the queued lines to standard error, so a stalled reader does not block connections. Lines that
//! do not fit into the queue are dropped and counted.
//!
//! If standard error is the systemd journal, each line begins with its priority (sd-daemon(3)), which the journal removes.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::{warn, Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{reload, Registry};

use crate::metrics::count;
use crate::settings::Log;

/// Capacity of the queue in lines: some hundred kilobytes.
const QUEUE_LENGTH: usize = 1024;

/// How long to wait for the last lines when the gateway ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The sending end of the queue.
#[derive(Clone)]
struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
    /// Whether lines begin with their priority.
    priorities: bool,
}

/// Writes the lines of one priority.
struct Lines<'q> {
    queue: &'q Queue,
    priority: &'static str,
}

/// The log of this process.
pub struct Journal {
    queue: Queue,
    level: reload::Handle<LevelFilter, Registry>,
}

impl Journal {
    /// Starts logging to standard error.
    pub fn start(format: Log, verbose: bool) -> Result<Self, String> {
        let cannot = |error: &dyn std::fmt::Display| format!("cannot start the log: {error}");
        // A separate handle: the standard library's has a lock, which a stalled write would hold.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?);
        let journal = std::env::var("JOURNAL_STREAM").ok();
        let priorities = out.metadata().is_ok_and(|about| is_journal(journal.as_deref(), about.dev(), about.ino()));
        let queue = Queue { priorities, ..Queue::start(out).map_err(|error| cannot(&error))? };
        let (filter, level) = reload::Layer::new(level(verbose));
        // Without the last call, the gateway would panic if the log cannot be written, for example on a full disk.
        let lines = tracing_subscriber::fmt::layer().with_writer(queue.clone()).log_internal_errors(false);
        let registry = tracing_subscriber::registry().with(filter);
        match format {
            Log::Text => registry.with(lines.with_ansi(false)).try_init(),
            Log::Json => registry.with(lines.json()).try_init(),
        }
        .map_err(|error| cannot(&error))?;
        Ok(Journal { queue, level })
    }

    /// Sets whether the ends of unauthenticated connections are logged too.
    pub fn set_verbose(&self, verbose: bool) {
        if let Err(error) = self.level.reload(level(verbose)) {
            warn!(%error, "cannot change verbose");
        }
    }

    /// The counter of dropped lines.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.queue.dropped.clone()
    }

    /// Waits a short time until the queued lines are written.
    pub fn flush(&self) {
        self.queue.flush(FLUSH_TIMEOUT);
    }
}

/// Whether a file is the journal: systemd names its device and inode in JOURNAL_STREAM (systemd.exec(5)).
fn is_journal(named: Option<&str>, device: u64, inode: u64) -> bool {
    named
        .and_then(|text| text.split_once(':'))
        .is_some_and(|(first, second)| first.parse() == Ok(device) && second.parse() == Ok(inode))
}

/// The priorities of syslog(3).
fn priority(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
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
        let (entries, waiting) = sync_channel(QUEUE_LENGTH);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || write_all(&waiting, &counter, out))?;
        Ok(Queue { entries, dropped, priorities: false })
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
    let mut reported = 0;
    for entry in waiting {
        match entry {
            Entry::Line(line) if out.write_all(&line).is_err() => count(dropped),
            // Reported only after a successful write; on a full disk, each report would be dropped and cause another one.
            Entry::Line(_) => {
                let lost = dropped.load(Ordering::Relaxed);
                if lost > reported {
                    warn!(lines = lost - reported, "log lines were dropped");
                    reported = lost;
                }
            }
            Entry::Flush(done) => _ = done.try_send(()),
        }
    }
}

impl Write for Lines<'_> {
    /// Queues a whole line: the subscriber writes each line with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let entry = Entry::Line([self.priority.as_bytes(), line].concat());
        if self.queue.entries.try_send(entry).is_err() {
            count(&self.queue.dropped);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Lines<'w>;

    fn make_writer(&'w self) -> Lines<'w> {
        Lines { queue: self, priority: "" }
    }

    fn make_writer_for(&'w self, about: &Metadata<'_>) -> Lines<'w> {
        let priority = if self.priorities { priority(about.level()) } else { "" };
        Lines { queue: self, priority }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Writes one line per permit, and passes on what was written.
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
    fn the_journal_is_recognized() {
        assert!(is_journal(Some("8:1234"), 8, 1234));
        for other in [None, Some(""), Some("8"), Some("9:1234"), Some("8:12345"), Some("8:1234:5"), Some("x:y")] {
            assert!(!is_journal(other, 8, 1234), "{other:?}");
        }
    }

    #[test]
    fn a_stalled_reader_costs_lines_but_no_time() {
        let ((lets, allowed), (written, out)) = (channel(), sync_channel(10 * QUEUE_LENGTH));
        let queue = Queue::start(Stalled { lets: allowed, written }).unwrap();
        let begin = Instant::now();
        for number in 0..3 * QUEUE_LENGTH {
            Write::write_all(&mut queue.make_writer(), format!("{number}\n").as_bytes()).unwrap();
        }
        queue.flush(Duration::from_millis(50));
        assert!(begin.elapsed() < Duration::from_secs(5), "logging waits for the reader");
        let lost = queue.dropped.load(Ordering::Relaxed) as usize;
        assert!((2 * QUEUE_LENGTH - 1..=2 * QUEUE_LENGTH).contains(&lost), "{lost}");
        for _ in 0..3 * QUEUE_LENGTH {
            lets.send(()).unwrap();
        }
        // Lines arrive in order. The writer takes one from the queue early or late, and then another one fits.
        queue.flush(Duration::from_secs(60));
        let lines: Vec<usize> =
            out.try_iter().map(|line| String::from_utf8(line).unwrap().trim_end().parse().unwrap()).collect();
        assert!(lines.is_sorted_by(|one, next| one < next), "{lines:?}");
        assert!(lines.iter().take(QUEUE_LENGTH).copied().eq(0..QUEUE_LENGTH), "{lines:?}");
        assert_eq!(lines.len() + lost, 3 * QUEUE_LENGTH);
    }
}

//! The provider's keys: from a file, which is read again when it has changed, or from a URL. Neither is read on behalf of every
//! token, so that invented key names cause no requests.

use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Mutex as AsyncMutex;
use tracing::{info, warn};

use super::http::Requests;
use super::key_set::KeySet;
use super::settings::{Jwt, KeysFrom};
use crate::files::{self, named, Readers};

const STEP: &str = "key set";

/// Longest file in bytes, as for a response.
const FILE_LIMIT: u64 = 1 << 18;

/// How long keys from a URL are used before they are fetched again.
const FRESH: Duration = Duration::from_secs(3600);

/// The same for a file, of which at first only the times are looked at.
const FRESH_FILE: Duration = Duration::from_secs(1);

/// The pause between two looks at a file.
const FILE_PAUSE: Duration = Duration::from_millis(50);

/// Where the keys come from, and those that were read last.
pub struct Keys {
    shared: Arc<Shared>,
    keep: Duration,
    fresh: Duration,
    pause: Duration,
}

struct Shared {
    origin: Origin,
    state: Mutex<State>,
    /// Held while the keys are read: one reader is enough.
    reading: Arc<AsyncMutex<()>>,
}

enum Origin {
    File(PathBuf),
    Url(Box<Requests>),
}

#[derive(Default)]
struct State {
    set: Option<Arc<KeySet>>,
    /// When the set was last known to be the provider's.
    read: Option<Instant>,
    tried: Option<Instant>,
    /// Why the last attempt failed.
    error: Option<String>,
    /// The file that the set is from.
    file: Option<FileId>,
}

/// Device, inode, size and times of a file: if they are the same, its content is.
type FileId = (u64, u64, u64, Option<SystemTime>, i64, i64, u32, u32);

impl Keys {
    /// A file is read, a URL is not: it may be away when the gateway starts.
    pub fn new(settings: &Jwt) -> Result<Self, String> {
        let keep = Duration::from_secs(settings.keep_seconds);
        let (origin, fresh, pause) = match &settings.keys {
            KeysFrom::File(path) => (Origin::File(path.clone()), FRESH_FILE, FILE_PAUSE),
            KeysFrom::Url(url) => {
                let timeout = Duration::from_secs(settings.timeout_seconds);
                let requests = Requests::new(STEP, url, settings.ca.as_deref(), timeout)?;
                (Origin::Url(Box::new(requests)), FRESH, Duration::from_secs(settings.retry_seconds))
            }
        };
        let shared = Shared { origin, state: Mutex::default(), reading: Arc::default() };
        if matches!(shared.origin, Origin::File(_)) {
            shared.read()?;
            shared.lock().tried = Some(Instant::now());
        }
        Ok(Keys { shared: Arc::new(shared), keep, fresh, pause })
    }

    /// Takes the keys of the configuration before a reload, in case the provider is away now. They are fetched again at once.
    pub fn inherit(&self, old: &Keys) {
        match (&self.shared.origin, &old.shared.origin) {
            (Origin::Url(new), Origin::Url(old)) if new.url() == old.url() => {}
            _ => return,
        }
        let (old, mut new) = (old.shared.lock(), self.shared.lock());
        if new.set.is_none() {
            (new.set, new.read) = (old.set.clone(), old.read);
        }
    }

    /// A set that has a key of this name, or the newest one.
    pub async fn having(&self, kid: Option<&str>) -> Result<Arc<KeySet>, String> {
        let (set, is_due) = self.current();
        if let (Some(set), false) = (&set, is_due) {
            if set.has(kid) {
                return Ok(set.clone());
            }
        }
        let is_usable = set.as_ref().is_some_and(|set| set.has(kid));
        match &self.shared.origin {
            // Nobody waits for a provider whose old key is still good.
            Origin::Url(_) if is_usable => {
                if let Ok(turn) = self.shared.reading.clone().try_lock_owned() {
                    if self.may_try() {
                        let shared = self.shared.clone();
                        tokio::task::spawn_blocking(move || {
                            shared.refresh();
                            drop(turn);
                        });
                    }
                }
            }
            _ => {
                let turn = self.shared.reading.clone().lock_owned().await;
                // Another login may have read them meanwhile.
                if self.may_try() {
                    let shared = self.shared.clone();
                    // It goes on even if this login is given up.
                    let reading = tokio::task::spawn_blocking(move || {
                        shared.refresh();
                        drop(turn);
                    });
                    let _ = reading.await;
                }
            }
        }
        self.current()
            .0
            .ok_or_else(|| self.shared.lock().error.clone().unwrap_or_else(|| format!("OAuth, {STEP}: not read yet")))
    }

    /// The set, unless it is too old to be trusted; and whether it should be read again.
    fn current(&self) -> (Option<Arc<KeySet>>, bool) {
        let state = self.shared.lock();
        let Some(age) = state.read.map(|read| read.elapsed()) else { return (None, true) };
        (state.set.clone().filter(|_| age < self.keep), state.tried.is_none() || age >= self.fresh)
    }

    fn may_try(&self) -> bool {
        let mut state = self.shared.lock();
        let may = state.tried.is_none_or(|tried| tried.elapsed() >= self.pause);
        if may {
            state.tried = Some(Instant::now());
        }
        may
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves no half-changed data here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the keys again, and logs it if they cannot be read.
    fn refresh(&self) {
        if let Err(error) = self.read() {
            let mut state = self.lock();
            if state.error.as_deref() != Some(&error) {
                warn!(error, "cannot read the keys for tokens; the old ones stay in use for jwt.keep_seconds");
            }
            state.error = Some(error);
        }
    }

    fn read(&self) -> Result<(), String> {
        let (set, file) = match &self.origin {
            Origin::Url(requests) => {
                let set = KeySet::parse(&requests.get()?).map_err(|error| format!("OAuth, {STEP}: {error}"))?;
                (Some(set), None)
            }
            Origin::File(path) => {
                let known = self.lock().file;
                let (set, file) = read_file(path, known).map_err(|error| format!("OAuth, {STEP}: {error}"))?;
                (set, Some(file))
            }
        };
        let mut state = self.lock();
        if let Some(set) = set {
            info!(keys = set.len(), "the keys for tokens were read");
            state.set = Some(Arc::new(set));
        }
        (state.read, state.file, state.error) = (Some(Instant::now()), file, None);
        Ok(())
    }
}

/// The set of a file, if it is not the `known` one. Whoever can write the file can make tokens.
fn read_file(path: &Path, known: Option<FileId>) -> Result<(Option<KeySet>, FileId), String> {
    let (file, about) = files::open(path, OpenOptions::new().read(true), Readers::Any)?;
    files::check_writers(&about).map_err(|error| named(path, error))?;
    let id = (
        about.dev(),
        about.ino(),
        about.len(),
        about.modified().ok(),
        about.ctime(),
        about.ctime_nsec(),
        about.mode(),
        about.uid(),
    );
    if known == Some(id) {
        return Ok((None, id));
    }
    if about.len() > FILE_LIMIT {
        return Err(named(path, format!("it is longer than {FILE_LIMIT} bytes")));
    }
    let text = files::content(&file, &about).map_err(|error| named(path, error))?;
    let set = KeySet::parse(text.expose()).map_err(|error| named(path, error))?;
    Ok((Some(set), id))
}

//! A file with secrets: who may own it, how it is read, and how it is replaced as a whole.
//!
//! It is a regular file of this process's user or of root, which others can neither read nor write. A reader follows
//! symbolic links. A writer, which replaces the file of that name, does not.
//! A writer locks the file `.NAME.lock` beside it, which others cannot open: otherwise a group that may read the users could
//! hold the lock and block all writers. The writer creates `.NAME.new` and renames it. So readers need no lock, and see
//! either the old file or the new one. `.NAME.new` belongs to the owner of the lock, so the next writer removes one that a
//! killed writer has left.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{flock, FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

pub(super) use crate::files::Stamp;
use crate::files::{content, open_with, Fault, Readers};
use authen_sasl_rust::error::{Code, Error};
use authen_sasl_rust::secret::Secret;

/// A file as it was read. It stays open, so that no other file gets its inode number.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    meta: Metadata,
}

impl Opened {
    /// Opens a file for reading, if it can be trusted.
    pub fn read_only(path: &Path) -> Result<Self, Error> {
        Opened::with(path, OpenOptions::new().read(true), OFlags::empty())
    }

    fn with(path: &Path, options: &mut OpenOptions, flags: OFlags) -> Result<Self, Error> {
        let opened = open_with(path, options, flags, Readers::Owner);
        let (file, meta) = opened.map_err(|fault| match fault {
            Fault::System(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
                refused(path, "it is a symbolic link, which a change would replace: name the file itself")
            }
            Fault::System(error) => failed(path, &error),
            Fault::Untrusted(why) => refused(path, why),
        })?;
        Ok(Opened { file, meta })
    }

    /// Its contents.
    pub fn content(&self, path: &Path) -> Result<Secret, Error> {
        content(&self.file, &self.meta).map_err(|error| failed(path, &error))
    }

    pub fn stamp(&self) -> Stamp {
        Stamp::from(&self.meta)
    }
}

/// The stamp of the current file of that name.
pub(super) fn stamp(path: &Path) -> Result<Stamp, Error> {
    fs::metadata(path).map(|meta| Stamp::from(&meta)).map_err(|error| failed(path, &error))
}

/// A locked file: no other writer changes it until this is dropped.
pub(super) struct Locked<'a> {
    path: &'a Path,
    opened: Opened,
    _lock: File,
}

impl<'a> Locked<'a> {
    /// Locks a file, for which it waits at most `wait`. Creates an empty one if there is none and `create` is true.
    pub fn new(path: &'a Path, create: bool, wait: Duration) -> Result<Self, Error> {
        if !create {
            Opened::read_only(path)?;
        }
        let (lock, is_new) = open_lock(path)?;
        let end = Instant::now() + wait;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < end => sleep(Duration::from_millis(5)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    let text = format!("users file {}: another program keeps it locked", path.display());
                    return Err(Error::outside(Code::TryAgain, text));
                }
                Err(error) => return Err(failed(path, &error.into())),
            }
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).mode(0o600);
        let opened = Opened::with(path, &mut options, OFlags::NOFOLLOW)?;
        // If root has created the lock file, the user of the users' file must be able to lock it too.
        if is_new && opened.meta.uid() != geteuid().as_raw() {
            fchown(&lock, Some(opened.meta.uid()), None).map_err(|error| failed(path, &error))?;
        }
        Ok(Locked { path, opened, _lock: lock })
    }

    pub fn content(&self) -> Result<Secret, Error> {
        self.opened.content(self.path)
    }

    /// Replaces the contents as a whole, and writes them to the disk.
    pub fn replace(&self, content: &Secret) -> Result<(), Error> {
        let beside = beside(self.path, "new");
        let written = self.write(&beside, content).and_then(|()| fs::rename(&beside, self.path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        // The folder is written to the disk too: otherwise the old file may be back after a power failure.
        let kept = written.and_then(|()| File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all());
        kept.map_err(|error| failed(self.path, &error))
    }

    fn write(&self, beside: &Path, content: &Secret) -> io::Result<()> {
        match fs::remove_file(beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        let (old, new) = (&self.opened.meta, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        file.write_all(content.expose())?;
        file.sync_all()
    }
}

/// The lock file of the users' file, and whether it was just created. It is not removed.
fn open_lock(path: &Path) -> Result<(File, bool), Error> {
    let lock = beside(path, "lock");
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    match options.clone().create_new(true).open(&lock) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made.map(|file| (file, true)).map_err(|error| failed(&lock, &error)),
    }
    let file = options.open(&lock).map_err(|error| failed(&lock, &error))?;
    let meta = file.metadata().map_err(|error| failed(&lock, &error))?;
    let user = geteuid();
    // Root may change the file of a user, who must then own the lock file.
    let of_users = || fs::symlink_metadata(path).is_ok_and(|users| users.uid() == meta.uid());
    let owned = meta.uid() == 0 || meta.uid() == user.as_raw() || (user.is_root() && of_users());
    if !meta.is_file() || meta.mode() & 0o077 != 0 || !owned {
        return Err(refused(&lock, "others can hold this lock; remove it"));
    }
    Ok((file, false))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(end);
    path.with_file_name(name)
}

/// The error if the system refuses.
fn failed(path: &Path, error: &io::Error) -> Error {
    Error::outside(Code::Fail, format!("users file {}: {error}", path.display()))
}

/// The error if the file cannot be trusted.
pub(super) fn refused(path: &Path, why: &str) -> Error {
    Error::outside(Code::ConfigErr, format!("users file {}: {why}", path.display()))
}

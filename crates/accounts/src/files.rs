//! Files with secrets: who may have them, and how they are opened and read. Judged is the file that was opened, so symbolic
//! links in its path (as in a Secret of Kubernetes) do not matter.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use authen_sasl_rust::secret::Secret;

/// Longest file, in bytes: some 400,000 users.
const SIZE_LIMIT: u64 = 64 << 20;

/// Who may read a file besides this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Everyone.
    Any,
    /// Only its owner, who must be root or this program's user, and perhaps a group.
    Owner,
}

/// Detects changes of a file: a replaced file has another inode, and a modified file another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp([i128; 5]);

impl Stamp {
    /// The stamp of the current file of that name, if there is one that can be reached.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Stamp::from)
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        let nanoseconds = |seconds, rest| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Stamp([
            meta.dev().into(),
            meta.ino().into(),
            meta.size().into(),
            nanoseconds(meta.mtime(), meta.mtime_nsec()),
            nanoseconds(meta.ctime(), meta.ctime_nsec()),
        ])
    }
}

/// Why a file is not opened.
#[derive(Debug)]
pub enum Fault {
    /// The system refuses.
    System(io::Error),
    /// It is not a file to be trusted.
    Untrusted(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::System(error) => error.fmt(f),
            Fault::Untrusted(why) => f.write_str(why),
        }
    }
}

/// Opens a file, and checks its type, owner, mode and size.
///
/// # Errors
/// If it cannot be opened, or is not to be trusted.
pub fn open(path: &Path, options: &mut OpenOptions, readers: Readers) -> Result<(File, Metadata), Fault> {
    open_with(path, options, OFlags::empty(), readers)
}

/// As [`open`], with these flags of open(2).
pub(crate) fn open_with(
    path: &Path,
    options: &mut OpenOptions,
    flags: OFlags,
    readers: Readers,
) -> Result<(File, Metadata), Fault> {
    // Opening a named pipe would block.
    let flags = (flags | OFlags::NONBLOCK).bits() as i32;
    let file = options.custom_flags(flags).open(path).map_err(Fault::System)?;
    let about = file.metadata().map_err(Fault::System)?;
    if !about.is_file() {
        return Err(Fault::Untrusted("not a regular file"));
    }
    if readers == Readers::Owner {
        if about.uid() != 0 && about.uid() != geteuid().as_raw() {
            return Err(Fault::Untrusted("it belongs neither to the user of this program nor to root"));
        }
        if about.mode() & 0o027 != 0 {
            return Err(Fault::Untrusted("others can read or write it (chmod 600; a group may read it with 640)"));
        }
    }
    if about.len() > SIZE_LIMIT {
        return Err(Fault::Untrusted("longer than 64 MiB"));
    }
    Ok((file, about))
}

/// The content of an opened file.
///
/// # Errors
/// If it cannot be read.
pub fn content(file: &File, about: &Metadata) -> io::Result<Secret> {
    // One byte more than the file's size, so that the buffer does not grow and leave copies of secrets behind.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0).saturating_add(1));
    let read = file.take(SIZE_LIMIT).read_to_end(&mut bytes);
    let bytes = Secret::from(bytes);
    read.map(|_| bytes)
}

//! Finds the files of plugins and opens them, each once per process. They are never closed, since there may be pointers to
//! their code and statics anywhere.

use std::collections::HashMap;
use std::ffi::{c_int, OsStr};
use std::fs::{File as Handle, Metadata, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::process::geteuid;

use super::elf;
use super::search::Refused;
use saslplug::{AuxpropPlug, CanonuserPlug, ClientPlug, Init, MechanismInit, ServerPlug};

/// The size limit of a plugin's file, in bytes.
const LIMIT: u64 = 64 << 20;

/// The functions of libsasl2 that a plugin may call. They use no connection, so they work although the connection is ours.
const HARMLESS: [&[u8]; 7] = [
    b"sasl_errstring",
    b"sasl_encode64",
    b"sasl_decode64",
    b"sasl_utf8verify",
    b"sasl_erasebuffer",
    b"sasl_version",
    b"sasl_version_info",
];

/// A kind of plugin in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's or a server's mechanisms.
    Mechanism,
    /// Accounts: properties of users, canonical names.
    Account,
}

/// A file that was opened, with its entry points.
#[derive(Debug)]
pub struct File {
    /// The plugin's name: `otp` for `libotp.so.2`.
    pub name: Box<str>,
    /// Where it was found.
    pub path: PathBuf,
    /// Mechanisms of a client.
    pub client: Option<MechanismInit<ClientPlug>>,
    /// Mechanisms of a server.
    pub server: Option<MechanismInit<ServerPlug>>,
    /// Canonical names.
    pub canonuser: Option<Init<CanonuserPlug>>,
    /// Properties of users.
    pub auxprop: Option<Init<AuxpropPlug>>,
}

/// A file that may be a plugin.
struct Candidate {
    name: Box<str>,
    path: PathBuf,
    /// Libtool's description, which contains the name of the file.
    described: bool,
}

/// The plugin's name: the file's, without `lib` before it, up to the first dot.
fn plugin_name(file: &str) -> &str {
    let name = file.strip_prefix("lib").unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}

/// The candidates in a folder, by name. A `.la` file means the `.so` beside it.
fn candidates(folder: &Path) -> std::io::Result<Vec<Candidate>> {
    let mut files: Vec<String> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".so") || name.ends_with(".la"))
        .collect();
    files.sort();
    let described = |file: &str| file.strip_suffix(".so").is_some_and(|stem| files.contains(&format!("{stem}.la")));
    let wanted = files.iter().filter(|file| !described(file) && !plugin_name(file).is_empty());
    Ok(wanted
        .map(|file| Candidate {
            name: plugin_name(file).into(),
            path: folder.join(file),
            described: file.ends_with(".la"),
        })
        .collect())
}

/// Opens the plugins of this kind in these folders: those named, in upper or lower case, or all. If two files have the same
/// name, that of the first folder is used. Unusable plugins are listed in the result.
pub fn open(folders: &[PathBuf], names: Option<&[&str]>, kind: Kind) -> (Vec<&'static File>, Vec<Refused>) {
    let (mut opened, mut refused) = (Vec::new(), Vec::new());
    let mut seen: Vec<Box<str>> = Vec::new();
    for folder in folders {
        let found = match candidates(folder) {
            Ok(found) => found,
            Err(error) => {
                let reason = format!("the folder cannot be read: {error}");
                refused.push(Refused { name: "".into(), path: folder.clone(), reason });
                continue;
            }
        };
        for candidate in found {
            let wanted = names.is_none_or(|names| names.iter().any(|name| name.eq_ignore_ascii_case(&candidate.name)));
            if !wanted || seen.contains(&candidate.name) {
                continue;
            }
            seen.push(candidate.name.clone());
            match open_one(&candidate, kind) {
                Ok(file) => opened.extend(file),
                Err(reason) => refused.push(Refused { name: candidate.name, path: candidate.path, reason }),
            }
        }
    }
    for name in names.unwrap_or_default() {
        if !seen.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let reason = "there is no such file in the folders of plugins".to_owned();
            refused.push(Refused { name: (*name).into(), path: PathBuf::new(), reason });
        }
    }
    (opened, refused)
}

/// The open files, by their real paths.
static OPEN: Mutex<Option<HashMap<PathBuf, &'static File>>> = Mutex::new(None);

/// `None` if it has nothing of this kind.
fn open_one(candidate: &Candidate, kind: Kind) -> Result<Option<&'static File>, String> {
    let path = if candidate.described { described(&candidate.path)? } else { candidate.path.clone() };
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let open = open.get_or_insert_default();
    if let Some(known) = open.get(&path) {
        return Ok(known.has(kind).then_some(known));
    }
    let bytes = read(&path)?;
    let symbols = elf::symbols(&bytes)?;
    let defines = |name: &str| symbols.defined.contains(&name.as_bytes());
    let mechanism = defines(CLIENT) || defines(SERVER);
    let account = defines(CANONUSER) || AUXPROP.iter().any(|name| defines(name));
    if !mechanism && !account {
        return Err("it has none of the entry points of a Cyrus plugin".into());
    }
    if !(if kind == Kind::Mechanism { mechanism } else { account }) {
        return Ok(None);
    }
    let strange =
        |name: &&&[u8]| (name.starts_with(b"sasl_") || name.starts_with(b"prop_")) && !HARMLESS.contains(*name);
    if let Some(name) = symbols.imported.iter().find(strange) {
        let name = String::from_utf8_lossy(name);
        return Err(format!("it calls libsasl2 itself ({name}), which this host replaces"));
    }
    let file = File::load(&candidate.name, &path, &bytes)?;
    open.insert(path, file);
    Ok(Some(file))
}

const CLIENT: &str = "sasl_client_plug_init";
const SERVER: &str = "sasl_server_plug_init";
const CANONUSER: &str = "sasl_canonuser_init";
/// The name of an entry point, as in plugins and as in the guide.
const AUXPROP: [&str; 2] = ["sasl_auxprop_plug_init", "sasl_auxprop_init"];

impl File {
    fn load(name: &str, path: &Path, bytes: &[u8]) -> Result<&'static File, String> {
        let library = load(path, bytes)?;
        let file = File {
            name: name.into(),
            client: entry(&library, CLIENT),
            server: entry(&library, SERVER),
            canonuser: entry(&library, CANONUSER),
            auxprop: AUXPROP.iter().find_map(|name| entry(&library, name)),
            path: path.to_owned(),
        };
        std::mem::forget(library);
        Ok(Box::leak(Box::new(file)))
    }

    /// A second copy of the same file, with its own statics.
    ///
    /// # Errors
    /// In words, if it can no longer be read, or no second copy of it can be loaded.
    pub fn again(&self) -> Result<&'static File, String> {
        Self::load(&self.name, &self.path, &read(&self.path)?)
    }

    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Mechanism => self.client.is_some() || self.server.is_some(),
            Kind::Account => self.canonuser.is_some() || self.auxprop.is_some(),
        }
    }
}

fn entry<T: Copy>(library: &Library, name: &str) -> Option<T> {
    // SAFETY: the entry point of that name has the type that saslplug.h gives it.
    unsafe { library.get::<T>(name.as_bytes()) }.ok().map(|symbol| *symbol)
}

/// The file that libtool's description names: `dlname='libotp.so.2'`, in the same folder.
fn described(path: &Path) -> Result<PathBuf, String> {
    let text = read(path)?;
    let quoted =
        text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"dlname='")?.split(|b| *b == b'\'').next());
    match quoted {
        None => Err("it is not a libtool file: it has no dlname".into()),
        Some(b"") => Err("its dlname is empty: there is no shared object".into()),
        Some(name) if name.contains(&b'/') => Err("its dlname leads to another folder".into()),
        Some(name) => Ok(path.with_file_name(OsStr::from_bytes(name))),
    }
}

/// Why a plugin must not be loaded from a file or folder with this mode, user and group. Whoever can change or replace a
/// plugin can run code in this process. If the process runs as root, only root may be able to do so.
fn distrust(mode: u32, user: u32, group: u32, root: bool) -> Option<&'static str> {
    match () {
        () if mode & 0o002 != 0 => Some("anybody may write to it"),
        () if root && user != 0 => Some("it does not belong to root, and this process runs as root"),
        () if root && mode & 0o020 != 0 && group != 0 => Some("a group may write to it, and this process runs as root"),
        () => None,
    }
}

fn trusted(about: &Metadata) -> Result<(), String> {
    distrust(about.mode(), about.uid(), about.gid(), geteuid().is_root()).map_or(Ok(()), |reason| Err(reason.into()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| error.to_string();
    // The file that is checked is the one that is read. Opening a pipe without a writer would block.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as c_int;
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err("it is not a regular file".into());
    }
    trusted(&about)?;
    if let Some(folder) = path.parent() {
        let about = std::fs::metadata(folder).map_err(failed)?;
        trusted(&about).map_err(|reason| format!("its folder {}: {reason}", folder.display()))?;
    }
    if about.len() > LIMIT {
        return Err(format!("it is longer than {LIMIT} bytes"));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Loads the contents of the file from a copy in memory. libsasl2 may load the same file into this process, and the loader
/// would give both the same statics (docs/decisions/0007-plugins.md). If the system forbids the copy, the file itself is
/// loaded, unless it is already in use.
fn load(path: &Path, bytes: &[u8]) -> Result<Library, String> {
    let copied = copy(bytes);
    // SAFETY: to load a plugin is to run its code: the caller has asked for it.
    let open = |path: &Path, flags: c_int| unsafe { Library::open(Some(path), flags) };
    if let Ok(copy) = &copied {
        // The loader treats equal names as the same object, and file descriptor numbers are reused.
        static LOADED: AtomicUsize = AtomicUsize::new(1);
        let slashes = "/".repeat(LOADED.fetch_add(1, Ordering::Relaxed));
        let name = PathBuf::from(format!("/proc/self/fd{slashes}{}", copy.as_raw_fd()));
        if let Ok(library) = open(&name, RTLD_NOW | RTLD_LOCAL) {
            return Ok(library);
        }
    }
    if open(path, RTLD_NOW | NOLOAD).is_ok() {
        return Err("libsasl2 has loaded it into this process, and no copy of it can be loaded".into());
    }
    open(path, RTLD_NOW | RTLD_LOCAL).map_err(|error| error.to_string())
}

/// `RTLD_NOLOAD` of dlfcn.h: open the file only if it is already loaded.
const NOLOAD: c_int = if cfg!(target_os = "linux") { 0x4 } else { 0x2000 };

#[cfg(target_os = "linux")]
fn copy(bytes: &[u8]) -> std::io::Result<Handle> {
    use rustix::fs::{memfd_create, MemfdFlags};
    use std::io::Write;

    let mut file = Handle::from(memfd_create(c"sasl-plugin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn copy(_: &[u8]) -> std::io::Result<Handle> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::distrust;

    #[test]
    fn root_loads_only_what_root_alone_can_change() {
        let refused = |mode, user, group, root| distrust(mode, user, group, root).is_some();
        for root in [true, false] {
            assert!(!refused(0o755, 0, 0, root) && !refused(0o775, 0, 0, root), "root's");
            assert!(refused(0o757, 0, 0, root) && refused(0o1777, 0, 0, root), "anybody may write");
            assert_eq!(refused(0o755, 1000, 0, root), root, "another user's");
            assert_eq!(refused(0o775, 0, 50, root), root, "a group may write");
            assert!(!refused(0o755, 0, 50, root), "a group may read");
        }
    }
}

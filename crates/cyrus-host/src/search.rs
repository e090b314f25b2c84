//! The folders of plugins, and the files in them that are not used.

use std::ffi::OsStr;
use std::path::PathBuf;

use authen_sasl_accounts::conf::machine_folder;

/// A file that is not used, and why.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The plugin's name.
    pub name: Box<str>,
    /// Where it was found.
    pub path: PathBuf,
    /// The reason, in words.
    pub reason: String,
}

/// The folders to search: those that were requested, else those of `SASL_PATH`, else the system's. The environment is ignored
/// if the program has more rights than its user (CVE-2004-0884).
pub fn folders(asked: Option<&str>) -> Vec<PathBuf> {
    let split = |list: &OsStr| {
        let folders = std::env::split_paths(list);
        folders.filter(|path| !path.as_os_str().is_empty()).collect::<Vec<_>>()
    };
    if let Some(list) = asked {
        return split(OsStr::new(list));
    }
    match std::env::var_os("SASL_PATH").filter(|list| !list.is_empty() && !privileged()) {
        Some(list) => split(&list),
        None => system_folders(),
    }
}

/// True if this program has rights that its user does not have.
#[cfg(unix)]
pub fn privileged() -> bool {
    #[cfg(target_os = "linux")]
    {
        /// `AT_SECURE` of elf.h: capabilities and security modules count too.
        const SECURE: std::ffi::c_ulong = 23;
        extern "C" {
            fn getauxval(kind: std::ffi::c_ulong) -> std::ffi::c_ulong;
        }
        // SAFETY: the function of the C library reads a number.
        if unsafe { getauxval(SECURE) } != 0 {
            return true;
        }
    }
    rustix::process::getuid() != rustix::process::geteuid() || rustix::process::getgid() != rustix::process::getegid()
}

/// This is not supported on other systems.
#[cfg(not(unix))]
pub fn privileged() -> bool {
    false
}

/// The plugin folders of Debian, of other systems and of Cyrus SASL's own build that exist.
fn system_folders() -> Vec<PathBuf> {
    let folders = [machine_folder(), "/usr/lib64/sasl2".into(), "/usr/lib/sasl2".into()];
    folders.into_iter().filter(|folder| folder.is_dir()).collect()
}

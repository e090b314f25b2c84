//! Files that the configuration names. Owner and mode are checked on the opened file, so symbolic links in its path (as in a
//! Kubernetes Secret) do not matter.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use authen_sasl_accounts::files;
pub use authen_sasl_accounts::files::{content, Readers, Stamp};
use authen_sasl_rust::secret::Secret;
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

/// Reads a regular file. Errors name the file.
pub fn read(path: &Path, readers: Readers) -> Result<Secret, String> {
    let (file, about) = open(path, OpenOptions::new().read(true), readers)?;
    content(&file, &about).map_err(|error| named(path, error))
}

/// Opens a file, and checks its type, owner, mode and size.
pub fn open(path: &Path, options: &mut OpenOptions, readers: Readers) -> Result<(File, Metadata), String> {
    files::open(path, options, readers).map_err(|fault| named(path, fault))
}

/// Whether it is a stale socket, on which no process listens. Connecting to any other kind of file fails too; such a file is kept.
pub fn is_stale_socket(path: &Path) -> bool {
    let refuses = || {
        // A process that is too busy to accept is not waited for.
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    std::fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket())
        && refuses().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Checks that only its owner, who must be root or this program's user, can write a file.
pub fn check_writers(about: &Metadata) -> Result<(), &'static str> {
    if about.uid() != 0 && about.uid() != geteuid().as_raw() {
        return Err("it belongs to another user");
    }
    match about.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("others can write it"),
    }
}

/// An error text with the file's name.
pub fn named(path: &Path, what: impl std::fmt::Display) -> String {
    format!("{}: {what}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;

    /// A temporary folder of this test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sasl-gate-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn file(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, "text").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_opened_file_is_checked() {
        let folder = Folder::new("files");
        let link = |to: &Path, name: &str| {
            let path = folder.0.join(name);
            std::os::unix::fs::symlink(to, &path).unwrap();
            path
        };
        let (secret, open) = (folder.file("secret", 0o640), folder.file("open", 0o644));
        let (to_secret, to_open) = (link(&secret, "to-secret"), link(&open, "to-open"));
        for path in [&secret, &to_secret] {
            assert!(read(path, Readers::Owner).unwrap().ct_eq(b"text"), "{path:?}");
        }
        for path in [&open, &to_open] {
            assert!(read(path, Readers::Any).unwrap().ct_eq(b"text"), "{path:?}");
            assert!(read(path, Readers::Owner).unwrap_err().contains("others can read"), "{path:?}");
        }
        let nowhere = link(&folder.0.join("nowhere"), "to-nowhere");
        assert!(read(&nowhere, Readers::Any).unwrap_err().starts_with(&nowhere.display().to_string()));
    }

    /// None of them blocks.
    #[test]
    fn only_regular_files_are_read() {
        let folder = Folder::new("no-files");
        let pipe = folder.0.join("pipe");
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
        for path in [&pipe, &folder.0, Path::new("/dev/null")] {
            for readers in [Readers::Any, Readers::Owner] {
                assert!(read(path, readers).unwrap_err().ends_with("not a regular file"), "{path:?}");
            }
        }
    }
}

//! What the service manager is told about this process (sd_notify(3)).

use std::ffi::OsStr;
use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::debug;

/// Sends a state such as `READY=1` to systemd, if it has started this process and waits for that.
pub fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, state) {
        debug!(%error, "cannot notify systemd");
    }
}

fn send(path: &OsStr, state: &str) -> Result<(), Error> {
    let address = match path.as_bytes().split_first() {
        #[cfg(target_os = "linux")]
        Some((b'@', name)) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_arrives() {
        let path = std::env::temp_dir().join(format!("sasl-gate-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        let mut buffer = [0; 20];
        let size = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..size], b"READY=1");
        std::fs::remove_file(&path).unwrap();
        assert!(send(path.as_os_str(), "READY=1").is_err());
    }
}

//! What systemd is told (sd_notify(3)): that the server listens, and that it ends. Without systemd it is told to nobody.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The server listens.
pub const READY: &str = "READY=1";

/// The server ends.
pub const STOPPING: &str = "STOPPING=1";

/// Tells the service manager, if there is one.
///
/// # Errors
/// When `NOTIFY_SOCKET` names a socket that does not take it.
pub fn tell(what: &str) -> io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address)?;
    Ok(())
}

//! The socket of `--status`, on which whoever connects is told what is going on, and `rendezvous status`, which shows it.

mod table;
mod view;

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::cli::head::Headed;
use anyhow::Context;
use nix::sys::stat::{Mode, umask};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::serve::Shared;
use crate::snapshot::Snapshot;

pub use view::{Status, show};

/// Connections at once. Further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 4;

/// How long one connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait when there is no file for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the service of the package has it.
const OF_THE_SERVICE: &str = "/run/rendezvous/status";

/// The socket. It is removed when this is dropped.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Where the socket is unless `--status` says: in the runtime directory of the service, else of the user.
fn usual() -> Option<PathBuf> {
    let folder = |variable| std::env::var_os(variable).filter(|folder| !folder.is_empty());
    match folder("RUNTIME_DIRECTORY") {
        Some(folder) => Some(Path::new(&folder).join("status")),
        None => Some(Path::new(&folder("XDG_RUNTIME_DIR")?).join("rendezvous-status")),
    }
}

/// Listens at the path that is given, else at the usual one, if there is one and no other server has it.
///
/// # Errors
/// When the path that is given cannot be used.
pub fn listen(given: Option<&Path>) -> anyhow::Result<Option<Socket>> {
    let bound = |path: PathBuf| {
        let listener = bind(&path)?;
        Ok(Socket { listener, path })
    };
    match (given, usual()) {
        (Some(path), _) => {
            let bound: io::Result<_> = bound(path.to_owned());
            let socket =
                bound.with_context(|| format!("cannot listen on --status {}", path.display()))?;
            Ok(Some(socket))
        }
        (None, Some(path)) => {
            let bound: io::Result<_> = bound(path.clone());
            if let Err(error) = &bound {
                tracing::debug!(path = %path.display(), %error, "no status");
            }
            Ok(bound.ok())
        }
        (None, None) => Ok(None),
    }
}

/// Binds, for the owner of this process alone. The socket of a server that has ended makes room.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    if is_socket
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}

/// Tells each that connects, until the runtime ends.
pub async fn serve(shared: Arc<Shared>, socket: Socket) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((mut stream, _)) = socket.listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _place = place;
            let Ok(report) = Headed::now("rendezvous", Snapshot::of(&shared)).to_json() else {
                return;
            };
            let line = report + "\n";
            let _ = timeout(TIMEOUT, stream.write_all(line.as_bytes())).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_and_that_of_an_ended_server_makes_room() {
        let name = format!("pinhole-status-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let first = listen(Some(&path)).unwrap().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = listen(Some(&path)).map(drop).unwrap_err();
        assert!(
            format!("{refused:#}").contains("cannot listen on --status"),
            "{refused:#}"
        );
        drop(first);
        assert!(!path.exists(), "it is removed at the end");
        // As after kill -9: the path stays.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(listen(Some(&path)).unwrap());
        // What is not a socket is left alone.
        std::fs::write(&path, "mine").unwrap();
        assert!(listen(Some(&path)).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
    }
}

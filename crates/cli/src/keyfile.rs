//! A private key in a file of its own, and the folder where keys are kept.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use session::identity::Identity;

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refuses.
    #[error("{path}: {why}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says; part of the message, so not a `source`.
        why: io::Error,
    },
    /// The content is wrong.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl FileError {
    pub(crate) fn io(path: &Path, why: io::Error) -> FileError {
        FileError::Io {
            path: path.to_owned(),
            why,
        }
    }
}

/// The folder for keys and settings that the environment names: `$PINHOLE_HOME`,
/// else `$XDG_CONFIG_HOME/pinhole`, else `~/.config/pinhole`. It need not exist.
pub fn folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    var("PINHOLE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(var("XDG_CONFIG_HOME")?).join("pinhole")))
        .or_else(|| Some(PathBuf::from(var("HOME")?).join(".config/pinhole")))
}

/// The key pair whose secret is in that file as 64 hex digits. Where there is no
/// such file, a new key pair is made and written there, with mode 0600. `loss`
/// says what is lost with the key.
///
/// # Errors
/// When the file cannot be read or made, or is malformed.
pub fn read_or_make(path: &Path, loss: &str) -> Result<Identity, FileError> {
    if let Some(secret) = read_secret(path, loss)? {
        return Ok(Identity::from_secret(&secret));
    }
    let secret = new_secret(path)?;
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    match write_new(path, format!("{}\n", hex::encode(secret)).as_bytes()) {
        Ok(()) => Ok(Identity::from_secret(&secret)),
        // Another process was faster: its key is the key.
        Err(FileError::Io { why, .. }) if why.kind() == ErrorKind::AlreadyExists => {
            read_or_make(path, loss)
        }
        Err(error) => Err(error),
    }
}

/// The secret in that file; `None` if the file does not exist.
pub(crate) fn read_secret(path: &Path, loss: &str) -> Result<Option<[u8; 32]>, FileError> {
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    let secret = key_from_hex(text.trim()).ok_or_else(|| FileError::Malformed {
        path: path.to_owned(),
        problem: format!("not 64 hex digits: restore it from a backup, or remove it and {loss}"),
    })?;
    Ok(Some(secret))
}

/// A secret for the file at `path`.
pub(crate) fn new_secret(path: &Path) -> Result<[u8; 32], FileError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| FileError::io(path, io::Error::other(error)))?;
    Ok(secret)
}

/// 64 hex digits as a key.
pub fn key_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(key)
}

/// The content of a file; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(FileError::io(path, why)),
    }
}

/// Makes that folder and those above it, for their owner alone.
///
/// # Errors
/// When that is not possible.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|why| FileError::io(path, why))
}

/// Writes all of the file or nothing: with half a key, the name would be lost.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let result = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    result.map_err(|why| FileError::io(path, why))
}

/// Replaces the file, for its owner alone: a reader finds all of the old bytes or all of the new.
///
/// # Errors
/// When it cannot be written.
#[cfg(feature = "peer")]
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    // No name begins with a dot.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}-{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    write_new(&draft, bytes)?;
    fs::rename(&draft, path).map_err(|why| FileError::io(path, why))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_after_that() {
        let folder = std::env::temp_dir().join(format!("pinhole-keyfile-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let path = folder.join("deep/rendezvous-key");
        let made = read_or_make(&path, "lose it").unwrap().public();
        assert_eq!(read_or_make(&path, "lose it").unwrap().public(), made);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "not a key").unwrap();
        let error = read_or_make(&path, "lose it").unwrap_err().to_string();
        assert!(error.ends_with("or remove it and lose it"), "{error}");
        let below = path.join("no folder");
        assert!(matches!(
            read_or_make(&below, ""),
            Err(FileError::Io { .. })
        ));
        fs::remove_dir_all(folder).unwrap();
    }
}

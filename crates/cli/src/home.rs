//! What a peer keeps on disk: its options, its keys, and its peers' keys.
//!
//! The folder is `$PINHOLE_HOME`, else `$XDG_CONFIG_HOME/pinhole`, else
//! `~/.config/pinhole`. It holds:
//!
//! - `config.toml`: `server = "203.0.113.1"` and `name = "alice"`
//! - `keys/NAME`: the secret of that name, 64 hex digits, mode 0600
//! - `new-keys/NAME`, `rotations/NAME`, `refused-keys/NAME`: see [`new_key`]
//! - `known-peers`: a line for each peer, with its name and the key that it was
//!   first seen with
//! - `locks/NAME@SERVER`: locked while a process uses the name there; its
//!   content, the process id, is for people

pub mod new_key;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use session::identity::{Identity, PublicKey};
use session::name::valid_name;

use crate::options::Options;

/// Why something cannot be read from the folder, or written there.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No variable names a folder.
    #[error("no folder for keys: set PINHOLE_HOME or HOME")]
    Homeless,
    /// A file or folder cannot be read or written.
    #[error("{path}: {why}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says; part of the message, so not a `source`.
        why: io::Error,
    },
    /// A file has a wrong content.
    #[error("{path}: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A name that cannot be registered.
    #[error(
        "{0:?} cannot be a name: a name has 1 to 32 letters, digits, '-', '_' or '.', and does \
         not begin with '.'"
    )]
    BadName(String),
    /// Another process uses the name.
    #[error(
        "{name} is in use at {server} by process {process}: end that process, or use another name"
    )]
    InUse {
        /// The name.
        name: String,
        /// The rendezvous.
        server: SocketAddr,
        /// The id of the other process, as it wrote it down.
        process: String,
    },
}

/// The right to use a name at a server, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    _lock: Flock<File>,
}

/// The folder of a peer.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// The folder that the environment names; it need not exist yet.
    ///
    /// # Errors
    /// [`HomeError::Homeless`].
    pub fn find() -> Result<Home, HomeError> {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = var("PINHOLE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(var("XDG_CONFIG_HOME")?).join("pinhole")))
            .or_else(|| Some(PathBuf::from(var("HOME")?).join(".config/pinhole")))
            .ok_or(HomeError::Homeless)?;
        Ok(Home { path })
    }

    /// This folder; it need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Home {
        Home { path: path.into() }
    }

    /// The options in `config.toml`; none if there is no such file.
    ///
    /// # Errors
    /// When the file exists and cannot be read, or is malformed.
    pub fn options(&self) -> Result<Options, HomeError> {
        let path = self.path.join("config.toml");
        let Some(text) = read(&path)? else {
            return Ok(Options::default());
        };
        toml::from_str(&text).map_err(|error| HomeError::Malformed {
            path,
            problem: error.message().to_owned(),
        })
    }

    /// The key pair of a name, made on first use.
    ///
    /// # Errors
    /// [`HomeError::BadName`], or when the file cannot be read or made, or is
    /// malformed.
    pub fn identity(&self, name: &str) -> Result<Identity, HomeError> {
        if !valid_name(name) || name.starts_with('.') {
            return Err(HomeError::BadName(name.to_owned()));
        }
        let folder = self.path.join("keys");
        let path = folder.join(name);
        if let Some(secret) = read_key(&path)? {
            return Ok(Identity::from_secret(&secret));
        }
        let secret = new_secret(&path)?;
        make_folder(&folder)?;
        match write_new(&path, &format!("{}\n", hex::encode(secret))) {
            Ok(()) => Ok(Identity::from_secret(&secret)),
            // Another process was faster: its key is the key.
            Err(HomeError::Io { why, .. }) if why.kind() == ErrorKind::AlreadyExists => {
                self.identity(name)
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps other processes with this folder from using the name at that server:
    /// two would take the registration from each other again and again.
    ///
    /// # Errors
    /// [`HomeError::InUse`], or when the lock cannot be made.
    pub fn claim(&self, name: &str, server: SocketAddr) -> Result<Claim, HomeError> {
        if !valid_name(name) {
            return Err(HomeError::BadName(name.to_owned()));
        }
        let folder = self.path.join("locks");
        make_folder(&folder)?;
        let path = folder.join(format!("{name}@{server}"));
        let failed = |why| HomeError::Io {
            path: path.clone(),
            why,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0)
                    .and_then(|()| writeln!(file, "{}", std::process::id()))
                    .map_err(failed)?;
                Ok(Claim { _lock: file })
            }
            Err((_, Errno::EWOULDBLOCK)) => Err(HomeError::InUse {
                name: name.to_owned(),
                server,
                process: read(&path)?.unwrap_or_default().trim().to_owned(),
            }),
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }

    /// The keys that names were first seen with.
    ///
    /// # Errors
    /// When the file exists and cannot be read, or is malformed.
    pub fn known_peers(&self) -> Result<HashMap<String, PublicKey>, HomeError> {
        let path = self.path.join("known-peers");
        let text = read(&path)?.unwrap_or_default();
        text.lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                let (name, key) = line.trim().split_once(' ')?;
                Some((name.to_owned(), key_from_hex(key.trim())?))
                    .ok_or(number)
                    .ok()
            })
            .collect::<Option<_>>()
            .ok_or_else(|| HomeError::Malformed {
                path,
                problem: "a line is not a name and 64 hex digits".into(),
            })
    }

    /// Remembers the key that a name was first seen with.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_peer(&self, name: &str, key: &PublicKey) -> Result<(), HomeError> {
        make_folder(&self.path)?;
        let path = self.path.join("known-peers");
        let line = format!("{name} {}\n", hex::encode(key));
        // One short write to a file that is appended to: the lines of two
        // processes do not mix.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|why| HomeError::Io { path, why })
    }

    /// Replaces the key that is known for a name, since the user trusts the new
    /// one.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is malformed.
    pub fn trust_peer(&self, name: &str, key: &PublicKey) -> Result<(), HomeError> {
        self.known_peers()?; // A malformed file is left as it is.
        make_folder(&self.path)?;
        let path = self.path.join("known-peers");
        let kept = read(&path)?.unwrap_or_default();
        let of_name = |line: &&str| line.split_whitespace().next() == Some(name);
        let mut text: String = kept
            .lines()
            .filter(|line| !of_name(line))
            .map(|line| format!("{line}\n"))
            .collect();
        text.push_str(&format!("{name} {}\n", hex::encode(key)));
        replace(&path, &text)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the known peers, for messages.
    pub fn known_peers_path(&self) -> PathBuf {
        self.path.join("known-peers")
    }
}

fn read(path: &Path) -> Result<Option<String>, HomeError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(HomeError::Io {
            path: path.to_owned(),
            why,
        }),
    }
}

fn read_key(path: &Path) -> Result<Option<[u8; 32]>, HomeError> {
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    let secret = key_from_hex(text.trim()).ok_or_else(|| HomeError::Malformed {
        path: path.to_owned(),
        problem: "not 64 hex digits: restore it from a backup, or remove it and lose \
                  the name until the server forgets its key"
            .into(),
    })?;
    Ok(Some(secret))
}

/// A secret for the file at `path`.
fn new_secret(path: &Path) -> Result<[u8; 32], HomeError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| HomeError::Io {
        path: path.to_owned(),
        why: io::Error::other(error),
    })?;
    Ok(secret)
}

fn make_folder(path: &Path) -> Result<(), HomeError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|why| HomeError::Io {
            path: path.to_owned(),
            why,
        })
}

/// Writes all of the file or nothing: with half a key, the name would be lost.
fn write_new(path: &Path, text: &str) -> Result<(), HomeError> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let result = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    result.map_err(|why| HomeError::Io {
        path: path.to_owned(),
        why,
    })
}

/// Replaces the file: a reader finds all of the old text or all of the new.
fn replace(path: &Path, text: &str) -> Result<(), HomeError> {
    // No name begins with a dot.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}-{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    write_new(&draft, text)?;
    fs::rename(&draft, path).map_err(|why| HomeError::Io {
        path: path.to_owned(),
        why,
    })
}

fn key_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(test: &str) -> Home {
        let path = std::env::temp_dir().join(format!("pinhole-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Home::at(path)
    }

    #[test]
    fn a_name_keeps_its_key_and_names_have_different_ones() {
        let home = home("keys");
        let alice = home.identity("alice").unwrap().public();
        assert_eq!(home.identity("alice").unwrap().public(), alice);
        assert_ne!(home.identity("bob").unwrap().public(), alice);
        for bad in ["../alice", "", ".hidden", "a/b"] {
            assert!(
                matches!(home.identity(bad), Err(HomeError::BadName(_))),
                "{bad}"
            );
        }
        fs::write(home.path.join("keys/alice"), "not a key").unwrap();
        assert!(matches!(
            home.identity("alice"),
            Err(HomeError::Malformed { .. })
        ));
        fs::remove_dir_all(home.path).unwrap();
    }

    #[test]
    fn only_one_process_uses_a_name_at_a_server() {
        let home = home("locks");
        let server = ([203, 0, 113, 1], 8848).into();
        let claim = home.claim("alice", server).unwrap();
        let refused = home.claim("alice", server).unwrap_err().to_string();
        let us = format!("by process {}:", std::process::id());
        assert!(refused.contains(&us), "{refused}");
        home.claim("bob", server).unwrap();
        home.claim("alice", ([203, 0, 113, 1], 8849).into())
            .unwrap();
        drop(claim);
        home.claim("alice", server).unwrap();
        assert!(home.claim("../alice", server).is_err());
        fs::remove_dir_all(home.path).unwrap();
    }

    #[test]
    fn the_key_of_a_peer_is_kept_and_can_be_replaced() {
        let home = home("peers");
        assert!(home.known_peers().unwrap().is_empty());
        home.remember_peer("bob", &[7; 32]).unwrap();
        home.remember_peer("carol", &[8; 32]).unwrap();
        let known = home.known_peers().unwrap();
        assert_eq!((known["bob"], known["carol"]), ([7; 32], [8; 32]));
        home.trust_peer("bob", &[9; 32]).unwrap();
        let known = home.known_peers().unwrap();
        assert_eq!((known["bob"], known["carol"]), ([9; 32], [8; 32]));
        fs::write(home.known_peers_path(), "bob nonsense\n").unwrap();
        assert!(home.known_peers().is_err());
        fs::remove_dir_all(home.path).unwrap();
    }

    #[test]
    fn an_error_gives_its_cause_once() {
        use std::error::Error;
        let home = home("once");
        fs::create_dir_all(home.path.join("config.toml")).unwrap();
        let error = home.options().unwrap_err();
        let path = home.path.join("config.toml");
        let wanted = format!("{}: Is a directory (os error 21)", path.display());
        assert_eq!(error.to_string(), wanted);
        assert!(error.source().is_none(), "the cause would be printed twice");
        fs::remove_dir_all(home.path).unwrap();
    }

    #[test]
    fn options_are_read_and_an_unknown_one_is_an_error() {
        let home = home("settings");
        assert_eq!(home.options().unwrap(), Options::default());
        fs::create_dir_all(&home.path).unwrap();
        let file = home.path.join("config.toml");
        fs::write(&file, "server = \"203.0.113.1\"\nname = \"alice\"\n").unwrap();
        assert_eq!(home.options().unwrap().name.as_deref(), Some("alice"));
        fs::write(&file, "sever = \"203.0.113.1\"\n").unwrap();
        assert!(home.options().unwrap_err().to_string().contains("sever"));
        fs::remove_dir_all(home.path).unwrap();
    }
}

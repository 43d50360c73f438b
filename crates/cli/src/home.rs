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
//! - `known-servers`: the same for each rendezvous, by `HOST:PORT`
//! - `rendezvous-key`: the secret of a rendezvous that runs here
//! - `code-key`: the secret of `chat send` and `chat receive`
//! - `disk-key`: the secret to which what chat keeps is sealed
//! - `pending/NAME@SERVER`, `history/NAME@SERVER`: messages that chat keeps, sealed
//! - `locks/NAME@SERVER`: locked while a process uses the name there; its
//!   content, the process id and its PID namespace, is for people

pub mod new_key;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use session::identity::{Identity, PublicKey};
use session::name::valid_name;

use crate::keyfile::{self, FileError, make_folder, read};
use crate::keylist::KeyList;
use crate::options::Options;

/// Why something cannot be read from the folder, or written there.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No variable names a folder.
    #[error("no folder for keys: set PINHOLE_HOME or HOME")]
    Homeless,
    /// A file or folder cannot be read or written, or is malformed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name that cannot be registered.
    #[error("{0:?} cannot be a name: {NAME_RULE}")]
    BadName(String),
    /// Another process uses the name.
    #[error(
        "{name} is in use at {server} by {holder}, with the keys in {folder}. To take the name \
         over, end that process; or use another name (--name)"
    )]
    InUse {
        /// The name.
        name: String,
        /// The rendezvous.
        server: SocketAddr,
        /// The folder.
        folder: String,
        /// Which process it is.
        holder: String,
    },
}

/// What a name may be.
pub const NAME_RULE: &str =
    "a name has 1 to 32 bytes of letters, digits, '-', '_' or '.', and does not begin with '.'";

/// What is lost with the key of a name.
const LOSS: &str = "lose the name until the server forgets its key";

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
        let path = keyfile::folder().ok_or(HomeError::Homeless)?;
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
        let malformed = |problem| FileError::Malformed { path, problem };
        Ok(Options::parse(&text).map_err(malformed)?)
    }

    /// Writes these options into `config.toml`, above what is there: those that are given
    /// and that the file does not have.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is malformed.
    pub fn save(&self, options: &Options) -> Result<PathBuf, HomeError> {
        let there = self.options()?;
        let path = self.path.join("config.toml");
        let line = |(key, new, old): (&str, &Option<String>, Option<String>)| {
            let value = toml::Value::String(new.clone().filter(|_| old.is_none())?);
            Some(format!("{key} = {value}\n"))
        };
        let lines = [
            ("server", &options.server, there.server),
            ("name", &options.name, there.name),
        ];
        let new: String = lines.into_iter().filter_map(line).collect();
        let text = new + &read(&path)?.unwrap_or_default();
        make_folder(&self.path)?;
        keyfile::replace(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The key pair of a name, made on first use.
    ///
    /// # Errors
    /// [`HomeError::BadName`], or when the file cannot be read or made, or is
    /// malformed.
    pub fn identity(&self, name: &str) -> Result<Identity, HomeError> {
        check_name(name)?;
        let path = self.path.join("keys").join(name);
        Ok(keyfile::read_or_make(&path, LOSS)?)
    }

    /// The key pair to which we seal what is kept here, made on first use. It stays when a name
    /// gets a new key.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is malformed.
    pub fn disk_key(&self) -> Result<Identity, HomeError> {
        let loss = "lose the messages that chat has kept";
        Ok(keyfile::read_or_make(&self.path.join("disk-key"), loss)?)
    }

    /// Where we keep something for that name at that server, and nothing for the same name at
    /// another one.
    pub fn kept_path(&self, what: &str, name: &str, server: SocketAddr) -> PathBuf {
        self.path.join(what).join(format!("{name}@{server}"))
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
        make_folder(&self.path.join("locks"))?;
        let path = self.kept_path("locks", name, server);
        let failed = |why| FileError::io(&path, why);
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
                    .and_then(|()| writeln!(file, "{} {}", std::process::id(), namespace()))
                    .map_err(failed)?;
                Ok(Claim { _lock: file })
            }
            Err((_, Errno::EWOULDBLOCK)) => Err(HomeError::InUse {
                name: name.to_owned(),
                server,
                folder: self.path.display().to_string(),
                holder: holder(&read(&path)?.unwrap_or_default(), &namespace()),
            }),
            Err((_, errno)) => Err(failed(errno.into()).into()),
        }
    }

    /// The file with the keys that peers were first seen with.
    pub fn peers(&self) -> KeyList {
        KeyList::at(self.path.join("known-peers"))
    }

    /// The file with the keys that servers were first seen with, by `HOST:PORT`.
    pub fn servers(&self) -> KeyList {
        KeyList::at(self.path.join("known-servers"))
    }

    /// The keys that names were first seen with.
    ///
    /// # Errors
    /// When the file exists and cannot be read, or is malformed.
    pub fn known_peers(&self) -> Result<HashMap<String, PublicKey>, HomeError> {
        Ok(self.peers().read()?)
    }

    /// Remembers the key that a name was first seen with.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_peer(&self, name: &str, key: &PublicKey) -> Result<(), HomeError> {
        Ok(self.peers().add(name, key)?)
    }

    /// Replaces the key that is known for a name, since the user trusts the new
    /// one.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is malformed.
    pub fn trust_peer(&self, name: &str, key: &PublicKey) -> Result<(), HomeError> {
        Ok(self.peers().set(name, key)?)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the known peers, for messages.
    pub fn known_peers_path(&self) -> PathBuf {
        self.peers().path().to_owned()
    }
}

/// Whether this can be our name: a file has it, too.
///
/// # Errors
/// [`HomeError::BadName`].
pub fn check_name(name: &str) -> Result<(), HomeError> {
    match valid_name(name) && !name.starts_with('.') {
        true => Ok(()),
        false => Err(HomeError::BadName(name.to_owned())),
    }
}

/// Our PID namespace, in which our process id counts.
fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.display().to_string()
}

/// Who has written that, for people of our namespace.
fn holder(written: &str, ours: &str) -> String {
    match written.trim().split_once(' ') {
        Some((process, theirs)) if theirs != ours => {
            format!("a process of another PID namespace, such as a container ({process} there)")
        }
        Some((process, _)) => format!("process {process}"),
        None => format!("process {}", written.trim()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            Err(HomeError::File(FileError::Malformed { .. }))
        ));
        fs::remove_dir_all(home.path).unwrap();
    }

    #[test]
    fn only_one_process_uses_a_name_at_a_server() {
        let home = home("locks");
        let server = ([203, 0, 113, 1], 8848).into();
        let claim = home.claim("alice", server).unwrap();
        let refused = home.claim("alice", server).unwrap_err().to_string();
        let us = format!("by process {}, with the keys in ", std::process::id());
        assert!(refused.contains(&us), "{refused}");
        assert_eq!(holder("43\n", "pid:[1]"), "process 43");
        assert!(holder("43 pid:[2]\n", "pid:[1]").contains("container (43 there)"));
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
    fn options_are_saved_and_those_that_are_there_stay() {
        let home = home("saved");
        let options = |server: &str, name: &str| Options {
            server: Some(server.into()),
            name: Some(name.into()),
            trust_server: false,
        };
        let first = options("203.0.113.1", "al\"ice");
        home.save(&first).unwrap();
        assert_eq!(home.options().unwrap(), first);
        fs::write(home.path.join("config.toml"), "# mine\nname = \"bob\"\n").unwrap();
        home.save(&first).unwrap();
        assert_eq!(home.options().unwrap(), options("203.0.113.1", "bob"));
        let text = fs::read_to_string(home.path.join("config.toml")).unwrap();
        assert!(text.ends_with("# mine\nname = \"bob\"\n"), "{text}");
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

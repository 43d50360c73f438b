//! A file with a line for each name and its public key, such as `known-peers`.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use session::identity::PublicKey;

use crate::keyfile::{FileError, key_from_hex, make_folder, read, replace};

/// Such a file; it need not exist.
#[derive(Clone, Debug)]
pub struct KeyList {
    path: PathBuf,
}

impl KeyList {
    /// That file.
    pub fn at(path: PathBuf) -> KeyList {
        KeyList { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names and their keys.
    ///
    /// # Errors
    /// When the file exists and cannot be read, or is malformed.
    pub fn read(&self) -> Result<HashMap<String, PublicKey>, FileError> {
        let text = read(&self.path)?.unwrap_or_default();
        KeyList::parse(&text).ok_or_else(|| FileError::Malformed {
            path: self.path.clone(),
            problem: "a line is not a name and 64 hex digits".into(),
        })
    }

    /// The names and their keys in the text of such a file; `None` if a line is not a name and 64 hex
    /// digits.
    pub fn parse(text: &str) -> Option<HashMap<String, PublicKey>> {
        text.lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (name, key) = line.trim().split_once(' ')?;
                Some((name.to_owned(), key_from_hex(key.trim())?))
            })
            .collect()
    }

    /// Adds a name that is not in the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, name: &str, key: &PublicKey) -> Result<(), FileError> {
        self.make_folder()?;
        // One short write to a file that is appended to: the lines of two
        // processes do not mix.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
            .and_then(|mut file| file.write_all(line(name, key).as_bytes()))
            .map_err(|why| FileError::io(&self.path, why))
    }

    /// Sets the key of a name, whatever it was.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is malformed.
    pub fn set(&self, name: &str, key: &PublicKey) -> Result<(), FileError> {
        self.read()?; // A malformed file is left as it is.
        self.make_folder()?;
        let kept = read(&self.path)?.unwrap_or_default();
        let of_name = |line: &&str| line.split_whitespace().next() == Some(name);
        let mut text: String = kept
            .lines()
            .filter(|line| !of_name(line))
            .map(|line| format!("{line}\n"))
            .collect();
        text.push_str(&line(name, key));
        replace(&self.path, text.as_bytes())
    }

    fn make_folder(&self) -> Result<(), FileError> {
        self.path.parent().map_or(Ok(()), make_folder)
    }
}

fn line(name: &str, key: &PublicKey) -> String {
    format!("{name} {}\n", hex::encode(key))
}

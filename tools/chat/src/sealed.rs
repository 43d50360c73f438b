//! A file that only the owner of a key can read: sealed in pieces to our own public key, replaced
//! as a whole.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cli::keyfile;
use session::identity::Identity;
use session::seal;

/// Sealed at once, in bytes: a Noise message has at most 65,535.
const PIECE: usize = 60_000;

/// The longest file that is read, in bytes.
const MOST_FILE: u64 = 8 * 1024 * 1024;

/// A sealed file.
#[derive(Debug)]
pub struct Sealed {
    path: PathBuf,
    identity: Identity,
    /// What it is for: it does not open as anything else.
    purpose: &'static str,
}

impl Sealed {
    /// The file at `path`, which need not exist yet.
    pub fn new(path: PathBuf, identity: Identity, purpose: &'static str) -> Sealed {
        Sealed {
            path,
            identity,
            purpose,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; `None` if there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or does not open: it is sealed to another key, or was changed.
    pub fn load(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let bytes = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("cannot read it"),
            Ok(meta) => {
                ensure!(meta.len() <= MOST_FILE, "it has more than 8 MiB");
                fs::read(&self.path).context("cannot read it")?
            }
        };
        let (mut plain, mut rest) = (Vec::new(), &bytes[..]);
        for number in 0u32.. {
            if rest.is_empty() {
                break;
            }
            let (length, after) = rest.split_first_chunk::<4>().context("it was cut off")?;
            let length = u32::from_be_bytes(*length) as usize;
            let (piece, after) = after.split_at_checked(length).context("it was cut off")?;
            let opened = seal::open(&self.identity, &self.prologue(number), piece);
            plain.extend(opened.context("it is sealed to another key, or was changed")?);
            rest = after;
        }
        Ok(Some(plain))
    }

    /// Replaces what is in it: a reader finds all of the old or all of the new.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, plain: &[u8]) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for (number, piece) in (0u32..).zip(plain.chunks(PIECE)) {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).context("cannot read the system's randomness")?;
            let to = self.identity.public();
            let sealed = seal::seal_to(&to, &self.prologue(number), piece, seed)?;
            bytes.extend((sealed.len() as u32).to_be_bytes());
            bytes.extend(sealed);
        }
        if let Some(folder) = self.path.parent() {
            keyfile::make_folder(folder)?;
        }
        Ok(keyfile::replace(&self.path, &bytes)?)
    }

    fn prologue(&self, piece: u32) -> Vec<u8> {
        let purpose = format!("pinhole/2\0{}\0{piece}", self.purpose);
        purpose.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_opens_for_its_owner_alone_and_as_what_it_is() {
        let path = std::env::temp_dir().join(format!("chat-sealed-{}", std::process::id()));
        let identity = |secret| Identity::from_secret(&[secret; 32]);
        let sealed = |secret, purpose| Sealed::new(path.clone(), identity(secret), purpose);
        let own = sealed(1, "history");
        let _ = fs::remove_file(&path);
        assert_eq!(own.load().unwrap(), None);
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE] {
            let plain = vec![7; length];
            own.save(&plain).unwrap();
            assert_eq!(own.load().unwrap(), Some(plain));
        }
        let disk = fs::read(&path).unwrap();
        assert!(!disk.windows(16).any(|window| window == [7; 16]));
        assert!(sealed(2, "history").load().is_err());
        assert!(sealed(1, "pending").load().is_err());
        for at in [0, 5, PIECE, disk.len() - 1] {
            let mut changed = disk.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(own.load().is_err(), "{at}");
        }
        fs::write(&path, &disk[..disk.len() - 1]).unwrap();
        assert!(own.load().is_err());
        fs::remove_file(path).unwrap();
    }
}

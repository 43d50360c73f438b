//! A new key for a name. The old one is in use until the rendezvous has accepted
//! the new one, and whenever the process ends, no key is lost:
//!
//! 1. `new-keys/NAME` has the new key before anything is sent. From now on every
//!    process that uses the name registers with the new key and the signature of
//!    the old one. This succeeds whether the rendezvous has seen it before or not.
//! 2. When it has accepted, `rotations/NAME` has the signature, and the new key
//!    takes the place of the old one in `keys/NAME`.
//!
//! If the rendezvous refuses, the new key goes to `refused-keys/NAME`, and the old
//! one stays.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use session::identity::{Identity, PublicKey, fingerprint};
use session::rotation::Rotation;
use stun::code;

use super::{Home, HomeError, LOSS};
use crate::keyfile::{FileError, make_folder, new_secret, read, read_secret, replace, write_new};

/// A new key that a name has not got yet.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key pair.
    pub identity: Identity,
    /// The signature of the old key.
    pub rotation: Rotation,
}

impl NewKey {
    fn new(name: &str, old: &Identity, identity: Identity) -> Self {
        let rotation = Rotation::new(old, name, &identity.public());
        NewKey { identity, rotation }
    }
}

/// That the rendezvous has accepted a new key, as a sentence without a full stop.
pub fn accepted(name: &str, before: &PublicKey, now: &PublicKey) -> String {
    format!(
        "the key of {name} is {} from now on (it was {}). Peers that know the old key follow by \
         its signature",
        fingerprint(now),
        fingerprint(before)
    )
}

/// That a peer has a new key, as a sentence without a full stop.
pub fn followed(peer: &str, before: &PublicKey, now: &PublicKey) -> String {
    format!(
        "{peer} has a new key, {}, signed by its old one, {}; it is known from now on",
        fingerprint(now),
        fingerprint(before)
    )
}

impl Home {
    /// A new key for a name, made now; if one was made earlier and not accepted yet,
    /// that one.
    ///
    /// # Errors
    /// When a file cannot be read or made, or is malformed.
    pub fn make_new_key(&self, name: &str) -> Result<NewKey, HomeError> {
        let old = self.identity(name)?;
        if let Some(begun) = self.new_key(name)? {
            return Ok(begun);
        }
        let folder = self.path().join("new-keys");
        let path = folder.join(name);
        let secret = new_secret(&path)?;
        make_folder(&folder)?;
        match write_new(&path, format!("{}\n", hex::encode(secret)).as_bytes()) {
            Ok(()) => {}
            // Another process was faster.
            Err(FileError::Io { why, .. }) if why.kind() == ErrorKind::AlreadyExists => {
                return self.make_new_key(name);
            }
            Err(error) => return Err(error.into()),
        }
        sync(&folder)?;
        Ok(NewKey::new(name, &old, Identity::from_secret(&secret)))
    }

    /// The new key of a name that was made and not accepted yet.
    ///
    /// # Errors
    /// When a file cannot be read, or is malformed.
    pub fn new_key(&self, name: &str) -> Result<Option<NewKey>, HomeError> {
        let old = self.identity(name)?;
        let new = read_secret(&self.path().join("new-keys").join(name), LOSS)?;
        let new = new.map(|secret| Identity::from_secret(&secret));
        // Another process may have finished it just now.
        let new = new.filter(|new| new.public() != old.public());
        Ok(new.map(|new| NewKey::new(name, &old, new)))
    }

    /// How `key` got the name, if another key had it before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn rotation(&self, name: &str, key: &PublicKey) -> Result<Option<Rotation>, HomeError> {
        let text = read(&self.path().join("rotations").join(name))?;
        let mut bytes = [0; session::rotation::LENGTH];
        let rotation = text.and_then(|text| {
            hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
            Some(Rotation::from_bytes(bytes))
        });
        // It may be that of a key which was replaced by hand.
        Ok(rotation.filter(|rotation| rotation.leads_to(name, key)))
    }

    /// The rendezvous has accepted the new key: it takes the place of the old one.
    ///
    /// # Errors
    /// When a file cannot be written. Then it can be tried again.
    pub fn accept_new_key(&self, name: &str, new: &NewKey) -> Result<(), HomeError> {
        let begun = self.new_key(name)?.map(|begun| begun.identity.public());
        if begun != Some(new.identity.public()) {
            return Ok(()); // Another process was faster.
        }
        let folder = self.path().join("rotations");
        make_folder(&folder)?;
        let rotation = hex::encode(new.rotation.as_bytes());
        replace(&folder.join(name), format!("{rotation}\n").as_bytes())?;
        sync(&folder)?;
        let (from, to) = (
            self.path().join("new-keys").join(name),
            self.path().join("keys"),
        );
        match fs::rename(&from, to.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.map_err(|why| FileError::Io { path: from, why })?,
        }
        Ok(sync(&to)?)
    }

    /// The rendezvous has refused the new key: it is set aside, and the old one
    /// stays. Why, and what to do, as a sentence without a full stop.
    ///
    /// # Errors
    /// When the file cannot be moved.
    pub fn refuse_new_key(
        &self,
        name: &str,
        server: SocketAddr,
        code: u16,
    ) -> Result<String, HomeError> {
        let folder = self.path().join("refused-keys");
        make_folder(&folder)?;
        let (from, to) = (self.path().join("new-keys").join(name), folder.join(name));
        fs::rename(&from, &to).map_err(|why| FileError::Io { path: from, why })?;
        let why = match code {
            code::FORBIDDEN => {
                "its operator has reserved the name for the key that it has, and only the \
                 operator can change that (rendezvous --reserve)"
                    .to_owned()
            }
            code::NAME_TAKEN => "there the name belongs neither to the old key nor to the new \
                                 one, or the rendezvous is too old to know new keys"
                .to_owned(),
            code => format!("{code} {}", code::reason(code)),
        };
        Ok(format!(
            "the rendezvous at {server} refused the new key of {name}: {why}. The old key stays \
             in use; the new one is in {}",
            to.display()
        ))
    }
}

/// Waits until what was made in a folder is on the disk.
fn sync(folder: &Path) -> Result<(), FileError> {
    let path = PathBuf::from(folder);
    let synced = File::open(&path).and_then(|folder| folder.sync_all());
    synced.map_err(|why| FileError::Io { path, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(test: &str) -> Home {
        let path = std::env::temp_dir().join(format!("pinhole-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Home::at(path)
    }

    fn key(home: &Home) -> PublicKey {
        home.identity("alice").unwrap().public()
    }

    #[test]
    fn the_old_key_stays_until_the_new_one_is_accepted_and_the_signature_is_kept() {
        let home = home("new-key");
        let old = key(&home);
        assert!(home.new_key("alice").unwrap().is_none());
        let new = home.make_new_key("alice").unwrap();
        assert_eq!((new.rotation.old(), key(&home)), (old, old));
        assert!(new.rotation.leads_to("alice", &new.identity.public()));
        // The process is killed, and the next one goes on.
        for begun in [
            home.new_key("alice").unwrap().unwrap(),
            home.make_new_key("alice").unwrap(),
        ] {
            assert_eq!(begun.identity.public(), new.identity.public());
        }
        // Killed once more, with the signature on disk and the key not in place yet.
        fs::create_dir_all(home.path().join("rotations")).unwrap();
        let kept = hex::encode(new.rotation.as_bytes());
        fs::write(home.path().join("rotations/alice"), kept).unwrap();
        assert_eq!(key(&home), old);
        assert!(
            home.rotation("alice", &old).unwrap().is_none(),
            "it leads to another key"
        );
        assert!(home.new_key("alice").unwrap().is_some());
        fs::remove_file(home.path().join("rotations/alice")).unwrap();
        for _ in 0..2 {
            home.accept_new_key("alice", &new).unwrap();
            assert_eq!(key(&home), new.identity.public());
            assert!(!home.path().join("new-keys/alice").exists());
            assert!(home.new_key("alice").unwrap().is_none());
            let rotation = home.rotation("alice", &key(&home)).unwrap();
            assert_eq!(rotation, Some(new.rotation));
        }
        fs::remove_dir_all(home.path()).unwrap();
    }

    #[test]
    fn a_new_key_that_is_refused_is_set_aside_and_the_old_one_stays() {
        let home = home("refused-key");
        let old = key(&home);
        let new = home.make_new_key("alice").unwrap();
        let server = ([203, 0, 113, 1], 8848).into();
        let why = home
            .refuse_new_key("alice", server, code::FORBIDDEN)
            .unwrap();
        assert!(why.contains("only the operator"), "{why}");
        assert_eq!(key(&home), old);
        assert!(home.new_key("alice").unwrap().is_none());
        let kept = read_secret(&home.path().join("refused-keys/alice"), LOSS)
            .unwrap()
            .unwrap();
        assert_eq!(Identity::from_secret(&kept).public(), new.identity.public());
        fs::remove_dir_all(home.path()).unwrap();
    }
}

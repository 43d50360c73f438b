//! Credentials that end by themselves, the "TURN REST" scheme that coturn
//! calls `use-auth-secret`: the username is when they end and whose they are,
//! the password a keyed hash of it. Who holds the secret makes them, who checks
//! them keeps nothing.
//!
//! The rendezvous gives them to registered names alone, sealed to the name's
//! key: who listens on the way cannot use up what is another's.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::identity::{Identity, PublicKey};
use crate::seal::{self, SealError};

/// A username and the password that belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `SECONDS:NAME`, the seconds since 1970.
    pub username: String,
    /// Base64 of an HMAC-SHA1.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.username)
    }
}

/// Credentials, and how long they may be used to allocate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// What to show to the relay.
    pub credentials: Credentials,
    /// From when they were issued.
    pub lifetime: Duration,
}

impl Granted {
    /// The value of the attribute RELAY for this name (docs/reference/protocol.md).
    ///
    /// # Errors
    /// `BadKey` when `key` is no public key.
    pub fn seal(&self, name: &str, key: &PublicKey, seed: [u8; 32]) -> Result<Vec<u8>, SealError> {
        let Credentials { username, password } = &self.credentials;
        let username = username.as_bytes();
        let mut payload = (self.lifetime.as_secs() as u32).to_be_bytes().to_vec();
        payload.push(username.len().min(255) as u8);
        payload.extend(username);
        payload.extend(password.as_bytes());
        seal::seal_to(key, &prologue(name), &payload, seed)
    }

    /// Opens the RELAY that came with the answer to our registration.
    ///
    /// # Errors
    /// `DoesNotOpen` when it was not made for this name and key.
    pub fn open(name: &str, identity: &Identity, sealed: &[u8]) -> Result<Granted, SealError> {
        let payload = seal::open(identity, &prologue(name), sealed)?;
        Granted::read(&payload).ok_or(SealError::DoesNotOpen)
    }

    fn read(payload: &[u8]) -> Option<Granted> {
        let (seconds, rest) = payload.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let (username, password) = rest.split_at_checked(usize::from(*length))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Granted {
            credentials: Credentials {
                username: text(username)?,
                password: text(password)?,
            },
            lifetime: Duration::from_secs(u32::from_be_bytes(*seconds).into()),
        })
    }
}

fn prologue(name: &str) -> Vec<u8> {
    format!("pinhole/1\0relay\0{name}").into_bytes()
}

/// What is shared between those who make credentials and those who check them.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Any bytes; coturn's is a line of text.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Secret(secret.into())
    }

    /// Credentials for a name until `until`, in seconds since 1970.
    pub fn issue(&self, name: &str, until: u64) -> Credentials {
        let username = format!("{until}:{name}");
        let password = self.password(&username);
        Credentials { username, password }
    }

    /// The password of a username.
    pub fn password(&self, username: &str) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("any length will do");
        mac.update(username.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// When a username ends and whose it is; `None` if it is not of this scheme.
pub fn read(username: &str) -> Option<(u64, &str)> {
    let (until, name) = username.split_once(':')?;
    Some((until.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_coturn_makes_them() {
        // openssl dgst -sha1 -hmac north -binary | base64
        let made = Secret::new("north").issue("alice", 1_700_000_000);
        assert_eq!(made.username, "1700000000:alice");
        assert_eq!(made.password, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
        assert_eq!(read(&made.username), Some((1_700_000_000, "alice")));
        assert_eq!(read("alice"), None);
        assert_eq!(read("x:alice"), None);
    }

    #[test]
    fn only_the_name_that_they_are_for_can_read_them() {
        let [alice, eve] = [[1; 32], [2; 32]].map(|secret| Identity::from_secret(&secret));
        let granted = Granted {
            credentials: Secret::new("north").issue("alice", 1_700_000_000),
            lifetime: Duration::from_secs(3600),
        };
        let sealed = granted.seal("alice", &alice.public(), [3; 32]).unwrap();
        assert_eq!(Granted::open("alice", &alice, &sealed), Ok(granted));
        let refused = Err(SealError::DoesNotOpen);
        assert_eq!(Granted::open("alice", &eve, &sealed), refused);
        assert_eq!(Granted::open("bob", &alice, &sealed), refused);
        assert_eq!(Granted::open("alice", &alice, &sealed[1..]), refused);
        // Whoever sealed it may have written nonsense.
        for length in 0..6 {
            assert_eq!(Granted::read(&[9; 6][..length]), None);
        }
    }
}

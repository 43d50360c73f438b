//! Credentials for the relay that expire: the "TURN REST" scheme, which coturn
//! calls `use-auth-secret`. The user name holds the time of expiry and the
//! client's name; the password is a keyed hash of the user name. A program that has
//! the [`Secret`] can issue credentials, and can check them without any state.
//!
//! The rendezvous issues them to registered names only, sealed to the name's
//! key: an eavesdropper cannot use up another client's quota.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::identity::{Identity, PublicKey};
use crate::seal::{self, SealError};

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `SECONDS:NAME`; they expire SECONDS after the start of 1970 (UTC).
    pub username: String,
    /// Base64 of HMAC-SHA1(secret, user name).
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.username)
    }
}

/// Credentials, and for how long they may be used to allocate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The user name and password for the relay.
    pub credentials: Credentials,
    /// From the time at which they were issued.
    pub lifetime: Duration,
    /// What the relay would otherwise tell in a challenge, which would take a round trip
    /// (RFC 8489 §9.2).
    pub challenge: Challenge,
    /// What one relayed address passes, both directions together, in bytes per second.
    /// `None`: the server does not say.
    pub rate: Option<u32>,
}

/// The REALM and the NONCE of requests with credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The realm of the user names.
    pub realm: String,
    /// Only the client at the address that has registered can use it.
    pub nonce: Vec<u8>,
}

impl Granted {
    /// The value of the attribute RELAY: these credentials, sealed to the name's
    /// key. `seed` is 32 random bytes, used once.
    ///
    /// # Errors
    /// `BadKey` when `key` is not a public key.
    pub fn seal(&self, name: &str, key: &PublicKey, seed: [u8; 32]) -> Result<Vec<u8>, SealError> {
        let Credentials { username, password } = &self.credentials;
        let username = username.as_bytes();
        let mut payload = (self.lifetime.as_secs() as u32).to_be_bytes().to_vec();
        let Challenge { realm, nonce } = &self.challenge;
        for part in [username, password.as_bytes(), realm.as_bytes(), nonce] {
            payload.push(part.len().min(255) as u8);
            payload.extend(part);
        }
        payload.extend(self.rate.map(u32::to_be_bytes).into_iter().flatten());
        seal::seal_to(key, &prologue(name), &payload, seed)
    }

    /// Opens the RELAY of the answer to our registration.
    ///
    /// # Errors
    /// `DoesNotOpen` when it was not sealed to this name and key.
    pub fn open(name: &str, identity: &Identity, sealed: &[u8]) -> Result<Granted, SealError> {
        let payload = seal::open(identity, &prologue(name), sealed)?;
        Granted::read(&payload).ok_or(SealError::DoesNotOpen)
    }

    fn read(payload: &[u8]) -> Option<Granted> {
        let (seconds, mut rest) = payload.split_first_chunk()?;
        let mut part = || {
            let (length, after) = rest.split_first()?;
            let (part, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(part.to_vec())
        };
        let (username, password, realm, nonce) = (part()?, part()?, part()?, part()?);
        let rate = rest.first_chunk().map(|rate| u32::from_be_bytes(*rate));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        Some(Granted {
            credentials: Credentials {
                username: text(username)?,
                password: text(password)?,
            },
            lifetime: Duration::from_secs(u32::from_be_bytes(*seconds).into()),
            challenge: Challenge {
                realm: text(realm)?,
                nonce,
            },
            rate,
        })
    }
}

fn prologue(name: &str) -> Vec<u8> {
    format!("pinhole/2\0relay\0{name}").into_bytes()
}

/// The key that the issuer of credentials shares with the relays that check them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Any bytes. coturn's `static-auth-secret` is a line of text.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Secret(secret.into())
    }

    /// Credentials for a name that expire at `until`, in seconds since 1970.
    pub fn issue(&self, name: &str, until: u64) -> Credentials {
        let username = format!("{until}:{name}");
        let password = self.password(&username);
        Credentials { username, password }
    }

    /// The password of a user name.
    pub fn password(&self, username: &str) -> String {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(username.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// The time of expiry (seconds since 1970) and the name in a user name; `None`
/// if it is not of this scheme.
pub fn parse_username(username: &str) -> Option<(u64, &str)> {
    let (until, name) = username.split_once(':')?;
    Some((until.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_that_coturn_issues() {
        // openssl dgst -sha1 -hmac north -binary | base64
        let made = Secret::new("north").issue("alice", 1_700_000_000);
        assert_eq!(made.username, "1700000000:alice");
        assert_eq!(made.password, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
        assert_eq!(
            parse_username(&made.username),
            Some((1_700_000_000, "alice"))
        );
        assert_eq!(parse_username("alice"), None);
        assert_eq!(parse_username("x:alice"), None);
    }

    #[test]
    fn only_the_name_and_key_that_they_were_sealed_to_open_credentials() {
        let [alice, eve] = [[1; 32], [2; 32]].map(|secret| Identity::from_secret(&secret));
        let granted = Granted {
            credentials: Secret::new("north").issue("alice", 1_700_000_000),
            lifetime: Duration::from_secs(3600),
            challenge: Challenge {
                realm: "pinhole".into(),
                nonce: vec![7; 20],
            },
            rate: Some(1_000_000),
        };
        let sealed = granted.seal("alice", &alice.public(), [3; 32]).unwrap();
        assert_eq!(Granted::open("alice", &alice, &sealed), Ok(granted.clone()));
        let refused = Err(SealError::DoesNotOpen);
        assert_eq!(Granted::open("alice", &eve, &sealed), refused);
        assert_eq!(Granted::open("bob", &alice, &sealed), refused);
        assert_eq!(Granted::open("alice", &alice, &sealed[1..]), refused);
        // A server of before there was a rate.
        let silent = Granted {
            rate: None,
            ..granted
        };
        let sealed = silent.seal("alice", &alice.public(), [3; 32]).unwrap();
        assert_eq!(Granted::open("alice", &alice, &sealed), Ok(silent));
        // A sealed payload need not be well-formed.
        for length in 0..6 {
            assert_eq!(Granted::read(&[9; 6][..length]), None);
        }
    }
}

//! Cookies: a client that returns one receives at its source address. The server
//! keeps no state for a client that does not.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A cookie is valid for at least this long, and for at most twice as long.
const LIFETIME: Duration = Duration::from_secs(120);

/// Length of a cookie in bytes. It is hex, since a NONCE is text.
pub(crate) const LENGTH: usize = 32;

/// Issues and checks cookies: keyed hashes of an address and the time.
pub(crate) struct Cookies {
    key: [u8; 32],
    epoch: Instant,
}

impl Cookies {
    /// `key` is random and used for nothing else.
    pub(crate) fn new(key: [u8; 32], epoch: Instant) -> Self {
        Cookies { key, epoch }
    }

    /// The cookie for the client at `address`.
    pub(crate) fn issue(&self, now: Instant, address: SocketAddr) -> [u8; LENGTH] {
        self.of_bucket(self.bucket(now), address)
    }

    /// Whether this cookie was issued to this address within its lifetime.
    pub(crate) fn check(&self, now: Instant, address: SocketAddr, cookie: &[u8]) -> bool {
        let bucket = self.bucket(now);
        [Some(bucket), bucket.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|bucket| self.of_bucket(bucket, address).ct_eq(cookie).into())
    }

    fn bucket(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_secs() / LIFETIME.as_secs()
    }

    fn of_bucket(&self, bucket: u64, address: SocketAddr) -> [u8; LENGTH] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(&bucket.to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&address.port().to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let mut cookie = [0; LENGTH];
        hex::encode_to_slice(&hash[..LENGTH / 2], &mut cookie).expect("two digits for each byte");
        cookie
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_of_one_key_and_one_address_and_expires() {
        let start = Instant::now();
        let cookies = Cookies::new([7; 32], start);
        let alice: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        let other: SocketAddr = "203.0.113.17:40001".parse().unwrap();
        let cookie = cookies.issue(start, alice);
        assert!(cookies.check(start, alice, &cookie));
        assert!(cookies.check(start + LIFETIME, alice, &cookie));
        assert!(!cookies.check(start + 2 * LIFETIME, alice, &cookie));
        assert!(!cookies.check(start, other, &cookie));
        assert!(!cookies.check(start, alice, &cookie[1..]));
        assert!(!Cookies::new([8; 32], start).check(start, alice, &cookie));
    }
}

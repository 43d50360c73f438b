//! Proof that somebody receives what is sent to the address that it sends
//! from, without a byte of state for those who do not.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A cookie is good for at least this long, and for at most twice as long.
pub const LIFE: Duration = Duration::from_secs(120);

/// Length of a cookie in bytes: hex, since a NONCE is text.
pub const LENGTH: usize = 32;

/// Makes and checks cookies: a keyed hash of the address and of the time.
#[derive(Debug)]
pub struct Cookies {
    secret: [u8; 32],
    epoch: Instant,
}

impl Cookies {
    /// `secret` is random and never leaves the process.
    pub fn new(secret: [u8; 32], epoch: Instant) -> Self {
        Cookies { secret, epoch }
    }

    /// The cookie for whoever receives at `address` now.
    pub fn issue(&self, now: Instant, address: SocketAddr) -> [u8; LENGTH] {
        self.of_bucket(self.bucket(now), address)
    }

    /// Whether this cookie was issued to this address lately.
    pub fn check(&self, now: Instant, address: SocketAddr, cookie: &[u8]) -> bool {
        let bucket = self.bucket(now);
        [Some(bucket), bucket.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|bucket| same(&self.of_bucket(bucket, address), cookie))
    }

    fn bucket(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_secs() / LIFE.as_secs()
    }

    fn of_bucket(&self, bucket: u64, address: SocketAddr) -> [u8; LENGTH] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("any length will do");
        mac.update(&bucket.to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&address.port().to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let mut cookie = [0; LENGTH];
        for (digits, byte) in cookie.chunks_exact_mut(2).zip(hash) {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            digits[0] = HEX[usize::from(byte >> 4)];
            digits[1] = HEX[usize::from(byte & 15)];
        }
        cookie
    }
}

/// Compares without telling by the time taken how much was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_address_and_for_a_while() {
        let start = Instant::now();
        let cookies = Cookies::new([7; 32], start);
        let alice: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        let other: SocketAddr = "203.0.113.17:40001".parse().unwrap();
        let cookie = cookies.issue(start, alice);
        assert!(cookies.check(start, alice, &cookie));
        assert!(cookies.check(start + LIFE, alice, &cookie));
        assert!(!cookies.check(start + 2 * LIFE, alice, &cookie));
        assert!(!cookies.check(start, other, &cookie));
        assert!(!cookies.check(start, alice, &cookie[1..]));
        assert!(!Cookies::new([8; 32], start).check(start, alice, &cookie));
    }
}

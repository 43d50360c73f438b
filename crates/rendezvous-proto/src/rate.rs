//! Bounds on what one client, or one source prefix, may ask for.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sansio::Prefix;

/// A prefix that was silent may send this much of its rate at once.
const BURST: Duration = Duration::from_secs(1);

/// Counters in each row, as a power of two.
const COUNTERS: u32 = 16;

/// Rows of counters.
const ROWS: usize = 2;

/// A bound on the requests of each source prefix.
///
/// A forged source may be of any of 16 million prefixes. So there is no table of
/// prefixes that could be full: each prefix has a counter in each row, which it
/// shares with the prefixes that a keyed hash puts there. It is limited where all of
/// its counters are used up: it would have to share each of them with a prefix that
/// sends at the full rate. (A count-min sketch with conservative update.)
pub(crate) struct RateLimiter {
    rate: u32,
    start: Instant,
    /// Of each row: what places a prefix in it.
    keys: [(u64, u64); ROWS],
    /// When each bucket will be full, in nanoseconds since `start`; row by row.
    full_at: Vec<u64>,
}

impl RateLimiter {
    /// `rate` is in requests per second; `seed` is random and used for nothing else.
    pub(crate) fn new(rate: u32, seed: [u8; 32], now: Instant) -> Self {
        let (words, _) = seed.as_chunks::<8>();
        let word = |n: usize| u64::from_be_bytes(words[n]);
        RateLimiter {
            rate: rate.max(1),
            start: now,
            keys: [(word(0), word(1)), (word(2), word(3))],
            full_at: vec![0; ROWS << COUNTERS],
        }
    }

    /// Allows this many requests per second from now on.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        self.rate = rate.max(1);
    }

    /// Whether one more request from there is within the rate.
    pub(crate) fn allow(&mut self, now: Instant, source: IpAddr) -> bool {
        let now = now.saturating_duration_since(self.start).as_nanos() as u64;
        let counters = self.counters(Prefix::of(source));
        let least = counters.map(|counter| self.full_at[counter]).into_iter();
        let full_at = least.min().unwrap_or(0).max(now) + 1_000_000_000 / u64::from(self.rate);
        let allowed = full_at <= now + BURST.as_nanos() as u64;
        if allowed {
            for counter in counters {
                self.full_at[counter] = self.full_at[counter].max(full_at);
            }
        }
        allowed
    }

    /// Multiply-shift hashing: no prefix can be chosen such that it meets another,
    /// without the keys.
    fn counters(&self, prefix: Prefix) -> [usize; ROWS] {
        std::array::from_fn(|row| {
            let (factor, summand) = self.keys[row];
            let hash = factor.wrapping_mul(prefix.bits()).wrapping_add(summand);
            (row << COUNTERS) | (hash >> (u64::BITS - COUNTERS)) as usize
        })
    }
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RateLimiter({} requests per second)", self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(now: Instant) -> RateLimiter {
        let seed = std::array::from_fn(|n| (n * 89 + 41) as u8);
        RateLimiter::new(100, seed, now)
    }

    #[test]
    fn a_prefix_has_a_burst_and_then_its_rate_and_shares_them_with_no_other() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        let source: IpAddr = "203.0.113.17".parse().unwrap();
        let passed = (0..300).filter(|_| limiter.allow(start, source)).count();
        assert_eq!(passed, 100);
        assert!(limiter.allow(start, "198.51.100.1".parse().unwrap()));
        assert!(!limiter.allow(start, "203.0.113.99".parse().unwrap()));
        let later = start + Duration::from_millis(500);
        let passed = (0..300).filter(|_| limiter.allow(later, source)).count();
        assert_eq!(passed, 50);
    }

    #[test]
    fn another_rate_is_for_what_comes_after_it() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        let source: IpAddr = "203.0.113.17".parse().unwrap();
        limiter.set_rate(10);
        let passed = (0..300).filter(|_| limiter.allow(start, source)).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn however_many_prefixes_send_others_are_not_limited() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        // 100,000 prefixes send a little, and 500 all that they may and more.
        let of = |n: u32| IpAddr::V4((n << 8).into());
        for n in 0..100_000 {
            for _ in 0..5 {
                limiter.allow(start, of(n));
            }
        }
        for n in 200_000..200_500 {
            for _ in 0..150 {
                limiter.allow(start, of(n));
            }
            assert!(!limiter.allow(start, of(n)));
        }
        let served = (300_000..310_000).filter(|&n| limiter.allow(start, of(n)));
        assert!(served.count() >= 9990);
    }
}

//! A token bucket: how often something may happen.

use std::time::{Duration, Instant};

/// A token bucket, after the generic cell rate algorithm: all that is kept of it is the time at
/// which it will be full. Tokens are counted in the time that they take to flow in.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    full_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(now: Instant) -> Self {
        TokenBucket { full_at: now }
    }

    /// Whether it is full: then nothing need be remembered of it.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// Whether there are tokens worth `cost` in a bucket that takes `burst` to fill.
    pub fn has(&self, now: Instant, cost: Duration, burst: Duration) -> bool {
        self.after(now, cost) <= now + burst
    }

    /// Takes tokens worth `cost` from a bucket that takes `burst` to fill; false if there are
    /// not so many.
    pub fn take(&mut self, now: Instant, cost: Duration, burst: Duration) -> bool {
        let has = self.has(now, cost, burst);
        if has {
            self.full_at = self.after(now, cost);
        }
        has
    }

    fn after(&self, now: Instant, cost: Duration) -> Instant {
        self.full_at.max(now) + cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut bucket = TokenBucket::full(start);
        let mut taken = |seconds| {
            let now = start + second * seconds;
            (0..9)
                .filter(|_| bucket.take(now, second, 3 * second))
                .count()
        };
        assert_eq!([0, 1, 3, 60].map(&mut taken), [3, 1, 2, 3]);
        assert!(!bucket.is_full(start + 62 * second));
        assert!(bucket.is_full(start + 63 * second));
    }
}

//! Rates, and a token bucket for each key.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sansio::TokenBucket;

/// The rate of a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Tokens in a full bucket.
    pub(crate) burst: u32,
    /// A token flows in each time that this passes.
    pub(crate) each: Duration,
}

impl Rate {
    /// Takes a token; false if there is none.
    pub(crate) fn take(self, now: Instant, bucket: &mut TokenBucket) -> bool {
        bucket.take(now, self.each, self.each * self.burst)
    }

    /// Whether there is a token.
    pub(crate) fn has(self, now: Instant, bucket: &TokenBucket) -> bool {
        bucket.has(now, self.each, self.each * self.burst)
    }
}

/// Buckets that are remembered, at most. A full bucket need not be.
const MOST: usize = 1024;

/// A bucket for each key. Where there are too many keys to remember, further ones get
/// nothing.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    buckets: BTreeMap<K, TokenBucket>,
}

impl<K: Ord> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: BTreeMap::new(),
        }
    }

    pub(crate) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Whether there is a token for this key.
    pub(crate) fn has(&mut self, now: Instant, key: &K) -> bool {
        match self.buckets.get(key) {
            Some(bucket) => self.rate.has(now, bucket),
            None => self.has_room(now),
        }
    }

    /// Takes a token of this key; false if there is none.
    pub(crate) fn take(&mut self, now: Instant, key: K) -> bool {
        let has = self.has(now, &key);
        if has {
            let bucket = self.buckets.entry(key);
            let bucket = bucket.or_insert_with(|| TokenBucket::full(now));
            self.rate.take(now, bucket);
        }
        has
    }

    fn has_room(&mut self, now: Instant) -> bool {
        if self.buckets.len() >= MOST {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        self.buckets.len() < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3,
        each: Duration::from_secs(1),
    };

    #[test]
    fn each_key_has_a_bucket_and_a_flood_of_keys_is_not_remembered() {
        let now = Instant::now();
        let mut buckets = Buckets::new(RATE);
        assert_eq!((0..9).filter(|_| buckets.take(now, 0)).count(), 3);
        assert!(buckets.take(now, 1));
        let flood = (2..5000).filter(|key| buckets.take(now, *key)).count();
        assert_eq!(flood, MOST - 2);
        assert!(buckets.take(now, 1), "it is remembered");
        let later = now + Duration::from_secs(9);
        assert!(buckets.take(later, 9999), "full buckets are forgotten");
    }
}

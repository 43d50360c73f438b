//! A histogram of times, whose buckets double.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The buckets: up to 2^n · 16 µs, and one for all above 16 s.
const BUCKETS: usize = 21;

/// In microseconds.
const FIRST: u64 = 16;

/// Counts of times.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    above: AtomicU64,
    microseconds: AtomicU64,
}

impl Histogram {
    /// Counts a time.
    pub fn count(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = (0..BUCKETS).position(|n| microseconds <= FIRST << n);
        let counter = bucket.map_or(&self.above, |n| &self.buckets[n]);
        counter.fetch_add(1, Relaxed);
        self.microseconds.fetch_add(microseconds, Relaxed);
    }

    /// The upper bound of each bucket in microseconds, and how many times were not above it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.buckets.iter().scan(0, |sum, bucket| {
            *sum += bucket.load(Relaxed);
            Some(*sum)
        });
        counts.enumerate().map(|(n, sum)| (FIRST << n, sum))
    }

    /// How many times were above all buckets.
    pub fn above(&self) -> u64 {
        self.above.load(Relaxed)
    }

    /// The sum of all times, in microseconds.
    pub fn microseconds(&self) -> u64 {
        self.microseconds.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_counts_in_every_bucket_that_it_is_not_above() {
        let histogram = Histogram::default();
        for microseconds in [0, 16, 17, 1000, 60_000_000] {
            histogram.count(Duration::from_micros(microseconds));
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets[..3], [(16, 2), (32, 3), (64, 3)]);
        assert_eq!(buckets[6], (1024, 4));
        assert_eq!(buckets[20], (16_777_216, 4));
        assert_eq!(histogram.above(), 1);
        assert_eq!(histogram.microseconds(), 60_001_033);
    }
}

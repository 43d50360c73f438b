//! What is going on in the server, at one moment: for `--metrics` and for `rendezvous status`.

use std::net::SocketAddr;
use std::time::Instant;

use rendezvous_proto::{relay, server};
use serde::{Deserialize, Serialize};

use crate::metrics::Histogram;
use crate::serve::Shared;

/// The counters, and what there is now.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub uptime_s: f64,
    pub addresses: Vec<SocketAddr>,
    /// Whether it takes names.
    pub ready: bool,
    /// Names that are registered now.
    pub names: usize,
    pub stats: server::Stats,
    /// `None`: there is no relay.
    pub relay: Option<Relay>,
    /// From the arrival of datagrams until they were handled.
    pub latency: Times,
}

/// The relay.
#[derive(Debug, Serialize, Deserialize)]
pub struct Relay {
    /// Relayed addresses in use.
    pub in_use: usize,
    pub stats: relay::Stats,
}

/// A histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The upper bound of each bucket in microseconds, and how many times are in it.
    pub buckets: Vec<(u64, u64)>,
    /// How many are above all buckets.
    pub above: u64,
}

impl Snapshot {
    /// What is going on now.
    pub fn of(shared: &Shared) -> Self {
        let now = Instant::now();
        let mut server = shared.lock();
        let stats = server.stats();
        let ready = server.is_ready();
        let names = server.registered(now);
        let relay = server.relaying().map(|relay| Relay {
            in_use: relay.allocations(),
            stats: relay.stats(),
        });
        drop(server);
        Snapshot {
            uptime_s: (now - shared.started).as_millis() as f64 / 1e3,
            addresses: shared.addresses(),
            ready,
            names,
            stats,
            relay,
            latency: Times::of(&shared.latency),
        }
    }
}

impl Times {
    fn of(histogram: &Histogram) -> Self {
        let mut below = 0;
        let buckets = histogram.buckets().map(|(bound, upto)| {
            let count = upto - below;
            below = upto;
            (bound, count)
        });
        Times {
            buckets: buckets.collect(),
            above: histogram.above(),
        }
    }

    /// Those that came after `before`.
    pub fn since(&self, before: &Times) -> Times {
        let earlier = before.buckets.iter().map(|(_, count)| *count);
        let earlier = earlier.chain(std::iter::repeat(0));
        let buckets = self.buckets.iter().zip(earlier);
        Times {
            buckets: buckets
                .map(|((bound, count), earlier)| (*bound, count.saturating_sub(earlier)))
                .collect(),
            above: self.above.saturating_sub(before.above),
        }
    }

    /// The bound, in microseconds, that this part of the times is not above. `None`: there are no times, or it is above
    /// all bounds.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let all: u64 = self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.above;
        let wanted = (all as f64 * part).ceil().max(1.0);
        let mut sum = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            sum += count;
            sum as f64 >= wanted
        });
        bucket.map(|(bound, _)| *bound)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let histogram = Histogram::default();
        assert_eq!(Times::of(&histogram).quantile(0.5), None);
        for _ in 0..99 {
            histogram.count(Duration::from_micros(20));
        }
        histogram.count(Duration::from_millis(3));
        let before = Times::of(&histogram);
        assert_eq!(before.quantile(0.5), Some(32));
        assert_eq!(before.quantile(0.99), Some(32));
        assert_eq!(before.quantile(0.999), Some(4096));
        histogram.count(Duration::from_secs(60));
        let times = Times::of(&histogram);
        assert_eq!(times.quantile(0.999), None);
        assert_eq!(times.quantile(0.99), Some(4096));
        let since = times.since(&before);
        assert_eq!((since.above, since.quantile(0.5)), (1, None));
        assert_eq!(before.since(&Times::default()), before);
    }
}

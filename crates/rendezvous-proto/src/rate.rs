//! Bounds on what one client, or one network, may ask for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

/// A bucket holds one second's worth of tokens.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket, after the generic cell rate algorithm: all that is kept of it
/// is the time at which it will be full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    full_at: Instant,
}

impl TokenBucket {
    pub(crate) fn full(now: Instant) -> Self {
        TokenBucket { full_at: now }
    }

    /// Takes tokens, if there are that many; `rate` flow in each second.
    pub(crate) fn take(&mut self, now: Instant, rate: u32, tokens: usize) -> bool {
        let cost = tokens as u64 * 1_000_000_000 / u64::from(rate.max(1));
        let full_at = self.full_at.max(now) + Duration::from_nanos(cost);
        let enough = full_at <= now + BURST;
        if enough {
            self.full_at = full_at;
        }
        enough
    }
}

/// Networks remembered at once. When the table is full it is swept; while it is
/// full of networks that have just been active, all others share one bucket.
const MOST: usize = 16 * 1024;

/// A bound on the requests of each network.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    rate: u32,
    buckets: HashMap<IpNet, TokenBucket>,
    sweep_at: Option<Instant>,
}

impl RateLimiter {
    /// `rate` is in requests per second.
    pub(crate) fn new(rate: u32) -> Self {
        RateLimiter {
            rate,
            buckets: HashMap::new(),
            sweep_at: None,
        }
    }

    /// Whether one more request from there is within the rate.
    pub(crate) fn allow(&mut self, now: Instant, source: IpAddr) -> bool {
        let mut network = network(source);
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&network) {
            // Each bucket is full after a second at the latest. To sweep more
            // often would find nothing, and cost time for every packet of a flood.
            if self.sweep_at.is_none_or(|at| at <= now) {
                self.buckets.retain(|_, bucket| bucket.full_at > now);
                self.sweep_at = Some(now + BURST);
            }
            if self.buckets.len() >= MOST {
                network = IpNet::default();
            }
        }
        let bucket = self.buckets.entry(network);
        let bucket = bucket.or_insert_with(|| TokenBucket::full(now));
        bucket.take(now, self.rate, 1)
    }
}

/// TCP connections that may be open at once.
const MOST_CONNECTIONS: usize = 1024;

/// Of these, from one network.
const MOST_OF_NETWORK: usize = 64;

/// The number of open TCP connections, in all and of each network.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    total: usize,
    of: HashMap<IpNet, usize>,
}

impl Connections {
    /// Counts one more from there; false if there is no room for it.
    pub(crate) fn enter(&mut self, source: IpAddr) -> bool {
        let network = network(source);
        let of = self.of.get(&network).copied().unwrap_or(0);
        let room = self.total < MOST_CONNECTIONS && of < MOST_OF_NETWORK;
        if room {
            self.total += 1;
            self.of.insert(network, of + 1);
        }
        room
    }

    /// A connection that was counted has ended.
    pub(crate) fn leave(&mut self, source: IpAddr) {
        let network = network(source);
        if let Some(of) = self.of.get_mut(&network) {
            self.total -= 1;
            *of -= 1;
            if *of == 0 {
                self.of.remove(&network);
            }
        }
    }
}

/// The /24 of an IPv4 address or the /48 of an IPv6 one: one customer may well
/// have all of it.
pub(crate) fn network(source: IpAddr) -> IpNet {
    let source = source.to_canonical();
    let length = if source.is_ipv4() { 24 } else { 48 };
    let network = IpNet::new(source, length).expect("no longer than an address");
    network.trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_burst_and_then_its_rate_and_shares_them_with_no_other() {
        let mut limiter = RateLimiter::new(100);
        let start = Instant::now();
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
    fn connections_are_bounded_for_each_network_and_in_all() {
        let mut connections = Connections::default();
        let of = |net: u8| IpAddr::from([203, 0, net, 7]);
        let room = (0..100).filter(|_| connections.enter(of(1))).count();
        assert_eq!(room, MOST_OF_NETWORK);
        connections.leave(of(1));
        assert!(connections.enter(of(1)) && !connections.enter(of(1)));
        let room = (2..200).map(|net| (0..64).filter(|_| connections.enter(of(net))).count());
        assert_eq!(room.sum::<usize>(), MOST_CONNECTIONS - MOST_OF_NETWORK);
        for net in 1..200 {
            (0..64).for_each(|_| connections.leave(of(net)));
        }
        assert!(connections.total == 0 && connections.of.is_empty());
    }

    #[test]
    fn the_table_of_networks_is_bounded() {
        let mut limiter = RateLimiter::new(100);
        let start = Instant::now();
        for n in 0..40_000u32 {
            limiter.allow(start, IpAddr::V4((n << 8).into()));
        }
        assert!(limiter.buckets.len() <= MOST + 1);
    }

    #[test]
    fn a_network_is_a_24_of_ipv4_and_a_48_of_ipv6() {
        for (address, expected) in [
            ("203.0.113.17", "203.0.113.0/24"),
            ("::ffff:203.0.113.17", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), expected);
        }
    }
}

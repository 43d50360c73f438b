//! How much one neighbourhood may ask: a token bucket for each source prefix,
//! in a table of bounded size.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Prefixes remembered at once. Beyond it the table is swept, and when that
/// does not help, strangers share one bucket.
const MOST: usize = 16 * 1024;

/// A rate limiter, after the generic cell rate algorithm: a bucket is the
/// instant at which it will be full again.
#[derive(Debug)]
pub(super) struct Limiter {
    every: Duration,
    burst: Duration,
    full_at: HashMap<[u8; 7], Instant>,
    sweep_at: Option<Instant>,
}

impl Limiter {
    /// `rate` packets a second for each prefix, and one second's worth at once.
    pub(super) fn new(rate: u32) -> Self {
        Limiter {
            every: Duration::from_secs(1) / rate.max(1),
            burst: Duration::from_secs(1),
            full_at: HashMap::new(),
            sweep_at: None,
        }
    }

    /// Whether one more packet from there is within the limit.
    pub(super) fn allow(&mut self, now: Instant, source: IpAddr) -> bool {
        let mut prefix = prefix(source);
        if self.full_at.len() >= MOST && !self.full_at.contains_key(&prefix) {
            // A bucket is full again after a second at the latest: looking
            // more often would find nothing and cost a flood's every packet.
            if self.sweep_at.is_none_or(|at| at <= now) {
                self.full_at.retain(|_, full_at| *full_at > now);
                self.sweep_at = Some(now + self.burst);
            }
            if self.full_at.len() >= MOST {
                prefix = [0; 7];
            }
        }
        let full_at = self.full_at.entry(prefix).or_insert(now);
        let next = (*full_at).max(now) + self.every;
        let allowed = next <= now + self.burst;
        if allowed {
            *full_at = next;
        }
        allowed
    }
}

/// Connections that may be open at once.
const MOST_OPEN: usize = 1024;

/// Of these, from one prefix.
const MOST_OF_PREFIX: usize = 64;

/// How many connections are open, and of whom.
#[derive(Debug, Default)]
pub(super) struct Open {
    total: usize,
    of: HashMap<[u8; 7], usize>,
}

impl Open {
    /// Whether there is room for one more from there; it is counted then.
    pub(super) fn enter(&mut self, source: IpAddr) -> bool {
        let of = self.of.get(&prefix(source)).copied().unwrap_or(0);
        let room = self.total < MOST_OPEN && of < MOST_OF_PREFIX;
        if room {
            self.total += 1;
            self.of.insert(prefix(source), of + 1);
        }
        room
    }

    /// One that has entered has ended.
    pub(super) fn leave(&mut self, source: IpAddr) {
        let prefix = prefix(source);
        if let Some(of) = self.of.get_mut(&prefix) {
            self.total -= 1;
            *of -= 1;
            if *of == 0 {
                self.of.remove(&prefix);
            }
        }
    }
}

/// /24 for IPv4 and /48 for IPv6: what one customer may well own.
fn prefix(source: IpAddr) -> [u8; 7] {
    let mut prefix = [0; 7];
    match source.to_canonical() {
        IpAddr::V4(ip) => {
            prefix[0] = 4;
            prefix[1..4].copy_from_slice(&ip.octets()[..3]);
        }
        IpAddr::V6(ip) => {
            prefix[0] = 6;
            prefix[1..].copy_from_slice(&ip.octets()[..6]);
        }
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_and_neighbours_apart() {
        let mut limiter = Limiter::new(100);
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
    fn connections_are_bounded_for_each_prefix_and_for_all() {
        let mut open = Open::default();
        let of = |net: u8| IpAddr::from([203, 0, net, 7]);
        let room = (0..100).filter(|_| open.enter(of(1))).count();
        assert_eq!(room, MOST_OF_PREFIX);
        open.leave(of(1));
        assert!(open.enter(of(1)) && !open.enter(of(1)));
        let room = (2..200).map(|net| (0..64).filter(|_| open.enter(of(net))).count());
        assert_eq!(room.sum::<usize>(), MOST_OPEN - MOST_OF_PREFIX);
        for net in 1..200 {
            (0..64).for_each(|_| open.leave(of(net)));
        }
        assert!(open.total == 0 && open.of.is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut limiter = Limiter::new(100);
        let start = Instant::now();
        for n in 0..40_000u32 {
            limiter.allow(start, IpAddr::V4((n << 8).into()));
        }
        assert!(limiter.full_at.len() <= MOST + 1);
    }
}

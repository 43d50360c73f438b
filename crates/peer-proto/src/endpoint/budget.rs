//! The packets that attempts may send to addresses at which the peer has not proved
//! to be: all attempts together, and to one IP address. Strangers have a budget of
//! their own, so that they take nothing from known peers.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::bucket::{Buckets, Rate};
use crate::client::Relation;
use nat::plan::Limits;
use sansio::TokenBucket;

/// Packets a second for known peers, beside guesses.
const KNOWN: u32 = 500;

/// Packets to one IP address for known peers, beside guesses: so many at once, and so
/// many a minute.
const KNOWN_TO_ONE: u32 = 600;

/// Packets a second for strangers.
const STRANGERS: u32 = 50;

/// Packets to one IP address for strangers: so many at once, and so many a minute.
const STRANGERS_TO_ONE: u32 = 60;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Share {
    rate: Rate,
    all: TokenBucket,
    to_one: Buckets<IpAddr>,
}

impl Share {
    /// `all` packets a second, saved for two seconds at most; `to_one` packets to one
    /// IP address a minute, saved for a minute.
    fn new(now: Instant, all: u32, to_one: u32) -> Self {
        Self {
            rate: per_second(all),
            all: TokenBucket::full(now),
            to_one: Buckets::new(per_minute(to_one)),
        }
    }

    fn take(&mut self, now: Instant, to: IpAddr) -> bool {
        self.rate.has(now, &self.all)
            && self.to_one.take(now, to.to_canonical())
            && self.rate.take(now, &mut self.all)
    }
}

fn per_second(packets: u32) -> Rate {
    Rate {
        burst: packets.saturating_mul(2),
        each: SECOND / packets,
    }
}

fn per_minute(packets: u32) -> Rate {
    Rate {
        burst: packets,
        each: MINUTE / packets,
    }
}

#[derive(Debug)]
pub(super) struct Budget {
    known: Share,
    strangers: Share,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: Share::new(now, KNOWN, KNOWN_TO_ONE),
            strangers: Share::new(now, STRANGERS, STRANGERS_TO_ONE),
        }
    }

    /// Guesses for known peers come on top: as many a second as these limits say, and
    /// twice as many to one IP address as they say for one attempt.
    pub(super) fn allow_guesses(&mut self, limits: &Limits) {
        let a_second = KNOWN.saturating_add(limits.pps);
        let to_one = KNOWN_TO_ONE.saturating_add(limits.probes.saturating_mul(2));
        self.known.rate = per_second(a_second);
        self.known.to_one.set_rate(per_minute(to_one));
    }

    /// Whether one more packet may leave to that address.
    pub(super) fn take(&mut self, now: Instant, relation: Relation, to: IpAddr) -> bool {
        match relation {
            Relation::Known => self.known.take(now, to),
            Relation::Stranger => self.strangers.take(now, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut Budget, now: Instant, relation: Relation, to: &str) -> usize {
        let to = to.parse().unwrap();
        let packets = 0..100_000;
        packets
            .take_while(|_| budget.take(now, relation, to))
            .count()
    }

    #[test]
    fn strangers_take_nothing_from_known_peers_and_no_address_gets_more_than_its_share() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        use Relation::{Known, Stranger};
        assert_eq!(taken(&mut budget, now, Stranger, "203.0.113.1"), 60);
        assert_eq!(taken(&mut budget, now, Stranger, "203.0.113.2"), 40);
        assert_eq!(taken(&mut budget, now, Known, "203.0.113.1"), 600);
        assert_eq!(taken(&mut budget, now, Known, "203.0.113.2"), 400);
        let minute = now + MINUTE;
        assert_eq!(taken(&mut budget, minute, Stranger, "203.0.113.1"), 60);
        assert_eq!(taken(&mut budget, minute, Known, "::ffff:203.0.113.1"), 600);
    }

    #[test]
    fn guesses_to_one_address_are_bounded_by_our_own_limits() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        budget.allow_guesses(&Limits::POLITE);
        let mut sent = 0;
        for second in 0..60 {
            let now = now + SECOND * second;
            sent += taken(&mut budget, now, Relation::Known, "203.0.113.1");
        }
        let most = KNOWN_TO_ONE + 2 * Limits::POLITE.probes;
        let most = most as usize;
        assert!((most..=2 * most).contains(&sent), "{sent}");
    }
}

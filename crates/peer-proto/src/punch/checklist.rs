//! The pairs of one attempt (RFC 8445 §6.1.2): the addresses that the peer has
//! told, and those that its packets came from.

use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::time::{Duration, Instant};

use super::burst::Burst;
use super::pair::Pair;
use super::types::{Config, Target};
use sansio::Via;

/// Addresses that the peer's packets came from and that it has not told, at most
/// (RFC 8445: peer-reflexive candidates).
const MOST_PEER_REFLEXIVE: usize = 8;

/// The pairs. A pair keeps its number.
#[derive(Debug)]
pub(super) struct Checklist {
    pairs: Vec<Pair>,
    /// When probes are sent to one address.
    probes: &'static [Duration],
    peer_reflexive: usize,
}

impl Checklist {
    /// The pairs of the addresses that were told. The reflexive address is the
    /// first, unless only the relay is to be used.
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let mut pairs = Vec::new();
        let direct = |to| Target {
            via: Via::Socket(0),
            to,
        };
        if !config.relay_only {
            let start = now + config.hold;
            pairs.push(Pair::new(direct(config.reflexive), config.probes, start));
            let hosts = config.hosts.iter();
            let hosts = hosts.filter(|host| **host != config.reflexive);
            pairs.extend(hosts.map(|host| Pair::new(direct(*host), config.probes, now)));
        }
        let relayed = config.relayed.iter();
        let relayed =
            relayed.map(|&target| Pair::relayed(target, config.probes, config.relay_from));
        pairs.extend(relayed);
        Self {
            pairs,
            probes: config.probes,
            peer_reflexive: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The pair that an authentic packet came from. A new source becomes a new
    /// pair (RFC 8445 §7.3.1.3); `None` if there are too many of them.
    pub(super) fn pair_of(
        &mut self,
        now: Instant,
        from: Target,
        burst: Option<&Burst>,
    ) -> Option<usize> {
        let of = |pair: &Pair| pair.target == from;
        if let Some(index) = self.pairs.iter().position(of) {
            return Some(index);
        }
        if self.peer_reflexive == MOST_PEER_REFLEXIVE {
            return None;
        }
        tracing::debug!(?from, "the peer is seen at an address that it has not told");
        self.peer_reflexive += 1;
        let mut pair = match from.via {
            Via::Relay => Pair::relayed(from, self.probes, now),
            Via::Socket(_) | Via::Stream(_) => Pair::new(from, self.probes, now),
        };
        // A guess may have hit before the peer's NAT let it in; then the peer's
        // own packet comes through the mapping that the guess has made.

        pair.guess = burst.and_then(|burst| burst.number(from));
        self.pairs.push(pair);
        Some(self.pairs.len() - 1)
    }

    /// Whether what comes from there comes through a relay, ours or the peer's.
    pub(super) fn is_relayed(&self, from: Target) -> bool {
        let mut known = self.pairs.iter();
        from.via == Via::Relay || known.any(|pair| pair.relayed && pair.target == from)
    }

    /// Whether this address is the peer's. An address on a private network is not:
    /// here, it may belong to another host.
    pub(super) fn is_peers(&self, to: SocketAddr) -> bool {
        self.pairs
            .iter()
            .any(|pair| pair.target.to == to && !pair.lan)
    }

    /// Whether the peer was heard, other than through a relay.
    pub(super) fn is_heard(&self) -> bool {
        self.pairs.iter().any(|pair| pair.heard && !pair.relayed)
    }

    /// Whether a path leads there.
    pub(super) fn is_proved_at(&self, target: Target) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|pair| pair.target == target && pair.proved.is_some())
    }

    /// Whether there is a path.
    pub(super) fn is_proved(&self) -> bool {
        self.pairs.iter().any(|pair| pair.proved.is_some())
    }

    /// The best path: direct before relayed, then LAN before others, then the
    /// shortest round trip.
    pub(super) fn best(&self) -> Option<usize> {
        let pairs = self.pairs.iter().enumerate();
        let proved = pairs.filter(|(_, pair)| pair.proved.is_some());
        let best = proved.min_by_key(|(_, pair)| (pair.relayed, !pair.lan, pair.proved));
        best.map(|(index, _)| index)
    }

    /// When the next probe of any pair is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pairs.iter().filter_map(Pair::next).min()
    }
}

impl Index<usize> for Checklist {
    type Output = Pair;

    fn index(&self, pair: usize) -> &Pair {
        &self.pairs[pair]
    }
}

impl IndexMut<usize> for Checklist {
    fn index_mut(&mut self, pair: usize) -> &mut Pair {
        &mut self.pairs[pair]
    }
}

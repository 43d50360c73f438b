//! How many new names a network may have in a time.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sansio::Prefix;

/// A network may have this many new names at once, and as many again for proofs of
/// work: after a restart of the server, all that are behind one carrier's NAT
/// register within seconds.
pub(super) const BURST: u32 = 600;

/// What one new name takes: ten in a second go on without end.
const EACH: Duration = Duration::from_millis(100);

/// Networks that are remembered. The one that has used least is forgotten first.
const MOST: usize = 16 * 1024;

/// Whether a network may have one more new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    Within,
    /// For a proof of work only.
    Over,
    /// Not now.
    FarOver,
}

/// A token bucket for each network (the generic cell rate algorithm): what is kept
/// of it is when it will be full.
#[derive(Debug, Default)]
pub(super) struct NewNames {
    full_at: HashMap<Prefix, Instant>,
    by_time: BTreeSet<(Instant, Prefix)>,
}

impl NewNames {
    pub(super) fn rate(&self, now: Instant, network: &Prefix) -> Rate {
        let full_at = self.full_at.get(network).copied();
        let wait = full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        match wait + EACH {
            wait if wait <= EACH * BURST => Rate::Within,
            wait if wait <= EACH * (2 * BURST) => Rate::Over,
            _ => Rate::FarOver,
        }
    }

    /// Counts a new name of that network.
    pub(super) fn count(&mut self, now: Instant, network: Prefix) {
        while let Some(&(at, first)) = self.by_time.first()
            && (at <= now || self.full_at.len() > MOST)
        {
            self.by_time.pop_first();
            self.full_at.remove(&first);
        }
        let full_at = self.full_at.entry(network).or_insert(now);
        self.by_time.remove(&(*full_at, network));
        *full_at += EACH;
        self.by_time.insert((*full_at, network));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn net(n: u32) -> Prefix {
        Prefix::of(Ipv4Addr::from(n << 8).into())
    }

    #[test]
    fn a_network_has_a_burst_then_one_for_proofs_and_then_its_rate() {
        let (mut names, start) = (NewNames::default(), Instant::now());
        let mut until = |at: Instant, rate: Rate| {
            let mut n = 0;
            while names.rate(at, &net(1)) == rate {
                names.count(at, net(1));
                n += 1;
            }
            n
        };
        assert_eq!(until(start, Rate::Within), BURST);
        assert_eq!(until(start, Rate::Over), BURST);
        assert_eq!(until(start + Duration::from_secs(1), Rate::Over), 10);
        let later = start + EACH * (2 * BURST) + Duration::from_secs(1);
        assert_eq!(until(later, Rate::Within), BURST);
        assert_eq!(names.rate(start, &net(2)), Rate::Within);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_network_that_has_used_least() {
        let (mut names, start) = (NewNames::default(), Instant::now());
        for _ in 0..BURST {
            names.count(start, net(0));
        }
        for n in 1..2 * MOST as u32 {
            names.count(start, net(n));
        }
        assert!(names.full_at.len() <= MOST + 1, "{}", names.full_at.len());
        assert_eq!(names.full_at.len(), names.by_time.len());
        assert_eq!(names.rate(start, &net(0)), Rate::Over);
        // Those that are full again take no room.
        names.count(start + EACH * BURST, net(1));
        assert_eq!((names.full_at.len(), names.by_time.len()), (1, 1));
    }
}

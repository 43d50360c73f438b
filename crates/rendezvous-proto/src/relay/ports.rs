//! The ports of relayed addresses that are free.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Free ports. One is found at once, however few are left.
#[derive(Debug)]
pub(super) struct Ports {
    even: Vec<u16>,
    odd: Vec<u16>,
    rng: ChaCha20Rng,
}

impl Ports {
    /// Ports are chosen at random, from `seed`.
    pub(super) fn new(ports: RangeInclusive<u16>, seed: [u8; 32]) -> Self {
        let (even, odd) = ports.partition(|port| port.is_multiple_of(2));
        let rng = ChaCha20Rng::from_seed(seed);
        Ports { even, odd, rng }
    }

    /// Takes a random port: a peer cannot guess which is assigned next.
    pub(super) fn take(&mut self, even: bool) -> Option<u16> {
        let odd = if even { 0 } else { self.odd.len() };
        let many = self.even.len() + odd;
        let chosen = self.rng.next_u32() as usize % many.max(1);
        match chosen.checked_sub(self.even.len()) {
            _ if many == 0 => None,
            None => Some(self.even.swap_remove(chosen)),
            Some(chosen) => Some(self.odd.swap_remove(chosen)),
        }
    }

    /// Gives back a port that was taken.
    pub(super) fn release(&mut self, port: u16) {
        match port.is_multiple_of(2) {
            true => self.even.push(port),
            false => self.odd.push(port),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_port_is_taken_once_at_random_and_an_even_one_where_one_is_asked_for() {
        let mut ports = Ports::new(50_001..=50_100, [7; 32]);
        let even: Vec<u16> = (0..10).filter_map(|_| ports.take(true)).collect();
        assert!(even.len() == 10 && even.iter().all(|port| port % 2 == 0));
        let all: Vec<u16> = std::iter::from_fn(|| ports.take(false)).collect();
        let distinct: BTreeSet<u16> = all.iter().chain(&even).copied().collect();
        assert_eq!((all.len(), distinct.len()), (90, 100));
        assert_eq!(
            distinct.first().zip(distinct.last()),
            Some((&50_001, &50_100))
        );
        let mut others = Ports::new(50_001..=50_100, [8; 32]);
        let another: Vec<u16> = std::iter::from_fn(|| others.take(false)).collect();
        assert_ne!(all[..20], another[..20], "another seed");
        ports.release(50_033);
        assert_eq!((ports.take(true), ports.take(false)), (None, Some(50_033)));
    }
}

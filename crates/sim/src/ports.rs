//! The port assignment of a simulated NAT.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// How a NAT assigns the outside port of a new mapping (RFC 4787 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The inside port where it is free, otherwise a random one.
    Preserve,
    /// Any free port from 1024 up.
    Random,
    /// One after the other, from `first` on, `step` apart; ports in use are skipped.
    Sequential {
        /// The port of the first mapping.
        first: u16,
        /// The distance from one mapping to the next.
        step: u16,
    },
    /// A random free port of a range, as a carrier's NAT assigns to each customer.
    Block(RangeInclusive<u16>),
}

const UNPRIVILEGED: RangeInclusive<u16> = 1024..=u16::MAX;

/// [`Ports`] with the port that comes next.
#[derive(Debug)]
pub(super) struct Allocator {
    ports: Ports,
    next: u16,
}

impl Allocator {
    pub(super) fn new(ports: Ports) -> Self {
        let next = match ports {
            Ports::Sequential { first, .. } => first,
            _ => 0,
        };
        Self { ports, next }
    }

    /// An outside port for a mapping of the port `inside`; `None`: all are in use.
    pub(super) fn allocate(
        &mut self,
        inside: u16,
        rng: &mut ChaCha8Rng,
        free: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        match &self.ports {
            Ports::Preserve if free(inside) => Some(inside),
            Ports::Preserve | Ports::Random => random(UNPRIVILEGED, rng, free),
            Ports::Block(range) => random(range.clone(), rng, free),
            Ports::Sequential { first, step } => {
                let (first, step) = (*first, (*step).max(1));
                let mut candidate = self.next;
                for _ in 0..=u16::MAX {
                    let after = candidate.checked_add(step).unwrap_or(first);
                    if free(candidate) {
                        self.next = after;
                        return Some(candidate);
                    }
                    candidate = after;
                }
                None
            }
        }
    }
}

/// The first free port after a random one. It ends in a full range as well.
fn random(
    range: RangeInclusive<u16>,
    rng: &mut ChaCha8Rng,
    free: impl Fn(u16) -> bool,
) -> Option<u16> {
    let (low, high) = (*range.start(), *range.end());
    let width = u64::from(high.checked_sub(low)?) + 1;
    let start = rng.next_u64() % width;
    (0..width)
        .map(|i| low + ((start + i) % width) as u16)
        .find(|&port| free(port))
}

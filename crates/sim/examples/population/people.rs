//! Who is behind which NAT: drawn, the same way for the same seed.

use std::time::Duration;

use nat::Dependence::{self, *};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sim::{Ports, Profile};

/// What the population is like, in percent. docs/explanation/punching.md says which of
/// these numbers is published where, and which is an assumption.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// NATs that give every destination another port.
    pub symmetric: f64,
    /// Filters that let everybody in, and those that look at addresses only.
    pub open_filters: f64,
    pub address_filters: f64,
    /// Of the symmetric NATs: those that count their ports.
    pub sequential: f64,
    /// Of the symmetric NATs: those that draw them from a block of 512.
    pub block: f64,
    /// Of the stable NATs that filter by port: those that take offence at an
    /// early packet.
    pub masquerade: f64,
    /// Networks without UDP.
    pub blocked: f64,
    /// Packets lost on the way, each way.
    pub loss: f64,
    /// Mappings a second that others behind a counting NAT make.
    pub neighbours: f64,
    /// From a host to the core, one way.
    pub nearest: Duration,
    pub farthest: Duration,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            symmetric: 18.0,
            open_filters: 13.5,
            address_filters: 17.5,
            sequential: 52.0,
            block: 0.0,
            masquerade: 50.0,
            blocked: 0.0,
            loss: 1.0,
            neighbours: 2.0,
            nearest: Duration::from_millis(5),
            farthest: Duration::from_millis(60),
        }
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Person {
    pub nat: Profile,
    pub distance: Duration,
}

/// Two of them, and a seed for what happens between them.
#[derive(Clone, Debug)]
pub struct Pair {
    pub caller: Person,
    pub target: Person,
    pub seed: u64,
}

impl Population {
    /// The pair of that number.
    pub fn pair(&self, seed: u64, number: u64) -> Pair {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(number);
        Pair {
            caller: self.person(&mut dice),
            target: self.person(&mut dice),
            seed: dice.next_u64(),
        }
    }

    fn person(&self, dice: &mut ChaCha8Rng) -> Person {
        // Every die is thrown every time, so that one knob moves one thing.
        let throws: [f64; 6] = std::array::from_fn(|_| f64::from(dice.next_u32()) / 2f64.powi(32));
        let below = |n: usize, percent: f64| throws[n] * 100.0 < percent;
        let filtering = self.filtering(throws[1] * 100.0);
        let mut nat = match below(0, self.symmetric) {
            true => Profile {
                ports: self.ports(throws[2] * 100.0, throws[4]),
                ..Profile::new(AddressAndPortDependent, filtering)
            },
            false => Profile {
                remaps_after_early_inbound: filtering == AddressAndPortDependent
                    && below(2, self.masquerade),
                ..Profile::new(EndpointIndependent, filtering)
            },
        };
        nat.blocks_udp = below(3, self.blocked);
        let distance = self.nearest + (self.farthest - self.nearest).mul_f64(throws[5]);
        Person { nat, distance }
    }

    fn filtering(&self, percent: f64) -> Dependence {
        if percent < self.open_filters {
            EndpointIndependent
        } else if percent < self.open_filters + self.address_filters {
            AddressDependent
        } else {
            AddressAndPortDependent
        }
    }

    fn ports(&self, percent: f64, start: f64) -> Ports {
        let first = 1024 + (start * 60_000.0) as u16;
        if percent < self.sequential {
            Ports::Sequential { first, step: 1 }
        } else if percent < self.sequential + self.block {
            Ports::Block(first..=first + 511)
        } else {
            Ports::Random
        }
    }
}

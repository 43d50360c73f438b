//! A burst: many packets to ports of the peer that are guessed, at a bounded
//! rate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use stun::Transaction;

use super::types::Target;
use nat::plan::{Part, PortSet};
use sansio::{SocketId, Via};

/// A packet of the burst that has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    target: Target,
    pub(super) at: Instant,
    /// Counted from 1.
    pub(super) number: u32,
}

/// What one side sends beside its plain probes.
#[derive(Debug)]
pub struct Burst {
    targets: Vec<Target>,
    start: Instant,
    pps: u32,
    /// IP time to live; `None` is the system's default.
    pub(super) ttl: Option<u8>,
    next: usize,
    sent: BTreeMap<Transaction, Guess>,
}

impl Burst {
    /// One packet to each target in turn, from `start` on, `pps` packets a
    /// second.
    pub fn new(targets: Vec<Target>, start: Instant, pps: u32, ttl: Option<u8>) -> Self {
        Self {
            targets,
            start,
            pps: pps.max(1),
            ttl,
            next: 0,
            sent: BTreeMap::new(),
        }
    }

    /// When the last packet leaves.
    pub fn end(&self) -> Instant {
        self.at(self.targets.len())
    }

    fn at(&self, number: usize) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / f64::from(self.pps))
    }

    /// When the next packet leaves; `None` after the last.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.next < self.targets.len()).then(|| self.at(self.next))
    }

    /// The next target, if its time has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<Target> {
        let at = self.next()?;
        (at <= now).then(|| {
            self.next += 1;
            self.targets[self.next - 1]
        })
    }

    /// The packet to the target that was due last has left.
    pub(super) fn note_sent(&mut self, now: Instant, transaction: Transaction, target: Target) {
        let number = self.next as u32;
        let guess = Guess {
            target,
            at: now,
            number,
        };
        self.sent.insert(transaction, guess);
    }

    /// The number of the first packet that went to this target.
    pub(super) fn number(&self, to: Target) -> Option<u32> {
        let sent = self.sent.values().filter(|guess| guess.target == to);
        sent.map(|guess| guess.number).min()
    }

    /// The packet that was answered, if the answer comes from its target.
    pub(super) fn answered(&self, transaction: Transaction, from: Target) -> Option<Guess> {
        let guess = self.sent.get(&transaction)?;
        (guess.target == from).then_some(*guess)
    }
}

/// The targets of a share, in the order in which they are sent to: from the
/// sockets numbered from `first` on, to the ports of the share at the IP address
/// of `peer`, where the rendezvous sees the peer. `base` is the port of the
/// peer's last mapping.
pub fn targets(
    part: &Part,
    peer: SocketAddr,
    base: Option<u16>,
    first: SocketId,
    rng: &mut ChaCha20Rng,
) -> Vec<Target> {
    let sockets = match part.sockets {
        0 => 0..1,
        count => first..first + count as usize,
    };
    let mut targets = Vec::with_capacity(part.packets() as usize);
    for socket in sockets {
        let ports = ports(part, peer.port(), base, rng);
        targets.extend(ports.into_iter().map(|port| Target {
            via: Via::Socket(socket),
            to: SocketAddr::new(peer.ip(), port),
        }));
    }
    targets.repeat(part.rounds as usize)
}

fn ports(part: &Part, known: u16, base: Option<u16>, rng: &mut ChaCha20Rng) -> Vec<u16> {
    let each = part.ports_per_socket as usize;
    match part.ports {
        PortSet::Known => vec![known; each],
        PortSet::Predicted { step, first, count } => {
            let Some(base) = base else { return Vec::new() };
            let steps = (first..first + count).map(|n| i32::from(base) + step * n as i32);
            let ports = steps.filter_map(|port| u16::try_from(port).ok());
            ports.filter(|&port| port > 0).take(each).collect()
        }
        PortSet::Range { low, high } => {
            let mut ports: Vec<u16> = (low..=high).collect();
            ports.partial_shuffle(rng, each).0.to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;
    use std::collections::HashSet;

    fn of(part: &Part, base: Option<u16>) -> Vec<Target> {
        let peer = "203.0.113.33:40000".parse().unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        targets(part, peer, base, 5, &mut rng)
    }

    #[test]
    fn random_ports_are_in_range_and_not_repeated() {
        let part = Part {
            ports_per_socket: 2000,
            ports: PortSet::Range {
                low: 1024,
                high: 65535,
            },
            ..Part::NONE
        };
        let targets = of(&part, None);
        let ports: HashSet<u16> = targets.iter().map(|target| target.to.port()).collect();
        assert_eq!((targets.len(), ports.len()), (2000, 2000));
        assert!(ports.iter().all(|&port| port >= 1024));
        assert!(targets.iter().all(|target| target.via == Via::Socket(0)));
    }

    #[test]
    fn each_socket_sends_to_every_port_ahead_that_exists() {
        let part = Part {
            sockets: 2,
            ports_per_socket: 3,
            ports: PortSet::Predicted {
                step: -2,
                first: 1,
                count: 3,
            },
            ..Part::NONE
        };
        let targets = of(&part, Some(5));
        let seen: Vec<_> = targets.iter().map(|s| (s.via, s.to.port())).collect();
        assert_eq!(
            seen,
            [(5, 3), (5, 1), (6, 3), (6, 1)].map(|(socket, port)| (Via::Socket(socket), port)),
            "there is no port -1"
        );
        assert_eq!(of(&part, None), []);
    }

    #[test]
    fn packets_leave_at_the_given_rate() {
        let target = Target {
            via: Via::Socket(0),
            to: "203.0.113.33:1".parse().unwrap(),
        };
        let start = Instant::now();
        let mut burst = Burst::new(vec![target; 400], start, 200, None);
        assert_eq!(burst.end() - start, Duration::from_secs(2));
        let half = start + Duration::from_millis(999);
        assert_eq!(std::iter::from_fn(|| burst.due(half)).count(), 200);
        assert_eq!(burst.next(), Some(start + Duration::from_secs(1)));
    }

    #[test]
    fn a_target_that_was_sent_to_twice_has_the_first_number() {
        let part = Part {
            sockets: 64,
            ports_per_socket: 1,
            rounds: 3,
            ..Part::NONE
        };
        let targets = of(&part, None);
        let now = Instant::now();
        let mut burst = Burst::new(targets.clone(), now, 1_000_000, None);
        let later = now + Duration::from_secs(1);
        // Ids that are not in the order in which they are used.
        for n in (0u8..192).rev() {
            let target = burst.due(later).unwrap();
            burst.note_sent(later, [n; 12], target);
        }
        let numbers = targets[..64].iter().map(|&target| burst.number(target));
        assert_eq!(Vec::from_iter(numbers), Vec::from_iter((1..=64).map(Some)));
    }
}

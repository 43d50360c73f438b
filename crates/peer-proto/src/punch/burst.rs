//! Many packets towards ports that are guessed, at a bounded rate.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use stun::Transaction;

use nat::plan::{Aim, Share};
use sansio::{SocketId, Via};

/// One packet of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// From which socket, or through our relay.
    pub via: Via,
    /// Where to.
    pub to: SocketAddr,
}

/// A datagram that an attempt or a measurement sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which way it leaves, and where to.
    pub to: Target,
    /// IP time to live; `None` is the system's default.
    pub ttl: Option<u8>,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// One that has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fired {
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
    /// With this TTL, if not the system's.
    pub(super) ttl: Option<u8>,
    next: usize,
    sent: HashMap<Transaction, Fired>,
}

impl Burst {
    /// Those targets from `start` on, so many a second.
    pub fn new(targets: Vec<Target>, start: Instant, pps: u32, ttl: Option<u8>) -> Self {
        Self {
            targets,
            start,
            pps: pps.max(1),
            ttl,
            next: 0,
            sent: HashMap::new(),
        }
    }

    /// When the last one leaves.
    pub fn end(&self) -> Instant {
        self.at(self.targets.len())
    }

    fn at(&self, number: usize) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / f64::from(self.pps))
    }

    /// When the next one leaves, if there is one.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.next < self.targets.len()).then(|| self.at(self.next))
    }

    /// The next one that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Target> {
        let at = self.next()?;
        (at <= now).then(|| {
            self.next += 1;
            self.targets[self.next - 1]
        })
    }

    pub(super) fn note_sent(&mut self, now: Instant, transaction: Transaction, target: Target) {
        let number = self.next as u32;
        let fired = Fired {
            target,
            at: now,
            number,
        };
        self.sent.insert(transaction, fired);
    }

    /// Which target went there, counted from 1.
    pub(super) fn number(&self, to: Target) -> Option<u32> {
        let mut fired = self.sent.values().filter(|fired| fired.target == to);
        fired.next().map(|fired| fired.number)
    }

    /// The target that an answer is to, if it comes from where that went.
    pub(super) fn answered(&self, transaction: Transaction, from: Target) -> Option<Fired> {
        let fired = self.sent.get(&transaction)?;
        (fired.target == from).then_some(*fired)
    }
}

/// The targets of a share: from sockets numbered from `first` on, at a peer that
/// the rendezvous sees at `peer`, and whose last known new mapping was `base`.
pub fn targets(
    share: &Share,
    peer: SocketAddr,
    base: Option<u16>,
    first: SocketId,
    rng: &mut ChaCha20Rng,
) -> Vec<Target> {
    let sockets: Vec<SocketId> = match share.sockets {
        0 => vec![0],
        count => (first..first + count as usize).collect(),
    };
    let mut targets = Vec::with_capacity(share.packets() as usize);
    for socket in sockets {
        let ports = ports(share, peer.port(), base, rng);
        targets.extend(ports.into_iter().map(|port| Target {
            via: Via::Socket(socket),
            to: SocketAddr::new(peer.ip(), port),
        }));
    }
    targets.repeat(share.rounds as usize)
}

fn ports(share: &Share, known: u16, base: Option<u16>, rng: &mut ChaCha20Rng) -> Vec<u16> {
    let each = share.each as usize;
    match share.at {
        Aim::Known => vec![known; each],
        Aim::Ahead { step, from, count } => {
            let Some(base) = base else { return Vec::new() };
            let steps = (from..from + count).map(|n| i32::from(base) + step * n as i32);
            let ports = steps.filter_map(|port| u16::try_from(port).ok());
            ports.filter(|&port| port > 0).take(each).collect()
        }
        Aim::Within { low, high } => {
            // A shuffle that stops when there are enough (Fisher and Yates).
            let mut ports: Vec<u16> = (low..=high).collect();
            let each = each.min(ports.len());
            for n in 0..each {
                let rest = (ports.len() - n) as u64;
                ports.swap(n, n + (rng.next_u64() % rest) as usize);
            }
            ports.truncate(each);
            ports
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;
    use std::collections::HashSet;

    fn of(share: &Share, base: Option<u16>) -> Vec<Target> {
        let peer = "203.0.113.33:40000".parse().unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        targets(share, peer, base, 5, &mut rng)
    }

    #[test]
    fn random_ports_are_in_range_and_not_repeated() {
        let share = Share {
            each: 2000,
            at: Aim::Within {
                low: 1024,
                high: 65535,
            },
            ..Share::NOTHING
        };
        let targets = of(&share, None);
        let ports: HashSet<u16> = targets.iter().map(|target| target.to.port()).collect();
        assert_eq!((targets.len(), ports.len()), (2000, 2000));
        assert!(ports.iter().all(|&port| port >= 1024));
        assert!(targets.iter().all(|target| target.via == Via::Socket(0)));
    }

    #[test]
    fn a_row_of_sockets_and_ports_ahead() {
        let share = Share {
            sockets: 2,
            each: 3,
            at: Aim::Ahead {
                step: -2,
                from: 1,
                count: 3,
            },
            ..Share::NOTHING
        };
        let targets = of(&share, Some(5));
        let seen: Vec<_> = targets.iter().map(|s| (s.via, s.to.port())).collect();
        assert_eq!(
            seen,
            [(5, 3), (5, 1), (6, 3), (6, 1)].map(|(socket, port)| (Via::Socket(socket), port)),
            "there is no port -1"
        );
        assert_eq!(of(&share, None), []);
    }

    #[test]
    fn the_rate_is_kept() {
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
}

//! Many packets towards ports that are guessed, at a bounded rate.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use stun::Transaction;

use nat::plan::{Part, PortSet};
use sansio::SocketId;

/// One packet of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shot {
    /// From which socket.
    pub socket: SocketId,
    /// Where to.
    pub to: SocketAddr,
}

/// One that has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fired {
    shot: Shot,
    pub(super) at: Instant,
    /// Counted from 1.
    pub(super) number: u32,
}

/// What one side sends beside its plain probes.
#[derive(Debug)]
pub struct Volley {
    shots: Vec<Shot>,
    start: Instant,
    pps: u32,
    /// With this TTL, if not the system's.
    pub(super) ttl: Option<u8>,
    next: usize,
    sent: HashMap<Transaction, Fired>,
}

impl Volley {
    /// Those shots from `start` on, so many a second.
    pub fn new(shots: Vec<Shot>, start: Instant, pps: u32, ttl: Option<u8>) -> Self {
        Self {
            shots,
            start,
            pps: pps.max(1),
            ttl,
            next: 0,
            sent: HashMap::new(),
        }
    }

    /// When the last one leaves.
    pub fn end(&self) -> Instant {
        self.at(self.shots.len())
    }

    fn at(&self, number: usize) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / f64::from(self.pps))
    }

    /// When the next one leaves, if there is one.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.next < self.shots.len()).then(|| self.at(self.next))
    }

    /// The next one that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Shot> {
        let at = self.next()?;
        (at <= now).then(|| {
            self.next += 1;
            self.shots[self.next - 1]
        })
    }

    pub(super) fn note_sent(&mut self, now: Instant, transaction: Transaction, shot: Shot) {
        let number = self.next as u32;
        let fired = Fired {
            shot,
            at: now,
            number,
        };
        self.sent.insert(transaction, fired);
    }

    /// Which shot went there, counted from 1.
    pub(super) fn number(&self, to: Shot) -> Option<u32> {
        let mut fired = self.sent.values().filter(|fired| fired.shot == to);
        fired.next().map(|fired| fired.number)
    }

    /// The shot that an answer is to, if it comes from where that went.
    pub(super) fn answered(&self, transaction: Transaction, from: Shot) -> Option<Fired> {
        let fired = self.sent.get(&transaction)?;
        (fired.shot == from).then_some(*fired)
    }
}

/// The shots of a part: from sockets numbered from `first` on, at a peer that
/// the rendezvous sees at `peer`, and whose last known new mapping was `base`.
pub fn shots(
    part: &Part,
    peer: SocketAddr,
    base: Option<u16>,
    first: SocketId,
    rng: &mut ChaCha20Rng,
) -> Vec<Shot> {
    let sockets: Vec<SocketId> = match part.sockets {
        0 => vec![0],
        count => (first..first + count as usize).collect(),
    };
    let mut shots = Vec::with_capacity(part.packets() as usize);
    for socket in sockets {
        let ports = ports(part, peer.port(), base, rng);
        shots.extend(ports.into_iter().map(|port| Shot {
            socket,
            to: SocketAddr::new(peer.ip(), port),
        }));
    }
    shots.repeat(part.rounds as usize)
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

    fn of(part: &Part, base: Option<u16>) -> Vec<Shot> {
        let peer = "203.0.113.33:40000".parse().unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        shots(part, peer, base, 5, &mut rng)
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
        let shots = of(&part, None);
        let ports: HashSet<u16> = shots.iter().map(|shot| shot.to.port()).collect();
        assert_eq!((shots.len(), ports.len()), (2000, 2000));
        assert!(ports.iter().all(|&port| port >= 1024));
        assert!(shots.iter().all(|shot| shot.socket == 0));
    }

    #[test]
    fn a_row_of_sockets_and_ports_ahead() {
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
        let shots = of(&part, Some(5));
        let seen: Vec<_> = shots.iter().map(|s| (s.socket, s.to.port())).collect();
        assert_eq!(
            seen,
            [(5, 3), (5, 1), (6, 3), (6, 1)],
            "there is no port -1"
        );
        assert_eq!(of(&part, None), []);
    }

    #[test]
    fn the_rate_is_kept() {
        let shot = Shot {
            socket: 0,
            to: "203.0.113.33:1".parse().unwrap(),
        };
        let start = Instant::now();
        let mut volley = Volley::new(vec![shot; 400], start, 200, None);
        assert_eq!(volley.end() - start, Duration::from_secs(2));
        let half = start + Duration::from_millis(999);
        assert_eq!(std::iter::from_fn(|| volley.due(half)).count(), 200);
        assert_eq!(volley.next(), Some(start + Duration::from_secs(1)));
    }
}

//! How far packets to a peer come, by packets whose TTL expires.
//!
//! Each router on the way answers the packet that expires there with an ICMP error. Behind the last one
//! that does is silence: there is a NAT or a firewall that drops the packets, or the peer.
//!
//! Every TTL has a socket of its own, since an ICMP error need not quote more of a packet than its
//! ports (RFC 792).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::is_private;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sansio::{IcmpError, Input, Protocol, Transmit};
use serde::Serialize;
use stun::{Builder, IcmpReason, Method};

use super::MIN_WAIT;
use super::transaction::transaction;

/// The greatest TTL. Few ways are longer, and each TTL makes a mapping in our NAT.
const HOPS: usize = 20;
/// Each TTL is sent so often: routers limit their ICMP errors.
const ROUNDS: u32 = 3;
/// What comes back takes at most this long, mostly.
const SPACING: Duration = Duration::from_millis(150);

/// How far packets come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// The routers that have answered, from the gateway on; `None` where one does not answer. The last
    /// one has an address.
    pub hops: Vec<Option<IpAddr>>,
    /// Who refused the packets, and why.
    pub refused: Option<(IpAddr, IcmpReason)>,
    /// How far that is.
    pub reach: Reach,
}

/// How far packets come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// No router says that a TTL has expired: nothing is known.
    #[default]
    Unknown,
    /// To a router with a private address: our gateway, or one that follows it.
    OwnNetwork,
    /// To a router between the two networks.
    Core,
    /// To the address of the peer.
    Peer,
}

/// The measurement.
#[derive(Debug)]
pub struct Sweep {
    to: SocketAddr,
    rounds: u32,
    next: Option<Instant>,
    rng: ChaCha20Rng,
    hops: [Option<IpAddr>; HOPS],
    refused: Option<(IpAddr, IcmpReason)>,
    outbox: VecDeque<Transmit>,
}

impl Sweep {
    /// Begins. `to` is the peer's reflexive address.
    pub fn new(now: Instant, to: SocketAddr, seed: [u8; 32]) -> Sweep {
        let mut sweep = Sweep {
            to,
            rounds: 0,
            next: Some(now),
            rng: ChaCha20Rng::from_seed(seed),
            hops: [None; HOPS],
            refused: None,
            outbox: VecDeque::new(),
        };
        sweep.handle_timeout(now);
        sweep
    }

    /// The result, when there is one.
    pub fn report(&self) -> Option<SweepReport> {
        if self.next.is_some() {
            return None;
        }
        let last = self.hops.iter().rposition(Option::is_some);
        let hops = self.hops[..last.map_or(0, |last| last + 1)].to_vec();
        let farthest = self.refused.map(|(offender, _)| offender);
        let farthest = farthest.or_else(|| hops.last().copied().flatten());
        let reach = match farthest {
            None => Reach::Unknown,
            Some(hop) if hop == self.to.ip() => Reach::Peer,
            Some(hop) if is_private(hop) => Reach::OwnNetwork,
            Some(_) => Reach::Core,
        };
        Some(SweepReport {
            hops,
            refused: self.refused,
            reach,
        })
    }

    fn send(&mut self) {
        for index in 0..HOPS {
            // An indication, because it must not be answered.
            let opener = Builder::indication(Method::Binding, transaction(&mut self.rng));
            self.outbox.push_back(Transmit {
                socket: index,
                to: self.to,
                ttl: Some(index as u8 + 1),
                payload: opener.finish(),
            });
        }
    }

    fn told(&mut self, error: IcmpError<'_>) {
        let Some(reason) = error.reason().filter(|_| error.to == self.to) else {
            return;
        };
        match (reason, self.hops.get_mut(error.socket)) {
            (IcmpReason::TimeExceeded, Some(hop)) => *hop = Some(error.offender),
            (reason, _) if reason.is_refusal() => self.refused = Some((error.offender, reason)),
            // Such as a route that is missing for a moment: nobody refuses.
            _ => {}
        }
    }
}

impl Protocol for Sweep {
    fn handle_input(&mut self, _now: Instant, input: Input<'_>) {
        if let Input::Icmp(error) = input {
            self.told(error);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.rounds += 1;
        self.next = (self.rounds <= ROUNDS).then(|| {
            self.send();
            now + if self.rounds == ROUNDS {
                MIN_WAIT.max(2 * SPACING)
            } else {
                SPACING
            }
        });
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use stun::Icmp;

    use super::*;

    const PEER: &str = "203.0.113.33:40001";

    /// Sweeps over these routers, of which some are silent; where the last one refuses what comes to it,
    /// with this type and code.
    fn sweep(hops: &[&str], refuses: Option<(u8, u8)>) -> SweepReport {
        let mut now = Instant::now();
        let mut sweep = Sweep::new(now, PEER.parse().unwrap(), [1; 32]);
        let mut sent = 0;
        while let Some(next) = sweep.poll_timeout() {
            while let Some(packet) = sweep.poll_transmit() {
                sent += 1;
                let at = usize::from(packet.ttl.unwrap());
                let answer = match (at <= hops.len(), refuses) {
                    (true, _) => Some((hops[at - 1], (11, 0))),
                    (false, Some(refusal)) => hops.last().map(|last| (*last, refusal)),
                    (false, None) => None,
                };
                let Some((from, (kind, code))) = answer else {
                    continue;
                };
                let Ok(offender) = from.parse() else { continue };
                let error = IcmpError {
                    socket: packet.socket,
                    to: packet.to,
                    offender,
                    icmp: Icmp { kind, code },
                    quoted: &[],
                };
                sweep.handle_input(now, Input::Icmp(error));
            }
            now = next;
            sweep.handle_timeout(now);
        }
        assert_eq!(sent, HOPS * ROUNDS as usize);
        sweep.report().unwrap()
    }

    #[test]
    fn the_farthest_router_that_answers_says_how_far_packets_come() {
        let reach = |hops| sweep(hops, None).reach;
        assert_eq!(reach(&[]), Reach::Unknown);
        assert_eq!(reach(&["silent"]), Reach::Unknown);
        assert_eq!(reach(&["192.168.1.1"]), Reach::OwnNetwork);
        assert_eq!(reach(&["192.168.1.1", "100.64.0.1"]), Reach::OwnNetwork);
        assert_eq!(
            reach(&["192.168.1.1", "203.0.113.254", "silent"]),
            Reach::Core
        );
        assert_eq!(
            reach(&["192.168.1.1", "203.0.113.254", "203.0.113.33"]),
            Reach::Peer
        );
        let found = sweep(&["silent", "203.0.113.254", "silent"], None);
        assert_eq!(found.hops, [None, Some("203.0.113.254".parse().unwrap())]);
    }

    #[test]
    fn who_refuses_is_named() {
        let found = sweep(&["192.168.1.1", "203.0.113.254"], Some((3, 13)));
        let offender = "203.0.113.254".parse().unwrap();
        assert_eq!(found.refused, Some((offender, IcmpReason::Prohibited)));
        assert_eq!(found.reach, Reach::Core);
        let unreachable = sweep(&["192.168.1.1", "203.0.113.254"], Some((3, 1)));
        assert_eq!(unreachable.refused, None, "host unreachable is a hint");
        assert_eq!(unreachable.reach, Reach::Core);
    }
}

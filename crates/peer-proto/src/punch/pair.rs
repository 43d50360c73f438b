//! One socket of ours and one remote address, and what is known of the path.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use stun::Transaction;

use super::burst::Target;
use super::schedule::PROBES;
use nat::is_private;
use sansio::{SocketId, Via};

/// Probes to one address at most: the schedule, and some that answer what the
/// peer sends.
const MOST_PROBES: usize = PROBES.len() + 4;

/// Not two probes to one address within this.
const PACE: Duration = Duration::from_millis(10);

/// A path that both sides have proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// From which of our sockets, or through our relay.
    #[serde(rename = "socket", serialize_with = "socket")]
    pub via: Via,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// Whether it is on a network of our own.
    pub lan: bool,
    /// Whether it leads through a relay, ours or the peer's.
    pub relayed: bool,
    /// Round trip of the probe that proved it.
    #[serde(skip)]
    pub rtt: Option<Duration>,
    /// Which of our guesses hit, counted from 1, if the port was guessed.
    #[serde(skip)]
    pub guess: Option<u32>,
}

/// The number of the socket; for our relay, which has none, the largest number.
fn socket<S: Serializer>(via: &Via, serializer: S) -> Result<S::Ok, S::Error> {
    let socket = match *via {
        Via::Socket(socket) => socket,
        Via::Relay => SocketId::MAX,
    };
    socket.serialize(serializer)
}

/// A probe of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) transaction: Transaction,
    pub(super) at: Instant,
    pub(super) nominates: bool,
}

#[derive(Debug)]
pub(super) struct Pair {
    /// From where to where its packets go.
    pub(super) target: Target,
    pub(super) lan: bool,
    pub(super) relayed: bool,
    /// From when on it may be probed.
    start: Instant,
    /// How many of the schedule have been sent.
    step: usize,
    last: Option<Instant>,
    sent: Vec<Sent>,
    /// We sent, the peer heard, we heard its answer.
    pub(super) proved: Option<Duration>,
    /// An authentic packet of the peer came from there.
    pub(super) heard: bool,
    pub(super) guess: Option<u32>,
}

impl Pair {
    pub(super) fn new(target: Target, start: Instant) -> Self {
        Pair {
            target,
            lan: is_private(target.to.ip()),
            relayed: false,
            start,
            step: 0,
            last: None,
            sent: Vec::new(),
            proved: None,
            heard: false,
            guess: None,
        }
    }

    /// The same, through a relay.
    pub(super) fn relayed(target: Target, start: Instant) -> Self {
        Pair {
            relayed: true,
            lan: false,
            ..Pair::new(target, start)
        }
    }

    /// When the schedule has the next probe; never, once it is proved.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.proved.is_some() || self.sent.len() >= MOST_PROBES {
            return None;
        }
        PROBES.get(self.step).map(|&after| self.start + after)
    }

    /// Takes every step of the schedule that is due; true if one was.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        let mut due = false;
        while self.next().is_some_and(|at| at <= now) {
            self.step += 1;
            due = true;
        }
        due
    }

    /// Whether a probe out of turn is in order: the peer was heard from there.
    pub(super) fn may_answer_with_probe(&self, now: Instant) -> bool {
        let paced = self.last.is_none_or(|last| last + PACE <= now);
        self.proved.is_none() && self.sent.len() < MOST_PROBES && paced
    }

    pub(super) fn note_sent(&mut self, now: Instant, transaction: Transaction, nominates: bool) {
        self.sent.push(Sent {
            transaction,
            at: now,
            nominates,
        });
        self.last = Some(now);
    }

    /// The probe of ours that has this transaction id.
    pub(super) fn sent(&self, transaction: Transaction) -> Option<Sent> {
        let of = |sent: &&Sent| sent.transaction == transaction;
        self.sent.iter().find(of).copied()
    }

    pub(super) fn path(&self) -> Path {
        Path {
            via: self.target.via,
            remote: self.target.to,
            lan: self.lan,
            relayed: self.relayed,
            rtt: self.proved,
            guess: self.guess,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_number_of_the_socket() {
        let to = "203.0.113.33:40000".parse().unwrap();
        let json = |via| {
            let path = Pair::new(Target { via, to }, Instant::now()).path();
            serde_json::to_string(&path).unwrap()
        };
        assert_eq!(
            json(Via::Socket(3)),
            r#"{"socket":3,"remote":"203.0.113.33:40000","lan":false,"relayed":false}"#
        );
        assert!(json(Via::Relay).contains(&format!(r#""socket":{},"#, usize::MAX)));
    }
}

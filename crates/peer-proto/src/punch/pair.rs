//! A pair: one socket of ours, or our relay, and one address of the peer, and
//! what is known of the path between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use stun::Transaction;

use super::schedule::Steps;
use super::types::Target;
use nat::is_private;
use sansio::Via;

/// Probes to one address beside those of the schedule, at most: they are sent because
/// the peer was heard.
const MOST_ANSWERING: usize = 4;

/// The least time between two probes to one address.
const PACE: Duration = Duration::from_millis(10);

/// A path that both sides have proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// From which of our sockets, or through our relay.
    #[serde(rename = "socket", serialize_with = "socket")]
    pub via: Via,
    /// The address of the peer.
    pub remote: SocketAddr,
    /// Whether the peer is on a private network of our own.
    pub lan: bool,
    /// Whether it leads through a relay, ours or the peer's.
    pub relayed: bool,
    /// Round trip of the probe that proved it; `None` at a callee that was
    /// nominated before its own probe was answered.
    #[serde(skip)]
    pub rtt: Option<Duration>,
    /// Which of our guesses hit, counted from 1, if the port was guessed.
    #[serde(skip)]
    pub guess: Option<u32>,
}

/// The number of the socket; null for our relay and for a TCP connection, which have none.
fn socket<S: Serializer>(via: &Via, serializer: S) -> Result<S::Ok, S::Error> {
    let socket = match *via {
        Via::Socket(socket) => Some(socket),
        Via::Relay | Via::Stream(_) => None,
    };
    socket.serialize(serializer)
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It opens our NAT, and dies before it reaches the peer's.
    Opener { ttl: u8 },
    /// It asks whether this pair is a path.
    Check,
    /// It chooses this pair.
    Nomination,
}

/// A probe of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) transaction: Transaction,
    pub(super) at: Instant,
    pub(super) purpose: Purpose,
}

#[derive(Debug)]
pub(super) struct Pair {
    /// From where to where its packets go.
    pub(super) target: Target,
    pub(super) lan: bool,
    pub(super) relayed: bool,
    /// Its probes.
    steps: Steps,
    /// How many there may be.
    most: usize,
    last: Option<Instant>,
    sent: Vec<Sent>,
    /// The round trip of our first probe that was answered.
    pub(super) proved: Option<Duration>,
    /// An authentic packet of the peer has come from there.
    pub(super) heard: bool,
    pub(super) guess: Option<u32>,
}

impl Pair {
    pub(super) fn new(target: Target, probes: &'static [Duration], start: Instant) -> Self {
        Pair {
            target,
            lan: is_private(target.to.ip()),
            relayed: false,
            steps: Steps::new(probes, start),
            most: probes.len() + MOST_ANSWERING,
            last: None,
            sent: Vec::new(),
            proved: None,
            heard: false,
            guess: None,
        }
    }

    /// A pair that leads through a relay, ours or the peer's.
    pub(super) fn relayed(target: Target, probes: &'static [Duration], start: Instant) -> Self {
        Pair {
            relayed: true,
            lan: false,
            ..Pair::new(target, probes, start)
        }
    }

    /// When the schedule has the next probe; never, once the path is proved.
    pub(super) fn next(&self) -> Option<Instant> {
        let more = self.proved.is_none() && self.sent.len() < self.most;
        self.steps.next().filter(|_| more)
    }

    /// Puts the schedule off until then, unless it has begun; true if it was put off.
    pub(super) fn hold_until(&mut self, until: Instant) -> bool {
        !self.heard && self.steps.put_off(until)
    }

    /// Takes every step of the schedule that is due; true if there was one.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        self.next().is_some() && self.steps.take(now) > 0
    }

    /// Whether a probe may be sent outside of the schedule, because the peer was
    /// heard from there.
    pub(super) fn may_answer_with_probe(&self, now: Instant) -> bool {
        let paced = self.last.is_none_or(|last| last + PACE <= now);
        self.proved.is_none() && self.sent.len() < self.most && paced
    }

    pub(super) fn note_sent(&mut self, now: Instant, transaction: Transaction, purpose: Purpose) {
        self.sent.push(Sent {
            transaction,
            at: now,
            purpose,
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
            let path = Pair::new(Target { via, to }, &[], Instant::now()).path();
            serde_json::to_string(&path).unwrap()
        };
        assert_eq!(
            json(Via::Socket(3)),
            r#"{"socket":3,"remote":"203.0.113.33:40000","lan":false,"relayed":false}"#
        );
        assert!(json(Via::Relay).contains(r#""socket":null,"#));
    }
}

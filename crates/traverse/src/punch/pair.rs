//! One remote address, and what is known of the path to it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use wire::Transaction;

use super::schedule::PROBES;
use crate::candidate::is_private;

/// Probes to one address at most: the schedule, and some that answer what the
/// peer sends.
const MOST_PROBES: usize = PROBES.len() + 4;

/// Not two probes to one address within this.
const PACE: Duration = Duration::from_millis(10);

/// A path that both sides have proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// Where the peer is.
    pub remote: SocketAddr,
    /// Whether it is on a network of our own.
    pub lan: bool,
    /// Round trip of the probe that proved it.
    #[serde(skip)]
    pub rtt: Option<Duration>,
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
    pub(super) remote: SocketAddr,
    pub(super) lan: bool,
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
}

impl Pair {
    pub(super) fn new(remote: SocketAddr, start: Instant) -> Self {
        Pair {
            remote,
            lan: is_private(remote.ip()),
            start,
            step: 0,
            last: None,
            sent: Vec::new(),
            proved: None,
            heard: false,
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
            remote: self.remote,
            lan: self.lan,
            rtt: self.proved,
        }
    }
}

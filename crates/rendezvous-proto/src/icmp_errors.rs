//! The ICMP errors that answers of ours have met, for the clients that ask.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Icmp, Transaction};

/// Errors remembered at once. When the table is full, the oldest is forgotten.
const MOST: usize = 4096;

/// An error is remembered for this long: a client asks within the measurement
/// in which it was answered.
const LIFETIME: Duration = Duration::from_secs(10);

/// An answer that was not delivered: its destination, and its transaction unless
/// the error quotes too little of it.
type Key = (SocketAddr, Option<Transaction>);

/// What is known of some answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// One of them has met this error.
    Error(Icmp),
    /// None of them has met an error.
    NoError,
    /// An error may have been forgotten early.
    Unknown,
}

/// The errors of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct IcmpErrors {
    errors: HashMap<Key, Icmp>,
    /// In the order in which they came.
    order: VecDeque<(Instant, Key)>,
    /// Until then, an error that was forgotten early may be missing.
    incomplete_until: Option<Instant>,
}

impl IcmpErrors {
    /// Remembers an error about an answer to `to`, unless there is one already.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        to: SocketAddr,
        transaction: Option<Transaction>,
        icmp: Icmp,
    ) {
        self.forget(now);
        let key = (to, transaction);
        if self.errors.contains_key(&key) {
            return;
        }
        if self.errors.len() >= MOST
            && let Some((at, oldest)) = self.order.pop_front()
        {
            self.errors.remove(&oldest);
            self.incomplete_until = Some(at + LIFETIME);
        }
        self.errors.insert(key, icmp);
        self.order.push_back((now, key));
    }

    /// What is known of these answers to `to`.
    pub(crate) fn about(
        &mut self,
        now: Instant,
        to: SocketAddr,
        answers: &[Transaction],
    ) -> Outcome {
        self.forget(now);
        let quoted = answers.iter().map(|&id| Some(id));
        // An error that quotes the transaction is preferred to one that does not.
        let found = quoted
            .chain([None])
            .find_map(|id| self.errors.get(&(to, id)));
        match found {
            Some(&icmp) => Outcome::Error(icmp),
            None if self.incomplete_until.is_some_and(|until| now < until) => Outcome::Unknown,
            None => Outcome::NoError,
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, key)) = self.order.front()
            && now.saturating_duration_since(*at) >= LIFETIME
        {
            self.errors.remove(key);
            self.order.pop_front();
        }
    }
}

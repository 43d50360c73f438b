//! ICMP errors about answers of ours, for those whose answers they were.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Icmp, Transaction};

/// Errors remembered at once; beyond it the oldest is forgotten.
const MOST: usize = 4096;

/// For so long: who wants to know asks within its one measurement.
const LIFE: Duration = Duration::from_secs(10);

/// An answer that came back: where it was going, and its transaction, unless
/// the error quotes too little of it.
type Key = (SocketAddr, Option<Transaction>);

/// What has come back lately.
#[derive(Debug, Default)]
pub(super) struct Bounces {
    errors: HashMap<Key, Icmp>,
    /// In the order of their coming.
    order: VecDeque<(Instant, Key)>,
    /// Until then something that was forgotten too early may be missed.
    gap: Option<Instant>,
}

impl Bounces {
    /// An error about an answer to `to`. The first of a kind stands.
    pub(super) fn note(
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
            self.gap = Some(at + LIFE);
        }
        self.errors.insert(key, icmp);
        self.order.push_back((now, key));
    }

    /// What came back of these answers to `to`: `Some(None)` is nothing, and
    /// `None` is that it is not known.
    pub(super) fn of(
        &mut self,
        now: Instant,
        to: SocketAddr,
        answers: &[Transaction],
    ) -> Option<Option<Icmp>> {
        self.forget(now);
        let quoted = answers.iter().map(|&id| Some(id));
        // One that says whose it is goes before one that does not.
        let found = quoted
            .chain([None])
            .find_map(|id| self.errors.get(&(to, id)));
        match found {
            Some(&icmp) => Some(Some(icmp)),
            None if self.gap.is_some_and(|until| now < until) => None,
            None => Some(None),
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, key)) = self.order.front()
            && now.saturating_duration_since(*at) >= LIFE
        {
            self.errors.remove(key);
            self.order.pop_front();
        }
    }
}

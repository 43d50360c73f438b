//! The ICMP errors that answers of ours have met, for the clients that ask.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansio::{Prefix, Shares};
use stun::{Icmp, Transaction};

/// Errors remembered at once. When the table is full, the prefix with most errors
/// loses its oldest.
const MOST: usize = 4096;

/// Of these, about answers to one prefix.
const MOST_OF_PREFIX: usize = 256;

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
    /// By the number of the error, in the order in which they came.
    order: BTreeMap<u64, (Instant, Key)>,
    next: u64,
    shares: Shares<Prefix, u64>,
    incomplete: Incomplete,
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
        self.forget_old(now);
        let (key, prefix) = ((to, transaction), Prefix::of(to.ip()));
        if self.errors.contains_key(&key) {
            return;
        }
        let pays = if self.shares.of(prefix) >= MOST_OF_PREFIX {
            Some(prefix)
        } else if self.shares.len() >= MOST {
            let bigger = self.shares.pays(prefix).map(|(owner, _)| owner);
            Some(bigger.unwrap_or(prefix))
        } else {
            None
        };
        if let Some(pays) = pays {
            self.incomplete.mark(now, pays);
            match self.shares.oldest(pays) {
                Some(oldest) => self.forget(oldest),
                // Every prefix has as many as this one: none.
                None => return,
            }
        }
        self.errors.insert(key, icmp);
        self.order.insert(self.next, (now, key));
        self.shares.insert(prefix, self.next);
        self.next += 1;
    }

    /// What is known of these answers to `to`.
    pub(crate) fn about(
        &mut self,
        now: Instant,
        to: SocketAddr,
        answers: &[Transaction],
    ) -> Outcome {
        self.forget_old(now);
        let quoted = answers.iter().map(|&id| Some(id));
        // An error that quotes the transaction is preferred to one that does not.
        let found = quoted
            .chain([None])
            .find_map(|id| self.errors.get(&(to, id)));
        match found {
            Some(&icmp) => Outcome::Error(icmp),
            None if self.incomplete.is_marked(now, Prefix::of(to.ip())) => Outcome::Unknown,
            None => Outcome::NoError,
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((&number, (at, _))) = self.order.first_key_value()
            && now.saturating_duration_since(*at) >= LIFETIME
        {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some((_, key)) = self.order.remove(&number) {
            self.errors.remove(&key);
            self.shares.remove(Prefix::of(key.0.ip()), number);
        }
    }
}

/// The prefixes of which an error was forgotten early.
#[derive(Debug, Default)]
struct Incomplete {
    until: HashMap<Prefix, Instant>,
    /// The same, in the order of time; and older marks of the same prefixes.
    order: VecDeque<(Instant, Prefix)>,
    /// Until then, all are.
    all_until: Option<Instant>,
}

impl Incomplete {
    fn mark(&mut self, now: Instant, prefix: Prefix) {
        while let Some(&(until, prefix)) = self.order.front()
            && until <= now
        {
            self.order.pop_front();
            if self.until.get(&prefix) == Some(&until) {
                self.until.remove(&prefix);
            }
        }
        if self.order.len() >= MOST {
            self.all_until = self.order.back().map(|(until, _)| *until);
            self.order.clear();
            self.until.clear();
        }
        let until = now + LIFETIME;
        if self.until.insert(prefix, until) != Some(until) {
            self.order.push_back((until, prefix));
        }
    }

    fn is_marked(&self, now: Instant, prefix: Prefix) -> bool {
        let until = self.until.get(&prefix).into_iter().chain(&self.all_until);
        until.max().is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ICMP: Icmp = Icmp { kind: 3, code: 3 };

    fn of(net: u16, port: u16) -> SocketAddr {
        let [a, b] = net.to_be_bytes();
        SocketAddr::from(([198, a, b, 7], port))
    }

    #[test]
    fn errors_to_one_prefix_push_out_no_others_and_leave_others_certain() {
        let (mut errors, now) = (IcmpErrors::default(), Instant::now());
        let [alice, bob] = [of(1, 9), of(2, 9)];
        errors.note(now, alice, None, ICMP);
        for n in 0..20_000u16 {
            errors.note(now, of(3, n), None, ICMP);
        }
        assert!(errors.errors.len() <= MOST_OF_PREFIX + 1);
        assert_eq!(errors.about(now, alice, &[]), Outcome::Error(ICMP));
        assert_eq!(errors.about(now, bob, &[]), Outcome::NoError);
        assert_eq!(errors.about(now, of(3, 0), &[]), Outcome::Unknown);
        let later = now + LIFETIME;
        assert_eq!(errors.about(later, of(3, 0), &[]), Outcome::NoError);
        assert!(errors.order.is_empty() && errors.shares.is_empty());
    }

    #[test]
    fn in_a_full_table_the_prefix_with_most_errors_loses_its_oldest() {
        let (mut errors, now) = (IcmpErrors::default(), Instant::now());
        for net in 0..(MOST / MOST_OF_PREFIX) as u16 {
            for n in 0..MOST_OF_PREFIX as u16 {
                errors.note(now, of(net, n), None, ICMP);
            }
        }
        let alice = of(1000, 9);
        errors.note(now, alice, None, ICMP);
        assert_eq!(errors.errors.len(), MOST);
        assert_eq!(errors.about(now, alice, &[]), Outcome::Error(ICMP));
        assert_eq!(errors.about(now, of(0, 0), &[]), Outcome::Unknown);
        assert_eq!(errors.about(now, of(1, 0), &[]), Outcome::Error(ICMP));
        assert_eq!(errors.about(now, of(1001, 9), &[]), Outcome::NoError);
    }

    #[test]
    fn marks_of_incomplete_prefixes_are_bounded() {
        let (mut incomplete, now) = (Incomplete::default(), Instant::now());
        for net in 0..10_000 {
            incomplete.mark(now, Prefix::of(of(net, 0).ip()));
        }
        assert!(incomplete.order.len() <= MOST && incomplete.until.len() <= MOST);
        assert!(incomplete.is_marked(now, Prefix::of(of(0, 0).ip())));
    }
}

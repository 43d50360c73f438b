//! The nonces that we register with, and the offers that were opened under each.
//! An offer is opened once, and only while its nonce is valid: sent again by
//! anybody, it comes to nothing.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::REFRESH;
use session::seal::Fresh;

/// How long a nonce stays valid after the next one: a caller has looked it up
/// before. Three refreshes.
const VALID: Duration = REFRESH.saturating_mul(3);

/// Nonces remembered, valid or not.
const MOST: usize = 64;

/// Offers opened under one nonce.
const MOST_OPENED: usize = 256;

/// What tells offers apart: the caller's ephemeral key, with which the message
/// begins. Whoever changes it makes another message, which does not open.
const HEAD: usize = 32;

/// Whether an offer may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Open,
    /// It is bound to a nonce that this process has not registered with, or that
    /// has taken as many offers as are remembered: the caller has to look us up
    /// again.
    Stale,
    /// It was opened before, or is bound to a nonce of ours that was valid once.
    Replay,
}

#[derive(Debug)]
struct Nonce {
    fresh: Fresh,
    valid_until: Option<Instant>,
    opened: BTreeSet<[u8; HEAD]>,
}

/// The newest nonce comes first.
#[derive(Debug, Default)]
pub(super) struct Offers {
    nonces: VecDeque<Nonce>,
}

impl Offers {
    /// We register with that nonce from now on.
    pub(super) fn turn(&mut self, now: Instant, fresh: Fresh) {
        if let Some(last) = self.nonces.front_mut() {
            last.valid_until = Some(now + VALID);
        }
        self.nonces.push_front(Nonce {
            fresh,
            valid_until: None,
            opened: BTreeSet::new(),
        });
        self.nonces.truncate(MOST);
    }

    pub(super) fn admit(&self, now: Instant, fresh: Fresh, offer: &[u8]) -> Admission {
        let Some(nonce) = self.nonces.iter().find(|nonce| nonce.fresh == fresh) else {
            return Admission::Stale;
        };
        let opened = offer
            .first_chunk()
            .is_some_and(|h| nonce.opened.contains(h));
        let valid = nonce.valid_until.is_none_or(|until| now < until);
        match valid && !opened {
            false => Admission::Replay,
            true if nonce.is_full() => Admission::Stale,
            true => Admission::Open,
        }
    }

    /// That offer was opened.
    pub(super) fn opened(&mut self, fresh: Fresh, offer: &[u8]) {
        let nonce = self.nonces.iter_mut().find(|nonce| nonce.fresh == fresh);
        if let (Some(nonce), Some(head)) = (nonce, offer.first_chunk()) {
            nonce.opened.insert(*head);
        }
    }

    /// Whether the present nonce takes no more offers: register with another.
    pub(super) fn is_full(&self) -> bool {
        self.nonces.front().is_some_and(Nonce::is_full)
    }
}

impl Nonce {
    fn is_full(&self) -> bool {
        self.opened.len() >= MOST_OPENED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(n: u16) -> Vec<u8> {
        let mut offer = vec![0; 100];
        offer[..2].copy_from_slice(&n.to_be_bytes());
        offer
    }

    #[test]
    fn an_offer_is_opened_once_and_only_while_its_nonce_is_valid() {
        let start = Instant::now();
        let mut offers = Offers::default();
        assert_eq!(offers.admit(start, [1; 8], &offer(1)), Admission::Stale);
        offers.turn(start, [1; 8]);
        assert_eq!(offers.admit(start, [1; 8], &offer(1)), Admission::Open);
        offers.opened([1; 8], &offer(1));
        assert_eq!(offers.admit(start, [1; 8], &offer(1)), Admission::Replay);
        assert_eq!(offers.admit(start, [1; 8], &offer(2)), Admission::Open);
        // However long the server is silent: it still hands out the last nonce.
        let later = start + 100 * VALID;
        assert_eq!(offers.admit(later, [1; 8], &offer(2)), Admission::Open);
        offers.turn(later, [2; 8]);
        let end = later + VALID;
        let before = end - Duration::from_millis(1);
        assert_eq!(offers.admit(before, [1; 8], &offer(2)), Admission::Open);
        assert_eq!(offers.admit(before, [1; 8], &offer(1)), Admission::Replay);
        assert_eq!(offers.admit(end, [1; 8], &offer(2)), Admission::Replay);
        assert_eq!(offers.admit(end, [2; 8], &offer(2)), Admission::Open);
    }

    #[test]
    fn a_nonce_that_has_taken_many_offers_takes_no_more_and_forgets_none() {
        let now = Instant::now();
        let mut offers = Offers::default();
        offers.turn(now, [1; 8]);
        for n in 0..MOST_OPENED as u16 {
            assert!(!offers.is_full(), "{n}");
            assert_eq!(offers.admit(now, [1; 8], &offer(n)), Admission::Open);
            offers.opened([1; 8], &offer(n));
        }
        assert!(offers.is_full());
        assert_eq!(offers.admit(now, [1; 8], &offer(9999)), Admission::Stale);
        assert_eq!(offers.admit(now, [1; 8], &offer(0)), Admission::Replay);
        offers.turn(now, [2; 8]);
        assert!(!offers.is_full());
        assert_eq!(offers.admit(now, [2; 8], &offer(9999)), Admission::Open);
    }

    #[test]
    fn nonces_are_bounded() {
        let now = Instant::now();
        let mut offers = Offers::default();
        for n in 0..200 {
            offers.turn(now, [n; 8]);
        }
        assert_eq!(offers.nonces.len(), MOST);
        assert_eq!(offers.admit(now, [199; 8], &offer(0)), Admission::Open);
        assert_eq!(offers.admit(now, [0; 8], &offer(0)), Admission::Stale);
    }
}

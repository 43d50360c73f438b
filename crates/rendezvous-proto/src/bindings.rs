//! What outlives the process: which key each name is bound to. The driver stores it.
//!
//! A server that was given the stored bindings with
//! [`Server::with_bindings`](crate::server::Server::with_bindings) has changes for the driver, which
//!
//! 1. takes them with [`Server::poll_change`](crate::server::Server::poll_change) after each call on the
//!    server, and stores them in this order, as many at once as there are;
//! 2. says how many it has stored with
//!    [`Server::changes_stored`](crate::server::Server::changes_stored).
//!
//! The answers to Register and Lookup wait until every change that was made before is stored: whatever
//! happens to the process, no name is lost that a client was told of. Other answers do not wait.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use sansio::Transmit;
use session::identity::PublicKey;

/// Changes that may wait to be stored. While there are as many, registrations are refused; and as many
/// answers may wait for them. Further ones are lost: their clients ask again.
const MOST: u64 = 16 * 1024;

/// A name that belongs to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// How the owner got this key from the one before: a
    /// [`Rotation`](session::rotation::Rotation), as it is sent.
    pub rotation: Option<[u8; session::rotation::LENGTH]>,
    /// An address in the network that the name is charged to.
    pub network: IpAddr,
    /// Until when no other key gets the name, at least.
    pub until: Instant,
}

/// A change of the bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The name is new, or its key, or the time.
    Bound(Binding),
    /// The name belongs to nobody any more.
    Forgotten(String),
}

/// The answers that wait until changes are stored.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    made: u64,
    stored: u64,
    /// Each with the number of changes that were made before.
    answers: VecDeque<(u64, Transmit)>,
}

impl Waiting {
    /// This number of further changes were made.
    pub(crate) fn made(&mut self, changes: usize) {
        self.made += changes as u64;
    }

    /// Whether the driver is so far behind that no change may be made.
    pub(crate) fn is_full(&self) -> bool {
        self.made - self.stored >= MOST
    }

    pub(crate) fn all_stored(&self) -> bool {
        self.made == self.stored
    }

    pub(crate) fn hold(&mut self, answer: Transmit) {
        if (self.answers.len() as u64) < MOST {
            self.answers.push_back((self.made, answer));
        }
    }

    /// This number of further changes are stored: the answers that waited for them alone.
    pub(crate) fn stored(&mut self, changes: u64) -> impl Iterator<Item = Transmit> {
        self.stored = (self.stored + changes).min(self.made);
        let stored = self.stored;
        let ready = self.answers.partition_point(|(made, _)| *made <= stored);
        self.answers.drain(..ready).map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_stores_nothing_is_not_waited_for_without_bound() {
        let mut waiting = Waiting::default();
        waiting.made(MOST as usize - 1);
        assert!(!waiting.is_full());
        waiting.made(1);
        assert!(waiting.is_full());
        let answer = Transmit::new(0, "203.0.113.17:40000".parse().unwrap(), vec![0; 100]);
        for _ in 0..MOST + 10 {
            waiting.hold(answer.clone());
        }
        assert_eq!(waiting.stored(MOST).count() as u64, MOST);
        assert!(waiting.all_stored() && !waiting.is_full());
    }
}

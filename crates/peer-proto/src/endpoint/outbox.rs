//! The endpoint's own packets, in the order in which they have to leave.

use std::collections::VecDeque;

use sansio::Transmit;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    first: VecDeque<Transmit>,
    last: VecDeque<Transmit>,
}

impl Outbox {
    /// Packets of attempts. They leave before everything else: an opener must
    /// have left when the acknowledgement invites the peer's packets.
    pub(super) fn push_first(&mut self, transmits: impl IntoIterator<Item = Transmit>) {
        self.first.extend(transmits);
    }

    /// Packets that may wait for everything else.
    pub(super) fn push_last(&mut self, transmit: Transmit) {
        self.last.push_back(transmit);
    }

    pub(super) fn pop_first(&mut self) -> Option<Transmit> {
        self.first.pop_front()
    }

    pub(super) fn pop_last(&mut self) -> Option<Transmit> {
        self.last.pop_front()
    }
}

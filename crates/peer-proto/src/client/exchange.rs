//! A request and its retransmissions.

use std::time::{Duration, Instant};

use stun::{Message, Transaction};

/// The first wait for an answer. It is doubled with each retransmission.
const FIRST_WAIT: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Exchange {
    transaction: Transaction,
    bytes: Vec<u8>,
    started: Instant,
    next: Instant,
    wait: Duration,
}

impl Exchange {
    /// A request that has been sent once.
    pub(super) fn new(now: Instant, transaction: Transaction, bytes: Vec<u8>) -> Self {
        Self {
            transaction,
            bytes,
            started: now,
            next: now + FIRST_WAIT,
            wait: FIRST_WAIT,
        }
    }

    pub(super) fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// The request, as it was sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The cookie that the request shows.
    pub(super) fn cookie(&self) -> Option<&[u8]> {
        Message::parse(&self.bytes).ok()?.nonce()
    }

    /// The round trip of an answer that comes now, if the request was sent only
    /// once: else it is not known which transmission is answered (Karn's
    /// algorithm, RFC 6298 §3).
    pub(super) fn rtt(&self, now: Instant) -> Option<Duration> {
        (self.wait == FIRST_WAIT).then(|| now.saturating_duration_since(self.started))
    }

    /// When the next retransmission is due.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// The retransmission that is due. No wait is longer than `longest`.
    pub(super) fn poll_transmit(&mut self, now: Instant, longest: Duration) -> Option<Vec<u8>> {
        (self.next <= now).then(|| {
            self.wait = (self.wait * 2).min(longest);
            self.next = now + self.wait;
            self.bytes.clone()
        })
    }
}

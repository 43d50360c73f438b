//! A BindingTransaction request that is asked until it is answered, or for a while.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Class, Message, Transaction};

use sansio::{SocketId, Transmit};

/// When it is sent.
const ASK: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(300),
];
const END: Duration = Duration::from_millis(600);

/// How long an answer is good for.
const STALE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct BindingTransaction {
    transaction: Transaction,
    socket: SocketId,
    pub(super) to: SocketAddr,
    since: Instant,
    sent: usize,
    /// The answer: where that server sees that socket.
    pub(super) mapped: Option<SocketAddr>,
}

impl BindingTransaction {
    pub(super) fn new(
        now: Instant,
        transaction: Transaction,
        socket: SocketId,
        to: SocketAddr,
    ) -> Self {
        Self {
            transaction,
            socket,
            to,
            since: now,
            sent: 0,
            mapped: None,
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        if self.mapped.is_some() {
            return None;
        }
        match ASK.get(self.sent) {
            Some(&after) => Some(self.since + after),
            None => Some(self.since + END).filter(|_| self.sent == ASK.len()),
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.mapped.is_some() || now >= self.since + END
    }

    /// What a NAT that counts gave out then says little of what it gives now.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now >= self.since + END + STALE
    }

    pub(super) fn ask(&mut self, now: Instant) -> Option<Transmit> {
        self.next().filter(|&at| at <= now)?;
        self.sent += 1;
        (self.sent <= ASK.len()).then(|| Transmit {
            socket: self.socket,
            to: self.to,
            ttl: None,
            payload: stun::binding_request(self.transaction, None),
        })
    }

    pub(super) fn hear(&mut self, from: SocketAddr, message: &Message<'_>) {
        let answer = self.to == from
            && message.class() == Class::Success
            && message.transaction() == self.transaction;
        if answer {
            self.mapped = message.mapped();
        }
    }
}

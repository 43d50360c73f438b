//! A Binding transaction (RFC 8489 §12): the request is sent until it is answered,
//! four times at most.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Class, Message, Transaction};

use crate::punch::schedule::Steps;
use sansio::{SocketId, Transmit};

/// When an answer is no longer waited for.
const END: Duration = Duration::from_millis(600);

/// When the request is sent, and the end.
const SCHEDULE: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(300),
    END,
];

/// How long after that an answer says something about the next port of a
/// sequential NAT.
const STALE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct BindingTransaction {
    id: Transaction,
    socket: SocketId,
    pub(super) to: SocketAddr,
    end: Instant,
    steps: Steps,
    /// The answer: where that server sees that socket.
    pub(super) mapped: Option<SocketAddr>,
}

impl BindingTransaction {
    pub(super) fn new(now: Instant, id: Transaction, socket: SocketId, to: SocketAddr) -> Self {
        Self {
            id,
            socket,
            to,
            end: now + END,
            steps: Steps::new(&SCHEDULE, now),
            mapped: None,
        }
    }

    /// When it began.
    pub(super) fn since(&self) -> Instant {
        self.end - END
    }

    /// When an answer is no longer waited for.
    pub(super) fn end(&self) -> Instant {
        self.end
    }

    /// When the next request is due, or the end.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.steps.next().filter(|_| self.mapped.is_none())
    }

    /// Whether it is answered, or will not be.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.mapped.is_some() || now >= self.end
    }

    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now >= self.end + STALE
    }

    /// The request, if it is due.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let due = self.mapped.is_none() && self.steps.take(now) > 0;
        (due && self.steps.next().is_some()).then(|| {
            let request = stun::binding_request(self.id, None);
            Transmit::new(self.socket, self.to, request)
        })
    }

    pub(super) fn handle_input(&mut self, from: SocketAddr, message: &Message<'_>) {
        let answer = self.to == from
            && message.class() == Class::Success
            && message.transaction() == self.id;
        if answer {
            tracing::debug!(server = %from, socket = self.socket, mapped = ?message.mapped(), "reflexive address");
            self.mapped = message.mapped();
        }
    }
}

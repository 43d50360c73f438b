//! A port bracket: the ports that a sequential NAT has assigned to us towards a peer,
//! between two ports that a server saw. A Binding request, the packets to the peer and
//! another Binding request leave one directly after the other.

use std::net::SocketAddr;
use std::time::Instant;

use stun::Message;

use super::binding::BindingTransaction;
use crate::candidate::Candidates;
use crate::client::{Callee, Invitation};
use nat::plan::Ports;
use sansio::{SocketId, Transmit};

/// What the ports are for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// An invitation is answered with them.
    Answer {
        invitation: Box<Invitation>,
        theirs: Candidates,
    },
    /// A peer that was called is called again with them.
    CallAgain { peer: String, callee: Callee },
}

/// The ports that were found, and the sockets that have them.
#[derive(Debug)]
pub(super) struct Bracketed {
    pub(super) purpose: Purpose,
    pub(super) first: SocketId,
    /// The port before ours, and how many there are from there to the port
    /// after: ours, and those of other hosts in between.
    pub(super) ports: Option<(u16, u16)>,
}

#[derive(Debug)]
pub(super) struct Bracket {
    pub(super) purpose: Purpose,
    /// The first of the sockets that have a mapping towards the peer.
    pub(super) first: SocketId,
    pub(super) before: BindingTransaction,
    pub(super) after: BindingTransaction,
}

impl Bracket {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.before.is_over(now) && self.after.is_over(now)
    }

    pub(super) fn handle_input(&mut self, from: SocketAddr, message: &Message<'_>) {
        self.before.handle_input(from, message);
        self.after.handle_input(from, message);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let both = [&self.before, &self.after];
        both.into_iter().filter_map(|b| b.poll_timeout()).min()
    }

    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let before = self.before.poll_transmit(now);
        before.or_else(|| self.after.poll_transmit(now))
    }

    /// The result, where the NAT assigns ports in this way.
    pub(super) fn result(self, ports: Ports) -> Bracketed {
        Bracketed {
            ports: self.ports(ports),
            purpose: self.purpose,
            first: self.first,
        }
    }

    fn ports(&self, ports: Ports) -> Option<(u16, u16)> {
        let Ports::Sequential(step) = ports else {
            return None;
        };
        let (base, end) = (self.before.mapped?.port(), self.after.mapped?.port());
        let steps = (i32::from(end) - i32::from(base)) / step - 1;
        Some((base, u16::try_from(steps).ok()?))
    }
}

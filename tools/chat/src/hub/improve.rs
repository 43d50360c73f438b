//! A better path than the one that there is: a relayed one, or one by TCP, is replaced by a
//! direct one by UDP as soon as there is one, which is tried again at growing intervals, and at once when our
//! NAT is measured or our network has changed.

use std::time::{Duration, Instant};

use nat::plan::Role;
use net::gateway::reachable;
use net::surroundings::Event;

use super::Hub;
use super::peers::Peer;
use crate::notice::How;

/// The first wait before a direct path is tried again, and the last: each is four times
/// the one before. An attempt with guesses sends up to 2,000 packets.
const FIRST: Duration = Duration::from_secs(2);
const LAST: Duration = Duration::from_secs(2048);

/// When a direct path to a peer is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Improvement {
    at: Option<Instant>,
    wait: Duration,
}

impl Default for Improvement {
    fn default() -> Self {
        Improvement {
            at: None,
            wait: FIRST,
        }
    }
}

impl Improvement {
    /// There is a link. A direct one by UDP is good enough. Of the two sides of another one the
    /// caller tries.
    pub fn link_up(&mut self, now: Instant, how: How, role: Role) {
        match (how, role) {
            (How::Relay | How::Tcp, Role::Caller) => {
                self.at = Some(self.at.unwrap_or(now + self.wait))
            }
            (How::Relay | How::Tcp, Role::Callee) => self.at = None,
            (How::Lan | How::Direct, _) => *self = Improvement::default(),
        }
    }

    /// There is reason to try now, and soon again.
    pub fn hurry(&mut self, now: Instant) {
        self.wait = FIRST;
        if self.at.is_some() {
            self.at = Some(now);
        }
    }

    /// When it is tried again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is to be tried now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = self.at.take_if(|at| *at <= now).is_some();
        if due {
            self.at = Some(now + self.wait);
            self.wait = LAST.min(self.wait * 4);
        }
        due
    }
}

impl Hub {
    /// One of the helpers has something.
    pub(super) fn handle_surroundings(&mut self, now: Instant, event: Event) {
        match event {
            Event::Measured(side) => {
                tracing::debug!(?side, "our NAT is measured");
                self.network.endpoint.describe(now, side);
                if side.is_some() {
                    self.hurry(now);
                }
            }
            Event::Router(change) => {
                let endpoint = &mut self.network.endpoint;
                let mapped = reachable(change, &endpoint.mapped());
                endpoint.opened(now, mapped.map(|mapped| mapped.external));
                if mapped.is_some() {
                    self.hurry(now);
                }
            }
            Event::Network(_) => {
                self.network.tcp.forget();
                self.network.roamed(now);
                self.moved(now);
            }
        }
    }

    fn hurry(&mut self, now: Instant) {
        for (_, peer) in self.peers.iter_mut() {
            peer.improvement.hurry(now);
        }
    }

    /// The server sees us at another address than before: the paths that there are lead
    /// nowhere, and what is known of our NAT is of another one.
    pub(super) fn moved(&mut self, now: Instant) {
        self.network.surroundings.measure(self.network.server);
        let mut names = Vec::new();
        for (name, peer) in self.peers.iter_mut() {
            peer.improvement.hurry(now);
            if peer.line.is_some() {
                peer.moved = true;
                names.push(name.clone());
            }
        }
        for name in names {
            tracing::debug!(peer = name, "calling again from our new address");
            self.network.endpoint.call(now, &name);
        }
    }

    /// Tries again where it is time.
    pub(super) fn improve(&mut self, now: Instant) {
        let due = |(name, peer): (&String, &mut Peer)| {
            let waits = peer.may_improve() && peer.improvement.is_due(now);
            waits.then(|| name.clone())
        };
        let names = Vec::from_iter(self.peers.iter_mut().filter_map(due));
        if !names.is_empty() {
            self.close_streams(now);
        }
        for name in names {
            tracing::debug!(peer = name, "trying for a direct path again");
            let server = self.network.server;
            self.network.surroundings.measure_if_old(now, server);
            self.network.endpoint.call(now, &name);
        }
    }

    /// Closes the sockets that ports were guessed from, once no attempt is under way, but
    /// for those that a path leads over.
    pub(super) fn close_sockets(&mut self) {
        self.close_streams(Instant::now());
        if self.network.endpoint.is_punching() {
            return;
        }
        let relay = self.network.endpoint.relay_socket();
        let mut used = Vec::from_iter(relay);
        for (_, peer) in self.peers.iter() {
            used.extend(peer.contact.socket());
            let line = peer.line.as_ref();
            let remote = line.map(|line| line.link.connection.remote_address());
            used.extend(remote.and_then(|remote| self.network.socket_of(remote)));
        }
        self.network
            .socket
            .close_others(|socket| used.contains(&socket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_of_a_relayed_link_tries_again_at_growing_intervals() {
        let start = Instant::now();
        let mut improvement = Improvement::default();
        improvement.link_up(start, How::Relay, Role::Callee);
        assert_eq!(improvement.poll_timeout(), None);
        improvement.link_up(start, How::Relay, Role::Caller);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..8 {
            let at = improvement.poll_timeout().unwrap();
            assert!(!improvement.is_due(at - Duration::from_millis(1)));
            assert!(improvement.is_due(at));
            waits.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(waits, [2, 2, 8, 32, 128, 512, 2048, 2048]);
        improvement.hurry(now);
        assert!(improvement.is_due(now));
        assert_eq!(improvement.poll_timeout(), Some(now + FIRST));
        // Another relayed link in place of the first changes nothing; a direct one ends it.
        improvement.link_up(now, How::Relay, Role::Caller);
        assert_eq!(improvement.poll_timeout(), Some(now + FIRST));
        improvement.link_up(now, How::Direct, Role::Caller);
        assert_eq!(improvement.poll_timeout(), None);
    }
}

//! A better path than the one that there is: a relayed one, or one by TCP, is replaced by a direct
//! one by UDP as soon as there is one, which is tried again at growing intervals, and at once when
//! our NAT is measured or our network has changed.

use std::time::Instant;

use net::gateway::reachable;
use net::surroundings::Event;

use super::Hub;
use super::peers::Peer;

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

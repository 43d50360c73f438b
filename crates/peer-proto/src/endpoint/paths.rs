//! What the user of a path does with it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Endpoint;
use crate::punch::Path;
use sansio::Via;

impl Endpoint {
    /// The relay that this path leads through, if it does.
    pub fn relay_of_path(&self, path: &Path) -> Option<IpAddr> {
        let ours = || self.relaying.server().map(|relay| relay.ip());
        match path.via {
            _ if !path.relayed => None,
            Via::Relay => ours(),
            Via::Socket(_) | Via::Stream(_) => Some(path.remote.ip()),
        }
    }

    /// What the relay of the rendezvous passes through one relayed address, both directions
    /// together, in bytes per second. `None`: it has not said so, or has no relay.
    pub fn relay_rate(&self) -> Option<u32> {
        self.relaying.rate()
    }

    /// Measures the path to that peer, if there is one and the peer measures, too.
    /// It takes about half a second and a burst of 64 packets.
    pub fn measure(&mut self, now: Instant, peer: &str) {
        self.attempts.measure(now, peer);
        self.advance(now);
    }

    /// Sends a keepalive on the path to that peer, which the peer answers.
    pub fn beat(&mut self, now: Instant, peer: &str) {
        if let Some(meter) = self.attempts.meter(peer) {
            meter.beat();
        }
        self.advance(now);
    }

    /// When the peer was last heard on the path, by measuring or a keepalive.
    pub fn heard(&mut self, peer: &str) -> Option<Instant> {
        self.attempts.meter(peer)?.heard()
    }

    /// Sends a payload to a peer to which there is a path by
    /// [`Via::Relay`]; the payload must not look like STUN. It costs four bytes
    /// more on the way to the relay, once a channel is bound (after about a
    /// second), else 36. Like any datagram it may be lost.
    pub fn relay_send(&mut self, now: Instant, peer: SocketAddr, payload: &[u8]) {
        self.relaying.bind(now, peer);
        let transmit = self.relaying.wrap(now, peer, payload);
        self.outbox.push_first(transmit);
    }

    /// The next payload that came through the relay and is not STUN, and its
    /// sender.
    pub fn poll_relayed(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.relaying.poll_payload()
    }
}

//! The real brains, plugged in.

use std::net::SocketAddr;
use std::time::Instant;

use wire::Icmp;

use super::Host;
use crate::endpoint::Endpoint;
use crate::introduce::server::Server;
use crate::io::{Inbound, SocketId, Transmit};

impl Host for Server {
    fn handle_icmp(&mut self, now: Instant, to: SocketAddr, icmp: Icmp, quoted: &[u8]) {
        self.handle_icmp(now, to, icmp, quoted);
    }

    fn handle_input(&mut self, now: Instant, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        self.handle_input(now, socket, from, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

impl Host for Endpoint {
    fn handle_input(&mut self, now: Instant, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        let ttl = None;
        self.handle_input(now, Inbound { socket, from, ttl }, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

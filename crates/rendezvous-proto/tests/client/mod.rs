//! A rendezvous, and a client that sends it requests.
#![allow(dead_code)] // each test file needs another part of it

use std::net::SocketAddr;
use std::time::Instant;

use rendezvous_proto::server::{Config, RATE, Server};
use sansio::{Protocol, Transmit};
use stun::Message;

pub const ALICE: &str = "203.0.113.17:40000";
pub const BOB: &str = "203.0.113.33:40000";

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn server(now: Instant, addresses: &[&str]) -> Server {
    let config = Config {
        addresses: addresses.iter().map(|text| at(text)).collect(),
        secret: [9; 32],
        rate: RATE,
        most_names: 100,
    };
    Server::new(config, now)
}

pub fn whole_server(now: Instant) -> Server {
    let four = [
        "203.0.113.1:8848",
        "203.0.113.1:8849",
        "203.0.113.2:8848",
        "203.0.113.2:8849",
    ];
    server(now, &four)
}

pub fn drain(server: &mut Server) -> Vec<Transmit> {
    std::iter::from_fn(|| server.poll_transmit()).collect()
}

/// A request, and the one answer to it.
pub fn ask(server: &mut Server, now: Instant, from: &str, request: &[u8]) -> Transmit {
    server.handle_datagram(now, 0, at(from), request);
    let mut answers = drain(server);
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

pub fn error_of(answer: &Transmit) -> Option<u16> {
    Message::parse(&answer.payload).unwrap().error()
}

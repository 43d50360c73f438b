//! A server with a relay and its driver, and a TURN client.
#![allow(dead_code)] // each test file needs another part of it

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rendezvous_proto::relay::{self as relay, Command, Limits, Policy, Relay, parse_range};
use rendezvous_proto::server::{Config as ServerConfig, RATE, Sender, Server};
use sansio::{Protocol, Transmit};
use session::credentials::{Credentials, Secret};
use stun::{Builder, Message, Method, code, turn};

pub const SERVER: &str = "203.0.113.1:8848";
pub const ALICE: &str = "203.0.113.17:40000";
pub const BOB: &str = "203.0.113.33:40000";
pub const UNIX: u64 = 1_700_000_000;
pub const REALM: &str = "pinhole";

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn limits() -> Limits {
    Limits {
        total: 6,
        per_name: 2,
        ..Limits::default()
    }
}

/// A payload that the relay sent to a peer: source port, destination, payload.
pub type Sent = (u16, SocketAddr, Vec<u8>);

/// The server and its driver.
pub struct World {
    pub address: SocketAddr,
    pub now: Instant,
    pub server: Server,
    pub open: HashSet<u16>,
    /// Ports that cannot be opened.
    pub taken: HashSet<u16>,
    pub to_peers: Vec<Sent>,
}

impl World {
    pub fn new(limits: Limits, allowed: &[&str]) -> Self {
        Self::at(at(SERVER), limits, allowed)
    }

    pub fn at(address: SocketAddr, limits: Limits, allowed: &[&str]) -> Self {
        let now = Instant::now();
        let addresses = vec![address, SocketAddr::new(address.ip(), 8849)];
        let server = Server::new(
            ServerConfig {
                addresses,
                secret: [9; 32],
                rate: RATE,
                most_names: 100,
            },
            now,
        );
        let allowed = allowed.iter().map(|text| parse_range(text).unwrap());
        let own = vec![address.ip(), at("203.0.113.2:1").ip()];
        let config = relay::Config {
            address: address.ip(),
            ports: 50000..=50009,
            realm: REALM.into(),
            secret: Secret::new("north"),
            unix: UNIX,
            seed: [5; 32],
            policy: Policy {
                allowed: allowed.collect(),
                own,
            },
            limits,
        };
        World {
            address,
            now,
            server: server.with_relay(Relay::new(config, now)),
            open: HashSet::new(),
            taken: HashSet::new(),
            to_peers: Vec::new(),
        }
    }

    pub fn relay(&mut self) -> &mut Relay {
        self.server.relaying().unwrap()
    }

    pub fn credentials(&mut self, name: &str) -> Credentials {
        let now = self.now;
        self.relay().credentials(now, name, at(ALICE)).credentials
    }

    /// The operator replaces the relay's secret.
    pub fn set_secret(&mut self, secret: &str) {
        let now = self.now;
        self.relay().set_secret(now, Secret::new(secret));
    }

    /// A peer sends to a relayed address.
    pub fn peer_sends(&mut self, relayed: SocketAddr, from: &str, payload: &[u8]) {
        let now = self.now;
        self.relay()
            .handle_relayed(now, relayed.port(), at(from), payload);
    }

    /// Does what the relay asks for, and returns what it has for clients.
    pub fn work(&mut self) -> Vec<Transmit> {
        let now = self.now;
        while let Some(command) = self.relay().poll_command() {
            match command {
                Command::Open { port } => {
                    let open = !self.taken.contains(&port) && self.open.insert(port);
                    self.relay().opened(now, port, open);
                }
                Command::Send { port, to, payload } => {
                    assert!(self.open.contains(&port), "sent from a closed port");
                    self.to_peers.push((port, to, payload));
                }
                Command::Close { port } => assert!(self.open.remove(&port)),
            }
        }
        std::iter::from_fn(|| self.server.poll_transmit()).collect()
    }

    /// A client's datagram to the server, and everything that the server sends.
    pub fn send(&mut self, from: &str, bytes: &[u8]) -> Vec<Transmit> {
        self.server.handle_datagram(self.now, 0, at(from), bytes);
        self.work()
    }

    /// What the server knows of the sender of this datagram.
    pub fn sender(&mut self, from: &str, bytes: &[u8]) -> Sender {
        self.server.handle_datagram(self.now, 0, at(from), bytes)
    }

    /// A client's request, and the one answer to it.
    pub fn ask(&mut self, from: &str, request: &[u8]) -> Vec<u8> {
        let mut answers = self.send(from, request);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers[0].to, at(from));
        answers.remove(0).payload
    }

    pub fn ask_error(&mut self, from: &str, request: &[u8]) -> Option<u16> {
        Message::parse(&self.ask(from, request)).unwrap().error()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
    }
}

/// A TURN client.
pub struct TurnClient {
    pub from: &'static str,
    pub credentials: Credentials,
    pub nonce: Vec<u8>,
    count: u8,
}

impl TurnClient {
    pub fn new(world: &mut World, name: &str, from: &'static str) -> Self {
        let credentials = world.credentials(name);
        Self::with(world, credentials, from)
    }

    pub fn with(world: &mut World, credentials: Credentials, from: &'static str) -> Self {
        let hello = Builder::request(Method::Allocate, [1; 12]).udp().finish();
        let answer = world.ask(from, &hello);
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.error(), Some(code::UNAUTHENTICATED));
        assert_eq!(answer.realm(), Some(REALM));
        TurnClient {
            from,
            credentials,
            nonce: answer.nonce().unwrap().to_vec(),
            count: 1,
        }
    }

    pub fn request(&mut self, method: Method, fill: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
        self.count += 1;
        let Credentials { username, password } = &self.credentials;
        fill(Builder::request(method, [self.count; 12]))
            .username(username)
            .realm(REALM)
            .nonce(&self.nonce)
            .finish_long_term(&turn::long_term_key(username, REALM, password))
    }

    pub fn allocate(&mut self, world: &mut World) -> Result<SocketAddr, u16> {
        let request = self.request(Method::Allocate, Builder::udp);
        let answer = world.ask(self.from, &request);
        let answer = Message::parse(&answer).unwrap();
        answer.relayed().ok_or_else(|| answer.error().unwrap())
    }

    pub fn ask(
        &mut self,
        world: &mut World,
        method: Method,
        fill: impl FnOnce(Builder) -> Builder,
    ) -> Option<u16> {
        let request = self.request(method, fill);
        world.ask_error(self.from, &request)
    }

    pub fn permit(&mut self, world: &mut World, peer: &str) -> Option<u16> {
        self.ask(world, Method::CreatePermission, |r| r.peer(at(peer)))
    }

    pub fn send(&self, world: &mut World, peer: &str, payload: &[u8]) {
        let bytes = Builder::indication(Method::Send, [9; 12])
            .peer(at(peer))
            .data(payload)
            .finish();
        assert!(world.send(self.from, &bytes).is_empty());
    }
}

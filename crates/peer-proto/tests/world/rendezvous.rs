//! The real server, with a relay, as one host.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut, RangeInclusive};
use std::time::Instant;

use rendezvous_proto::relay::{self, Command, Limits, Policy, Relay, parse_range};
use rendezvous_proto::server::{self, Server};
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};
use session::credentials::Secret;
use session::identity::Identity;

/// The server's.
pub fn key() -> Identity {
    Identity::from_secret(&[77; 32])
}

/// Those of relayed addresses.
pub const PORTS: RangeInclusive<u16> = 50000..=50009;

pub struct Rendezvous {
    server: Server,
    /// Where the relayed sockets' numbers begin.
    first: SocketId,
    relayed: VecDeque<Transmit>,
}

impl Rendezvous {
    pub fn new(config: server::Config, now: Instant) -> Self {
        let allowed = vec![parse_range("203.0.113.0/24").unwrap()];
        let relay = relay::Config {
            address: config.addresses[0].ip(),
            ports: PORTS,
            realm: "pinhole".into(),
            secret: Secret::new("north"),
            unix: 1_700_000_000,
            seed: [5; 32],
            policy: Policy {
                allowed,
                own: config.addresses.iter().map(SocketAddr::ip).collect(),
            },
            limits: Limits::default(),
        };
        Rendezvous {
            first: config.addresses.len(),
            server: Server::new(config, now)
                .with_key(key())
                .with_relay(Relay::new(relay, now)),
            relayed: VecDeque::new(),
        }
    }

    fn work(&mut self, now: Instant) {
        while let Some(command) = self.server.relaying().unwrap().poll_command() {
            match command {
                Command::Open { port } => self.server.relaying().unwrap().opened(now, port, true),
                Command::Send { port, to, payload } => self.relayed.push_back(Transmit {
                    socket: self.first + usize::from(port - PORTS.start()),
                    to,
                    ttl: None,
                    payload,
                }),
                Command::Close { .. } => {}
            }
        }
    }
}

impl Deref for Rendezvous {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Rendezvous {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Protocol for Rendezvous {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(Datagram {
                socket,
                from,
                payload,
                ..
            }) if socket >= self.first => {
                let port = PORTS.start() + (socket - self.first) as u16;
                let relay = self.server.relaying().unwrap();
                relay.handle_relayed(now, port, from, payload);
            }
            Input::Icmp(error) if error.socket >= self.first => {}
            _ => self.server.handle_input(now, input),
        }
        self.work(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        self.work(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let relayed = self.relayed.pop_front();
        relayed.or_else(|| self.server.poll_transmit())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }
}

//! Clients and a rendezvous that hand each other their datagrams, and whoever sits
//! on the way.
#![allow(dead_code)] // Each test uses its part of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer_proto::client::{Callee, Client, Config, Event, Introduced, Invitation, Relation};
use rendezvous_proto::server::{self, RATE, Server};
use sansio::Protocol;
use session::identity::Identity;
use stun::{Class, Message, Method};

pub const SERVER: &str = "203.0.113.1:8848";
pub const ALICE: usize = 0;
pub const BOB: usize = 1;

pub fn at(n: usize) -> SocketAddr {
    ["203.0.113.17:40000", "203.0.113.33:40000"][n]
        .parse()
        .unwrap()
}

/// The key of the rendezvous, and that of somebody on the way.
pub fn server_key() -> Identity {
    Identity::from_secret(&[77; 32])
}

pub fn eve() -> Identity {
    Identity::from_secret(&[66; 32])
}

pub fn identity(n: usize) -> Identity {
    Identity::from_secret(&[n as u8 + 1; 32])
}

pub struct Wire {
    pub now: Instant,
    pub server: Server,
    pub clients: Vec<Client>,
    /// What each client has reported.
    pub events: Vec<Vec<Event>>,
    /// The requests of each client, and the notifications that it got.
    pub requests: Vec<Vec<Vec<u8>>>,
    pub notified: Vec<Vec<Vec<u8>>>,
    /// What a client gets before each answer of the server's: the request and the
    /// answer go in.
    pub forge: fn(&[u8], &[u8]) -> Vec<Vec<u8>>,
    /// Whether the server's answers get through.
    pub answers: bool,
}

pub fn server(now: Instant) -> Server {
    let config = server::Config {
        addresses: vec![SERVER.parse().unwrap()],
        secret: [9; 32],
        rate: RATE,
        most_names: 10,
    };
    Server::new(config, now)
}

pub fn client(n: usize, now: Instant, server_key: Option<[u8; 32]>, seed: u8) -> Client {
    let config = Config {
        server: SERVER.parse().unwrap(),
        server_key,
        name: ["alice", "bob"][n].into(),
        identity: identity(n),
        sequence: u64::from(seed) * 1000,
        relay: false,
        seed: [seed; 32],
    };
    Client::new(config, now)
}

impl Wire {
    /// alice and bob, who know the server's key.
    pub fn new() -> Self {
        let now = Instant::now();
        let known = Some(server_key().public());
        Wire::of(
            now,
            server(now).with_key(server_key()),
            vec![client(ALICE, now, known, 1), client(BOB, now, known, 2)],
        )
    }

    pub fn of(now: Instant, server: Server, clients: Vec<Client>) -> Self {
        let count = clients.len();
        Wire {
            now,
            server,
            clients,
            events: (0..count).map(|_| Vec::new()).collect(),
            requests: vec![Vec::new(); count],
            notified: vec![Vec::new(); count],
            forge: |_, _| Vec::new(),
            answers: true,
        }
    }

    /// Hands over all there is to hand over, without time passing.
    pub fn exchange(&mut self) {
        for _ in 0..50 {
            let mut quiet = true;
            for n in 0..self.clients.len() {
                while let Some(request) = self.clients[n].poll_transmit() {
                    quiet = false;
                    self.requests[n].push(request.clone());
                    self.server.handle_datagram(self.now, 0, at(n), &request);
                    self.deliver();
                }
                let client = &mut self.clients[n];
                self.events[n].extend(std::iter::from_fn(|| client.poll_event()));
            }
            if quiet {
                return;
            }
        }
        panic!("they go on and on");
    }

    fn deliver(&mut self) {
        while let Some(transmit) = self.server.poll_transmit() {
            let Some(n) = (0..self.clients.len()).find(|n| at(*n) == transmit.to) else {
                continue;
            };
            let message = Message::parse(&transmit.payload).unwrap();
            let mut request = &Vec::new();
            if message.is(Class::Request, Method::Notify) {
                self.notified[n].push(transmit.payload.clone());
            } else {
                let ours = |bytes: &&Vec<u8>| {
                    Message::parse(bytes).unwrap().transaction() == message.transaction()
                };
                request = self.requests[n].iter().rev().find(ours).unwrap();
            }
            let client = &mut self.clients[n];
            for forged in (self.forge)(request, &transmit.payload) {
                client.handle_input(self.now, &Message::parse(&forged).unwrap());
            }
            if self.answers {
                client.handle_input(self.now, &message);
            }
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(10);
            for client in &mut self.clients {
                client.handle_timeout(self.now);
            }
            self.server.handle_timeout(self.now);
            self.deliver();
            self.exchange();
        }
    }

    /// What `n` gets from somewhere; how many packets it sends then.
    pub fn inject(&mut self, n: usize, bytes: &[u8]) -> Vec<Vec<u8>> {
        let client = &mut self.clients[n];
        client.handle_input(self.now, &Message::parse(bytes).unwrap());
        let sent = std::iter::from_fn(|| client.poll_transmit()).collect();
        self.events[n].extend(std::iter::from_fn(|| client.poll_event()));
        sent
    }

    /// alice looks bob up.
    pub fn look_up(&mut self) -> Callee {
        self.clients[ALICE].look_up(self.now, "bob");
        self.exchange();
        let found = self.events[ALICE]
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Found { callee, .. } => Some(*callee),
                _ => None,
            });
        found.expect("bob is registered")
    }

    /// alice calls bob.
    pub fn connect(&mut self, callee: Callee) {
        let payload = b"alice's candidates".to_vec();
        self.clients[ALICE].connect(self.now, "bob", callee, payload);
        self.exchange();
    }

    /// bob accepts what has come.
    pub fn accept(&mut self) -> Option<Introduced> {
        let invitation = self.invitation()?;
        let bob = &mut self.clients[BOB];
        let introduced = bob.accept(self.now, invitation, Relation::Known, b"bob's candidates");
        self.exchange();
        Some(introduced.unwrap())
    }

    /// The invitation that bob has got.
    pub fn invitation(&mut self) -> Option<Invitation> {
        let events = &mut self.events[BOB];
        let is = |event: &Event| matches!(event, Event::Notified(_));
        let position = events.iter().position(is)?;
        let Event::Notified(call) = events.remove(position) else {
            return None;
        };
        self.clients[BOB].open(self.now, &call, Relation::Known)
    }

    pub fn has(&self, n: usize, is: fn(&Event) -> bool) -> bool {
        self.events[n].iter().any(is)
    }

    pub fn is_registered(&self, n: usize) -> bool {
        self.has(n, |event| matches!(event, Event::Registered { .. }))
    }

    pub fn is_introduced(&self) -> bool {
        self.has(ALICE, |event| matches!(event, Event::Introduced(_)))
    }
}

//! A prober behind its NATs, and a server that may be a bad one.

use std::collections::VecDeque;

use super::super::*;
use sim::{Network, Profile};

pub(super) const S1: &str = "203.0.113.1";
pub(super) const S2: &str = "203.0.113.2";
pub(super) const PORTS: [u16; 2] = [8848, 8849];

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How the server misbehaves.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Server {
    Good,
    /// Two ports, one address, hence no OTHER-ADDRESS.
    OneAddress,
    /// Answers a CHANGE-REQUEST from where it was asked.
    IgnoresChange,
    /// Answers everything from its other address and port.
    WrongSource,
    /// Tells another address that is cut off.
    OtherIsDead,
    /// The address that is asked first is cut off.
    FirstIsDead,
    /// Speaks from all its sockets but the one that is other in both.
    FarthestIsDead,
    /// Tells no OTHER-ADDRESS on either of its addresses.
    Untold,
    /// Does not know BOUNCED.
    Old,
    /// What it sends to one filtering socket comes back.
    OneBounces,
    /// What is sent to it in the first second waits for the end of it, as in
    /// the queue of a neighbour whose address is asked for a second time.
    FarAtFirst,
    Dead,
}

struct TestServer {
    fault: Server,
    brain: rendezvous_proto::server::Server,
    outbox: VecDeque<Transmit>,
    near_at: Instant,
    waiting: Vec<(SocketId, SocketAddr, Vec<u8>)>,
}

impl TestServer {
    fn new(now: Instant, fault: Server) -> Self {
        let ips: &[&str] = match fault {
            Server::OneAddress => &[S1],
            _ => &[S1, S2],
        };
        let config = rendezvous_proto::server::Config {
            addresses: sockets(ips),
            secret: [7; 32],
            rate: 10_000,
            most_names: 10,
        };
        Self {
            fault,
            brain: rendezvous_proto::server::Server::new(config, now),
            outbox: VecDeque::new(),
            near_at: now + Duration::from_secs(1),
            waiting: Vec::new(),
        }
    }
}

fn sockets(ips: &[&str]) -> Vec<SocketAddr> {
    let with_ports = |text: &&str| PORTS.map(|port| SocketAddr::new(ip(text), port));
    ips.iter().flat_map(with_ports).collect()
}

impl TestServer {
    fn take(&mut self, now: Instant, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        if self.fault == Server::Dead || (self.fault == Server::OtherIsDead && socket > 1) {
            return;
        }
        if self.fault == Server::FarAtFirst && now < self.near_at {
            return self.waiting.push((socket, from, datagram.to_vec()));
        }
        let request = Message::parse(datagram).unwrap();
        if self.fault == Server::FirstIsDead && socket < 2 {
            return;
        }
        if self.fault == Server::FarthestIsDead && socket == 3 {
            return;
        }
        match self.fault == Server::Old && request.bounced().is_some() {
            true => {
                let known = stun::binding_request(request.transaction(), None);
                self.brain
                    .handle_input(now, Input::datagram(socket, from, &known));
            }
            false => self
                .brain
                .handle_input(now, Input::datagram(socket, from, datagram)),
        }
        while let Some(mut transmit) = self.brain.poll_transmit() {
            match self.fault {
                Server::IgnoresChange => transmit.socket = socket,
                Server::WrongSource => transmit.socket = 3,
                Server::OneBounces if transmit.to.port() == 33001 => {
                    let icmp = stun::Icmp { kind: 3, code: 3 };
                    let error = IcmpError {
                        socket: transmit.socket,
                        to: transmit.to,
                        offender: transmit.to.ip(),
                        icmp,
                        quoted: &transmit.payload,
                    };
                    self.brain.handle_input(now, Input::Icmp(error));
                }
                Server::OtherIsDead if transmit.socket > 1 => continue,
                Server::FarthestIsDead if transmit.socket == 3 => continue,
                Server::Untold => {
                    let answer = stun::Builder::success(&request).xor_mapped(from);
                    (transmit.socket, transmit.payload) = (socket, answer.finish());
                }
                _ => {}
            }
            self.outbox.push_back(transmit);
        }
    }
}

impl Protocol for TestServer {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(Datagram {
                socket,
                from,
                payload,
                ..
            }) => {
                self.take(now, socket, from, payload);
            }
            Input::Icmp(_) => self.brain.handle_input(now, input),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.brain.handle_timeout(now);
        if now >= self.near_at {
            for (socket, from, datagram) in std::mem::take(&mut self.waiting) {
                self.take(now, socket, from, &datagram);
            }
        }
    }
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let near = (!self.waiting.is_empty()).then_some(self.near_at);
        self.brain.poll_timeout().into_iter().chain(near).min()
    }
}

pub(super) struct Scene {
    routers: Vec<Profile>,
    pub(super) server: Server,
    pub(super) s2: bool,
    pub(super) loss: f64,
    pub(super) seed: u64,
    pub(super) hop: Duration,
    /// Sockets on ports that have spoken to all of the server's before.
    pub(super) used: Vec<SocketId>,
    /// Sockets on ports that the server's other port has just sent to, unasked.
    pub(super) strangers: Vec<SocketId>,
    /// TCP tells that the server's host is up.
    pub(super) tcp: bool,
}

impl Scene {
    pub(super) fn behind(routers: &[Profile]) -> Self {
        Self {
            routers: routers.to_vec(),
            server: Server::Good,
            s2: false,
            loss: 0.0,
            seed: 1,
            hop: Duration::from_micros(100),
            used: Vec::new(),
            strangers: Vec::new(),
            tcp: true,
        }
    }

    pub(super) fn named(name: &str) -> Self {
        Self::behind(&[Profile::named(name).unwrap()])
    }

    pub(super) fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    pub(super) fn run(&self) -> Report {
        let start = Instant::now();
        let mut network = Network::new(start, self.seed);
        network.set_loss(self.loss);
        network.set_latency(Network::CORE, self.hop);
        let server = network.add_host(Network::CORE, &[ip(S1), ip(S2)]);
        for address in sockets(&[S1, S2]) {
            network.bind(server, address);
        }
        let (mut place, mut address) = (Network::CORE, ip("198.51.100.1"));
        for (depth, profile) in self.routers.iter().enumerate() {
            place = network.add_router(place, address, profile.clone());
            address = match profile.translates {
                true => ip(&format!("10.{depth}.0.2")),
                false => ip("198.51.100.130"),
            };
        }
        let host = network.add_host(place, &[address]);
        let locals = (33000..).map(|port| SocketAddr::new(address, port));
        let locals: Vec<_> = locals.take(SOCKETS).collect();
        for &local in &locals {
            network.bind(host, local);
        }
        let s1 = SocketAddr::new(ip(S1), PORTS[0]);
        let s2 = self.s2.then_some(SocketAddr::new(ip(S2), PORTS[0]));
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        let mut server = TestServer::new(start, self.server);
        let mut prober = Discover::new(start, Config::new(s1, s2), locals[0], seed);
        for (socket, &local) in locals.iter().enumerate() {
            prober.handle_opened(socket, local);
        }
        let other_port = stun::Change {
            ip: false,
            port: true,
        };
        let earlier = |socket, to, change| Transmit {
            socket,
            to,
            ttl: None,
            payload: stun::binding_request([0; 12], change),
        };
        for &socket in &self.used {
            for to in sockets(&[S1, S2]) {
                prober.outbox.push_front(earlier(socket, to, None));
            }
        }
        for &socket in &self.strangers {
            prober
                .outbox
                .push_front(earlier(socket, s1, Some(other_port)));
        }
        let deadline = start + Duration::from_secs(60);
        let mut told = !self.tcp;
        while prober.report().is_none() {
            assert!(network.step(&mut [&mut server, &mut prober], deadline));
            if !told && network.now() > start + self.hop * 8 {
                told = true;
                prober.handle_reachable(self.hop * 8);
            }
        }
        assert_eq!(prober.poll_timeout(), None);
        prober.report().unwrap().clone()
    }

    pub(super) fn notes(&self) -> Vec<NoteCode> {
        self.run().notes.iter().map(|note| note.code).collect()
    }
}

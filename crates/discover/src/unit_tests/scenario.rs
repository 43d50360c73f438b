//! A prober behind NATs, and a server that may be faulty.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use sansio::{Datagram, IcmpError, Input, Protocol, SocketId, Transmit};
use sim::{Network, Profile};
use stun::Message;

use crate::{ByTcp, Config, Discover, NoteCode, Report, SOCKETS};

pub(super) const S1: &str = "203.0.113.1";
pub(super) const S2: &str = "203.0.113.2";
pub(super) const PORTS: [u16; 2] = [8848, 8849];

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The fault of the server.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fault {
    Nothing,
    /// It has two ports but one address, and reports no OTHER-ADDRESS.
    OneAddress,
    /// It answers a CHANGE-REQUEST from the address that was asked.
    IgnoresChange,
    /// It answers everything from its other address and port.
    WrongSource,
    /// It reports another address, which is cut off.
    OtherIsDead,
    /// The address that is asked first is cut off.
    FirstIsDead,
    /// It sends from all its sockets but the one with the other address and port.
    FarthestIsDead,
    /// It reports no OTHER-ADDRESS on either of its addresses.
    NoOtherAddress,
    /// It does not know BOUNCED.
    Old,
    /// ICMP errors come back for what it sends to one filtering socket.
    OneRefused,
    /// What is sent to it in the first second arrives at the end of it, as when a neighbour's
    /// link-layer address has to be asked for a second time.
    SlowAtFirst,
    /// What arrives there from 40 to 100 ms after the start is answered at the end of it, as on a
    /// busy machine.
    Stalls,
    /// It does not answer.
    Dead,
}

struct TestServer {
    fault: Fault,
    server: rendezvous_proto::server::Server,
    outbox: VecDeque<Transmit>,
    /// While what arrives has to wait.
    slow: Range<Instant>,
    waiting: Vec<(SocketId, SocketAddr, Vec<u8>)>,
}

impl TestServer {
    fn new(now: Instant, fault: Fault) -> Self {
        let ips: &[&str] = match fault {
            Fault::OneAddress => &[S1],
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
            server: rendezvous_proto::server::Server::new(config, now),
            outbox: VecDeque::new(),
            slow: match fault {
                Fault::SlowAtFirst => now..now + Duration::from_secs(1),
                Fault::Stalls => now + Duration::from_millis(40)..now + Duration::from_millis(100),
                _ => now..now,
            },
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
        if self.fault == Fault::Dead || (self.fault == Fault::OtherIsDead && socket > 1) {
            return;
        }
        if self.slow.contains(&now) {
            return self.waiting.push((socket, from, datagram.to_vec()));
        }
        let request = Message::parse(datagram).unwrap();
        if self.fault == Fault::FirstIsDead && socket < 2 {
            return;
        }
        if self.fault == Fault::FarthestIsDead && socket == 3 {
            return;
        }
        match self.fault == Fault::Old && request.bounced().is_some() {
            true => {
                let known = stun::binding_request(request.transaction(), None);
                self.server
                    .handle_input(now, Input::datagram(socket, from, &known));
            }
            false => self
                .server
                .handle_input(now, Input::datagram(socket, from, datagram)),
        }
        while let Some(mut transmit) = self.server.poll_transmit() {
            match self.fault {
                Fault::IgnoresChange => transmit.socket = socket,
                Fault::WrongSource => transmit.socket = 3,
                Fault::OneRefused if transmit.to.port() == 33001 => {
                    let icmp = stun::Icmp { kind: 3, code: 3 };
                    let error = IcmpError {
                        socket: transmit.socket,
                        to: transmit.to,
                        offender: transmit.to.ip(),
                        icmp,
                        quoted: &transmit.payload,
                    };
                    self.server.handle_input(now, Input::Icmp(error));
                }
                Fault::OtherIsDead if transmit.socket > 1 => continue,
                Fault::FarthestIsDead if transmit.socket == 3 => continue,
                Fault::NoOtherAddress => {
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
            Input::Icmp(_) => self.server.handle_input(now, input),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        if now >= self.slow.end {
            for (socket, from, datagram) in std::mem::take(&mut self.waiting) {
                self.take(now, socket, from, &datagram);
            }
        }
    }
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let fast = (!self.waiting.is_empty()).then_some(self.slow.end);
        self.server.poll_timeout().into_iter().chain(fast).min()
    }
}

pub(super) struct Scenario {
    routers: Vec<Profile>,
    pub(super) fault: Fault,
    pub(super) s2: bool,
    /// The second address that is given is the other port of the first one.
    pub(super) second_port: bool,
    pub(super) loss: f64,
    pub(super) seed: u64,
    pub(super) hop: Duration,
    /// What the link of the first router does.
    pub(super) link: &'static str,
    /// Sockets on ports that have sent to all addresses of the server before.
    pub(super) used: Vec<SocketId>,
    /// Sockets on ports to which the server's other port has just sent an unsolicited packet.
    pub(super) unsolicited: Vec<SocketId>,
    /// TCP shows that the server's host is up.
    pub(super) tcp: bool,
    /// How it does.
    pub(super) by_tcp: ByTcp,
}

impl Scenario {
    pub(super) fn behind(routers: &[Profile]) -> Self {
        Self {
            routers: routers.to_vec(),
            fault: Fault::Nothing,
            s2: false,
            second_port: false,
            loss: 0.0,
            seed: 1,
            hop: Duration::from_micros(100),
            link: "none",
            used: Vec::new(),
            unsolicited: Vec::new(),
            tcp: true,
            by_tcp: ByTcp::Stun,
        }
    }

    pub(super) fn named(name: &str) -> Self {
        Self::behind(&[Profile::named(name).unwrap()])
    }

    pub(super) fn fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
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
            if depth == 0 && self.link != "none" {
                network.set_link(place, &self.link.parse().unwrap());
            }
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
        let other_port = SocketAddr::new(ip(S1), PORTS[1]);
        let s2 = self.s2.then_some(SocketAddr::new(ip(S2), PORTS[0]));
        let s2 = s2.or(self.second_port.then_some(other_port));
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        let mut server = TestServer::new(start, self.fault);
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
        for &socket in &self.unsolicited {
            prober
                .outbox
                .push_front(earlier(socket, s1, Some(other_port)));
        }
        let deadline = start + Duration::from_secs(60);
        let mut reported = !self.tcp;
        while prober.report().is_none() {
            assert!(network.step(&mut [&mut server, &mut prober], deadline));
            if !reported && network.now() > start + self.hop * 8 {
                reported = true;
                prober.handle_tcp(self.hop * 8, self.by_tcp);
            }
        }
        assert_eq!(prober.poll_timeout(), None);
        prober.report().unwrap().clone()
    }

    pub(super) fn notes(&self) -> Vec<NoteCode> {
        self.run().notes.iter().map(|note| note.code).collect()
    }
}

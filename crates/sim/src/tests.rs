//! The oracle compared with the simulated NATs, and properties of the network.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sansio::{Datagram, Input, Protocol, Transmit};

use super::*;
use nat::Dependence;
use nat::oracle::{Outcome, expected, without_openers};

const SERVER: &str = "203.0.113.1:8848";
const OPENERS: Duration = Duration::from_millis(200);
const PROBES: Duration = Duration::from_millis(300);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Answers every datagram with the source that it sees.
#[derive(Default)]
struct Mirror(VecDeque<Transmit>);

impl Protocol for Mirror {
    fn handle_input(&mut self, _: Instant, input: Input<'_>) {
        let Input::Datagram(Datagram { socket, from, .. }) = input else {
            return;
        };
        self.0.push_back(Transmit {
            socket,
            to: from,
            ttl: None,
            payload: from.to_string().into_bytes(),
        });
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.0.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// The smallest peer that punches: openers that expire in the core, then probes to every known address
/// of the peer, and an answer to the source of each probe.
struct Peer {
    start: Instant,
    opener_ttl: u8,
    reflexive: Option<SocketAddr>,
    targets: BTreeSet<SocketAddr>,
    connected: bool,
    due: VecDeque<Instant>,
    out: VecDeque<Transmit>,
}

impl Peer {
    fn new(start: Instant, routers: u8) -> Self {
        let mut peer = Self {
            start,
            opener_ttl: routers + 1,
            reflexive: None,
            targets: BTreeSet::new(),
            connected: false,
            due: (0..6).map(|i| start + PROBES + OPENERS * i / 4).collect(),
            out: VecDeque::new(),
        };
        peer.due.push_front(start + OPENERS);
        peer.send(at(SERVER), None, b"request");
        peer
    }

    fn send(&mut self, to: SocketAddr, ttl: Option<u8>, payload: &[u8]) {
        self.out.push_back(Transmit {
            socket: 0,
            to,
            ttl,
            payload: payload.to_vec(),
        });
    }
}

impl Protocol for Peer {
    fn handle_input(&mut self, _: Instant, input: Input<'_>) {
        let Input::Datagram(Datagram {
            from,
            payload: datagram,
            ..
        }) = input
        else {
            return;
        };
        match datagram {
            b"probe" => {
                self.targets.insert(from);
                self.send(from, None, b"answer");
            }
            b"answer" => self.connected = true,
            told => self.reflexive = std::str::from_utf8(told).ok().and_then(|t| t.parse().ok()),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.due.pop_front();
        let opening = now < self.start + PROBES;
        let ttl = opening.then_some(self.opener_ttl);
        for to in self.targets.clone() {
            self.send(to, ttl, b"probe");
        }
    }
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.due.front().copied()
    }
}

/// Adds a host behind these routers in series, the last one next to it. If none of them translates,
/// the host has a public address: the router's with another last number.
fn site(network: &mut Network, outer: &str, chain: &[Profile]) -> HostId {
    let (mut place, mut address) = (Network::CORE, ip(outer));
    for (depth, profile) in chain.iter().enumerate() {
        place = network.add_router(place, address, profile.clone());
        address = match profile.translates {
            true => ip(&format!("10.{depth}.0.2")),
            false => ip(&format!("{outer}29")),
        };
    }
    let host = network.add_host(place, &[address]);
    network.bind(host, SocketAddr::new(address, 40000));
    host
}

/// Whether two hosts behind these NATs connect in the simulator.
fn punch(a: &[Profile], b: &[Profile], openers: bool) -> bool {
    let start = Instant::now();
    let mut network = Network::new(start, 7);
    let server = network.add_host(Network::CORE, &[at(SERVER).ip()]);
    network.bind(server, at(SERVER));
    site(&mut network, "198.51.100.1", a);
    site(&mut network, "198.51.100.2", b);
    let mut mirror = Mirror::default();
    let mut alice = Peer::new(start, a.len() as u8);
    // Not quite simultaneous: alice's packets reach bob's NAT before he sends.
    let mut bob = Peer::new(start + Duration::from_millis(20), b.len() as u8);
    if !openers {
        alice.due.pop_front();
        bob.due.pop_front();
    }
    let mut protocols: [&mut dyn Protocol; 3] = [&mut mirror, &mut alice, &mut bob];
    network.run(&mut protocols, start + OPENERS / 2);
    alice.targets.extend(bob.reflexive);
    bob.targets.extend(alice.reflexive);
    let mut protocols: [&mut dyn Protocol; 3] = [&mut mirror, &mut alice, &mut bob];
    network.run(&mut protocols, start + Duration::from_secs(2));
    alice.connected && bob.connected
}

fn check(name: &str, a: &Profile, b: &Profile) {
    let predicted = expected(&a.behaviour(), &b.behaviour());
    let direct = punch(std::slice::from_ref(a), std::slice::from_ref(b), true);
    let agrees = direct == (predicted.outcome == Outcome::Direct);
    assert!(agrees, "{name}: direct {direct}, oracle {predicted:?}");
}

#[test]
fn the_oracle_agrees_with_the_simulator_for_all_axes() {
    let axes = || {
        Dependence::ALL
            .into_iter()
            .flat_map(|m| Dependence::ALL.into_iter().map(move |f| (m, f)))
    };
    for (mapping, filtering) in axes() {
        for (other_mapping, other_filtering) in axes() {
            for ports in [Ports::Preserve, Ports::Random] {
                let mut a = Profile::new(mapping, filtering);
                a.ports = ports;
                let b = Profile::new(other_mapping, other_filtering);
                let name = format!("{mapping}/{filtering} × {other_mapping}/{other_filtering}");
                check(&name, &a, &b);
            }
        }
    }
}

#[test]
fn the_oracle_agrees_with_the_simulator_for_the_labs_types() {
    for a in Profile::NAMES {
        for b in Profile::NAMES {
            let [first, second] = [a, b].map(|name| Profile::named(name).unwrap());
            check(&format!("{a} × {b}"), &first, &second);
        }
    }
}

#[test]
fn two_bare_masquerades_connect_with_openers_and_not_without() {
    let masquerade = [Profile::named("masquerade").unwrap()];
    assert!(punch(&masquerade, &masquerade, true));
    assert!(!punch(&masquerade, &masquerade, false));
}

#[test]
fn without_openers_the_oracle_agrees_with_the_simulator() {
    let axes = || {
        let mappings = Dependence::ALL.into_iter();
        mappings.flat_map(|m| Dependence::ALL.into_iter().map(move |f| (m, f)))
    };
    let profile = |(mapping, filtering), remaps| Profile {
        remaps_after_early_inbound: remaps,
        ..Profile::new(mapping, filtering)
    };
    for (first, second) in axes().flat_map(|a| axes().map(move |b| (a, b))) {
        for remaps in [[false, true], [true, false], [true, true]] {
            let [a, b] = [profile(first, remaps[0]), profile(second, remaps[1])];
            let predicted =
                without_openers(&a.behaviour(), &b.behaviour(), remaps.map(Some)).outcome;
            // The first of the two sends first.
            let [a, b] = [[a], [b]];
            let found = match (punch(&a, &b, false), punch(&b, &a, false)) {
                (true, true) => Outcome::Direct,
                (false, false) => Outcome::Failed,
                _ => Outcome::Unknown,
            };
            assert_eq!(found, predicted, "{first:?} × {second:?}, {remaps:?}");
        }
    }
}

#[test]
fn nats_in_series_behave_as_the_strictest_of_them() {
    let [cone, restricted, symmetric] =
        ["full-cone", "port-restricted", "symmetric"].map(|n| Profile::named(n).unwrap());
    let cgnat = [restricted.clone(), cone.clone()];
    assert!(punch(&cgnat, std::slice::from_ref(&restricted), true));
    assert!(!punch(&cgnat, &[symmetric], true));
    assert!(punch(&[cone.clone(), cone], &[restricted], true));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let start = Instant::now();
        let mut network = Network::new(start, seed);
        network.set_loss(30.0);
        let server = network.add_host(Network::CORE, &[at(SERVER).ip()]);
        network.bind(server, at(SERVER));
        site(
            &mut network,
            "198.51.100.1",
            &[Profile::named("symmetric").unwrap()],
        );
        let mut mirror = Mirror::default();
        let mut peer = Peer::new(start, 1);
        for _ in 0..50 {
            peer.send(at(SERVER), None, b"request");
        }
        let mut protocols: [&mut dyn Protocol; 2] = [&mut mirror, &mut peer];
        network.run(&mut protocols, start + Duration::from_secs(1));
        let lost = network.lost().iter();
        let lost: Vec<_> = lost.map(|l| (l.at - start, l.from, l.reason)).collect();
        (lost, peer.reflexive)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let (lost, _) = run(1);
    assert!(
        (10..50).contains(&lost.len()),
        "{} of 102 at 30 %",
        lost.len()
    );
}

#[test]
fn an_opener_opens_its_own_nat_and_expires_in_the_core() {
    let start = Instant::now();
    let mut network = Network::new(start, 1);
    let nat = [Profile::named("port-restricted").unwrap()];
    site(&mut network, "198.51.100.1", &nat);
    site(&mut network, "198.51.100.2", &nat);
    let mut alice = Peer::new(start, 1);
    let mut bob = Peer::new(start, 1);
    alice.out.clear();
    bob.out.clear();
    alice.send(at("198.51.100.2:40000"), Some(2), b"probe");
    let mut protocols: [&mut dyn Protocol; 2] = [&mut alice, &mut bob];
    network.run(&mut protocols, start + Duration::from_millis(50));
    let lost: Vec<_> = network.lost().iter().map(|l| (l.place, l.reason)).collect();
    assert_eq!(lost, [(Network::CORE, Dropped::TtlExpired)]);
    bob.send(at("198.51.100.1:40000"), None, b"probe");
    let mut protocols: [&mut dyn Protocol; 2] = [&mut alice, &mut bob];
    network.run(&mut protocols, start + Duration::from_millis(100));
    assert!(bob.connected, "bob's probe got in, and alice's answer out");
}

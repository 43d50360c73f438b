//! Two homes, a core and a rendezvous in the simulator, with the real protocols.
#![allow(dead_code)] // Each test uses its part of it.

pub mod liar;
mod rendezvous;
mod trace;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::plan::{Limits, Side};
use peer_proto::cause::Cause;
use peer_proto::client;
use peer_proto::endpoint::{Config, Endpoint, Event, Strangers, Wish};
use peer_proto::punch::Path;
use peer_proto::relay;
use rendezvous_proto::server;
use sansio::{Input, Protocol, Transmit};
use session::identity::Identity;
use session::rotation::Rotation;
use sim::{HostId, Network, Place, Profile};

use rendezvous::Rendezvous;

pub const SERVER: &str = "203.0.113.1:8848";

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A peer, and what it has told.
pub struct Peer {
    pub name: String,
    pub host: HostId,
    pub place: Place,
    pub endpoint: Endpoint,
    pub events: Vec<(Instant, Event)>,
    /// What it has sent.
    pub sent: Vec<(Instant, Transmit)>,
    now: Instant,
}

impl Protocol for Peer {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        self.endpoint.handle_input(now, input);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.endpoint.handle_timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.endpoint.poll_transmit()?;
        self.sent.push((self.now, transmit.clone()));
        Some(transmit)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }
}

pub struct World {
    pub network: Network,
    pub server: Rendezvous,
    /// How often it has been started.
    starts: u8,
    pub peers: Vec<Peer>,
    /// The homes of alice and bob.
    pub homes: Vec<Place>,
    /// All routers, and what they are.
    routers: Vec<(Place, String)>,
    /// The host of the server.
    host: HostId,
    /// Hosts that only use up ports; they come after all peers.
    pub noise: Vec<Noise>,
    /// Hosts of a test's own; they come after all others.
    pub others: Vec<Box<dyn Protocol>>,
}

/// A host that sends to another port of the server every time.
pub struct Noise {
    pause: Duration,
    next: Instant,
    sent: u16,
    due: bool,
}

impl Protocol for Noise {
    fn handle_input(&mut self, _: Instant, _: Input<'_>) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.next = now + self.pause;
        self.due = true;
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        self.sent += 1;
        Some(Transmit {
            socket: 0,
            to: SocketAddr::new(at(SERVER).ip(), 10_000 + self.sent),
            ttl: None,
            payload: vec![0],
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.next)
    }
}

fn addresses() -> Vec<SocketAddr> {
    [ip("203.0.113.1"), ip("203.0.113.2")]
        .into_iter()
        .flat_map(|ip| [8848, 8849].map(|port| SocketAddr::new(ip, port)))
        .collect()
}

fn rendezvous(now: Instant, secret: u8) -> Rendezvous {
    let config = server::Config {
        addresses: addresses(),
        secret: [secret; 32],
        rate: server::RATE,
        most_names: 100,
    };
    Rendezvous::new(config, now)
}

/// How a peer is set up.
pub struct Setup<'a> {
    pub name: &'a str,
    pub address: &'a str,
    pub peer: Option<&'a str>,
    /// Whom it waits for, if not for everybody.
    pub from: Option<&'a str>,
    pub strangers: Strangers,
    pub opener_ttl: Option<u8>,
    pub known: HashMap<String, [u8; 32]>,
    /// Its key replaces that of this name, and it shows the other's signature.
    pub replaces: Option<&'a str>,
    pub most_attempts: usize,
    pub side: Option<Side>,
    /// Its NAT is being measured until the test describes it; `side` does not count.
    pub measuring: bool,
    pub relay: Wish,
    pub lan: bool,
    pub turn: Option<relay::Config>,
    /// It is tried by TCP, too.
    pub tcp_too: bool,
}

impl<'a> Setup<'a> {
    pub fn new(name: &'a str, address: &'a str, peer: Option<&'a str>) -> Self {
        Setup {
            name,
            address,
            peer,
            from: None,
            strangers: Strangers::Answer,
            opener_ttl: Some(2),
            known: HashMap::new(),
            replaces: None,
            most_attempts: 1,
            side: None,
            measuring: false,
            relay: Wish::Never,
            lan: true,
            turn: None,
            tcp_too: false,
        }
    }
}

/// The key of a name in these tests.
pub fn identity(name: &str) -> Identity {
    let mut secret = [7; 32];
    secret[..name.len()].copy_from_slice(name.as_bytes());
    Identity::from_secret(&secret)
}

impl World {
    pub fn new(seed: u64) -> Self {
        World::with_server_at(seed, &[ip("203.0.113.1"), ip("203.0.113.2")])
    }

    /// The server is at these addresses alone; it tells clients of both.
    pub fn with_server_at(seed: u64, ips: &[IpAddr]) -> Self {
        let start = Instant::now();
        let mut network = Network::new(start, seed);
        trace::record(&mut network);
        let s1 = ip("203.0.113.1");
        let host = network.add_host(Network::CORE, ips);
        let mut addresses = addresses();
        addresses.retain(|address| ips.contains(&address.ip()));
        let relayed = rendezvous::PORTS.map(|port| SocketAddr::new(s1, port));
        for address in addresses.iter().copied().chain(relayed) {
            network.bind(host, address);
        }
        World {
            network,
            server: rendezvous(start, 42),
            starts: 1,
            peers: Vec::new(),
            homes: Vec::new(),
            routers: Vec::new(),
            host,
            noise: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The rendezvous starts anew and knows nobody, nor the cookies that it has given.
    pub fn restart_server(&mut self) {
        self.starts += 1;
        self.server = rendezvous(self.network.now(), 41 + self.starts);
    }

    /// A router of that type at the core.
    pub fn router(&mut self, outer: &str, profile: Profile) -> Place {
        let mut names = Profile::NAMES.iter();
        let name = names.find(|name| Profile::named(name).as_ref() == Some(&profile));
        let kind = match name {
            Some(name) => format!("a NAT of type {name}"),
            None => "a NAT of a test's own".to_owned(),
        };
        let place = self.network.add_router(Network::CORE, ip(outer), profile);
        self.routers.push((place, kind));
        place
    }

    /// A peer in that place; they are numbered from 0.
    pub fn peer(&mut self, place: Place, seed: u8, setup: Setup<'_>) {
        let local = at(setup.address);
        let host = self.network.add_host(place, &[local.ip()]);
        self.network.bind(host, local);
        let client = client::Config {
            server: at(SERVER),
            server_key: Some(rendezvous::key().public()),
            name: setup.name.into(),
            identity: identity(setup.name),
            sequence: 1000,
            relay: false,
            seed: [seed; 32],
        };
        let config = Config {
            hosts: Vec::from_iter(setup.lan.then_some(local)),
            lan: setup.lan,
            peer: setup.peer.map(str::to_owned),
            from: setup.from.map(str::to_owned),
            strangers: setup.strangers,
            most_attempts: setup.most_attempts,
            known: setup.known,
            rotation: setup.replaces.map(|before| {
                Rotation::new(
                    &identity(before),
                    setup.name,
                    &identity(setup.name).public(),
                )
            }),
            opener_ttl: setup.opener_ttl,
            measuring: setup.measuring,
            relay: setup.relay,
            turn: setup.turn,
            tcp_too: setup.tcp_too,
            ..Config::new(client)
        };
        let now = self.network.now();
        let mut endpoint = Endpoint::new(config, now);
        if !setup.measuring {
            endpoint.describe(now, setup.side);
        }
        self.peers.push(Peer {
            name: setup.name.to_owned(),
            host,
            place,
            endpoint,
            events: Vec::new(),
            sent: Vec::new(),
            now,
        });
    }

    /// A host in that place that makes a new mapping after each pause.
    pub fn noise(&mut self, place: Place, address: &str, pause: Duration) {
        let local = at(address);
        let host = self.network.add_host(place, &[local.ip()]);
        self.network.bind(host, local);
        self.noise.push(Noise {
            pause,
            next: self.network.now(),
            sent: 0,
            due: false,
        });
    }

    /// A host at the core.
    pub fn other(&mut self, address: SocketAddr, host: impl Protocol + 'static) {
        let id = self.network.add_host(Network::CORE, &[address.ip()]);
        self.network.bind(id, address);
        self.others.push(Box::new(host));
    }

    /// Runs until every peer has ended its attempt, or the time is over.
    pub fn run(&mut self, limit: Duration) {
        self.go(limit, |peers| peers.iter().all(Peer::has_ended));
    }

    /// Whether every peer has ended its attempt.
    pub fn has_ended(&self) -> bool {
        self.peers.iter().all(Peer::has_ended)
    }

    /// Runs for this time.
    pub fn pass(&mut self, time: Duration) {
        self.go(time, |_| false);
    }

    fn go(&mut self, limit: Duration, done: fn(&[Peer]) -> bool) {
        let deadline = self.network.now() + limit;
        loop {
            let mut protocols: Vec<&mut dyn Protocol> = vec![&mut self.server];
            for peer in &mut self.peers {
                protocols.push(peer);
            }
            for noise in &mut self.noise {
                protocols.push(noise);
            }
            for other in &mut self.others {
                protocols.push(other.as_mut());
            }
            let more = self.network.step(&mut protocols, deadline);
            let now = self.network.now();
            for peer in &mut self.peers {
                while let Some(event) = peer.endpoint.poll_event() {
                    peer.events.push((now, event));
                }
            }
            if !more || done(&self.peers) {
                return;
            }
        }
    }
}

impl Peer {
    fn has_ended(&self) -> bool {
        let ends = |e: &Event| matches!(e, Event::Finished { .. } | Event::Failed { .. });
        self.events.iter().any(|(_, event)| ends(event))
    }

    pub fn path(&self) -> Option<Path> {
        self.paths().first().copied()
    }

    /// Its paths, in the order in which they were told.
    pub fn paths(&self) -> Vec<Path> {
        let paths = self.events.iter().filter_map(|(_, event)| match event {
            Event::Connected { path, .. } => Some(*path),
            _ => None,
        });
        paths.collect()
    }

    pub fn cause(&self) -> Option<&Cause> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Failed { cause, .. } => Some(cause),
            _ => None,
        })
    }

    /// When the first path was told.
    pub fn connected_at(&self) -> Option<Instant> {
        let connects = |event: &Event| matches!(event, Event::Connected { .. });
        let mut events = self.events.iter();
        events.find(|(_, event)| connects(event)).map(|(at, _)| *at)
    }

    /// The time from the introduction to the path.
    pub fn took(&self) -> Option<Duration> {
        let time = |wanted: fn(&Event) -> bool| {
            self.events
                .iter()
                .find(|(_, event)| wanted(event))
                .map(|(at, _)| *at)
        };
        let introduced = time(|event| matches!(event, Event::Introduced { .. }))?;
        Some(time(|event| matches!(event, Event::Connected { .. }))? - introduced)
    }
}

/// alice behind a router of type `a` calls bob behind one of type `b`, who waits for
/// her.
pub fn two_homes(seed: u64, a: Profile, b: Profile) -> World {
    two_measured_homes(seed, a, b, None)
}

/// The same; if there are limits, both know their NATs and may spend these.
pub fn two_measured_homes(seed: u64, a: Profile, b: Profile, limits: Option<Limits>) -> World {
    two_relayed_homes(seed, (a, Wish::Never), (b, Wish::Never), limits)
}

/// The same; each may want a relay.
pub fn two_relayed_homes(
    seed: u64,
    (a, of_a): (Profile, Wish),
    (b, of_b): (Profile, Wish),
    limits: Option<Limits>,
) -> World {
    let mut world = World::new(seed);
    let behind = |profile: &Profile, private: &'static str, public: &'static str| {
        if profile.translates { private } else { public }
    };
    let alice = behind(&a, "192.168.1.2:41000", "203.0.113.18:41000");
    let bob = behind(&b, "192.168.2.2:42000", "203.0.113.34:42000");
    let sides = [&a, &b].map(|profile| limits.map(|limits| profile.side(limits)));
    let home = world.router("203.0.113.17", a);
    world.homes.push(home);
    let setup = Setup::new("alice", alice, Some("bob"));
    world.peer(
        home,
        1,
        Setup {
            side: sides[0],
            relay: of_a,
            ..setup
        },
    );
    let home = world.router("203.0.113.33", b);
    world.homes.push(home);
    let setup = Setup::new("bob", bob, None);
    world.peer(
        home,
        2,
        Setup {
            from: Some("alice"),
            side: sides[1],
            relay: of_b,
            ..setup
        },
    );
    world
}

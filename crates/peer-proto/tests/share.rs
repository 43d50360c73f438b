//! Two peers tell each other what they have noted, through the rendezvous, in the simulator.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::plan::Role;
use peer_proto::client;
use peer_proto::share::{Config, MOST_BYTES, Outcome, Share, Shared, Times};
use rendezvous_proto::server::{self, Server};
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};
use session::identity::Identity;
use sim::{Network, Profile};
use stun::{Class, Message, Method};

/// The longest that there may be.
const NAMES: [&str; 2] = [
    "alice-whose-name-is-32-bytes-lon",
    "bob-whose-name-is-32-bytes-long-",
];

fn identity(n: usize) -> Identity {
    Identity::from_secret(&[n as u8 + 1; 32])
}

/// bob's clock began this much earlier.
const AHEAD: Duration = Duration::from_secs(5);

struct World {
    start: Instant,
    network: Network,
    server: Server,
    server_at: SocketAddr,
}

impl World {
    fn new() -> Self {
        let start = Instant::now() + AHEAD;
        let mut network = Network::new(start, 1);
        let server_at: SocketAddr = "203.0.113.1:8848".parse().unwrap();
        let host = network.add_host(Network::CORE, &[server_at.ip()]);
        network.bind(host, server_at);
        let config = server::Config {
            addresses: vec![server_at],
            secret: [42; 32],
            rate: server::RATE,
            most_names: 100,
        };
        let server = Server::new(config, start).with_key(Identity::from_secret(&[7; 32]));
        let mut world = World {
            start,
            network,
            server,
            server_at,
        };
        for n in 0..2 {
            let outside = IpAddr::from([203, 0, 113, [17, 33][n]]);
            let inside = [192, 168, n as u8 + 1, 2];
            let nat = Profile::named("symmetric").unwrap();
            let lan = world.network.add_router(Network::CORE, outside, nat);
            let host = world.network.add_host(lan, &[IpAddr::from(inside)]);
            world.network.bind(host, SocketAddr::from((inside, 40000)));
        }
        world
    }

    fn share(&self, n: usize, bytes: Vec<u8>) -> Share {
        self.share_again(n, bytes, 1)
    }

    /// The same, which takes the place of those with a smaller SEQUENCE.
    fn share_again(&self, n: usize, bytes: Vec<u8>, sequence: u64) -> Share {
        let config = Config {
            client: client::Config {
                server: self.server_at,
                server_key: Some(Identity::from_secret(&[7; 32]).public()),
                name: NAMES[n].into(),
                identity: identity(n),
                sequence,
                relay: false,
                seed: [(n as u8 + 9).wrapping_add(sequence as u8); 32],
            },
            rotation: None,
            peer: NAMES[1 - n].into(),
            key: identity(1 - n).public(),
            role: [Role::Caller, Role::Callee][n],
            origin: self.start - AHEAD * n as u32,
            bytes,
        };
        Share::new(config, self.network.now())
    }

    /// Runs both until both have ended.
    fn run(&mut self, alice: &mut dyn Sharing, bob: &mut dyn Sharing) -> Vec<Outcome> {
        let deadline = self.start + Duration::from_secs(120);
        while alice.share().outcome().is_none() || bob.share().outcome().is_none() {
            let mut all: [&mut dyn Protocol; 3] =
                [&mut self.server, alice.protocol(), bob.protocol()];
            assert!(self.network.step(&mut all, deadline), "they go on and on");
        }
        let both = [alice.share(), bob.share()];
        both.map(|share| share.outcome().unwrap().clone()).to_vec()
    }
}

trait Sharing {
    fn share(&self) -> &Share;
    fn protocol(&mut self) -> &mut dyn Protocol;
}

impl Sharing for Share {
    fn share(&self) -> &Share {
        self
    }
    fn protocol(&mut self) -> &mut dyn Protocol {
        self
    }
}

/// A share that hears only what `hears` lets through.
struct Deafened<F> {
    share: Share,
    hears: F,
}

/// One whose packets are lost: of each four, the first two that it receives, counted from `received` on.
fn lossy(share: Share, mut received: u32) -> Deafened<impl FnMut(&Input<'_>) -> bool> {
    let hears = move |_: &Input<'_>| {
        received += 1;
        received % 4 > 1
    };
    Deafened { share, hears }
}

/// One that asks and hears no answer, so that it never gets beyond its first question.
fn asking(share: Share) -> Deafened<impl FnMut(&Input<'_>) -> bool> {
    let answer = |datagram: &Datagram<'_>| {
        Message::parse(datagram.payload).is_ok_and(|it| it.is(Class::Success, Method::Connect))
    };
    let hears =
        move |input: &Input<'_>| !matches!(input, Input::Datagram(datagram) if answer(datagram));
    Deafened { share, hears }
}

impl<F: FnMut(&Input<'_>) -> bool> Sharing for Deafened<F> {
    fn share(&self) -> &Share {
        &self.share
    }
    fn protocol(&mut self) -> &mut dyn Protocol {
        self
    }
}

impl<F: FnMut(&Input<'_>) -> bool> Protocol for Deafened<F> {
    fn handle_opened(&mut self, socket: SocketId, local: SocketAddr) {
        self.share.handle_opened(socket, local);
    }
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if (self.hears)(&input) {
            self.share.handle_input(now, input);
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.share.handle_timeout(now);
    }
    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.share.poll_transmit()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.share.poll_timeout()
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn shared(outcome: &Outcome) -> &Shared {
    match outcome {
        Outcome::Shared(shared) => shared,
        other => panic!("{other:?}"),
    }
}

/// The bounds on bob's clock minus alice's, in microseconds, as one of them knows them.
fn bounds(times: &[Times], of_alice: bool) -> (i64, i64) {
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for times in times {
        match *times {
            Times::Went { sent, received } => most = most.min(received as i64 - sent as i64),
            Times::Came { sent, received } => least = least.max(sent as i64 - received as i64),
        }
    }
    match of_alice {
        true => (least, most),
        false => (-most, -least),
    }
}

#[test]
fn each_side_gets_all_that_the_other_tells_and_bounds_its_clock() {
    for (of_alice, of_bob) in [(10, 5000), (MOST_BYTES, 0), (1300, 1300)] {
        let mut world = World::new();
        let mut alice = world.share(0, bytes(of_alice));
        let mut bob = world.share(1, bytes(of_bob));
        let outcomes = world.run(&mut alice, &mut bob);
        assert_eq!(shared(&outcomes[0]).bytes, bytes(of_bob));
        assert_eq!(shared(&outcomes[1]).bytes, bytes(of_alice));
        for (n, outcome) in outcomes.iter().enumerate() {
            let (least, most) = bounds(&shared(outcome).times, n == 0);
            let ahead = AHEAD.as_micros() as i64;
            assert!(least <= ahead && ahead <= most, "{n}: {least} {most}");
            assert!(most - least < 1_000_000, "{n}: {least} {most}");
        }
    }
}

#[test]
fn lost_messages_are_repeated_and_the_clocks_still_bounded() {
    let mut world = World::new();
    let mut alice = lossy(world.share(0, bytes(4000)), 0);
    let mut bob = lossy(world.share(1, bytes(3000)), 1);
    let outcomes = world.run(&mut alice, &mut bob);
    assert_eq!(shared(&outcomes[0]).bytes, bytes(3000));
    assert_eq!(shared(&outcomes[1]).bytes, bytes(4000));
    for (n, outcome) in outcomes.iter().enumerate() {
        let (least, most) = bounds(&shared(outcome).times, n == 0);
        let ahead = AHEAD.as_micros() as i64;
        assert!(least <= ahead && ahead <= most, "{n}: {least} {most}");
    }
}

#[test]
fn a_peer_that_does_not_come_ends_it_after_a_while() {
    let mut world = World::new();
    let mut alice = world.share(0, bytes(10));
    let deadline = world.start + Duration::from_secs(60);
    while alice.outcome().is_none() {
        let mut all: [&mut dyn Protocol; 2] = [&mut world.server, &mut alice];
        assert!(
            world.network.step(&mut all, deadline),
            "it waits without end"
        );
    }
    assert_eq!(alice.outcome(), Some(&Outcome::Silent));
}

#[test]
fn a_peer_that_begins_again_and_again_does_not_hold_the_other() {
    let mut world = World::new();
    let mut bob = world.share(1, bytes(5000));
    for begins in 1..=20 {
        let mut alice = asking(world.share_again(0, bytes(5000), 1 + 1000 * begins));
        let until = world.network.now() + Duration::from_secs(5);
        let mut all: [&mut dyn Protocol; 3] = [&mut world.server, &mut alice, &mut bob];
        while world.network.step(&mut all, until) {}
    }
    assert_eq!(bob.outcome(), Some(&Outcome::Silent));
}

#[test]
fn another_key_with_the_peers_name_gets_nothing() {
    let mut world = World::new();
    let mut alice = world.share(0, bytes(10));
    let mut bob = world.share(1, bytes(10));
    // alice has met another bob, and eve has not met alice.
    let config = |n: usize, key, world: &World| Config {
        client: client::Config {
            server: world.server_at,
            server_key: None,
            name: NAMES[n].into(),
            identity: identity(n),
            sequence: 1,
            relay: false,
            seed: [3; 32],
        },
        rotation: None,
        peer: NAMES[1 - n].into(),
        key,
        role: [Role::Caller, Role::Callee][n],
        origin: world.start,
        bytes: bytes(10),
    };
    let other = identity(5).public();
    let mut deceived = Share::new(config(0, other, &world), world.start);
    let outcomes = world.run(&mut deceived, &mut bob);
    assert_eq!(outcomes, [Outcome::OtherKey, Outcome::Silent]);
    let mut world = World::new();
    let mut deceived = Share::new(config(1, other, &world), world.start);
    let outcomes = world.run(&mut alice, &mut deceived);
    assert_eq!(outcomes, [Outcome::Silent, Outcome::Silent]);
}

//! TCP beside UDP: it is wanted where UDP finds no direct path to a known peer, and begins with the
//! next introduction if both sides have told where they are reached.

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use peer_proto::candidate::Tcp;
use peer_proto::endpoint::{Event, Wish};
use sim::Profile;
use world::{Peer, Setup, World, at};

const A: &str = "203.0.113.17:7001";
const B: &str = "203.0.113.33:7002";

/// alice calls bob; the NATs of both are of that type.
fn world(nat: &str, relay: Wish, tcp_too: [bool; 2], from: Option<&str>) -> World {
    let mut world = World::new(1);
    let nat = || Profile::named(nat).unwrap();
    let home = world.router("203.0.113.17", nat());
    let alice = Setup {
        relay,
        tcp_too: tcp_too[0],
        ..Setup::new("alice", "192.168.1.2:41000", Some("bob"))
    };
    world.peer(home, 1, alice);
    let home = world.router("203.0.113.33", nat());
    let bob = Setup {
        from,
        relay,
        tcp_too: tcp_too[1],
        ..Setup::new("bob", "192.168.2.2:42000", None)
    };
    world.peer(home, 2, bob);
    world
}

fn wanted(peer: &Peer) -> usize {
    let events = peer.events.iter();
    events.filter(|(_, it)| *it == Event::TcpWanted).count()
}

fn offer(world: &mut World) {
    for (peer, mapped) in world.peers.iter_mut().zip([A, B]) {
        let mapped = vec![at(mapped)];
        let port = 7000;
        peer.endpoint.offer_tcp_too(Some(Tcp { port, mapped }));
    }
}

fn call_again(world: &mut World) {
    let now = world.network.now();
    world.peers[0].endpoint.call(now, "bob");
    world.pass(Duration::from_secs(2));
}

/// Where each side connects to by TCP, if an attempt begins.
fn targets(world: &mut World) -> [Option<Vec<SocketAddr>>; 2] {
    [0, 1].map(|n| {
        let attempt = world.peers[n].endpoint.poll_tcp()?;
        Some(attempt.config().targets)
    })
}

#[test]
fn it_is_wanted_once_where_udp_finds_no_direct_path() {
    for relay in [Wish::Never, Wish::Allowed] {
        let mut world = world("symmetric", relay, [true; 2], Some("alice"));
        world.pass(Duration::from_secs(12));
        assert_eq!([0, 1].map(|n| wanted(&world.peers[n])), [1, 1], "{relay:?}");
        assert_eq!(targets(&mut world), [None, None]);
        offer(&mut world);
        call_again(&mut world);
        let expected = [("192.168.2.2:7000", B), ("192.168.1.2:7000", A)];
        let expected = expected.map(|(host, mapped)| Some(vec![at(host), at(mapped)]));
        assert_eq!(targets(&mut world), expected, "{relay:?}");
        assert_eq!([0, 1].map(|n| wanted(&world.peers[n])), [1, 1]);
    }
}

#[test]
fn it_is_not_wanted_where_udp_does() {
    let mut world = world("port-restricted", Wish::Never, [true; 2], Some("alice"));
    world.pass(Duration::from_secs(20));
    assert!(world.peers.iter().all(|peer| peer.path().is_some()));
    assert_eq!([0, 1].map(|n| wanted(&world.peers[n])), [0, 0]);
}

#[test]
fn nobody_connects_where_one_side_has_no_tcp() {
    for tcp_too in [[true, false], [false, true]] {
        let mut world = world("symmetric", Wish::Never, tcp_too, Some("alice"));
        world.pass(Duration::from_secs(12));
        let wanted = [0, 1].map(|n| wanted(&world.peers[n]) == 1);
        assert_eq!(wanted, tcp_too);
        offer(&mut world);
        call_again(&mut world);
        assert_eq!(targets(&mut world), [None, None]);
        let failed = |peer: &Peer| peer.cause().map(|cause| cause.code());
        assert_ne!(failed(&world.peers[0]), Some("TRANSPORT_MISMATCH"));
    }
}

#[test]
fn a_stranger_is_neither_told_nor_connected_to() {
    let mut world = world("symmetric", Wish::Never, [true; 2], None);
    world.pass(Duration::from_secs(12));
    assert_eq!([0, 1].map(|n| wanted(&world.peers[n])), [1, 0]);
    offer(&mut world);
    call_again(&mut world);
    assert_eq!(targets(&mut world), [None, None]);
}

#[test]
fn it_is_wanted_again_where_we_were_not_reached_by_tcp_and_never_with_the_relay_alone() {
    let mut reached = world("symmetric", Wish::Never, [true; 2], Some("alice"));
    reached.pass(Duration::from_secs(12));
    reached.peers[0].endpoint.offer_tcp_too(None);
    call_again(&mut reached);
    assert_eq!(wanted(&reached.peers[0]), 2);
    let mut hidden = world("symmetric", Wish::Only, [true; 2], Some("alice"));
    hidden.pass(Duration::from_secs(15));
    assert_eq!(wanted(&hidden.peers[0]), 0);
}

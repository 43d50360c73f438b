//! One endpoint and several peers: at the same time, one after the other, and again
//! after a path is lost.

mod world;

use std::time::Duration;

use peer_proto::endpoint::Event;
use peer_proto::punch::Path;
use sim::{Place, Profile};
use world::{Setup, World};

const A_WHILE: Duration = Duration::from_secs(5);

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

/// A peer that may have several attempts at the same time, behind a router of that
/// type. Peers are numbered from 0.
fn join(
    world: &mut World,
    name: &'static str,
    inner: &'static str,
    outer: &str,
    kind: &str,
) -> Place {
    let home = world.router(outer, profile(kind));
    let setup = Setup {
        most_attempts: 4,
        ..Setup::new(name, inner, None)
    };
    let seed = world.peers.len() as u8 + 1;
    world.peer(home, seed, setup);
    home
}

fn three() -> World {
    let mut world = World::new(1);
    join(
        &mut world,
        "alice",
        "192.168.1.2:41000",
        "203.0.113.17",
        "port-restricted",
    );
    join(
        &mut world,
        "bob",
        "192.168.2.2:42000",
        "203.0.113.33",
        "restricted",
    );
    join(
        &mut world,
        "carol",
        "192.168.3.2:43000",
        "203.0.113.49",
        "full-cone",
    );
    world.pass(A_WHILE);
    world
}

fn call(world: &mut World, from: usize, to: &str) {
    let now = world.network.now();
    world.peers[from].endpoint.call(now, to);
}

fn paths(world: &World, peer: usize, to: &str) -> Vec<Path> {
    let events = world.peers[peer].events.iter();
    events
        .filter_map(|(_, event)| match event {
            Event::Connected { peer, path } if peer == to => Some(*path),
            _ => None,
        })
        .collect()
}

#[test]
fn two_calls_at_once_both_connect() {
    let mut world = three();
    call(&mut world, 0, "bob");
    call(&mut world, 0, "carol");
    world.pass(A_WHILE);
    assert_eq!(paths(&world, 0, "bob").len(), 1);
    assert_eq!(paths(&world, 0, "carol").len(), 1);
    assert_eq!(paths(&world, 1, "alice").len(), 1);
    assert_eq!(paths(&world, 2, "alice").len(), 1);
}

#[test]
fn three_peers_that_all_call_each_other_connect() {
    let mut world = three();
    for from in 0..3 {
        for to in ["alice", "bob", "carol"] {
            if ["alice", "bob", "carol"][from] != to {
                call(&mut world, from, to);
            }
        }
    }
    world.pass(A_WHILE);
    for (peer, others) in [["bob", "carol"], ["alice", "carol"], ["alice", "bob"]]
        .iter()
        .enumerate()
    {
        for other in others {
            assert!(!paths(&world, peer, other).is_empty(), "{peer} {other}");
        }
    }
}

#[test]
fn either_side_can_call_again_after_a_path_is_lost() {
    let mut world = three();
    call(&mut world, 0, "bob");
    world.pass(A_WHILE);
    call(&mut world, 0, "bob");
    world.pass(A_WHILE);
    call(&mut world, 1, "alice");
    world.pass(A_WHILE);
    assert_eq!(paths(&world, 0, "bob").len(), 3);
    assert_eq!(paths(&world, 1, "alice").len(), 3);
}

#[test]
fn a_call_goes_on_until_it_is_hung_up() {
    let mut world = three();
    call(&mut world, 0, "dave");
    world.pass(A_WHILE);
    let cause = world.peers[0].endpoint.cause_so_far("dave").unwrap();
    assert_eq!(cause.code(), "PEER_OFFLINE");
    world.peers[0].endpoint.hang_up("dave");
    assert_eq!(world.peers[0].endpoint.cause_so_far("dave"), None);
    let connects = world.server.stats().refused;
    world.pass(A_WHILE);
    assert_eq!(world.server.stats().refused, connects, "it goes on asking");
}

#[test]
fn a_changed_key_is_refused_until_it_is_trusted() {
    let mut world = three();
    let bob = world::identity("bob").public();
    world.peers[0].endpoint.trust("bob", [9; 32]);
    call(&mut world, 0, "bob");
    world.pass(A_WHILE);
    assert!(paths(&world, 0, "bob").is_empty());
    world.peers[0].endpoint.trust("bob", bob);
    call(&mut world, 0, "bob");
    world.pass(A_WHILE);
    assert_eq!(paths(&world, 0, "bob").len(), 1);
}

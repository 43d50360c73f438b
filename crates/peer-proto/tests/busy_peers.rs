//! A peer that is asked whether to talk to its caller: the caller is told, waits, and is called back.

mod world;

use std::time::Duration;

use peer_proto::endpoint::{Event, Strangers};
use sim::{Network, Profile};
use world::{Setup, World, identity};

const SECOND: Duration = Duration::from_secs(1);

/// alice calls bob. Their names decide which key is the smaller one.
fn call(alice: &'static str, bob: &'static str, of_bob: Setup<'static>) -> World {
    let mut world = World::new(1);
    let home = world.router("203.0.113.17", Profile::named("port-restricted").unwrap());
    world.peer(home, 1, Setup::new(alice, "192.168.1.2:41000", Some(bob)));
    let home = world.router("203.0.113.33", Profile::named("port-restricted").unwrap());
    let of_bob = Setup {
        name: bob,
        ..of_bob
    };
    world.peer(home, 2, of_bob);
    world
}

#[test]
fn a_caller_of_a_busy_peer_is_told_and_tries_again_less_and_less_often() {
    let bob = Setup {
        from: Some("carol"),
        ..Setup::new("bob", "192.168.2.2:42000", None)
    };
    let mut world = call("alice", "bob", bob);
    world.pass(SECOND / 2);
    let alice = &world.peers[0].endpoint;
    let cause = alice.cause_so_far("bob").unwrap();
    assert_eq!(cause.code(), "PEER_BUSY");
    assert_eq!(world.server.stats().connects, 1);
    world.pass(60 * SECOND);
    // At 0, 1, 3, 7, 15, 31 and 47 s.
    assert_eq!(world.server.stats().connects, 7);
}

#[test]
fn a_caller_that_is_accepted_is_called_back_and_connected() {
    for (alice, bob) in [("alice", "bob"), ("bob", "alice")] {
        let asks = Setup {
            strangers: Strangers::Ask,
            ..Setup::new(bob, "192.168.2.2:42000", None)
        };
        let mut world = call(alice, bob, asks);
        world.pass(SECOND / 2);
        let cause = world.peers[0].endpoint.cause_so_far(bob).unwrap();
        assert_eq!(cause.code(), "PEER_BUSY");
        let asked = world.peers[1]
            .events
            .iter()
            .find_map(|(_, event)| match event {
                Event::Asking { peer, key, .. } => Some((peer.clone(), *key)),
                _ => None,
            });
        let (peer, key) = asked.expect("the user was asked");
        let now = world.network.now();
        let endpoint = &mut world.peers[1].endpoint;
        endpoint.admit(&peer, key);
        endpoint.call(now, &peer);
        // Before alice would have tried again.
        world.pass(SECOND / 4);
        for peer in &world.peers {
            assert!(peer.path().is_some(), "{alice} {bob}: {:#?}", peer.events);
        }
    }
}

#[test]
fn a_call_back_that_crosses_the_callers_next_try_connects_once() {
    for (alice, bob) in [("alice", "bob"), ("bob", "alice")] {
        for after in (1000..1400).step_by(10) {
            let asks = Setup {
                strangers: Strangers::Ask,
                ..Setup::new(bob, "192.168.2.2:42000", None)
            };
            let mut world = call(alice, bob, asks);
            world.network.set_latency(Network::CORE, SECOND / 100);
            world.pass(Duration::from_millis(after));
            let now = world.network.now();
            let endpoint = &mut world.peers[1].endpoint;
            endpoint.admit(alice, identity(alice).public());
            endpoint.call(now, alice);
            world.pass(SECOND);
            for peer in &world.peers {
                let connected = peer.path().is_some();
                assert!(connected, "{alice} {bob} {after} ms: {:#?}", peer.events);
            }
        }
    }
}

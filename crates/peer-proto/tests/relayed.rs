//! Two endpoints and a relay: it connects pairs that have no direct path, carries
//! data until there is a direct path, and hides the address of a peer that wants it.

mod world;

use std::time::Duration;

use nat::plan::Limits;
use peer_proto::endpoint::{Event, MOST_RELAYED, Wish};
use sansio::{Datagram, Protocol, Via};
use sim::Profile;
use world::{Setup, World, two_relayed_homes};

const LIMIT: Duration = Duration::from_secs(30);

fn run(a: (&str, Wish), b: (&str, Wish), limits: Limits) -> World {
    let [a, b] = [a, b].map(|(name, wish)| (Profile::named(name).unwrap(), wish));
    let mut world = two_relayed_homes(1, a, b, Some(limits));
    world.run(LIMIT);
    world
}

#[test]
fn the_relay_connects_two_symmetric_nats() {
    for other in ["symmetric", "symmetric-block", "symmetric-sequential"] {
        let both = [("symmetric", Wish::Allowed), (other, Wish::Allowed)];
        let world = run(both[0], both[1], Limits::POLITE);
        let [alice, bob] = [0, 1].map(|n| world.peers[n].paths());
        assert_eq!((alice.len(), bob.len()), (1, 1), "{other}");
        assert!(alice[0].relayed && alice[0].via == Via::Relay);
        assert!(bob[0].relayed && bob[0].remote.ip() == world::ip("203.0.113.1"));
    }
}

#[test]
fn a_direct_path_replaces_the_relay() {
    let (alice, bob) = (
        ("symmetric", Wish::Allowed),
        ("port-restricted", Wish::Allowed),
    );
    let world = run(alice, bob, Limits::POLITE);
    for peer in &world.peers {
        let relayed: Vec<bool> = peer.paths().iter().map(|path| path.relayed).collect();
        assert_eq!(relayed, [true, false]);
        let last = peer.events.last().map(|(_, event)| event);
        assert!(matches!(last, Some(Event::Finished { .. })), "{last:?}");
    }
}

#[test]
fn a_direct_path_that_comes_soon_is_not_preceded_by_a_relayed_one() {
    let both = [
        ("port-restricted", Wish::Allowed),
        ("restricted", Wish::Allowed),
    ];
    let world = run(both[0], both[1], Limits::POLITE);
    for peer in &world.peers {
        assert_eq!(peer.paths().len(), 1);
        assert!(!peer.path().unwrap().relayed);
    }
}

#[test]
fn with_relay_only_nothing_is_sent_to_the_peer_directly() {
    let both = [("full-cone", Wish::Only), ("full-cone", Wish::Allowed)];
    let world = run(both[0], both[1], Limits::POLITE);
    for peer in &world.peers {
        assert_eq!(peer.paths().len(), 1);
        assert!(peer.path().unwrap().relayed);
    }
    // bob's own probes come to alice's open NAT, and are not answered.
    let of_alice = world::ip("203.0.113.17");
    assert_ne!(world.peers[1].path().unwrap().remote.ip(), of_alice);
}

#[test]
fn with_relay_only_direct_probes_are_not_answered() {
    // With losses, the peer's own probe often comes first.
    for seed in 0..20 {
        let [a, b] = [Wish::Only, Wish::Allowed];
        let [a, b] = [a, b].map(|wish| (Profile::named("full-cone").unwrap(), wish));
        let mut world = two_relayed_homes(seed, a, b, Some(Limits::POLITE));
        world.network.set_loss(20.0);
        world.run(LIMIT);
        let [alice, bob] = [0, 1].map(|n| world.peers[n].paths());
        assert!(alice.iter().all(|path| path.relayed), "{seed}: {alice:?}");
        let of_alice = world::ip("203.0.113.17");
        let at_alice = bob.iter().any(|path| path.remote.ip() == of_alice);
        assert!(!at_alice, "{seed}: {bob:?}");
    }
}

#[test]
fn there_is_no_relayed_path_unless_both_sides_allow_it() {
    for wishes in [(Wish::Never, Wish::Allowed), (Wish::Allowed, Wish::Never)] {
        let world = run(
            ("symmetric", wishes.0),
            ("symmetric", wishes.1),
            Limits::POLITE,
        );
        for peer in &world.peers {
            assert_eq!(peer.cause().map(|cause| cause.code()), Some("SYM_SYM"));
        }
    }
}

/// A ChannelData message, with the number of the first channel.
fn channel_data(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x40, 0x00], &length[..], payload].concat()
}

#[test]
fn a_relayed_payload_costs_four_bytes_once_a_channel_is_bound() {
    let both = ("symmetric", Wish::Allowed);
    let mut world = run(both, both, Limits::POLITE);
    let bob = world.peers[0].path().unwrap().remote;
    let packet = [0x45; 1200];
    let now = world.network.now();
    let alice = &mut world.peers[0].endpoint;
    alice.relay_send(now, bob, &packet);
    let first = alice.poll_transmit().unwrap();
    assert_eq!(
        (first.to, first.payload.len()),
        (world::at(world::SERVER), 1236)
    );
    world.pass(Duration::from_secs(1));

    let now = world.network.now();
    let alice = &mut world.peers[0].endpoint;
    alice.relay_send(now, bob, &packet);
    let second = alice.poll_transmit().unwrap();
    assert_eq!(second.to, world::at(world::SERVER));
    assert!(second.payload == channel_data(&packet));

    let inbound = |payload| Datagram {
        socket: 0,
        from: world::at(world::SERVER),
        ttl: None,
        payload,
    };
    let (foreign, stun) = (channel_data(&packet), channel_data(&[1; 20]));
    for _ in 0..=MOST_RELAYED {
        assert!(alice.handle_datagram(now, inbound(&foreign)));
    }
    // STUN is for the endpoint.
    assert!(!alice.handle_datagram(now, inbound(&stun)));
    for _ in 0..MOST_RELAYED {
        assert_eq!(alice.poll_relayed().map(|(peer, _)| peer), Some(bob));
    }
    assert!(alice.poll_relayed().is_none());
}

#[test]
fn a_likely_direct_path_is_waited_for_before_a_relayed_one_is_used() {
    let mut world = World::new(1);
    for (number, name, peer) in [(1, "alice", Some("bob")), (2, "bob", None)] {
        let home = world.router(
            &format!("203.0.113.{number}7"),
            Profile::named("port-restricted").unwrap(),
        );
        let address = format!("192.168.{number}.2:41000");
        let setup = Setup {
            relay: Wish::Allowed,
            // So the direct path waits until bob's full probes may leave.
            opener_ttl: None,
            ..Setup::new(name, &address, peer)
        };
        world.peer(home, number, setup);
    }
    world.run(LIMIT);
    for peer in &world.peers {
        assert_eq!(peer.paths().len(), 1);
        assert!(!peer.path().unwrap().relayed);
    }
}

#[test]
fn a_peer_whose_address_changes_gets_another_relayed_address() {
    let both = ("symmetric", Wish::Allowed);
    let mut world = run(both, both, Limits::POLITE);
    let relayed = |world: &World| world.peers[1].paths().last().unwrap().remote;
    let before = relayed(&world);
    world.network.restart_router(world::ip("203.0.113.17"));
    let now = world.network.now();
    let alice = &mut world.peers[0].endpoint;
    alice.refresh(now);
    alice.call(now, "bob");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.peers[1].paths().len(), 2);
    assert_ne!(relayed(&world), before);
}

#[test]
fn an_allocation_that_the_relay_has_lost_is_made_anew() {
    let both = ("symmetric", Wish::Allowed);
    let mut world = run(both, both, Limits::POLITE);
    world.restart_server();
    for attempt in 1..=2 {
        let now = world.network.now();
        for peer in &mut world.peers {
            peer.endpoint.refresh(now);
        }
        world.peers[0].endpoint.call(now, "bob");
        world.pass(Duration::from_secs(10));
        // The first attempt fails, which shows that the allocation is lost.
        let paths = world.peers.iter().map(|peer| peer.paths().len());
        assert_eq!(Vec::from_iter(paths), [attempt, attempt]);
    }
    assert!(world.peers[0].paths()[1].relayed);
}

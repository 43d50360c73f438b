//! Two endpoints and a relay: it joins whom nothing else joins, bridges the
//! time in which a direct path is looked for, and hides who wants to hide.

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
fn the_relay_joins_two_symmetric_nats() {
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
fn a_path_that_is_sure_to_come_is_not_bridged() {
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
fn who_wants_a_relay_alone_sends_the_peer_nothing() {
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
fn nor_answers_it_when_the_relay_is_slow() {
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
fn without_the_wish_of_both_there_is_no_relay() {
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

/// What the relay tells of a peer, with the channel's number in place of its
/// address.
fn channel_data(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x40, 0x00], &length[..], payload].concat()
}

#[test]
fn what_is_not_stun_goes_through_the_relay_for_four_bytes_more() {
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
    // STUN is not for others.
    assert!(!alice.handle_datagram(now, inbound(&stun)));
    for _ in 0..MOST_RELAYED {
        assert_eq!(alice.poll_relayed().map(|(peer, _)| peer), Some(bob));
    }
    assert!(alice.poll_relayed().is_none());
}

#[test]
fn a_path_that_may_well_come_is_not_bridged_at_once() {
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
fn who_is_seen_elsewhere_gets_another_relayed_address() {
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
fn a_relay_that_has_forgotten_us_is_asked_anew() {
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
        // The first fails, which takes to notice.
        let paths = world.peers.iter().map(|peer| peer.paths().len());
        assert_eq!(Vec::from_iter(paths), [attempt, attempt]);
    }
    assert!(world.peers[0].paths()[1].relayed);
}

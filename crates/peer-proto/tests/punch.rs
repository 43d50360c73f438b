//! Two endpoints and a rendezvous in the simulator: which pairs of NATs connect,
//! how fast, and which cause is told where they do not.

mod world;

use std::time::Duration;

use nat::oracle::{Outcome, expected};
use peer_proto::endpoint::Event;
use sim::{Network, Profile};
use world::{Setup, World, identity, two_homes};

const LIMIT: Duration = Duration::from_secs(30);

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

#[test]
fn every_pair_of_nat_types_ends_as_the_oracle_says() {
    let mut direct = 0;
    for a in Profile::NAMES {
        for b in Profile::NAMES {
            let (a_profile, b_profile) = (profile(a), profile(b));
            let expected = expected(&a_profile.behaviour(), &b_profile.behaviour());
            let mut world = two_homes(1, a_profile, b_profile);
            world.run(LIMIT);
            for (name, peer) in [("alice", &world.peers[0]), ("bob", &world.peers[1])] {
                let connected = peer.path().is_some();
                assert_eq!(
                    connected,
                    expected.outcome == Outcome::Direct,
                    "{a} × {b}, {name}: expected {expected:?}, events {:#?}",
                    peer.events
                );
                direct += u32::from(connected);
            }
        }
    }
    // Twelve types by twelve; the oracle is checked cell by cell elsewhere.
    assert!(direct > 140, "{direct}");
}

#[test]
fn the_three_classical_failures_have_their_causes() {
    for (a, b, code) in [
        ("symmetric", "symmetric", "SYM_SYM"),
        ("symmetric", "port-restricted", "SYMMETRIC_REMAP"),
        ("port-restricted", "symmetric", "SYMMETRIC_REMAP"),
    ] {
        let mut world = two_homes(1, profile(a), profile(b));
        world.run(LIMIT);
        for peer in &world.peers {
            assert_eq!(
                peer.cause().map(|cause| cause.code()),
                Some(code),
                "{a} × {b}"
            );
        }
        let told = format!("{:?}", world.peers[0].cause());
        assert!(told.contains("203.0.113."), "no address in: {told}");
    }
}

#[test]
fn each_side_reaches_the_others_reflexive_address() {
    let mut world = two_homes(1, profile("full-cone"), profile("restricted"));
    world.run(LIMIT);
    let remote = |peer: usize| world.peers[peer].path().unwrap().remote;
    assert_eq!(remote(0), world.peers[1].endpoint.mapped()[0]);
    assert_eq!(remote(1), world.peers[0].endpoint.mapped()[0]);
}

#[test]
fn probes_are_answered_to_the_address_that_they_came_from() {
    // A common fault is to answer to the address that the server has told.
    let mut world = two_homes(1, profile("restricted"), profile("symmetric"));
    world.run(LIMIT);
    let bob = world.peers[0].path().unwrap().remote;
    assert_ne!(bob, world.peers[1].endpoint.mapped()[0]);
}

#[test]
fn plain_pairs_connect_within_two_round_trips_of_the_introduction() {
    let plain = ["full-cone", "restricted", "port-restricted", "masquerade"];
    for a in plain {
        for b in plain {
            let mut world = two_homes(1, profile(a), profile(b));
            world
                .network
                .set_latency(Network::CORE, Duration::from_millis(20));
            world.run(LIMIT);
            let alice = &world.peers[0];
            let round_trip = alice.path().unwrap().rtt.unwrap();
            let took = alice.took().unwrap();
            assert!(
                took <= 2 * round_trip,
                "{a} × {b}: {took:?} of {round_trip:?}"
            );
        }
    }
}

#[test]
fn low_ttl_openers_keep_a_masquerade_from_using_another_port() {
    let run = |opener_ttl| {
        let mut world = World::new(1);
        for (n, (name, inner, outer, peer)) in [
            ("alice", "192.168.1.2:41000", "203.0.113.17", Some("bob")),
            ("bob", "192.168.2.2:42000", "203.0.113.33", None),
        ]
        .into_iter()
        .enumerate()
        {
            let home = world.router(outer, profile("masquerade"));
            let setup = Setup {
                opener_ttl,
                ..Setup::new(name, inner, peer)
            };
            world.peer(home, n as u8, setup);
        }
        world.run(LIMIT);
        world.peers[0].path().is_some()
    };
    assert!(run(Some(2)));
    // Without openers, the caller's probe comes to the target's router before a
    // packet of the target has left there.
    assert!(!run(None));
}

#[test]
fn two_hosts_of_one_lan_use_a_lan_path() {
    let mut world = World::new(1);
    let home = world.router("203.0.113.17", profile("port-restricted"));
    world.peer(
        home,
        1,
        Setup::new("alice", "192.168.1.2:41000", Some("bob")),
    );
    let bob = Setup {
        from: Some("alice"),
        ..Setup::new("bob", "192.168.1.3:42000", None)
    };
    world.peer(home, 2, bob);
    world.run(LIMIT);
    for peer in &world.peers {
        assert!(peer.path().unwrap().lan, "{:#?}", peer.events);
    }
}

#[test]
fn there_is_no_lan_path_where_one_side_wants_none() {
    for shy in ["alice", "bob"] {
        let mut world = World::new(1);
        let home = world.router("203.0.113.17", profile("port-restricted"));
        let mut alice = Setup::new("alice", "192.168.1.2:41000", Some("bob"));
        alice.lan = shy != "alice";
        world.peer(home, 1, alice);
        let mut bob = Setup::new("bob", "192.168.1.3:42000", None);
        bob.from = Some("alice");
        bob.lan = shy != "bob";
        world.peer(home, 2, bob);
        world.run(LIMIT);
        for peer in &world.peers {
            assert_eq!(peer.path(), None, "{shy}: this NAT does not hairpin");
        }
    }
}

#[test]
fn equal_private_subnets_are_not_taken_for_one_lan() {
    // bob's private address is also that of a stranger on alice's LAN, who
    // speaks the same protocol.
    let mut world = World::new(1);
    let home = world.router("203.0.113.17", profile("port-restricted"));
    world.peer(
        home,
        1,
        Setup::new("alice", "192.168.1.2:41000", Some("bob")),
    );
    world.peer(home, 3, Setup::new("stranger", "192.168.1.3:42000", None));
    let home = world.router("203.0.113.33", profile("port-restricted"));
    let bob = Setup {
        from: Some("alice"),
        ..Setup::new("bob", "192.168.1.3:42000", None)
    };
    world.peer(home, 2, bob);
    world.run(Duration::from_secs(5));
    let path = world.peers[0].path().unwrap();
    assert!(!path.lan, "{path:?}");
    assert_eq!(path.remote, world.peers[2].endpoint.mapped()[0]);
    assert_eq!(world.peers[1].path(), None);
}

#[test]
fn packet_loss_does_not_prevent_a_path() {
    for percent in [10.0, 30.0] {
        for seed in 0..100 {
            let mut world = two_homes(seed, profile("port-restricted"), profile("restricted"));
            world.network.set_loss(percent);
            world.run(LIMIT);
            let alice = &world.peers[0];
            assert!(
                alice.path().is_some(),
                "seed {seed}, {percent} %: {:#?}",
                alice.events
            );
        }
    }
}

#[test]
fn two_peers_that_call_each_other_connect_once() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let home = world.router("203.0.113.17", profile("port-restricted"));
        let setup = Setup::new("alice", "192.168.1.2:41000", Some("bob"));
        world.peer(home, seed as u8, setup);
        let home = world.router("203.0.113.33", profile("port-restricted"));
        let setup = Setup::new("bob", "192.168.2.2:42000", Some("alice"));
        world.peer(home, seed as u8 + 100, setup);
        world.run(LIMIT);
        for peer in &world.peers {
            assert!(peer.path().is_some(), "seed {seed}: {:#?}", peer.events);
        }
    }
}

#[test]
fn a_changed_key_is_told_and_nothing_is_sealed_to_it() {
    let mut world = World::new(1);
    let home = world.router("203.0.113.17", profile("full-cone"));
    let mut setup = Setup::new("alice", "192.168.1.2:41000", Some("bob"));
    setup
        .known
        .insert("bob".into(), identity("somebody else").public());
    world.peer(home, 1, setup);
    let home = world.router("203.0.113.33", profile("full-cone"));
    world.peer(home, 2, Setup::new("bob", "192.168.2.2:42000", None));
    world.run(Duration::from_secs(5));
    let changed = |(_, event): &(_, Event)| matches!(event, Event::KeyChanged { .. });
    assert!(world.peers[0].events.iter().any(changed));
    assert_eq!(world.server.stats().connects, 0);
    assert_eq!(world.peers[0].endpoint.probes_sent(), 0);
}

#[test]
fn a_late_peer_is_waited_for() {
    let mut world = World::new(1);
    let home = world.router("203.0.113.17", profile("full-cone"));
    world.peer(
        home,
        1,
        Setup::new("alice", "192.168.1.2:41000", Some("bob")),
    );
    world.run(Duration::from_secs(2));
    let cause = world.peers[0].endpoint.cause_so_far("bob").unwrap();
    assert_eq!(cause.code(), "PEER_OFFLINE");
    let home = world.router("203.0.113.33", profile("full-cone"));
    world.peer(home, 2, Setup::new("bob", "192.168.2.2:42000", None));
    world.run(LIMIT);
    assert!(world.peers[0].path().is_some());
}

#[test]
fn a_server_that_is_at_another_address_now_is_registered_at_there() {
    let mut world = two_homes(1, profile("full-cone"), profile("full-cone"));
    let dead = world::at("203.0.113.9:8848");
    let now = world.network.now();
    for peer in &mut world.peers {
        peer.endpoint.move_server(now, dead);
    }
    world.pass(Duration::from_secs(4));
    let answers = |event: &Event| matches!(event, Event::ServerAnswers);
    let silent = |event: &Event| matches!(event, Event::ServerSilent);
    let now = world.network.now();
    for peer in &mut world.peers {
        assert!(peer.events.iter().any(|(_, event)| silent(event)));
        assert!(!peer.events.iter().any(|(_, event)| answers(event)));
        assert!(peer.endpoint.mapped().is_empty());
        peer.endpoint.move_server(now, world::at(world::SERVER));
    }
    world.run(LIMIT);
    assert!(world.peers[0].path().is_some());
    for peer in &world.peers {
        assert!(peer.events.iter().any(|(_, event)| answers(event)));
    }
}

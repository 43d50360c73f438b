//! The strategies that guess ports, with two endpoints in the simulator: what is
//! planned is done, and connects.

mod world;

use std::time::Duration;

use nat::plan::{Limits, Strategy, between};
use peer_proto::endpoint::{Event, Wish};
use peer_proto::relay;
use sim::{Network, Profile};
use world::{Setup, World, at, two_measured_homes};

const LIMIT: Duration = Duration::from_secs(60);

/// A higher rate than elsewhere, so that the tests are short.
const LAB: Limits = Limits {
    pps: 4000,
    probes: 4000,
    ..Limits::POLITE
};

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

fn run(seed: u64, a: &str, b: &str, limits: Limits) -> World {
    let mut world = two_measured_homes(seed, profile(a), profile(b), Some(limits));
    world.run(LIMIT);
    world
}

fn is_connected(world: &World) -> bool {
    world.peers.iter().all(|peer| peer.path().is_some())
}

#[test]
fn every_pair_that_has_a_plan_connects() {
    for a in Profile::NAMES {
        for b in Profile::NAMES {
            let plan = between(&profile(a).side(LAB), &profile(b).side(LAB));
            let hopeless = !plan.strategy.may_be_direct();
            let symmetric = [a, b].contains(&"symmetric");
            assert_eq!(
                hopeless,
                [a, b].contains(&"udp-blocked")
                    || symmetric && [a, b].iter().all(|name| name.starts_with("symmetric")),
                "{a} × {b}: {plan:?}"
            );
            let world = run(1, a, b, LAB);
            assert_eq!(is_connected(&world), !hopeless, "{a} × {b}: {plan:?}");
        }
    }
}

#[test]
fn after_a_hit_both_sides_have_a_path() {
    for (a, b) in [
        ("symmetric", "port-restricted"),
        ("port-restricted", "symmetric"),
        ("symmetric-block", "symmetric-block"),
        ("symmetric-sequential", "symmetric-sequential"),
    ] {
        let world = run(7, a, b, LAB);
        let [alice, bob] = [0, 1].map(|n| world.peers[n].path().unwrap());
        assert_eq!(alice.remote.ip().to_string(), "203.0.113.33");
        assert_eq!(bob.remote.ip().to_string(), "203.0.113.17");
    }
}

#[test]
fn openers_do_not_reach_a_masquerade_before_its_own_packets_have_left() {
    // The symmetric side's openers must not arrive before the other has sent.
    for seed in 0..10 {
        assert!(is_connected(&run(seed, "masquerade", "symmetric", LAB)));
        assert!(is_connected(&run(seed, "symmetric", "masquerade", LAB)));
    }
}

#[test]
fn the_mean_number_of_guesses_agrees_with_the_formula() {
    // Probes to random ports until one hits one of the hidden side's k sockets:
    // (P + 1) / (k + 1), where P is the number of ports, and the hidden side's
    // packets have left before.
    let (runs, mut sum) = (400, 0);
    for seed in 0..runs {
        let world = run(seed, "port-restricted", "symmetric", LAB);
        let path = world.peers[0].path().expect("a path");
        sum += path.guess.expect("it was guessed");
    }
    let (mean, formula) = (
        f64::from(sum) / runs as f64,
        64513.0 / f64::from(LAB.sockets + 1),
    );
    assert!((mean / formula - 1.0).abs() < 0.15, "{mean}, not {formula}");
}

#[test]
fn the_ports_of_a_busy_counting_nat_are_bracketed() {
    // Another host makes 250 mappings a second, and the way to the server takes
    // 100 ms: the last port is out of date when the peer is told of it.
    for hidden_calls in [true, false] {
        let names = ["symmetric-sequential", "port-restricted"];
        let [a, b] = if hidden_calls {
            names
        } else {
            [names[1], names[0]]
        };
        let mut world = two_measured_homes(1, profile(a), profile(b), Some(LAB));
        world
            .network
            .set_latency(Network::CORE, Duration::from_millis(25));
        let (home, stranger) = match hidden_calls {
            true => (world.homes[0], "192.168.1.9:40000"),
            false => (world.homes[1], "192.168.2.9:40000"),
        };
        world.noise(home, stranger, Duration::from_millis(4));
        world.run(LIMIT);
        assert!(
            is_connected(&world),
            "{a} × {b}: {:#?}",
            world.peers[0].events
        );
    }
}

#[test]
fn a_side_that_allows_no_guesses_sends_none() {
    let stingy = Limits::NOTHING;
    let mut world = two_measured_homes(
        1,
        profile("symmetric"),
        profile("port-restricted"),
        Some(stingy),
    );
    world.run(LIMIT);
    for peer in &world.peers {
        assert!(peer.endpoint.probes_sent() < 20);
        let strategy = peer.events.iter().find_map(|(_, event)| match event {
            Event::Introduced { plan, .. } => Some(plan.strategy),
            _ => None,
        });
        assert_eq!(strategy, Some(Strategy::Relay));
    }
}

#[test]
fn a_silent_relay_delays_a_call_only_for_a_limited_time() {
    // The wait for a relayed address ends while the last port of a counting NAT is
    // still being asked for. (The simulator fails where timeouts do nothing.)
    let mut world = World::new(1);
    let home = world.router("203.0.113.17", profile("symmetric-sequential"));
    let caller = Setup {
        side: Some(profile("symmetric-sequential").side(LAB)),
        relay: Wish::Allowed,
        turn: Some(relay::Config {
            server: at("203.0.113.99:3478"),
            username: "alice".into(),
            password: "secret".into(),
            challenge: None,
        }),
        ..Setup::new("alice", "192.168.1.2:41000", Some("bob"))
    };
    world.peer(home, 1, caller);
    let home = world.router("203.0.113.33", profile("port-restricted"));
    let target = Setup {
        side: Some(profile("port-restricted").side(LAB)),
        from: Some("alice"),
        ..Setup::new("bob", "192.168.2.2:42000", None)
    };
    world.peer(home, 2, target);
    world.run(LIMIT);
    assert!(is_connected(&world));
}

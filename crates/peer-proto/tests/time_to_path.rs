//! How soon there is a path: a peer is called at once, while both NATs are being measured,
//! and is told of them later if there is no direct path by then.

mod world;

use std::time::Duration;

use nat::oracle::{Outcome, expected};
use nat::plan::{Limits, Side, Strategy, between};
use peer_proto::endpoint::{Event, Wish};
use sim::{Network, Profile};
use world::{Setup, World};

const LIMIT: Duration = Duration::from_secs(60);

/// A higher rate than elsewhere, so that the tests are short.
const LAB: Limits = Limits {
    pps: 4000,
    probes: 4000,
    ..Limits::POLITE
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    Profile::NAMES
        .into_iter()
        .flat_map(|a| Profile::NAMES.map(|b| (a, b)))
}

fn is_plain((a, b): (&str, &str)) -> bool {
    let [a, b] = [a, b].map(|name| profile(name).behaviour());
    expected(&a, &b).outcome == Outcome::Direct
}

/// bob waits; then alice starts, and calls him. Each NAT is being measured for this time
/// after the start of its host. `one_way` is from each host to the core.
fn meet(
    seed: u64,
    (a, b): (&str, &str),
    (of_alice, of_bob): (Duration, Duration),
    one_way: Duration,
    relay: Wish,
) -> World {
    let sides = [a, b].map(|name| Some(profile(name).side(LAB)));
    meet_with(sides, seed, (a, b), (of_alice, of_bob), one_way, relay)
}

/// The same with these results of the measurements, of which some may have failed.
fn meet_with(
    sides: [Option<Side>; 2],
    seed: u64,
    (a, b): (&str, &str),
    (of_alice, of_bob): (Duration, Duration),
    one_way: Duration,
    relay: Wish,
) -> World {
    let mut world = World::new(seed);
    let address = |name: &str, private: &'static str, public: &'static str| {
        if profile(name).translates {
            private
        } else {
            public
        }
    };
    let of_a = address(a, "192.168.1.2:41000", "203.0.113.18:41000");
    let of_b = address(b, "192.168.2.2:42000", "203.0.113.34:42000");
    let homes = [("203.0.113.17", a), ("203.0.113.33", b)]
        .map(|(outer, name)| world.router(outer, profile(name)));
    world.network.set_latency(Network::CORE, Duration::ZERO);
    for home in homes {
        world.network.set_latencies(home, one_way, one_way);
    }
    let bob = Setup {
        from: Some("alice"),
        measuring: true,
        relay,
        ..Setup::new("bob", of_b, None)
    };
    world.peer(homes[1], 2, bob);
    world.pass(ms(2000).min(of_bob.max(10 * one_way)));
    let alice = Setup {
        measuring: true,
        relay,
        ..Setup::new("alice", of_a, Some("bob"))
    };
    world.peer(homes[0], 1, alice);
    let mut measured = [(1, sides[0], of_alice), (0, sides[1], of_bob)];
    measured.sort_by_key(|(_, _, at)| *at);
    let mut passed = Duration::ZERO;
    for (peer, side, at) in measured {
        if !world.has_ended() {
            world.run(at - passed);
        }
        passed = at;
        let now = world.network.now();
        world.peers[peer].endpoint.describe(now, side);
    }
    world.run(LIMIT);
    world
}

fn alice(world: &World) -> &world::Peer {
    &world.peers[1]
}

/// From alice's start to her path.
fn time_to_path(world: &World) -> Option<Duration> {
    let alice = alice(world);
    Some(alice.connected_at()? - alice.sent.first()?.0)
}

/// Where the callee's packets alone open the way, and the caller's NAT must have let a packet
/// out before one comes in, the way to that NAT and back is waited for once more.
fn waits_for_the_callee((a, b): (&str, &str)) -> bool {
    let remaps = profile(b).behaviour().mapping != Some(nat::Dependence::EndpointIndependent);
    a == "restricted" && remaps
}

#[test]
fn a_plain_pair_is_direct_within_four_round_trips_of_the_start() {
    for one_way in [0, 1, 25, 125].map(ms) {
        let round_trip = 4 * one_way;
        for pair in pairs().filter(|pair| is_plain(*pair)) {
            // Neither NAT is measured before there is a path.
            let world = meet(1, pair, (ms(5000), ms(5000)), one_way, Wish::Never);
            let took = time_to_path(&world);
            let told = &alice(&world).events;
            let took = took.unwrap_or_else(|| panic!("{pair:?}, {one_way:?}: {told:#?}"));
            let round_trips = match waits_for_the_callee(pair) {
                true => 5,
                false => 4,
            };
            assert!(
                took <= round_trips * round_trip + ms(10),
                "{pair:?}, {one_way:?} to the core: {took:?}"
            );
        }
    }
}

fn plans(world: &World) -> Vec<Strategy> {
    let events = alice(world).events.iter();
    let plans = events.filter_map(|(_, event)| match event {
        Event::Introduced { plan, .. } => Some(plan.strategy),
        _ => None,
    });
    plans.collect()
}

#[test]
fn ports_are_guessed_once_both_nats_are_measured_whoever_knows_first() {
    for late in [
        (ms(200), ms(200)),
        (ms(200), Duration::ZERO),
        (Duration::ZERO, ms(500)),
        (ms(200), ms(700)),
    ] {
        for pair in pairs() {
            let (a, b) = pair;
            let plan = between(&profile(a).side(LAB), &profile(b).side(LAB));
            if !plan.guesses() {
                continue;
            }
            let world = meet(1, pair, late, ms(1), Wish::Never);
            let told = &alice(&world).events;
            for peer in &world.peers {
                assert!(peer.path().is_some(), "{pair:?}, {late:?}: {told:#?}");
            }
            assert_eq!(
                plans(&world),
                [Strategy::Unknown, plan.strategy],
                "{pair:?}, {late:?}"
            );
        }
    }
}

#[test]
fn plain_probes_spoil_no_later_guess() {
    // A bare masquerade moves a flow to another port if one packet has come in before.
    for seed in 0..10 {
        for pair in [("masquerade", "symmetric"), ("symmetric", "masquerade")] {
            let world = meet(seed, pair, (ms(200), ms(200)), ms(10), Wish::Never);
            let told = &alice(&world).events;
            assert!(alice(&world).path().is_some(), "{pair:?} {seed}: {told:#?}");
        }
    }
}

const CONES: (&str, &str) = ("port-restricted", "port-restricted");

#[test]
fn a_measurement_that_fails_changes_nothing() {
    let late = (ms(30), ms(30));
    let side = |name| Some(profile(name).side(LAB));
    for sides in [[None, None], [side(CONES.0), None], [None, side(CONES.1)]] {
        let world = meet_with(sides, 1, CONES, late, ms(25), Wish::Never);
        let told = &alice(&world).events;
        assert!(alice(&world).path().is_some(), "{sides:?}: {told:#?}");
        assert_eq!(plans(&world), [Strategy::Unknown], "{sides:?}: {told:#?}");
        assert!(alice(&world).endpoint.cause_so_far("bob").is_none());
    }
}

#[test]
fn a_direct_path_ends_the_calls() {
    let late = (ms(5000), ms(5000));
    let mut world = meet(1, CONES, late, ms(25), Wish::Never);
    world.pass(ms(5000));
    let told = &alice(&world).events;
    assert!(alice(&world).path().is_some(), "{told:#?}");
    assert_eq!(plans(&world), [Strategy::Unknown], "{told:#?}");
    assert!(alice(&world).endpoint.cause_so_far("bob").is_none());
}

#[test]
fn the_relay_serves_meanwhile_and_is_enough_once_no_guess_is_worth_it() {
    let world = meet(
        1,
        ("symmetric", "symmetric"),
        (ms(1500), ms(1500)),
        ms(1),
        Wish::Allowed,
    );
    let told = &alice(&world).events;
    let took = time_to_path(&world).unwrap_or_else(|| panic!("{told:#?}"));
    assert!(took < ms(500), "{took:?}: {told:#?}");
    let at = |wanted: fn(&Event) -> bool| {
        let found = told.iter().rfind(|(_, event)| wanted(event));
        found.unwrap_or_else(|| panic!("{told:#?}")).0
    };
    let finished = at(|event| matches!(event, Event::Finished { .. }));
    let planned = at(|event| matches!(event, Event::Introduced { .. }));
    assert_eq!(plans(&world), [Strategy::Unknown, Strategy::Relay]);
    assert!(finished - planned < ms(300), "{told:#?}");
}

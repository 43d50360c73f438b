//! Every pair that plain punching joins, at every distance: near and far hosts, ways that
//! take longer in one direction, and packets that are lost.

mod world;

use std::time::Duration;

use nat::oracle::{Outcome, expected};
use sim::Profile;
use world::{World, two_homes};

const LIMIT: Duration = Duration::from_secs(30);

/// From a host to the core and back, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Ways {
    up: u64,
    down: u64,
}

const fn both(one_way: u64) -> Ways {
    Ways {
        up: one_way,
        down: one_way,
    }
}

const NEAR: Ways = both(1);
const SLOW_UP: Ways = Ways { up: 300, down: 20 };
const SLOW_DOWN: Ways = Ways { up: 20, down: 300 };

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = Profile::NAMES
        .into_iter()
        .flat_map(|a| Profile::NAMES.map(|b| (a, b)));
    all.filter(|(a, b)| {
        let [a, b] = [a, b].map(|name| Profile::named(name).unwrap().behaviour());
        expected(&a, &b).outcome == Outcome::Direct
    })
}

fn meet(seed: u64, (a, b): (&str, &str), (alice, bob): (Ways, Ways), loss: f64) -> World {
    let [a, b] = [a, b].map(|name| Profile::named(name).unwrap());
    let mut world = two_homes(seed, a, b);
    for (home, Ways { up, down }) in [(0, alice), (1, bob)] {
        let [up, down] = [up, down].map(Duration::from_millis);
        let home = world.homes[home];
        world.network.set_latencies(home, up, down);
    }
    world.network.set_loss(loss);
    world.run(LIMIT);
    world
}

fn assert_direct(seed: u64, pair: (&str, &str), ways: (Ways, Ways), loss: f64) {
    let world = meet(seed, pair, ways, loss);
    for peer in &world.peers {
        assert!(
            peer.path().is_some(),
            "{pair:?}, {ways:?}, {loss} %, seed {seed}: {:#?}",
            peer.events
        );
    }
}

#[test]
fn every_plain_pair_is_direct_at_every_distance() {
    // Round trips to the rendezvous of 2 to 500 ms, so of 4 ms to a second between the two.
    for one_way in [1, 81, 250] {
        for pair in pairs() {
            assert_direct(1, pair, (both(one_way), both(one_way)), 0.0);
        }
    }
}

#[test]
fn every_plain_pair_is_direct_where_one_host_or_one_direction_is_far() {
    let far = both(400);
    for ways in [
        (NEAR, far),
        (far, NEAR),
        (SLOW_UP, SLOW_DOWN),
        (SLOW_DOWN, SLOW_UP),
    ] {
        for pair in pairs() {
            assert_direct(1, pair, ways, 0.0);
        }
    }
}

#[test]
fn every_plain_pair_is_direct_where_every_tenth_packet_is_lost() {
    for seed in 0..2 {
        for ways in [(NEAR, NEAR), (both(250), both(250)), (SLOW_DOWN, both(10))] {
            for pair in pairs() {
                assert_direct(seed, pair, ways, 10.0);
            }
        }
    }
}

//! Nothing in a peer is random by itself: what it does is decided by its seed
//! and by what it is given.

mod world;

use std::time::Duration;

use nat::plan::Limits;
use peer_proto::endpoint::Event;
use sansio::Transmit;
use sim::Profile;
use world::two_measured_homes;

const LIMITS: Limits = Limits {
    pps: 4000,
    probes: 4000,
    ..Limits::POLITE
};

type Told = Vec<(Duration, Event)>;
type Sent = Vec<(Duration, Transmit)>;

/// What both sides of a call did, and when, counted from its start.
fn call(seed: u64, a: &str, b: &str) -> Vec<(Told, Sent)> {
    let [a, b] = [a, b].map(|name| Profile::named(name).unwrap());
    let mut world = two_measured_homes(seed, a, b, Some(LIMITS));
    let start = world.network.now();
    // Packets that are lost have others take their place.
    world.network.set_loss(10.0);
    world.run(Duration::from_secs(60));
    let peers = std::mem::take(&mut world.peers).into_iter().map(|peer| {
        let told = peer.events.into_iter();
        let sent = peer.sent.into_iter();
        (
            told.map(|(at, event)| (at - start, event)).collect(),
            sent.map(|(at, transmit)| (at - start, transmit)).collect(),
        )
    });
    peers.collect()
}

#[test]
fn the_same_seed_gives_the_same_packets_and_events() {
    // Hash maps have an order of their own each: what depends on it differs
    // between two runs in one process.
    for (a, b) in [
        ("port-restricted", "symmetric"),
        ("symmetric", "port-restricted"),
        ("symmetric-block", "symmetric-block"),
    ] {
        for seed in 0..4 {
            let [one, other] = [call(seed, a, b), call(seed, a, b)];
            for ((told, sent), (told_again, sent_again)) in one.iter().zip(&other) {
                assert!(sent.len() > 20, "{a} × {b}: {} packets", sent.len());
                assert_eq!(told, told_again, "{a} × {b}, seed {seed}");
                assert_eq!(sent, sent_again, "{a} × {b}, seed {seed}");
            }
        }
    }
}

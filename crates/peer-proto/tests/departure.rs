//! A peer that leaves while ports are being guessed ends the attempt of the other.

mod world;

use std::time::Duration;

use nat::plan::Limits;
use peer_proto::client::REFRESH;
use peer_proto::endpoint::Wish;
use sim::Profile;
use world::{World, two_relayed_homes};

/// So slow that no guess has hit within the time that this takes.
const SLOW: Limits = Limits {
    pps: 20,
    ..Limits::POLITE
};

fn guessing(a: &str, b: &str, wish: Wish) -> World {
    let [a, b] = [a, b].map(|name| Profile::named(name).unwrap());
    let mut world = two_relayed_homes(1, (a, wish), (b, wish), Some(SLOW));
    world.pass(Duration::from_secs(2));
    world
}

#[test]
fn a_peer_that_leaves_while_ports_are_guessed_ends_the_attempt() {
    for wish in [Wish::Never, Wish::Allowed] {
        for (who_leaves, other) in [(0, 1), (1, 0)] {
            for (a, b) in [
                ("port-restricted", "symmetric"),
                ("symmetric", "port-restricted"),
            ] {
                let mut world = guessing(a, b, wish);
                let now = world.network.now();
                assert_eq!(world.peers[other].cause(), None, "control: it guesses");
                world.peers[who_leaves].endpoint.leave(now);
                world.pass(Duration::from_secs(2));
                let cause = world.peers[other].cause().map(|cause| cause.code());
                let told = &world.peers[other].events;
                assert_eq!(cause, Some("PEER_LEFT"), "{a} × {b}, {wish:?}: {told:#?}");
            }
        }
    }
}

#[test]
fn a_peer_that_stays_is_not_said_to_have_left() {
    let mut world = guessing("port-restricted", "symmetric", Wish::Never);
    world.run(Duration::from_secs(600));
    for peer in &world.peers {
        assert_ne!(peer.cause().map(|cause| cause.code()), Some("PEER_LEFT"));
    }
}

#[test]
fn a_peer_that_is_killed_is_missed_when_it_does_not_refresh_its_registration() {
    let mut world = guessing("port-restricted", "symmetric", Wish::Never);
    let killed = world.network.now();
    world.peers.truncate(1);
    world.run(Duration::from_secs(60));
    let cause = world.peers[0].cause().map(|cause| cause.code());
    assert_eq!(cause, Some("PEER_LEFT"), "{:#?}", world.peers[0].events);
    let took = world.network.now() - killed;
    assert!(took < REFRESH + Duration::from_secs(11), "{took:?}");
}

#[test]
fn a_peer_that_a_restarted_rendezvous_does_not_know_yet_has_not_left() {
    let mut world = guessing("port-restricted", "symmetric", Wish::Never);
    world.restart_server();
    world.pass(REFRESH + Duration::from_secs(5));
    for peer in &world.peers {
        assert_eq!(peer.cause(), None, "{}: {:#?}", peer.name, peer.events);
    }
    let now = world.network.now();
    world.peers[1].endpoint.leave(now);
    world.pass(Duration::from_secs(2));
    let cause = world.peers[0].cause().map(|cause| cause.code());
    assert_eq!(cause, Some("PEER_LEFT"), "one that leaves is still missed");
}

#[test]
fn a_peer_that_leaves_as_the_rendezvous_is_restarted_is_missed_when_all_others_are_back() {
    let mut world = guessing("port-restricted", "symmetric", Wish::Never);
    world.restart_server();
    // It is not there to register again.
    world.peers.truncate(1);
    world.pass(REFRESH + Duration::from_secs(5));
    let cause = world.peers[0].cause().map(|cause| cause.code());
    assert_eq!(cause, Some("PEER_LEFT"), "{:#?}", world.peers[0].events);
}

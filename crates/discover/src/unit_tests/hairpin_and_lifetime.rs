//! Hairpinning and lifetimes, measured behind simulated NATs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rendezvous_proto::server::{Config as ServerConfig, Server};
use sansio::Protocol;
use sim::{Network, Profile};

use crate::{Hairpin, Lifetime, Source};

const S1: &str = "203.0.113.1:8848";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Runs a measurement behind this NAT to its end; returns it and the time that it took.
fn run<M: Protocol>(profile: &Profile, loss: f64, new: impl Fn(Instant) -> M) -> (M, Duration) {
    run_slowly(profile, loss, Duration::ZERO, new)
}

/// The same, where what is sent in the first 50 ms needs this long to the NAT, as on a busy machine.
fn run_slowly<M: Protocol>(
    profile: &Profile,
    loss: f64,
    delay: Duration,
    new: impl Fn(Instant) -> M,
) -> (M, Duration) {
    let start = Instant::now();
    let mut network = Network::new(start, 5);
    network.set_loss(loss);
    let host = network.add_host(Network::CORE, &[at(S1).ip()]);
    network.bind(host, at(S1));
    let config = ServerConfig {
        addresses: vec![at(S1), at("203.0.113.1:8849")],
        secret: [7; 32],
        rate: 10_000,
        most_names: 10,
    };
    let mut server = Server::new(config, start);
    let place = network.add_router(Network::CORE, at("198.51.100.1:0").ip(), profile.clone());
    let inside = network.add_host(place, &[at("10.0.0.2:0").ip()]);
    let usual = Duration::from_micros(100);
    network.set_latency(place, delay.max(usual));
    let mut measurement = new(start);
    for socket in 0..64 {
        let local = SocketAddr::new(at("10.0.0.2:0").ip(), 33000 + socket);
        network.bind(inside, local);
        measurement.handle_opened(usize::from(socket), local);
    }
    let deadline = start + Duration::from_secs(4000);
    while measurement.poll_timeout().is_some() {
        assert!(network.step(&mut [&mut server, &mut measurement], deadline));
        if network.now() > start + Duration::from_millis(50) {
            network.set_latency(place, usual);
        }
    }
    (measurement, network.now() - start)
}

#[test]
fn hairpinning_is_measured_with_every_filtering_behaviour() {
    for filtering in nat::Dependence::ALL {
        for on in [true, false] {
            for loss in [0.0, 10.0] {
                let mut profile = Profile::new(nat::Dependence::EndpointIndependent, filtering);
                profile.hairpin = on;
                let (hairpin, took) = run(&profile, loss, |now| Hairpin::new(now, at(S1), [1; 32]));
                let found = hairpin.report().unwrap();
                assert_eq!(found.works, on, "{filtering} {loss}");
                assert_eq!(found.source, on.then_some(Source::External));
                assert!(took < Duration::from_millis(400), "{took:?}");
            }
        }
    }
}

#[test]
fn a_silent_server_leaves_hairpinning_untested() {
    let mut blocked = Profile::named("full-cone").unwrap();
    blocked.blocks_udp = true;
    let (hairpin, _) = run(&blocked, 0.0, |now| Hairpin::new(now, at(S1), [1; 32]));
    assert_eq!(hairpin.report(), None);
}

#[test]
fn a_lifetime_is_found_between_two_idle_times_in_one_pass() {
    for (seconds, alive, dead) in [(3, 2, 3), (20, 15, 20), (33, 30, 35), (120, 119, 135)] {
        for loss in [0.0, 10.0] {
            let mut profile = Profile::named("port-restricted").unwrap();
            profile.lifetime = Duration::from_secs(seconds);
            let longest = Duration::from_secs(200);
            let (lifetime, took) = run(&profile, loss, |now| {
                Lifetime::new(now, at(S1), longest, [1; 32])
            });
            let found = lifetime.report().unwrap();
            assert_eq!(
                (found.alive_s, found.dead_s),
                (Some(alive), Some(dead)),
                "{seconds} {loss}"
            );
            assert_eq!(found.refreshed_by_outbound, Some(true));
            assert_eq!(found.refreshed_by_inbound, Some(false));
            assert!(
                took.as_secs() < seconds + seconds / 2 + 3,
                "{seconds}: {took:?}"
            );
        }
    }
}

#[test]
fn a_lifetime_that_is_one_of_the_idle_times_is_over_then() {
    for name in ["port-restricted", "masquerade"] {
        for delay in [0, 5, 50, 200] {
            let mut profile = Profile::named(name).unwrap();
            profile.lifetime = Duration::from_secs(3);
            let (lifetime, _) = run_slowly(&profile, 0.0, Duration::from_millis(delay), |now| {
                Lifetime::new(now, at(S1), Duration::from_secs(9), [1; 32])
            });
            let found = lifetime.report().unwrap();
            let between = (found.alive_s, found.dead_s);
            assert_eq!(between, (Some(2), Some(3)), "{name}, {delay} ms");
        }
    }
}

#[test]
fn a_mapping_that_survives_every_idle_time_has_no_upper_bound() {
    let profile = Profile::named("full-cone").unwrap();
    let longest = Duration::from_secs(10);
    let (lifetime, _) = run(&profile, 0.0, |now| {
        Lifetime::new(now, at(S1), longest, [1; 32])
    });
    let found = lifetime.report().unwrap();
    assert_eq!((found.alive_s, found.dead_s), (Some(10), None));
    assert_eq!(
        found.refreshed_by_outbound, None,
        "nothing to refresh was seen"
    );
}

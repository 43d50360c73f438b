//! The trace of a call tells what the simulator knows: where each packet ended.

#[path = "../../peer-proto/tests/world/mod.rs"]
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use journey::{How, Trace};
use nat::plan::Limits;
use sim::{Dropped, Profile};
use world::World;

const LIMITS: Limits = Limits {
    pps: 4000,
    probes: 500,
    ..Limits::POLITE
};

fn call(seed: u64, a: &str, b: &str, loss: f64) -> World {
    let [a, b] = [a, b].map(|name| Profile::named(name).unwrap());
    let mut world = world::two_measured_homes(seed, a, b, Some(LIMITS));
    world.network.record();
    world.network.set_loss(loss);
    world.run(Duration::from_secs(60));
    world
}

fn trace(a: &str, b: &str) -> Trace {
    call(1, a, b, 0.0).trace().unwrap()
}

/// What the simulator knows of each packet that did not arrive, in the words of a trace.
fn known(reason: Dropped) -> &'static str {
    match reason {
        Dropped::TtlExpired => "ttl-exceeded",
        Dropped::Loss => "lost",
        Dropped::NoRoute => "unknown",
        Dropped::NoSocket => "no-listener",
        _ => "dropped or refused",
    }
}

fn told(how: How) -> &'static str {
    match how {
        How::Delivered => "delivered",
        How::Dropped | How::Refused => "dropped or refused",
        How::TtlExceeded => "ttl-exceeded",
        How::Lost => "lost",
        How::NoListener => "no-listener",
        How::Unknown => "unknown",
    }
}

#[test]
fn each_packet_ends_where_the_simulator_has_ended_it() {
    for (a, b) in [
        ("port-restricted", "symmetric"),
        ("masquerade", "symmetric"),
        ("symmetric-block", "symmetric-block"),
        ("udp-blocked", "full-cone"),
        ("restricted", "firewall"),
        ("address-dependent", "open"),
    ] {
        let world = call(3, a, b, 10.0);
        let trace = world.trace().unwrap();
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for journey in &trace.journeys {
            // what is on its way at the end of the call has no end yet
            if !journey.end.text.ends_with("was not seen again") {
                *ends.entry(told(journey.end.how)).or_default() += 1;
            }
        }
        let delivered = ends.remove("delivered");
        assert!(delivered.is_some(), "{a} × {b}");
        let mut lost: BTreeMap<&str, usize> = BTreeMap::new();
        for packet in world.network.lost() {
            *lost.entry(known(packet.reason)).or_default() += 1;
        }
        assert_eq!(ends, lost, "{a} × {b}");
    }
}

#[test]
fn a_drop_has_the_reason_of_the_labs_rules_and_their_words() {
    let reasons = |a, b| -> Vec<String> {
        let journeys = trace(a, b).journeys.into_iter();
        let reasons = journeys.filter_map(|it| it.end.reason);
        reasons.collect()
    };
    for (a, b, reason) in [
        ("symmetric", "symmetric", "FILTER_PORT"),
        ("address-dependent", "symmetric", "FILTER_ADDR"),
        ("symmetric-block", "symmetric-block", "NO_MAPPING"),
        ("udp-blocked", "open", "UDP_BLOCKED"),
        ("firewall", "symmetric", "UNSOLICITED"),
    ] {
        let found = reasons(a, b);
        assert!(found.iter().any(|it| it == reason), "{a} × {b}: {found:?}");
    }
    let trace = trace("symmetric", "symmetric");
    let filtered = trace.journeys.iter().find(|it| it.end.node == "nat-bob");
    let text = &filtered.unwrap().end.text;
    assert!(
        text.starts_with("filtered at nat-bob: bob has sent from 203.0.113.33:")
            && text.contains(" only to 203.0.113.1:8848; to 203.0.113.17:"),
        "{text}"
    );
}

#[test]
fn a_packet_is_seen_at_each_interface_with_the_addresses_of_that_place() {
    let trace = trace("port-restricted", "full-cone");
    let first = &trace.journeys[0];
    let seen: Vec<String> = first
        .sightings
        .iter()
        .map(|at| format!("{} {} {} {}", at.node, at.interface, at.src, at.ttl))
        .collect();
    assert_eq!(
        seen,
        [
            "alice eth0 192.168.1.2:41000 64",
            "nat-alice lan 192.168.1.2:41000 64",
            "nat-alice wan 203.0.113.17:41000 63",
            "core nat-alice 203.0.113.17:41000 63",
            "core server 203.0.113.17:41000 62",
            "server eth0 203.0.113.17:41000 62",
        ]
    );
    assert_eq!(first.end.text, "delivered to a socket of server");
}

#[test]
fn the_tables_tell_what_each_nat_held_and_when() {
    let trace = trace("port-restricted", "full-cone");
    let of = |node: &str| {
        let mut tables = trace.tables.iter().filter(|it| it.node == node);
        (tables.next().unwrap().clone(), tables.next_back())
    };
    let (first, last) = of("nat-alice");
    let [mapping] = first.mappings.as_slice() else {
        panic!("{first:?}");
    };
    assert_eq!(mapping.outside.to_string(), "203.0.113.17:41000");
    assert_eq!(mapping.permits, [world::at(world::SERVER)]);
    assert!(!mapping.anyone && mapping.destination.is_none());
    let later = &last.unwrap().mappings[0];
    assert!(
        later
            .permits
            .iter()
            .any(|it| it.ip() == world::ip("203.0.113.33"))
    );
    assert!(of("nat-bob").0.mappings[0].anyone);
    let sent = trace.journeys[0].sightings[1].t_ms;
    assert!((first.t_ms - sent).abs() < 0.1, "{} and {sent}", first.t_ms);
}

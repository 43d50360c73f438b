//! Each axis and each knob of the model by itself.

use super::*;
use crate::Ports;

const OUTER: &str = "198.51.100.1";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn nat(profile: Profile) -> Nat {
    Nat::new(profile, OUTER.parse().unwrap(), 1)
}

/// Servers: S, S on another port, another server.
fn remotes() -> [SocketAddr; 3] {
    ["203.0.113.1:1", "203.0.113.1:2", "203.0.113.2:1"].map(at)
}

#[test]
fn a_mapping_depends_on_what_its_behaviour_says() {
    let now = Instant::now();
    for (mapping, distinct) in [
        (EndpointIndependent, 1),
        (AddressDependent, 2),
        (AddressAndPortDependent, 3),
    ] {
        let mut nat = nat(Profile::new(mapping, AddressAndPortDependent));
        let mut seen = remotes().map(|to| nat.outbound(now, at("10.0.0.2:5000"), to).unwrap());
        seen.sort();
        let count = 1 + seen.windows(2).filter(|w| w[0] != w[1]).count();
        assert_eq!(count, distinct, "{mapping}: {seen:?}");
    }
}

#[test]
fn a_filter_depends_on_what_its_behaviour_says() {
    let now = Instant::now();
    for (filtering, admitted) in [
        (EndpointIndependent, [true, true, true]),
        (AddressDependent, [true, true, false]),
        (AddressAndPortDependent, [true, false, false]),
    ] {
        for mapping in Dependence::ALL {
            let mut nat = nat(Profile::new(mapping, filtering));
            let inside = at("10.0.0.2:5000");
            let outside = nat.outbound(now, inside, remotes()[0]).unwrap();
            let got = remotes().map(|from| nat.inbound(now, from, outside) == Ok(inside));
            assert_eq!(got, admitted, "{mapping} mapping, {filtering} filtering");
        }
    }
}

#[test]
fn two_inner_hosts_never_share_an_outer_port() {
    let now = Instant::now();
    let mut nat = nat(Profile::named("full-cone").unwrap());
    let [first, second] = ["10.0.0.2:5000", "10.0.0.3:5000"].map(at);
    let a = nat.outbound(now, first, remotes()[0]).unwrap();
    let b = nat.outbound(now, second, remotes()[0]).unwrap();
    assert_eq!(a.port(), 5000, "preserved while free");
    assert_ne!(a, b);
    assert_eq!(nat.outbound(now, second, remotes()[2]), Ok(b), "still EIM");
    assert_eq!(nat.inbound(now, remotes()[2], a), Ok(first));
    assert_eq!(nat.inbound(now, remotes()[2], b), Ok(second));
}

#[test]
fn ports_are_assigned_as_the_profile_says() {
    let now = Instant::now();
    let ports = |ports: Ports, count: u16| -> Vec<u16> {
        let axes = Profile::new(EndpointIndependent, EndpointIndependent);
        let mut nat = nat(Profile { ports, ..axes });
        (0..count)
            .map_while(|i| {
                let inside = SocketAddr::new(at("10.0.0.2:0").ip(), 5000 + i);
                let outside = nat.outbound(now, inside, remotes()[0]).ok()?;
                Some(outside.port())
            })
            .collect()
    };
    assert_eq!(ports(Ports::Preserve, 3), [5000, 5001, 5002]);
    let sequential = Ports::Sequential {
        first: 40000,
        step: 2,
    };
    assert_eq!(ports(sequential, 3), [40000, 40002, 40004]);
    let mut block = ports(Ports::Block(40000..=40007), 9);
    block.sort();
    assert_eq!(block, Vec::from_iter(40000..=40007), "and then exhausted");
    assert_ne!(ports(Ports::Random, 3), [5000, 5001, 5002]);
}

#[test]
fn remotes_that_both_axes_tell_apart_share_the_ports_of_a_block() {
    let (now, inside) = (Instant::now(), at("10.0.0.2:5000"));
    let mappings = |mapping| {
        let mut nat = nat(Profile {
            ports: Ports::Block(40000..=40003),
            ..Profile::new(mapping, AddressAndPortDependent)
        });
        let remotes = (0..12).map(|i| SocketAddr::new(at("203.0.113.9:0").ip(), 7000 + i));
        let mut own = 0;
        for remote in remotes {
            let Ok(outside) = nat.outbound(now, inside, remote) else {
                continue;
            };
            own += 1;
            assert_eq!(nat.inbound(now, remote, outside), Ok(inside));
            let stranger = nat.inbound(now, at("203.0.113.9:9"), outside);
            assert_eq!(stranger, Err(Dropped::Filtered));
        }
        own
    };
    assert_eq!(mappings(AddressAndPortDependent), 12);
    assert_eq!(mappings(EndpointIndependent), 12, "all of them one port");
    // Two hosts towards one remote never do.
    let mut nat = nat(Profile {
        ports: Ports::Block(40000..=40003),
        ..Profile::new(AddressAndPortDependent, AddressAndPortDependent)
    });
    let inside = |i: u16| SocketAddr::new(inside.ip(), 5000 + i);
    let outside = |i| nat.outbound(now, inside(i), remotes()[0]);
    let given: Vec<_> = (0..5).map(outside).collect();
    assert_eq!(given[4], Err(Dropped::PortsExhausted));
    let mut ports: Vec<_> = given[..4].iter().map(|g| g.unwrap().port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [40000, 40001, 40002, 40003]);
}

#[test]
fn only_outbound_packets_refresh_a_mapping() {
    let (start, inside, peer) = (Instant::now(), at("10.0.0.2:5000"), remotes()[0]);
    let lifetime = Duration::from_secs(20);
    let axes = Profile::new(EndpointIndependent, EndpointIndependent);
    let mut nat = nat(Profile { lifetime, ..axes });
    let after = |secs| start + Duration::from_secs(secs);
    let outside = nat.outbound(start, inside, peer).unwrap();
    nat.outbound(after(15), inside, peer).unwrap();
    assert_eq!(nat.inbound(after(30), remotes()[2], outside), Ok(inside));
    let late = nat.inbound(after(36), remotes()[2], outside);
    assert_eq!(late, Err(Dropped::NoMapping));
}

#[test]
fn a_permit_expires_while_packets_to_others_refresh_the_mapping() {
    let (start, inside) = (Instant::now(), at("10.0.0.2:5000"));
    let lifetime = Duration::from_secs(20);
    let axes = Profile::new(EndpointIndependent, AddressDependent);
    let mut nat = nat(Profile { lifetime, ..axes });
    let outside = nat.outbound(start, inside, remotes()[0]).unwrap();
    let later = start + Duration::from_secs(19);
    assert_eq!(nat.outbound(later, inside, remotes()[2]), Ok(outside));
    let last = start + Duration::from_secs(21);
    let result = nat.inbound(last, remotes()[0], outside);
    assert_eq!(result, Err(Dropped::Filtered));
    assert_eq!(nat.inbound(last, remotes()[2], outside), Ok(inside));
}

#[test]
fn a_masquerade_remaps_only_the_flow_with_an_early_packet() {
    let (now, inside) = (Instant::now(), at("10.0.0.2:5000"));
    for (name, moves) in [("masquerade", true), ("port-restricted", false)] {
        let mut nat = nat(Profile::named(name).unwrap());
        let outside = nat.outbound(now, inside, remotes()[0]).unwrap();
        let early = nat.inbound(now, remotes()[1], outside);
        assert_eq!(early, Err(Dropped::Filtered));
        let moved = nat.outbound(now, inside, remotes()[1]).unwrap();
        assert_eq!(moved != outside, moves, "{name}");
        assert_eq!(nat.outbound(now, inside, remotes()[1]), Ok(moved), "{name}");
        assert_eq!(
            nat.outbound(now, inside, remotes()[2]),
            Ok(outside),
            "{name}"
        );
        assert_eq!(nat.inbound(now, remotes()[1], moved), Ok(inside), "{name}");
    }
}

#[test]
fn a_hairpinned_packet_has_the_outside_endpoint_as_source() {
    let now = Instant::now();
    let axes = Profile::named("full-cone").unwrap();
    let [first, second] = ["10.0.0.2:5000", "10.0.0.3:6000"].map(at);
    let mut off = nat(axes.clone());
    let outside = off.outbound(now, second, remotes()[0]).unwrap();
    assert_eq!(off.hairpin(now, first, outside), Err(Dropped::NoHairpin));
    let mut on = nat(Profile {
        hairpin: true,
        ..axes
    });
    let outside = on.outbound(now, second, remotes()[0]).unwrap();
    let source = SocketAddr::new(OUTER.parse().unwrap(), 5000);
    assert_eq!(on.hairpin(now, first, outside), Ok((source, second)));
}

#[test]
fn a_firewall_filters_and_does_not_translate() {
    let (now, inside) = (Instant::now(), at("198.51.100.9:5000"));
    let mut firewall = nat(Profile::named("firewall").unwrap());
    assert_eq!(firewall.outbound(now, inside, remotes()[0]), Ok(inside));
    assert_eq!(firewall.inbound(now, remotes()[0], inside), Ok(inside));
    let stranger = firewall.inbound(now, remotes()[1], inside);
    assert_eq!(stranger, Err(Dropped::Filtered));
    let mut open = nat(Profile::named("open").unwrap());
    assert_eq!(open.inbound(now, remotes()[1], inside), Ok(inside));
    let mut blocked = nat(Profile::named("udp-blocked").unwrap());
    let out = blocked.outbound(now, inside, remotes()[0]);
    assert_eq!(out, Err(Dropped::UdpBlocked));
}

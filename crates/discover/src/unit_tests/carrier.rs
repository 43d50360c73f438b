//! The hint that there is a carrier-grade NAT.

use std::net::IpAddr;

use super::scenario::Scenario;
use crate::{PathReport, PortMapping, Report, UpnpIgd, carrier_nat};

fn hint(change: impl FnOnce(&mut Report)) -> Option<String> {
    let mut report = Scenario::named("port-restricted").run();
    change(&mut report);
    carrier_nat(&report).map(|note| note.text)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn path(hops: &[&str], nats_in_series: Option<bool>) -> Option<PathReport> {
    Some(PathReport {
        hops: hops.iter().map(|hop| Some(ip(hop))).collect(),
        nats_in_series,
        ..PathReport::default()
    })
}

/// The gateway has this outside address, or the one that the server sees.
fn gateway(report: &mut Report, external: Option<&str>) {
    let seen = report.mapped[0].ip();
    let mut found = PortMapping {
        upnp_igd: Some(UpnpIgd {
            external: Some(external.map_or(seen, ip)),
            location: String::new(),
        }),
        ..PortMapping::default()
    };
    found.compare(&[seen]);
    report.port_mapping = Some(found);
}

#[test]
fn an_ordinary_nat_is_not_said_to_be_a_carriers() {
    assert_eq!(hint(|_| ()), None);
    assert_eq!(hint(|report| gateway(report, None)), None);
    let one = path(&["192.168.1.1", "203.0.113.254"], Some(false));
    assert_eq!(hint(|report| report.path = one), None);
    let routed = path(&["10.1.0.1", "10.2.0.1"], None);
    assert_eq!(hint(|report| report.path = routed), None);
    // Without translation there is no NAT: a peer in the same network.
    let own = |report: &mut Report| {
        report.local = "100.64.1.2:5".parse().unwrap();
        report.mapped = vec!["192.0.2.7:5".parse().unwrap()];
    };
    assert!(hint(own).is_some(), "control");
    let untranslated = |report: &mut Report| {
        report.local = "100.127.1.2:5".parse().unwrap();
        report.mapped = vec![report.local];
        report.behaviour.nat = Some(false);
    };
    assert_eq!(hint(untranslated), None);
    let routed = |report: &mut Report| {
        report.behaviour.nat = Some(false);
        report.path = path(&["100.64.1.1"], None);
    };
    assert_eq!(hint(routed), None);
}

#[test]
fn each_sign_of_a_carriers_nat_is_named() {
    let says = |sign: &str, change: &dyn Fn(&mut Report)| {
        let text = hint(change).unwrap_or_else(|| panic!("no hint: {sign}"));
        assert!(text.contains("carrier-grade NAT (CGN) is likely"), "{text}");
        assert!(text.contains(sign), "{text}");
    };
    says("this host has 100.64.1.2", &|report| {
        report.local = "100.64.1.2:40000".parse().unwrap();
    });
    says("the server sees this host at 100.64.9.9", &|report| {
        report.mapped = vec!["100.64.9.9:40000".parse().unwrap()];
    });
    says("100.64.1.1, of 100.64.0.0/10", &|report| {
        report.path = path(&["192.168.1.1", "100.64.1.1"], None);
    });
    says("there is another private one", &|report| {
        report.path = path(&["192.168.1.1", "10.0.0.1"], Some(true));
    });
    says(
        "outside address is 10.9.9.9, which is not a public one",
        &|report| {
            gateway(report, Some("10.9.9.9"));
        },
    );
    says(
        "outside address is 198.51.100.9, and the server sees",
        &|report| {
            gateway(report, Some("198.51.100.9"));
        },
    );
}

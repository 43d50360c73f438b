//! A report compared with the requirements of RFC 4787.
//!
//! What one host cannot see, or what was not measured, is "not tested".

use std::net::IpAddr;

use serde::Serialize;

use super::hairpin::Source;
use super::report::{NoteCode, Report};
use nat::Dependence::{AddressAndPortDependent, EndpointIndependent};

/// One requirement, and what the report shows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// REQ-1 to REQ-14.
    pub number: u8,
    /// The requirement, in our words.
    pub wants: &'static str,
    /// Whether it is met.
    pub verdict: Compliance,
    /// What shows it, or what it takes to test it.
    pub evidence: String,
}

/// Whether a requirement is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compliance {
    /// Yes, as far as was measured.
    Met,
    /// No.
    NotMet,
    /// It was not measured, or cannot be measured from this host.
    NotTested,
}

use Compliance::{Met, NotMet, NotTested};

/// All fourteen requirements; none where there is no NAT.
pub fn sheet(report: &Report) -> Vec<Requirement> {
    if report.behaviour.nat != Some(true) {
        return Vec::new();
    }
    let unseen = |why: &str| (NotTested, why.to_owned());
    let needs_other = "takes a second host, or access to the NAT";
    let rows = [
        ("MUST map endpoint-independently", mapping(report)),
        (
            "is RECOMMENDED to use one public address for one host",
            pooling(report),
        ),
        (
            "MUST NOT use one outside port for two inside endpoints",
            overloading(report),
        ),
        (
            "is RECOMMENDED to map even ports to even ports and odd to odd",
            parity(report),
        ),
        (
            "MUST keep an idle mapping for at least 2 minutes",
            timer(report),
        ),
        (
            "MUST refresh a mapping by outbound packets",
            refresh(report),
        ),
        (
            "MUST work where both sides use the same private addresses",
            unseen(needs_other),
        ),
        (
            "is RECOMMENDED to filter endpoint-independently, or by address",
            filtering(report),
        ),
        (
            "MUST support hairpinning, with the outside source address and port",
            hairpin(report),
        ),
        (
            "SHOULD have its application-level gateways turned off",
            unseen(needs_other),
        ),
        ("MUST behave deterministically", determinism(report)),
        (
            "MUST NOT end a mapping because of ICMP",
            unseen("no ICMP error was provoked"),
        ),
        (
            "MUST answer ICMP fragmentation needed to a large packet with DF",
            unseen("no large packets were sent"),
        ),
        (
            "MUST support fragments, in any order",
            unseen("no fragments were sent"),
        ),
    ];
    let numbered = (1..).zip(rows);
    let requirement = |(number, (wants, (verdict, evidence)))| Requirement {
        number,
        wants,
        verdict,
        evidence,
    };
    numbered.map(requirement).collect()
}

type Finding = (Compliance, String);

fn met(yes: bool) -> Compliance {
    if yes { Met } else { NotMet }
}

fn mapping(report: &Report) -> Finding {
    match report.behaviour.mapping {
        Some(found) => (
            met(found == EndpointIndependent),
            format!("the mapping is {found}"),
        ),
        None => (NotTested, "the server has no other address".to_owned()),
    }
}

fn samples(report: &Report) -> &[super::Sample] {
    report
        .allocation
        .as_ref()
        .map_or(&[], |found| &found.samples)
}

fn pooling(report: &Report) -> Finding {
    match report.public_addresses.as_slice() {
        [] => (NotTested, "no public address was seen".to_owned()),
        [one] if samples(report).len() < ENOUGH => (
            NotTested,
            format!("too few mappings were seen, all on {one}"),
        ),
        [one] => (
            Met,
            format!("{} mappings, all on {one}", samples(report).len()),
        ),
        many => (NotMet, format!("this host was seen from {}", join(many))),
    }
}

/// A pool of two addresses shows only one of them in this many mappings once in a hundred times.
const ENOUGH: usize = 8;

fn overloading(report: &Report) -> Finding {
    let samples = samples(report);
    let shared = samples.iter().find(|a| {
        samples
            .iter()
            .any(|b| a.outside == b.outside && a.inside != b.inside)
    });
    match shared {
        Some(shared) => (
            NotMet,
            format!("two sockets were seen from port {}", shared.outside),
        ),
        None => (
            NotTested,
            "takes two hosts that use the same port".to_owned(),
        ),
    }
}

fn join(addresses: &[IpAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

fn parity(report: &Report) -> Finding {
    match report.allocation.as_ref().and_then(|found| found.parity) {
        Some(kept) => (
            met(kept),
            format!("{} mappings were seen", samples(report).len()),
        ),
        None => (NotTested, "too few mappings were seen".to_owned()),
    }
}

/// The two minutes of REQ-5, in seconds, less the one second of measuring.
const TWO_MINUTES: u64 = 119;

fn timer(report: &Report) -> Finding {
    let Some(found) = report.lifetime.filter(|found| found.response_port) else {
        return (
            NotTested,
            "--lifetime tests it, in a little more than 2 minutes".to_owned(),
        );
    };
    match (found.alive_s, found.dead_s) {
        (Some(alive), _) if alive >= TWO_MINUTES => (Met, format!("alive after {alive} s")),
        (_, Some(dead)) if dead <= TWO_MINUTES => (NotMet, format!("gone after {dead} s")),
        (alive, _) => (
            NotTested,
            format!(
                "alive after {} s; longer times were not tested",
                alive.unwrap_or(0)
            ),
        ),
    }
}

fn refresh(report: &Report) -> Finding {
    match report
        .lifetime
        .and_then(|found| found.refreshed_by_outbound)
    {
        Some(true) => (
            Met,
            "a mapping with outbound packets lived longer than an idle one".to_owned(),
        ),
        Some(false) => (
            NotMet,
            "a mapping with outbound packets ended like an idle one".to_owned(),
        ),
        None => (
            NotTested,
            "--lifetime tests it, if a mapping ends meanwhile".to_owned(),
        ),
    }
}

fn filtering(report: &Report) -> Finding {
    match report.behaviour.filtering {
        Some(found) => {
            let evidence = format!("the filtering is {found}");
            (met(found != AddressAndPortDependent), evidence)
        }
        None => (
            NotTested,
            "the server cannot answer from elsewhere".to_owned(),
        ),
    }
}

fn hairpin(report: &Report) -> Finding {
    let Some(found) = report.hairpin else {
        return (
            NotTested,
            "--hairpin tests it, if the mapping is endpoint-independent".to_owned(),
        );
    };
    let evidence = match found.source {
        None => format!("none of {} packets came back", found.sent),
        Some(Source::External) => "packets come back from the outside endpoint".to_owned(),
        Some(_) => "packets come back, but not from the outside endpoint".to_owned(),
    };
    (met(found.source == Some(Source::External)), evidence)
}

fn determinism(report: &Report) -> Finding {
    if report.remaps_after_early_inbound == Some(true) {
        let evidence = "the NAT remaps after early packets";
        return (NotMet, evidence.to_owned());
    }
    if report
        .notes
        .iter()
        .any(|note| note.code == NoteCode::Unstable)
    {
        return (
            NotMet,
            "one destination saw one socket from two reflexive addresses".to_owned(),
        );
    }
    match &report.determinism {
        Some(found) if !found.differing.is_empty() => {
            let changed = found.differing.join(", ");
            (NotMet, format!("changed in {} runs: {changed}", found.runs))
        }
        Some(found) => (NotTested, format!("nothing changed in {} runs", found.runs)),
        None => (
            NotTested,
            "nothing changed in this one measurement".to_owned(),
        ),
    }
}

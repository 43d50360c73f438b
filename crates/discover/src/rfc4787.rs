//! A report read as RFC 4787 reads: its UDP requirements, one by one.
//!
//! "Not tested" is not "met": what a single host cannot see, or was not asked
//! to look for, stays open.

use serde::Serialize;

use super::hairpin::Source;
use super::report::{NoteCode, Report};
use nat::Dependence::{AddressAndPortDependent, EndpointIndependent};

/// One requirement, and what the report says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// REQ-1 to REQ-14.
    pub number: u8,
    /// MUST and the like, and of what, in our words.
    pub wants: &'static str,
    /// Is it so?
    pub verdict: Compliance,
    /// What shows it, or what it would take to see.
    pub evidence: String,
}

/// Is a requirement met?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compliance {
    /// Yes, as far as was looked.
    Met,
    /// No.
    NotMet,
    /// It was not looked at, or cannot be seen from here.
    NotTested,
}

use Compliance::{Met, NotMet, NotTested};

/// All fourteen; none where there is no NAT to require anything of.
pub fn sheet(report: &Report) -> Vec<Requirement> {
    if report.behaviour.nat != Some(true) {
        return Vec::new();
    }
    let unseen = |why: &str| (NotTested, why.to_owned());
    let needs_other = "takes a second host, or a look into the NAT";
    let rows = [
        ("MUST map endpoint-independently", mapping(report)),
        (
            "is RECOMMENDED to pair a host with one address of its pool",
            pooling(report),
        ),
        (
            "MUST NOT give one outer port to two inner ones",
            overloading(report),
        ),
        (
            "is RECOMMENDED to keep even ports even and odd ports odd",
            parity(report),
        ),
        ("MUST keep an idle mapping for two minutes", timer(report)),
        (
            "MUST refresh a mapping by packets from inside",
            refresh(report),
        ),
        (
            "MUST cope with an outer network that is numbered like the inner",
            unseen(needs_other),
        ),
        (
            "is RECOMMENDED to filter endpoint-independently, or by address",
            filtering(report),
        ),
        (
            "MUST hairpin, with the external source address and port",
            hairpin(report),
        ),
        (
            "SHOULD have its application-level gateways turned off",
            unseen(needs_other),
        ),
        ("MUST behave deterministically", determinism(report)),
        (
            "MUST NOT end a mapping because of ICMP",
            unseen("no ICMP was provoked"),
        ),
        (
            "MUST say fragmentation-needed of a packet that must not be split",
            unseen("no large packets were sent"),
        ),
        (
            "MUST take fragments, out of order, too",
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
        [] => (NotTested, "no outer address was seen".to_owned()),
        [one] if samples(report).len() < ENOUGH => (
            NotTested,
            format!("only few mappings were seen, all on {one}"),
        ),
        [one] => (
            Met,
            format!("{} mappings, all on {one}", samples(report).len()),
        ),
        many => (NotMet, format!("this one host was seen from {many:?}")),
    }
}

/// A pool of two addresses hides from so many mappings once in a hundred times.
const ENOUGH: usize = 8;

fn overloading(report: &Report) -> Finding {
    let samples = samples(report);
    let shared = samples.iter().find(|a| {
        samples
            .iter()
            .any(|b| a.outer == b.outer && a.inner != b.inner)
    });
    match shared {
        Some(shared) => (
            NotMet,
            format!("two sockets were seen from port {}", shared.outer),
        ),
        None => (NotTested, "takes two hosts with the same port".to_owned()),
    }
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

/// The two minutes of REQ-5 were reached, up to the second that is the grain.
const TWO_MINUTES: u64 = 119;

fn timer(report: &Report) -> Finding {
    let Some(found) = report.lifetime.filter(|found| found.response_port) else {
        return (
            NotTested,
            "--lifetime tests it, in a bit more than two minutes".to_owned(),
        );
    };
    match (found.alive_s, found.dead_s) {
        (Some(alive), _) if alive >= TWO_MINUTES => (Met, format!("alive after {alive} s")),
        (_, Some(dead)) if dead <= TWO_MINUTES => (NotMet, format!("gone after {dead} s")),
        (alive, _) => (
            NotTested,
            format!(
                "alive after {} s, and then no longer looked at",
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
        Some(true) => (Met, "a mapping in use outlived an idle one".to_owned()),
        Some(false) => (NotMet, "a mapping in use died like an idle one".to_owned()),
        None => (
            NotTested,
            "--lifetime tests it, if it sees a mapping end".to_owned(),
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
            "--hairpin tests it, behind a stable mapping".to_owned(),
        );
    };
    let evidence = match found.source {
        None => format!("none of {} packets came back", found.sent),
        Some(Source::External) => "it comes back from the external address".to_owned(),
        Some(_) => "it comes back, but not from the external address".to_owned(),
    };
    (met(found.source == Some(Source::External)), evidence)
}

fn determinism(report: &Report) -> Finding {
    if report.remaps_after_early_inbound == Some(true) {
        let evidence = "a packet that comes first makes ours leave from another port";
        return (NotMet, evidence.to_owned());
    }
    if report
        .notes
        .iter()
        .any(|note| note.code == NoteCode::Unstable)
    {
        return (
            NotMet,
            "one destination saw two mappings of one socket".to_owned(),
        );
    }
    match &report.determinism {
        Some(found) if !found.differing.is_empty() => {
            let changed = found.differing.join(", ");
            (
                NotMet,
                format!("in {} runs this changed: {changed}", found.runs),
            )
        }
        Some(found) => (NotTested, format!("nothing changed in {} runs", found.runs)),
        None => (
            NotTested,
            "nothing changed in this one measurement".to_owned(),
        ),
    }
}

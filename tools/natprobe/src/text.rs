//! A report for people: a table, remarks, and what it means.

use std::fmt::{Display, Write};

use discover::{Compliance, Report, Requirement, Source, TestKind, Verdict};
use nat::oracle::Why;
use nat::plan::{Plan, Strategy, percent};
use nat::{Class, Dependence};
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::words;

/// The whole page.
pub(crate) fn render(report: &Report, against: Option<&(Plan, Why)>) -> String {
    let mut page = match report.verdict {
        Verdict::Measured => table(report),
        Verdict::UdpBlocked | Verdict::CouldNotTell => String::new(),
    };
    for note in &report.notes {
        let _ = writeln!(page, "note: {}", note.text);
    }
    page += &sentence(report);
    if let Some((plan, why)) = against {
        let outcome = match plan.strategy {
            Strategy::Plain => "connects directly".to_owned(),
            Strategy::PortMapping => "connects directly, by a mapped port".to_owned(),
            Strategy::Relay => "takes a relay".to_owned(),
            Strategy::None => "does not connect".to_owned(),
            Strategy::Unknown => "may or may not connect".to_owned(),
            guess => format!(
                "connects directly by guessing ports ({}, {}, up to {} packets)",
                guess.name(),
                percent(plan.odds),
                plan.caller.packets() + plan.callee.packets(),
            ),
        };
        let _ = write!(page, "\nA punch to the other host {outcome}: {why}.");
    }
    page
}

/// The requirements of RFC 4787, one on a line.
pub(crate) fn sheet(sheet: &[Requirement]) -> String {
    let mut table = Builder::new();
    for requirement in sheet {
        let verdict = match requirement.verdict {
            Compliance::Met => "met",
            Compliance::NotMet => "NOT MET",
            Compliance::NotTested => "not tested",
        };
        table.push_record([
            format!("REQ-{}", requirement.number),
            verdict.to_owned(),
            format!("{}: {}", requirement.wants, requirement.evidence),
        ]);
    }
    if sheet.is_empty() {
        return "RFC 4787 has nothing to say where there is no NAT.\n\n".to_owned();
    }
    lines(&table.build().with(Style::blank()).to_string()) + "\n"
}

/// The same for programs.
pub(crate) fn against_json((plan, why): &(Plan, Why)) -> serde_json::Value {
    serde_json::json!({
        "expected": plan.strategy.outcome(),
        "strategy": plan.strategy,
        "odds": (plan.odds * 10_000.0).round() / 10_000.0,
        "why": {"code": why, "text": why.to_string()},
    })
}

fn table(report: &Report) -> String {
    let behaviour = &report.behaviour;
    let mut table = Builder::new();
    let mut row = |what: &str, found: String, evidence: String| {
        table.push_record([what.to_owned(), found, evidence]);
    };
    let took = format!("in {:.0} ms", report.elapsed_ms.ceil());
    row("class", tested(behaviour.class()), took);
    row(
        "NAT",
        tested(behaviour.nat.map(yes)),
        format!("from {}", report.local),
    );
    row("mapping", tested(behaviour.mapping), seen_from(report));
    row("filtering", tested(behaviour.filtering), let_in(report));
    row("a stranger gets", tested(report.unsolicited), String::new());
    if behaviour.nat == Some(true) {
        let (policy, more) = words::ports(report);
        row("ports", policy, more);
        row("public addresses", words::addresses(report), String::new());
        let remaps = report.remaps_after_early_inbound;
        let more = remaps.filter(|&yes| yes).map(|_| words::EARLY.to_owned());
        let word = remaps.map(|remaps| if remaps { "remapped" } else { "harmless" });
        row("early packets", tested(word), more.unwrap_or_default());
    }
    if let Some(found) = &report.determinism {
        let word = match found.differing.as_slice() {
            [] => "the same".to_owned(),
            differing => format!("not the same: {}", differing.join(", ")),
        };
        row("over time", word, format!("in {} runs", found.runs));
    }
    if let Some(found) = report.hairpin {
        let counts = format!("{} of {} came back", found.received, found.sent);
        let source = match found.source {
            Some(Source::External) => ", from the outer address",
            Some(Source::Internal) => ", from the inner address",
            Some(Source::Other) => ", from a third address",
            None => "",
        };
        row("hairpin", yes(found.works).to_owned(), counts + source);
    }
    if let Some(found) = report.lifetime {
        let (found, more) = words::lives(found);
        row("lifetime", found, more);
    }
    if let Some(found) = &report.path {
        let (found, more) = words::way(found);
        row("path", found, more);
    }
    if let Some(found) = &report.port_mapping {
        let (found, more) = words::mapper(found);
        row("port mapping", found, more);
    }
    let round_trip = report.rtt_ms.map(|ms| format!("{ms:.1} ms away"));
    row(
        "server",
        report.server.to_string(),
        round_trip.unwrap_or_default(),
    );
    lines(&table.build().with(Style::blank()).to_string())
}

/// It pads the last column, too, which only shows when it is copied.
fn lines(table: &str) -> String {
    let lines = table.lines().map(|line| format!("{}\n", line.trim()));
    lines.collect()
}

fn tested(found: Option<impl Display>) -> String {
    found.map_or_else(|| "not tested".to_owned(), |found| found.to_string())
}

fn yes(yes: bool) -> &'static str {
    match yes {
        true => "yes",
        false => "no",
    }
}

/// "seen as 198.51.100.1:40000 from 3 places"
fn seen_from(report: &Report) -> String {
    let tests = report.evidence.iter();
    let places = tests
        .filter(|e| e.test == TestKind::Mapping && e.mapped.is_some())
        .count();
    let mapped: Vec<_> = report.mapped.iter().map(ToString::to_string).collect();
    let plural = if places == 1 { "" } else { "s" };
    format!("seen as {} from {places} place{plural}", mapped.join(", "))
}

/// "from the other address: 0 of 5; from the other port: 5 of 5"
fn let_in(report: &Report) -> String {
    if report.behaviour.filtering.is_none() {
        return String::new();
    }
    let count = |test, what: &str| {
        let same = report.evidence.iter().filter(|e| e.test == test);
        let (received, sent) = same.fold((0, 0), |(r, s), e| (r + e.received, s + e.sent));
        format!("{what} {received} of {sent}")
    };
    let [address, port] = [
        count(TestKind::OtherAddress, "other address"),
        count(TestKind::OtherPort, "other port"),
    ];
    format!("let in: {address}, {port}")
}

fn sentence(report: &Report) -> String {
    if let Some(cause) = &report.cause {
        let verdict = match report.verdict {
            Verdict::UdpBlocked => "UDP is blocked",
            _ => "Could not tell",
        };
        return format!("{verdict}: {}.", cause.text);
    }
    let behaviour = &report.behaviour;
    let meaning = match behaviour.class() {
        Some(Class::Open) => "No NAT and no firewall: anybody can reach you.",
        Some(Class::Firewall) => {
            "No NAT, but a firewall that lets in only those that you have sent to: \
             punching works as behind a cone."
        }
        Some(Class::FullCone) => {
            "A NAT with one mapping for all, open to anybody: every peer with UDP can reach you."
        }
        Some(Class::Restricted) => {
            "A NAT with one mapping for all, open to the addresses that you have sent to: \
             punching works with nearly every peer."
        }
        Some(Class::PortRestricted) => {
            "A NAT with one mapping for all, open to the addresses and ports that you have \
             sent to: punching works unless the peer is behind a symmetric NAT."
        }
        Some(Class::Symmetric) => match behaviour.filtering {
            Some(Dependence::EndpointIndependent) => {
                "A NAT with another mapping for every destination, but open to anybody."
            }
            _ => {
                "A NAT with another mapping for every destination: punching works with peers \
                 whose NAT does not filter by port."
            }
        },
        Some(Class::UdpBlocked) | None => match behaviour.nat {
            Some(true) => "There is a NAT; what it does could not be tested in full.",
            _ => "There is no NAT; whether there is a firewall was not tested.",
        },
    };
    meaning.to_owned()
}

#[cfg(test)]
mod tests {
    use discover::{Cause, CauseCode, Confidence, Evidence, Report, Unsolicited};
    use nat::Behaviour;

    use super::*;

    fn report(behaviour: Behaviour) -> Report {
        let mapped = vec!["198.51.100.1:40000".parse().unwrap()];
        let server = "203.0.113.1:8848".parse().unwrap();
        let evidence = |test, received| Evidence {
            test,
            to: server,
            sent: 5,
            received,
            from: None,
            mapped: mapped.first().copied().filter(|_| received > 0),
        };
        Report {
            verdict: Verdict::Measured,
            behaviour,
            local: "10.0.0.2:40000".parse().unwrap(),
            port_preservation: Some(true),
            confidence: Confidence::default(),
            determinism: None,
            allocation: None,
            public_addresses: vec![],
            remaps_after_early_inbound: Some(true),
            unsolicited: Some(Unsolicited::IcmpPortUnreachable),
            hairpin: None,
            lifetime: None,
            path: None,
            port_mapping: None,
            rtt_ms: Some(0.3),
            elapsed_ms: 230.4,
            server,
            other_address: None,
            evidence: vec![
                evidence(TestKind::Mapping, 5),
                evidence(TestKind::OtherAddress, 0),
            ],
            notes: vec![],
            cause: None,
            mapped,
        }
    }

    #[test]
    fn a_page_has_the_axes_and_the_evidence() {
        use Dependence::*;
        let restricted = Behaviour::translated(EndpointIndependent, AddressDependent);
        let page = render(&report(restricted), None);
        for part in [
            "restricted",
            "endpoint-independent",
            "address-dependent",
            "seen as 198.51.100.1:40000 from 1 place",
            "other address 0 of 5",
            "punching works",
            "low TTL",
            "ICMP port unreachable",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }

    #[test]
    fn not_tested_is_not_no() {
        let mut unknown = Behaviour::translated(
            Dependence::EndpointIndependent,
            Dependence::EndpointIndependent,
        );
        unknown.filtering = None;
        assert!(render(&report(unknown), None).contains("not tested"));
    }

    #[test]
    fn the_json_reads_back_as_a_behaviour() {
        use Dependence::*;
        for behaviour in [
            Behaviour::translated(EndpointIndependent, AddressDependent),
            Behaviour::untranslated(EndpointIndependent),
            Behaviour::blocked(),
        ] {
            let json = serde_json::to_string(&report(behaviour)).unwrap();
            let read: Behaviour = serde_json::from_str(&json).unwrap();
            assert_eq!(read, behaviour, "{json}");
        }
    }

    #[test]
    fn a_failure_is_one_sentence() {
        let mut failed = report(Behaviour::blocked());
        failed.verdict = Verdict::UdpBlocked;
        let text = "203.0.113.1 answers TCP".to_owned();
        let code = CauseCode::UdpBlocked;
        failed.cause = Some(Cause { code, text });
        assert_eq!(
            render(&failed, None),
            "UDP is blocked: 203.0.113.1 answers TCP."
        );
    }
}

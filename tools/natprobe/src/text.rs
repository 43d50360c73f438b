//! A report for people: a table, notes, and what it means.

use std::fmt::Write;

use cli::head::Headed;
use discover::{CauseCode, Compliance, Report, Requirement, Verdict};
use nat::oracle::Why;
use nat::plan::{Plan, Strategy, percent};
use nat::{Class, Dependence};
use tabled::builder::Builder;
use tabled::settings::Style;

use crate::rows::{self, Cells, tested, yes};

/// What was asked for in addition. It has a row, even if it could not be tested.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) hairpin: bool,
    pub(crate) lifetime: bool,
    pub(crate) path: bool,
    pub(crate) port_mapping: bool,
}

/// What `--watch` prints where nothing can be sent.
pub(crate) fn no_network(json: bool, error: &anyhow::Error) -> serde_json::Result<String> {
    let error = format!("{error:#}");
    if !json {
        let time = cli::log::time();
        return Ok(format!("{time}: changed: verdict\nNo result: {error}."));
    }
    let report = serde_json::json!({
        "verdict": Verdict::CouldNotTell,
        "cause": {"code": "NO_NETWORK", "text": error},
        "changed": ["verdict"],
    });
    Headed::now("natprobe", report).to_json()
}

/// The whole text.
pub(crate) fn render(report: &Report, asked: Asked, against: Option<&(Plan, Why)>) -> String {
    let mut page = match report.verdict {
        Verdict::Measured => table(report, asked),
        Verdict::UdpBlocked | Verdict::CouldNotTell => String::new(),
    };
    for note in &report.notes {
        let _ = writeln!(page, "note: {}", note.text);
    }
    page += &sentence(report);
    if let Some((plan, why)) = against {
        let outcome = match plan.strategy {
            Strategy::Plain => "connects directly".to_owned(),
            Strategy::PortMapping => {
                "connects directly, through a port mapping of the gateway".to_owned()
            }
            Strategy::Relay => "needs a relay".to_owned(),
            Strategy::None => "does not connect".to_owned(),
            Strategy::Unknown => "may connect directly".to_owned(),
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
        return "RFC 4787 does not apply: there is no NAT.\n\n".to_owned();
    }
    lines(&table.build().with(Style::blank()).to_string()) + "\n"
}

/// The same for programs.
pub(crate) fn against_json((plan, why): &(Plan, Why)) -> serde_json::Value {
    serde_json::json!({
        "expected": plan.strategy.outcome(),
        "strategy": plan.strategy,
        "odds": plan.odds_of_guesses(),
        "why": {"code": why, "text": why.to_string()},
    })
}

fn table(report: &Report, asked: Asked) -> String {
    let behaviour = &report.behaviour;
    let mut table = Builder::new();
    let mut row = |name: &str, (value, remark): Cells| {
        table.push_record([name.to_owned(), value, remark]);
    };
    let took = format!("in {:.0} ms", report.elapsed_ms.ceil());
    row("class", (tested(behaviour.class()), took));
    let local = format!("from {}", report.local);
    row("NAT", (tested(behaviour.nat.map(yes)), local));
    row("mapping", rows::mapping(report));
    row("filtering", rows::filtering(report));
    row("unsolicited packets", rows::unsolicited(report.unsolicited));
    if behaviour.nat == Some(true) {
        row("ports", rows::ports(report));
        let addresses = rows::public_addresses(report);
        row("public addresses", (addresses, String::new()));
        let remaps = report.remaps_after_early_inbound;
        row("early packets", rows::early_packets(remaps));
    }
    if let Some(found) = &report.determinism {
        let value = match found.differing.as_slice() {
            [] => "the same results".to_owned(),
            differing => format!("different: {}", differing.join(", ")),
        };
        row("repeated", (value, format!("in {} runs", found.runs)));
    }
    let untested = |why: &str| (tested(None::<&str>), why.to_owned());
    let no_nat = behaviour.nat != Some(true);
    match report.hairpin {
        Some(found) => row("hairpinning", rows::hairpin(found)),
        None if !asked.hairpin => {}
        None if no_nat => row("hairpinning", untested("there is no NAT")),
        None if behaviour.mapping.is_none() => {
            row("hairpinning", untested("the mapping was not tested"));
        }
        None if behaviour.mapping != Some(Dependence::EndpointIndependent) => {
            let why = "every destination has another mapping, and so has the NAT's own address";
            row("hairpinning", untested(why));
        }
        None => row("hairpinning", untested("the server did not answer")),
    }
    match report.lifetime {
        Some(found) => row("lifetime", rows::lifetime(found)),
        None if !asked.lifetime => {}
        None if no_nat => row("lifetime", untested("there is no NAT")),
        None => row("lifetime", untested("the server did not answer")),
    }
    match &report.path {
        Some(found) => {
            row("path", rows::path(found));
            for (name, cells) in rows::hops(found, report.server.ip()) {
                row(&name, cells);
            }
            row("path MTU", rows::mtu(found.mtu));
        }
        None if asked.path => row("path", untested("it was not finished")),
        None => {}
    }
    match &report.port_mapping {
        Some(found) => row("port mapping", rows::port_mapping(found)),
        None if asked.port_mapping => {
            row(
                "port mapping",
                untested("the server's address is an IPv6 one"),
            );
        }
        None => {}
    }
    let round_trip = report.rtt_ms.map(|ms| format!("round trip {ms:.1} ms"));
    let server = report.server.to_string();
    row("server", (server, round_trip.unwrap_or_default()));
    lines(&table.build().with(Style::blank()).to_string())
}

/// The table without the blanks at the end of each line.
fn lines(table: &str) -> String {
    let lines = table.lines().map(|line| format!("{}\n", line.trim()));
    lines.collect()
}

/// What the report means, in one sentence.
fn sentence(report: &Report) -> String {
    if let Some(cause) = &report.cause {
        let verdict = match report.verdict {
            Verdict::UdpBlocked => "UDP is blocked",
            _ => "No result",
        };
        let hint = match cause.code {
            CauseCode::ServerNotRunning | CauseCode::Silent => {
                " Is the rendezvous running, and is its UDP port open? Try --server HOST:3478 for \
                 another STUN server."
            }
            CauseCode::UdpBlocked
            | CauseCode::ServerRefuses
            | CauseCode::NotStun
            | CauseCode::RouterRefuses => "",
        };
        return format!("{verdict}: {}.{hint}", cause.text);
    }
    let behaviour = &report.behaviour;
    let meaning = match behaviour.class() {
        Some(Class::Open) => "No NAT and no firewall: every host can reach this one.",
        Some(Class::Firewall) => {
            "No NAT, but a firewall that lets in only remotes that this host has sent to: \
             punching works as behind a NAT with endpoint-independent mapping."
        }
        Some(Class::FullCone) => {
            "A NAT with one mapping for all destinations and no filter: every peer with UDP can \
             reach this host."
        }
        Some(Class::Restricted) => {
            "A NAT with one mapping for all destinations, which lets in addresses that this host \
             has sent to: punching works with nearly every peer."
        }
        Some(Class::PortRestricted) => {
            "A NAT with one mapping for all destinations, which lets in addresses and ports that \
             this host has sent to: punching works unless the peer is behind a symmetric NAT."
        }
        Some(Class::Symmetric) => match behaviour.filtering {
            Some(Dependence::EndpointIndependent) => {
                "A NAT with another mapping for every destination, but no filter: every peer with \
                 UDP can reach this host."
            }
            _ => {
                "A NAT with another mapping for every destination: punching works with peers \
                 whose NAT does not filter by port."
            }
        },
        Some(Class::UdpBlocked) | None => match behaviour.nat {
            Some(true) => "There is a NAT, but not all of its behaviour could be tested.",
            _ => "There is no NAT. Whether there is a firewall was not tested.",
        },
    };
    meaning.to_owned()
}

#[cfg(test)]
mod tests {
    use discover::{Cause, Confidence, Evidence, Report, TestKind, Unsolicited};
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
            other_address: None,
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
    fn the_text_has_the_axes_and_the_evidence() {
        use Dependence::*;
        let restricted = Behaviour::translated(EndpointIndependent, AddressDependent);
        let page = render(&report(restricted), Asked::default(), None);
        for part in [
            "restricted",
            "endpoint-independent",
            "address-dependent",
            "seen as 198.51.100.1:40000 by 1 server address",
            "from the other address 0 of 5 answers",
            "punching works",
            "low TTL",
            "ICMP port unreachable",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }

    #[test]
    fn an_axis_that_was_not_tested_is_said_to_be_so() {
        let mut unknown = Behaviour::translated(
            Dependence::EndpointIndependent,
            Dependence::EndpointIndependent,
        );
        unknown.filtering = None;
        assert!(render(&report(unknown), Asked::default(), None).contains("not tested"));
    }

    #[test]
    fn what_was_asked_for_and_not_tested_has_a_row_with_the_reason() {
        use Dependence::*;
        let all = Asked {
            hairpin: true,
            lifetime: true,
            path: true,
            port_mapping: true,
        };
        let symmetric = Behaviour::translated(AddressAndPortDependent, AddressDependent);
        let open = Behaviour::untranslated(EndpointIndependent);
        for (behaviour, why) in [
            (symmetric, "so has the NAT's own address"),
            (open, "there is no NAT"),
        ] {
            let mut report = report(behaviour);
            report.verdict = Verdict::Measured;
            let page = render(&report, all, None);
            let row = |name| page.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(row("hairpinning").contains(why), "{page}");
            for name in ["hairpinning", "lifetime", "path", "port mapping"] {
                assert!(row(name).contains("not tested"), "{page}");
            }
            assert!(!render(&report, Asked::default(), None).contains("hairpinning"));
        }
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
            render(&failed, Asked::default(), None),
            "UDP is blocked: 203.0.113.1 answers TCP."
        );
    }
}

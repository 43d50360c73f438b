//! The rows of the table: what was found, and a remark on it.

use std::fmt::Display;
use std::net::IpAddr;

use discover::{
    HairpinReport, HopQuality, LifetimeReport, MtuLimit, MtuReport, PathReport, PortMapping,
    Report, Source, TestKind, Unsolicited,
};
use nat::PortAssignment;
use nat::plan::percent;

/// The value and the remark of a row.
pub(crate) type Cells = (String, String);

pub(crate) fn tested(found: Option<impl Display>) -> String {
    found.map_or_else(|| "not tested".to_owned(), |found| found.to_string())
}

pub(crate) fn yes(yes: bool) -> &'static str {
    match yes {
        true => "yes",
        false => "no",
    }
}

/// The mapping, and "seen as 198.51.100.1:40000 by 3 server addresses".
pub(crate) fn mapping(report: &Report) -> Cells {
    let tests = report.evidence.iter();
    let places = tests
        .filter(|e| e.test == TestKind::Mapping && e.mapped.is_some())
        .count();
    let mapped: Vec<_> = report.mapped.iter().map(ToString::to_string).collect();
    let plural = if places == 1 { "" } else { "es" };
    let seen = format!(
        "seen as {} by {places} server address{plural}",
        mapped.join(", ")
    );
    (tested(report.behaviour.mapping), seen)
}

/// The filtering, and "let in from the other address 0 of 14 answers, from the other port 10 of 10".
pub(crate) fn filtering(report: &Report) -> Cells {
    let Some(found) = report.behaviour.filtering else {
        return (tested(None::<&str>), String::new());
    };
    let count = |kind| {
        let same = report.evidence.iter().filter(|e| e.test == kind);
        same.fold((0, 0), |(r, s), e| (r + e.received, s + e.sent))
    };
    let (by_address, of_address) = count(TestKind::OtherAddress);
    let (by_port, of_port) = count(TestKind::OtherPort);
    let remark = format!(
        "let in from the other address {by_address} of {of_address} answers, \
         from the other port {by_port} of {of_port}"
    );
    (found.to_string(), remark)
}

/// What becomes of a packet from a remote that the mapping has not sent to.
pub(crate) fn unsolicited(found: Option<Unsolicited>) -> Cells {
    let remark = match found {
        None | Some(Unsolicited::Delivered | Unsolicited::Silence) => "",
        Some(_) => "the sender receives this error",
    };
    (tested(found), remark.to_owned())
}

/// The port assignment, and the odds of guessing a port.
pub(crate) fn ports(report: &Report) -> Cells {
    let Some(found) = &report.allocation else {
        return (tested(None::<&str>), String::new());
    };
    let [low, high] = found.range;
    let value = found.policy.map(|policy| match policy {
        PortAssignment::Preserving => "preserved",
        PortAssignment::Sequential => "sequential",
        PortAssignment::Block => "block",
        PortAssignment::Random => "random",
    });
    let remark = match (found.policy, found.step, found.spray, found.pool) {
        (Some(PortAssignment::Sequential), Some(step), ..) => {
            let next = found.next_port.map(|port| format!(", the next is {port}"));
            format!("step {step}{}", next.unwrap_or_default())
        }
        (_, _, Some(spray), Some(pool)) => format!(
            "{low} to {high} seen, about {pool} in all; {} guesses against {} sockets succeed \
             with {}",
            spray.probes,
            spray.sockets,
            percent(spray.odds)
        ),
        _ => String::new(),
    };
    (tested(value), remark)
}

/// Whether the NAT remaps after early packets, and what helps.
pub(crate) fn early_packets(remaps: Option<bool>) -> Cells {
    let value = remaps.map(|remaps| match remaps {
        true => "remapped",
        false => "not remapped",
    });
    let remark = match remaps {
        Some(true) => {
            "if the peer's packet arrives before ours has left, ours leaves from another port; \
             openers with a low TTL prevent that"
        }
        _ => "",
    };
    (tested(value), remark.to_owned())
}

pub(crate) fn hairpin(found: HairpinReport) -> Cells {
    let source = match found.source {
        Some(Source::External) => ", from the sender's outside endpoint",
        Some(Source::Internal) => ", from the sender's inside endpoint",
        Some(Source::Other) => ", from another endpoint",
        None => "",
    };
    let counts = format!("{} of {} packets came back", found.received, found.sent);
    (yes(found.works).to_owned(), counts + source)
}

/// "20 to 25 s", and what refreshes the mapping.
pub(crate) fn lifetime(found: LifetimeReport) -> Cells {
    let remark = match (found.refreshed_by_outbound, found.refreshed_by_inbound) {
        (Some(true), Some(true)) => "refreshed by packets in either direction",
        (Some(true), Some(false)) => "refreshed by outbound packets only",
        (Some(false), Some(true)) => "refreshed by inbound packets only",
        (Some(false), Some(false)) => "never refreshed",
        _ if !found.response_port => "the server does not support RESPONSE-PORT",
        _ => "",
    };
    let value = match (found.alive_s, found.dead_s) {
        (Some(alive), Some(dead)) => format!("{alive} to {dead} s"),
        (Some(alive), None) => format!("at least {alive} s"),
        (None, Some(dead)) => format!("less than {dead} s"),
        (None, None) => tested(None::<&str>),
    };
    (value, remark.to_owned())
}

/// "192.168.1.1, 203.0.113.254", and where the NAT and the filter are.
pub(crate) fn path(found: &PathReport) -> Cells {
    let hop = |hop: &Option<_>| hop.map_or("?".to_owned(), |ip: IpAddr| ip.to_string());
    let at = |what: &str, hop: Option<u8>| hop.map(|hop| format!("{what} at hop {hop}"));
    let series = found.nats_in_series.map(|series| match series {
        true => "NATs in series".to_owned(),
        false => "one NAT".to_owned(),
    });
    let remarks = [
        at("reflexive address", found.public_at_hop),
        at("farthest filter", found.filter_at_hop),
        series,
    ];
    (
        join(found.hops.iter().map(hop)),
        join(remarks.into_iter().flatten()),
    )
}

/// For each hop, "192.168.1.1" and "round trip 0.2 ms, loss 0 %".
pub(crate) fn hops(found: &PathReport, server: IpAddr) -> Vec<(String, Cells)> {
    let addresses = found.hops.iter().copied();
    let addresses = addresses.chain(found.complete.then_some(Some(server)));
    let hops = addresses.zip(&found.quality).enumerate();
    let row = |(index, (address, quality)): (usize, (Option<IpAddr>, &HopQuality))| {
        let address = address.map_or("?".to_owned(), |ip| ip.to_string());
        let round_trip = match quality.rtt_ms {
            Some(ms) => format!("round trip {ms:.1} ms"),
            None if quality.answered > 0 => "round trip not told by its ICMP errors".to_owned(),
            None => "no answer".to_owned(),
        };
        let loss = match quality.loss {
            Some(loss) => format!("loss {:.0} %", loss * 100.0),
            None => format!(
                "{} of {} answered: loss, or a limit on ICMP errors",
                quality.answered, quality.sent
            ),
        };
        let name = format!("hop {}", index + 1);
        (name, (address, format!("{round_trip}, {loss}")))
    };
    hops.map(row).collect()
}

/// "1400 bytes", and what is in the way of more.
pub(crate) fn mtu(found: Option<MtuReport>) -> Cells {
    let Some(found) = found else {
        return (tested(None::<&str>), String::new());
    };
    let router = found
        .router
        .map_or("a router".to_owned(), |ip| ip.to_string());
    let remark = match found.limit {
        MtuLimit::Interface => "limited by this host".to_owned(),
        MtuLimit::Router => format!("limited at {router}, which says so"),
        MtuLimit::Silence => {
            "larger ones get no answer and no ICMP error: a router drops them, or the server does \
             not take them"
                .to_owned()
        }
        MtuLimit::NotTried => "larger ones were not tried".to_owned(),
    };
    let value = match found.fits {
        Some(bytes) if found.limit == MtuLimit::NotTried => format!("at least {bytes} bytes"),
        Some(bytes) => format!("{bytes} bytes"),
        None => "not told".to_owned(),
    };
    (value, remark)
}

/// "UPnP-IGD, NAT-PMP", and which public address the gateway reports.
pub(crate) fn port_mapping(found: &PortMapping) -> Cells {
    let protocols = [
        found.upnp_igd.as_ref().map(|_| "UPnP-IGD"),
        found.nat_pmp.as_ref().map(|_| "NAT-PMP"),
        found.pcp.as_ref().map(|_| "PCP"),
    ];
    let value = match join(protocols.into_iter().flatten().map(str::to_owned)) {
        none if none.is_empty() => match found.gateway {
            None => "no UPnP-IGD; NAT-PMP and PCP not tested, because no gateway is known",
            Some(_) => "none",
        }
        .to_owned(),
        protocols => protocols,
    };
    let mut reported: Vec<_> = found.external().map(|ip| ip.to_string()).collect();
    reported.dedup();
    let agrees = found.agrees.map(|agrees| match agrees {
        true => "the address that the server saw".to_owned(),
        false => "not the address that the server saw: there is another NAT beyond".to_owned(),
    });
    (value, join(reported.into_iter().chain(agrees)))
}

pub(crate) fn public_addresses(report: &Report) -> String {
    join(report.public_addresses.iter().map(ToString::to_string))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

//! What one finding is in words: a short one, and what is to be said about it.

use discover::{LifetimeReport, PathReport, PortMapping, Report};
use nat::PortAssignment;
use nat::plan::percent;

pub(crate) const EARLY: &str = "if the peer's packet comes first, ours leaves from another port; \
     openers with a low TTL cure it";

/// The policy, and what it means to somebody who has to guess.
pub(crate) fn ports(report: &Report) -> (String, String) {
    let Some(found) = &report.allocation else {
        return ("not tested".to_owned(), String::new());
    };
    let [low, high] = found.range;
    let word = match found.policy {
        None => "not tested",
        Some(PortAssignment::Preserving) => "preserved",
        Some(PortAssignment::Sequential) => "sequential",
        Some(PortAssignment::Block) => "block",
        Some(PortAssignment::Random) => "random",
    };
    let step = found.step.unwrap_or_default();
    let next = found.next_port.map(|port| format!(", the next is {port}"));
    let more = match (found.policy, found.spray, found.pool) {
        (Some(PortAssignment::Sequential), ..) => {
            format!("step {step}{}", next.unwrap_or_default())
        }
        (Some(_), Some(spray), Some(pool)) => format!(
            "{low} to {high} seen, about {pool} in all; {} sockets and {} probes meet in {}",
            spray.sockets,
            spray.probes,
            percent(spray.odds)
        ),
        _ => String::new(),
    };
    (word.to_owned(), more)
}

/// "192.168.1.1, 203.0.113.254", and where it is translated and filtered
pub(crate) fn way(found: &PathReport) -> (String, String) {
    let hop = |hop: &Option<_>| hop.map_or("?".to_owned(), |ip: std::net::IpAddr| ip.to_string());
    let hops: Vec<_> = found.hops.iter().map(hop).collect();
    let at = |what: &str, hop: Option<u8>| hop.map(|hop| format!("{what} at hop {hop}"));
    let series = match found.nats_in_series {
        Some(true) => Some("NATs in series".to_owned()),
        Some(false) => Some("one NAT".to_owned()),
        None => None,
    };
    let parts = [
        at("translated", found.public_at_hop),
        at("filtered", found.filter_at_hop),
        series,
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (hops.join(", "), parts.join(", "))
}

/// "UPnP-IGD, NAT-PMP", and what they say of the outer address
pub(crate) fn mapper(found: &PortMapping) -> (String, String) {
    let spoken: Vec<_> = [
        ("UPnP-IGD", found.upnp_igd.is_some()),
        ("NAT-PMP", found.nat_pmp.is_some()),
        ("PCP", found.pcp.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, spoken)| spoken.then_some(name))
    .collect();
    let word = match (spoken.as_slice(), found.gateway) {
        ([], None) => "no UPnP-IGD, the rest not tested".to_owned(),
        ([], Some(_)) => "none".to_owned(),
        (spoken, _) => spoken.join(", "),
    };
    let mut claimed: Vec<_> = found.external().map(|ip| ip.to_string()).collect();
    claimed.dedup();
    let more = match found.agrees {
        Some(true) => "the outer address is theirs",
        Some(false) => "not the outer address: another NAT comes behind the gateway",
        None => "",
    };
    let parts = [claimed.join(", "), more.to_owned()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (word, parts.join(", "))
}

/// "20 to 25 s", and what refreshes it
pub(crate) fn lives(found: LifetimeReport) -> (String, String) {
    let refreshed = match (found.refreshed_by_outbound, found.refreshed_by_inbound) {
        (Some(true), Some(true)) => "refreshed by packets in either direction",
        (Some(true), Some(false)) => "refreshed by packets from inside alone",
        (Some(false), Some(true)) => "refreshed by packets from outside alone",
        (Some(false), Some(false)) => "never refreshed",
        _ if !found.response_port => "the server does not answer to another port",
        _ => "",
    };
    let word = match (found.alive_s, found.dead_s) {
        (Some(alive), Some(dead)) => format!("{alive} to {dead} s"),
        (Some(alive), None) => format!("at least {alive} s"),
        (None, Some(dead)) => format!("less than {dead} s"),
        (None, None) => "not tested".to_owned(),
    };
    (word, refreshed.to_owned())
}

pub(crate) fn addresses(report: &Report) -> String {
    let all = report.public_addresses.iter().map(ToString::to_string);
    all.collect::<Vec<_>>().join(", ")
}

//! Whether there is a carrier-grade NAT behind the home router (RFC 6888), by what the other
//! measurements have shown: nothing is sent for it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use nat::is_private;

use super::report::{Note, NoteCode, Report};

/// Between a carrier and its customers (RFC 6598). Some VPNs use it as well.
const SHARED: IpNet = IpNet::V4(Ipv4Net::new_assert(
    std::net::Ipv4Addr::new(100, 64, 0, 0),
    10,
));

/// A hint that there is a carrier-grade NAT. Without one there may be one all the same: its routers may
/// not show.
pub fn carrier_nat(report: &Report) -> Option<Note> {
    // No NAT at all: the shared addresses are those of a VPN, or of a router on the way.
    if report.behaviour.nat == Some(false) {
        return None;
    }
    let sign = by_gateway(report)
        .or_else(|| by_path(report))
        .or_else(|| by_addresses(report))?;
    let text = format!(
        "a carrier-grade NAT (CGN) is likely: {sign}. Then no port that the home router maps can be \
         reached from outside; the carrier may give a public address or IPv6 on request"
    );
    let code = NoteCode::CarrierNat;
    Some(Note { code, text })
}

/// The gateway says by UPnP or NAT-PMP which address it has outside.
fn by_gateway(report: &Report) -> Option<String> {
    let mapping = report.port_mapping.as_ref()?;
    let seen = |ip: IpAddr| report.mapped.iter().any(|mapped| mapped.ip() == ip);
    let unseen = mapping.external().find(|ip| !seen(*ip));
    let external = unseen.filter(|_| mapping.agrees == Some(false))?;
    let kind = if is_private(external) {
        ", which is not a public one"
    } else {
        ""
    };
    let mapped = report.mapped.first()?.ip();
    Some(format!(
        "the gateway says that its outside address is {external}{kind}, and the server sees {mapped}"
    ))
}

/// The routers on the way have been asked for.
fn by_path(report: &Report) -> Option<String> {
    let path = report.path.as_ref()?;
    let mut hops = path.hops.iter().flatten();
    if let Some(hop) = hops.find(|hop| SHARED.contains(*hop)) {
        return Some(format!("on the way is {hop}, of {SHARED} (RFC 6598)"));
    }
    let second = "behind the home router's network there is another private one";
    (path.nats_in_series == Some(true)).then(|| second.into())
}

fn by_addresses(report: &Report) -> Option<String> {
    let mapped = report.mapped.iter().map(|mapped| mapped.ip());
    if let Some(mapped) = mapped.clone().find(|ip| SHARED.contains(ip)) {
        return Some(format!(
            "the server sees this host at {mapped}, of {SHARED} (RFC 6598), which is not public"
        ));
    }
    let local = Some(report.local.ip()).filter(|ip| SHARED.contains(ip))?;
    let translated = mapped.into_iter().any(|ip| ip != local);
    translated.then(|| {
        format!(
            "this host has {local}, of {SHARED} (RFC 6598), and the server sees another address"
        )
    })
}

//! What the gateway answers by the port mapping protocols.

use std::net::IpAddr;

use serde::Serialize;

/// The port mapping protocols that the gateway answers. It was only asked: no port was mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortMapping {
    /// The default gateway, which NAT-PMP and PCP ask. `None`: there is none, and they were not tested.
    pub gateway: Option<IpAddr>,
    /// Its NAT-PMP (RFC 6886), if it answers.
    pub nat_pmp: Option<NatPmp>,
    /// Its PCP (RFC 6887), if it answers.
    pub pcp: Option<Pcp>,
    /// A UPnP Internet Gateway Device on the network, if one answers.
    pub upnp_igd: Option<UpnpIgd>,
    /// Whether every public address that the gateway reports is one that the server saw. If not, there
    /// is another NAT beyond the gateway. `None`: nothing to compare.
    pub agrees: Option<bool>,
}

/// An answer by NAT-PMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NatPmp {
    /// Its public address, if it reports one.
    pub external: Option<IpAddr>,
    /// Seconds since its table of mappings was last empty.
    pub epoch: u32,
    /// Its result code (RFC 6886 §3.5).
    pub result: u16,
}

/// An answer by PCP, which reports no public address unless a port is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pcp {
    /// Seconds since its table of mappings was last empty.
    pub epoch: u32,
    /// Its result code (RFC 6887 §7.4).
    pub result: u8,
}

/// An answer by UPnP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpnpIgd {
    /// Its public address, if it reports one.
    pub external: Option<IpAddr>,
    /// Where its description is.
    pub location: String,
}

impl PortMapping {
    /// The public addresses that the gateway reports.
    pub fn external(&self) -> impl Iterator<Item = IpAddr> {
        let nat_pmp = self.nat_pmp.and_then(|found| found.external);
        let upnp_igd = self.upnp_igd.as_ref().and_then(|found| found.external);
        nat_pmp.into_iter().chain(upnp_igd)
    }

    /// Compares the reported addresses with those that the server saw.
    pub fn compare(&mut self, seen: &[IpAddr]) {
        let comparable = !seen.is_empty() && self.external().next().is_some();
        self.agrees = comparable.then(|| self.external().all(|ip| seen.contains(&ip)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 17))];

    fn agrees(nat_pmp: Option<&str>, upnp_igd: Option<&str>, seen: &[IpAddr]) -> Option<bool> {
        let ip = |text: &str| text.parse().unwrap();
        let mut found = PortMapping {
            nat_pmp: Some(NatPmp {
                external: nat_pmp.map(ip),
                epoch: 1,
                result: 0,
            }),
            upnp_igd: Some(UpnpIgd {
                external: upnp_igd.map(ip),
                location: String::new(),
            }),
            ..PortMapping::default()
        };
        found.compare(seen);
        found.agrees
    }

    #[test]
    fn every_reported_address_must_have_been_seen() {
        let (here, carrier) = (Some("203.0.113.17"), Some("100.64.1.2"));
        assert_eq!(agrees(here, here, &SEEN), Some(true));
        assert_eq!(agrees(None, here, &SEEN), Some(true));
        assert_eq!(agrees(carrier, None, &SEEN), Some(false));
        assert_eq!(agrees(here, carrier, &SEEN), Some(false));
    }

    #[test]
    fn without_a_reported_or_a_seen_address_nothing_is_compared() {
        assert_eq!(agrees(None, None, &SEEN), None);
        assert_eq!(agrees(Some("203.0.113.17"), None, &[]), None);
    }
}

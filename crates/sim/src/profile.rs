//! The behaviour of a simulated NAT, and the lab's types by name.

use std::time::Duration;

use super::Ports;
use nat::plan::{self, Limits, Side};
use nat::{
    Behaviour,
    Dependence::{self, *},
};

/// The behaviour of a NAT or firewall, in the terms of RFC 4787.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Whether addresses and ports are translated. A firewall does not translate.
    pub translates: bool,
    /// Which destinations share a mapping (RFC 4787 §4.1).
    pub mapping: Dependence,
    /// Which remotes a mapping lets in (RFC 4787 §5).
    pub filtering: Dependence,
    /// The port assignment (RFC 4787 §4.2).
    pub ports: Ports,
    /// The lifetime of a mapping and of a permit after the last outbound packet (RFC 4787 §4.3; only
    /// outbound packets refresh, REQ-6).
    pub lifetime: Duration,
    /// Whether hairpinning is supported (RFC 4787 §6), with the sender's outside endpoint as source
    /// (REQ-9).
    pub hairpin: bool,
    /// The fault of a bare Linux masquerade: an early packet creates an entry that occupies its
    /// addresses and ports, so that the host's own packet leaves from another outside port.
    pub remaps_after_early_inbound: bool,
    /// The code of the ICMP destination unreachable that answers a packet that is not let in. `None`:
    /// it is dropped silently.
    pub refuses: Option<u8>,
    /// No UDP passes in either direction.
    pub blocks_udp: bool,
}

impl Profile {
    /// The lab's types with one router, by their names in `lab/netns.sh list`. (For a single host,
    /// `basic` is `full-cone`. `cgnat` is two routers in series.)
    pub const NAMES: [&str; 12] = [
        "open",
        "firewall",
        "basic",
        "full-cone",
        "restricted",
        "port-restricted",
        "symmetric",
        "symmetric-sequential",
        "symmetric-block",
        "address-dependent",
        "masquerade",
        "udp-blocked",
    ];

    /// A NAT with these axes that preserves ports where it can.
    pub fn new(mapping: Dependence, filtering: Dependence) -> Self {
        Self {
            translates: true,
            mapping,
            filtering,
            ports: Ports::Preserve,
            lifetime: Duration::from_secs(120),
            hairpin: false,
            remaps_after_early_inbound: false,
            refuses: None,
            blocks_udp: false,
        }
    }

    /// One of [`NAMES`](Self::NAMES); `None` for any other name.
    pub fn named(name: &str) -> Option<Self> {
        let port_restricted = Self::new(EndpointIndependent, AddressAndPortDependent);
        let symmetric = |ports| Self {
            ports,
            ..Self::new(AddressAndPortDependent, AddressAndPortDependent)
        };
        Some(match name {
            "open" => Self {
                translates: false,
                ..Self::new(EndpointIndependent, EndpointIndependent)
            },
            "firewall" => Self {
                translates: false,
                ..port_restricted
            },
            "basic" | "full-cone" => Self::new(EndpointIndependent, EndpointIndependent),
            "restricted" => Self::new(EndpointIndependent, AddressDependent),
            "port-restricted" => port_restricted,
            "symmetric" => symmetric(Ports::Random),
            "symmetric-sequential" => symmetric(Ports::Sequential {
                first: 40000,
                step: 1,
            }),
            "symmetric-block" => symmetric(Ports::Block(40000..=40511)),
            "address-dependent" => Self {
                ports: Ports::Random,
                ..Self::new(AddressDependent, AddressDependent)
            },
            "masquerade" => Self {
                remaps_after_early_inbound: true,
                // The router's own stack answers: it has no such socket.
                refuses: Some(3),
                ..port_restricted
            },
            "udp-blocked" => Self {
                blocks_udp: true,
                ..port_restricted
            },
            _ => return None,
        })
    }

    /// What a perfect prober reports, as a plan needs it.
    pub fn side(&self, limits: Limits) -> Side {
        Side {
            behaviour: self.behaviour(),
            ports: match &self.ports {
                Ports::Sequential { step, .. } => plan::Ports::Sequential(i32::from(*step)),
                Ports::Block(range) => plan::Ports::Block(*range.start(), *range.end()),
                Ports::Preserve | Ports::Random => plan::Ports::Any,
            },
            remaps: Some(self.remaps_after_early_inbound),
            mapped: false,
            limits,
        }
    }

    /// What a perfect prober reports.
    pub fn behaviour(&self) -> Behaviour {
        match (self.blocks_udp, self.translates) {
            (true, _) => Behaviour::blocked(),
            (false, false) => Behaviour::untranslated(self.filtering),
            (false, true) => Behaviour::translated(self.mapping, self.filtering),
        }
    }
}

//! What kind of NAT to simulate: the knobs, and the lab's types by name.

use std::time::Duration;

use super::Ports;
use nat::plan::{self, Limits, Side};
use nat::{
    Behaviour,
    Dependence::{self, *},
};

/// A kind of NAT or firewall, in RFC 4787's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Are addresses and ports translated? A firewall does not.
    pub translates: bool,
    /// Which destinations share a mapping (RFC 4787 §4.1).
    pub mapping: Dependence,
    /// Who gets in through a mapping (RFC 4787 §5).
    pub filtering: Dependence,
    /// Which outer port a new mapping gets (RFC 4787 §4.2).
    pub ports: Ports,
    /// How long a mapping, and a sender's permission to use it, live after the
    /// last outgoing packet (RFC 4787 §4.3, REQ-6: outbound refreshes).
    pub lifetime: Duration,
    /// May an inner host reach another by its outer address? (RFC 4787 §6,
    /// REQ-9: with the sender's outer address as the source.)
    pub hairpin: bool,
    /// The fault of a bare Linux masquerade: a packet that comes in before the
    /// host's own has gone out makes an entry that owns the addresses and
    /// ports, and the host's own packet is moved to another outer port.
    pub remaps_after_early_inbound: bool,
    /// What it does not let in it refuses with an ICMP destination-unreachable
    /// of this code; without one it is silent.
    pub refuses: Option<u8>,
    /// No UDP passes in either direction.
    pub blocks_udp: bool,
}

impl Profile {
    /// The lab's one-router types, by the names that `lab/netns.sh list` has.
    /// (`basic` is `full-cone` to a single host; `cgnat` is two in series.)
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
                // The router's own stack: nobody listens there.
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

    /// What a perfect prober tells a plan.
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

    /// What a perfect prober reports of it.
    pub fn behaviour(&self) -> Behaviour {
        match (self.blocks_udp, self.translates) {
            (true, _) => Behaviour::blocked(),
            (false, false) => Behaviour::untranslated(self.filtering),
            (false, true) => Behaviour::translated(self.mapping, self.filtering),
        }
    }
}

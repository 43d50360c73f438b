//! What a NAT does, in the words of RFC 4787; the classical names are computed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a NAT's decision about a flow depends on, besides the inner endpoint.
///
/// One scale serves both axes: which mapping an outgoing packet gets
/// (RFC 4787 §4.1) and which incoming packets a mapping lets in (§5).
/// The order is by strictness: what is greater looks at more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependence {
    /// On nothing else: one mapping for all destinations, or anyone gets in.
    EndpointIndependent,
    /// On the remote address.
    AddressDependent,
    /// On the remote address and port.
    AddressAndPortDependent,
}

impl Dependence {
    /// All three, from the loosest to the strictest.
    pub const ALL: [Self; 3] = [
        Self::EndpointIndependent,
        Self::AddressDependent,
        Self::AddressAndPortDependent,
    ];
}

impl fmt::Display for Dependence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

/// The classical name (RFC 3489 §5, and the two cases without translation):
/// a label for people, always computed from the axes by [`Behaviour::class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Neither translated nor filtered.
    Open,
    /// Filtered, but not translated.
    Firewall,
    /// One mapping, anyone may use it.
    FullCone,
    /// One mapping, for the addresses it has sent to.
    Restricted,
    /// One mapping, for the addresses and ports it has sent to.
    PortRestricted,
    /// Another mapping for another destination, whatever the filtering.
    Symmetric,
    /// The host is up, but no UDP comes back.
    UdpBlocked,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Firewall => "firewall",
            Self::FullCone => "full-cone",
            Self::Restricted => "restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::UdpBlocked => "udp-blocked",
        })
    }
}

/// What stands between a host and the internet, as far as it is known.
///
/// In serde's formats it is the part of natprobe's report that decides who can
/// reach whom: `class`, `nat`, `mapping` and `filtering`. Reading ignores all
/// other fields, and of `class` it only heeds `udp-blocked`: the axes win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Summary", into = "Summary")]
pub struct Behaviour {
    /// Are addresses or ports translated? `None`: not tested.
    pub nat: Option<bool>,
    /// Which destinations share a mapping (RFC 4787 §4.1). `None`: not tested.
    /// Without translation it is endpoint-independent.
    pub mapping: Option<Dependence>,
    /// Who gets in through a mapping (RFC 4787 §5). `None`: not tested.
    pub filtering: Option<Dependence>,
    /// No UDP comes back at all; the axes are then meaningless.
    pub udp_blocked: bool,
}

impl Behaviour {
    /// No translation, and unsolicited packets dropped as `filtering` says;
    /// endpoint-independent filtering means that there is nothing at all.
    pub const fn untranslated(filtering: Dependence) -> Self {
        Self {
            nat: Some(false),
            mapping: Some(Dependence::EndpointIndependent),
            filtering: Some(filtering),
            udp_blocked: false,
        }
    }

    /// A NAT with these axes.
    pub const fn translated(mapping: Dependence, filtering: Dependence) -> Self {
        Self {
            nat: Some(true),
            mapping: Some(mapping),
            filtering: Some(filtering),
            udp_blocked: false,
        }
    }

    /// Nothing comes back.
    pub const fn blocked() -> Self {
        Self {
            nat: None,
            mapping: None,
            filtering: None,
            udp_blocked: true,
        }
    }

    /// The classical name, or `None` where an axis that decides it is unknown.
    pub fn class(&self) -> Option<Class> {
        use Dependence::*;
        if self.udp_blocked {
            return Some(Class::UdpBlocked);
        }
        match (self.nat?, self.mapping, self.filtering) {
            (false, _, Some(EndpointIndependent)) => Some(Class::Open),
            (false, _, Some(_)) => Some(Class::Firewall),
            // RFC 3489 calls it symmetric whatever is let in.
            (true, Some(AddressDependent | AddressAndPortDependent), _) => Some(Class::Symmetric),
            (true, Some(EndpointIndependent), Some(filtering)) => Some(match filtering {
                EndpointIndependent => Class::FullCone,
                AddressDependent => Class::Restricted,
                AddressAndPortDependent => Class::PortRestricted,
            }),
            _ => None,
        }
    }
}

/// [`Behaviour`] as it stands in a report.
#[derive(Serialize, Deserialize)]
struct Summary {
    #[serde(default)]
    class: Option<Class>,
    #[serde(default)]
    nat: Option<bool>,
    #[serde(default)]
    mapping: Option<Dependence>,
    #[serde(default)]
    filtering: Option<Dependence>,
}

impl From<Summary> for Behaviour {
    fn from(s: Summary) -> Self {
        Self {
            nat: s.nat,
            mapping: s.mapping,
            filtering: s.filtering,
            udp_blocked: s.class == Some(Class::UdpBlocked),
        }
    }
}

impl From<Behaviour> for Summary {
    fn from(b: Behaviour) -> Self {
        Self {
            class: b.class(),
            nat: b.nat,
            mapping: b.mapping,
            filtering: b.filtering,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Behaviour, Class, Dependence::*};

    #[test]
    fn names_are_points_in_the_grid() {
        for (filtering, translated, untranslated) in [
            (EndpointIndependent, Class::FullCone, Class::Open),
            (AddressDependent, Class::Restricted, Class::Firewall),
            (
                AddressAndPortDependent,
                Class::PortRestricted,
                Class::Firewall,
            ),
        ] {
            let cone = Behaviour::translated(EndpointIndependent, filtering);
            assert_eq!(cone.class(), Some(translated));
            let none = Behaviour::untranslated(filtering);
            assert_eq!(none.class(), Some(untranslated));
            for mapping in [AddressDependent, AddressAndPortDependent] {
                let symmetric = Behaviour::translated(mapping, filtering);
                assert_eq!(symmetric.class(), Some(Class::Symmetric));
            }
        }
        assert_eq!(Behaviour::blocked().class(), Some(Class::UdpBlocked));
    }

    #[test]
    fn an_unknown_axis_is_not_a_verdict() {
        let mut cone = Behaviour::translated(EndpointIndependent, EndpointIndependent);
        cone.filtering = None;
        assert_eq!(cone.class(), None);
        let mut symmetric = Behaviour::translated(AddressDependent, AddressDependent);
        symmetric.filtering = None;
        assert_eq!(symmetric.class(), Some(Class::Symmetric));
        assert_eq!(Behaviour::default().class(), None);
    }
}

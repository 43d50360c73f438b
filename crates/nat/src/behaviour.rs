//! What a NAT does, in the terms of RFC 4787. The classical names are computed from it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a NAT's decision about a packet depends on, besides the inside endpoint.
///
/// Both axes use it: which mapping an outgoing packet gets (RFC 4787 §4.1) and which incoming
/// packets a mapping lets in (§5). A greater value looks at more of the remote endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependence {
    /// On nothing else: one mapping for all destinations, or every packet passes.
    EndpointIndependent,
    /// On the remote address.
    AddressDependent,
    /// On the remote address and port.
    AddressAndPortDependent,
}

impl Dependence {
    /// All three, from the least to the greatest.
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

/// The classical name (RFC 3489 §5, and the two cases without translation): a label for people,
/// computed from the axes by [`Behaviour::class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// No translation and no filter.
    Open,
    /// A filter without translation.
    Firewall,
    /// One mapping for all destinations, and no filter.
    FullCone,
    /// One mapping for all destinations; it lets in addresses that it has sent to.
    Restricted,
    /// One mapping for all destinations; it lets in endpoints that it has sent to.
    PortRestricted,
    /// The mapping depends on the destination, whatever the filtering.
    Symmetric,
    /// The server's host is up, but no UDP comes back.
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

/// The NAT or firewall between a host and the internet, as far as it is known.
///
/// It serializes as the part of natprobe's report that decides whether two hosts can connect:
/// `class`, `nat`, `mapping` and `filtering`. Deserializing ignores all other fields, and of `class`
/// it uses `udp-blocked` only: otherwise the axes decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Summary", into = "Summary")]
pub struct Behaviour {
    /// Whether addresses or ports are translated. `None`: not tested.
    pub nat: Option<bool>,
    /// Which destinations share a mapping (RFC 4787 §4.1). `None`: not tested.
    /// Without translation it is endpoint-independent.
    pub mapping: Option<Dependence>,
    /// Which remotes a mapping lets in (RFC 4787 §5). `None`: not tested.
    pub filtering: Option<Dependence>,
    /// No UDP comes back at all. The axes then have no meaning.
    pub udp_blocked: bool,
}

impl Behaviour {
    /// No translation, and a firewall with this filtering. Endpoint-independent filtering means
    /// that there is no firewall.
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

    /// No UDP comes back.
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
            // Symmetric by RFC 3489, whatever the filtering is.
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

/// [`Behaviour`] as a report has it.
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
    fn each_pair_of_axes_has_its_classical_name() {
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
    fn without_an_axis_that_decides_there_is_no_name() {
        let mut cone = Behaviour::translated(EndpointIndependent, EndpointIndependent);
        cone.filtering = None;
        assert_eq!(cone.class(), None);
        let mut symmetric = Behaviour::translated(AddressDependent, AddressDependent);
        symmetric.filtering = None;
        assert_eq!(symmetric.class(), Some(Class::Symmetric));
        assert_eq!(Behaviour::default().class(), None);
    }
}

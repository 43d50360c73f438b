//! What a lease is given and what it yields.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::LIFETIME;

/// A protocol by which a gateway is asked to map a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MappingProtocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP's Internet Gateway Device.
    UpnpIgd,
}

impl MappingProtocol {
    /// All of them, in the order of preference.
    pub const ALL: [Self; 3] = [Self::Pcp, Self::NatPmp, Self::UpnpIgd];
}

impl fmt::Display for MappingProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::UpnpIgd => "UPnP-IGD",
        })
    }
}

/// The mapping that is wanted.
#[derive(Clone, Debug)]
pub struct Config {
    /// The protocols to try, in the order of preference; by default
    /// [`MappingProtocol::ALL`].
    pub protocols: Vec<MappingProtocol>,
    /// The lifetime to ask for; by default [`LIFETIME`].
    pub lifetime: Duration,
    /// Our outside addresses, as servers saw them. Another outside address
    /// that the gateway claims is accepted only if it is public: the lease may
    /// begin before a server has answered.
    pub observed: Vec<IpAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocols: MappingProtocol::ALL.to_vec(),
            lifetime: LIFETIME,
            observed: Vec::new(),
        }
    }
}

/// A mapping that a gateway has granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The outside address, as the gateway claims it.
    pub external: SocketAddr,
    /// How long the mapping lasts.
    pub lifetime: Duration,
}

/// A mapping that was granted and accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// Packets to this address reach the inside port, whoever sends them.
    pub external: SocketAddr,
    /// The protocol by which it was asked for.
    pub protocol: MappingProtocol,
    /// How long the gateway keeps it, from the grant on; renewed after half of
    /// that.
    pub lifetime: Duration,
}

/// Why there is no mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This host has no IPv4 default route, and so no gateway to ask.
    #[error("this host has no IPv4 default gateway")]
    NoGateway,
    /// No answer came.
    #[error("no answer")]
    Silent,
    /// The gateway refused; its text or its result code.
    #[error("refused: {0}")]
    Refused(String),
    /// The outside address is not public: there is another NAT in front of the
    /// gateway, or the gateway is wrong.
    #[error("the gateway claims the outside address {0}, which is not public")]
    NotPublic(IpAddr),
    /// The mapping has no outside address or port, or ends within a second.
    #[error("the gateway granted a mapping without an outside address or lifetime")]
    Unusable,
}

/// Something for the driver to do. It takes a bounded time, and the driver
/// reports how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask whether the gateway speaks this protocol; this maps nothing.
    Find(MappingProtocol),
    /// Ask for a mapping, or for the renewal of the one at `external`.
    Map {
        /// The protocol.
        protocol: MappingProtocol,
        /// The outside address that was granted before.
        external: Option<SocketAddr>,
        /// The lifetime to ask for.
        lifetime: Duration,
    },
    /// Give back the mapping that was asked for, whether or not it was granted.
    Release(MappingProtocol),
}

/// A change, for whoever uses the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a mapping, or its outside address has changed.
    Mapped(Mapped),
    /// The mapping could not be renewed and is lost; another is being asked for.
    Lost(Refusal),
    /// No protocol gives a mapping, and why; they are tried again after
    /// [`REST`](super::REST).
    Nothing(Vec<(MappingProtocol, Refusal)>),
}

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
    /// All of them.
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
    /// The protocols to try; by default [`MappingProtocol::ALL`]. The gateway is
    /// asked by all of them at once whether it speaks them, and for the mapping by
    /// the one by which it answers first, whatever its place in this list.
    /// Duplicates are ignored.
    pub protocols: Vec<MappingProtocol>,
    /// The lifetime to ask for; by default [`LIFETIME`]. It is clamped to
    /// [`MIN_LIFETIME`](super::MIN_LIFETIME) and
    /// [`MAX_LIFETIME`](super::MAX_LIFETIME).
    pub lifetime: Duration,
    /// Our outside addresses, as servers saw them. A private address that the
    /// gateway claims as its outside address is accepted only if it is in this list:
    /// otherwise the gateway is behind another NAT, and hosts outside cannot reach
    /// that address. A public address is accepted in any case, because the list may
    /// be empty: the lease may start before a server has answered.
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

/// A mapping that a gateway has granted. The lease accepts or rejects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The outside endpoint, as the gateway claims it.
    pub external: SocketAddr,
    /// How long the mapping lasts.
    pub lifetime: Duration,
}

/// A mapping that was granted and accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// The outside endpoint: packets from any remote endpoint to it reach the inside
    /// port.
    pub external: SocketAddr,
    /// The protocol by which the mapping was asked for.
    pub protocol: MappingProtocol,
    /// How long the gateway keeps the mapping, from the grant on. The lease renews
    /// it after half of that.
    pub lifetime: Duration,
}

/// Why there is no mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMapping {
    /// This host has no IPv4 default route, and so no gateway to ask.
    #[error("this host has no IPv4 default gateway")]
    NoGateway,
    /// There is no route to the gateway; the system's error.
    #[error("no route to the gateway: {0}")]
    NoRoute(String),
    /// No answer came.
    #[error("no answer")]
    Silent,
    /// The gateway refused; its text or its result code. By UPnP-IGD also an
    /// HTTP request that failed.
    #[error("refused: {0}")]
    RefusedByGateway(String),
    /// The outside address that the gateway claims is not public and not in
    /// [`Config::observed`], so that a grant with it is rejected. The gateway is
    /// behind another NAT, has no outside address (0.0.0.0), or reports a wrong one.
    #[error("the gateway claims the outside address {0}, which is not public")]
    NotPublic(IpAddr),
    /// The gateway granted a mapping, which the lease rejected: its outside port is
    /// 0, or its lifetime is shorter than [`MIN_LIFETIME`](super::MIN_LIFETIME).
    #[error("the gateway granted outside port 0, or a lifetime under one second")]
    Unusable,
}

/// Something for the driver to do. The driver bounds its time, and reports how it
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask whether the gateway speaks this protocol; this maps nothing.
    Find(MappingProtocol),
    /// Ask for a mapping, or for the renewal of the one at `external`.
    Map {
        /// The protocol.
        protocol: MappingProtocol,
        /// The outside endpoint that was granted before; `None` in the first
        /// request.
        external: Option<SocketAddr>,
        /// The lifetime to ask for.
        lifetime: Duration,
    },
    /// Give back the mapping that was asked for by this protocol, whether or not it
    /// was granted.
    Release(MappingProtocol),
}

/// A change of the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a mapping, or its outside endpoint has changed.
    Mapped(Mapped),
    /// The mapping could not be renewed and is lost; all protocols are tried again.
    Lost(NoMapping),
    /// No protocol gives a mapping; the cause for each. They are tried again after
    /// [`PAUSE_AFTER_FAILURE`](super::PAUSE_AFTER_FAILURE).
    Nothing(Vec<(MappingProtocol, NoMapping)>),
}

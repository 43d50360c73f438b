//! What a lease is asked for with, and what it says.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::LIFETIME;

/// A protocol that maps ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP's Internet Gateway Device.
    UpnpIgd,
}

impl Protocol {
    /// Those there are, the better first.
    pub const ALL: [Self; 3] = [Self::Pcp, Self::NatPmp, Self::UpnpIgd];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::UpnpIgd => "UPnP-IGD",
        })
    }
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which may be asked, the better first; [`Protocol::ALL`].
    pub protocols: Vec<Protocol>,
    /// For how long; [`LIFETIME`].
    pub lifetime: Duration,
    /// The outer addresses that a server saw. A claim to another one is
    /// believed if it is a public one: the lease may be older than the server's
    /// answer.
    pub observed: Vec<IpAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocols: Protocol::ALL.to_vec(),
            lifetime: LIFETIME,
            observed: Vec::new(),
        }
    }
}

/// What a gateway has granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What leads to the inner port, so it says.
    pub external: SocketAddr,
    /// For how long.
    pub lifetime: Duration,
}

/// A port that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// Whoever sends here is let in to the inner port.
    pub external: SocketAddr,
    /// How it was asked for.
    pub protocol: Protocol,
    /// How long the gateway keeps it, counted from now; renewed at half of it.
    pub lifetime: Duration,
}

/// Why there is no mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no default gateway for IPv4 that could be asked.
    #[error("no default gateway is known")]
    NoGateway,
    /// Nobody answered.
    #[error("no answer")]
    Silent,
    /// In the gateway's words, or for its code.
    #[error("refused: {0}")]
    Refused(String),
    /// There is another NAT behind the gateway's, or it is no honest one.
    #[error("it claims the outer address {0}, which is not a public one")]
    NotPublic(IpAddr),
    /// It was mapped for no time, or to no port.
    #[error("it granted nothing that lasts")]
    Worthless,
}

/// To be carried out, bounded in time, and its end reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask whether the gateway speaks this, mapping nothing.
    Find(Protocol),
    /// Ask it to map, or to renew what leads from `external`.
    Map {
        /// By which protocol.
        protocol: Protocol,
        /// What was granted before.
        external: Option<SocketAddr>,
        /// For how long.
        lifetime: Duration,
    },
    /// Give back what was asked for, whether or not it was granted.
    Release(Protocol),
}

/// What the one who wants the port should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a mapping, or it leads from elsewhere now.
    Mapped(Mapped),
    /// It could not be renewed and is over; it is being asked for anew.
    Lost(Refusal),
    /// Nobody maps, and why; asked again after [`REST`](super::REST).
    Nothing(Vec<(Protocol, Refusal)>),
}

//! What the relay is configured with, what it asks its driver to do, and what it
//! reports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session::credentials::Secret;

use super::Policy;

/// The lifetime of an allocation whose client asks for less or for nothing else
/// (RFC 8656 §7.2).
pub const SHORTEST: Duration = Duration::from_secs(600);

/// Quotas and rates.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Allocations at once.
    pub total: usize,
    /// Allocations of one name at once.
    pub per_name: usize,
    /// Allocations of the clients of one IP address at once, whatever their
    /// names: a client can register any number of names.
    pub per_address: usize,
    /// Bytes of payload per second through one allocation, both directions
    /// together.
    pub rate: u32,
    /// The longest lifetime that a request is granted.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            total: 512,
            per_name: 4,
            per_address: 32,
            rate: 1_000_000,
            lifetime: SHORTEST,
        }
    }
}

impl Limits {
    /// The lifetime that a request is granted, which asks for a number of seconds
    /// or for none (RFC 8656 §7.2).
    pub(super) fn granted(&self, asked: Option<u32>) -> Duration {
        let asked = asked.map_or(SHORTEST, |seconds| Duration::from_secs(seconds.into()));
        asked.min(self.lifetime).max(SHORTEST)
    }
}

/// The configuration of a relay.
#[derive(Clone, Debug)]
pub struct Config {
    /// The IP address of relayed addresses, as clients and peers see it.
    pub address: IpAddr,
    /// The ports of relayed addresses.
    pub ports: RangeInclusive<u16>,
    /// The REALM of challenges.
    pub realm: String,
    /// Issues and checks credentials.
    pub secret: Secret,
    /// The time at which the relay starts, in seconds since 1970.
    pub unix: u64,
    /// 32 random bytes, from which the key of nonces and the seeds of ports and
    /// of transaction ids are derived.
    pub seed: [u8; 32],
    /// Which addresses may be peers.
    pub policy: Policy,
    /// Quotas and rates.
    pub limits: Limits,
}

/// What the driver has to do with the sockets of relayed addresses, in this
/// order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bind a socket, and call [`Relay::opened`](super::Relay::opened).
    Open {
        /// The port to bind, on the relay's own address.
        port: u16,
    },
    /// Send a datagram to a peer.
    Send {
        /// The port to send it from.
        port: u16,
        /// Its destination.
        to: SocketAddr,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// Close a socket.
    Close {
        /// Its port.
        port: u16,
    },
}

/// Counters of a relay.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Allocations made.
    pub allocations: u64,
    /// Payloads relayed, in both directions together.
    pub packets: u64,
    /// Bytes of these payloads.
    pub bytes: u64,
    /// Payloads dropped because they exceed the rate of their allocation.
    pub over_rate: u64,
    /// Payloads dropped for lack of a permission or of an allocation.
    pub unpermitted: u64,
    /// Requests refused.
    pub refused: u64,
}

/// An event for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client has been given a relayed address.
    Opened {
        /// The name in its credentials.
        name: String,
        /// Its address.
        client: SocketAddr,
        /// The relayed address.
        relayed: SocketAddr,
    },
    /// A relayed address was given back, has expired, or has made room for another.
    Closed {
        /// The name in the client's credentials.
        name: String,
        /// Its address.
        client: SocketAddr,
        /// The relayed address.
        relayed: SocketAddr,
        /// Bytes of payload relayed, in both directions together.
        bytes: u64,
    },
}

impl Event {
    /// The address of the client.
    pub fn client(&self) -> SocketAddr {
        match self {
            Event::Opened { client, .. } | Event::Closed { client, .. } => *client,
        }
    }
}

//! What the relay is told, and what it tells.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use crate::relay::Policy;
use session::credentials::Secret;

/// How much is relayed for whom.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Allocations at once.
    pub total: usize,
    /// Allocations at once that one name may have.
    pub per_name: usize,
    /// Allocations at once that clients of one address may have, whatever
    /// they are called: names cost nothing.
    pub per_address: usize,
    /// Bytes of payload a second through one allocation, both ways together.
    pub rate: u32,
    /// What one refresh grants at most.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            total: 512,
            per_name: 4,
            per_address: 32,
            rate: 1_000_000,
            lifetime: super::SHORTEST,
        }
    }
}

/// What the relay is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The relayed addresses' IP, as clients and peers know it.
    pub address: IpAddr,
    /// The relayed addresses' ports.
    pub ports: RangeInclusive<u16>,
    /// REALM.
    pub realm: String,
    /// What credentials are made and checked with.
    pub secret: Secret,
    /// Now, in seconds since 1970.
    pub unix: u64,
    /// Random: nonces, ports and transaction ids come from it.
    pub seed: [u8; 32],
    /// Who may be a peer.
    pub policy: Policy,
    /// Quotas.
    pub limits: Limits,
}

/// What is to be done with the relayed sockets, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bind this port and tell [`Relay::opened`].
    Open {
        /// On the relay's address.
        port: u16,
    },
    /// Send from this port.
    Send {
        /// Whose socket.
        port: u16,
        /// The peer.
        to: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// Close this port's socket.
    Close {
        /// Which.
        port: u16,
    },
}

/// What happened, counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stats {
    /// Allocations made.
    pub allocations: u64,
    /// Payloads relayed, both ways.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Payloads over the rate of their allocation.
    pub over_rate: u64,
    /// Payloads from or to somebody without permission, or of no allocation.
    pub unpermitted: u64,
    /// Requests refused.
    pub refused: u64,
}

/// What an operator may want to read in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A relayed address was given out.
    Opened {
        /// Whose credentials.
        name: String,
        /// The client.
        client: SocketAddr,
        /// The address.
        relayed: SocketAddr,
    },
    /// It was given back, or has expired.
    Closed {
        /// Whose credentials.
        name: String,
        /// The address.
        relayed: SocketAddr,
        /// Payload, both ways.
        bytes: u64,
    },
}

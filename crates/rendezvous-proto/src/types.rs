//! What the server is configured with, and what it reports.

use std::net::SocketAddr;

use sansio::SocketId;
use serde::{Deserialize, Serialize};

/// The default bound of the registry; full, it takes about 64 MiB.
pub const MOST_NAMES: u32 = 200_000;

/// The default rate for one network, in requests per second.
pub const RATE: u32 = 2000;

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sockets' addresses: `[ip₁:p₁, ip₁:p₂]`, and `[…, ip₂:p₁, ip₂:p₂]`
    /// where there is a second address. Unspecified addresses are allowed;
    /// they are left out of answers.
    pub addresses: Vec<SocketAddr>,
    /// 32 random bytes, from which the cookies' key and the seed of transaction
    /// ids are derived.
    pub secret: [u8; 32],
    /// Requests per second that are answered to one network: a /24, or with
    /// IPv6 a /48.
    pub rate: u32,
    /// The bound of the registry, in names.
    pub most_names: usize,
}

/// Counters of a server.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Binding requests answered.
    pub bindings: u64,
    /// Registrations and refreshes accepted.
    pub registrations: u64,
    /// Introductions begun.
    pub connects: u64,
    /// Introductions that the callee has acknowledged.
    pub introduced: u64,
    /// Requests refused with an error answer that was sent.
    pub refused: u64,
    /// Datagrams dropped that are not STUN, malformed, or of an unknown method.
    pub garbage: u64,
    /// Messages that ask for nothing: indications, and answers to no request of
    /// the server's.
    pub ignored: u64,
    /// Requests dropped because they exceed the rate of their network.
    pub limited: u64,
    /// Requests dropped because the answer would have been longer.
    pub too_short: u64,
    /// Introductions and TCP connections that ended to make room for others.
    pub made_room: u64,
}

/// An event for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A name was registered that was not registered before.
    Registered {
        /// The name.
        name: String,
        /// The client's address.
        address: SocketAddr,
        /// The fingerprint of its key.
        key: String,
    },
    /// The owner of a name has given it a new key.
    Rotated {
        /// The name.
        name: String,
        /// The client's address.
        address: SocketAddr,
        /// The fingerprint of the old key.
        before: String,
        /// That of the new one.
        now: String,
    },
    /// A client has ended its registration.
    Unregistered {
        /// The name.
        name: String,
        /// The client's address.
        address: SocketAddr,
    },
    /// Two clients were introduced.
    Introduced {
        /// The caller's name.
        caller: String,
        /// The callee's name.
        callee: String,
        /// The caller's address.
        address: SocketAddr,
    },
    /// The callee did not acknowledge the caller in time.
    Silent {
        /// The caller's name.
        caller: String,
        /// The callee's name.
        callee: String,
        /// The caller's address.
        address: SocketAddr,
    },
}

impl Event {
    /// The address of the client whose request led to it.
    pub fn client(&self) -> SocketAddr {
        match self {
            Event::Registered { address, .. }
            | Event::Rotated { address, .. }
            | Event::Unregistered { address, .. }
            | Event::Introduced { address, .. }
            | Event::Silent { address, .. } => *address,
        }
    }
}

/// What is known about the sender of a datagram once it has been handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It has returned a cookie, so it receives at its source address; and it
    /// is registered or has an allocation, so the server may send it something
    /// that it has not asked for. A driver that listens on all addresses
    /// remembers which of them the client sent to: its NAT may let in nothing
    /// from another.
    Proved,
    /// Any host may have forged the source address. A driver remembers nothing.
    Unproved,
}

/// A client's UDP 5-tuple (RFC 8656 §2): the server's socket stands for the
/// server's address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FiveTuple {
    pub(crate) socket: SocketId,
    pub(crate) client: SocketAddr,
}

/// What is known about the sender of a datagram before it is handled. A driver that has more datagrams
/// waiting than it can handle keeps them apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has a cookie of the server, an allocation, or the answer that a notification waits for: its
    /// source is not forged.
    Known,
    /// It asks for a cookie.
    Newcomer,
    /// It asks for a Binding, or for nothing.
    Other,
}

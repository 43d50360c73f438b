//! A NAT laboratory in memory: NATs, hosts and the hops between them, under a
//! virtual clock, with loss, and the same again for the same seed.
//!
//! Build a [`Network`], hang [`Nat`]s and hosts into it, and let it
//! [`step`](Network::step) the protocols ([`sansio::Protocol`]) that the caller owns:
//!
//! ```text
//!   host ── Nat ──┐
//!                 ├── core ── host with two addresses
//!   host ── Nat ──┘   (a hop of its own, where low-TTL packets die)
//! ```
//!
//! It models what decides whether peers connect, and nothing else: there is no
//! ICMP but a NAT's refusal, no fragmentation, no bandwidth and no queue.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod network;
mod ports;
mod profile;
mod router;

#[cfg(test)]
mod tests;

pub use network::{DEFAULT_TTL, HostId, Lost, Network, Place};
pub use ports::Ports;
pub use profile::Profile;
pub use router::Nat;

/// Why a packet got no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// Its time to live ran out.
    TtlExpired,
    /// The link lost it.
    Loss,
    /// A NAT or firewall that lets no UDP through.
    UdpBlocked,
    /// No mapping (or a dead one) for the port that it came to.
    NoMapping,
    /// The mapping exists, but not for this sender.
    Filtered,
    /// From the inside to the NAT's own outer address, and it does not hairpin.
    NoHairpin,
    /// The NAT has no free port left.
    PortsExhausted,
    /// Nobody has this address.
    NoRoute,
    /// The host has no such socket.
    NoSocket,
}

//! A NAT laboratory in memory: NATs, hosts and the hops between them, under a
//! virtual clock, with loss, and the same again for the same seed.
//!
//! Build a [`Network`], hang [`Nat`]s and hosts into it, and let it
//! [`step`](Network::step) the brains that the caller owns:
//!
//! ```text
//!   host ── Nat ──┐
//!                 ├── core ── host with two addresses
//!   host ── Nat ──┘   (a hop of its own, where low-TTL packets die)
//! ```
//!
//! It models what decides whether peers connect, and nothing else: there is no
//! ICMP but a NAT's refusal, no fragmentation, no bandwidth and no queue.

mod brains;
mod nat;
mod network;
mod ports;
mod profile;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Instant;

pub use nat::Nat;
pub use network::{DEFAULT_TTL, HostId, Lost, Network, Place};
pub use ports::Ports;
pub use profile::Profile;

use wire::Icmp;

use crate::io::{SocketId, Transmit};

/// A brain that can be plugged into a [`Network`].
///
/// After each `handle_*` the network takes all that [`poll_transmit`] has, and
/// calls [`handle_timeout`] once the clock has reached [`poll_timeout`].
///
/// [`poll_transmit`]: Host::poll_transmit
/// [`poll_timeout`]: Host::poll_timeout
/// [`handle_timeout`]: Host::handle_timeout
pub trait Host {
    /// A datagram has come to `socket`.
    fn handle_input(&mut self, now: Instant, socket: SocketId, from: SocketAddr, datagram: &[u8]);
    /// An ICMP error has come about what was sent to `to`, which it quotes.
    fn handle_icmp(&mut self, _now: Instant, _to: SocketAddr, _icmp: Icmp, _quoted: &[u8]) {}
    /// The time that [`poll_timeout`](Host::poll_timeout) asked for has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The next datagram to send, until there is none.
    fn poll_transmit(&mut self) -> Option<Transmit>;
    /// When to call [`handle_timeout`](Host::handle_timeout); must move on when called.
    fn poll_timeout(&self) -> Option<Instant>;
}

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

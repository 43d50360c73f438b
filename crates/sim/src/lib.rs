//! The simulator: NATs, hosts and the hops between them in memory, with loss and a virtual clock.
//! The same seed gives the same run.
//!
//! ```text
//!   host ── Nat ──┐
//!                 ├── core ── host with two addresses
//!   host ── Nat ──┘   (a hop of its own, where openers expire)
//! ```
//!
//! Create a [`Network`], add routers (a [`Profile`] behind an outside address) and hosts, bind
//! sockets, and call [`step`](Network::step) or [`run`](Network::run) with one
//! [`Protocol`](sansio::Protocol) for each host, in the order in which the hosts were added:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::{Duration, Instant};
//!
//! use sansio::{Input, Protocol, Transmit};
//! use sim::{Network, Profile};
//!
//! /// Sends one datagram, and keeps the source of the last one that came.
//! #[derive(Default)]
//! struct Once { out: Option<Transmit>, from: Option<SocketAddr> }
//!
//! impl Protocol for Once {
//!     fn handle_input(&mut self, _: Instant, input: Input<'_>) {
//!         if let Input::Datagram(datagram) = input {
//!             self.from = Some(datagram.from);
//!         }
//!     }
//!     fn handle_timeout(&mut self, _: Instant) {}
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.take() }
//!     fn poll_timeout(&self) -> Option<Instant> { None }
//! }
//!
//! let (server, client) = ("203.0.113.1:3478".parse()?, "10.0.0.2:40000".parse()?);
//! let start = Instant::now();
//! let mut network = Network::new(start, 7);
//! let host = network.add_host(Network::CORE, &["203.0.113.1".parse()?]);
//! network.bind(host, server);
//! let symmetric = Profile::named("symmetric").unwrap();
//! let lan = network.add_router(Network::CORE, "198.51.100.1".parse()?, symmetric);
//! let host = network.add_host(lan, &["10.0.0.2".parse()?]);
//! network.bind(host, client);
//!
//! let mut at_server = Once::default();
//! let mut at_client = Once { out: Some(Transmit::new(0, server, b"hello".to_vec())), from: None };
//! network.run(&mut [&mut at_server, &mut at_client], start + Duration::from_secs(1));
//! assert_eq!(at_server.from.unwrap().ip().to_string(), "198.51.100.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It models what decides whether peers connect. The only ICMP errors are those with which a NAT
//! refuses a packet: a packet whose TTL expires is lost silently. There is no fragmentation and no
//! TCP. What a link to a router does is the crate `link`'s: see [`Network::set_link`]. [`Network::lost`] has every
//! packet that was not delivered; [`Network::record`] and [`Network::trace`] say of each packet where it was and how
//! it ended, as `--trace` does in the lab.
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

pub use network::{DEFAULT_TTL, HostId, Lost, Network, Node, Place};
pub use ports::Ports;
pub use profile::Profile;
pub use router::Nat;

/// Why a packet was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// Its TTL expired.
    TtlExpired,
    /// A link lost it, or had no room for it.
    Loss,
    /// A NAT or firewall blocks UDP.
    UdpBlocked,
    /// The NAT has no mapping for the port, or it has expired.
    NoMapping,
    /// The NAT has a mapping, but no permit for this remote.
    Filtered,
    /// From inside to the NAT's own outside address, and the NAT does not support hairpinning.
    NoHairpin,
    /// The NAT has no free port left.
    PortsExhausted,
    /// No host has this address.
    NoRoute,
    /// The host has no such socket.
    NoSocket,
}

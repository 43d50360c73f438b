//! The interface between a protocol and its driver.
//!
//! The protocols of Pinhole are sans-IO: they have no socket, no clock, no thread and no randomness
//! of their own. A driver owns those, and calls a [`Protocol`] in this order:
//!
//! 1. Send each datagram that [`poll_transmit`](Protocol::poll_transmit) returns, from the socket
//!    that it names. If that socket does not exist yet, open it first, and call
//!    [`handle_opened`](Protocol::handle_opened).
//! 2. Wait until a socket has received something, at most until
//!    [`poll_timeout`](Protocol::poll_timeout).
//! 3. Call [`handle_input`](Protocol::handle_input) with it, or
//!    [`handle_timeout`](Protocol::handle_timeout). Begin again.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::{Duration, Instant};
//! use sansio::{Input, Protocol, Transmit};
//!
//! /// Sends one datagram and counts the datagrams that come back.
//! struct Once { out: Option<Transmit>, received: usize }
//!
//! impl Protocol for Once {
//!     fn handle_input(&mut self, _now: Instant, input: Input<'_>) {
//!         self.received += usize::from(matches!(input, Input::Datagram(_)));
//!     }
//!     fn handle_timeout(&mut self, _now: Instant) {}
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.take() }
//!     fn poll_timeout(&self) -> Option<Instant> { None }
//! }
//!
//! let to: SocketAddr = "203.0.113.1:3478".parse().unwrap();
//! let mut once = Once { out: Some(Transmit::new(0, to, b"hello".to_vec())), received: 0 };
//! let now = Instant::now();
//! assert_eq!(once.poll_transmit().unwrap().to, to);
//! once.handle_input(now, Input::datagram(0, to, b"hello"));
//! assert_eq!((once.received, once.poll_timeout()), (1, None));
//! ```
//!
//! Each protocol has methods of its own for its results: a report, events. This crate has no driver:
//! `net` drives protocols with tokio, `sim` in memory.
//!
//! [`Prefix`] and [`Shares`] are what servers and their drivers bound tables with: each source prefix
//! has a share, and the biggest makes room. [`TokenBucket`] bounds how often something happens.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod bucket;
mod prefix;
mod shares;

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use stun::Icmp;

pub use bucket::TokenBucket;
pub use prefix::Prefix;
pub use shares::Shares;

/// The number of a socket that a driver opens for a protocol, from 0.
pub type SocketId = usize;

/// The number of a TCP connection that carries datagrams.
pub type StreamId = u32;

/// How a datagram to a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// From this socket.
    Socket(SocketId),
    /// Through our allocation at a relay.
    Relay,
    /// Over this TCP connection with the peer.
    Stream(StreamId),
}

/// One datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send from.
    pub socket: SocketId,
    /// The destination.
    pub to: SocketAddr,
    /// The TTL; `None`: the system's default.
    pub ttl: Option<u8>,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

impl Transmit {
    /// A datagram with the system's TTL.
    pub fn new(socket: SocketId, to: SocketAddr, payload: Vec<u8>) -> Self {
        Self {
            socket,
            to,
            ttl: None,
            payload,
        }
    }
}

/// What a socket has received for a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A datagram.
    Datagram(Datagram<'a>),
    /// An ICMP error about a datagram that we sent.
    Icmp(IcmpError<'a>),
}

impl<'a> Input<'a> {
    /// A datagram with an unknown TTL.
    pub fn datagram(socket: SocketId, from: SocketAddr, payload: &'a [u8]) -> Self {
        Self::Datagram(Datagram {
            socket,
            from,
            ttl: None,
            payload,
        })
    }
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The socket that received it.
    pub socket: SocketId,
    /// The source.
    pub from: SocketAddr,
    /// The TTL with which it arrived, if the system reports it.
    pub ttl: Option<u8>,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// An ICMP error about a datagram that we sent (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// The socket that sent the datagram.
    pub socket: SocketId,
    /// The datagram's destination.
    pub to: SocketAddr,
    /// The source of the error.
    pub offender: IpAddr,
    /// Type and code.
    pub icmp: Icmp,
    /// The datagram's payload, as far as the error quotes it.
    pub quoted: &'a [u8],
}

impl IcmpError<'_> {
    /// The meaning of type and code in the datagram's family: see [`Icmp::reason`].
    pub fn reason(&self) -> Option<stun::IcmpReason> {
        self.icmp.reason(self.to.ip())
    }
}

/// A protocol. The crate's page has the order of the calls.
pub trait Protocol {
    /// A socket was opened at this address, with the IP address that the system uses towards the
    /// server.
    fn handle_opened(&mut self, _socket: SocketId, _local: SocketAddr) {}

    /// A datagram or an ICMP error was received. What is not for this protocol is ignored.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Earlier calls have no effect.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send. They are to be sent in order, until there is none.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: there is nothing to wait for. A
    /// call at that time moves it into the future.
    fn poll_timeout(&self) -> Option<Instant>;
}

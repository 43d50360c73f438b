//! What a protocol says to whoever drives it.
//!
//! The protocols of Pinhole are sans-IO: they have no socket, no clock, no
//! thread and no randomness of their own. A driver owns those, and speaks to a
//! [`Protocol`] in this order:
//!
//! 1. Send all that [`poll_transmit`](Protocol::poll_transmit) yields, each
//!    datagram from the socket that it names. Where that socket does not exist
//!    yet, open it first, and say so with
//!    [`handle_opened`](Protocol::handle_opened).
//! 2. Wait until a socket has something, or until
//!    [`poll_timeout`](Protocol::poll_timeout).
//! 3. Hand it over with [`handle_input`](Protocol::handle_input), or call
//!    [`handle_timeout`](Protocol::handle_timeout); then begin again.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::{Duration, Instant};
//! use sansio::{Input, Protocol, Transmit};
//!
//! /// Sends one datagram and counts what comes back.
//! struct Once { out: Option<Transmit>, heard: usize }
//!
//! impl Protocol for Once {
//!     fn handle_input(&mut self, _now: Instant, input: Input<'_>) {
//!         self.heard += usize::from(matches!(input, Input::Datagram(_)));
//!     }
//!     fn handle_timeout(&mut self, _now: Instant) {}
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.take() }
//!     fn poll_timeout(&self) -> Option<Instant> { None }
//! }
//!
//! let to: SocketAddr = "203.0.113.1:3478".parse().unwrap();
//! let mut once = Once { out: Some(Transmit::new(0, to, b"hello".to_vec())), heard: 0 };
//! let now = Instant::now();
//! assert_eq!(once.poll_transmit().unwrap().to, to);
//! once.handle_input(now, Input::datagram(0, to, b"hello"));
//! assert_eq!((once.heard, once.poll_timeout()), (1, None));
//! ```
//!
//! What a protocol learns for its user (a report, events) is its own business:
//! each has methods for it. This crate sends nothing and drives nothing.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use stun::Icmp;

/// Which of the sockets that a driver opened for a protocol; numbered from 0.
pub type SocketId = usize;

/// Which way a datagram to a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// From this socket.
    Socket(SocketId),
    /// Through our allocation at a relay.
    Relay,
}

/// One datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send from.
    pub socket: SocketId,
    /// Where to.
    pub to: SocketAddr,
    /// IP time to live, where it matters; `None` is the system's default.
    pub ttl: Option<u8>,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

impl Transmit {
    /// With the system's TTL.
    pub fn new(socket: SocketId, to: SocketAddr, payload: Vec<u8>) -> Self {
        Self {
            socket,
            to,
            ttl: None,
            payload,
        }
    }
}

/// What a socket has for a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A datagram.
    Datagram(Datagram<'a>),
    /// An ICMP error about a datagram that we sent.
    Icmp(IcmpError<'a>),
}

impl<'a> Input<'a> {
    /// A datagram whose TTL is not known.
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
    /// Who sent it.
    pub from: SocketAddr,
    /// The TTL that was left, where the system tells.
    pub ttl: Option<u8>,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// An ICMP error about a datagram that we sent (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// The socket that had sent it.
    pub socket: SocketId,
    /// Where the datagram was going.
    pub to: SocketAddr,
    /// Who sent the error.
    pub offender: IpAddr,
    /// Type and code; their meaning is [`Self::reason`].
    pub icmp: Icmp,
    /// The payload of the datagram, as far as the error quotes it.
    pub quoted: &'a [u8],
}

impl IcmpError<'_> {
    /// What type and code mean in the family of the datagram; `None` where it
    /// is not about a delivery.
    pub fn reason(&self) -> Option<stun::IcmpReason> {
        self.icmp.reason(self.to.ip())
    }
}

/// A protocol that is driven: see the crate's page for the order of the calls.
pub trait Protocol {
    /// A socket has been opened at this address, with the IP address that the
    /// system uses towards the server.
    fn handle_opened(&mut self, _socket: SocketId, _local: SocketAddr) {}

    /// A datagram or an ICMP error has come. What is not for this protocol is
    /// ignored.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    /// Earlier calls do no harm.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send, in order, until there is none.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` when
    /// nothing is waited for. It moves on with each call.
    fn poll_timeout(&self) -> Option<Instant>;
}

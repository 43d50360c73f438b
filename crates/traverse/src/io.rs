//! What a brain asks of its hands.

use std::net::SocketAddr;

/// Which of the sockets that the hands opened for a brain; numbered from 0.
pub type SocketId = usize;

/// Where a datagram came from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The socket that received it.
    pub socket: SocketId,
    /// Who sent it.
    pub from: SocketAddr,
    /// The TTL that was left, where the system tells.
    pub ttl: Option<u8>,
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

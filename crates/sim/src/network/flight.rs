//! Packets between two stops.

use std::net::SocketAddr;
use std::time::Instant;

use super::{DEFAULT_TTL, Place};
use crate::Dropped;

/// Where a packet is handled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    Core,
    /// The router of this segment, coming from it.
    Up(Place),
    /// The router of this segment, coming from outside.
    Down(Place),
    /// The same, after the link between that router and the outside.
    Arrived(Place),
    Host(usize),
}

/// Ordered by time, and then by the order of sending: the order of the fields matters.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) order: u64,
    pub(super) stop: Stop,
    pub(super) packet: Packet,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Packet {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ttl: u8,
    pub(super) payload: Vec<u8>,
    /// The code, if this is an ICMP destination unreachable. The payload is that of the refused packet,
    /// whose destination was this one's source.
    pub(super) refusal: Option<u8>,
}

/// The packet one hop further, unless its TTL expires (RFC 1812 §5.3.1).
pub(super) fn forwarded(packet: Packet) -> Result<Packet, (Packet, Dropped)> {
    match packet.ttl {
        0 | 1 => Err((packet, Dropped::TtlExpired)),
        ttl => Ok(Packet {
            ttl: ttl - 1,
            ..packet
        }),
    }
}

/// The ICMP error about a packet, to its source.
pub(super) fn refused(packet: &Packet, code: Option<u8>) -> Packet {
    Packet {
        from: packet.to,
        to: packet.from,
        ttl: DEFAULT_TTL,
        payload: packet.payload.clone(),
        refusal: code,
    }
}

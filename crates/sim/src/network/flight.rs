//! Packets between two stops.

use std::net::SocketAddr;
use std::time::Instant;

use super::{DEFAULT_TTL, Place};
use crate::Dropped;

/// Where a packet is next looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    Core,
    /// The router of this segment, coming from it.
    Up(Place),
    /// The router of this segment, coming from outside.
    Down(Place),
    Host(usize),
}

/// Ordered by time, and then by when it was sent: the fields' order matters.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) order: u64,
    pub(super) stop: Stop,
    pub(super) packet: Packet,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Packet {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ttl: u8,
    pub(super) payload: Vec<u8>,
    /// It is an ICMP destination-unreachable of this code about the payload,
    /// which was going where this one comes from.
    pub(super) refusal: Option<u8>,
}

/// One hop further, if the time to live allows it (RFC 1812 §5.3.1).
pub(super) fn forwarded(packet: Packet) -> Result<Packet, (Packet, Dropped)> {
    match packet.ttl {
        0 | 1 => Err((packet, Dropped::TtlExpired)),
        ttl => Ok(Packet {
            ttl: ttl - 1,
            ..packet
        }),
    }
}

/// The ICMP error about a packet, on its way to who sent it.
pub(super) fn refused(packet: &Packet, code: Option<u8>) -> Packet {
    Packet {
        from: packet.to,
        to: packet.from,
        ttl: DEFAULT_TTL,
        payload: packet.payload.clone(),
        refusal: code,
    }
}

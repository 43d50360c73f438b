//! Packets between two stops.

use std::net::SocketAddr;
use std::time::Instant;

use super::record::Port;
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
    /// The IP identification.
    pub(super) number: u16,
    /// The interface that it left last.
    pub(super) left: Port,
    pub(super) payload: Vec<u8>,
    /// Of an ICMP destination unreachable. The payload is that of the refused packet, whose destination was this
    /// one's source.
    pub(super) refusal: Option<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refusal {
    pub(super) code: u8,
    /// The IP identification of the refused packet.
    pub(super) number: u16,
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
pub(super) fn refused(packet: &Packet, code: u8, number: u16, by: Place) -> Packet {
    Packet {
        number,
        left: Stop::Down(by).into(),
        from: packet.to,
        to: packet.from,
        ttl: DEFAULT_TTL,
        payload: packet.payload.clone(),
        refusal: Some(Refusal {
            code,
            number: packet.number,
        }),
    }
}

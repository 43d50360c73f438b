//! The way of a packet: the nodes that it passed, and what each NAT made of its addresses.

use std::net::SocketAddr;

use crate::{Direction, Journey, Sighting};

/// A router that a packet passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass<'a> {
    pub(crate) node: &'a str,
    /// Source and destination where it came in.
    pub(crate) before: (SocketAddr, SocketAddr),
    /// Source and destination where it went out.
    pub(crate) after: (SocketAddr, SocketAddr),
}

/// The nodes that saw the packet, in the order of time, and the one where it ended. A journey without a sighting
/// has the latter alone.
pub(crate) fn nodes(journey: &Journey) -> Vec<&str> {
    let seen = journey.sightings.iter().map(|sighting| &*sighting.node);
    let mut nodes: Vec<&str> = Vec::new();
    for node in seen.chain([&*journey.end.node]) {
        if !node.is_empty() && nodes.last() != Some(&node) {
            nodes.push(node);
        }
    }
    nodes
}

/// The routers that the packet passed.
pub(crate) fn passes(journey: &Journey) -> impl Iterator<Item = Pass<'_>> {
    journey.sightings.windows(2).filter_map(|pair| {
        let [came, went] = pair else { return None };
        let through = came.direction == Direction::In && went.direction == Direction::Out;
        (through && came.node == went.node).then(|| Pass {
            node: &came.node,
            before: ends(came),
            after: ends(went),
        })
    })
}

/// Source and destination.
pub(crate) fn ends(sighting: &Sighting) -> (SocketAddr, SocketAddr) {
    (sighting.src, sighting.dst)
}

/// Whether the packet left its host with a TTL so low that it is meant to expire on its way.
pub(crate) fn is_opener(journey: &Journey) -> bool {
    journey.sightings.first().is_some_and(|first| {
        let host = first.direction == Direction::Out && !first.dst.ip().is_multicast();
        host && first.ttl <= ::packet::OPENER_TTL && journey.about.is_none()
    })
}

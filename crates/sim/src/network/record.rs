//! What every node sees, as the lab's vantage points see it: frames at interfaces, and what rules report.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use journey::watched::{ARRIVED, DROPPED, Frame, LISTENER, LOSS, Logged, LostFrame, NO_LISTENER};
use journey::{Direction, Interface, Mapping, Tables, Trace, Vantage, Watched};
use nat::Dependence::AddressDependent;

use super::flight::{Packet, Stop};
use super::wire::bytes;
use super::{HostId, Network, Place};
use crate::{Dropped, Profile};

/// How many entries the tables of a trace have before they are taken less often: from then on a table with N
/// entries is followed by the next of that router no earlier than N ms later.
const EXACT: usize = 20_000;

/// A node of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A host.
    Host(HostId),
    /// The router between this segment and its parent.
    Router(Place),
    /// The router in the middle.
    Core,
}

/// An interface, of the host or segment with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Port {
    Host(u16),
    Lan(u16),
    Wan(u16),
    /// The core's that leads to the node at the other end.
    Core,
}

impl Port {
    fn node(self) -> Node {
        match self {
            Port::Host(id) => Node::Host(HostId(id.into())),
            Port::Lan(id) | Port::Wan(id) => Node::Router(Place(id.into())),
            Port::Core => Node::Core,
        }
    }

    fn mac(self) -> [u8; 6] {
        let (kind, number) = match self {
            Port::Host(id) => (1, id),
            Port::Lan(id) => (2, id),
            Port::Wan(id) => (3, id),
            Port::Core => (4, 0),
        };
        let [high, low] = number.to_be_bytes();
        [2, 0, 0, kind, high, low]
    }
}

impl From<Stop> for Port {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Core => Port::Core,
            Stop::Up(Place(id)) => Port::Lan(id as u16),
            Stop::Down(Place(id)) | Stop::Arrived(Place(id)) => Port::Wan(id as u16),
            Stop::Host(id) => Port::Host(id as u16),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    /// Since the start of the network, in nanoseconds. Each sighting has a time of its own, so that their order
    /// is known.
    last_ns: u64,
    seen: BTreeMap<Node, Vantage>,
    /// What is at the other end of each interface of the core.
    beyond_core: Vec<Port>,
    /// The frames that links have lost, with the segment whose link it was; the link has no name yet.
    lost: Vec<(Place, LostFrame)>,
    /// How many entries all tables have.
    entries: usize,
    started: Option<Instant>,
}

impl Record {
    fn time(&mut self, now: Instant) -> u64 {
        let start = *self.started.get_or_insert(now);
        self.last_ns = ((now - start).as_nanos() as u64).max(self.last_ns + 1);
        self.last_ns
    }

    fn frame(&mut self, now: Instant, at: Port, beyond: Port, direction: Direction, it: &Packet) {
        let at_ns = self.time(now);
        let interface = match at {
            Port::Host(_) | Port::Lan(_) => 0,
            Port::Wan(_) => 1,
            Port::Core => self.towards(beyond),
        };
        let (from, to) = match direction {
            Direction::In => (beyond, at),
            Direction::Out => (at, beyond),
        };
        let packet = bytes(it);
        self.seen.entry(at.node()).or_default().frames.push(Frame {
            at_ns,
            interface,
            direction,
            mac: [to.mac(), from.mac()],
            len: packet.len(),
            segment: None,
            packet,
        });
    }

    /// The core's interface to this node.
    fn towards(&mut self, beyond: Port) -> usize {
        let known = self.beyond_core.iter().position(|&port| port == beyond);
        known.unwrap_or_else(|| {
            self.beyond_core.push(beyond);
            self.beyond_core.len() - 1
        })
    }

    fn logged(&mut self, now: Instant, node: Node, group: u16, prefix: &str, it: &Packet) {
        let logged = Logged {
            at_ns: Some(self.time(now)),
            group,
            prefix: prefix.to_owned(),
            packet: bytes(it),
        };
        self.seen.entry(node).or_default().logged.push(logged);
    }
}

impl Network {
    /// From now on, remembers what every node sees, for [`Network::trace`].
    pub fn record(&mut self) {
        let started = Some(self.now);
        self.record = Some(Record {
            started,
            ..Record::default()
        });
    }

    /// What became of each packet since [`Network::record`]; `None`: it was not called. `nodes` have a name and a
    /// description each, and are the columns of the ladder from left to right. What other nodes have seen is left
    /// out.
    pub fn trace(&self, nodes: &[(Node, &str, &str)]) -> Option<Trace> {
        let record = self.record.as_ref()?;
        let name = |port: Port| {
            let mut named = nodes.iter().filter(|(node, ..)| *node == port.node());
            named.next().map_or("other", |(_, name, _)| name)
        };
        let vantages = nodes.iter().map(|&(node, name_of_it, description)| {
            let mut vantage = record.seen.get(&node).cloned().unwrap_or_default();
            vantage.name = name_of_it.to_owned();
            vantage.description = description.to_owned();
            vantage.tells_arrivals = matches!(node, Node::Host(_));
            let interface = |name: &str, addresses| Interface {
                name: name.to_owned(),
                addresses,
            };
            vantage.interfaces = match node {
                Node::Host(host) => vec![interface("eth0", self.addresses(host))],
                Node::Router(place) => {
                    let uplink = self.segments[place.0].uplink.iter();
                    let outside = uplink.map(|(_, nat)| nat.outside()).collect();
                    vec![interface("lan", Vec::new()), interface("wan", outside)]
                }
                Node::Core => {
                    let beyond = record.beyond_core.iter();
                    beyond
                        .map(|&port| interface(name(port), Vec::new()))
                        .collect()
                }
            };
            for tables in &mut vantage.tables {
                tables.node = name_of_it.to_owned();
            }
            vantage
        });
        let lost = record.lost.iter().map(|(link, lost)| LostFrame {
            // the router whose link it is
            link: name(Port::Wan(link.0 as u16)).to_owned(),
            ..lost.clone()
        });
        Some(journey::join(&Watched {
            nodes: vantages.collect(),
            lost: lost.collect(),
        }))
    }

    fn addresses(&self, host: HostId) -> Vec<IpAddr> {
        let place = self.hosts[host.0].place;
        let neighbours = self.segments[place.0].neighbours.iter();
        neighbours
            .filter(|&(_, stop)| *stop == Stop::Host(host.0))
            .map(|(address, _)| *address)
            .collect()
    }

    /// A packet leaves an interface for the next stop.
    pub(super) fn leaves(&mut self, by: Port, next: Stop, packet: &mut Packet) {
        packet.left = by;
        if let Some(record) = &mut self.record {
            record.frame(self.now, by, next.into(), Direction::Out, packet);
        }
    }

    /// A packet comes to a stop, which a link before it has let through.
    pub(super) fn comes(&mut self, stop: Stop, packet: &Packet) {
        if let Some(record) = &mut self.record {
            record.frame(self.now, stop.into(), packet.left, Direction::In, packet);
        }
    }

    /// A host's rules let a packet in; there is a socket for it or not.
    pub(super) fn arrives(&mut self, host: usize, listens: bool, packet: &Packet) {
        if let Some(record) = &mut self.record
            && packet.refusal.is_none()
        {
            let prefix = if listens { LISTENER } else { NO_LISTENER };
            let node = Node::Host(HostId(host));
            record.logged(self.now, node, ARRIVED, prefix, packet);
        }
    }

    /// A link lost a packet that left for this stop.
    pub(super) fn loses(&mut self, link: Place, next: Stop, why: &str, packet: &Packet) {
        if let Some(record) = &mut self.record {
            let mac = [Port::from(next).mac(), packet.left.mac()].concat();
            let lost = LostFrame {
                at_ns: record.time(self.now),
                link: String::new(),
                why: why.to_owned(),
                frame: [mac, vec![8, 0], bytes(packet)].concat(),
            };
            record.lost.push((link, lost));
        }
    }

    /// A router dropped a packet, as it is behind that router's translation or before.
    pub(super) fn drops(&mut self, at: Stop, reason: Dropped, packet: &Packet) {
        let node = Port::from(at).node();
        let profile = match node {
            Node::Router(place) => self.segments[place.0].uplink.as_ref(),
            _ => None,
        }
        .map(|(_, nat)| nat.profile());
        let prefix = match (reason, profile) {
            (Dropped::Loss, None) => LOSS,
            (_, Some(profile)) => match prefix(reason, profile) {
                Some(prefix) => prefix,
                None => return,
            },
            _ => return,
        };
        if let Some(record) = &mut self.record {
            record.logged(self.now, node, DROPPED, prefix, packet);
        }
    }

    /// What the NAT of this router holds now, if it has changed.
    pub(super) fn looks_at(&mut self, place: Place) {
        let (Some(record), Some((_, nat))) = (&mut self.record, &self.segments[place.0].uplink)
        else {
            return;
        };
        let t_ms = record.time(self.now) as f64 / 1e6;
        let seen = record.seen.entry(Node::Router(place)).or_default();
        let last = seen.tables.last();
        if record.entries > EXACT
            && last.is_some_and(|last| t_ms - last.t_ms < entries(&last.mappings) as f64)
        {
            return;
        }
        let mappings: Vec<Mapping> = nat.holds(self.now);
        if last.map_or(&[][..], |last| &last.mappings) == mappings {
            return;
        }
        record.entries += entries(&mappings);
        seen.tables.push(Tables {
            t_ms,
            node: String::new(),
            mappings,
        });
    }
}

/// A mapping counts as one, and each remote that it lets in as well.
fn entries(mappings: &[Mapping]) -> usize {
    mappings.iter().map(|it| 1 + it.permits.len()).sum()
}

/// The reason with which the lab's rules report such a drop; `None`: they do not.
fn prefix(reason: Dropped, profile: &Profile) -> Option<&'static str> {
    // the stack of a bare masquerade answers for its ports, and no rule drops anything
    let answers = profile.remaps_after_early_inbound && profile.refuses.is_some();
    match reason {
        Dropped::UdpBlocked => Some("UDP_BLOCKED"),
        Dropped::NoMapping | Dropped::Filtered if answers => None,
        Dropped::NoMapping | Dropped::Filtered if !profile.translates => Some("UNSOLICITED"),
        Dropped::NoMapping => Some("NO_MAPPING"),
        Dropped::Filtered if profile.filtering == AddressDependent => Some("FILTER_ADDR"),
        Dropped::Filtered => Some("FILTER_PORT"),
        Dropped::NoHairpin => Some("HAIRPIN_UNSUPPORTED"),
        Dropped::PortsExhausted => Some("PORTS_EXHAUSTED"),
        Dropped::TtlExpired | Dropped::Loss | Dropped::NoRoute | Dropped::NoSocket => None,
    }
}

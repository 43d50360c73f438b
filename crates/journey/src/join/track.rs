//! The way of each packet: which frames are the same packet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use crate::packet::{Body, Key, Packet, SYN};
use crate::watched::{ARRIVED, DEPARTED, DROPPED, Frame, Logged, LostFrame};
use crate::{Direction, Watched};

/// A journey that is not finished.
#[derive(Debug)]
pub(super) struct Draft {
    /// Never empty.
    pub(super) passes: Vec<Pass>,
    pub(super) key: Key,
    pub(super) protocol: &'static str,
    /// The packet as it was first seen, as much as was captured, and its whole length.
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
    /// What a rule or a link reported of its end.
    pub(super) report: Option<Report>,
    /// Of an ICMP error: the journey of the packet that it is about.
    pub(super) about: Option<usize>,
    /// The journeys of ICMP errors about it, and of a reset that answers it.
    pub(super) answers: Vec<usize>,
}

/// A packet at an interface.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) at_ns: u64,
    pub(super) node: usize,
    /// `None`: a program of the node has sent it, and it came to no interface.
    pub(super) interface: Option<usize>,
    pub(super) direction: Direction,
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
    pub(super) ttl: u8,
    pub(super) frame: Option<usize>,
}

/// What a rule or a link said of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// A rule of the node dropped it.
    Dropped { node: usize, prefix: String },
    /// The rules of the node have let it in; the prefix says whether there is a socket for it.
    Arrived { node: usize, prefix: String },
    /// A program of the node has sent it, and it never came to an interface.
    Held { node: usize },
    /// A link lost it.
    Lost { link: String, why: String },
}

impl Draft {
    /// What must be the same in a retransmission besides payload and addresses; `None`: it cannot be one.
    pub(super) fn repeats(&self, payload_len: usize) -> Option<Option<u32>> {
        match self.key {
            Key::Udp(..) => Some(None),
            Key::Tcp(_, seq, _, flags) if payload_len > 0 || flags & SYN != 0 => Some(Some(seq)),
            _ => None,
        }
    }

    pub(super) fn last(&self) -> &Pass {
        &self.passes[self.passes.len() - 1]
    }
}

/// Where a packet is seen next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// At the other end of a link: destination and source of the Ethernet header.
    Link([[u8; 6]; 2]),
    /// On its way out of a node.
    Node(usize),
}

/// A TCP packet with data may be cut into segments, or be put together with others, at any interface.
type Stream = (Place, SocketAddr, SocketAddr);

/// How many packets with data of a connection are remembered at each place.
const STREAM: usize = 256;

#[derive(Default)]
struct Tracker {
    drafts: Vec<Draft>,
    expected: HashMap<(Place, Key), VecDeque<usize>>,
    /// Of each connection, the last packets with data at a place.
    streams: HashMap<Stream, VecDeque<(usize, u32, u32)>>,
    /// By key, for what rules report.
    by_key: HashMap<Key, Vec<usize>>,
    /// Of a super-frame at a node, the journeys of its datagrams: a rule reports it as a whole.
    super_frames: HashMap<(usize, Key), Vec<usize>>,
}

enum Event<'a> {
    Frame(usize, usize, &'a Frame),
    Logged(usize, &'a Logged),
    Lost(&'a LostFrame),
}

/// NFLOG has times in microseconds, and a rule sees a packet after the interface.
const REPORTED_AFTER: u64 = 1000;

/// The way of each packet.
pub(super) fn drafts(watched: &Watched) -> Vec<Draft> {
    let mut events = Vec::new();
    let mut timeless = Vec::new();
    for (node, vantage) in watched.nodes.iter().enumerate() {
        for (index, frame) in vantage.frames.iter().enumerate() {
            events.push((frame.at_ns, Event::Frame(node, index, frame)));
        }
        for logged in &vantage.logged {
            match logged.at_ns {
                // what programs send is compared with what came to an interface, when all of that is known
                Some(at) if logged.group != DEPARTED => {
                    events.push((at + REPORTED_AFTER, Event::Logged(node, logged)));
                }
                _ => timeless.push((node, logged)),
            }
        }
    }
    for lost in &watched.lost {
        events.push((lost.at_ns, Event::Lost(lost)));
    }
    events.sort_by_key(|(at, _)| *at);
    let mut tracker = Tracker::default();
    for (_, event) in events {
        match event {
            Event::Frame(node, index, frame) => tracker.frame(node, index, frame),
            Event::Logged(node, logged) => tracker.logged(node, logged),
            Event::Lost(lost) => tracker.lost(lost),
        }
    }
    let mut seen = HashSet::new();
    for (node, logged) in timeless {
        match logged.group {
            DEPARTED => tracker.departed(node, logged, &mut seen),
            _ => tracker.logged(node, logged),
        }
    }
    tracker.drafts
}

impl Tracker {
    fn frame(&mut self, node: usize, index: usize, frame: &Frame) {
        let Some(packet) = Packet::read(&frame.packet, frame.len) else {
            return;
        };
        let whole = packet.key();
        let datagrams = packet.datagrams(frame.segment);
        let cut = datagrams.len() > 1;
        let mut ids = Vec::new();
        for packet in datagrams {
            let pass = Pass {
                at_ns: frame.at_ns,
                node,
                interface: Some(frame.interface),
                direction: frame.direction,
                src: packet.src,
                dst: packet.dst,
                ttl: packet.ttl,
                frame: (!cut).then_some(index),
            };
            ids.extend(self.packet(&packet, pass, frame));
        }
        if cut {
            self.super_frames.insert((node, whole), ids);
        }
    }

    /// Adds a packet to its journeys: one, or several if it is made of more than one TCP packet. Returns the first.
    fn packet(&mut self, packet: &Packet, pass: Pass, frame: &Frame) -> Option<usize> {
        let (here, next) = match pass.direction {
            Direction::In => (Place::Link(frame.mac), Place::Node(pass.node)),
            Direction::Out => (Place::Node(pass.node), Place::Link(frame.mac)),
        };
        let key = packet.key();
        let mut found: Vec<usize> = self.take(&here, &key, Some(&pass)).into_iter().collect();
        let data = match &packet.body {
            Body::Tcp(tcp) if tcp.len > 0 => Some((tcp.seq, tcp.end())),
            _ => None,
        };
        if let Some((seq, end)) = data {
            let others = self.overlapping(&here, &pass, seq, end);
            let (passed, others): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|id| self.passed(*id, &pass));
            if found.is_empty() && others.is_empty() && !passed.is_empty() {
                return None; // a segment of a packet that has been seen here already
            }
            found.extend(others);
            found.sort_unstable();
            found.dedup();
        }
        if found.is_empty() {
            found.push(self.begin(Draft {
                passes: Vec::new(),
                key,
                protocol: packet.protocol(),
                bytes: match pass.frame {
                    Some(_) => frame.packet.clone(),
                    None => packet.bytes(&frame.packet),
                },
                len: frame.len,
                report: None,
                about: None,
                answers: Vec::new(),
            }));
        }
        for &id in &found {
            let draft = &mut self.drafts[id];
            draft.passes.push(pass.clone());
            let wait = (next.clone(), draft.key.clone());
            self.expected.entry(wait).or_default().push_back(id);
            if let Some((seq, end)) = data {
                let stream = (next.clone(), pass.src, pass.dst);
                let stream = self.streams.entry(stream).or_default();
                stream.push_back((id, seq, end));
                if stream.len() > STREAM {
                    stream.pop_front();
                }
            }
        }
        found.first().copied()
    }

    fn begin(&mut self, draft: Draft) -> usize {
        let id = self.drafts.len();
        self.by_key.entry(draft.key.clone()).or_default().push(id);
        self.drafts.push(draft);
        id
    }

    /// The first packet with this key that is expected at this place, and can have become `pass`: a link changes
    /// nothing, and a router takes one from the TTL. So an echo of the same bytes is not taken for their forwarding.
    fn take(&mut self, here: &Place, key: &Key, pass: Option<&Pass>) -> Option<usize> {
        let drafts = &self.drafts;
        let waiting = self.expected.get_mut(&(here.clone(), key.clone()))?;
        waiting.retain(|id| drafts[*id].report.is_none());
        let fits = |id: &usize| {
            let last = drafts[*id].last();
            pass.is_none_or(|pass| match here {
                Place::Link(_) => (last.src, last.dst, last.ttl) == (pass.src, pass.dst, pass.ttl),
                Place::Node(_) => last.ttl == pass.ttl.wrapping_add(1),
            })
        };
        let at = waiting.iter().position(fits)?;
        match pass {
            // every host of the link gets it
            Some(pass) if pass.dst.ip().is_multicast() => waiting.get(at).copied(),
            _ => waiting.remove(at),
        }
    }

    /// The packets of the same connection, expected here, that have bytes of these sequence numbers.
    fn overlapping(&self, here: &Place, pass: &Pass, seq: u32, end: u32) -> Vec<usize> {
        let mut found = Vec::new();
        let mut look = |stream: &VecDeque<(usize, u32, u32)>| {
            for (id, from, to) in stream {
                let within =
                    |seq: u32, from: u32, to: u32| seq.wrapping_sub(from) < to.wrapping_sub(from);
                if within(seq, *from, *to) || within(*from, seq, end) {
                    found.push(*id);
                }
            }
        };
        match pass.direction {
            Direction::In => {
                if let Some(stream) = self.streams.get(&(here.clone(), pass.src, pass.dst)) {
                    look(stream);
                }
            }
            // within a node the addresses change: one end of the connection at least stays
            Direction::Out => {
                for ((place, src, dst), stream) in &self.streams {
                    if place == here && (*src == pass.src || *dst == pass.dst) {
                        look(stream);
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether the packet has passed this interface in this direction.
    fn passed(&self, id: usize, pass: &Pass) -> bool {
        self.drafts[id].passes.iter().any(|other| {
            other.node == pass.node
                && other.interface == pass.interface
                && other.direction == pass.direction
        })
    }

    fn logged(&mut self, node: usize, logged: &Logged) {
        let Some(packet) = Packet::read(&logged.packet, logged.packet.len()) else {
            return;
        };
        let prefix = logged.prefix.clone();
        let report = match logged.group {
            ARRIVED => Report::Arrived { node, prefix },
            DROPPED => Report::Dropped { node, prefix },
            _ => return,
        };
        let key = packet.key();
        let ids = match self.last_at(node, &key) {
            Some(id) => vec![id],
            None => self.super_frames.remove(&(node, key)).unwrap_or_default(),
        };
        for id in ids {
            self.drafts[id].report = Some(report.clone());
        }
    }

    /// The first packet with this key that came into this node last, and of which nothing has been reported.
    fn last_at(&self, node: usize, key: &Key) -> Option<usize> {
        let mut there = self.by_key.get(key)?.iter().filter(|id| {
            let draft = &self.drafts[**id];
            let last = draft.last();
            draft.report.is_none() && last.node == node && last.direction == Direction::In
        });
        there.next().copied()
    }

    /// A program has sent a packet: it came to an interface, or the node's own rules dropped it.
    fn departed(&mut self, node: usize, logged: &Logged, seen: &mut HashSet<usize>) {
        let Some(packet) = Packet::read(&logged.packet, logged.packet.len()) else {
            return;
        };
        let key = packet.key();
        if packet.dst.ip() == packet.src.ip()
            || self.super_frames.contains_key(&(node, key.clone()))
        {
            return; // to itself, by an interface that is not watched
        }
        let left = self.by_key.get(&key).and_then(|same| {
            same.iter().copied().find(|id| {
                let first = &self.drafts[*id].passes[0];
                first.node == node && first.direction == Direction::Out && !seen.contains(id)
            })
        });
        if let Some(id) = left {
            seen.insert(id);
            return;
        }
        let id = self.begin(Draft {
            passes: vec![Pass {
                at_ns: logged.at_ns.unwrap_or(0),
                node,
                interface: None,
                direction: Direction::Out,
                src: packet.src,
                dst: packet.dst,
                ttl: packet.ttl,
                frame: None,
            }],
            key,
            protocol: packet.protocol(),
            bytes: logged.packet.clone(),
            len: logged.packet.len(),
            report: Some(Report::Held { node }),
            about: None,
            answers: Vec::new(),
        });
        seen.insert(id);
    }

    fn lost(&mut self, lost: &LostFrame) {
        let Some((header, bytes)) = lost.frame.split_at_checked(14) else {
            return;
        };
        let mac = [0, 6].map(|at| *header[at..].first_chunk().expect("a header has 14 bytes"));
        let Some(packet) = Packet::read(bytes, bytes.len()) else {
            return;
        };
        if let Some(id) = self.take(&Place::Link(mac), &packet.key(), None) {
            self.drafts[id].report = Some(Report::Lost {
                link: lost.link.clone(),
                why: lost.why.clone(),
            });
        }
    }
}

//! The network: hosts, routers and the hops between them, with a virtual clock.

mod flight;
mod links;
mod record;
mod wire;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use link::Direction;
use stun::Icmp;

use self::flight::{Arrival, Packet, Stop, forwarded, refused};
use self::links::UP;
pub use self::record::Node;
use self::record::{Port, Record};
use super::{Dropped, Nat, Profile};
use sansio::{IcmpError, Input, Protocol, SocketId, Transmit};

/// The TTL of a packet, unless [`Transmit::ttl`] gives another.
pub const DEFAULT_TTL: u8 = 64;

/// A network segment: the core's, or the LAN behind a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(usize);

/// A host; the number is its protocol's index in the slice given to
/// [`Network::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// A packet that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When, in virtual time.
    pub at: Instant,
    /// The segment that it was on, or whose router dropped it.
    pub place: Place,
    /// Its source there.
    pub from: SocketAddr,
    /// Its destination there.
    pub to: SocketAddr,
    /// Why.
    pub reason: Dropped,
}

/// A tree of routers around a core, which is a router itself: one hop, on which packets are lost.
#[derive(Debug)]
pub struct Network {
    now: Instant,
    rng: ChaCha8Rng,
    loss: f64,
    segments: Vec<Segment>,
    hosts: Vec<Attached>,
    queue: BinaryHeap<Reverse<Arrival>>,
    sent: u64,
    scheduled: u64,
    lost: Vec<Lost>,
    /// What the nodes have seen, if that is asked for.
    record: Option<Record>,
    /// How many packets there were, with ICMP errors.
    numbered: u16,
    /// Timeouts handled since the clock last moved.
    timeouts: usize,
}

#[derive(Debug)]
struct Segment {
    /// `None` for the core.
    uplink: Option<(Place, Nat)>,
    neighbours: BTreeMap<IpAddr, Stop>,
    latency: Duration,
    /// Of packets to the uplink, if it differs.
    latency_up: Option<Duration>,
    /// What the link between its router and the parent segment does: up, down.
    link: Option<[Direction; 2]>,
}

#[derive(Debug)]
struct Attached {
    place: Place,
    sockets: Vec<SocketAddr>,
}

impl Attached {
    /// Opens the sockets up to this one, on the ports after that of the host's first socket.
    fn open(&mut self, socket: SocketId) {
        while self.sockets.len() <= socket {
            let mut next = self.sockets[0];
            next.set_port(next.port() + self.sockets.len() as u16);
            self.sockets.push(next);
        }
    }
}

impl Network {
    /// The segment in the middle, which has the public addresses.
    pub const CORE: Place = Place(0);

    /// An empty network: 1 ms per hop, no loss.
    pub fn new(start: Instant, seed: u64) -> Self {
        let core = Segment {
            uplink: None,
            neighbours: BTreeMap::new(),
            latency: Duration::from_millis(1),
            latency_up: None,
            link: None,
        };
        Self {
            now: start,
            rng: ChaCha8Rng::seed_from_u64(seed),
            loss: 0.0,
            segments: vec![core],
            hosts: Vec::new(),
            queue: BinaryHeap::new(),
            sent: 0,
            scheduled: 0,
            lost: Vec::new(),
            record: None,
            numbered: 0,
            timeouts: 0,
        }
    }

    /// Sets the share of packets that the core loses, in percent, in each direction.
    pub fn set_loss(&mut self, percent: f64) {
        self.loss = percent / 100.0;
    }

    /// Sets the time of one hop on this segment. Segments that are added later have the core's.
    pub fn set_latency(&mut self, place: Place, hop: Duration) {
        self.segments[place.0].latency = hop;
        self.segments[place.0].latency_up = None;
    }

    /// Sets the times of one hop on this segment: of packets to its uplink, and of all others.
    pub fn set_latencies(&mut self, place: Place, up: Duration, other: Duration) {
        self.segments[place.0].latency = other;
        self.segments[place.0].latency_up = Some(up);
    }

    /// Adds a router with the address `outside` to the segment `parent`, and returns the segment
    /// behind it. Routers behind routers are NATs in series.
    pub fn add_router(&mut self, parent: Place, outside: IpAddr, profile: Profile) -> Place {
        let place = Place(self.segments.len());
        let nat = Nat::new(profile, outside, self.rng.next_u64());
        self.segments.push(Segment {
            uplink: Some((parent, nat)),
            neighbours: BTreeMap::new(),
            latency: self.segments[0].latency,
            latency_up: None,
            link: None,
        });
        self.announce(parent, outside, Stop::Down(place));
        place
    }

    /// The router with this outside address loses its mappings.
    pub fn restart_router(&mut self, outside: IpAddr) {
        let routers = self.segments.iter_mut().filter_map(|s| s.uplink.as_mut());
        for (_, nat) in routers.filter(|(_, nat)| nat.outside() == outside) {
            nat.forget();
        }
    }

    /// Adds a host with these addresses to a segment.
    pub fn add_host(&mut self, place: Place, addresses: &[IpAddr]) -> HostId {
        let id = self.hosts.len();
        for &address in addresses {
            self.announce(place, address, Stop::Host(id));
        }
        self.hosts.push(Attached {
            place,
            sockets: Vec::new(),
        });
        HostId(id)
    }

    /// Opens a socket. A host's sockets are numbered from 0.
    pub fn bind(&mut self, host: HostId, address: SocketAddr) -> SocketId {
        let sockets = &mut self.hosts[host.0].sockets;
        sockets.push(address);
        sockets.len() - 1
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The number of packets that the hosts have sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// All packets that were not delivered, in order.
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Moves the clock to the next event and handles it. `false`: there is none until `deadline`, to
    /// which the clock was moved.
    ///
    /// `protocols` run on the hosts, in the order in which those were added.
    ///
    /// # Panics
    ///
    /// When there are fewer protocols than hosts, or when a protocol's timeout does not move into the
    /// future.
    pub fn step(&mut self, protocols: &mut [&mut dyn Protocol], deadline: Instant) -> bool {
        for (id, protocol) in protocols.iter_mut().enumerate() {
            self.collect(id, *protocol);
        }
        let timeouts = protocols.iter().enumerate();
        let timeout = timeouts
            .filter_map(|(id, protocol)| Some((protocol.poll_timeout()?.max(self.now), id)))
            .min();
        let arrival = self.queue.peek().map(|Reverse(arrival)| arrival.at);
        match (arrival, timeout) {
            (Some(at), timeout)
                if at <= deadline && timeout.is_none_or(|(timeout, _)| at <= timeout) =>
            {
                self.advance(at);
                if let Some(Reverse(arrival)) = self.queue.pop() {
                    self.serve(arrival.stop, arrival.packet, protocols);
                }
                true
            }
            (_, Some((at, id))) if at <= deadline => {
                self.advance(at);
                self.timeouts += 1;
                assert!(
                    self.timeouts < 10_000,
                    "host {id}: its timeout does not move"
                );
                protocols[id].handle_timeout(at);
                true
            }
            _ => {
                self.advance(deadline);
                false
            }
        }
    }

    /// [`step`](Self::step) until `deadline`.
    pub fn run(&mut self, protocols: &mut [&mut dyn Protocol], deadline: Instant) {
        while self.step(protocols, deadline) {}
    }

    fn advance(&mut self, to: Instant) {
        if to > self.now {
            self.now = to;
            self.timeouts = 0;
        }
    }

    /// An address behind a router that does not translate can be reached from outside as well, through
    /// that router.
    fn announce(&mut self, place: Place, address: IpAddr, stop: Stop) {
        let segment = &mut self.segments[place.0];
        segment.neighbours.insert(address, stop);
        if let Some((parent, nat)) = &segment.uplink
            && !nat.profile().translates
        {
            let parent = *parent;
            self.announce(parent, address, Stop::Down(place));
        }
    }

    fn collect(&mut self, id: usize, protocol: &mut dyn Protocol) {
        while let Some(Transmit {
            socket,
            to,
            ttl,
            payload,
        }) = protocol.poll_transmit()
        {
            let host = &mut self.hosts[id];
            host.open(socket);
            let (place, from) = (host.place, host.sockets[socket]);
            let packet = Packet {
                from,
                to,
                ttl: ttl.unwrap_or(DEFAULT_TTL),
                number: self.number(),
                left: Stop::Host(id).into(),
                payload,
                refusal: None,
            };
            self.sent += 1;
            self.enter(place, packet);
        }
    }

    /// The IP identification of a new packet.
    fn number(&mut self) -> u16 {
        self.numbered = self.numbered.wrapping_add(1);
        self.numbered
    }

    fn serve(&mut self, stop: Stop, packet: Packet, protocols: &mut [&mut dyn Protocol]) {
        let behind_link = matches!(stop, Stop::Down(place) if self.has_link(place));
        if !behind_link {
            self.comes(stop, &packet);
        }
        let (place, result) = match stop {
            Stop::Core => (Self::CORE, self.cross_core(packet)),
            Stop::Up(place) => (place, self.leave(place, packet)),
            Stop::Down(place) => (place, self.cross_down(place, packet)),
            Stop::Arrived(place) => (place, self.come_in(place, packet)),
            Stop::Host(id) => (self.hosts[id].place, self.deliver(id, packet, protocols)),
        };
        if let Stop::Up(place) | Stop::Down(place) | Stop::Arrived(place) = stop {
            self.looks_at(place);
        }
        if let Err((packet, reason)) = result {
            self.drops(stop, reason, &packet);
            self.lost.push(Lost {
                at: self.now,
                place,
                from: packet.from,
                to: packet.to,
                reason,
            });
        }
    }

    fn cross_core(&mut self, packet: Packet) -> Result<(), (Packet, Dropped)> {
        let packet = forwarded(packet)?;
        let dice = self.rng.next_u32();
        if f64::from(dice) < self.loss * f64::from(u32::MAX) {
            return Err((packet, Dropped::Loss));
        }
        self.enter_down(Self::CORE, Port::Core, packet)
    }

    fn leave(&mut self, place: Place, packet: Packet) -> Result<(), (Packet, Dropped)> {
        let mut packet = forwarded(packet)?;
        let now = self.now;
        let Some((parent, nat)) = &mut self.segments[place.0].uplink else {
            return Err((packet, Dropped::NoRoute));
        };
        let parent = *parent;
        if packet.to.ip() == nat.outside() {
            return match nat.hairpin(now, packet.from, packet.to) {
                Ok((from, to)) => {
                    self.enter_down(place, Stop::Up(place).into(), Packet { from, to, ..packet })
                }
                Err(reason) => Err((packet, reason)),
            };
        }
        match nat.outbound(now, packet.from, packet.to) {
            Ok(from) => packet.from = from,
            Err(reason) => return Err((packet, reason)),
        }
        let next = self.next(parent, &packet);
        self.leaves(Stop::Down(place).into(), next, &mut packet);
        for (at, packet) in self.crossed(place, UP, next, packet)? {
            self.hop_at(at, parent, next, packet);
        }
        Ok(())
    }

    fn come_in(&mut self, place: Place, packet: Packet) -> Result<(), (Packet, Dropped)> {
        let Some((parent, nat)) = &mut self.segments[place.0].uplink else {
            return Err((packet, Dropped::NoRoute));
        };
        // A router looks up the mapping before it decrements the TTL.
        match nat.inbound(self.now, packet.from, packet.to) {
            Ok(to) => {
                let packet = forwarded(Packet { to, ..packet })?;
                self.enter_down(place, Stop::Up(place).into(), packet)
            }
            Err(reason) => {
                let (parent, refuses) = (*parent, nat.profile().refuses);
                // No error about an error (RFC 1122 §3.2.2).
                if let (Some(code), None) = (refuses, packet.refusal) {
                    let number = self.number();
                    self.enter(parent, refused(&packet, code, number, place));
                }
                Err((packet, reason))
            }
        }
    }

    fn deliver(
        &mut self,
        id: usize,
        packet: Packet,
        protocols: &mut [&mut dyn Protocol],
    ) -> Result<(), (Packet, Dropped)> {
        let mut sockets = self.hosts[id].sockets.iter();
        let socket = sockets.position(|&bound| bound == packet.to);
        self.arrives(id, socket.is_some(), &packet);
        let Some(socket) = socket else {
            return Err((packet, Dropped::NoSocket));
        };
        let (now, protocol) = (self.now, &mut protocols[id]);
        let input = match packet.refusal {
            None => Input::datagram(socket, packet.from, &packet.payload),
            Some(refusal) => Input::Icmp(IcmpError {
                socket,
                to: packet.from,
                // Only NATs refuse. The error's source is the address that was sent to.
                offender: packet.from.ip(),
                icmp: Icmp {
                    kind: 3,
                    code: refusal.code,
                },
                quoted: &packet.payload,
            }),
        };
        protocol.handle_input(now, input);
        Ok(())
    }

    /// Puts a packet on a segment, from its source there.
    fn enter(&mut self, place: Place, mut packet: Packet) {
        let next = self.next(place, &packet);
        self.leaves(packet.left, next, &mut packet);
        self.hop_at(self.now, place, next, packet);
    }

    /// Where a packet on this segment goes: to the neighbour with its address, or to the uplink.
    fn next(&self, place: Place, packet: &Packet) -> Stop {
        let segment = &self.segments[place.0];
        match segment.neighbours.get(&packet.to.ip()) {
            _ if place == Self::CORE => Stop::Core,
            Some(&stop) => stop,
            None => Stop::Up(place),
        }
    }

    /// The same for a packet from the uplink, which must not go back there.
    fn enter_down(
        &mut self,
        place: Place,
        by: Port,
        mut packet: Packet,
    ) -> Result<(), (Packet, Dropped)> {
        match self.segments[place.0].neighbours.get(&packet.to.ip()) {
            Some(&stop) => {
                self.leaves(by, stop, &mut packet);
                self.hop_at(self.now, place, stop, packet);
                Ok(())
            }
            None => Err((packet, Dropped::NoRoute)),
        }
    }

    /// A packet that leaves for the next stop on this segment at that time.
    fn hop_at(&mut self, at: Instant, place: Place, stop: Stop, packet: Packet) {
        let segment = &self.segments[place.0];
        let latency = match stop {
            Stop::Up(_) => segment.latency_up.unwrap_or(segment.latency),
            _ => segment.latency,
        };
        self.schedule_at(at + latency, stop, packet);
    }

    fn schedule_at(&mut self, at: Instant, stop: Stop, packet: Packet) {
        self.scheduled += 1;
        self.queue.push(Reverse(Arrival {
            at,
            order: self.scheduled,
            stop,
            packet,
        }));
    }
}

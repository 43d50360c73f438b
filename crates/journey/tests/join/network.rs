//! alice ── nat ── core ── bob: what each of them sees.

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::PacketBuilder;
use journey::watched::{ARRIVED, DEPARTED, DROPPED, Frame, Logged};
use journey::{Direction, Interface, Vantage, Watched};

pub const ALICE: usize = 0;
pub const NAT: usize = 1;
pub const CORE: usize = 2;
pub const BOB: usize = 3;

/// How long a packet takes from one interface to the next.
const STEP: u64 = 10_000;

pub struct Network {
    nodes: Vec<Vantage>,
    now: u64,
    /// Of all packets that are sent from now on: super-frames with segments of this size.
    pub segment: Option<usize>,
    /// The last packet, as it was at its last node.
    last: Vec<u8>,
}

/// The hardware addresses of the two ends of each link: alice–nat, nat–core, core–bob.
const LINKS: [[[u8; 6]; 2]; 3] = [[[1; 6], [2; 6]], [[3; 6], [4; 6]], [[5; 6], [6; 6]]];

impl Network {
    pub fn new() -> Self {
        let node = |name: &str, interfaces: &[(&str, &str)]| Vantage {
            name: name.to_owned(),
            interfaces: interfaces
                .iter()
                .map(|(name, address)| Interface {
                    name: (*name).to_owned(),
                    addresses: vec![address.parse().unwrap()],
                })
                .collect(),
            tells_arrivals: true,
            ..Vantage::default()
        };
        Network {
            nodes: vec![
                node("alice", &[("eth0", "192.168.1.2")]),
                node("nat", &[("lan", "192.168.1.1"), ("wan", "203.0.113.17")]),
                node(
                    "core",
                    &[("alice", "203.0.113.254"), ("bob", "203.0.113.254")],
                ),
                node("bob", &[("eth0", "203.0.113.34")]),
            ],
            now: 1_000_000_000,
            segment: None,
            last: Vec::new(),
        }
    }

    pub fn watched(self) -> Watched {
        Watched {
            nodes: self.nodes,
            lost: Vec::new(),
        }
    }

    pub fn wait(&mut self, ms: u64) {
        self.now += ms * 1_000_000;
    }

    /// A packet from alice, whose source the NAT changes, comes to bob.
    pub fn sent(&mut self, inside: &str, outside: &str, to: &str, payload: &[u8]) {
        self.sent_as_far_as(BOB, inside, outside, to, payload);
    }

    pub fn sent_as_far_as(
        &mut self,
        end: usize,
        inside: &str,
        outside: &str,
        to: &str,
        payload: &[u8],
    ) {
        self.seen(ALICE, 0, Direction::Out, &udp(inside, to, 64, payload));
        self.seen(NAT, 0, Direction::In, &udp(inside, to, 64, payload));
        self.seen(NAT, 1, Direction::Out, &udp(outside, to, 63, payload));
        self.seen(CORE, 0, Direction::In, &udp(outside, to, 63, payload));
        if end == BOB {
            self.seen(CORE, 1, Direction::Out, &udp(outside, to, 62, payload));
            self.seen(BOB, 0, Direction::In, &udp(outside, to, 62, payload));
        }
    }

    /// A packet from bob comes to the NAT.
    pub fn came(&mut self, from: &str, outside: &str, payload: &[u8]) {
        self.seen(BOB, 0, Direction::Out, &udp(from, outside, 64, payload));
        self.seen(CORE, 1, Direction::In, &udp(from, outside, 64, payload));
        self.seen(CORE, 0, Direction::Out, &udp(from, outside, 63, payload));
        self.seen(NAT, 1, Direction::In, &udp(from, outside, 63, payload));
    }

    /// A packet from bob comes to alice.
    pub fn answered(&mut self, from: &str, outside: &str, inside: &str, payload: &[u8]) {
        self.came(from, outside, payload);
        self.seen(NAT, 0, Direction::Out, &udp(from, inside, 62, payload));
        self.seen(ALICE, 0, Direction::In, &udp(from, inside, 62, payload));
    }

    /// bob tells the NAT's address that its port is unreachable, for the last packet with this payload.
    pub fn unreachable(&mut self, payload: &[u8]) {
        let quoted = udp("203.0.113.17:40000", "203.0.113.34:5000", 62, payload);
        let port_unreachable = etherparse::icmpv4::DestUnreachableHeader::Port;
        let error = PacketBuilder::ipv4([203, 0, 113, 34], [203, 0, 113, 17], 64).icmpv4(
            etherparse::Icmpv4Type::DestinationUnreachable(port_unreachable),
        );
        let mut bytes = Vec::new();
        error.write(&mut bytes, &quoted).unwrap();
        self.seen(BOB, 0, Direction::Out, &bytes);
        self.seen(CORE, 1, Direction::In, &bytes);
    }

    /// A node sees a packet.
    pub fn seen(&mut self, node: usize, interface: usize, direction: Direction, packet: &[u8]) {
        // the link at this interface, and whether the node is its far end
        let (link, far) = match (node, interface) {
            (ALICE, _) => (0, false),
            (NAT, 0) => (0, true),
            (NAT, _) => (1, false),
            (CORE, 0) => (1, true),
            (CORE, _) => (2, false),
            _ => (2, true),
        };
        let [near_mac, far_mac] = LINKS[link];
        let outward = (direction == Direction::Out) != far; // from the near end to the far one
        let mac = if outward {
            [far_mac, near_mac]
        } else {
            [near_mac, far_mac]
        };
        self.now += STEP;
        self.last = packet.to_vec();
        self.nodes[node].frames.push(Frame {
            at_ns: self.now,
            interface,
            direction,
            mac,
            len: packet.len(),
            segment: self.segment,
            packet: packet.to_vec(),
        });
    }

    /// The rules of the node have let in the last packet.
    pub fn arrives(&mut self, node: usize, prefix: &str) {
        self.logged(node, ARRIVED, prefix, self.last.clone());
    }

    /// A rule of the node dropped the last packet.
    pub fn drops(&mut self, node: usize, prefix: &str) {
        self.logged(node, DROPPED, prefix, self.last.clone());
    }

    /// A program of the node sends a packet.
    pub fn departs(&mut self, node: usize, packet: &[u8]) {
        self.logged(node, DEPARTED, "", packet.to_vec());
    }

    fn logged(&mut self, node: usize, group: u16, prefix: &str, packet: Vec<u8>) {
        self.nodes[node].logged.push(Logged {
            at_ns: Some(self.now),
            group,
            prefix: prefix.to_owned(),
            packet,
        });
    }
}

/// A UDP packet from its IP header on.
pub fn udp(from: &str, to: &str, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let of = |text: &str| -> SocketAddrV4 { text.parse().unwrap() };
    let octets = |address: &Ipv4Addr| address.octets();
    let (from, to) = (of(from), of(to));
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(octets(from.ip()), octets(to.ip()), ttl)
        .udp(from.port(), to.port())
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

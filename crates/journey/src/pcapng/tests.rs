use std::net::SocketAddr;

use super::*;
use crate::{End, Interface, Node};

const INSIDE: &str = "192.168.1.2:4000";
const OUTSIDE: &str = "203.0.113.17:4000";
const SERVER: &str = "203.0.113.1:8848";

fn sighting(
    t_ms: f64,
    node: &str,
    interface: &str,
    direction: Direction,
    src: &str,
    dst: &str,
) -> Sighting {
    Sighting {
        t_ms,
        node: node.to_owned(),
        interface: interface.to_owned(),
        direction,
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        ttl: 63,
        raw: Vec::new(),
    }
}

/// A datagram from alice that her NAT translates.
fn journey(protocol: &str, bytes: &[u8], payload_len: usize) -> Journey {
    Journey {
        id: 7,
        protocol: protocol.to_owned(),
        what: "data".to_owned(),
        payload_len,
        payload_sha256: String::new(),
        bytes: hex::encode(bytes),
        retransmission_of: None,
        about: None,
        sightings: vec![
            sighting(0.5, "alice", "output", Direction::Out, INSIDE, SERVER),
            sighting(1.0, "nat-alice", "lan", Direction::In, INSIDE, SERVER),
            sighting(1.5, "nat-alice", "wan", Direction::Out, OUTSIDE, SERVER),
        ],
        end: End {
            how: How::Lost,
            node: "nat-alice".to_owned(),
            reason: Some("loss".to_owned()),
            text: "lost on the link of alice".to_owned(),
        },
    }
}

fn trace(journeys: Vec<Journey>) -> Trace {
    let interface = |name: &str, address: &str| Interface {
        name: name.to_owned(),
        addresses: vec![address.parse().unwrap()],
    };
    Trace {
        started_unix_ns: 1_764_312_000_000_000_000,
        nodes: vec![Node {
            name: "nat-alice".to_owned(),
            description: "a NAT".to_owned(),
            interfaces: vec![
                interface("lan", "192.168.1.1"),
                interface("wan", "203.0.113.17"),
            ],
        }],
        journeys,
        ..Trace::default()
    }
}

/// The blocks of a file: kind and body.
fn blocks(trace: &Trace) -> Vec<(u32, Vec<u8>)> {
    let mut file = Vec::new();
    write(trace, &mut file).unwrap();
    let mut blocks = Vec::new();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut at = 0;
    while at < file.len() {
        let len = word(at + 4) as usize;
        assert_eq!((len % 4, word(at + len - 4) as usize), (0, len));
        blocks.push((word(at), file[at + 8..at + len - 4].to_vec()));
        at += len;
    }
    blocks
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

#[test]
fn a_file_has_interfaces_names_and_packets_with_their_comments() {
    let found = blocks(&trace(vec![journey("udp", &[], 5)]));
    let kinds: Vec<u32> = found.iter().map(|(kind, _)| *kind).collect();
    // a section, lan, wan and alice's output, names, three packets
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 1, 1, 4, 6, 6, 6]);
    assert!(has(&found[2].1, "nat-alice wan") && has(&found[2].1, "a NAT"));
    assert!(has(&found[3].1, "alice output"));
    assert!(has(&found[4].1, "nat-alice\0"));
    assert!(has(&found[5].1, "journey 7: data") && !has(&found[5].1, "translates"));
    let last = &found[7].1;
    assert!(has(
        last,
        "nat-alice translates the source: 192.168.1.2:4000 → 203.0.113.17:4000"
    ));
    assert!(has(
        last,
        "ended at nat-alice: loss: lost on the link of alice"
    ));
    // 1.5 ms after the start, in nanoseconds
    let half = |at: usize| u64::from(u32::from_le_bytes(last[at..at + 4].try_into().unwrap()));
    assert_eq!(half(4) << 32 | half(8), 1_764_312_000_001_500_000);
}

/// The packet of alice's, in three protocols: `etherparse` made its checksums before it was translated.
fn packets() -> [(&'static str, Vec<u8>); 3] {
    use etherparse::PacketBuilder;
    let inside: SocketAddr = INSIDE.parse().unwrap();
    let SocketAddr::V4(from) = inside else {
        unreachable!()
    };
    let ip = || PacketBuilder::ipv4(from.ip().octets(), [203, 0, 113, 1], 64);
    let mut made = [
        ("udp", Vec::new()),
        ("tcp", Vec::new()),
        ("icmp", Vec::new()),
    ];
    ip().udp(4000, 8848)
        .write(&mut made[0].1, b"hello")
        .unwrap();
    ip().tcp(4000, 8848, 1, 100)
        .write(&mut made[1].1, b"hello")
        .unwrap();
    ip().icmpv4_echo_request(1, 2)
        .write(&mut made[2].1, b"hello")
        .unwrap();
    made
}

#[test]
fn a_packet_has_the_addresses_and_checksums_of_its_place() {
    for (protocol, bytes) in packets() {
        for spoiled in [false, true] {
            let mut given = bytes.clone();
            if spoiled {
                // as on a virtual link, where nobody has completed the checksum
                let at = 20
                    + [6, 16, 2][["udp", "tcp", "icmp"]
                        .iter()
                        .position(|it| *it == protocol)
                        .unwrap()];
                given[at] ^= 0x55;
            }
            let journey = journey(protocol, &given, 5);
            for at in &journey.sightings {
                let (bytes, len) = packet::bytes(&journey, at);
                assert_eq!(len, bytes.len());
                assert_eq!((bytes[8], &bytes[12..16]), (63, &at_ip(at)[..]));
                let whole = etherparse::SlicedPacket::from_ip(&bytes).unwrap();
                assert!(right(&whole), "{protocol} at {}", at.node);
            }
        }
    }
}

fn at_ip(sighting: &Sighting) -> [u8; 4] {
    match sighting.src {
        SocketAddr::V4(v4) => v4.ip().octets(),
        SocketAddr::V6(_) => unreachable!(),
    }
}

/// Whether etherparse finds the same checksums.
fn right(packet: &etherparse::SlicedPacket<'_>) -> bool {
    use etherparse::{NetSlice, TransportSlice};
    let Some(NetSlice::Ipv4(ip)) = &packet.net else {
        return false;
    };
    let header = ip.header().to_header();
    let transport = match packet.transport.as_ref().unwrap() {
        TransportSlice::Udp(udp) => {
            udp.to_header()
                .calc_checksum_ipv4(&header, udp.payload())
                .unwrap()
                == udp.checksum()
        }
        TransportSlice::Tcp(tcp) => {
            tcp.to_header()
                .calc_checksum_ipv4(&header, tcp.payload())
                .unwrap()
                == tcp.checksum()
        }
        TransportSlice::Icmpv4(icmp) => {
            icmp.header().icmp_type.calc_checksum(icmp.payload()) == icmp.checksum()
        }
        _ => false,
    };
    transport && header.calc_header_checksum() == header.header_checksum
}

#[test]
fn a_packet_over_ipv6_too() {
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ipv6([0xfd; 16], [0xfe; 16], 64)
        .udp(4000, 8848)
        .write(&mut bytes, b"hello")
        .unwrap();
    let mut journey = journey("udp", &bytes, 5);
    journey.sightings[0].src = "[2001:db8::1]:4001".parse().unwrap();
    journey.sightings[0].dst = "[2001:db8::2]:8848".parse().unwrap();
    let (bytes, _) = packet::bytes(&journey, &journey.sightings[0]);
    let packet = etherparse::SlicedPacket::from_ip(&bytes).unwrap();
    let Some(etherparse::NetSlice::Ipv6(ip)) = &packet.net else {
        panic!()
    };
    let Some(etherparse::TransportSlice::Udp(udp)) = &packet.transport else {
        panic!()
    };
    let header = ip.header().to_header();
    let sum = udp
        .to_header()
        .calc_checksum_ipv6(&header, udp.payload())
        .unwrap();
    assert_eq!(
        (udp.checksum(), udp.source_port(), header.hop_limit),
        (sum, 4001, 63)
    );
}

/// A trace may come from a stranger.
#[test]
fn bytes_that_are_no_packet_give_headers_with_the_right_length() {
    for bytes in [&[][..], &[0x45], &[0x4f; 20], &[0x60; 39], &[0xff; 60]] {
        let journey = journey("udp", bytes, 5);
        let (bytes, len) = packet::bytes(&journey, &journey.sightings[2]);
        assert_eq!((bytes.len(), len), (28, 33));
        assert_eq!(bytes[12..16], [203, 0, 113, 17]);
    }
    let mut other = journey("icmp", &packets()[0].1, 5);
    other.sightings[0].src = "[::1]:0".parse().unwrap();
    for at in &other.sightings {
        packet::bytes(&other, at);
    }
    for (protocol, bytes) in packets() {
        for (at, value) in (0..40).flat_map(|at| [(at, 0), (at, 0x7f), (at, 0xff)]) {
            let mut odd = bytes.clone();
            odd[at.min(bytes.len() - 1)] = value;
            for bytes in [&odd[..at.min(odd.len())], &odd] {
                let journey = journey(protocol, bytes, 5);
                packet::bytes(&journey, &journey.sightings[1]);
            }
        }
    }
}

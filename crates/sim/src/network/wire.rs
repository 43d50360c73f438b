//! Packets as bytes, as a capture has them.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder};

use super::flight::Packet;

/// The packet from its IP header on.
pub(super) fn bytes(packet: &Packet) -> Vec<u8> {
    let Some(refusal) = packet.refusal else {
        let Packet { from, to, ttl, .. } = *packet;
        return udp(from, to, ttl, packet.number, &packet.payload);
    };
    // its quotation went the other way
    let quoted = udp(packet.to, packet.from, 1, refusal.number, &packet.payload);
    let ip = headers(packet.from, packet.to, packet.ttl, packet.number);
    let builder = PacketBuilder::ip(ip);
    let mut bytes = Vec::new();
    let written = match packet.from {
        SocketAddr::V4(_) => builder
            .icmpv4_raw(3, refusal.code, [0; 4])
            .write(&mut bytes, &quoted),
        SocketAddr::V6(_) => builder.icmpv6_raw(1, 4, [0; 4]).write(&mut bytes, &quoted),
    };
    written.expect("a packet of the simulator is no longer than 65,535 bytes");
    bytes
}

fn udp(from: SocketAddr, to: SocketAddr, ttl: u8, number: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ip(headers(from, to, ttl, number))
        .udp(from.port(), to.port())
        .write(&mut bytes, payload)
        .expect("a packet of the simulator is no longer than 65,535 bytes");
    bytes
}

fn headers(from: SocketAddr, to: SocketAddr, ttl: u8, number: u16) -> IpHeaders {
    // length, protocol and checksum are the builder's
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => IpHeaders::Ipv4(
            Ipv4Header {
                identification: number,
                time_to_live: ttl,
                protocol: IpNumber::UDP,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv4Header::default()
            },
            Default::default(),
        ),
        (source, destination) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            IpHeaders::Ipv6(
                Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: IpNumber::UDP,
                    hop_limit: ttl,
                    source: octets(source),
                    destination: octets(destination),
                },
                Default::default(),
            )
        }
    }
}

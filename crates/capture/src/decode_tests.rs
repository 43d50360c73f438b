//! Frames made by hand, intact and damaged.

use etherparse::{
    Ethernet2Header, IpFragOffset, IpHeaders, Ipv4Extensions, Ipv4Header, PacketBuilder,
    PacketBuilderStep, VlanId,
};
use proptest::prelude::*;

use super::*;

const ALICE: [u8; 4] = [192, 168, 1, 2];
const BOB: [u8; 4] = [203, 0, 113, 33];
const CORE: [u8; 4] = [203, 0, 113, 254];

fn ethernet() -> PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn udp_frame() -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet()
        .ipv4(ALICE, BOB, 2)
        .udp(41000, 40001)
        .write(&mut frame, b"hello")
        .unwrap();
    frame
}

fn icmp_frame(quote: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet()
        .ipv4(CORE, ALICE, 63)
        .icmpv4_raw(11, 0, [0; 4])
        .write(&mut frame, quote)
        .unwrap();
    frame
}

fn ethernet_payload(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

#[test]
fn a_datagram_has_its_ends_ttl_and_length() {
    let packet = decode(Link::Ethernet, &udp_frame()).unwrap();
    let expected = Packet {
        src: "192.168.1.2:41000".parse().unwrap(),
        dst: "203.0.113.33:40001".parse().unwrap(),
        ttl: Some(2),
        ip_id: Some(0),
        len: 5,
        what: What::Data,
    };
    assert_eq!(packet, expected);
    assert_eq!(
        decode(Link::Ip, ethernet_payload(&udp_frame())),
        Some(expected)
    );
}

#[test]
fn a_stun_message_is_described() {
    let mut frame = Vec::new();
    let message = stun::binding_request([7; 12], None);
    ethernet()
        .ipv4(ALICE, BOB, 64)
        .udp(41000, 3478)
        .write(&mut frame, &message)
        .unwrap();
    let packet = decode(Link::Ethernet, &frame).unwrap();
    assert_eq!(
        packet.what,
        What::Stun {
            text: "binding request".into()
        }
    );
}

#[test]
fn a_vlan_tag_changes_nothing() {
    let mut frame = Vec::new();
    ethernet()
        .single_vlan(VlanId::try_new(7).unwrap())
        .ipv4(ALICE, BOB, 2)
        .udp(41000, 40001)
        .write(&mut frame, b"hello")
        .unwrap();
    assert_eq!(
        decode(Link::Ethernet, &frame),
        decode(Link::Ethernet, &udp_frame())
    );
}

#[test]
fn ipv6_and_icmpv6_are_decoded() {
    let mut frame = Vec::new();
    let (src, dst) = ([0xfd; 16], [0xfc; 16]);
    ethernet()
        .ipv6(src, dst, 3)
        .udp(41000, 40001)
        .write(&mut frame, b"hello")
        .unwrap();
    let packet = decode(Link::Ethernet, &frame).unwrap();
    assert_eq!((packet.ttl, packet.ip_id, packet.len), (Some(3), None, 5));
    assert_eq!(packet.src, SocketAddr::from((src, 41000)));

    let mut answer = Vec::new();
    ethernet()
        .ipv6(dst, src, 64)
        .icmpv6_raw(1, 4, [0; 4])
        .write(&mut answer, ethernet_payload(&frame))
        .unwrap();
    let What::IcmpError(error) = decode(Link::Ethernet, &answer).unwrap().what else {
        panic!("not an ICMP error")
    };
    assert_eq!(error.reason, stun::IcmpReason::PortUnreachable);
    assert_eq!(error.quoted_dst, SocketAddr::from((dst, 40001)));
}

#[test]
fn an_icmp_error_has_the_ends_of_the_quoted_packet() {
    let message = stun::binding_request([7; 12], None);
    let mut ours = Vec::new();
    PacketBuilder::ipv4(ALICE, BOB, 1)
        .udp(41000, 40001)
        .write(&mut ours, &message)
        .unwrap();
    let packet = decode(Link::Ethernet, &icmp_frame(&ours)).unwrap();
    assert_eq!(packet.src, SocketAddr::from((CORE, 0)));
    let What::IcmpError(error) = packet.what else {
        panic!("not an ICMP error")
    };
    assert_eq!(
        error,
        IcmpError {
            from: CORE.into(),
            icmp_type: 11,
            code: 0,
            reason: stun::IcmpReason::TimeExceeded,
            protocol: Transport::Udp,
            quoted_src: SocketAddr::from((ALICE, 41000)),
            quoted_dst: SocketAddr::from((BOB, 40001)),
            quoted: Some("binding request".into()),
        }
    );
}

#[test]
fn an_icmp_error_with_the_shortest_quote_has_both_ends() {
    // RFC 792: the IP header and 64 bits, which are the UDP header.
    let quote = ethernet_payload(&udp_frame())[..28].to_vec();
    let What::IcmpError(error) = decode(Link::Ethernet, &icmp_frame(&quote)).unwrap().what else {
        panic!("not an ICMP error")
    };
    assert_eq!(error.quoted_src, SocketAddr::from((ALICE, 41000)));
    assert_eq!(error.quoted, None);
    assert_eq!(decode(Link::Ethernet, &icmp_frame(&quote[..27])), None);
}

#[test]
fn a_datagram_that_was_cut_has_the_length_that_was_sent() {
    let frame = udp_frame();
    let packet = decode(Link::Ethernet, &frame[..frame.len() - 3]).unwrap();
    assert_eq!(packet.len, 5);
}

#[test]
fn of_ipv4_fragments_only_the_first_has_ports() {
    let fragment = |offset: u16| {
        let mut header = Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, ALICE, BOB).unwrap();
        header.more_fragments = true;
        header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        let mut frame = Vec::new();
        ethernet()
            .ip(IpHeaders::Ipv4(header, Ipv4Extensions::default()))
            .udp(41000, 40001)
            .write(&mut frame, b"hello")
            .unwrap();
        decode(Link::Ethernet, &frame)
    };
    assert_eq!(fragment(0).unwrap().src, SocketAddr::from((ALICE, 41000)));
    assert_eq!(fragment(3), None);
}

/// An IPv6 packet, found by fuzzing, whose hop-by-hop header announces another one that is not there.
const EXTENSIONS_CUT_SHORT: &[u8] = include_bytes!("../tests/cases/ipv6-extensions.bin");

/// An ICMPv6 error that quotes these bytes.
fn icmpv6_packet(quote: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6([0xfc; 16], [0xfd; 16], 64)
        .icmpv6_raw(1, 4, [0; 4])
        .write(&mut packet, quote)
        .unwrap();
    packet
}

#[test]
fn a_packet_whose_extension_headers_are_cut_short_is_left_out() {
    assert_eq!(decode(Link::Ip, EXTENSIONS_CUT_SHORT), None);
    assert_eq!(decode(Link::Ip, &icmpv6_packet(EXTENSIONS_CUT_SHORT)), None);
}

#[test]
fn the_ports_after_extension_headers_are_found() {
    for chain in [
        &[HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS][..],
        &[DESTINATION_OPTIONS, AUTHENTICATION],
        &[FRAGMENT],
    ] {
        let packet = ipv6_packet(chain, 0);
        let decoded = decode(Link::Ip, &packet).unwrap();
        assert_eq!((decoded.src.port(), decoded.dst.port()), (41000, 40001));
        let What::IcmpError(error) = decode(Link::Ip, &icmpv6_packet(&packet)).unwrap().what else {
            panic!("not an ICMP error")
        };
        assert_eq!(error.quoted_dst.port(), 40001);
    }
}

#[test]
fn of_ipv6_fragments_only_the_first_has_ports() {
    let later = ipv6_packet(&[HOP_BY_HOP, FRAGMENT], 3);
    assert_eq!(decode(Link::Ip, &later), None);
    assert_eq!(decode(Link::Ip, &icmpv6_packet(&later)), None);
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// A UDP packet over IPv6 behind these extension headers, each of 16 bytes but for a fragment
/// header's 8. `offset` is what the fragment header says, in units of 8 bytes.
fn ipv6_packet(chain: &[u8], offset: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6([0xfd; 16], [0xfc; 16], 3)
        .udp(41000, 40001)
        .write(&mut packet, b"hello")
        .unwrap();
    let udp = packet.split_off(40);
    let kinds = [chain, &[17]].concat();
    let mut headers = Vec::new();
    for (&kind, &next) in chain.iter().zip(&kinds[1..]) {
        match kind {
            FRAGMENT => {
                headers.extend([next, 0]);
                headers.extend((offset << 3 | 1).to_be_bytes());
                headers.extend([0; 4]);
            }
            // Its length counts words of 4 bytes, less two (RFC 4302, section 2.2).
            AUTHENTICATION => headers.extend([&[next, 2][..], &[0; 14]].concat()),
            // Units of 8 bytes, less one (RFC 8200, section 4.3).
            _ => headers.extend([&[next, 1][..], &[0; 14]].concat()),
        }
    }
    packet[6] = kinds[0];
    let length = (headers.len() + udp.len()) as u16;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    [packet, headers, udp].concat()
}

/// A SYN, a segment with a STUN message, and a reset.
fn tcp_frames() -> [Vec<u8>; 3] {
    let tcp = || ethernet().ipv4(ALICE, BOB, 64).tcp(41000, 40001, 3, 4);
    let request = stun::binding_request([7; 12], None);
    // Two messages may come in one segment.
    let request = request.repeat(2);
    [
        (tcp().syn(), &[][..]),
        (tcp().ack(5), &request),
        (tcp().rst().ack(5), &[]),
    ]
    .map(|(builder, payload)| {
        let mut frame = Vec::new();
        builder.write(&mut frame, payload).unwrap();
        frame
    })
}

#[test]
fn a_segment_of_tcp_has_its_ends_flags_and_message() {
    let decoded = tcp_frames().map(|frame| {
        let packet = decode(Link::Ethernet, &frame).unwrap();
        assert_eq!(packet.src, SocketAddr::from((ALICE, 41000)));
        assert_eq!(packet.dst, SocketAddr::from((BOB, 40001)));
        let What::Tcp { flags, text } = packet.what else {
            panic!("not TCP")
        };
        (packet.len, flags, text)
    });
    let message = 2 * stun::binding_request([7; 12], None).len();
    let expected = [
        (0, "SYN", None),
        (message, "ACK", Some("binding request")),
        (0, "RST ACK", None),
    ];
    let expected =
        expected.map(|(len, flags, text)| (len, flags.to_owned(), text.map(str::to_owned)));
    assert_eq!(decoded, expected);
    let [syn, ..] = tcp_frames();
    assert_eq!(decode(Link::Ethernet, &syn[..syn.len() - 1]), None);
}

#[test]
fn an_icmp_error_about_tcp_has_the_ends_of_its_segment() {
    let [syn, ..] = tcp_frames();
    // RFC 792: the IP header and 64 bits, which are not a whole TCP header.
    let quote = ethernet_payload(&syn)[..28].to_vec();
    let What::IcmpError(error) = decode(Link::Ethernet, &icmp_frame(&quote)).unwrap().what else {
        panic!("not an ICMP error")
    };
    assert_eq!(error.protocol, Transport::Tcp);
    assert_eq!(error.quoted_dst, SocketAddr::from((BOB, 40001)));
}

#[test]
fn packets_other_than_udp_and_tcp_and_errors_about_them_are_left_out() {
    let mut echo = Vec::new();
    ethernet()
        .ipv4(ALICE, BOB, 64)
        .icmpv4_echo_request(1, 2)
        .write(&mut echo, &[0; 40])
        .unwrap();
    assert_eq!(decode(Link::Ethernet, &echo), None);
    assert_eq!(
        decode(Link::Ethernet, &icmp_frame(ethernet_payload(&echo))),
        None
    );
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode(Link::Ethernet, &bytes);
        decode(Link::Ip, &bytes);
    }

    /// Chains of extension headers in any order, with changed bytes, and cut anywhere: no read leaves
    /// the packet (a debug build panics where one would), and only intact chains have ports.
    #[test]
    fn changed_chains_of_extension_headers_do_not_panic(
        chain in proptest::collection::vec(
            prop::sample::select(&[HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS][..]),
            0..5,
        ),
        offset in 0..3_u16,
        changes in proptest::collection::vec(
            (
                any::<prop::sample::Index>(),
                prop_oneof![any::<u8>(), prop::sample::select(&[0, 1, 17, 43, 44, 51, 58, 60][..])],
            ),
            0..4,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut packet = ipv6_packet(&chain, offset);
        let hop_by_hop_first = !chain.iter().skip(1).any(|&kind| kind == HOP_BY_HOP);
        let has_ports = hop_by_hop_first && (offset == 0 || !chain.contains(&FRAGMENT));
        prop_assert_eq!(decode(Link::Ip, &packet).is_some(), has_ports);
        for (at, byte) in changes {
            let at = 6 + at.index(packet.len() - 6);
            packet[at] = byte;
        }
        packet.truncate(cut.index(packet.len() + 1));
        // As large as the packet, so that a tool that watches memory sees a read past the end.
        let packet = packet.into_boxed_slice();
        decode(Link::Ip, &packet);
        decode(Link::Ip, &icmpv6_packet(&packet));
    }

    /// Random bytes rarely get past the first header, so a good frame is changed and cut.
    #[test]
    fn changed_frames_do_not_panic(
        error in any::<bool>(),
        tcp_instead in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let [_, tcp, _] = tcp_frames();
        let whole = if tcp_instead { tcp } else { udp_frame() };
        let mut frame = if error { icmp_frame(ethernet_payload(&whole)) } else { whole };
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(cut.index(frame.len() + 1));
        decode(Link::Ethernet, &frame);
        decode(Link::Ip, ethernet_payload(&[&[0; 14], &frame[..]].concat()));
    }
}

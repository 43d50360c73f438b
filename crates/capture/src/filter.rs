//! The filter in the kernel: a classic BPF program.
//!
//! It drops what is neither UDP nor TCP nor ICMP before this process is woken. The ports are compared
//! later, where they can change at any time.

use socket2::SockFilter;

/// Passes UDP, TCP and ICMP of both families, and IPv6 packets whose first header is an extension header.
///
/// Frames with a VLAN tag are dropped, because the VLAN's own interface has them as well. On loopback
/// the copy on the way out is dropped, because the same packet comes in at once.
pub(crate) fn program(loopback: bool) -> [SockFilter; 21] {
    let skipped_type = if loopback {
        PACKET_OUTGOING
    } else {
        NO_PACKET_TYPE
    };
    [
        /*  0 */ load_word(SKF_AD_OFF + SKF_AD_VLAN_TAG),
        /*  1 */ and(VLAN_ID),
        /*  2 */ if_equal(0, skip(2, 3), skip(2, DROP)),
        /*  3 */ load_word(SKF_AD_OFF + SKF_AD_PKTTYPE),
        /*  4 */ if_equal(skipped_type, skip(4, DROP), skip(4, 5)),
        /*  5 */ load_word(SKF_AD_OFF + SKF_AD_PROTOCOL),
        /*  6 */ if_equal(ETH_P_IP, skip(6, 7), skip(6, 9)),
        /*  7 */ load_byte(SKF_NET_OFF + IPV4_PROTOCOL),
        /*  8 */ go(skip(8, 11)),
        /*  9 */ if_equal(ETH_P_IPV6, skip(9, 10), skip(9, DROP)),
        /* 10 */ load_byte(SKF_NET_OFF + IPV6_NEXT_HEADER),
        /* 11 */ if_equal(UDP, skip(11, PASS), skip(11, 12)),
        /* 12 */ if_equal(TCP, skip(12, PASS), skip(12, 13)),
        /* 13 */ if_equal(ICMP, skip(13, PASS), skip(13, 14)),
        /* 14 */ if_equal(ICMPV6, skip(14, PASS), skip(14, 15)),
        /* 15 */ if_equal(HOP_BY_HOP, skip(15, PASS), skip(15, 16)),
        /* 16 */ if_equal(ROUTING, skip(16, PASS), skip(16, 17)),
        /* 17 */ if_equal(FRAGMENT, skip(17, PASS), skip(17, 18)),
        /* 18 */ if_equal(DESTINATION_OPTIONS, skip(18, PASS), skip(18, DROP)),
        /* 19 */ give(0),
        /* 20 */ give(u32::MAX),
    ]
}

const DROP: u8 = 19;
const PASS: u8 = 20;

// linux/filter.h: negative offsets, for what is not in the frame.
const SKF_AD_OFF: i32 = -0x1000;
const SKF_AD_PROTOCOL: i32 = 0;
const SKF_AD_PKTTYPE: i32 = 4;
const SKF_AD_VLAN_TAG: i32 = 44;
/// From here on, offsets count from the IP header, on any link.
const SKF_NET_OFF: i32 = -0x10_0000;

// linux/if_packet.h
const PACKET_OUTGOING: u32 = 4;
const NO_PACKET_TYPE: u32 = u32::MAX;

/// The VLAN number in a tag; 0 is a priority without a VLAN (IEEE 802.1Q).
const VLAN_ID: u32 = 0xfff;
const ETH_P_IP: u32 = 0x0800;
const ETH_P_IPV6: u32 = 0x86dd;
const IPV4_PROTOCOL: i32 = 9;
const IPV6_NEXT_HEADER: i32 = 6;

// IANA protocol numbers
const HOP_BY_HOP: u32 = 0;
const ICMP: u32 = 1;
const TCP: u32 = 6;
const UDP: u32 = 17;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const ICMPV6: u32 = 58;
const DESTINATION_OPTIONS: u32 = 60;

/// Jumps count from the instruction after this one.
const fn skip(from: u8, to: u8) -> u8 {
    to - from - 1
}

// linux/bpf_common.h: class | size | mode, or class | operation | source.
const fn load_word(offset: i32) -> SockFilter {
    SockFilter::new(0x20, 0, 0, offset as u32)
}

const fn load_byte(offset: i32) -> SockFilter {
    SockFilter::new(0x30, 0, 0, offset as u32)
}

const fn and(mask: u32) -> SockFilter {
    SockFilter::new(0x54, 0, 0, mask)
}

const fn if_equal(value: u32, then: u8, otherwise: u8) -> SockFilter {
    SockFilter::new(0x15, then, otherwise, value)
}

const fn go(distance: u8) -> SockFilter {
    SockFilter::new(0x05, 0, 0, distance as u32)
}

const fn give(bytes: u32) -> SockFilter {
    SockFilter::new(0x06, 0, 0, bytes)
}

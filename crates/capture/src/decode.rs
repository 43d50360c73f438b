//! From bytes to a [`Packet`]. No length in the bytes is trusted, and nothing panics.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, Icmpv4Slice, Icmpv6Slice, IpNumber, Ipv6ExtensionSlice, Ipv6ExtensionsSlice,
    LaxNetSlice, LaxSlicedPacket, UdpSlice,
};

use stun::Icmp;

use crate::{IcmpError, Packet, What};

/// The first header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header, VLAN tags allowed.
    Ethernet,
    /// The IP header, as on tun, ppp and WireGuard interfaces.
    Ip,
}

/// Decodes a frame.
///
/// `None`: neither UDP nor an ICMP error about UDP, a fragment other than the first, or a frame that
/// ends before the ports.
pub fn decode(link: Link, frame: &[u8]) -> Option<Packet> {
    let slices = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(frame).ok()?,
        Link::Ip => LaxSlicedPacket::from_ip(frame).ok()?,
    };
    let ip = Ip::of(slices.net.as_ref()?)?;
    let (src, dst, len, what) = match ip.protocol {
        IpNumber::UDP => {
            let udp = Udp::of(&ip)?;
            (udp.src, udp.dst, udp.len, What::of(udp.payload))
        }
        IpNumber::ICMP | IpNumber::IPV6_ICMP => {
            let (error, len) = icmp_error(&ip)?;
            let bare = |address| SocketAddr::new(address, 0);
            (bare(ip.src), bare(ip.dst), len, What::IcmpError(error))
        }
        _ => return None,
    };
    Some(Packet {
        src,
        dst,
        ttl: Some(ip.ttl),
        ip_id: ip.id,
        len,
        what,
    })
}

/// An IP header of either family, and what follows it.
struct Ip<'a> {
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    id: Option<u16>,
    protocol: IpNumber,
    payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// `None` for anything but IP, and for fragments other than a first one.
    fn of(net: &LaxNetSlice<'a>) -> Option<Self> {
        match net {
            LaxNetSlice::Ipv4(v4) => {
                let header = v4.header();
                (header.fragments_offset().value() == 0).then(|| Ip {
                    src: header.source_addr().into(),
                    dst: header.destination_addr().into(),
                    ttl: header.ttl(),
                    id: Some(header.identification()),
                    protocol: v4.payload().ip_number,
                    payload: v4.payload().payload,
                })
            }
            LaxNetSlice::Ipv6(v6) => {
                let first_header = v6.header().next_header();
                let later = is_later_fragment(first_header, v6.extensions().slice())?;
                (!later).then(|| Ip {
                    src: v6.header().source_addr().into(),
                    dst: v6.header().destination_addr().into(),
                    ttl: v6.header().hop_limit(),
                    id: None,
                    protocol: v6.payload().ip_number,
                    payload: v6.payload().payload,
                })
            }
            LaxNetSlice::Arp(_) => None,
        }
    }
}

/// Whether a fragment header among these extension headers says that the fragment is not the first.
///
/// `None` if the chain of headers is not whole. It is checked again here, because the lax slicing
/// ends a chain before a header that is missing, and the iterator over the result then reads that
/// header from whatever lies behind the packet.
fn is_later_fragment(first_header: IpNumber, headers: &[u8]) -> Option<bool> {
    let (headers, ..) = Ipv6ExtensionsSlice::from_slice(first_header, headers).ok()?;
    Some(headers.into_iter().any(|header| {
        matches!(header, Ipv6ExtensionSlice::Fragment(it) if it.fragment_offset().value() != 0)
    }))
}

/// A UDP header with its addresses, and as much of the payload as there is.
struct Udp<'a> {
    src: SocketAddr,
    dst: SocketAddr,
    len: usize,
    payload: &'a [u8],
}

impl<'a> Udp<'a> {
    fn of(ip: &Ip<'a>) -> Option<Self> {
        let udp = UdpSlice::from_slice_lax(ip.payload).ok()?;
        let payload = udp.payload();
        let announced = usize::from(udp.length()).saturating_sub(udp.header_slice().len());
        Some(Udp {
            src: SocketAddr::new(ip.src, udp.source_port()),
            dst: SocketAddr::new(ip.dst, udp.destination_port()),
            // A frame of the kernel's segmentation offload has more than it announces.
            len: announced.max(payload.len()),
            payload,
        })
    }
}

/// The error and the bytes that it quotes.
fn icmp_error(ip: &Ip) -> Option<(IcmpError, usize)> {
    let (icmp_type, code, quote) = match ip.src {
        IpAddr::V4(_) => {
            let icmp = Icmpv4Slice::from_slice(ip.payload).ok()?;
            (icmp.type_u8(), icmp.code_u8(), icmp.payload())
        }
        IpAddr::V6(_) => {
            let icmp = Icmpv6Slice::from_slice(ip.payload).ok()?;
            (icmp.type_u8(), icmp.code_u8(), icmp.payload())
        }
    };
    let reason = Icmp {
        kind: icmp_type,
        code,
    }
    .reason(ip.src)?;
    let ether_type = match ip.src {
        IpAddr::V4(_) => EtherType::IPV4,
        IpAddr::V6(_) => EtherType::IPV6,
    };
    let quoted = LaxSlicedPacket::from_ether_type(ether_type, quote);
    let quoted = Ip::of(quoted.net.as_ref()?)?;
    if quoted.protocol != IpNumber::UDP {
        return None;
    }
    let udp = Udp::of(&quoted)?;
    let error = IcmpError {
        from: ip.src,
        icmp_type,
        code,
        reason,
        quoted_src: udp.src,
        quoted_dst: udp.dst,
        quoted: stun::describe(udp.payload),
    };
    Some((error, quote.len()))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

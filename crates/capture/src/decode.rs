//! From bytes to a [`Packet`]. No length in the bytes is trusted, and nothing panics.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, Icmpv4Slice, Icmpv6Slice, LaxSlicedPacket, TcpSlice, UdpSlice};
use packet::{Ip, IpNumber, LaxNetSlice};

use stun::Icmp;

use crate::{IcmpError, Packet, Transport, What};

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
/// `None`: neither UDP nor TCP nor an ICMP error about them, a fragment other than the first, or a frame that
/// ends before the ports.
pub fn decode(link: Link, frame: &[u8]) -> Option<Packet> {
    let slices = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(frame).ok()?,
        Link::Ip => LaxSlicedPacket::from_ip(frame).ok()?,
    };
    let ip = whole(slices.net.as_ref()?)?;
    let (src, dst, len, what) = match ip.protocol {
        IpNumber::UDP => {
            let udp = Udp::of(&ip)?;
            (udp.src, udp.dst, udp.len, What::of(udp.payload))
        }
        IpNumber::TCP => tcp(&ip)?,
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

/// An IP header, but for fragments other than a first one, in which there are no ports.
fn whole<'a>(net: &LaxNetSlice<'a>) -> Option<Ip<'a>> {
    Ip::of(net).filter(|ip| ip.offset == 0)
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

/// The ends of a segment, the length of its payload, and what it is.
fn tcp(ip: &Ip<'_>) -> Option<(SocketAddr, SocketAddr, usize, What)> {
    let tcp = TcpSlice::from_slice(ip.payload).ok()?;
    let flags = [
        (tcp.syn(), "SYN"),
        (tcp.fin(), "FIN"),
        (tcp.rst(), "RST"),
        (tcp.ack(), "ACK"),
    ];
    let set: Vec<_> = flags
        .iter()
        .filter(|flag| flag.0)
        .map(|flag| flag.1)
        .collect();
    let what = What::Tcp {
        flags: set.join(" "),
        text: stun::describe(first_message(tcp.payload())),
    };
    let (src, dst) = (tcp.source_port(), tcp.destination_port());
    let (src, dst) = (SocketAddr::new(ip.src, src), SocketAddr::new(ip.dst, dst));
    Some((src, dst, tcp.payload().len(), what))
}

/// The STUN message that the bytes begin with, if they do: more may follow in the same segment.
fn first_message(bytes: &[u8]) -> &[u8] {
    let [_, _, high, low, ..] = *bytes else {
        return bytes;
    };
    let length = 20 + usize::from(u16::from_be_bytes([high, low]));
    bytes.get(..length).unwrap_or(bytes)
}

/// The ports of a packet of which an error quotes at least 64 bits (RFC 792).
fn ports(quoted: &Ip<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let [a, b, c, d, ..] = *quoted.payload.first_chunk::<8>()?;
    let (src, dst) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Some((
        SocketAddr::new(quoted.src, src),
        SocketAddr::new(quoted.dst, dst),
    ))
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
    let quoted = whole(quoted.net.as_ref()?)?;
    let protocol = match quoted.protocol {
        IpNumber::UDP => Transport::Udp,
        IpNumber::TCP => Transport::Tcp,
        _ => return None,
    };
    let (quoted_src, quoted_dst) = ports(&quoted)?;
    let error = IcmpError {
        from: ip.src,
        icmp_type,
        code,
        reason,
        protocol,
        quoted_src,
        quoted_dst,
        quoted: match protocol {
            Transport::Udp => Udp::of(&quoted).and_then(|udp| stun::describe(udp.payload)),
            Transport::Tcp => None,
        },
    };
    Some((error, quote.len()))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

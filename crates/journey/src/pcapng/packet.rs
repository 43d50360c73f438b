//! The bytes of a packet at one interface, from its IP header on, with the addresses and the checksums that it has
//! there.
//!
//! The kernel completes the checksums of a packet when it leaves the machine, so what is captured on a virtual link
//! has wrong ones. They are made right here, unless a part of the packet is missing.

use std::net::{IpAddr, SocketAddr};

use etherparse::checksum::Sum16BitWords;

use crate::{Journey, Sighting};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// The bytes that there are, and the length that the whole packet has.
pub(super) fn bytes(journey: &Journey, sighting: &Sighting) -> (Vec<u8>, usize) {
    let mut bytes = match sighting.raw.is_empty() {
        false => sighting.raw.clone(),
        true => hex::decode(&journey.bytes).unwrap_or_default(),
    };
    if Ip::read(&bytes).is_none() {
        bytes = headers(journey, sighting);
    }
    let mut len = bytes.len();
    if let Some(ip) = Ip::read(&bytes) {
        len = ip.whole.unwrap_or(len).max(len);
        mend(&mut bytes, &ip, sighting);
    }
    (bytes, len)
}

/// Where things are in a packet.
struct Ip {
    v6: bool,
    /// The length of the header.
    header: usize,
    /// The length of the packet; `None`: the kernel has not cut it yet.
    whole: Option<usize>,
    /// `None`: a later fragment, or an IPv6 packet with extensions.
    protocol: Option<u8>,
}

impl Ip {
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        match bytes.first()? >> 4 {
            4 => {
                let header = usize::from(bytes[0] & 15) * 4;
                let first = word(6)? & 0x1fff == 0;
                let whole = Some(usize::from(word(2)?)).filter(|len| *len >= header);
                (header >= 20 && bytes.len() >= header).then_some(Self {
                    v6: false,
                    header,
                    whole,
                    protocol: Some(*bytes.get(9)?).filter(|_| first),
                })
            }
            6 => {
                let payload = Some(usize::from(word(4)?)).filter(|len| *len > 0);
                (bytes.len() >= 40).then_some(Self {
                    v6: true,
                    header: 40,
                    whole: payload.map(|len| len + 40),
                    protocol: Some(bytes[6]).filter(|it| matches!(*it, TCP | UDP | ICMPV6)),
                })
            }
            _ => None,
        }
    }
}

/// Writes addresses, ports, TTL and checksums.
fn mend(bytes: &mut [u8], ip: &Ip, sighting: &Sighting) {
    let complete = ip.whole.is_none_or(|whole| bytes.len() >= whole);
    let more = !ip.v6 && bytes[6] & 0x20 != 0; // the first of several fragments
    let end = ip.whole.unwrap_or(bytes.len()).min(bytes.len());
    match (sighting.src.ip(), sighting.dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) if !ip.v6 => {
            bytes[12..16].copy_from_slice(&src.octets());
            bytes[16..20].copy_from_slice(&dst.octets());
            bytes[8] = sighting.ttl;
            put(bytes, 10, 0);
            let sum = Sum16BitWords::new().add_slice(&bytes[..ip.header]);
            put(bytes, 10, u16::from_be(sum.ones_complement()));
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) if ip.v6 => {
            bytes[8..24].copy_from_slice(&src.octets());
            bytes[24..40].copy_from_slice(&dst.octets());
            bytes[7] = sighting.ttl;
        }
        _ => return,
    }
    let Some(protocol) = ip.protocol else { return };
    let (head, rest) = bytes[..end].split_at_mut(ip.header);
    // where the checksum is, and how long the transport header is at least
    let (at, least) = match protocol {
        UDP => (6, 8),
        TCP => (16, 20),
        ICMP | ICMPV6 => (2, 8),
        _ => return,
    };
    if protocol == UDP || protocol == TCP {
        for (at, end) in [(0, sighting.src), (2, sighting.dst)] {
            if rest.len() >= at + 2 {
                put(rest, at, end.port());
            }
        }
    }
    let unused = protocol == UDP && !ip.v6 && rest.get(6..8) == Some(&[0, 0]);
    if rest.len() < least || !complete || more || unused {
        return;
    }
    put(rest, at, 0);
    let sum = Sum16BitWords::new().add_slice(rest);
    let sum = match protocol {
        ICMP => sum,
        _ => {
            let addresses = if ip.v6 { &head[8..40] } else { &head[12..20] };
            let pseudo = [0, protocol];
            let len = (rest.len() as u32).to_be_bytes();
            sum.add_slice(addresses).add_2bytes(pseudo).add_slice(&len)
        }
    };
    let sum = u16::from_be(sum.ones_complement());
    // 0 says that there is none
    put(
        rest,
        at,
        if protocol == UDP && sum == 0 {
            0xffff
        } else {
            sum
        },
    );
}

/// The headers of a packet whose bytes nobody has kept, without its payload.
fn headers(journey: &Journey, sighting: &Sighting) -> Vec<u8> {
    let (protocol, transport) = match journey.protocol.as_str() {
        "udp" => (UDP, 8),
        "tcp" => (TCP, 20),
        _ => (if sighting.src.is_ipv4() { ICMP } else { ICMPV6 }, 8),
    };
    let len =
        |more: usize| u16::try_from(transport + journey.payload_len + more).unwrap_or(u16::MAX);
    let mut bytes = match sighting.src {
        SocketAddr::V4(_) => {
            let mut ip = vec![0; 20];
            ip[0] = 0x45;
            put(&mut ip, 2, len(20));
            ip[9] = protocol;
            ip
        }
        SocketAddr::V6(_) => {
            let mut ip = vec![0; 40];
            ip[0] = 0x60;
            put(&mut ip, 4, len(0));
            ip[6] = protocol;
            ip
        }
    };
    let start = bytes.len();
    bytes.resize(start + transport, 0);
    match protocol {
        UDP => put(&mut bytes, start + 4, len(0)),
        TCP => bytes[start + 12] = 5 << 4,
        _ => {}
    }
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

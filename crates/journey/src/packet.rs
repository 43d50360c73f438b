//! A packet, as far as it can be recognised again behind a NAT. No length in its bytes is trusted.

use std::net::{IpAddr, SocketAddr};

use ::packet::{Ip, IpNumber, LaxNetSlice};
use etherparse::{EtherType, LaxSlicedPacket, TcpHeaderSlice};
use stun::Icmp;

/// How many bytes of a payload tell packets apart. A STUN transaction id is within them, and a report of NFLOG
/// has as many.
const TELLING: usize = 64;

/// What survives translation. A NAT changes addresses, ports, checksums and the TTL, and nothing that is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The IP identification (0 without one), the length of the payload and its beginning.
    Udp(u16, usize, Vec<u8>),
    /// The IP identification, sequence number, acknowledgement, and SYN, FIN and RST.
    Tcp(u16, u32, u32, u8),
    /// The IP identification, type, code, and the quoted packet, or the beginning of an echo.
    Icmp(u16, u8, u8, Option<Box<Key>>, Vec<u8>),
    /// A fragment other than the first: identification, offset in bytes.
    Fragment(u16, u16),
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// Port 0 where there is none.
    pub(crate) src: SocketAddr,
    pub(crate) dst: SocketAddr,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) body: Body<'a>,
}

/// What is behind the IP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// The length of the payload, as the header says, and as much of it as there is.
    Udp(usize, &'a [u8]),
    Tcp(Tcp<'a>),
    Icmp(IcmpMessage<'a>),
    Fragment(u16, &'a [u8]),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tcp<'a> {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// The length of the payload in the packet, also if fewer bytes were captured.
    pub(crate) len: usize,
    pub(crate) payload: &'a [u8],
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IcmpMessage<'a> {
    pub(crate) icmp: Icmp,
    /// The packet that an error is about.
    pub(crate) quoted: Option<Box<Packet<'a>>>,
    /// All behind the first 8 bytes.
    pub(crate) rest: &'a [u8],
    /// The second half of the header: of an echo, its identifier, which a NAT changes, and its sequence number.
    pub(crate) word: [u8; 4],
}

impl<'a> Packet<'a> {
    /// Reads a packet of `len` bytes, of which `bytes` are there. `None`: neither UDP, TCP nor ICMP, or too short.
    pub(crate) fn read(bytes: &'a [u8], len: usize) -> Option<Self> {
        let slices = LaxSlicedPacket::from_ip(bytes).ok()?;
        Packet::of(slices.net.as_ref()?, len, true)
    }

    fn of(net: &LaxNetSlice<'a>, len: usize, quotes: bool) -> Option<Self> {
        let ip = Ip::of(net)?;
        let header = ip.header;
        let with = |src, dst, body| Packet {
            src: SocketAddr::new(ip.src, src),
            dst: SocketAddr::new(ip.dst, dst),
            ttl: ip.ttl,
            id: ip.id.unwrap_or(0),
            body,
        };
        if ip.offset != 0 {
            return Some(with(0, 0, Body::Fragment(ip.offset, ip.payload)));
        }
        match ip.protocol {
            IpNumber::UDP => {
                let (ports, payload) = ip.payload.split_at_checked(8)?;
                let stated = usize::from(word(ports, 4)?);
                // a super-frame of more than 65,535 bytes has length 0
                let len = match stated.checked_sub(8) {
                    Some(length) => length,
                    None => len.saturating_sub(header + 8),
                };
                let payload = &payload[..payload.len().min(len)];
                Some(with(
                    word(ports, 0)?,
                    word(ports, 2)?,
                    Body::Udp(len, payload),
                ))
            }
            IpNumber::TCP => {
                // a quotation may end after 8 bytes
                let tcp = match TcpHeaderSlice::from_slice(ip.payload) {
                    Ok(tcp) => Tcp {
                        seq: tcp.sequence_number(),
                        ack: tcp.acknowledgment_number(),
                        flags: ip.payload[13],
                        len: len.saturating_sub(header + tcp.slice().len()),
                        payload: &ip.payload[tcp.slice().len()..],
                    },
                    Err(_) => Tcp {
                        seq: u32::from_be_bytes(*ip.payload.get(4..8)?.first_chunk()?),
                        ack: 0,
                        flags: 0,
                        len: 0,
                        payload: &[],
                    },
                };
                Some(with(
                    word(ip.payload, 0)?,
                    word(ip.payload, 2)?,
                    Body::Tcp(tcp),
                ))
            }
            // the housekeeping of a link: neighbour discovery, reports of multicast listeners
            IpNumber::IPV6_ICMP if ip.dst.is_multicast() => None,
            IpNumber::ICMP | IpNumber::IPV6_ICMP if quotes => {
                let (head, rest) = ip.payload.split_at_checked(8)?;
                let icmp = Icmp {
                    kind: head[0],
                    code: head[1],
                };
                let quoted = icmp.reason(ip.src).and_then(|_| {
                    let kind = match ip.src {
                        IpAddr::V4(_) => EtherType::IPV4,
                        IpAddr::V6(_) => EtherType::IPV6,
                    };
                    let slices = LaxSlicedPacket::from_ether_type(kind, rest);
                    Packet::of(slices.net.as_ref()?, rest.len(), false).map(Box::new)
                });
                let word = *head[4..].first_chunk()?;
                let message = IcmpMessage {
                    icmp,
                    quoted,
                    rest,
                    word,
                };
                Some(with(0, 0, Body::Icmp(message)))
            }
            _ => None,
        }
    }

    /// What survives translation.
    pub(crate) fn key(&self) -> Key {
        match &self.body {
            Body::Udp(len, payload) => Key::Udp(
                self.id,
                *len,
                payload[..payload.len().min(TELLING)].to_vec(),
            ),
            Body::Tcp(tcp) => Key::Tcp(self.id, tcp.seq, tcp.ack, tcp.flags & (SYN | RST)),
            Body::Icmp(message) => {
                let IcmpMessage {
                    icmp,
                    quoted,
                    rest,
                    word,
                } = message;
                let telling = match quoted {
                    Some(_) => Vec::new(),
                    None => [&word[2..], &rest[..rest.len().min(TELLING)]].concat(),
                };
                let quoted = quoted.as_ref().map(|quoted| Box::new(quoted.key()));
                Key::Icmp(self.id, icmp.kind, icmp.code, quoted, telling)
            }
            Body::Fragment(offset, _) => Key::Fragment(self.id, *offset),
        }
    }

    /// The datagrams into which a super-frame will be cut, each with `segment` bytes of payload: as the kernel cuts
    /// them, the IP identification is counted up. Anything else is itself.
    pub(crate) fn datagrams(self, segment: Option<usize>) -> Vec<Packet<'a>> {
        match (&self.body, segment) {
            (Body::Udp(len, payload), Some(segment)) if segment > 0 && *len > segment => (0..)
                .zip(payload.chunks(segment))
                .map(|(n, part)| Packet {
                    id: self.id.wrapping_add(n),
                    body: Body::Udp(part.len(), part),
                    ..self
                })
                .collect(),
            _ => vec![self],
        }
    }

    /// A datagram of the super-frame `whole`, as bytes: its headers, with their lengths, and its own payload.
    pub(crate) fn bytes(&self, whole: &[u8]) -> Vec<u8> {
        let payload = self.payload().1;
        let all = Packet::read(whole, whole.len()).map_or(0, |packet| packet.payload().1.len());
        let headers = whole.len().saturating_sub(all);
        let mut bytes = [&whole[..headers], payload].concat();
        let total = bytes.len();
        let mut put = |at: usize, value: usize| {
            if let Some(place) = bytes.get_mut(at..at + 2) {
                place.copy_from_slice(&(value as u16).to_be_bytes());
            }
        };
        match self.src {
            SocketAddr::V4(_) => {
                put(2, total);
                put(4, self.id.into());
            }
            SocketAddr::V6(_) => put(4, total.saturating_sub(40)),
        }
        put(headers.saturating_sub(4), payload.len() + 8);
        bytes
    }

    /// `udp`, `tcp` or `icmp`.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.body {
            Body::Udp(..) | Body::Fragment(..) => "udp",
            Body::Tcp(_) => "tcp",
            Body::Icmp(_) => "icmp",
        }
    }

    /// What it carries, in a few words.
    pub(crate) fn what(&self) -> String {
        match &self.body {
            Body::Udp(len, payload) => {
                stun::describe(payload).unwrap_or_else(|| format!("data ({len} bytes)"))
            }
            Body::Tcp(tcp) => tcp.what(),
            Body::Icmp(message) => match message.icmp.reason(self.src.ip()) {
                Some(reason) => format!("ICMP {reason}"),
                None => match (self.src.ip(), message.icmp.kind) {
                    (IpAddr::V4(_), 8) | (IpAddr::V6(_), 128) => "ping".to_owned(),
                    (IpAddr::V4(_), 0) | (IpAddr::V6(_), 129) => "answer to a ping".to_owned(),
                    (_, kind) => format!("ICMP type {kind}"),
                },
            },
            Body::Fragment(offset, _) => format!("fragment from byte {offset}"),
        }
    }

    /// The payload after the transport header: its length, and as much as was captured.
    pub(crate) fn payload(&self) -> (usize, &'a [u8]) {
        match &self.body {
            Body::Udp(len, payload) => (*len, payload),
            Body::Tcp(tcp) => (tcp.len, tcp.payload),
            Body::Icmp(message) => (message.rest.len(), message.rest),
            Body::Fragment(_, rest) => (rest.len(), rest),
        }
    }
}

impl Tcp<'_> {
    /// The sequence number behind the payload.
    pub(crate) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len as u32)
    }

    fn what(&self) -> String {
        let has = |flag| self.flags & flag != 0;
        let name = match (has(SYN), has(RST), has(FIN), has(ACK)) {
            (true, _, _, true) => "SYN, ACK",
            (true, ..) => "SYN",
            (_, true, ..) => "RST",
            (_, _, true, _) => "FIN",
            _ if self.len == 0 => "ACK",
            _ => return format!("TCP data ({} bytes)", self.len),
        };
        format!("TCP {name}")
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

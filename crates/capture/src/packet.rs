//! A packet, and what is in it.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use stun::IcmpReason;

/// A UDP or TCP packet, or an ICMP error about one.
///
/// In JSON, the fields of [`What`] are in the same object, with `kind` as its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// The source; port 0 for ICMP, which has no ports.
    pub src: SocketAddr,
    /// The destination; port 0 for ICMP, which has no ports.
    pub dst: SocketAddr,
    /// The TTL where the packet was seen; `None`: a socket reported the packet without it.
    pub ttl: Option<u8>,
    /// The IPv4 identification field, which survives NAT; `None` for IPv6 and from a socket.
    pub ip_id: Option<u16>,
    /// Bytes after the UDP, TCP or ICMP header, as sent: the length of the headers, also if the capture cut
    /// the packet short; of TCP, what was captured.
    pub len: usize,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 768.
    Udp,
    /// RFC 9293.
    Tcp,
}

/// What a packet is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A STUN message (RFC 8489).
    Stun {
        /// From [`stun::describe`], for example `probe request 3f2a77`.
        text: String,
    },
    /// A datagram that is not STUN.
    Data,
    /// A segment of TCP (RFC 9293).
    Tcp {
        /// The flags that are set, for example `SYN ACK`.
        flags: String,
        /// From [`stun::describe`], where the payload begins with a whole STUN message.
        text: Option<String>,
    },
    /// An ICMP or ICMPv6 error about a UDP or TCP packet.
    IcmpError(IcmpError),
}

/// An ICMP error (RFC 792, RFC 4443) and the packet that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IcmpError {
    /// The source of the error.
    pub from: IpAddr,
    /// The type; its meaning depends on the family of `from`.
    pub icmp_type: u8,
    /// The code.
    pub code: u8,
    /// The meaning of type and code.
    pub reason: IcmpReason,
    /// The quoted packet's protocol.
    pub protocol: Transport,
    /// The quoted packet's source, as seen on this host (a NAT in between has translated it back).
    pub quoted_src: SocketAddr,
    /// The quoted packet's destination.
    pub quoted_dst: SocketAddr,
    /// From [`stun::describe`], if enough of the payload is quoted to see that it is STUN.
    pub quoted: Option<String>,
}

impl What {
    /// A datagram's kind, by its payload.
    pub fn of(payload: &[u8]) -> Self {
        stun::describe(payload).map_or(What::Data, |text| What::Stun { text })
    }
}

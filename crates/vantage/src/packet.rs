//! What one packet says.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

/// One UDP packet, or one ICMP error about a UDP packet, as its bytes tell it.
///
/// In JSON the fields of [`What`] stand next to these, with `kind` to tell them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Where it came from; port 0 for ICMP, which has none.
    pub src: SocketAddr,
    /// Where it went to; port 0 for ICMP, which has none.
    pub dst: SocketAddr,
    /// Time to live (IPv4) or hop limit (IPv6) where it was seen; `None` when a socket told us and
    /// did not know.
    pub ttl: Option<u8>,
    /// The IPv4 identification field, which survives NAT; `None` for IPv6 and from a socket.
    pub ip_id: Option<u16>,
    /// Bytes after the UDP header, or after the ICMP header, as sent: a capture that was cut short
    /// still reports the length that the headers promise.
    pub len: usize,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What a packet is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A STUN message (RFC 8489), with a summary of a few words.
    Stun {
        /// As [`wire::describe`] puts it, e.g. `probe request 3f2a`.
        text: String,
    },
    /// A datagram that is not STUN.
    Data,
    /// An ICMP or ICMPv6 error about a UDP packet.
    IcmpError(IcmpError),
}

/// An ICMP error (RFC 792, RFC 4443) and the packet that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IcmpError {
    /// Who sent the error.
    pub from: IpAddr,
    /// The type field; its meaning depends on the family of `from`.
    pub icmp_type: u8,
    /// The code field.
    pub code: u8,
    /// What type and code mean.
    pub reason: Reason,
    /// The quoted packet's source, as this place knows it (a NAT in between has translated it).
    pub quoted_src: SocketAddr,
    /// The quoted packet's destination.
    pub quoted_dst: SocketAddr,
    /// Summary of the quoted payload when enough of it was quoted to see that it is STUN.
    pub quoted: Option<String>,
}

/// Why a packet was sent back, for the types and codes that matter to UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The TTL ran out on the way: what an opener is meant to do.
    TimeExceeded,
    /// The host is there, nobody listens on the port, or a firewall pretends so.
    PortUnreachable,
    /// No answer to ARP or neighbour discovery, or a firewall pretends so.
    HostUnreachable,
    /// No route.
    NetUnreachable,
    /// A firewall says no.
    Prohibited,
    /// Larger than the next link and not to be fragmented.
    TooBig,
    /// Any other unreachable or time-exceeded code.
    Other,
}

impl Reason {
    /// The meaning of an error's type and code in the family of its sender, or `None` when it is
    /// not an error about a delivery (an echo, a neighbour solicitation, …).
    pub fn of(from: IpAddr, icmp_type: u8, code: u8) -> Option<Self> {
        let reason = match (from, icmp_type, code) {
            // RFC 792 and RFC 1812 §5.2.7.1
            (IpAddr::V4(_), 11, 0) => Reason::TimeExceeded,
            (IpAddr::V4(_), 3, 3) => Reason::PortUnreachable,
            (IpAddr::V4(_), 3, 1 | 7 | 12) => Reason::HostUnreachable,
            (IpAddr::V4(_), 3, 0 | 6 | 11) => Reason::NetUnreachable,
            (IpAddr::V4(_), 3, 9 | 10 | 13) => Reason::Prohibited,
            (IpAddr::V4(_), 3, 4) => Reason::TooBig,
            (IpAddr::V4(_), 3 | 11, _) => Reason::Other,
            // RFC 4443 §3
            (IpAddr::V6(_), 3, 0) => Reason::TimeExceeded,
            (IpAddr::V6(_), 1, 4) => Reason::PortUnreachable,
            (IpAddr::V6(_), 1, 3) => Reason::HostUnreachable,
            (IpAddr::V6(_), 1, 0) => Reason::NetUnreachable,
            (IpAddr::V6(_), 1, 1 | 5 | 6) => Reason::Prohibited,
            (IpAddr::V6(_), 2, _) => Reason::TooBig,
            (IpAddr::V6(_), 1 | 3, _) => Reason::Other,
            _ => return None,
        };
        Some(reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Reason::TimeExceeded => "time exceeded in transit",
            Reason::PortUnreachable => "port unreachable",
            Reason::HostUnreachable => "host unreachable",
            Reason::NetUnreachable => "network unreachable",
            Reason::Prohibited => "administratively prohibited",
            Reason::TooBig => "packet too big",
            Reason::Other => "not delivered",
        })
    }
}

impl What {
    /// What a datagram is, by its payload.
    pub fn of(payload: &[u8]) -> Self {
        wire::describe(payload).map_or(What::Data, |text| What::Stun { text })
    }
}

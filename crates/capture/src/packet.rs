//! What one packet says.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use stun::IcmpReason;

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
        /// As [`stun::describe`] puts it, e.g. `probe request 3f2a`.
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
    pub reason: IcmpReason,
    /// The quoted packet's source, as this place knows it (a NAT in between has translated it).
    pub quoted_src: SocketAddr,
    /// The quoted packet's destination.
    pub quoted_dst: SocketAddr,
    /// Summary of the quoted payload when enough of it was quoted to see that it is STUN.
    pub quoted: Option<String>,
}

impl What {
    /// What a datagram is, by its payload.
    pub fn of(payload: &[u8]) -> Self {
        stun::describe(payload).map_or(What::Data, |text| What::Stun { text })
    }
}

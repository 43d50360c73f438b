//! ICMP errors: type and code, and their meaning in both address families.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

/// The type and code of an ICMP error (RFC 792, RFC 4443), coded as the attribute ICMP of RFC 8656
/// §18.13 without error data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The type; 7 bits on the wire.
    pub kind: u8,
    /// The code; 9 bits on the wire, of which 8 are used.
    pub code: u8,
}

/// Why a packet was not delivered, as far as it matters to UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpReason {
    /// The TTL expired on the way, as that of an opener should.
    TimeExceeded,
    /// The host has no socket on the port, or a firewall answers as if it had none.
    PortUnreachable,
    /// No answer to ARP or neighbour discovery, or a firewall answers as if there were none.
    HostUnreachable,
    /// No route.
    NetUnreachable,
    /// A firewall refuses the packet.
    Prohibited,
    /// The packet is larger than the next link allows, and must not be fragmented.
    TooBig,
    /// Any other code of destination unreachable or time exceeded.
    Other,
}

impl Icmp {
    /// The meaning of type and code in the family of `address`. `None`: it is not an error about a
    /// delivery, but an echo, a neighbour solicitation or the like.
    pub fn reason(self, address: IpAddr) -> Option<IcmpReason> {
        // A dual-stack socket writes an IPv4 address as an IPv4-mapped one.
        let reason = match (address.to_canonical(), self.kind, self.code) {
            // RFC 792 and RFC 1812 §5.2.7.1
            (IpAddr::V4(_), 11, 0) => IcmpReason::TimeExceeded,
            (IpAddr::V4(_), 3, 3) => IcmpReason::PortUnreachable,
            (IpAddr::V4(_), 3, 1 | 7 | 12) => IcmpReason::HostUnreachable,
            (IpAddr::V4(_), 3, 0 | 6 | 11) => IcmpReason::NetUnreachable,
            (IpAddr::V4(_), 3, 9 | 10 | 13) => IcmpReason::Prohibited,
            (IpAddr::V4(_), 3, 4) => IcmpReason::TooBig,
            (IpAddr::V4(_), 3 | 11, _) => IcmpReason::Other,
            // RFC 4443 §3
            (IpAddr::V6(_), 3, 0) => IcmpReason::TimeExceeded,
            (IpAddr::V6(_), 1, 4) => IcmpReason::PortUnreachable,
            (IpAddr::V6(_), 1, 3) => IcmpReason::HostUnreachable,
            (IpAddr::V6(_), 1, 0) => IcmpReason::NetUnreachable,
            (IpAddr::V6(_), 1, 1 | 5 | 6) => IcmpReason::Prohibited,
            (IpAddr::V6(_), 2, _) => IcmpReason::TooBig,
            (IpAddr::V6(_), 1 | 3, _) => IcmpReason::Other,
            _ => return None,
        };
        Some(reason)
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let [high, low] = (u16::from(self.kind) << 9 | u16::from(self.code)).to_be_bytes();
        [0, 0, high, low, 0, 0, 0, 0]
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let both = u16::from_be_bytes([bytes[2], bytes[3]]);
        Some(Icmp {
            kind: (both >> 9) as u8,
            code: u8::try_from(both & 0x1ff).ok()?,
        })
    }
}

impl IcmpReason {
    /// Its name in JSON.
    pub fn code(self) -> &'static str {
        match self {
            IcmpReason::TimeExceeded => "time-exceeded",
            IcmpReason::PortUnreachable => "port-unreachable",
            IcmpReason::HostUnreachable => "host-unreachable",
            IcmpReason::NetUnreachable => "net-unreachable",
            IcmpReason::Prohibited => "prohibited",
            IcmpReason::TooBig => "too-big",
            IcmpReason::Other => "other",
        }
    }

    /// Whether a host or firewall refuses the packet. Other reasons may be temporary: RFC 1122
    /// §3.2.2.1 calls them hints.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::PortUnreachable | Self::Prohibited)
    }
}

impl Serialize for IcmpReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl fmt::Display for IcmpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            IcmpReason::TimeExceeded => "time exceeded in transit",
            IcmpReason::PortUnreachable => "port unreachable",
            IcmpReason::HostUnreachable => "host unreachable",
            IcmpReason::NetUnreachable => "network unreachable",
            IcmpReason::Prohibited => "administratively prohibited",
            IcmpReason::TooBig => "packet too big",
            IcmpReason::Other => "not delivered",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_same_reason_in_both_families() {
        let v4: IpAddr = "203.0.113.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let mapped: IpAddr = "::ffff:203.0.113.1".parse().unwrap();
        use IcmpReason::*;
        for (reason, [four, six]) in [
            (TimeExceeded, [(11, 0), (3, 0)]),
            (PortUnreachable, [(3, 3), (1, 4)]),
            (HostUnreachable, [(3, 1), (1, 3)]),
            (NetUnreachable, [(3, 0), (1, 0)]),
            (Prohibited, [(3, 13), (1, 1)]),
            (TooBig, [(3, 4), (2, 0)]),
            (Other, [(3, 5), (1, 2)]),
        ] {
            for (address, (kind, code)) in [(v4, four), (mapped, four), (v6, six)] {
                let icmp = Icmp { kind, code };
                assert_eq!(icmp.reason(address), Some(reason), "{address} {icmp:?}");
            }
            let refusal = matches!(reason, PortUnreachable | Prohibited);
            assert_eq!(reason.is_refusal(), refusal);
            let name = format!("{reason:?}").to_lowercase();
            assert_eq!(reason.code().replace('-', ""), name);
        }
        for (address, kind) in [(v4, 0), (v4, 8), (v6, 128), (v6, 135)] {
            assert_eq!(Icmp { kind, code: 0 }.reason(address), None);
        }
    }
}

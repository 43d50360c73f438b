//! Which addresses the relay sends to: never those of its own network. Clients
//! learn nothing of the network behind the relay, and cannot use the relay's
//! address to reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use stun::code;

/// The text is not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a range of addresses such as 10.0.0.0/8 or fd00::/8")]
pub struct NotARange;

/// Reads a range of addresses, or one address.
///
/// # Errors
/// When it is neither.
pub fn parse_range(text: &str) -> Result<IpNet, NotARange> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| NotARange)
}

const fn v4(a: u8, b: u8, c: u8, bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), bits))
}

const fn v6(a: u16, b: u16, bits: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0);
    IpNet::V6(Ipv6Net::new_assert(address, bits))
}

/// Addresses that are not public (RFC 6890 and its registry). Those for
/// documentation in IPv4 and 2001:db8::/32 are not among them: they lead nowhere,
/// or into a laboratory.
const DENIED: [IpNet; 26] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    // The anycast address of 6to4 relays (RFC 7526).
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
    // Unspecified, loopback, IPv4-mapped and IPv4-compatible.
    v6(0, 0, 32),
    // NAT64, Teredo, 6to4: they hold IPv4 addresses, which may be private.
    v6(0x64, 0xff9b, 32),
    v6(0x2001, 0, 32),
    v6(0x2002, 0, 16),
    // Benchmarks (RFC 5180), ORCHID (RFC 4843, RFC 7343), documentation (RFC
    // 9637), segment routing (RFC 9602).
    v6(0x2001, 2, 48),
    v6(0x2001, 0x10, 28),
    v6(0x2001, 0x20, 28),
    v6(0x3fff, 0, 20),
    v6(0x5f00, 0, 16),
    v6(0x100, 0, 32),
    v6(0xfc00, 0, 7),
    v6(0xfe80, 0, 10),
    v6(0xfec0, 0, 10),
    v6(0xff00, 0, 8),
];

/// Which addresses may be peers.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Ranges that the operator allows although they are private or reserved.
    pub allowed: Vec<IpNet>,
    /// The addresses of the server's host. They are denied even if they are in
    /// `allowed`, since its other services may trust them; the relayed addresses
    /// of other allocations are not denied.
    pub own: Vec<IpAddr>,
}

impl Policy {
    /// Whether the relay may send there; its own host's addresses aside.
    fn allows(&self, peer: IpAddr) -> bool {
        let any = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&peer));
        !any(&DENIED) || any(&self.allowed)
    }

    /// The error code that refuses this address as a peer of a relayed address at
    /// `relay`.
    pub(super) fn refusal(&self, relay: IpAddr, peer: IpAddr) -> Option<u16> {
        if peer.is_ipv4() != relay.is_ipv4() {
            return Some(code::PEER_FAMILY_MISMATCH);
        }
        // Relayed addresses may be each other's peers.
        let denied = self.own.contains(&peer) || !self.allows(peer);
        (denied && peer != relay).then_some(code::FORBIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_allowed_and_private_and_reserved_ones_denied() {
        let policy = Policy::default();
        let allows = |text: &str| policy.allows(text.parse().unwrap());
        for public in [
            "1.1.1.1",
            "203.0.113.17",
            "198.51.100.1",
            "192.0.2.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "2001:db8::1",
            "2001:2:1::1",
            "2001:30::1",
            "4000::1",
        ] {
            assert!(allows(public), "{public}");
        }
        for denied in [
            "0.0.0.0",
            "10.255.255.255",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.2",
            "192.88.99.1",
            "198.19.0.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001:2::1",
            "2001:1f::1",
            "2001:2f::1",
            "3fff:fff::1",
            "5f00:1::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!allows(denied), "{denied}");
        }
    }

    #[test]
    fn an_allowed_range_is_allowed_and_nothing_else() {
        let policy = Policy {
            allowed: vec![parse_range("10.1.0.0/16").unwrap()],
            own: Vec::new(),
        };
        assert!(policy.allows("10.1.2.3".parse().unwrap()));
        assert!(!policy.allows("10.2.2.3".parse().unwrap()));
        for bad in ["10.1.0.0/33", "10.1/16", "fd00::/129", "", "/8"] {
            assert_eq!(parse_range(bad), Err(NotARange), "{bad}");
        }
        for (text, range) in [("10.1.2.3", "10.1.2.3/32"), ("fd00::1", "fd00::1/128")] {
            assert_eq!(parse_range(text).unwrap().to_string(), range);
        }
    }
}

//! To whom the relay sends: never into its own network. Its users are told
//! nothing of what is behind it, and cannot use its address to get there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that have their first bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl Cidr {
    const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Self {
        let network = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
        Cidr { network, bits }
    }

    const fn v6(a: u16, b: u16, bits: u8) -> Self {
        let network = IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0));
        Cidr { network, bits }
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= u32::from(self.bits)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

/// What is not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a range of addresses such as 10.0.0.0/8 or fd00::/8")]
pub struct NotACidr;

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let (network, bits) = match text.split_once('/') {
            Some((network, bits)) => (network, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = network.parse().map_err(|_| NotACidr)?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| NotACidr)?,
            None => most,
        };
        (bits <= most)
            .then_some(Cidr { network, bits })
            .ok_or(NotACidr)
    }
}

/// What is not the public network (RFC 6890), but for the addresses of
/// documentation, behind which there is nobody, or a laboratory.
const DENIED: [Cidr; 20] = [
    Cidr::v4(0, 0, 0, 8),
    Cidr::v4(10, 0, 0, 8),
    Cidr::v4(100, 64, 0, 10),
    Cidr::v4(127, 0, 0, 8),
    Cidr::v4(169, 254, 0, 16),
    Cidr::v4(172, 16, 0, 12),
    Cidr::v4(192, 0, 0, 24),
    Cidr::v4(192, 168, 0, 16),
    Cidr::v4(198, 18, 0, 15),
    Cidr::v4(224, 0, 0, 4),
    Cidr::v4(240, 0, 0, 4),
    // Unspecified, loopback, mapped and compatible IPv4.
    Cidr::v6(0, 0, 32),
    // NAT64, Teredo, 6to4: IPv4 in disguise, private or not.
    Cidr::v6(0x64, 0xff9b, 32),
    Cidr::v6(0x2001, 0, 32),
    Cidr::v6(0x2002, 0, 16),
    Cidr::v6(0x100, 0, 32),
    Cidr::v6(0xfc00, 0, 7),
    Cidr::v6(0xfe80, 0, 10),
    Cidr::v6(0xfec0, 0, 10),
    Cidr::v6(0xff00, 0, 8),
];

/// Who may be a peer.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Ranges that the operator allows in spite of what they are.
    pub allowed: Vec<Cidr>,
    /// The addresses of the machine itself, allowed or not: its services are
    /// nobody's peers. Other allocations are.
    pub own: Vec<IpAddr>,
}

impl Policy {
    /// Whether the relay may send there, its own addresses aside.
    pub fn allows(&self, peer: IpAddr) -> bool {
        let any = |ranges: &[Cidr]| ranges.iter().any(|range| range.contains(peer));
        !any(&DENIED) || any(&self.allowed)
    }

    /// Whether this is the machine itself.
    pub fn is_own(&self, peer: IpAddr) -> bool {
        self.own.contains(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_network_and_nothing_behind_the_relay() {
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
            "198.19.0.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!allows(denied), "{denied}");
        }
    }

    #[test]
    fn a_range_is_allowed_by_name_alone() {
        let policy = Policy {
            allowed: vec!["10.1.0.0/16".parse().unwrap()],
            own: Vec::new(),
        };
        assert!(policy.allows("10.1.2.3".parse().unwrap()));
        assert!(!policy.allows("10.2.2.3".parse().unwrap()));
        for bad in ["10.1.0.0/33", "10.1/16", "fd00::/129", "", "/8"] {
            assert_eq!(bad.parse::<Cidr>(), Err(NotACidr), "{bad}");
        }
        assert_eq!(
            "10.1.2.3".parse::<Cidr>().unwrap().to_string(),
            "10.1.2.3/32"
        );
    }
}

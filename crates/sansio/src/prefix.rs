//! Source prefixes: what one customer of a network may well have, and hence what
//! bounds are counted by.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The /24 of an IPv4 address, or the /48 of an IPv6 one (RFC 6177).
///
/// ```
/// use sansio::Prefix;
///
/// let prefix = |text: &str| Prefix::of(text.parse().unwrap());
/// assert_eq!(prefix("203.0.113.17").to_string(), "203.0.113.0/24");
/// assert_eq!(prefix("::ffff:203.0.113.17"), prefix("203.0.113.99"));
/// assert_eq!(prefix("2001:db8:1:2::3").to_string(), "2001:db8:1::/48");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(u64);

/// Set in the prefixes of IPv6, whose bits are below it.
const V6: u64 = 1 << 48;

impl Prefix {
    /// The prefix that an address belongs to. An IPv4-mapped address belongs to
    /// that of the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Prefix(u64::from(address.to_bits() >> 8)),
            IpAddr::V6(address) => Prefix(V6 | (address.to_bits() >> 80) as u64),
        }
    }

    /// A number of at most 49 bits that no other prefix has.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & V6 == 0 {
            write!(f, "{}/24", Ipv4Addr::from_bits((self.0 as u32) << 8))
        } else {
            let bits = u128::from(self.0 & !V6) << 80;
            write!(f, "{}/48", Ipv6Addr::from_bits(bits))
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_24_of_ipv4_or_a_48_of_ipv6() {
        let of = |text: &str| Prefix::of(text.parse().unwrap());
        for (address, expected) in [
            ("203.0.113.17", "203.0.113.0/24"),
            ("0.0.0.1", "0.0.0.0/24"),
            ("::ffff:203.0.113.17", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("::1", "::/48"),
        ] {
            assert_eq!(of(address).to_string(), expected);
        }
        assert_ne!(of("0.0.0.1"), of("::1"));
        assert_ne!(of("203.0.113.1"), of("203.0.114.1"));
        assert_ne!(of("2001:db8:1::"), of("2001:db8:2::"));
        assert!(of("ffff:ffff:ffff::").bits() < 1 << 49);
    }
}

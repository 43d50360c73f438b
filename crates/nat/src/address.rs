//! Private addresses, and who shares one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The networks whose addresses have a meaning on the own network only.
const PRIVATE: [IpNet; 7] = [
    v4([10, 0, 0, 0], 8),     // RFC 1918
    v4([172, 16, 0, 0], 12),  // RFC 1918
    v4([192, 168, 0, 0], 16), // RFC 1918
    v4([100, 64, 0, 0], 10),  // RFC 6598: between a carrier and its customers
    v4([169, 254, 0, 0], 16), // RFC 3927: link-local
    v6(0xfc00, 7),            // RFC 4193: unique local
    v6(0xfe80, 10),           // RFC 4291: link-local
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(first: u16, prefix: u8) -> IpNet {
    let address = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0);
    IpNet::V6(Ipv6Net::new_assert(address, prefix))
}

/// The private network (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291) that the address belongs
/// to; `None` for a public address. An IPv4-mapped IPv6 address counts as the IPv4 address.
pub fn private_network(ip: IpAddr) -> Option<IpNet> {
    let ip = ip.to_canonical();
    PRIVATE.into_iter().find(|network| network.contains(&ip))
}

/// Whether the address belongs to a [`private_network`].
pub fn is_private(ip: IpAddr) -> bool {
    private_network(ip).is_some()
}

#[cfg(test)]
mod tests {
    use super::private_network;

    #[test]
    fn an_address_belongs_to_its_private_network_up_to_the_last_one() {
        for (address, network) in [
            ("9.255.255.255", None),
            ("10.0.0.0", Some("10.0.0.0/8")),
            ("172.31.255.255", Some("172.16.0.0/12")),
            ("172.32.0.0", None),
            ("192.168.1.1", Some("192.168.0.0/16")),
            ("100.127.255.255", Some("100.64.0.0/10")),
            ("100.128.0.0", None),
            ("169.254.1.1", Some("169.254.0.0/16")),
            ("::ffff:10.0.0.1", Some("10.0.0.0/8")),
            ("fdff::1", Some("fc00::/7")),
            ("febf::1", Some("fe80::/10")),
            ("fec0::1", None),
            ("2001:db8::1", None),
        ] {
            let found = private_network(address.parse().unwrap());
            assert_eq!(
                found.map(|it| it.to_string()).as_deref(),
                network,
                "{address}"
            );
        }
    }
}

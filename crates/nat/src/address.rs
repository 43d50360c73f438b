//! Which addresses are behind a NAT.

use std::net::IpAddr;

/// Addresses that mean somebody only on one's own network: RFC 1918, RFC 6598
/// (carriers), link-local, and RFC 4193 (unique local).
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

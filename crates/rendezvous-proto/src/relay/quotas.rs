//! How many allocations each name and each client network has.
//!
//! An IPv4 client is counted by its address and by its /24, an IPv6 one by its /64,
//! of which a host has as many addresses as it likes, and by its /48, which one
//! customer may well have (RFC 6177).

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use session::credentials::parse_username;

/// Counts of allocations, with those that wait for a socket.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    names: HashMap<String, usize>,
    networks: HashMap<IpNet, usize>,
}

impl Quotas {
    pub(super) fn of_name(&self, username: &str) -> usize {
        self.names.get(name_of(username)).copied().unwrap_or(0)
    }

    /// Whether the client's network has used up its share: `per_address` for an
    /// IPv4 address or a /64, four times that for a /24 or a /48.
    pub(super) fn network_is_full(&self, client: IpAddr, per_address: usize) -> bool {
        let shares = [per_address, per_address.saturating_mul(SHARES_OF_A_PREFIX)];
        let of = |network: IpNet| self.networks.get(&network).copied().unwrap_or(0);
        networks(client)
            .zip(shares)
            .any(|(net, share)| of(net) >= share)
    }

    pub(super) fn take(&mut self, username: &str, client: IpAddr) {
        let name = name_of(username).to_owned();
        *self.names.entry(name).or_default() += 1;
        for network in networks(client) {
            *self.networks.entry(network).or_default() += 1;
        }
    }

    pub(super) fn release(&mut self, username: &str, client: IpAddr) {
        let name = name_of(username);
        if one_less(self.names.get_mut(name)) {
            self.names.remove(name);
        }
        for network in networks(client) {
            if one_less(self.networks.get_mut(&network)) {
                self.networks.remove(&network);
            }
        }
    }
}

/// What a prefix may have, in shares of an address.
const SHARES_OF_A_PREFIX: usize = 4;

/// The networks by which a client is counted, the smallest first.
fn networks(client: IpAddr) -> impl Iterator<Item = IpNet> {
    let client = client.to_canonical();
    let lengths: &[u8] = if client.is_ipv4() {
        &[32, 24]
    } else {
        &[64, 48]
    };
    let network = move |&length| IpNet::new(client, length).map(|network| network.trunc());
    lengths
        .iter()
        .filter_map(move |length| network(length).ok())
}

/// Whether none is left.
fn one_less(count: Option<&mut usize>) -> bool {
    count.is_some_and(|count| {
        *count -= 1;
        *count == 0
    })
}

/// The name in a user name of ours.
pub(super) fn name_of(username: &str) -> &str {
    parse_username(username).map_or(username, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_share_its_quota_and_four_networks_that_of_the_site() {
        let mut quotas = Quotas::default();
        let at = |net: u16, host: u16| IpAddr::from([0x2600, 0, 0, net, 0, 0, 0, host]);
        for host in 0..2 {
            assert!(!quotas.network_is_full(at(0, host), 2));
            quotas.take("1:alice", at(0, host));
        }
        assert!(quotas.network_is_full(at(0, 9), 2), "of the /64");
        for net in 1..4 {
            assert!(!quotas.network_is_full(at(net, 0), 2));
            quotas.take("1:alice", at(net, 0));
            quotas.take("1:alice", at(net, 1));
        }
        assert!(quotas.network_is_full(at(4, 0), 2), "of the /48");
        quotas.release("1:alice", at(0, 0));
        assert!(!quotas.network_is_full(at(4, 0), 2));
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        quotas.take("1:bob", one);
        quotas.take("1:bob", one);
        assert!(quotas.network_is_full(one, 2) && !quotas.network_is_full(other, 2));
        for (name, client) in [("1:bob", one), ("1:bob", one), ("1:alice", at(0, 1))] {
            quotas.release(name, client);
        }
        assert_eq!(quotas.of_name("1:bob"), 0);
    }
}

//! The addresses of this host, and which of them a client sends to, where a socket
//! listens on all of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context;
use nix::sys::socket::SockaddrStorage;
use sansio::{Prefix, Shares};

/// Clients remembered. When there are as many, the prefix with most of them loses the one that
/// has been silent for longest.
const MOST: usize = 256 * 1024;

/// Of these, of one prefix.
const MOST_OF_PREFIX: usize = 16 * 1024;

/// A client that sends is counted as active again once this many others have been noted. A client
/// that is in use sends every 15 s.
const RENEWED_AFTER: u64 = 1024;

/// A packet that a client has not asked for has to come from the address that it
/// sent to: its NAT lets in nothing else.
#[derive(Default)]
pub struct LocalAddresses {
    /// The address, and the number of the last note.
    clients: HashMap<SocketAddr, (IpAddr, u64)>,
    shares: Shares<Prefix, (u64, SocketAddr)>,
    notes: u64,
}

impl LocalAddresses {
    /// Only for clients that have proved their address: the source address of
    /// any other datagram may be forged.
    pub fn note(&mut self, client: SocketAddr, local: IpAddr) {
        let prefix = Prefix::of(client.ip());
        if let Some((noted, note)) = self.clients.get_mut(&client) {
            *noted = local;
            if *note + RENEWED_AFTER <= self.notes {
                self.shares.remove(prefix, (*note, client));
                *note = self.notes;
                self.shares.insert(prefix, (*note, client));
                self.notes += 1;
            }
            return;
        }
        let own = self.shares.oldest(prefix);
        let pays = if self.shares.of(prefix) >= MOST_OF_PREFIX {
            own.map(|oldest| (prefix, oldest))
        } else if self.clients.len() >= MOST {
            let other = self.shares.pays(prefix);
            other.or(own.map(|oldest| (prefix, oldest)))
        } else {
            None
        };
        if let Some((owner, oldest)) = pays {
            self.shares.remove(owner, oldest);
            self.clients.remove(&oldest.1);
        }
        self.clients.insert(client, (local, self.notes));
        self.shares.insert(prefix, (self.notes, client));
        self.notes += 1;
    }

    /// Forgets the addresses that are not among `own`: the host has them no longer, so nothing can be
    /// sent from them.
    pub fn keep(&mut self, own: &[IpAddr]) {
        let shares = &mut self.shares;
        self.clients.retain(|client, (local, note)| {
            let kept = own.contains(local);
            if !kept {
                shares.remove(Prefix::of(client.ip()), (*note, *client));
            }
            kept
        });
    }

    pub fn towards(&self, client: SocketAddr) -> Option<IpAddr> {
        self.clients.get(&client).map(|(local, _)| *local)
    }
}

/// All addresses of this host, to whose other services the relay does not send,
/// and the broadcast addresses of its networks.
///
/// # Errors
/// Those of `getifaddrs(3)`.
pub fn own_addresses() -> anyhow::Result<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()
        .context("cannot list the addresses of this host (getifaddrs)")?;
    Ok(interfaces
        .flat_map(|interface| {
            let v4 = |storage: Option<SockaddrStorage>| Some(storage?.as_sockaddr_in()?.ip());
            let (address, mask) = (v4(interface.address), v4(interface.netmask));
            // Computed: in the system's answer the peer of a point-to-point link
            // stands in the place of the broadcast address.
            let broadcast = address.zip(mask).map(|(address, mask)| address | !mask);
            let v6 = interface
                .address
                .and_then(|address| Some(address.as_sockaddr_in6()?.ip()));
            let v4 = [address, broadcast].into_iter().flatten().map(IpAddr::V4);
            v4.chain(v6.map(IpAddr::V6)).collect::<Vec<_>>()
        })
        .collect())
}

/// What was found at each look at the addresses of this host.
#[derive(Default)]
pub struct OwnAddresses {
    addresses: Vec<IpAddr>,
    failed: bool,
}

impl OwnAddresses {
    /// What a look has found, if it is news: other addresses than before, or the first failure after a success.
    pub fn next<E>(&mut self, found: Result<Vec<IpAddr>, E>) -> Option<Result<&[IpAddr], E>> {
        let failed_before = std::mem::replace(&mut self.failed, found.is_err());
        match found {
            Ok(found) if found == self.addresses => None,
            Ok(found) => {
                self.addresses = found;
                Some(Ok(&self.addresses))
            }
            Err(error) => (!failed_before).then_some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
    ];

    fn client(net: u32, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::from((net << 8).to_be_bytes()), port)
    }

    #[test]
    fn one_prefix_pushes_out_its_own_clients_alone_and_first_those_that_are_silent() {
        let mut addresses = LocalAddresses::default();
        let alice: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        addresses.note(alice, LOCAL[1]);
        addresses.note(alice, LOCAL[0]);
        let kept = client(1, 9);
        for n in 0..3 * MOST_OF_PREFIX as u16 {
            if n % 9999 == 0 {
                assert_eq!(addresses.towards(kept).is_some(), n > 0, "{n}");
                addresses.note(kept, LOCAL[1]);
            }
            addresses.note(client(1, n), LOCAL[1]);
        }
        assert_eq!(addresses.towards(alice), Some(LOCAL[0]));
        assert_eq!(addresses.towards(kept), Some(LOCAL[1]));
        assert_eq!(addresses.towards(client(1, 10)), None);
        assert_eq!(addresses.clients.len(), MOST_OF_PREFIX + 1);
    }

    #[test]
    fn where_all_places_are_taken_the_prefix_with_most_clients_makes_room() {
        let mut addresses = LocalAddresses::default();
        for net in 0..=(MOST / MOST_OF_PREFIX) as u32 {
            for port in 0..MOST_OF_PREFIX as u16 {
                addresses.note(client(net, port), LOCAL[0]);
            }
        }
        for net in 100..200 {
            addresses.note(client(net, 1), LOCAL[1]);
        }
        assert_eq!(addresses.clients.len(), MOST);
        assert_eq!(addresses.shares.len(), MOST);
        let found = (100..200).filter(|net| addresses.towards(client(*net, 1)).is_some());
        assert_eq!(found.count(), 100);
    }

    #[test]
    fn an_address_that_the_host_has_lost_is_forgotten_and_takes_no_place() {
        let mut addresses = LocalAddresses::default();
        for port in 0..10 {
            addresses.note(client(1, port), LOCAL[usize::from(port % 2)]);
        }
        addresses.keep(&LOCAL[..1]);
        assert_eq!(addresses.towards(client(1, 0)), Some(LOCAL[0]));
        assert_eq!(addresses.towards(client(1, 1)), None);
        assert_eq!((addresses.clients.len(), addresses.shares.len()), (5, 5));
    }

    #[test]
    fn only_news_about_the_addresses_is_told_and_a_failure_once() {
        let mut own = OwnAddresses::default();
        let looks = [
            Ok(vec![LOCAL[0]]),
            Ok(vec![LOCAL[0]]),
            Err("one"),
            Err("two"),
            Ok(vec![LOCAL[0]]),
            Err("three"),
            Ok(vec![LOCAL[1]]),
        ];
        let told: Vec<_> = looks
            .into_iter()
            .map(|look| own.next(look).map(|told| told.map(<[_]>::to_vec)))
            .collect();
        let expected = [
            Some(Ok(vec![LOCAL[0]])),
            None,
            Some(Err("one")),
            None,
            None,
            Some(Err("three")),
            Some(Ok(vec![LOCAL[1]])),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_broadcast_addresses_of_our_networks_are_ours_as_well() {
        // The loopback interface has 127.0.0.1/8 on every host.
        let own = own_addresses().unwrap();
        for address in ["127.0.0.1", "127.255.255.255"] {
            assert!(own.contains(&address.parse().unwrap()), "{own:?}");
        }
    }
}

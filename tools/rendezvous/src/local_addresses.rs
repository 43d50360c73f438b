//! Which of our addresses a client sends to, where a socket listens on all of
//! them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Clients remembered in each of the two tables. A client that is in use sends
/// every 15 s, and is among the recent ones then.
const RECENT: usize = 128 * 1024;

/// A packet that a client has not asked for has to come from the address that it
/// sent to: its NAT lets in nothing else.
#[derive(Default)]
pub struct LocalAddresses {
    recent: HashMap<SocketAddr, IpAddr>,
    before: HashMap<SocketAddr, IpAddr>,
}

impl LocalAddresses {
    /// Only for clients that have proved their address: the source address of
    /// any other datagram may be forged.
    pub fn note(&mut self, client: SocketAddr, local: IpAddr) {
        if self.recent.len() >= RECENT && !self.recent.contains_key(&client) {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(client, local);
    }

    pub fn towards(&self, client: SocketAddr) -> Option<IpAddr> {
        let local = self.recent.get(&client);
        local.or_else(|| self.before.get(&client)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_keeps_sending_is_remembered_and_the_tables_are_bounded() {
        let mut addresses = LocalAddresses::default();
        let [one, another] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let alice: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        addresses.note(alice, another);
        addresses.note(alice, one);
        for n in 0..5 * RECENT as u32 {
            if n % RECENT as u32 == 0 {
                addresses.note(alice, one);
            }
            let other = SocketAddr::new(IpAddr::from(n.to_be_bytes()), 1);
            addresses.note(other, another);
            assert_eq!(addresses.towards(alice), Some(one));
        }
        assert!(addresses.recent.len() <= RECENT && addresses.before.len() <= RECENT);
    }
}

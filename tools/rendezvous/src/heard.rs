//! Which of our addresses a client spoke to, where we listen on all of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Clients remembered: twice as many at most. Whoever is in use says so every
/// 15 s, and is among the recent ones then.
const RECENT: usize = 128 * 1024;

/// What is sent unasked has to come from there: a NAT lets in nothing else.
#[derive(Default)]
pub struct Heard {
    recent: HashMap<SocketAddr, IpAddr>,
    before: HashMap<SocketAddr, IpAddr>,
}

impl Heard {
    /// Only for clients whom the brain remembers, too: anybody can write any
    /// source address on a datagram.
    pub fn note(&mut self, client: SocketAddr, at: IpAddr) {
        if self.recent.len() >= RECENT && !self.recent.contains_key(&client) {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(client, at);
    }

    pub fn at(&self, client: SocketAddr) -> Option<IpAddr> {
        let at = self.recent.get(&client);
        at.or_else(|| self.before.get(&client)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_is_remembered_among_any_number_and_the_number_is_bounded() {
        let mut heard = Heard::default();
        let [here, there] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let alice: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        heard.note(alice, there);
        heard.note(alice, here);
        for n in 0..5 * RECENT as u32 {
            if n % RECENT as u32 == 0 {
                heard.note(alice, here);
            }
            heard.note(SocketAddr::new(IpAddr::from(n.to_be_bytes()), 1), there);
            assert_eq!(heard.at(alice), Some(here));
        }
        assert!(heard.recent.len() <= RECENT && heard.before.len() <= RECENT);
    }
}

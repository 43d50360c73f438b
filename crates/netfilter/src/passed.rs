//! Which packets came to the first of our chains and not to the last one: a rule in between, which is the
//! host's own, has dropped them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use etherparse::UdpSlice;
use packet::{Ip, IpNumber};

/// Packets under way between the two chains, at most. A packet is there for some microseconds, unless it
/// is dropped.
const MOST: usize = 4096;

/// Into this host or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into it.
    In,
    /// Out of it.
    Out,
}

/// A UDP packet that the host's own rules have dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// When it came to the first chain, since the time that the caller counts from.
    pub at: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// Its source.
    pub src: SocketAddr,
    /// Its destination.
    pub dst: SocketAddr,
    /// Its TTL.
    pub ttl: u8,
    /// Its payload, as much as was reported.
    pub payload: Vec<u8>,
}

impl Dropped {
    /// The host's own address and port.
    pub fn local(&self) -> SocketAddr {
        match self.direction {
            Direction::In => self.dst,
            Direction::Out => self.src,
        }
    }

    /// The other end.
    pub fn remote(&self) -> SocketAddr {
        match self.direction {
            Direction::In => self.src,
            Direction::Out => self.dst,
        }
    }
}

/// The packets that have come to the first chain and not to the last one yet.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    waiting: VecDeque<Dropped>,
}

impl Passed {
    /// A packet, from the IP header on, at the first chain. `false`: there were too many, and the oldest is forgotten.
    pub(crate) fn first(&mut self, at: Duration, direction: Direction, packet: &[u8]) -> bool {
        let Some(packet) = read(at, direction, packet) else {
            return true;
        };
        let full = self.waiting.len() == MOST;
        if full {
            self.waiting.pop_front();
        }
        self.waiting.push_back(packet);
        !full
    }

    /// A packet at the last chain. It is told by its payload: a rule may have changed its addresses.
    pub(crate) fn last(&mut self, direction: Direction, packet: &[u8]) {
        let Some(packet) = read(Duration::ZERO, direction, packet) else {
            return;
        };
        let of_it = |it: &Dropped| it.direction == direction && it.payload == packet.payload;
        if let Some(at) = self.waiting.iter().rposition(of_it) {
            self.waiting.remove(at);
        }
    }

    /// Those that were dropped, in the order of time.
    pub(crate) fn dropped(self) -> Vec<Dropped> {
        self.waiting.into()
    }
}

/// `None` for anything but a UDP packet, or the first fragment of one.
fn read(at: Duration, direction: Direction, packet: &[u8]) -> Option<Dropped> {
    let ip = Ip::read(packet).filter(|ip| ip.protocol == IpNumber::UDP && ip.offset == 0)?;
    let udp = UdpSlice::from_slice_lax(ip.payload).ok()?;
    Some(Dropped {
        at,
        direction,
        src: SocketAddr::new(ip.src, udp.source_port()),
        dst: SocketAddr::new(ip.dst, udp.destination_port()),
        ttl: ip.ttl,
        payload: udp.payload().to_vec(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// IPv4 from 192.168.1.2:40000 to 203.0.113.33:9, with this payload.
    pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
        let length = (28 + payload.len()) as u16;
        let mut packet = vec![
            0x45, 0, 0, 0, 0, 7, 0, 0, 63, 17, 0, 0, 192, 168, 1, 2, 203, 0, 113, 33,
        ];
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet.extend(40000_u16.to_be_bytes());
        packet.extend(9_u16.to_be_bytes());
        packet.extend((length - 20).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        packet
    }

    #[test]
    fn what_comes_to_the_first_chain_alone_was_dropped() {
        let mut passed = Passed::default();
        let at = Duration::from_millis;
        for (n, payload) in [b"a", b"b", b"a", b"c"].into_iter().enumerate() {
            passed.first(at(n as u64), Direction::Out, &packet(payload));
        }
        passed.first(at(9), Direction::In, &packet(b"b"));
        for payload in [b"a", b"b"] {
            passed.last(Direction::Out, &packet(payload));
        }
        passed.last(Direction::Out, b"no packet");
        let dropped = passed.dropped();
        let told: Vec<_> = dropped
            .iter()
            .map(|it| (it.at, it.direction, &it.payload[..]))
            .collect();
        assert_eq!(
            told,
            [
                (at(0), Direction::Out, &b"a"[..]),
                (at(3), Direction::Out, &b"c"[..]),
                (at(9), Direction::In, &b"b"[..]),
            ]
        );
        assert_eq!(dropped[0].local(), "192.168.1.2:40000".parse().unwrap());
        assert_eq!(dropped[0].remote(), "203.0.113.33:9".parse().unwrap());
        assert_eq!(dropped[0].ttl, 63);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut passed = Passed::default();
        for n in 0..MOST + 5 {
            let kept = passed.first(Duration::ZERO, Direction::Out, &packet(&n.to_be_bytes()));
            assert_eq!(kept, n < MOST, "that one was forgotten is told");
        }
        let dropped = passed.dropped();
        assert_eq!(dropped.len(), MOST);
        assert_eq!(dropped[0].payload, 5_usize.to_be_bytes());
    }
}

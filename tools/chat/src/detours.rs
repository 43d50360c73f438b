//! QUIC over ways that do not begin at the first socket: through the relay, or from
//! another socket, where a guessed port has hit. quinn knows the peer there by a
//! placeholder address, which no host has: the peer's own address may be that of a path
//! from the first socket, too.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use quinn::udp::RecvMeta;
use sansio::Via;

/// Placeholders are from 240.0.0.0/8 (reserved, RFC 1112 §4) and from 100::/64
/// (discard-only, RFC 6666).
const RESERVED: u8 = 240;
const DISCARD: u16 = 0x100;

/// Ways that are remembered: twice as many as there may be links. The oldest is
/// forgotten, and gets another placeholder later.
const MOST_PEERS: usize = 128;

/// Datagrams over these ways that wait for quinn: more are lost.
const MOST_WAITING: usize = 256;

/// A way to a peer, and where the peer is seen there.
pub type Way = (Via, SocketAddr);

/// The ways, and the datagrams that came over them.
#[derive(Debug, Default)]
pub struct Detours(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Placeholders and the ways that they stand for.
    peers: VecDeque<(SocketAddr, Way)>,
    given: u32,
    /// From which placeholder, and the payload.
    received: VecDeque<(SocketAddr, Vec<u8>)>,
    waiting: Option<Waker>,
}

impl Detours {
    /// The placeholder by which quinn is to know the peer over that way.
    pub fn placeholder(&self, way: Way) -> SocketAddr {
        let mut inner = self.lock();
        let (_, real) = way;
        if let Some(&(known, _)) = inner.peers.iter().find(|(_, of)| *of == way) {
            return known;
        }
        inner.given = (inner.given + 1) & 0xff_ffff;
        let ip: IpAddr = match real {
            SocketAddr::V4(_) => {
                let [_, a, b, c] = inner.given.to_be_bytes();
                Ipv4Addr::new(RESERVED, a, b, c).into()
            }
            SocketAddr::V6(_) => {
                let [high, low] = [(inner.given >> 16) as u16, inner.given as u16];
                Ipv6Addr::new(DISCARD, 0, 0, 0, 0, 0, high, low).into()
            }
        };
        let placeholder = SocketAddr::new(ip, real.port());
        inner.peers.push_back((placeholder, way));
        if inner.peers.len() > MOST_PEERS {
            inner.peers.pop_front();
        }
        placeholder
    }

    /// No datagram goes or comes that way any more.
    pub fn forget(&self, via: Via) {
        self.lock().peers.retain(|(_, (of, _))| *of != via);
    }

    /// The way that a placeholder stands for, if it is still known.
    pub fn real(&self, placeholder: SocketAddr) -> Option<Way> {
        let inner = self.lock();
        let peer = inner.peers.iter().find(|(known, _)| *known == placeholder);
        peer.map(|(_, way)| *way)
    }

    /// Keeps a datagram that came over that way for the next [`Self::receive`]; that of a
    /// stranger is dropped.
    pub fn push(&self, way: Way, payload: Vec<u8>) {
        let mut inner = self.lock();
        let peer = inner.peers.iter().find(|(_, known)| *known == way);
        if let Some(&(placeholder, _)) = peer
            && inner.received.len() < MOST_WAITING
        {
            inner.received.push_back((placeholder, payload));
            if let Some(waker) = inner.waiting.take() {
                waker.wake();
            }
        }
    }

    /// Fills buffers with the datagrams that have come; returns how many. If
    /// none, the task is woken when one comes.
    pub fn receive(
        &self,
        cx: &Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let mut inner = self.lock();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some((from, payload)) = inner.received.pop_front() else {
                break;
            };
            let length = payload.len().min(buffer.len());
            buffer[..length].copy_from_slice(&payload[..length]);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, length, length);
            count += 1;
        }
        if count == 0 {
            inner.waiting = Some(cx.waker().clone());
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address is a placeholder, known or no longer.
pub fn is_placeholder(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets()[0] == RESERVED,
        IpAddr::V6(ip) => ip.segments()[..4] == [DISCARD, 0, 0, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u16) -> Way {
        (Via::Relay, ([203, 0, 113, 33], 1000 + number).into())
    }

    fn receive(detours: &Detours) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut space = [[0; 1500]; 4];
        let mut buffers: Vec<IoSliceMut<'_>> =
            space.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let mut meta = [RecvMeta::default(); 4];
        let count = detours.receive(&Context::from_waker(Waker::noop()), &mut buffers, &mut meta);
        let filled = meta.iter().zip(&buffers).take(count);
        filled
            .map(|(meta, buffer)| (meta.addr, buffer[..meta.len].to_vec()))
            .collect()
    }

    #[test]
    fn each_peer_has_a_placeholder_that_no_host_has() {
        let detours = Detours::default();
        let v6 = (Via::Relay, "[2001:db8::1]:7".parse().unwrap());
        for way in [peer(1), peer(2), v6] {
            let placeholder = detours.placeholder(way);
            let (_, real) = way;
            assert!(is_placeholder(placeholder) && !is_placeholder(real));
            assert_eq!(placeholder.is_ipv4(), real.is_ipv4());
            assert_eq!(detours.placeholder(way), placeholder);
            assert_eq!(detours.real(placeholder), Some(way));
            assert_eq!(detours.real(real), None);
        }
        let (_, real) = peer(1);
        let ways = [peer(1), peer(2), (Via::Socket(7), real)];
        let [a, b, c] = ways.map(|way| detours.placeholder(way).ip());
        assert!(a != b && b != c && a != c);
    }

    #[test]
    fn the_oldest_peer_is_forgotten_and_gets_another_placeholder() {
        let detours = Detours::default();
        let first = detours.placeholder(peer(0));
        for number in 1..=MOST_PEERS as u16 {
            detours.placeholder(peer(number));
        }
        assert_eq!(detours.real(first), None);
        assert!(is_placeholder(first));
        assert_ne!(detours.placeholder(peer(0)), first);
    }

    #[test]
    fn a_way_that_has_ended_takes_no_place_of_another() {
        let detours = Detours::default();
        let first = detours.placeholder(peer(0));
        for id in 0..=2 * MOST_PEERS as u32 {
            let way = (Via::Stream(id), peer(1).1);
            let placeholder = detours.placeholder(way);
            detours.forget(Via::Stream(id));
            assert_eq!(detours.real(placeholder), None);
        }
        assert_eq!(detours.real(first), Some(peer(0)));
    }

    #[test]
    fn datagrams_come_from_the_placeholder_and_their_queue_has_a_bound() {
        let detours = Detours::default();
        detours.push(peer(1), vec![0x45; 1200]);
        assert_eq!(receive(&detours), [], "a stranger's");
        let placeholder = detours.placeholder(peer(1));
        for _ in 0..=MOST_WAITING {
            detours.push(peer(1), vec![0x45; 1200]);
        }
        let mut all = Vec::new();
        loop {
            match receive(&detours) {
                some if some.is_empty() => break,
                some => all.extend(some),
            }
        }
        assert_eq!(all.len(), MOST_WAITING);
        assert!(
            all.iter()
                .all(|one| *one == (placeholder, vec![0x45; 1200]))
        );
    }
}

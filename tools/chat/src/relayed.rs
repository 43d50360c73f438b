//! QUIC through the relay. quinn knows a peer behind the relay by a placeholder
//! address, which no host has: the peer's own address may be that of a direct
//! path, too.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use quinn::udp::RecvMeta;

/// Placeholders are from 240.0.0.0/8 (reserved, RFC 1112 §4) and from 100::/64
/// (discard-only, RFC 6666).
const RESERVED: u8 = 240;
const DISCARD: u16 = 0x100;

/// Peers behind the relay that are remembered: twice as many as there may be
/// links. The oldest is forgotten, and gets another placeholder later.
const MOST_PEERS: usize = 128;

/// Datagrams from the relay that wait for quinn: more are lost.
const MOST_WAITING: usize = 256;

/// The peers behind the relay, and the datagrams that came from there.
#[derive(Debug, Default)]
pub struct Relayed(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Placeholders and the addresses that they stand for.
    peers: VecDeque<(SocketAddr, SocketAddr)>,
    given: u32,
    /// From which placeholder, and the payload.
    received: VecDeque<(SocketAddr, Vec<u8>)>,
    waiting: Option<Waker>,
}

impl Relayed {
    /// The placeholder by which quinn is to know the peer that the relay sees
    /// at `real`.
    pub fn placeholder(&self, real: SocketAddr) -> SocketAddr {
        let mut inner = self.lock();
        if let Some(&(known, _)) = inner.peers.iter().find(|(_, of)| *of == real) {
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
        inner.peers.push_back((placeholder, real));
        if inner.peers.len() > MOST_PEERS {
            inner.peers.pop_front();
        }
        placeholder
    }

    /// The address that a placeholder stands for, if it is still known.
    pub fn real(&self, placeholder: SocketAddr) -> Option<SocketAddr> {
        let inner = self.lock();
        let peer = inner.peers.iter().find(|(known, _)| *known == placeholder);
        peer.map(|(_, real)| *real)
    }

    /// Keeps a datagram that the relay brings from a peer for the next
    /// [`Self::receive`]; that of a stranger is dropped.
    pub fn push(&self, from: SocketAddr, payload: Vec<u8>) {
        let mut inner = self.lock();
        let peer = inner.peers.iter().find(|(_, real)| *real == from);
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

    fn peer(number: u16) -> SocketAddr {
        ([203, 0, 113, 33], 1000 + number).into()
    }

    fn receive(relayed: &Relayed) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut space = [[0; 1500]; 4];
        let mut buffers: Vec<IoSliceMut<'_>> =
            space.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let mut meta = [RecvMeta::default(); 4];
        let count = relayed.receive(&Context::from_waker(Waker::noop()), &mut buffers, &mut meta);
        let filled = meta.iter().zip(&buffers).take(count);
        filled
            .map(|(meta, buffer)| (meta.addr, buffer[..meta.len].to_vec()))
            .collect()
    }

    #[test]
    fn each_peer_has_a_placeholder_that_no_host_has() {
        let relayed = Relayed::default();
        let v6: SocketAddr = "[2001:db8::1]:7".parse().unwrap();
        for real in [peer(1), peer(2), v6] {
            let placeholder = relayed.placeholder(real);
            assert!(is_placeholder(placeholder) && !is_placeholder(real));
            assert_eq!(placeholder.is_ipv4(), real.is_ipv4());
            assert_eq!(relayed.placeholder(real), placeholder);
            assert_eq!(relayed.real(placeholder), Some(real));
            assert_eq!(relayed.real(real), None);
        }
        assert_ne!(
            relayed.placeholder(peer(1)).ip(),
            relayed.placeholder(peer(2)).ip()
        );
    }

    #[test]
    fn the_oldest_peer_is_forgotten_and_gets_another_placeholder() {
        let relayed = Relayed::default();
        let first = relayed.placeholder(peer(0));
        for number in 1..=MOST_PEERS as u16 {
            relayed.placeholder(peer(number));
        }
        assert_eq!(relayed.real(first), None);
        assert!(is_placeholder(first));
        assert_ne!(relayed.placeholder(peer(0)), first);
    }

    #[test]
    fn datagrams_come_from_the_placeholder_and_their_queue_has_a_bound() {
        let relayed = Relayed::default();
        relayed.push(peer(1), vec![0x45; 1200]);
        assert_eq!(receive(&relayed), [], "a stranger's");
        let placeholder = relayed.placeholder(peer(1));
        for _ in 0..=MOST_WAITING {
            relayed.push(peer(1), vec![0x45; 1200]);
        }
        let mut all = Vec::new();
        loop {
            match receive(&relayed) {
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

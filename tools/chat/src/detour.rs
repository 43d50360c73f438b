//! QUIC by way of the relay. quinn knows a peer that is reached so by an
//! address that nobody has: the peer's own may be that of a direct path, too.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use quinn::udp::RecvMeta;

/// Stand-ins are from 240.0.0.0/8 (reserved, RFC 1112 §4) and from 100::/64
/// (which leads nowhere, RFC 6666).
const RESERVED: u8 = 240;
const DISCARD: u16 = 0x100;

/// Peers behind the relay that are remembered: twice as many as there may be
/// links. An older one has another stand-in when it comes back.
const MOST_PEERS: usize = 128;

/// Datagrams from the relay that wait for quinn: more are lost.
const MOST_WAITING: usize = 256;

/// Who is behind the relay, and what has come from there.
#[derive(Debug, Default)]
pub struct Detour(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Stand-ins and whom they stand for.
    peers: VecDeque<(SocketAddr, SocketAddr)>,
    given: u32,
    /// From whom, by its stand-in.
    came: VecDeque<(SocketAddr, Vec<u8>)>,
    waiting: Option<Waker>,
}

impl Detour {
    /// The address by which quinn is to know the peer that the relay sees at
    /// `real`.
    pub fn stand_in(&self, real: SocketAddr) -> SocketAddr {
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
        let stand_in = SocketAddr::new(ip, real.port());
        inner.peers.push_back((stand_in, real));
        if inner.peers.len() > MOST_PEERS {
            inner.peers.pop_front();
        }
        stand_in
    }

    /// For whom that stands, if it is still known.
    pub fn real(&self, stand_in: SocketAddr) -> Option<SocketAddr> {
        let inner = self.lock();
        let peer = inner.peers.iter().find(|(known, _)| *known == stand_in);
        peer.map(|(_, real)| *real)
    }

    /// What the relay brings from a peer, for the next [`Self::receive`]; that
    /// of strangers is dropped.
    pub fn came(&self, from: SocketAddr, payload: Vec<u8>) {
        let mut inner = self.lock();
        let peer = inner.peers.iter().find(|(_, real)| *real == from);
        if let Some(&(stand_in, _)) = peer
            && inner.came.len() < MOST_WAITING
        {
            inner.came.push_back((stand_in, payload));
            if let Some(waker) = inner.waiting.take() {
                waker.wake();
            }
        }
    }

    /// Fills buffers with what has come; how many. If none, the task is woken
    /// when something comes.
    pub fn receive(
        &self,
        cx: &Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let mut inner = self.lock();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some((from, payload)) = inner.came.pop_front() else {
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

/// Whether an address stands for a peer behind the relay, known or no longer.
pub fn is_stand_in(address: SocketAddr) -> bool {
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

    fn receive(detour: &Detour) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut space = [[0; 1500]; 4];
        let mut buffers: Vec<IoSliceMut<'_>> =
            space.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let mut meta = [RecvMeta::default(); 4];
        let count = detour.receive(&Context::from_waker(Waker::noop()), &mut buffers, &mut meta);
        let filled = meta.iter().zip(&buffers).take(count);
        filled
            .map(|(meta, buffer)| (meta.addr, buffer[..meta.len].to_vec()))
            .collect()
    }

    #[test]
    fn each_peer_has_a_stand_in_that_is_nobody() {
        let detour = Detour::default();
        let v6: SocketAddr = "[2001:db8::1]:7".parse().unwrap();
        for real in [peer(1), peer(2), v6] {
            let stand_in = detour.stand_in(real);
            assert!(is_stand_in(stand_in) && !is_stand_in(real));
            assert_eq!(stand_in.is_ipv4(), real.is_ipv4());
            assert_eq!(detour.stand_in(real), stand_in);
            assert_eq!(detour.real(stand_in), Some(real));
            assert_eq!(detour.real(real), None);
        }
        assert_ne!(detour.stand_in(peer(1)).ip(), detour.stand_in(peer(2)).ip());
    }

    #[test]
    fn the_oldest_is_forgotten_and_gets_another() {
        let detour = Detour::default();
        let first = detour.stand_in(peer(0));
        for number in 1..=MOST_PEERS as u16 {
            detour.stand_in(peer(number));
        }
        assert_eq!(detour.real(first), None);
        assert!(is_stand_in(first));
        assert_ne!(detour.stand_in(peer(0)), first);
    }

    #[test]
    fn what_comes_is_from_the_stand_in_and_bounded() {
        let detour = Detour::default();
        detour.came(peer(1), vec![0x45; 1200]);
        assert_eq!(receive(&detour), [], "a stranger's");
        let stand_in = detour.stand_in(peer(1));
        for _ in 0..=MOST_WAITING {
            detour.came(peer(1), vec![0x45; 1200]);
        }
        let mut all = Vec::new();
        loop {
            match receive(&detour) {
                some if some.is_empty() => break,
                some => all.extend(some),
            }
        }
        assert_eq!(all.len(), MOST_WAITING);
        assert!(all.iter().all(|one| *one == (stand_in, vec![0x45; 1200])));
    }
}

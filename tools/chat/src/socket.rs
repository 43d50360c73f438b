//! One socket for two protocols: the punched hole belongs to it, so STUN and
//! QUIC share it. The first byte tells them apart (RFC 9443 §3): 0 to 3 is
//! STUN, and QUIC has its fixed bit set, as long as nobody greases it. From
//! the relay comes no QUIC but what is wrapped, some of it by channel, whose
//! first bytes QUIC has, too: there the address tells.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use net::udp::{Received, Udp, is_loss, is_told_twice};
use quinn::udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use stun::Icmp;
use tokio::io::Interest;
use tokio::sync::mpsc;

use crate::detour::{Detour, is_stand_in};

/// Datagrams that wait for the brain, at most: more are lost, as in a full
/// buffer.
const MOST_WAITING: usize = 512;

/// What the socket receives beside QUIC, and what it cannot send itself.
#[derive(Debug)]
pub enum Aside {
    /// A datagram of STUN, or of a TURN channel.
    Stun(SocketAddr, Bytes),
    /// QUIC for the peer that the relay sees there.
    Relay(SocketAddr, Bytes),
    /// An ICMP error about a datagram to `to`.
    Icmp {
        to: SocketAddr,
        offender: IpAddr,
        icmp: Icmp,
    },
}

/// A socket that hands QUIC to quinn and everything else to a channel.
pub struct Shared {
    udp: Udp,
    state: UdpSocketState,
    aside: mpsc::Sender<Aside>,
    /// Whence nothing is QUIC.
    relay: SocketAddr,
    /// Peers behind the relay.
    pub detour: Detour,
}

impl Shared {
    /// Takes the socket over. `relay` is the TURN server.
    ///
    /// # Errors
    /// What the system says when the socket is prepared for QUIC.
    pub fn new(udp: Udp, relay: SocketAddr) -> io::Result<(Arc<Shared>, mpsc::Receiver<Aside>)> {
        udp.hide_ttl()?;
        let state = UdpSocketState::new(UdpSockRef::from(udp.as_tokio()))?;
        let (aside, received) = mpsc::channel(MOST_WAITING);
        let shared = Shared {
            udp,
            state,
            aside,
            relay,
            detour: Detour::default(),
        };
        Ok((Arc::new(shared), received))
    }

    /// Sends a STUN datagram.
    ///
    /// # Errors
    /// Those of the socket itself.
    pub fn send_to(&self, payload: &[u8], to: SocketAddr, ttl: Option<u8>) -> io::Result<()> {
        self.udp.send_to(payload, to, ttl)
    }

    /// ICMP errors fail the next call on the socket, whatever it is about;
    /// here they go to those whom they concern.
    fn read_errors(&self) {
        let mut quoted = [0; 64];
        while let Some(Received::Icmp {
            to, offender, icmp, ..
        }) = self.udp.try_icmp(&mut quoted)
        {
            let _ = self.aside.try_send(Aside::Icmp { to, offender, icmp });
        }
    }

    /// Copies the datagrams out that are not QUIC. quinn drops those whose
    /// fixed bit is zero, so they may stay where they are: the system may have
    /// joined them with QUIC packets of the same length.
    fn divert(&self, buffer: &mut [u8], meta: &RecvMeta) {
        let length = meta.len.min(buffer.len());
        let relays = meta.addr == self.relay;
        for datagram in buffer[..length].chunks_mut(meta.stride.max(1)) {
            if !is_aside(datagram, relays) {
                continue;
            }
            let copy = Bytes::copy_from_slice(datagram);
            let _ = self.aside.try_send(Aside::Stun(meta.addr, copy));
            datagram[0] = 0;
        }
    }

    /// QUIC for a peer behind the relay: the brain has the credentials. More
    /// than it takes is lost, as on any way.
    fn send_around(&self, transmit: &Transmit<'_>) {
        let Some(peer) = self.detour.real(transmit.destination) else {
            return;
        };
        let each = transmit.segment_size.unwrap_or(transmit.contents.len());
        for datagram in transmit.contents.chunks(each.max(1)) {
            let datagram = Bytes::copy_from_slice(datagram);
            let _ = self.aside.try_send(Aside::Relay(peer, datagram));
        }
    }
}

impl AsyncUdpSocket for Shared {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if is_stand_in(transmit.destination) {
            self.send_around(transmit);
            return Ok(());
        }
        let socket = self.udp.as_tokio();
        // As in Udp::send_to: a call may fail for what an earlier one did.
        for _ in 0..3 {
            let sent = socket.try_io(Interest::WRITABLE, || {
                self.state.try_send(UdpSockRef::from(socket), transmit)
            });
            match sent {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                Err(error) if is_told_twice(&error) => self.read_errors(),
                Err(error) if is_loss(&error) => return Ok(()),
                sent => return sent,
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let around = self.detour.receive(cx, buffers, meta);
        if around > 0 {
            return Poll::Ready(Ok(around));
        }
        let socket = self.udp.as_tokio();
        loop {
            ready!(socket.poll_recv_ready(cx))?;
            let received = socket.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(socket), buffers, meta)
            });
            match received {
                Ok(count) => {
                    for (buffer, meta) in buffers.iter_mut().zip(&*meta).take(count) {
                        self.divert(buffer, meta);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if is_told_twice(&error) || is_loss(&error) => self.read_errors(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.udp.local_addr())
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({})", self.udp.local_addr())
    }
}

/// Whether it is STUN, or from the relay (RFC 9443 §3, RFC 8656 §12).
fn is_aside(datagram: &[u8], relays: bool) -> bool {
    match datagram.first() {
        Some(0..4) => true,
        Some(_) => relays,
        None => false,
    }
}

/// Somebody who waits until the socket can be written.
struct Writable {
    socket: Arc<Shared>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let socket = &this.socket;
        let waiting = this.waiting.get_or_insert_with(|| {
            let socket = Arc::clone(socket);
            Box::pin(async move { socket.udp.as_tokio().writable().await })
        });
        let ready = ready!(waiting.as_mut().poll(cx));
        this.waiting = None;
        Poll::Ready(ready)
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writable")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> SocketAddr {
        ([203, 0, 113, 1], 8848).into()
    }

    fn shared() -> (Arc<Shared>, mpsc::Receiver<Aside>) {
        let udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
        Shared::new(udp, relay()).unwrap()
    }

    #[tokio::test]
    async fn only_the_relay_sends_channel_data() {
        let (shared, mut aside) = shared();
        let peer = SocketAddr::from(([203, 0, 113, 33], 8900));
        for (from, first, diverted) in [
            (relay(), 0x40, true),
            (relay(), 0x01, true),
            (peer, 0x40, false),
            (peer, 0x01, true),
        ] {
            // Two that the system has joined.
            let mut buffer = [first; 48];
            let mut meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, 48, 24);
            shared.divert(&mut buffer, &meta);
            for start in [0, 24] {
                let told = matches!(aside.try_recv(), Ok(Aside::Stun(of, datagram))
                    if of == from && datagram[..] == [first; 24]);
                assert_eq!(told, diverted, "{from} {first:#x}");
                assert_eq!(buffer[start] & 0x40 == 0, diverted, "quinn drops it");
            }
        }
    }

    #[tokio::test]
    async fn what_is_for_a_stand_in_goes_to_the_relay_packet_by_packet() {
        let (shared, mut aside) = shared();
        let peer = SocketAddr::from(([203, 0, 113, 33], 8900));
        let contents = [[1; 1200], [2; 1200]].concat();
        let transmit = |destination| Transmit {
            destination,
            ecn: None,
            contents: &contents[..2000],
            segment_size: Some(1200),
            src_ip: None,
        };
        shared
            .try_send(&transmit(shared.detour.stand_in(peer)))
            .unwrap();
        for expected in [&contents[..1200], &contents[1200..2000]] {
            let told = aside.try_recv();
            assert!(
                matches!(told, Ok(Aside::Relay(to, datagram)) if to == peer && datagram == expected)
            );
        }
        // One that is no longer known leads nowhere.
        shared
            .try_send(&transmit(([240, 9, 9, 9], 1).into()))
            .unwrap();
        assert!(aside.try_recv().is_err());
    }
}

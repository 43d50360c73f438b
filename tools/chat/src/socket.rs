//! One socket for two protocols: the punched hole belongs to it, so STUN and
//! QUIC share it. The first byte tells them apart (RFC 9443 §3): 0 to 3 is
//! STUN, and QUIC has its fixed bit set, as long as nobody greases it.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use peer::udp::{Received, Udp, is_loss, is_told_twice};
use quinn::udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::sync::mpsc;

/// STUN datagrams that wait for the brain, at most: more are lost, as in a
/// full buffer.
const MOST_WAITING: usize = 256;

/// What the socket receives beside QUIC.
#[derive(Debug)]
pub enum Aside {
    /// A STUN datagram.
    Stun(SocketAddr, Bytes),
    /// Nobody listens there (ICMP port unreachable).
    Refused(SocketAddr),
}

/// A socket that hands QUIC to quinn and everything else to a channel.
pub struct Shared {
    udp: Udp,
    state: UdpSocketState,
    aside: mpsc::Sender<Aside>,
}

impl Shared {
    /// Takes the socket over.
    ///
    /// # Errors
    /// What the system says when the socket is prepared for QUIC.
    pub fn new(udp: Udp) -> io::Result<(Arc<Shared>, mpsc::Receiver<Aside>)> {
        udp.hide_ttl()?;
        let state = UdpSocketState::new(UdpSockRef::from(udp.as_tokio()))?;
        let (aside, received) = mpsc::channel(MOST_WAITING);
        Ok((Arc::new(Shared { udp, state, aside }), received))
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
        while let Some(Received::Bounced {
            to,
            icmp_type,
            code,
            ..
        }) = self.udp.bounced(&mut quoted)
        {
            let refused = match to {
                SocketAddr::V4(_) => (icmp_type, code) == (3, 3),
                SocketAddr::V6(_) => (icmp_type, code) == (1, 4),
            };
            if refused {
                let _ = self.aside.try_send(Aside::Refused(to));
            }
        }
    }

    /// Copies the STUN datagrams out. quinn drops them, since their fixed bit
    /// is zero, so they may stay where they are: the system may have joined
    /// them with QUIC packets of the same length.
    fn divert(&self, buffer: &[u8], meta: &RecvMeta) {
        let received = &buffer[..meta.len.min(buffer.len())];
        for datagram in received.chunks(meta.stride.max(1)) {
            if datagram.first().is_some_and(|first| *first < 4) {
                let datagram = Bytes::copy_from_slice(datagram);
                let _ = self.aside.try_send(Aside::Stun(meta.addr, datagram));
            }
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
        let socket = self.udp.as_tokio();
        loop {
            ready!(socket.poll_recv_ready(cx))?;
            let received = socket.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(socket), buffers, meta)
            });
            match received {
                Ok(count) => {
                    for (buffer, meta) in buffers.iter().zip(&*meta).take(count) {
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

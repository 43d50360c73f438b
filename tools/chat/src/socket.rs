//! One socket for two protocols: a mapping in a NAT belongs to one local port,
//! so STUN and QUIC share it. The first byte tells them apart (RFC 9443 §3): 0
//! to 3 is STUN, and QUIC has its fixed bit set, as long as it is not greased.
//! The relay wraps the QUIC that it carries, some of it in ChannelData, whose
//! first byte may be one of QUIC's: whatever comes from its address is not QUIC.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use net::tcp::{Carrier, Punched};
use net::udp::{Received, Udp, is_loss, is_told_twice};
use quinn::udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use sansio::{SocketId, StreamId, Via};
use stun::Icmp;
use tokio::io::Interest;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::detours::{Detours, is_placeholder};
use crate::streams::Streams;

/// Events that wait for the endpoint, at most: more are lost, as datagrams are
/// in a full buffer.
const MOST_WAITING: usize = 512;

/// What the socket receives beside QUIC, and what quinn sends through the relay.
#[derive(Debug)]
pub enum Event {
    /// A datagram of STUN or of a TURN channel, the socket that it came to, and who sent
    /// it.
    Stun(SocketId, SocketAddr, Bytes),
    /// A QUIC datagram for the peer that the relay sees at this address. The
    /// endpoint, which has the credentials, wraps it.
    SendRelayed(SocketAddr, Bytes),
    /// An ICMP error about a datagram to `to`.
    Icmp {
        socket: SocketId,
        to: SocketAddr,
        offender: IpAddr,
        icmp: Icmp,
    },
    /// That connection has ended.
    StreamEnded(StreamId),
}

/// A socket that passes QUIC to quinn and everything else to a channel.
pub struct SharedSocket {
    udp: Udp,
    state: UdpSocketState,
    events: mpsc::Sender<Event>,
    /// Nothing that comes from there is QUIC.
    relay: RwLock<SocketAddr>,
    /// The ways to peers that do not begin at this socket.
    pub detours: Arc<Detours>,
    /// The TCP connections that carry QUIC.
    pub streams: Streams,
    /// Other sockets, from which ports are guessed: a path may lead over one of them.
    others: Mutex<BTreeMap<SocketId, Other>>,
}

/// The largest datagram that another socket receives.
const LARGEST: usize = 2048;

/// Another socket, and the task that receives from it.
struct Other {
    udp: Arc<Udp>,
    reader: AbortHandle,
}

impl Drop for Other {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl SharedSocket {
    /// Takes the socket over. `relay` is the TURN server.
    ///
    /// # Errors
    /// What the system says when the socket is prepared for QUIC.
    pub fn new(
        udp: Udp,
        relay: SocketAddr,
    ) -> io::Result<(Arc<SharedSocket>, mpsc::Receiver<Event>)> {
        udp.hide_ttl()?;
        let state = UdpSocketState::new(UdpSockRef::from(udp.as_tokio()))?;
        let (events, received) = mpsc::channel(MOST_WAITING);
        let shared = SharedSocket {
            udp,
            state,
            events,
            relay: RwLock::new(relay),
            detours: Arc::default(),
            streams: Streams::default(),
            others: Mutex::default(),
        };
        Ok((Arc::new(shared), received))
    }

    /// Sends a STUN datagram from that socket, which is opened if it is not there.
    ///
    /// # Errors
    /// Those of the first socket itself. From another one the datagram is lost then, as if
    /// on the way: a guess fewer.
    pub fn send_to(
        &self,
        socket: SocketId,
        payload: &[u8],
        to: SocketAddr,
        ttl: Option<u8>,
    ) -> io::Result<()> {
        if socket == 0 {
            return self.udp.send_to(payload, to, ttl);
        }
        let mut others = self.others();
        let other = match others.entry(socket) {
            Entry::Occupied(other) => other.into_mut(),
            Entry::Vacant(place) => match self.open(socket, to) {
                Ok(other) => place.insert(other),
                Err(error) => {
                    tracing::debug!(socket, %error, "no other socket");
                    return Ok(());
                }
            },
        };
        if let Err(error) = other.udp.send_to(payload, to, ttl) {
            tracing::debug!(socket, %error, "lost");
        }
        Ok(())
    }

    /// Another socket, whose datagrams go the same ways as those of the first.
    fn open(&self, socket: SocketId, remote: SocketAddr) -> io::Result<Other> {
        let udp = Arc::new(Udp::bind_for(remote)?);
        let (reads, events) = (Arc::clone(&udp), self.events.clone());
        let detours = Arc::clone(&self.detours);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; LARGEST];
            while let Ok(received) = reads.recv(&mut buffer).await {
                match received {
                    Received::Datagram { length, from, .. } => {
                        let datagram = &buffer[..length];
                        if is_quic(datagram) {
                            detours.push((Via::Socket(socket), from), datagram.to_vec());
                        } else {
                            let copy = Bytes::copy_from_slice(datagram);
                            let _ = events.try_send(Event::Stun(socket, from, copy));
                        }
                    }
                    Received::Icmp {
                        to, offender, icmp, ..
                    } => {
                        let _ = events.try_send(Event::Icmp {
                            socket,
                            to,
                            offender,
                            icmp,
                        });
                    }
                }
            }
        });
        let reader = reader.abort_handle();
        Ok(Other { udp, reader })
    }

    /// QUIC goes over that connection as well from now on.
    pub fn carry(&self, id: StreamId, punched: Punched) {
        let way = (Via::Stream(id), punched.path.remote);
        // Who is known by no placeholder is a stranger.
        self.detours.placeholder(way);
        let (detours, events) = (Arc::clone(&self.detours), self.events.clone());
        let receive = move |datagram: Vec<u8>| {
            if is_quic(&datagram) {
                detours.push(way, datagram);
            }
        };
        let closed = move || {
            tokio::spawn(async move {
                let _ = events.send(Event::StreamEnded(id)).await;
            });
        };
        let carrier = Carrier::new(punched, receive, closed);
        self.streams.add(Instant::now(), id, carrier);
    }

    /// Closes the other sockets but those for which `is_used` says true.
    pub fn close_others(&self, is_used: impl Fn(SocketId) -> bool) {
        self.others().retain(|socket, _| is_used(*socket));
    }

    /// The port of that socket, if it is open.
    pub fn port(&self, socket: SocketId) -> Option<u16> {
        match socket {
            0 => Some(self.udp.local_addr().port()),
            _ => Some(self.others().get(&socket)?.udp.local_addr().port()),
        }
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<SocketId, Other>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The system reports an ICMP error by failing the next call on the socket,
    /// whatever that call is about. Here they go to the endpoint.
    fn read_errors(&self) {
        let mut quoted = [0; 64];
        while let Some(Received::Icmp {
            to, offender, icmp, ..
        }) = self.udp.try_icmp(&mut quoted)
        {
            let _ = self.events.try_send(Event::Icmp {
                socket: 0,
                to,
                offender,
                icmp,
            });
        }
    }

    /// Copies the datagrams out that are not QUIC, and clears their first byte:
    /// quinn drops packets whose fixed bit is zero. They stay in the buffer,
    /// since the system may have joined them with QUIC packets of the same
    /// length.
    fn take_others(&self, buffer: &mut [u8], meta: &RecvMeta) {
        let length = meta.len.min(buffer.len());
        let from_relay = meta.addr == self.relay();
        for datagram in buffer[..length].chunks_mut(meta.stride.max(1)) {
            if is_quic(datagram) && !from_relay {
                continue;
            }
            let copy = Bytes::copy_from_slice(datagram);
            let _ = self.events.try_send(Event::Stun(0, meta.addr, copy));
            datagram[0] = 0;
        }
    }

    /// The TURN server is at this address from now on.
    pub fn move_relay(&self, relay: SocketAddr) {
        *self.relay.write().unwrap_or_else(PoisonError::into_inner) = relay;
    }

    fn relay(&self) -> SocketAddr {
        *self.relay.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// QUIC for a peer over another way. What does not fit into the channel or the
    /// socket's buffer is lost, as packets are on any path.
    fn send_over_detour(&self, transmit: &Transmit<'_>) {
        let Some((via, peer)) = self.detours.real(transmit.destination) else {
            return;
        };
        let other = match via {
            Via::Relay | Via::Stream(_) => None,
            Via::Socket(socket) => match self.others().get(&socket) {
                Some(other) => Some(Arc::clone(&other.udp)),
                None => return,
            },
        };
        let each = transmit.segment_size.unwrap_or(transmit.contents.len());
        for datagram in transmit.contents.chunks(each.max(1)) {
            match (via, &other) {
                (Via::Stream(stream), _) => self.streams.send(stream, datagram),
                (_, Some(udp)) => drop(udp.send_to(datagram, peer, None)),
                (_, None) => {
                    let datagram = Bytes::copy_from_slice(datagram);
                    let _ = self.events.try_send(Event::SendRelayed(peer, datagram));
                }
            }
        }
    }
}

impl AsyncUdpSocket for SharedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if is_placeholder(transmit.destination) {
            self.send_over_detour(transmit);
            return Ok(());
        }
        let socket = self.udp.as_tokio();
        // As in Udp::send_to: a call may fail for an error of an earlier one.
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
        let received = self.detours.receive(cx, buffers, meta);
        if received > 0 {
            return Poll::Ready(Ok(received));
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
                        self.take_others(buffer, meta);
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

impl fmt::Debug for SharedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSocket({})", self.udp.local_addr())
    }
}

/// Whether a datagram from a peer is QUIC and not STUN (RFC 9443 §3). An empty
/// one is neither, and quinn drops it.
fn is_quic(datagram: &[u8]) -> bool {
    !matches!(datagram.first(), Some(0..4))
}

/// Waits until the socket can be written.
struct Writable {
    socket: Arc<SharedSocket>,
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

    fn shared() -> (Arc<SharedSocket>, mpsc::Receiver<Event>) {
        let udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
        SharedSocket::new(udp, relay()).unwrap()
    }

    #[tokio::test]
    async fn channel_data_is_taken_from_the_relay_alone() {
        let (shared, mut events) = shared();
        let peer = SocketAddr::from(([203, 0, 113, 33], 8900));
        for (from, first, taken) in [
            (relay(), 0x40, true),
            (relay(), 0x01, true),
            (peer, 0x40, false),
            (peer, 0x01, true),
        ] {
            // Two datagrams that the system has joined.
            let mut buffer = [first; 48];
            let mut meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, 48, 24);
            shared.take_others(&mut buffer, &meta);
            for start in [0, 24] {
                let told = matches!(events.try_recv(), Ok(Event::Stun(0, of, datagram))
                    if of == from && datagram[..] == [first; 24]);
                assert_eq!(told, taken, "{from} {first:#x}");
                assert_eq!(buffer[start] & 0x40 == 0, taken, "quinn drops it");
            }
        }
    }

    #[tokio::test]
    async fn quic_for_a_path_from_another_socket_leaves_there_and_comes_back() {
        let (shared, mut events) = shared();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = peer.local_addr().unwrap();
        shared.send_to(7, &[1; 20], at, None).unwrap();
        let mut buffer = [0; 1500];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((length, Some(from.port())), (20, shared.port(7)));
        let placeholder = shared.detours.placeholder((Via::Socket(7), at));
        shared
            .try_send(&Transmit {
                destination: placeholder,
                ecn: None,
                contents: &[0x45; 1200],
                segment_size: None,
                src_ip: None,
            })
            .unwrap();
        let (length, again) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((length, again), (1200, from));

        peer.send_to(&[2; 20], from).unwrap();
        let told = events.recv().await;
        assert!(matches!(told, Some(Event::Stun(7, of, _)) if of == at));
        peer.send_to(&[0x46; 100], from).unwrap();
        let (mut space, mut meta) = ([0; 1500], [RecvMeta::default()]);
        let count = std::future::poll_fn(|cx| {
            let mut buffers = [IoSliceMut::new(&mut space)];
            shared.poll_recv(cx, &mut buffers, &mut meta)
        });
        assert_eq!(count.await.unwrap(), 1);
        assert_eq!((meta[0].addr, meta[0].len), (placeholder, 100));

        shared.close_others(|socket| socket != 7);
        assert_eq!(shared.port(7), None);
    }

    #[tokio::test]
    async fn quic_for_a_placeholder_goes_to_the_relay_packet_by_packet() {
        let (shared, mut events) = shared();
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
            .try_send(&transmit(shared.detours.placeholder((Via::Relay, peer))))
            .unwrap();
        for expected in [&contents[..1200], &contents[1200..2000]] {
            let told = events.try_recv();
            assert!(
                matches!(told, Ok(Event::SendRelayed(to, datagram)) if to == peer && datagram == expected)
            );
        }
        // A placeholder that is not known leads nowhere.
        shared
            .try_send(&transmit(([240, 9, 9, 9], 1).into()))
            .unwrap();
        assert!(events.try_recv().is_err());
    }
}

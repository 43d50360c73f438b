//! A UDP socket that reports what ordinary ones do not: the TTL of a datagram,
//! the local address that it came to, and the ICMP errors about what was sent.
//!
//! A client binds with [`Udp::bind`] and learns TTLs. A server binds with
//! [`Udp::listen`] and learns local addresses, so that it can answer from the
//! address that was asked: a NAT lets in nothing else.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo, sock_extended_err};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    SockaddrStorage, bind, getsockopt, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use sansio::{Datagram, IcmpError, Input, SocketId};
use stun::Icmp;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::opened::{self, Opened};

/// Bytes of datagrams that may wait in a server's socket, where the system allows it.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// What a socket has received. The payload is in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A datagram.
    Datagram {
        /// Its length in bytes.
        length: usize,
        /// Its source.
        from: SocketAddr,
        /// The local address that it came to; only of a socket that
        /// [listens](Udp::listen) on all addresses.
        at: Option<IpAddr>,
        /// The TTL that was left; only of a socket that was [bound](Udp::bind).
        ttl: Option<u8>,
    },
    /// An ICMP error about a datagram that this socket sent. The buffer holds
    /// its payload, as far as the error quotes it.
    Icmp {
        /// Length of the quoted payload in bytes.
        length: usize,
        /// The destination of the datagram.
        to: SocketAddr,
        /// The host or router that sent the error.
        offender: IpAddr,
        /// Type and code.
        icmp: Icmp,
    },
}

impl Received {
    /// The same as a protocol's input: socket number `socket` has received this
    /// into `buffer`.
    pub fn input(self, socket: SocketId, buffer: &[u8]) -> Input<'_> {
        match self {
            Received::Datagram {
                length, from, ttl, ..
            } => Input::Datagram(Datagram {
                socket,
                from,
                ttl,
                payload: &buffer[..length],
            }),
            Received::Icmp {
                length,
                to,
                offender,
                icmp,
            } => Input::Icmp(IcmpError {
                socket,
                to,
                offender,
                icmp,
                quoted: &buffer[..length],
            }),
        }
    }
}

/// The two queues of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// ICMP errors. An error that waits here also fails the next ordinary call.
    Errors,
    /// Datagrams.
    Datagrams,
}

/// An unconnected UDP socket for tokio.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Udp {
    /// Binds a client's socket; must be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of `bind(2)`.
    pub fn bind(address: SocketAddr) -> io::Result<Udp> {
        let socket = std::net::UdpSocket::bind(address)?;
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        }
        opened::tell(Opened::Udp(socket.local_addr()?.port()));
        Udp::new(socket)
    }

    /// Binds a free port of the family of `remote`.
    ///
    /// # Errors
    /// Those of `bind(2)`.
    pub fn bind_for(remote: SocketAddr) -> io::Result<Udp> {
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Udp::bind(SocketAddr::new(any, 0))
    }

    /// Binds a server's socket; must be called within a tokio runtime. On `::` it serves both
    /// address families, and the addresses of IPv4 clients are IPv4 addresses.
    ///
    /// # Errors
    /// Those of `bind(2)`.
    pub fn listen(address: SocketAddr) -> io::Result<Udp> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let raw = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        if address.is_ipv6() {
            setsockopt(&raw, sockopt::Ipv6V6Only, &!address.ip().is_unspecified())?;
        }
        bind(raw.as_raw_fd(), &SockaddrStorage::from(address))?;
        Udp::listen_on(raw.into())
    }

    /// A server's socket that is bound already, on `::` for both address families; must be called within
    /// a tokio runtime.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn listen_on(socket: std::net::UdpSocket) -> io::Result<Udp> {
        let address = socket.local_addr()?;
        let any = address.ip().is_unspecified();
        // Without leave for as much, the system gives what it lets everybody have.
        // One that was passed to us may have more than we may ask for.
        if getsockopt(&socket, sockopt::RcvBuf).is_ok_and(|now| now < RECEIVE_BUFFER) {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &any)?,
            SocketAddr::V6(_) => {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &any)?;
                setsockopt(&socket, sockopt::Ipv4RecvErr, &any)?;
            }
        }
        Udp::new(socket)
    }

    fn new(socket: std::net::UdpSocket) -> io::Result<Udp> {
        let local = socket.local_addr()?;
        match local {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Udp { socket, local })
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The socket itself, for callers that read and write it by other means.
    pub fn as_tokio(&self) -> &UdpSocket {
        &self.socket
    }

    /// No longer asks the system for the TTL of datagrams: readers with a
    /// small buffer for control messages have no room for it.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn hide_ttl(&self) -> io::Result<()> {
        match self.local {
            SocketAddr::V4(_) => setsockopt(&self.socket, sockopt::Ipv4RecvTtl, &false)?,
            SocketAddr::V6(_) => setsockopt(&self.socket, sockopt::Ipv6RecvHopLimit, &false)?,
        }
        Ok(())
    }

    /// Sends one datagram, with a TTL of its own if one is given. A datagram is
    /// lost without an error if the send buffer is full or its destination
    /// cannot be reached from here: many candidates of a peer cannot.
    ///
    /// # Errors
    /// Those that do not mean that this one datagram is lost.
    pub fn send_to(&self, payload: &[u8], to: SocketAddr, ttl: Option<u8>) -> io::Result<()> {
        let hops = ttl.map(i32::from);
        let control = hops.as_ref().map(|hops| match to {
            SocketAddr::V4(_) => ControlMessage::Ipv4Ttl(hops),
            SocketAddr::V6(_) => ControlMessage::Ipv6HopLimit(hops),
        });
        self.send(payload, to, control.as_slice())
    }

    /// Sends one datagram from this local address.
    ///
    /// # Errors
    /// As [`Self::send_to`].
    pub fn send_from(&self, from: IpAddr, payload: &[u8], to: SocketAddr) -> io::Result<()> {
        let (v4, v6);
        let control = match from {
            IpAddr::V4(ip) => {
                v4 = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr {
                        s_addr: u32::from(ip).to_be(),
                    },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            IpAddr::V6(ip) => {
                v6 = in6_pktinfo {
                    ipi6_ifindex: 0,
                    ipi6_addr: in6_addr {
                        s6_addr: ip.octets(),
                    },
                };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        self.send(payload, to, &[control])
    }

    fn send(&self, payload: &[u8], to: SocketAddr, control: &[ControlMessage]) -> io::Result<()> {
        let (iov, address) = ([IoSlice::new(payload)], SockaddrStorage::from(to));
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        // An ICMP error about an earlier datagram fails one call, which then
        // sends nothing: without another try an opener that expired would take
        // the next probe with it.
        for _ in 0..3 {
            match sendmsg(fd, &iov, control, flags, Some(&address)).map_err(io::Error::from) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_loss(&error) || is_told_twice(&error) => {
                    tracing::debug!(%to, %error, "the system did not send");
                }
                result => return result.map(drop),
            }
        }
        tracing::debug!(%to, "datagram lost");
        Ok(())
    }

    /// Waits until there may be something to receive, or an ICMP error.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        let either = Interest::READABLE | Interest::ERROR;
        self.socket.ready(either).await.map(drop)
    }

    /// The next entry of a queue, after [`Self::readable`].
    ///
    /// # Errors
    /// `WouldBlock` when the queue is empty, else those of the socket itself.
    pub fn try_recv(&self, queue: Queue, buffer: &mut [u8]) -> io::Result<Received> {
        // tokio forgets a readiness only for one interest at a time.
        let interest = match queue {
            Queue::Errors => Interest::ERROR,
            Queue::Datagrams => Interest::READABLE,
        };
        loop {
            match self.socket.try_io(interest, || self.read(queue, buffer)) {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => {}
                Err(error) if is_told_twice(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next ICMP error, if one waits. In contrast to [`Self::try_recv`] it
    /// asks the system, for callers that do not wait for [`Self::readable`].
    pub fn try_icmp(&self, buffer: &mut [u8]) -> Option<Received> {
        self.read(Queue::Errors, buffer).ok().flatten()
    }

    /// Waits for a datagram or an ICMP error. Errors come first.
    ///
    /// # Errors
    /// Those of the socket itself.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            self.readable().await?;
            for queue in [Queue::Errors, Queue::Datagrams] {
                match self.try_recv(queue, buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    result => return result,
                }
            }
        }
    }

    /// `None` is an entry that is neither a datagram nor an ICMP error.
    fn read(&self, queue: Queue, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let flags = match queue {
            Queue::Errors => MsgFlags::MSG_ERRQUEUE,
            Queue::Datagrams => MsgFlags::empty(),
        };
        let fd = self.socket.as_raw_fd();
        let mut control = [0; 256];
        let mut iov = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut control), flags)?;
        let length = message.bytes;
        let Some(peer) = message.address.as_ref().and_then(address) else {
            return Ok(None);
        };
        let icmp = |error: sock_extended_err, offender| Received::Icmp {
            length,
            to: peer,
            offender,
            icmp: Icmp {
                kind: error.ee_type,
                code: error.ee_code,
            },
        };
        let (mut at, mut ttl) = (None, None);
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4Ttl(left) | ControlMessageOwned::Ipv6HopLimit(left) => {
                    ttl = u8::try_from(left).ok();
                }
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let ip = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
                    at = Some(IpAddr::V4(ip));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    let ip = IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                    at = Some(ip.to_canonical());
                }
                ControlMessageOwned::Ipv4RecvErr(error, Some(by)) => {
                    let offender = IpAddr::V4(Ipv4Addr::from(u32::from_be(by.sin_addr.s_addr)));
                    return Ok(Some(icmp(error, offender)));
                }
                ControlMessageOwned::Ipv6RecvErr(error, Some(by)) => {
                    let offender = IpAddr::V6(Ipv6Addr::from(by.sin6_addr.s6_addr));
                    return Ok(Some(icmp(error, offender.to_canonical())));
                }
                _ => {}
            }
        }
        let datagram = Received::Datagram {
            length,
            from: peer,
            at,
            ttl,
        };
        // Without an ICMP sender it is an error of this host itself.
        Ok((queue == Queue::Datagrams).then_some(datagram))
    }
}

/// An IPv4 client of a socket of both families has an IPv4-mapped address there.
fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    let v6: SocketAddrV6 = (*storage.as_sockaddr_in6()?).into();
    Some(match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::from((v4, v6.port())),
        None => SocketAddr::V6(v6),
    })
}

/// Whether the error concerns one datagram, not the socket.
pub fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidInput
            | ErrorKind::AddrNotAvailable
    )
}

/// Whether this is an ICMP error, as the next call on the socket returns it:
/// the error queue has reported it already, or will.
pub fn is_told_twice(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    matches!(
        errno,
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EMSGSIZE
            | Errno::EACCES
            | Errno::EHOSTDOWN
    )
}

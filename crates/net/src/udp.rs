//! A UDP socket that tells what ordinary ones keep to themselves: the TTL of
//! what arrives, and the ICMP errors about what was sent.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc::sock_extended_err;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use sansio::{Datagram, IcmpError, Input, SocketId};
use stun::Icmp;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What came out of a socket. The payload is in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A datagram.
    Datagram {
        /// Its length in bytes.
        length: usize,
        /// Who sent it.
        from: SocketAddr,
        /// The TTL that was left, where the system tells.
        ttl: Option<u8>,
    },
    /// An ICMP error about a datagram of ours, whose payload the buffer holds
    /// as far as the error quoted it.
    Icmp {
        /// Length of what was quoted, in bytes.
        length: usize,
        /// Where the datagram was going.
        to: SocketAddr,
        /// Who sent the error.
        offender: IpAddr,
        /// Type and code.
        icmp: Icmp,
    },
}

impl Received {
    /// The same for a protocol: what socket number `socket` received into `buffer`.
    pub fn input(self, socket: SocketId, buffer: &[u8]) -> Input<'_> {
        match self {
            Received::Datagram { length, from, ttl } => Input::Datagram(Datagram {
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

/// An unconnected UDP socket for tokio.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Udp {
    /// Binds; must be called within a tokio runtime.
    ///
    /// # Errors
    /// What `bind(2)` says of that address.
    pub fn bind(address: SocketAddr) -> io::Result<Udp> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        }
        let local = socket.local_addr()?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Udp { socket, local })
    }

    /// Binds a free port of the family of `remote`.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub fn bind_for(remote: SocketAddr) -> io::Result<Udp> {
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Udp::bind(SocketAddr::new(any, 0))
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The socket itself, for those who read and write it by other means.
    pub fn as_tokio(&self) -> &UdpSocket {
        &self.socket
    }

    /// No longer asks the system for the TTL of what arrives: readers with a
    /// small buffer for control messages have no room for it.
    ///
    /// # Errors
    /// What `setsockopt(2)` says.
    pub fn hide_ttl(&self) -> io::Result<()> {
        match self.local {
            SocketAddr::V4(_) => setsockopt(&self.socket, sockopt::Ipv4RecvTtl, &false)?,
            SocketAddr::V6(_) => setsockopt(&self.socket, sockopt::Ipv6RecvHopLimit, &false)?,
        }
        Ok(())
    }

    /// The next ICMP error that waits, if one does.
    pub fn try_icmp(&self, buffer: &mut [u8]) -> Option<Received> {
        self.try_recv(buffer, MsgFlags::MSG_ERRQUEUE).ok().flatten()
    }

    /// Sends one datagram, with a TTL of its own if one is given. A full
    /// buffer loses it, as the network may; so does a network that cannot be
    /// reached from here, of which the peer's candidates name many.
    ///
    /// # Errors
    /// Those that do not mean that this one datagram is lost.
    pub fn send_to(&self, payload: &[u8], to: SocketAddr, ttl: Option<u8>) -> io::Result<()> {
        // An ICMP error about an earlier datagram is reported here, once, and
        // this one is not sent: an opener that died would take the next probe
        // with it.
        for _ in 0..3 {
            match self.try_send(payload, to, ttl) {
                Err(error) if is_loss(&error) || is_told_twice(&error) => {
                    tracing::debug!(%to, ttl, %error, "the system did not send");
                }
                result => return result,
            }
        }
        tracing::debug!(%to, ttl, "datagram lost");
        Ok(())
    }

    fn try_send(&self, payload: &[u8], to: SocketAddr, ttl: Option<u8>) -> io::Result<()> {
        let (iov, address) = ([IoSlice::new(payload)], SockaddrStorage::from(to));
        let hops = ttl.map(i32::from);
        let control = hops.as_ref().map(|hops| match to {
            SocketAddr::V4(_) => ControlMessage::Ipv4Ttl(hops),
            SocketAddr::V6(_) => ControlMessage::Ipv6HopLimit(hops),
        });
        let fd = self.socket.as_raw_fd();
        sendmsg(
            fd,
            &iov,
            control.as_slice(),
            MsgFlags::empty(),
            Some(&address),
        )?;
        Ok(())
    }

    /// Waits for a datagram or an error about one.
    ///
    /// # Errors
    /// Those of the socket itself.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        // tokio forgets a readiness only for one interest at a time, hence two
        // reads; the error queue first, since an error that waits there also
        // fails the next ordinary call.
        let reads = [
            (Interest::ERROR, MsgFlags::MSG_ERRQUEUE),
            (Interest::READABLE, MsgFlags::empty()),
        ];
        loop {
            self.socket
                .ready(Interest::READABLE | Interest::ERROR)
                .await?;
            for (interest, flags) in reads {
                match self
                    .socket
                    .try_io(interest, || self.try_recv(buffer, flags))
                {
                    Ok(Some(received)) => return Ok(received),
                    Ok(None) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) if is_told_twice(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn try_recv(&self, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Option<Received>> {
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
        let mut ttl = None;
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4Ttl(left) | ControlMessageOwned::Ipv6HopLimit(left) => {
                    ttl = u8::try_from(left).ok();
                }
                ControlMessageOwned::Ipv4RecvErr(error, Some(by)) => {
                    let offender = IpAddr::V4(Ipv4Addr::from(u32::from_be(by.sin_addr.s_addr)));
                    return Ok(Some(icmp(error, offender)));
                }
                ControlMessageOwned::Ipv6RecvErr(error, Some(by)) => {
                    let offender = IpAddr::V6(Ipv6Addr::from(by.sin6_addr.s6_addr));
                    return Ok(Some(icmp(error, offender)));
                }
                _ => {}
            }
        }
        if flags.contains(MsgFlags::MSG_ERRQUEUE) {
            return Ok(None); // An error of this host's own, without an ICMP sender.
        }
        let from = peer;
        Ok(Some(Received::Datagram { length, from, ttl }))
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    storage
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::V6((*v6).into()))
}

/// Errors that concern one datagram, not the socket.
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

/// What an ICMP error turns into at the next call: the error queue has told
/// it already, or will.
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

#[cfg(test)]
mod tests {
    use stun::IcmpReason;

    use super::*;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn tells_the_ttl() {
        let (a, b) = (
            Udp::bind(loopback()).unwrap(),
            Udp::bind(loopback()).unwrap(),
        );
        a.send_to(b"hello", b.local_addr(), Some(7)).unwrap();
        let mut buffer = [0; 64];
        let received = b.recv(&mut buffer).await.unwrap();
        let expected = Received::Datagram {
            length: 5,
            from: a.local_addr(),
            ttl: Some(7),
        };
        assert_eq!(received, expected);
        assert_eq!(&buffer[..5], b"hello");
    }

    #[tokio::test]
    async fn an_error_about_one_datagram_does_not_lose_the_next() {
        let (a, b) = (
            Udp::bind(loopback()).unwrap(),
            Udp::bind(loopback()).unwrap(),
        );
        let gone = Udp::bind(loopback()).unwrap().local_addr();
        a.send_to(b"anybody?", gone, None).unwrap();
        // On loopback the error is there before the call returns.
        a.send_to(b"hello", b.local_addr(), None).unwrap();
        let mut buffer = [0; 64];
        let hello = tokio::time::timeout(std::time::Duration::from_secs(5), b.recv(&mut buffer));
        let received = hello.await.expect("the second datagram was lost").unwrap();
        assert!(matches!(received, Received::Datagram { length: 5, .. }));
    }

    #[tokio::test]
    async fn tells_that_nobody_listens_and_goes_on() {
        let a = Udp::bind(loopback()).unwrap();
        let gone = Udp::bind(loopback()).unwrap().local_addr();
        a.send_to(b"anybody?", gone, None).unwrap();
        let mut buffer = [0; 64];
        let received = a.recv(&mut buffer).await.unwrap();
        let Input::Icmp(error) = received.input(0, &buffer) else {
            panic!("{received:?}");
        };
        assert_eq!(
            (error.to, error.reason()),
            (gone, Some(IcmpReason::PortUnreachable))
        );
        assert_eq!(error.quoted, b"anybody?");

        let b = Udp::bind(loopback()).unwrap();
        a.send_to(b"again", gone, None).unwrap();
        a.send_to(b"still here", b.local_addr(), None).unwrap();
        b.recv(&mut buffer).await.unwrap();
    }
}

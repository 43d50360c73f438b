//! A socket that answers from the address that was asked, also where it
//! listens on all of them: a NAT lets in nothing else. It tells the ICMP errors
//! about what it sent, too.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use stun::Icmp;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket of the rendezvous.
pub struct Socket {
    udp: UdpSocket,
    /// It listens on all addresses.
    any: bool,
}

impl Socket {
    /// Binds; must be called within a tokio runtime.
    ///
    /// # Errors
    /// What `bind(2)` says of that address.
    pub fn bind(address: SocketAddr) -> io::Result<Socket> {
        let raw = RawSocket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        raw.set_nonblocking(true)?;
        if address.is_ipv6() {
            // An IPv4 client would be told an address that it does not know.
            raw.set_only_v6(true)?;
        }
        match address {
            SocketAddr::V4(_) => setsockopt(&raw, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&raw, sockopt::Ipv6RecvErr, &true)?,
        }
        let any = address.ip().is_unspecified();
        match address {
            SocketAddr::V4(_) if any => setsockopt(&raw, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) if any => setsockopt(&raw, sockopt::Ipv6RecvPacketInfo, &true)?,
            _ => {}
        }
        raw.bind(&address.into())?;
        Ok(Socket {
            udp: UdpSocket::from_std(raw.into())?,
            any,
        })
    }

    /// Waits until there may be something to receive, or an error.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        let either = Interest::READABLE | Interest::ERROR;
        self.udp.ready(either).await.map(drop)
    }

    /// One ICMP error, if there is one: to whom the datagram went, and how much
    /// of it is quoted in the buffer.
    pub fn try_bounced(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr, Icmp)> {
        loop {
            let bounced = self
                .udp
                .try_io(Interest::ERROR, || bounced(&self.udp, buffer));
            match bounced {
                Ok(Some(bounced)) => return Some(bounced),
                Ok(None) => {} // An error of this host's own.
                Err(_) => return None,
            }
        }
    }

    /// One datagram, if there is one: its length, who sent it and, where we
    /// listen on all addresses, to which.
    ///
    /// # Errors
    /// `WouldBlock`, and those of the socket.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
        if !self.any {
            let (length, from) = self.udp.try_recv_from(buffer)?;
            return Ok((length, from, None));
        }
        self.udp
            .try_io(Interest::READABLE, || recv_with_address(&self.udp, buffer))
    }

    /// Sends one datagram, from this address of ours if one is given.
    ///
    /// # Errors
    /// Those of the socket; a full buffer is `WouldBlock`.
    pub fn try_send(&self, payload: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let send = || match from {
            None => self.udp.try_send_to(payload, to).map(drop),
            Some(from) => self.udp.try_io(Interest::WRITABLE, || {
                send_from(&self.udp, payload, to, from)
            }),
        };
        // An ICMP error about an earlier datagram is reported here, once, and
        // this one is not sent.
        for _ in 0..2 {
            match send() {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        send()
    }
}

fn bounced(udp: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Icmp)>> {
    let mut control = [0; 256];
    let mut iov = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_ERRQUEUE;
    let message = recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut iov, Some(&mut control), flags)?;
    let to = message.address.as_ref().and_then(address);
    let icmp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, Some(_))
        | ControlMessageOwned::Ipv6RecvErr(error, Some(_)) => Some(Icmp {
            kind: error.ee_type,
            code: error.ee_code,
        }),
        _ => None,
    });
    Ok(to.zip(icmp).map(|(to, icmp)| (message.bytes, to, icmp)))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| Some(SocketAddr::V6((*storage.as_sockaddr_in6()?).into())))
}

fn recv_with_address(
    udp: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut control = [0; 128];
    let mut iov = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::empty();
    let message = recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut iov, Some(&mut control), flags)?;
    let from = message.address.as_ref().and_then(address);
    let from = from.ok_or_else(|| io::Error::other("a datagram from nowhere"))?;
    let at = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let ip = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
            Some(IpAddr::V4(ip))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)))
        }
        _ => None,
    });
    Ok((message.bytes, from, at))
}

fn send_from(udp: &UdpSocket, payload: &[u8], to: SocketAddr, from: IpAddr) -> io::Result<()> {
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
    let address = SockaddrStorage::from(to);
    let iov = [IoSlice::new(payload)];
    let flags = MsgFlags::empty();
    sendmsg(udp.as_raw_fd(), &iov, &[control], flags, Some(&address))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_from_the_address_that_was_asked() {
        let server = Socket::bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = server.udp.local_addr().unwrap().port();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for asked in ["127.0.0.2", "127.0.0.3"] {
            client.send_to(b"hello", (asked, port)).await.unwrap();
            let mut buffer = [0; 64];
            let (length, from, at) = loop {
                server.readable().await.unwrap();
                if let Ok(received) = server.try_recv(&mut buffer) {
                    break received;
                }
            };
            assert_eq!(
                (&buffer[..length], from),
                (&b"hello"[..], client.local_addr().unwrap())
            );
            server.try_send(b"hello yourself", from, at).unwrap();
            let (_, from) = client.recv_from(&mut buffer).await.unwrap();
            assert_eq!(from.ip(), asked.parse::<IpAddr>().unwrap());
        }
    }

    #[tokio::test]
    async fn tells_what_comes_back_and_loses_nothing_for_it() {
        let server = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let gone = closed.local_addr().unwrap();
        drop(closed);
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = [0; 64];
        server.udp.writable().await.unwrap();
        server.try_send(b"anybody?", gone, None).unwrap();
        // On loopback the error is there before the call returns.
        server
            .try_send(b"hello", client.local_addr().unwrap(), None)
            .unwrap();
        let hello = client.recv_from(&mut buffer);
        let hello = tokio::time::timeout(std::time::Duration::from_secs(5), hello);
        assert_eq!(hello.await.expect("it got lost").unwrap().0, 5);

        let port_unreachable = Icmp { kind: 3, code: 3 };
        let (length, to, icmp) = loop {
            server.readable().await.unwrap();
            if let Some(bounced) = server.try_bounced(&mut buffer) {
                break bounced;
            }
        };
        assert_eq!((to, icmp), (gone, port_unreachable));
        assert_eq!(&buffer[..length], b"anybody?");
        assert_eq!(server.try_bounced(&mut buffer), None);
    }
}

//! The sockets that the server listens on: its own, or those that the service manager has bound and passes to it
//! (sd_listen_fds(3)). A datagram that comes while no server runs waits in a passed socket for the next one.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use anyhow::Context;
use listenfd::ListenFd;
use net::udp::Udp;
use nix::sys::socket::{getsockopt, sockopt};

use crate::stream;

/// The sockets, in the order of the addresses.
pub struct Sockets {
    pub udp: Vec<Udp>,
    pub tcp: Vec<tokio::net::TcpListener>,
}

/// What the service manager has passed.
#[derive(Default)]
pub struct Passed {
    udp: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<(SocketAddr, TcpListener)>,
}

impl Passed {
    /// Takes it over. To be called before there is another thread, since it changes the environment.
    ///
    /// # Errors
    /// When one of them is not a socket to serve on.
    pub fn take() -> anyhow::Result<Self> {
        let mut all = ListenFd::from_env();
        let mut passed = Passed::default();
        for index in 0..all.len() {
            let number = index + 3;
            if let Ok(Some(socket)) = all.take_udp_socket(index) {
                check(&socket).with_context(|| which(number))?;
                passed.udp.push((socket.local_addr()?, socket));
            } else if let Ok(Some(socket)) = all.take_tcp_listener(index) {
                let listens = getsockopt(&socket, sockopt::AcceptConn);
                anyhow::ensure!(
                    matches!(listens, Ok(true)),
                    "{}: it is a TCP socket that does not listen. Name it with ListenStream in the .socket unit",
                    which(number)
                );
                check(&socket).with_context(|| which(number))?;
                passed.tcp.push((socket.local_addr()?, socket));
            } else {
                anyhow::bail!(
                    "{}: it is neither a UDP nor a TCP socket. The .socket unit has ListenDatagram and ListenStream \
                     with an address and a port each",
                    which(number)
                );
            }
        }
        Ok(passed)
    }

    fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }
}

fn which(number: usize) -> String {
    format!("cannot serve on file descriptor {number} of LISTEN_FDS")
}

/// On `::` it has to be for both families, as our own is.
fn check(socket: &impl AsFd) -> anyhow::Result<()> {
    // Of a socket for IPv4 it cannot be asked.
    if let Ok(true) = getsockopt(socket, sockopt::Ipv6V6Only) {
        let bound = nix::sys::socket::getsockname::<nix::sys::socket::SockaddrIn6>(
            std::os::fd::AsRawFd::as_raw_fd(&socket.as_fd()),
        )?;
        anyhow::ensure!(
            !bound.ip().is_unspecified(),
            "it is for IPv6 alone: write BindIPv6Only=both in the .socket unit"
        );
    }
    Ok(())
}

/// Listens on these addresses, by UDP and TCP. If anything was passed, nothing else is used.
///
/// # Errors
/// When an address cannot be bound; or the passed sockets are not those of these addresses.
pub fn listen(addresses: &[SocketAddr], mut passed: Passed) -> anyhow::Result<Sockets> {
    if passed.is_empty() {
        return own(addresses);
    }
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for address in addresses {
        let socket = take(&mut passed.udp, address).ok_or_else(|| missing("UDP", address))?;
        udp.push(
            Udp::listen_on(socket).with_context(|| format!("cannot listen on {address} (UDP)"))?,
        );
    }
    for address in addresses {
        let socket = take(&mut passed.tcp, address).ok_or_else(|| missing("TCP", address))?;
        socket.set_nonblocking(true)?;
        tcp.push(tokio::net::TcpListener::from_std(socket)?);
    }
    let more = passed.udp.iter().map(|(at, _)| ("UDP", at));
    let more = more.chain(passed.tcp.iter().map(|(at, _)| ("TCP", at)));
    if let Some((kind, at)) = more.into_iter().next() {
        anyhow::bail!(
            "LISTEN_FDS has a {kind} socket of {at}, which this rendezvous does not serve: {SAME}"
        );
    }
    Ok(Sockets { udp, tcp })
}

const SAME: &str = "give the .socket unit the addresses and ports of --ip, --port, --alt-ip and --alt-port, each by \
                    ListenDatagram and by ListenStream";

fn missing(kind: &str, address: &SocketAddr) -> anyhow::Error {
    anyhow::anyhow!("LISTEN_FDS has no {kind} socket of {address}: {SAME}")
}

fn take<T>(sockets: &mut Vec<(SocketAddr, T)>, address: &SocketAddr) -> Option<T> {
    let found = sockets.iter().position(|(at, _)| at == address)?;
    Some(sockets.swap_remove(found).1)
}

fn own(addresses: &[SocketAddr]) -> anyhow::Result<Sockets> {
    let udp = addresses.iter().map(|address| {
        Udp::listen(*address).with_context(|| format!("cannot listen on {address} (UDP)"))
    });
    let udp = udp.collect::<anyhow::Result<_>>()?;
    let tcp = addresses.iter().map(|address| {
        stream::listen(*address).with_context(|| format!("cannot listen on {address} (TCP)"))
    });
    let tcp = tcp.collect::<anyhow::Result<_>>()?;
    Ok(Sockets { udp, tcp })
}

//! Changes of this host's addresses and routes, as the kernel tells them by rtnetlink
//! (rtnetlink(7)).

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket,
};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// The multicast groups of rtnetlink(7) for addresses and routes of both families:
/// RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE.
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// A change comes as several messages: the address goes, a route, another address comes.
/// They are taken together once this time has passed without another one.
const QUIET: Duration = Duration::from_millis(100);

/// And after this time in any case.
const LONGEST: Duration = Duration::from_millis(500);

/// Watches them.
#[derive(Debug)]
pub struct Changes {
    /// A netlink socket: tokio receives from it as from any datagram socket.
    socket: UdpSocket,
    /// When the first and the last message came of the change that is under way.
    under_way: Option<(Instant, Instant)>,
}

impl Changes {
    /// From now on.
    ///
    /// # Errors
    /// What `socket(2)` and `bind(2)` say.
    pub fn watch() -> io::Result<Changes> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            flags,
            SockProtocol::NetlinkRoute,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
        Ok(Changes {
            socket,
            under_way: None,
        })
    }

    /// Waits until something has changed. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            let first = match self.under_way {
                None => {
                    self.message().await?;
                    Instant::now()
                }
                Some((first, last)) => {
                    let until = (last + QUIET).min(first + LONGEST);
                    match timeout_at(until, self.message()).await {
                        Ok(message) => message?,
                        Err(_) => {
                            self.under_way = None;
                            return Ok(());
                        }
                    }
                    first
                }
            };
            self.under_way = Some((first, Instant::now()));
        }
    }

    /// What changed is not read: whoever is told looks at the present state.
    async fn message(&self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        match self.socket.recv(&mut buffer).await {
            // Messages were lost: something has changed.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => Ok(()),
            received => received.map(|_| ()),
        }
    }
}

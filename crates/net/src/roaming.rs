//! When this host changes its network: another address, or another default route.
//!
//! The kernel sends a message for each change of an address, a route or an interface
//! (`rtnetlink(7)`). What the messages say is not read: each is a reason to compare how
//! packets leave towards the server with how they left before.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket,
};
use tokio::net::UdpSocket;

use crate::host::address_towards;

/// The messages that the kernel is asked for.
const GROUPS: libc::c_int = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE;

/// Reports that this host has changed its network.
#[derive(Debug)]
pub struct Roaming {
    /// `None` where the system has no such socket: then no change is reported.
    socket: Option<UdpSocket>,
    server: SocketAddr,
    before: Option<WayOut>,
}

/// How packets leave towards the server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WayOut {
    from: IpAddr,
    /// The default routes of the server's family: interface and gateway.
    routes: Vec<(String, String)>,
}

impl Roaming {
    /// Watches from now on how packets leave towards `server`. Where the system does not
    /// allow it, [`Self::next`] reports nothing.
    pub fn watch(server: SocketAddr) -> Roaming {
        let socket = subscribe()
            .inspect_err(|error| tracing::debug!(%error, "cannot watch for another network"));
        Roaming {
            socket: socket.ok(),
            server,
            before: way_out(server),
        }
    }

    /// Waits until there is another way out, or one again after there was none; returns
    /// the address of ours that packets to the server leave from. A call that is dropped
    /// loses nothing.
    pub async fn next(&mut self) -> IpAddr {
        loop {
            let Some(socket) = &self.socket else {
                std::future::pending().await
            };
            if let Err(error) = changed(socket).await {
                tracing::debug!(%error, "no longer watching for another network");
                self.socket = None;
                continue;
            }
            let now = way_out(self.server);
            if std::mem::replace(&mut self.before, now.clone()) != now
                && let Some(now) = now
            {
                tracing::debug!(from = %now.from, routes = ?now.routes, "another network");
                return now.from;
            }
        }
    }
}

fn subscribe() -> io::Result<UdpSocket> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    bind(
        socket.as_raw_fd(),
        &NetlinkAddr::new(0, GROUPS.cast_unsigned()),
    )?;
    // Tokio has no type for netlink, and registering a bare descriptor is unsafe. What is
    // used of this type are readiness and recv(2), which are the same for both.
    UdpSocket::from_std(std::net::UdpSocket::from(socket))
}

/// Waits for messages, and drops all that have come.
async fn changed(socket: &UdpSocket) -> io::Result<()> {
    let mut any = false;
    while !any {
        socket.readable().await?;
        loop {
            match socket.try_recv(&mut [0; 64]) {
                Ok(_) => any = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Messages that did not fit into the queue are lost: there was a change.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => any = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// `None` where there is no route to the server.
fn way_out(server: SocketAddr) -> Option<WayOut> {
    let from = address_towards(server).ok()?;
    let routes = match server {
        SocketAddr::V4(_) => std::fs::read_to_string("/proc/net/route").map(|it| of_ipv4(&it)),
        SocketAddr::V6(_) => std::fs::read_to_string("/proc/net/ipv6_route").map(|it| of_ipv6(&it)),
    };
    let mut routes = routes.unwrap_or_default();
    routes.sort();
    Some(WayOut { from, routes })
}

/// The default routes in `/proc/net/route`: interface, destination, gateway, flags,
/// counters, metric, mask.
fn of_ipv4(table: &str) -> Vec<(String, String)> {
    let lines = table
        .lines()
        .map(|line| Vec::from_iter(line.split_whitespace()));
    lines
        .filter_map(|fields| match fields[..] {
            [interface, "00000000", gateway, _, _, _, _, "00000000", ..] => {
                Some((interface.to_owned(), gateway.to_owned()))
            }
            _ => None,
        })
        .collect()
}

/// The default routes in `/proc/net/ipv6_route`: destination, its length, source, its
/// length, gateway, metric, counters, flags, interface.
fn of_ipv6(table: &str) -> Vec<(String, String)> {
    let lines = table
        .lines()
        .map(|line| Vec::from_iter(line.split_whitespace()));
    lines
        .filter_map(|fields| match fields[..] {
            [_, "00", _, _, gateway, .., interface] if interface != "lo" => {
                Some((interface.to_owned(), gateway.to_owned()))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_found_in_the_tables_of_the_kernel() {
        let table = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
wlan0\t0002A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
";
        let found = of_ipv4(table);
        assert_eq!(found, [("wlan0".into(), "0102A8C0".into())]);
        let zero = "00000000000000000000000000000000";
        let gateway = "fe800000000000000000000000000001";
        let prefix = "20010db8000000000000000000000000";
        let rest = "00000400 00000001 00000000 00450003";
        let table = format!(
            "{prefix} 40 {zero} 00 {zero} {rest}    wlan0\n\
             {zero} 00 {zero} 00 {gateway} {rest}    wlan0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(of_ipv6(&table), [("wlan0".into(), gateway.into())]);
    }

    #[tokio::test]
    async fn the_kernel_lets_any_process_watch() {
        let roaming = Roaming::watch(([127, 0, 0, 1], 9).into());
        assert!(roaming.socket.is_some());
        let from = roaming.before.map(|it| it.from);
        assert_eq!(from, Some([127, 0, 0, 1].into()));
    }
}

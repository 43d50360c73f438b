//! The path MTU, measured on a socket that forbids fragmentation.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use discover::{Mtu, MtuReport};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu, ipv6_mtu, set_ip_mtu_discover,
    set_ipv6_mtu_discover,
};
use sansio::Protocol;
use tokio::time::sleep_until;

use crate::discover::{Error, seed};
use crate::host::{address_towards, interface_of, wildcard};
use crate::udp::Udp;

/// Measures the path MTU towards this server.
///
/// # Errors
/// When this host cannot send to the server at all.
pub async fn path_mtu(server: SocketAddr) -> Result<Option<MtuReport>, Error> {
    let route = |error| Error::Route(server, error);
    let interface = interface_mtu(server).map_err(route)?;
    let udp = Udp::bind_for(server).map_err(route)?;
    forbid_fragments(&udp, server).map_err(route)?;
    let mut mtu = Mtu::new(Instant::now(), server, interface, seed()?);
    let mut buffer = [0; stun::MAX_DATAGRAM];
    loop {
        while let Some(transmit) = mtu.poll_transmit() {
            udp.send_to(&transmit.payload, server, None)
                .map_err(route)?;
        }
        let Some(timeout) = mtu.poll_timeout() else {
            return Ok(mtu.report());
        };
        tokio::select! {
            received = udp.recv(&mut buffer) => match received {
                Ok(received) => mtu.handle_input(Instant::now(), received.input(0, &buffer)),
                Err(error) => return Err(Error::Receive(error)),
            },
            () = sleep_until(timeout.into()) => mtu.handle_timeout(Instant::now()),
        }
    }
}

/// The MTU of the interface that packets to the server leave by. What the system says of the route
/// may be what an earlier ICMP error has told of the path, so it counts only where nothing else is known.
fn interface_mtu(server: SocketAddr) -> io::Result<u16> {
    let local = address_towards(server)?;
    let of_interface = interface_of(local).and_then(|name| {
        let file = Path::new("/sys/class/net").join(name).join("mtu");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    });
    let mtu = match of_interface {
        Some(mtu) => mtu,
        None => {
            let socket = std::net::UdpSocket::bind((wildcard(server), 0))?;
            socket.connect(server)?;
            match server {
                SocketAddr::V4(_) => ip_mtu(&socket)?,
                SocketAddr::V6(_) => ipv6_mtu(&socket)?,
            }
        }
    };
    Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// No router may fragment what it sends, nor does the system: it sends what its interface takes.
fn forbid_fragments(udp: &Udp, server: SocketAddr) -> io::Result<()> {
    let socket = udp.as_tokio();
    match server {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)?,
    }
    Ok(())
}

//! Addresses: our own, and the server's.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The addresses of this host's interfaces that are up, loopback and IPv6
/// link-local ones left out (the latter mean nothing without an interface).
///
/// # Errors
/// What `getifaddrs(3)` says.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let usable = InterfaceFlags::IFF_UP;
    let mut found: Vec<IpAddr> = getifaddrs()?
        .filter(|i| i.flags.contains(usable) && !i.flags.contains(InterfaceFlags::IFF_LOOPBACK))
        .filter_map(|interface| {
            let address = interface.address?;
            if let Some(v4) = address.as_sockaddr_in() {
                return Some(IpAddr::V4(v4.ip()));
            }
            let v6 = address.as_sockaddr_in6()?.ip();
            (!v6.is_unicast_link_local()).then_some(IpAddr::V6(v6))
        })
        .collect();
    found.dedup();
    Ok(found)
}

/// The address that packets to `remote` leave from.
pub fn local_address(remote: SocketAddr, port: u16) -> SocketAddr {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    // Connecting a UDP socket sends nothing; it asks the routing table.
    let ip = std::net::UdpSocket::bind((any, 0))
        .and_then(|socket| {
            socket.connect(remote)?;
            socket.local_addr()
        })
        .map_or(any, |address| address.ip());
    SocketAddr::new(ip, port)
}

/// The address of `HOST[:PORT]`: a name, an IPv4 or an IPv6 address, with
/// brackets where a port follows the latter.
///
/// # Errors
/// When it cannot be understood or looked up, or nobody can be there.
pub async fn resolve(server: &str, default_port: u16) -> io::Result<SocketAddr> {
    let address = look_up(server, default_port).await?;
    let problem = if address.port() == 0 {
        "nobody can be reached at port 0"
    } else if address.ip().is_unspecified() {
        "that is the address to listen on, not one to reach anybody at"
    } else {
        return Ok(address);
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

async fn look_up(server: &str, default_port: u16) -> io::Result<SocketAddr> {
    if server.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is empty"));
    }
    if let Ok(address) = server.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, default_port));
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().map_err(|_| {
                let problem = format!("{port:?} is no port");
                io::Error::new(io::ErrorKind::InvalidInput, problem)
            })?;
            (host, port)
        }
        None => (server, default_port),
    };
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    // IPv4 first: it is the one with the NATs.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().ok_or_else(|| {
        let problem = format!("{host} has no address");
        io::Error::new(io::ErrorKind::NotFound, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn servers_as_people_write_them() {
        for (text, expected) in [
            ("203.0.113.1", "203.0.113.1:8848"),
            ("203.0.113.1:3478", "203.0.113.1:3478"),
            ("2001:db8::1", "[2001:db8::1]:8848"),
            ("[2001:db8::1]", "[2001:db8::1]:8848"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("localhost:7", "127.0.0.1:7"),
        ] {
            let address = resolve(text, 8848).await.unwrap();
            assert_eq!(address, expected.parse().unwrap(), "{text}");
        }
        for bad in ["localhost:http?", "", "127.0.0.1:0", "0.0.0.0", "[::]:8848"] {
            assert!(resolve(bad, 8848).await.is_err(), "{bad}");
        }
    }
}

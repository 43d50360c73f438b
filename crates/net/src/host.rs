//! The addresses of this host, and the address of a server by its name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// The address of this host that packets to `remote` leave from.
///
/// # Errors
/// When there is no route to it.
pub fn address_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    // Connecting a UDP socket sends nothing: it asks the routing table. The
    // address of one that is bound to the wildcard is not known otherwise.
    let socket = std::net::UdpSocket::bind((wildcard(remote), 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// The same with a port, and the wildcard address where there is no route.
pub fn local_address(remote: SocketAddr, port: u16) -> SocketAddr {
    let ip = address_towards(remote).unwrap_or_else(|_| wildcard(remote));
    SocketAddr::new(ip, port)
}

/// The address that stands for all of this host's, in the family of `remote`.
pub fn wildcard(remote: SocketAddr) -> IpAddr {
    match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The parts of `[NAME@]HOST[:PORT][#KEY]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// What comes before the `@`.
    pub name: Option<&'a str>,
    /// The host, with the port where it is given.
    pub host: &'a str,
    /// What comes after the `#`.
    pub key: Option<&'a str>,
}

/// Takes what people give each other apart: a server, our name there, its key.
/// Nothing is checked.
pub fn split(server: &str) -> Parts<'_> {
    let (rest, key) = match server.split_once('#') {
        Some((rest, key)) => (rest, Some(key)),
        None => (server, None),
    };
    let (name, host) = match rest.rsplit_once('@') {
        Some((name, host)) => (Some(name), host),
        None => (None, rest),
    };
    Parts { name, host, key }
}

/// The address of `HOST[:PORT]`: a name, an IPv4 or an IPv6 address, with
/// brackets where a port follows the latter. IPv4 is preferred where a name has
/// both: its networks are those with NATs.
///
/// # Errors
/// When the text is not an address and no such name is found, or when no host
/// can have the address: the wildcard, or port 0.
pub async fn resolve(server: &str, default_port: u16) -> io::Result<SocketAddr> {
    let address = look_up(server, default_port).await?;
    let problem = if address.port() == 0 {
        "port 0 is not a port that a server can have"
    } else if address.ip().is_unspecified() {
        "the wildcard address is for listening: no host can be reached at it"
    } else {
        return Ok(address);
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

async fn look_up(server: &str, default_port: u16) -> io::Result<SocketAddr> {
    if server.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no host is given",
        ));
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
                let problem = format!("{port:?} is not a port");
                io::Error::new(io::ErrorKind::InvalidInput, problem)
            })?;
            (host, port)
        }
        None => (server, default_port),
    };
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
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
    async fn a_server_is_found_in_each_form_that_people_write() {
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

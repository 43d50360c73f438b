//! The addresses of this host, and the address of a server by its name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::eyeballs::that_answers;

/// The addresses of this host's interfaces that are up, loopback and IPv6
/// link-local ones left out (the latter mean nothing without an interface).
///
/// # Errors
/// What `getifaddrs(3)` says.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    Ok(interfaces()?.into_iter().map(|(ip, _)| ip).collect())
}

/// The same, the most useful to a peer first: the address that packets to `server` leave
/// from, then those of its family, and in each the addresses of virtual interfaces last
/// (bridges of containers and the like, of which a host may have dozens).
///
/// # Errors
/// What `getifaddrs(3)` says.
pub fn candidates(server: SocketAddr) -> io::Result<Vec<IpAddr>> {
    let towards = address_towards(server).ok();
    let mut found = interfaces()?;
    found.sort_by_key(|(ip, interface)| rank(*ip, is_virtual(interface), towards, server));
    Ok(found.into_iter().map(|(ip, _)| ip).collect())
}

fn rank(
    ip: IpAddr,
    is_virtual: bool,
    towards: Option<IpAddr>,
    server: SocketAddr,
) -> (bool, bool, bool) {
    let other_family = ip.is_ipv4() != server.is_ipv4();
    (towards != Some(ip), other_family, is_virtual)
}

/// Whether no device is behind this interface.
fn is_virtual(interface: &str) -> bool {
    let folder = std::path::Path::new("/sys/class/net").join(interface);
    !folder.join("device").exists()
}

/// The name of the interface that has this address.
pub fn interface_of(address: IpAddr) -> Option<String> {
    let found = interfaces().ok()?;
    let mut found = found.into_iter().filter(|(ip, _)| *ip == address);
    found.next().map(|(_, name)| name)
}

fn interfaces() -> io::Result<Vec<(IpAddr, String)>> {
    let usable = InterfaceFlags::IFF_UP;
    let mut found: Vec<(IpAddr, String)> = getifaddrs()?
        .filter(|i| i.flags.contains(usable) && !i.flags.contains(InterfaceFlags::IFF_LOOPBACK))
        .filter_map(|interface| {
            let address = interface.address?;
            let name = interface.interface_name;
            if let Some(v4) = address.as_sockaddr_in() {
                return Some((IpAddr::V4(v4.ip()), name));
            }
            let v6 = address.as_sockaddr_in6()?.ip();
            (!v6.is_unicast_link_local()).then_some((IpAddr::V6(v6), name))
        })
        .collect();
    found.dedup_by(|a, b| a.0 == b.0);
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
/// brackets where a port follows the latter. Where a name has several addresses, it is
/// the first one that answers ([`that_answers`]), IPv4 before IPv6 in turns: networks
/// with NATs are IPv4 ones.
///
/// # Errors
/// When the text is not an address and no such name is found, or when no host
/// can have the address: the wildcard, or port 0.
pub async fn resolve(server: &str, default_port: u16) -> io::Result<SocketAddr> {
    one_of(server, &look_up(server, default_port).await?).await
}

/// The same, of the family of `like` alone: one socket has one family.
///
/// # Errors
/// As [`resolve`]'s, and when it has no address of that family.
pub async fn resolve_like(
    server: &str,
    default_port: u16,
    like: SocketAddr,
) -> io::Result<SocketAddr> {
    let mut addresses = look_up(server, default_port).await?;
    addresses.retain(|address| address.is_ipv4() == like.is_ipv4());
    if addresses.is_empty() {
        let family = if like.is_ipv4() { "IPv4" } else { "IPv6" };
        let problem = format!("{server} has no {family} address, as {like} is");
        return Err(io::Error::new(io::ErrorKind::NotFound, problem));
    }
    one_of(server, &addresses).await
}

async fn one_of(server: &str, addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    let address = that_answers(addresses).await;
    let address = address.ok_or_else(|| {
        let problem = format!("{server} has no address");
        io::Error::new(io::ErrorKind::NotFound, problem)
    })?;
    let problem = if address.port() == 0 {
        "port 0 is not a port that a server can have"
    } else if address.ip().is_unspecified() {
        "the wildcard address is for listening: no host can be reached at it"
    } else {
        return Ok(address);
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// The same once more, when the server at `before` is silent: its name may have another
/// address by now, or another of its addresses may answer. Only those of the same family
/// count, since our sockets are of that family.
///
/// # Errors
/// When the name is not found.
pub async fn resolve_again(
    server: &str,
    default_port: u16,
    before: SocketAddr,
) -> io::Result<SocketAddr> {
    let mut addresses = look_up(server, default_port).await?;
    addresses.retain(|address| address.is_ipv4() == before.is_ipv4());
    Ok(that_answers(&addresses).await.unwrap_or(before))
}

async fn look_up(server: &str, default_port: u16) -> io::Result<Vec<SocketAddr>> {
    if server.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no host is given",
        ));
    }
    if let Ok(address) = server.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, default_port)]);
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
    Ok(in_turns(tokio::net::lookup_host((host, port)).await?))
}

/// The families in turns, IPv4 first (RFC 8305 §4), each address once.
fn in_turns(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in addresses {
        let family = match address {
            SocketAddr::V4(_) => &mut v4,
            SocketAddr::V6(_) => &mut v6,
        };
        if !family.contains(&address) {
            family.push(address);
        }
    }
    let mut turns = Vec::new();
    for turn in 0..v4.len().max(v6.len()) {
        turns.extend(v4.get(turn).into_iter().chain(v6.get(turn)));
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_towards_the_server_comes_first_and_virtual_interfaces_last() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let server = "203.0.113.1:8848".parse().unwrap();
        let bridges = (1..=13).map(|n| (ip(&format!("172.{n}.0.1")), true));
        let mut all = Vec::from_iter(bridges);
        all.extend([(ip("2001:db8::5"), false), (ip("10.0.0.5"), false)]);
        all.push((ip("192.168.1.2"), true));
        all.sort_by_key(|(it, is_virtual)| rank(*it, *is_virtual, Some(ip("192.168.1.2")), server));
        let first = all.iter().take(3).map(|(it, _)| *it);
        let expected = ["192.168.1.2", "10.0.0.5", "172.1.0.1"].map(ip);
        assert_eq!(Vec::from_iter(first), expected);
        assert_eq!(all.last().unwrap().0, ip("2001:db8::5"));
    }

    #[test]
    fn the_families_are_tried_in_turns() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = [
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
            "192.0.2.1:1",
            "192.0.2.1:1",
        ];
        let turns = in_turns(found.map(at));
        let expected = ["192.0.2.1:1", "[2001:db8::1]:1", "[2001:db8::2]:1"];
        assert_eq!(turns, expected.map(at));
    }

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

    #[tokio::test]
    async fn of_a_server_an_address_of_the_same_family_is_found_or_none() {
        let like = "192.0.2.1:1".parse().unwrap();
        let found = resolve_like("203.0.113.1", 3478, like).await.unwrap();
        assert_eq!(found, "203.0.113.1:3478".parse().unwrap());
        let error = resolve_like("2001:db8::1", 3478, like).await.unwrap_err();
        assert!(error.to_string().contains("no IPv4 address"), "{error}");
    }
}

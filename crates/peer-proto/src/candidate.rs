//! Candidates: where a peer may be reached, and how the two sides tell each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nat::is_private;
use nat::plan::Side;

/// Host candidates that are told and probed, at most.
pub const MOST_HOSTS: usize = 8;

/// Reflexive addresses that are told, at most.
const MOST_MAPPED: usize = 4;

const VERSION: u8 = 1;

/// What each side seals for the other when they are introduced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Own addresses (RFC 8445 §5.1.1.1: host candidates).
    pub hosts: Vec<SocketAddr>,
    /// Reflexive addresses, as the server's first and then its second address see
    /// them. Two different ones: the mapping depends on the destination.
    pub mapped: Vec<SocketAddr>,
    /// The speaker's NAT, and what the speaker is willing to spend.
    pub side: Option<Side>,
    /// The outside port of a mapping that was just made, where the NAT assigns
    /// ports sequentially.
    pub base: Option<u16>,
    /// How many ports after `base` may be those towards the listener: all or some
    /// of them.
    pub ahead: Option<u16>,
    /// The speaker's relayed address.
    pub relayed: Option<SocketAddr>,
    /// The outside endpoint of a port mapping at the speaker's gateway.
    pub opened: Option<SocketAddr>,
    /// Where the speaker is reached by TCP, if it punches by TCP alone.
    pub tcp: Option<Tcp>,
    /// The speaker's round trip to the rendezvous.
    pub rtt: Option<Duration>,
    /// The speaker tells after the attempt what it has noted of it, if the listener
    /// does: see [`share`](crate::share).
    pub shares: bool,
    /// The speaker's NAT is being measured: another introduction can tell its `side`.
    pub measuring: bool,
    /// Where the speaker is reached by TCP as well, if it punches by TCP beside UDP.
    pub tcp_too: Option<Tcp>,
}

/// Where a peer may be reached by TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Its own port, at the addresses of its host candidates.
    pub port: u16,
    /// Reflexive addresses by TCP, as the server's first and then its second address
    /// see them.
    pub mapped: Vec<SocketAddr>,
}

impl Tcp {
    /// The mapping towards the server's first address, and a different one towards
    /// its second address, if there is one.
    pub fn remap(&self) -> Option<(SocketAddr, SocketAddr)> {
        remap(&self.mapped)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.port.to_be_bytes().to_vec();
        encode_list(&self.mapped, MOST_MAPPED, &mut bytes);
        bytes
    }

    fn decode(bytes: &mut &[u8]) -> Option<Tcp> {
        let port = u16::from_be_bytes(take(bytes)?);
        let mapped = decode_list(bytes, MOST_MAPPED)?;
        Some(Tcp { port, mapped })
    }
}

/// What may follow the lists: a byte for the kind, the length, and that many bytes.
/// Unknown kinds are skipped.
const SIDE: u8 = 1;
const RELAYED: u8 = 2;
const OPENED: u8 = 4;
const TCP: u8 = 3;
const RTT: u8 = 5;
const SHARES: u8 = 6;
const MEASURING: u8 = 7;
const TCP_TOO: u8 = 8;

impl Candidates {
    /// The mapping towards the server's first address, and a different one towards
    /// its second address, if there is one.
    pub fn remap(&self) -> Option<(SocketAddr, SocketAddr)> {
        remap(&self.mapped)
    }

    /// Encodes the candidates.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (list, most) in [(&self.hosts, MOST_HOSTS), (&self.mapped, MOST_MAPPED)] {
            encode_list(list, most, &mut bytes);
        }
        let mut more = |what: u8, value: Vec<u8>| {
            bytes.extend([what, value.len() as u8]);
            bytes.extend(value);
        };
        if let Some(side) = &self.side {
            let mut value = Vec::new();
            side.encode(&mut value);
            value.extend(self.base.unwrap_or(0).to_be_bytes());
            value.extend(self.ahead.unwrap_or(0).to_be_bytes());
            more(SIDE, value);
        }
        for (what, address) in [(RELAYED, &self.relayed), (OPENED, &self.opened)] {
            if let Some(address) = address {
                let mut value = Vec::new();
                encode_address(address, &mut value);
                more(what, value);
            }
        }
        if let Some(tcp) = &self.tcp {
            more(TCP, tcp.encode());
        }
        if let Some(rtt) = self.rtt {
            let ms = rtt.as_micros().div_ceil(1000);
            more(
                RTT,
                u16::try_from(ms).unwrap_or(u16::MAX).to_be_bytes().to_vec(),
            );
        }
        if self.shares {
            more(SHARES, Vec::new());
        }
        if self.measuring {
            more(MEASURING, Vec::new());
        }
        if let Some(tcp) = &self.tcp_too {
            more(TCP_TOO, tcp.encode());
        }
        bytes
    }

    /// Decodes what a peer has sealed; `None` if it cannot be read. Kinds that are
    /// not known are skipped, so that later versions can add some.
    pub fn decode(bytes: &[u8]) -> Option<Candidates> {
        let mut rest = bytes.strip_prefix(&[VERSION])?;
        let mut candidates = Candidates {
            hosts: decode_list(&mut rest, MOST_HOSTS)?,
            mapped: decode_list(&mut rest, MOST_MAPPED)?,
            ..Candidates::default()
        };
        while !rest.is_empty() {
            let [what, length] = take(&mut rest)?;
            let (mut value, after) = rest.split_at_checked(usize::from(length))?;
            rest = after;
            match what {
                SIDE => {
                    candidates.side = Some(Side::decode(&take(&mut value)?)?);
                    let base = u16::from_be_bytes(take(&mut value)?);
                    candidates.base = Some(base).filter(|&base| base != 0);
                    let ahead = u16::from_be_bytes(take(&mut value)?);
                    candidates.ahead = Some(ahead).filter(|&ahead| ahead != 0);
                }
                OPENED => candidates.opened = Some(decode_address(&mut value)?),
                RTT => {
                    let ms = u16::from_be_bytes(take(&mut value)?);
                    candidates.rtt = Some(Duration::from_millis(ms.into()));
                }
                SHARES => candidates.shares = true,
                MEASURING => candidates.measuring = true,
                RELAYED => candidates.relayed = Some(decode_address(&mut value)?),
                TCP => candidates.tcp = Some(Tcp::decode(&mut value)?),
                TCP_TOO => candidates.tcp_too = Some(Tcp::decode(&mut value)?),
                _ => {}
            }
        }
        Some(candidates)
    }

    /// Whether the NAT is known to bear packets that arrive before one has left. A
    /// bare Linux masquerade uses another port afterwards.
    pub fn bears_early_packets(&self) -> bool {
        self.side.is_some_and(|side| side.remaps == Some(false))
    }

    /// Where the peer may be connected to by TCP: its host candidates, as far as they
    /// may be probed, and its first reflexive address, if the rendezvous has
    /// `observed` the peer at that IP address.
    pub fn tcp_targets(&self, observed: IpAddr) -> Vec<SocketAddr> {
        let Some(tcp) = self.tcp.as_ref().or(self.tcp_too.as_ref()) else {
            return Vec::new();
        };
        let hosts = self.probeable_hosts().into_iter();
        let hosts = hosts.map(|host| SocketAddr::new(host.ip(), tcp.port));
        let mapped = tcp.mapped.first().filter(|mapped| mapped.ip() == observed);
        let mut targets = Vec::from_iter(hosts.chain(mapped.copied()));
        targets.retain(|target| target.port() != 0);
        targets.dedup();
        targets
    }

    /// The host candidates that may be probed: those on private networks. With any
    /// public address a peer could direct our packets at a third party; where the
    /// rendezvous has observed the peer, there is a reflexive candidate already.
    pub fn probeable_hosts(&self) -> Vec<SocketAddr> {
        let mut hosts: Vec<SocketAddr> = self.hosts.clone();
        hosts.retain(|host| host.port() != 0 && is_private(host.ip()));
        hosts.dedup();
        hosts.truncate(MOST_HOSTS);
        hosts
    }
}

fn remap(mapped: &[SocketAddr]) -> Option<(SocketAddr, SocketAddr)> {
    let first = *mapped.first()?;
    let other = *mapped.iter().find(|&&address| address != first)?;
    Some((first, other))
}

fn encode_list(list: &[SocketAddr], most: usize, bytes: &mut Vec<u8>) {
    let list = &list[..list.len().min(most)];
    bytes.push(list.len() as u8);
    for address in list {
        encode_address(address, bytes);
    }
}

fn decode_list(rest: &mut &[u8], most: usize) -> Option<Vec<SocketAddr>> {
    let count = usize::from(take::<1>(rest)?[0]);
    if count > most {
        return None;
    }
    (0..count).map(|_| decode_address(rest)).collect()
}

fn encode_address(address: &SocketAddr, bytes: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(6);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

fn decode_address(rest: &mut &[u8]) -> Option<SocketAddr> {
    let ip = match take::<1>(rest)? {
        [4] => IpAddr::V4(Ipv4Addr::from(take::<4>(rest)?)),
        [6] => IpAddr::V6(Ipv6Addr::from(take::<16>(rest)?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take(rest)?)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_encoded_is_decoded_and_truncated_bytes_are_not() {
        let candidates = Candidates {
            hosts: addresses(&["192.168.1.2:41000", "[fd00::2]:41000"]),
            mapped: addresses(&["203.0.113.17:40000"]),
            side: Some(Side::default()),
            base: Some(40001),
            ahead: Some(5),
            relayed: Some("203.0.113.1:50000".parse().unwrap()),
            opened: Some("203.0.113.17:4000".parse().unwrap()),
            tcp: Some(Tcp {
                port: 41000,
                mapped: addresses(&["203.0.113.17:40000", "203.0.113.17:40001"]),
            }),
            rtt: Some(Duration::from_millis(244)),
            shares: true,
            measuring: true,
            tcp_too: Some(Tcp {
                port: 41000,
                mapped: addresses(&["203.0.113.17:40002"]),
            }),
        };
        let bytes = candidates.encode();
        assert_eq!(Candidates::decode(&bytes), Some(candidates));
        // It may end after each of the parts, as what older peers send does.
        let tcp_too = bytes.len() - (2 + 2 + 1 + 7);
        let measuring = tcp_too - 2;
        let shares = measuring - 2;
        let rtt = shares - (2 + 2);
        let tcp = rtt - (2 + 2 + 1 + 2 * 7);
        let opened = tcp - (2 + 7);
        let relayed = opened - (2 + 7);
        let older = relayed - (2 + Side::LENGTH + 4);
        let whole = [older, relayed, opened, tcp, rtt, shares, measuring, tcp_too];
        for length in (0..bytes.len()).filter(|length| !whole.contains(length)) {
            assert_eq!(Candidates::decode(&bytes[..length]), None);
        }
        assert_eq!(Candidates::decode(&bytes[..older]).unwrap().side, None);
        let newer = [&bytes[..], &[200, 1, 7]].concat();
        assert_eq!(Candidates::decode(&newer), Candidates::decode(&bytes));
        assert_eq!(Candidates::decode(&[VERSION, 200]), None);
        assert_eq!(Candidates::decode(&[9, 0, 0]), None);
    }

    #[test]
    fn only_private_host_candidates_are_probed() {
        let candidates = Candidates {
            hosts: addresses(&[
                "192.168.1.2:1",
                "8.8.8.8:53",
                "127.0.0.1:22",
                "100.64.0.2:5",
                "224.0.0.1:9",
                "255.255.255.255:9",
                "10.0.0.1:0",
                "[2001:db8::1]:5",
            ]),
            ..Candidates::default()
        };
        let expected = addresses(&["192.168.1.2:1", "100.64.0.2:5"]);
        assert_eq!(candidates.probeable_hosts(), expected);
    }

    #[test]
    fn by_tcp_only_private_hosts_and_the_observed_address_are_connected_to() {
        let with = |mapped: &[&str], port| Candidates {
            hosts: addresses(&["192.168.1.2:1", "8.8.8.8:53", "127.0.0.1:22"]),
            tcp: Some(Tcp {
                port,
                mapped: addresses(mapped),
            }),
            ..Candidates::default()
        };
        let seen = "203.0.113.17".parse().unwrap();
        for (mapped, port, expected) in [
            (
                &["203.0.113.17:40000", "8.8.8.8:53"][..],
                41000,
                &["192.168.1.2:41000", "203.0.113.17:40000"][..],
            ),
            (&["8.8.8.8:53"], 41000, &["192.168.1.2:41000"]),
            (&["203.0.113.17:0"], 0, &[]),
        ] {
            let targets = with(mapped, port).tcp_targets(seen);
            assert_eq!(targets, addresses(expected), "{mapped:?}");
        }
        assert!(Candidates::default().tcp_targets(seen).is_empty());
    }

    #[test]
    fn a_remap_is_two_different_mappings() {
        let mut candidates = Candidates {
            mapped: addresses(&["203.0.113.17:40000", "203.0.113.17:40000"]),
            ..Candidates::default()
        };
        assert_eq!(candidates.remap(), None);
        candidates.mapped.extend(addresses(&["203.0.113.17:40001"]));
        assert!(candidates.remap().is_some());
    }
}

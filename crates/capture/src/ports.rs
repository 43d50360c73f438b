//! The local ports to watch, which may change while a capture runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::{Direction, Packet, Transport, What, owned};

/// How long a port counts as another program's, before it is asked again whose it is.
const OTHERS: Duration = Duration::from_secs(1);

/// A shared set of local ports. Clones are the same set; a change applies from the next packet on,
/// in every capture that uses it.
#[derive(Clone, Debug)]
pub struct Ports(Arc<Sets>);

#[derive(Debug)]
struct Sets {
    udp: Set,
    tcp: Set,
    /// The ports of other programs, where this process's own are found out.
    others: Option<Others>,
}

#[derive(Debug)]
struct Others {
    since: Instant,
    /// When the sets were last emptied, in units of [`OTHERS`] since then.
    emptied: AtomicU64,
    udp: Set,
    tcp: Set,
}

impl Ports {
    /// A set of these UDP ports.
    pub fn of(ports: impl IntoIterator<Item = u16>) -> Self {
        let set = Ports::new(Set::filled_with(0), None);
        ports
            .into_iter()
            .for_each(|port| set.watch(Transport::Udp, port));
        set
    }

    /// Those of the sockets of this process, of both protocols. A port that is [watched](Ports::watch)
    /// is known from its first packet on. Whose another one is, is looked for in the kernel's tables when
    /// a datagram or a SYN leaves from it: a socket that is closed before that is missed.
    /// A port stays in the set when its socket is closed: another program may get it later.
    pub fn of_this_process() -> Self {
        let others = Others {
            since: Instant::now(),
            emptied: AtomicU64::new(0),
            udp: Set::filled_with(0),
            tcp: Set::filled_with(0),
        };
        Ports::new(Set::filled_with(0), Some(others))
    }

    /// Every port, of both protocols.
    pub fn all() -> Self {
        let all = || Set::filled_with(u64::MAX);
        Ports(Arc::new(Sets {
            udp: all(),
            tcp: all(),
            others: None,
        }))
    }

    /// Adds a port.
    pub fn watch(&self, transport: Transport, port: u16) {
        self.set(transport).put(port, true);
    }

    /// Removes a port.
    pub fn forget(&self, transport: Transport, port: u16) {
        self.set(transport).put(port, false);
    }

    /// Whether the port is in the set.
    pub fn contains(&self, transport: Transport, port: u16) -> bool {
        self.set(transport).contains(port)
    }

    /// Whether the packet, which went in this direction, left from or arrived at one of the ports, or is
    /// an ICMP error about a packet that did.
    pub fn concern(&self, direction: Direction, packet: &Packet) -> bool {
        let (transport, local, begins) = match (&packet.what, direction) {
            (What::IcmpError(error), Direction::In) => (error.protocol, error.quoted_src, false),
            (What::IcmpError(error), Direction::Out) => (error.protocol, error.quoted_dst, false),
            (What::Tcp { .. }, Direction::In) => (Transport::Tcp, packet.dst, false),
            (What::Tcp { flags, .. }, Direction::Out) => {
                (Transport::Tcp, packet.src, flags == "SYN")
            }
            (_, Direction::In) => (Transport::Udp, packet.dst, false),
            (_, Direction::Out) => (Transport::Udp, packet.src, true),
        };
        self.contains(transport, local.port()) || begins && self.is_found(transport, local.port())
    }

    /// Whether the port turns out to be one of this process's own.
    fn is_found(&self, transport: Transport, port: u16) -> bool {
        let Some(others) = &self.0.others else {
            return false;
        };
        let others = others.of(transport);
        if others.contains(port) {
            return false;
        }
        let ours = owned::is_ours(transport, port);
        match ours {
            true => self.watch(transport, port),
            false => others.put(port, true),
        }
        ours
    }

    fn new(udp: Set, others: Option<Others>) -> Self {
        Ports(Arc::new(Sets {
            udp,
            tcp: Set::filled_with(0),
            others,
        }))
    }

    fn set(&self, transport: Transport) -> &Set {
        match transport {
            Transport::Udp => &self.0.udp,
            Transport::Tcp => &self.0.tcp,
        }
    }
}

impl Others {
    fn of(&self, transport: Transport) -> &Set {
        let turn = self.since.elapsed().as_secs() / OTHERS.as_secs();
        if self.emptied.swap(turn, Relaxed) != turn {
            self.udp.empty();
            self.tcp.empty();
        }
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        }
    }
}

/// A bit for each port.
#[derive(Debug)]
struct Set(Box<[AtomicU64]>);

const WORDS: usize = (u16::MAX as usize + 1) / 64;

impl Set {
    fn filled_with(word: u64) -> Self {
        Set((0..WORDS).map(|_| AtomicU64::new(word)).collect())
    }

    fn contains(&self, port: u16) -> bool {
        let (word, bit) = self.place(port);
        word.load(Relaxed) & bit != 0
    }

    fn put(&self, port: u16, there: bool) {
        let (word, bit) = self.place(port);
        match there {
            true => word.fetch_or(bit, Relaxed),
            false => word.fetch_and(!bit, Relaxed),
        };
    }

    fn empty(&self) {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
    }

    fn place(&self, port: u16) -> (&AtomicU64, u64) {
        (&self.0[usize::from(port) / 64], 1 << (port % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_change_of_a_clone_changes_the_set() {
        let ports = Ports::of([0, 41000, u16::MAX]);
        let same = ports.clone();
        same.watch(Transport::Udp, 41001);
        same.watch(Transport::Tcp, 40999);
        same.forget(Transport::Udp, 0);
        let udp = |port| ports.contains(Transport::Udp, port);
        assert_eq!(
            [0, 40999, 41000, 41001, u16::MAX].map(udp),
            [false, false, true, true, true]
        );
        assert!(ports.contains(Transport::Tcp, 40999) && !ports.contains(Transport::Tcp, 41000));
        for transport in [Transport::Udp, Transport::Tcp] {
            assert!((0..=u16::MAX).all(|port| Ports::all().contains(transport, port)));
        }
    }

    #[test]
    fn the_ports_of_this_process_are_found_and_no_others() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = ours.local_addr().unwrap().port();
        let from = |port: u16| Packet {
            src: ([127, 0, 0, 1], port).into(),
            dst: "192.0.2.1:9".parse().unwrap(),
            ttl: None,
            ip_id: None,
            len: 0,
            what: What::Data,
        };
        let packet = from(port);
        let ports = Ports::of_this_process();
        assert!(!ports.concern(Direction::In, &packet));
        assert!(!Ports::of([]).concern(Direction::Out, &packet));
        assert!(ports.concern(Direction::Out, &packet));
        drop(ours);
        let ports = Ports::of_this_process();
        assert!(!ports.concern(Direction::Out, &packet));
    }
}

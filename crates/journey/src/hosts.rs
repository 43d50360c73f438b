//! Two hosts' accounts of one attempt, joined: which packet of the one came to the other, which did not,
//! and what can be said about that.
//!
//! Nothing was watched between the hosts. A packet is told by the hash of its payload, which survives
//! translation; that it did not come is known, and where it was lost is concluded.

mod cause;
mod ends;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::account::{Account, Packet, What};
use crate::clock::{Clock, Offset};
use crate::{Direction, Gap, Interface, Journey, Node, Sighting, Trace};

/// What the interface is called where a socket has seen a packet.
const SOCKET: &str = "socket";

/// The TTL of what is sent without one of its own: that of Linux.
const DEFAULT_TTL: u8 = 64;

/// How much later than it was received a packet may seem to be sent, beside the error of the clocks.
const SLACK_US: i64 = 1_000;

/// The journeys of both accounts, in our time, and how far the peer's clock is ahead of ours.
///
/// `clock` has the packets through the rendezvous; those between the hosts are added. Without the peer's
/// account the journeys are ours alone. `started_unix_ns` is when our attempt began.
pub fn join(
    ours: &Account,
    theirs: Option<&Account>,
    mut clock: Clock,
    started_unix_ns: u64,
) -> (Trace, Option<Offset>) {
    let Some(theirs) = theirs else {
        let trace = Hosts::alone(ours).trace(started_unix_ns);
        return (trace, None);
    };
    let first = Hosts::of([ours, theirs], clock.offset());
    for (sent, received) in first.arrived(0).flatten() {
        clock.went(sent.at_us, received.at_us);
    }
    for (sent, received) in first.arrived(1).flatten() {
        clock.came(sent.at_us, received.at_us);
    }
    let offset = clock.offset();
    let trace = Hosts::of([ours, theirs], offset).trace(started_unix_ns);
    (trace, offset)
}

/// Both accounts, and which packets have come across. The first one is ours.
struct Hosts<'a> {
    accounts: Vec<&'a Account>,
    offset: Option<Offset>,
    /// For each host and each of its packets: the packet of the other host that is the same one.
    same: Vec<Vec<Option<usize>>>,
    /// For each host and each of its packets that was sent: the ICMP error about it.
    errors: Vec<Vec<Option<usize>>>,
}

impl<'a> Hosts<'a> {
    fn alone(ours: &'a Account) -> Self {
        Hosts {
            accounts: vec![ours],
            offset: None,
            same: vec![vec![None; ours.packets.len()]],
            errors: vec![errors(&ours.packets)],
        }
    }

    fn of(accounts: [&'a Account; 2], offset: Option<Offset>) -> Self {
        let same = accounts.map(|account| vec![None; account.packets.len()]);
        let mut hosts = Hosts {
            accounts: accounts.to_vec(),
            offset,
            same: same.to_vec(),
            errors: accounts.map(|account| errors(&account.packets)).to_vec(),
        };
        for sender in [0, 1] {
            hosts.match_packets(sender);
        }
        hosts
    }

    /// Finds the packets of one host that have come to the other. Of several with the same bytes, the
    /// last one that had left by then; if the clocks are not known, the first one.
    fn match_packets(&mut self, sender: usize) {
        let receiver = 1 - sender;
        let (from, to) = (self.accounts[sender], self.accounts[receiver]);
        let mut sent: HashMap<([u8; 8], u16), Vec<usize>> = HashMap::new();
        for (index, packet) in from.packets.iter().enumerate() {
            if packet.what == What::Sent {
                sent.entry((packet.hash, packet.len))
                    .or_default()
                    .push(index);
            }
        }
        for (index, packet) in to.packets.iter().enumerate() {
            let copies = sent.get_mut(&(packet.hash, packet.len));
            let Some(copies) = copies.filter(|_| has_come(packet)) else {
                continue;
            };
            let found = match self.offset {
                Some(offset) => {
                    let slack = SLACK_US.saturating_add_unsigned(offset.error_us);
                    let received = self.time(receiver, packet).saturating_add(slack);
                    let left = |&copy: &usize| self.time(sender, &from.packets[copy]) <= received;
                    copies.iter().rposition(left)
                }
                None => (!copies.is_empty()).then_some(0),
            };
            if let Some(copy) = found.map(|at| copies.remove(at)) {
                self.same[sender][copy] = Some(index);
                self.same[receiver][index] = Some(copy);
            }
        }
    }

    /// When it was, in microseconds of our clock.
    fn time(&self, host: usize, packet: &Packet) -> i64 {
        match (host, self.offset) {
            (1, Some(offset)) => offset.to_ours(packet.at_us),
            _ => Offset::default().to_ours(packet.at_us),
        }
    }

    /// Every packet that this host has sent, with the same packet at the other host if it has come.
    fn arrived(&self, sender: usize) -> impl Iterator<Item = Option<(&'a Packet, &'a Packet)>> {
        let from = self.accounts[sender];
        let other = self.accounts.get(1 - sender).copied();
        let same = self.same[sender].iter().copied();
        let all = from.packets.iter().zip(same);
        let sent = all.filter(|(packet, _)| packet.what == What::Sent);
        sent.map(move |(packet, same)| Some((packet, &other?.packets[same?])))
    }

    fn trace(&self, started_unix_ns: u64) -> Trace {
        let mut journeys = Vec::new();
        for host in 0..self.accounts.len() {
            for index in 0..self.accounts[host].packets.len() {
                journeys.extend(self.journey(host, index).map(|it| ((host, index), it)));
            }
        }
        journeys.sort_by(|(_, a), (_, b)| a.sightings[0].t_ms.total_cmp(&b.sightings[0].t_ms));
        let ids: HashMap<_, _> = journeys.iter().map(|(key, _)| *key).zip(0..).collect();
        let mut first_sent = HashMap::new();
        for ((host, index), journey) in &mut journeys {
            let packet = &self.accounts[*host].packets[*index];
            journey.id = ids[&(*host, *index)];
            let about = self.errors[*host]
                .iter()
                .position(|error| *error == Some(*index));
            journey.about = about.and_then(|about| ids.get(&(*host, about)).copied());
            if packet.what == What::Sent {
                let key = (*host, packet.hash, packet.len, packet.port, packet.remote);
                let first = *first_sent.entry(key).or_insert(journey.id);
                journey.retransmission_of = (first != journey.id).then_some(first);
            }
        }
        let journeys: Vec<_> = journeys.into_iter().map(|(_, journey)| journey).collect();
        Trace {
            schema: nat::Schema,
            started_unix_ns,
            nodes: self.accounts.iter().map(|account| node(account)).collect(),
            tables: Vec::new(),
            gaps: self
                .accounts
                .iter()
                .filter_map(|account| gap(account))
                .collect(),
            cause: self.cause(&journeys),
            journeys,
        }
    }

    /// The journey that begins with this packet; `None` if it is the end of another one.
    fn journey(&self, host: usize, index: usize) -> Option<Journey> {
        let packet = &self.accounts[host].packets[index];
        let mut sightings = vec![self.sighting(host, packet)];
        match (packet.what, self.same[host][index]) {
            (What::Received | What::Blocked { outgoing: false }, Some(_)) => return None,
            (What::Blocked { outgoing: true }, _) if self.errors[host].contains(&Some(index)) => {
                return None;
            }
            (What::Sent, Some(same)) => {
                let other = 1 - host;
                sightings.push(self.sighting(other, &self.accounts[other].packets[same]));
            }
            _ => {}
        }
        Some(Journey {
            id: 0,
            protocol: match packet.what {
                What::Icmp { .. } => "icmp".into(),
                What::Sent | What::Received | What::Blocked { .. } => "udp".into(),
            },
            what: describe(packet),
            payload_len: packet.len.into(),
            payload_sha256: hex::encode(packet.hash),
            bytes: String::new(),
            retransmission_of: None,
            about: None,
            sightings,
            end: self.end(host, index),
        })
    }

    fn sighting(&self, host: usize, packet: &Packet) -> Sighting {
        let account = self.accounts[host];
        let own = SocketAddr::new(account.address, packet.port);
        let (direction, src, dst) = match packet.what {
            What::Sent | What::Blocked { outgoing: true } => (Direction::Out, own, packet.remote),
            What::Received | What::Blocked { outgoing: false } => {
                (Direction::In, packet.remote, own)
            }
            What::Icmp { offender, .. } => {
                let to = SocketAddr::new(account.address, 0);
                (Direction::In, SocketAddr::new(offender, 0), to)
            }
        };
        Sighting {
            t_ms: self.time(host, packet) as f64 / 1e3,
            node: account.name.clone(),
            interface: SOCKET.into(),
            direction,
            src,
            dst,
            ttl: packet.ttl.unwrap_or(match packet.what {
                What::Sent => DEFAULT_TTL,
                _ => 0,
            }),
            raw: Vec::new(),
        }
    }
}

/// Whether it has come to the host, if not to a socket.
fn has_come(packet: &Packet) -> bool {
    matches!(
        packet.what,
        What::Received | What::Blocked { outgoing: false }
    )
}

/// For each packet that was sent: the last ICMP error about it, or the report that the host's own rules have dropped it.
/// An ICMP error quotes the ports, and mostly the STUN header.
fn errors(packets: &[Packet]) -> Vec<Option<usize>> {
    let mut errors = vec![None; packets.len()];
    for (index, error) in packets.iter().enumerate() {
        let blocked = error.what == What::Blocked { outgoing: true };
        if !blocked && !matches!(error.what, What::Icmp { .. }) {
            continue;
        }
        let about = packets[..index].iter().rposition(|packet| {
            let same = packet.port == error.port && packet.remote == error.remote;
            let quoted = error.stun.is_none() || error.stun == packet.stun;
            let whole = !blocked || error.hash == packet.hash;
            packet.what == What::Sent && same && quoted && whole
        });
        if let Some(about) = about {
            errors[about] = Some(index);
        }
    }
    errors
}

fn describe(packet: &Packet) -> String {
    let what = packet.stun.and_then(|stun| stun.describe());
    let what = what.unwrap_or_else(|| format!("data ({} bytes)", packet.len));
    match packet.what {
        What::Icmp {
            offender,
            kind,
            code,
        } => {
            // The ladder says what it is about.
            format!("ICMP {}", ends::reason(offender, kind, code))
        }
        What::Sent | What::Received | What::Blocked { .. } => what,
    }
}

fn node(account: &Account) -> Node {
    let mut seen = Vec::from_iter(account.reflexive.iter().map(SocketAddr::to_string));
    seen.dedup();
    let seen = match &seen[..] {
        [] => "not seen by the server".into(),
        seen => format!("seen by the server at {}", seen.join(" and ")),
    };
    Node {
        name: account.name.clone(),
        description: seen,
        interfaces: vec![Interface {
            name: SOCKET.into(),
            // Unspecified: it does not tell its own.
            addresses: Vec::from_iter(Some(account.address).filter(|it| !it.is_unspecified())),
        }],
    }
}

fn gap(account: &Account) -> Option<Gap> {
    (account.left_out > 0).then(|| Gap {
        t_ms: 0.0,
        node: account.name.clone(),
        source: SOCKET.into(),
        lost: Some(account.left_out.into()),
    })
}

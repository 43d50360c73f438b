//! What each node has made of the packets from inside, in the order of time.
//!
//! A trace may have thousands of dropped packets after thousands of sent ones, so each question is answered by a look
//! into a map and a binary search for the time.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::track::Draft;
use crate::packet::{Key, RST};
use crate::{Direction, Vantage};

/// A packet that a NAT or a firewall let out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at_ns: u64,
    /// The node that sent it.
    pub(super) host: usize,
    /// Its source inside, and outside.
    pub(super) inside: SocketAddr,
    pub(super) outside: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// What the nodes let out, by node and protocol.
pub(super) struct History(HashMap<(usize, &'static str), Uses>);

/// What one node let out by one protocol.
#[derive(Default)]
struct Uses {
    /// The first packet of each outside endpoint.
    first: Vec<Sent>,
    /// Their addresses.
    addresses: HashSet<IpAddr>,
    of: HashMap<SocketAddr, Outside>,
    /// The packets from an inside endpoint to an address.
    towards: HashMap<(SocketAddr, IpAddr), Vec<Sent>>,
}

/// The packets from one outside endpoint, and those that were the first to a remote, or to the address of one.
#[derive(Default)]
struct Outside {
    sent: Vec<Sent>,
    remotes: Firsts<SocketAddr>,
    addresses: Firsts<IpAddr>,
}

/// Values in the order in which they came first, each with that time.
struct Firsts<T> {
    in_order: Vec<(u64, T)>,
    at: HashMap<T, u64>,
}

/// What had been sent from an outside endpoint before a time: one packet at least.
pub(super) struct Before<'a> {
    outside: &'a Outside,
    sent: &'a [Sent],
    at_ns: u64,
}

impl History {
    pub(super) fn of(nodes: &[Vantage], drafts: &[Draft]) -> Self {
        let mut all: Vec<(usize, &'static str, Sent)> = Vec::new();
        for draft in drafts {
            // a reset makes no mapping
            if draft.protocol == "icmp"
                || matches!(draft.key, Key::Tcp(_, _, _, flags) if flags & RST != 0)
            {
                continue;
            }
            for pair in draft.passes.windows(2) {
                let [before, after] = pair else { continue };
                if before.node < nodes.len()
                    && before.node == after.node
                    && (before.direction, after.direction) == (Direction::In, Direction::Out)
                    && before.interface != after.interface
                {
                    let sent = Sent {
                        at_ns: after.at_ns,
                        host: draft.passes[0].node,
                        inside: before.src,
                        outside: after.src,
                        remote: after.dst,
                    };
                    all.push((before.node, draft.protocol, sent));
                }
            }
        }
        all.sort_by_key(|(.., sent)| sent.at_ns);
        let mut history: HashMap<_, Uses> = HashMap::new();
        for (node, protocol, sent) in all {
            history.entry((node, protocol)).or_default().add(sent);
        }
        History(history)
    }

    /// Whether the node has ever let out a packet from this address.
    pub(super) fn has_used(&self, node: usize, protocol: &'static str, address: IpAddr) -> bool {
        let uses = self.0.get(&(node, protocol));
        uses.is_some_and(|uses| uses.addresses.contains(&address))
    }

    /// What the node had let out from this outside endpoint before a time; `None`: nothing.
    pub(super) fn sent_from(
        &self,
        node: usize,
        protocol: &'static str,
        outside: SocketAddr,
        at_ns: u64,
    ) -> Option<Before<'_>> {
        let outside = self.0.get(&(node, protocol))?.of.get(&outside)?;
        let sent = until(&outside.sent, at_ns, |sent| sent.at_ns);
        (!sent.is_empty()).then_some(Before {
            outside,
            sent,
            at_ns,
        })
    }

    /// The first packet of each outside endpoint that had been used before a time, oldest first.
    pub(super) fn outsides(&self, node: usize, protocol: &'static str, at_ns: u64) -> &[Sent] {
        let uses = self.0.get(&(node, protocol));
        uses.map_or(&[], |uses| until(&uses.first, at_ns, |sent| sent.at_ns))
    }

    /// The last packet before a time from an inside endpoint to an address that did not leave from this outside
    /// endpoint.
    pub(super) fn last_elsewhere(
        &self,
        node: usize,
        protocol: &'static str,
        (inside, address): (SocketAddr, IpAddr),
        outside: SocketAddr,
        at_ns: u64,
    ) -> Option<&Sent> {
        let sent = self
            .0
            .get(&(node, protocol))?
            .towards
            .get(&(inside, address))?;
        let mut sent = until(sent, at_ns, |sent| sent.at_ns).iter().rev();
        sent.find(|sent| sent.outside != outside)
    }
}

impl Uses {
    /// Adds the next packet.
    fn add(&mut self, sent: Sent) {
        let outside = self.of.entry(sent.outside).or_default();
        if outside.sent.is_empty() {
            self.first.push(sent);
            self.addresses.insert(sent.outside.ip());
        }
        outside.sent.push(sent);
        outside.remotes.note(sent.at_ns, sent.remote);
        outside.addresses.note(sent.at_ns, sent.remote.ip());
        let towards = (sent.inside, sent.remote.ip());
        self.towards.entry(towards).or_default().push(sent);
    }
}

impl<T: Copy + Eq + std::hash::Hash> Firsts<T> {
    fn note(&mut self, at_ns: u64, value: T) {
        self.at.entry(value).or_insert_with(|| {
            self.in_order.push((at_ns, value));
            at_ns
        });
    }

    fn before(&self, at_ns: u64) -> &[(u64, T)] {
        until(&self.in_order, at_ns, |(at, _)| *at)
    }
}

impl<T> Default for Firsts<T> {
    fn default() -> Self {
        Firsts {
            in_order: Vec::new(),
            at: HashMap::new(),
        }
    }
}

impl<'a> Before<'a> {
    /// The oldest packet.
    pub(super) fn first(&self) -> &'a Sent {
        &self.sent[0]
    }

    /// The newest one.
    pub(super) fn last(&self) -> &'a Sent {
        &self.sent[self.sent.len() - 1]
    }

    /// Where they went, in the order of the first packets there.
    pub(super) fn remotes(&self) -> &'a [(u64, SocketAddr)] {
        self.outside.remotes.before(self.at_ns)
    }

    /// The same without ports.
    pub(super) fn addresses(&self) -> &'a [(u64, IpAddr)] {
        self.outside.addresses.before(self.at_ns)
    }

    /// Whether one went to this remote.
    pub(super) fn has(&self, remote: SocketAddr) -> bool {
        let first = self.outside.remotes.at.get(&remote);
        first.is_some_and(|at| *at < self.at_ns)
    }
}

/// Those before a time, of what is in the order of time.
fn until<T>(all: &[T], at_ns: u64, time: impl Fn(&T) -> u64) -> &[T] {
    &all[..all.partition_point(|it| time(it) < at_ns)]
}

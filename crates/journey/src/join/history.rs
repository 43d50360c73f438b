//! What each node has made of the packets from inside, in the order of time.

use std::net::SocketAddr;

use super::track::Draft;
use crate::packet::{Key, RST};
use crate::{Direction, Vantage};

/// A packet that a NAT or a firewall let out.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at_ns: u64,
    pub(super) protocol: &'static str,
    /// The node that sent it.
    pub(super) host: usize,
    /// Its source inside, and outside.
    pub(super) inside: SocketAddr,
    pub(super) outside: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// Of each node, what it let out.
pub(super) struct History(Vec<Vec<Sent>>);

impl History {
    pub(super) fn of(nodes: &[Vantage], drafts: &[Draft]) -> Self {
        let mut sent: Vec<Vec<Sent>> = vec![Vec::new(); nodes.len()];
        for draft in drafts {
            // a reset makes no mapping
            if draft.protocol == "icmp"
                || matches!(draft.key, Key::Tcp(_, _, _, flags) if flags & RST != 0)
            {
                continue;
            }
            for pair in draft.passes.windows(2) {
                let [before, after] = pair else { continue };
                if before.node == after.node
                    && (before.direction, after.direction) == (Direction::In, Direction::Out)
                    && before.interface != after.interface
                {
                    sent[before.node].push(Sent {
                        at_ns: after.at_ns,
                        protocol: draft.protocol,
                        host: draft.passes[0].node,
                        inside: before.src,
                        outside: after.src,
                        remote: after.dst,
                    });
                }
            }
        }
        for sent in &mut sent {
            sent.sort_by_key(|sent| sent.at_ns);
        }
        History(sent)
    }

    /// What this node let out before a time, oldest first.
    pub(super) fn before(
        &self,
        node: usize,
        protocol: &str,
        at_ns: u64,
    ) -> impl Iterator<Item = &Sent> {
        self.0[node]
            .iter()
            .take_while(move |sent| sent.at_ns < at_ns)
            .filter(move |sent| sent.protocol == protocol)
    }
}

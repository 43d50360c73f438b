//! Attempts by TCP: the endpoint introduces, and the driver runs an agent of
//! [`crate::tcp`].

use std::net::SocketAddr;
use std::time::Instant;

use super::start::Introduction;
use super::{Endpoint, Event};
use crate::candidate::Tcp;
use crate::cause::{Cause, Who};
use crate::client::Introduced;
use crate::tcp::{Config, Observed};
use nat::plan::{Plan, Strategy};

/// An attempt by TCP that is to begin now.
#[derive(Debug)]
pub struct ByTcp {
    /// The peer's name.
    pub peer: String,
    config: Config,
    ours: Tcp,
    theirs: Tcp,
}

impl ByTcp {
    /// What [`crate::tcp::Agent::new`] starts from.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Why the attempt failed, from what its agent observed.
    pub fn cause(&self, observed: &Observed) -> Cause {
        Cause::of_tcp(&self.peer, (&self.ours, &self.theirs), observed)
    }
}

impl Endpoint {
    /// Whether an attempt by TCP is to begin. Its first SYN must leave before what
    /// `poll_transmit` yields, which invites the peer's.
    pub fn has_tcp(&self) -> bool {
        !self.by_tcp.is_empty()
    }

    /// The next attempt by TCP, after its [`Event::Introduced`].
    pub fn poll_tcp(&mut self) -> Option<ByTcp> {
        self.by_tcp.pop_front()
    }

    /// Our addresses by TCP have changed. Peers that are introduced from now on
    /// are told.
    pub fn offer_tcp(&mut self, tcp: Tcp) {
        self.ourselves.set_tcp(tcp);
    }

    pub(super) fn start_tcp(&mut self, now: Instant, introduction: Introduction) {
        let plan = Plan::plain(Strategy::Unknown, 0.0);
        self.events.push_back(introduction.event(plan));
        let (role, theirs) = (introduction.role, introduction.theirs);
        let Introduced {
            peer,
            address,
            keys,
            ..
        } = introduction.introduced;
        let targets = theirs.tcp_targets(address.ip());
        let (Some(ours), Some(theirs)) = (self.ourselves.tcp().cloned(), theirs.tcp) else {
            let tcp = match self.ourselves.tcp() {
                Some(_) => Who::We,
                None => Who::Peer,
            };
            let of = peer.clone();
            let cause = Cause::TransportMismatch { peer: of, tcp };
            return self.events.push_back(Event::Failed { peer, cause });
        };
        tracing::debug!(peer, ?role, ?targets, "attempt by TCP begins");
        let own = ours.mapped.first().map(SocketAddr::ip);
        let config = Config {
            role,
            keys,
            lan_likely: own == Some(address.ip()) && targets.len() > 1,
            targets,
            deadline: now + self.timeout,
            seed: self.seed(),
        };
        self.by_tcp.push_back(ByTcp {
            peer,
            config,
            ours,
            theirs,
        });
    }
}

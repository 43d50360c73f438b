//! Attempts by TCP: the endpoint introduces, and the driver runs an agent of
//! [`crate::tcp`]. TCP alone is used, or TCP beside UDP where that finds no direct path.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ourselves::TcpToo;
use super::start::Introduction;
use super::{Endpoint, Event};
use crate::candidate::Tcp;
use crate::cause::{Cause, Who};
use crate::client::{Introduced, Relation};
use crate::tcp::{Config, Observed};
use nat::plan::{Plan, Role, Strategy};
use session::seal::Keys;

/// How long UDP has for a direct path before TCP is wanted.
const TCP_AFTER: Duration = Duration::from_secs(1);

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
    /// An attempt with that peer, where both have told each other these addresses.
    pub fn new(peer: &str, config: Config, ours: Tcp, theirs: Tcp) -> ByTcp {
        ByTcp {
            peer: peer.to_owned(),
            config,
            ours,
            theirs,
        }
    }

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

    /// Where peers reach us by TCP beside UDP, or that they do not (`None`): it is wanted again
    /// then where UDP does not find a direct path. Peers that are introduced from now on are told.
    pub fn offer_tcp_too(&mut self, tcp: Option<Tcp>) {
        if *self.ourselves.tcp_too() != TcpToo::No {
            self.ourselves
                .set_tcp_too(tcp.map_or(TcpToo::Unasked, TcpToo::Known));
        }
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
        let config = self.tcp_config(now, role, keys, (&ours, address, targets));
        self.by_tcp
            .push_back(ByTcp::new(&peer, config, ours, theirs));
    }

    /// An attempt by TCP beside the one by UDP, if both sides have told each other where they
    /// are reached; else TCP is wanted for the next introduction, if UDP does not find a direct
    /// path soon. A stranger is not connected to.
    pub(super) fn start_tcp_too(&mut self, now: Instant, introduction: &Introduction) {
        if introduction.relation == Relation::Stranger {
            return;
        }
        let address = introduction.introduced.address;
        let (ours, theirs) = match (self.ourselves.tcp_too(), &introduction.theirs.tcp_too) {
            (TcpToo::Known(ours), Some(theirs)) if introduction.told_tcp => {
                (ours.clone(), theirs.clone())
            }
            (TcpToo::Unasked, theirs) => {
                // A caller that tells of TCP has found no other path before.
                let at = match theirs {
                    Some(_) => now,
                    None => now + TCP_AFTER,
                };
                self.tcp_wanted_at = Some(self.tcp_wanted_at.map_or(at, |other| other.min(at)));
                return;
            }
            _ => return,
        };
        let targets = introduction.theirs.tcp_targets(address.ip());
        let (role, peer) = (introduction.role, introduction.introduced.peer.clone());
        tracing::debug!(
            peer,
            ?role,
            ?targets,
            "attempt by TCP begins beside that by UDP"
        );
        let keys = introduction.introduced.keys.clone();
        let config = self.tcp_config(now, role, keys, (&ours, address, targets));
        // One attempt with each peer: the last one.
        self.by_tcp.retain(|waiting| waiting.peer != peer);
        self.by_tcp
            .push_back(ByTcp::new(&peer, config, ours, theirs));
    }

    /// There is still no direct path: TCP is wanted.
    pub(super) fn want_tcp(&mut self) {
        if *self.ourselves.tcp_too() == TcpToo::Unasked && self.attempts.lack_direct_path() {
            self.ourselves.set_tcp_too(TcpToo::Asked);
            self.events.push_back(Event::TcpWanted);
        }
    }

    fn tcp_config(
        &mut self,
        now: Instant,
        role: Role,
        keys: Keys,
        (ours, address, targets): (&Tcp, SocketAddr, Vec<SocketAddr>),
    ) -> Config {
        let own = ours.mapped.first().map(SocketAddr::ip);
        Config {
            role,
            keys,
            lan_likely: own == Some(address.ip()) && targets.len() > 1,
            targets,
            deadline: now + self.timeout,
            seed: self.seed(),
        }
    }
}

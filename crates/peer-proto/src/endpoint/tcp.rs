//! Attempts by TCP: the endpoint introduces, and leaves the rest to
//! [`crate::tcp`].

use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::rand_core::RngCore;

use super::{Endpoint, Event};
use crate::candidate::{Candidates, Tcp};
use crate::cause::{Cause, Who};
use crate::tcp::{Config, Observed};
use nat::plan::Role;
use nat::plan::{Plan, Strategy};
use session::identity::PublicKey;
use session::seal::Keys;

/// An attempt by TCP, to be made now.
#[derive(Debug)]
pub struct ByTcp {
    /// The peer's name.
    pub peer: String,
    config: Config,
    ours: Tcp,
    theirs: Tcp,
}

impl ByTcp {
    /// What [`crate::tcp::Agent::new`] wants to know.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Why it failed.
    pub fn cause(&self, observed: &Observed) -> Cause {
        Cause::of_tcp(&self.peer, (&self.ours, &self.theirs), observed)
    }
}

impl Endpoint {
    /// Whether an attempt by TCP waits to be begun: its first SYN is to leave
    /// before what [`Endpoint::poll_transmit`] holds, which invites the peer's.
    pub fn has_tcp(&self) -> bool {
        !self.by_tcp.is_empty()
    }

    /// The next attempt to be made by TCP, after its [`Event::Introduced`].
    pub fn poll_tcp(&mut self) -> Option<ByTcp> {
        self.by_tcp.pop_front()
    }

    /// Another address by TCP than when we started.
    pub fn offer_tcp(&mut self, tcp: Tcp) {
        self.tcp = Some(tcp);
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn start_tcp(
        &mut self,
        now: Instant,
        role: Role,
        peer: String,
        key: PublicKey,
        address: SocketAddr,
        theirs: Candidates,
        keys: Keys,
    ) {
        self.events.push_back(Event::Introduced {
            peer: peer.clone(),
            key,
            address,
            role,
            plan: Plan::plain(Strategy::Unknown, 0.0),
        });
        let targets = theirs.tcp_targets(address.ip());
        let (Some(ours), Some(theirs)) = (self.tcp.clone(), theirs.tcp) else {
            let cause = Cause::TransportMismatch {
                peer: peer.clone(),
                tcp: match self.tcp {
                    Some(_) => Who::We,
                    None => Who::Peer,
                },
            };
            return self.events.push_back(Event::Failed { peer, cause });
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let own = ours.mapped.first().map(SocketAddr::ip);
        let config = Config {
            role,
            keys,
            lan_likely: own == Some(address.ip()) && targets.len() > 1,
            targets,
            deadline: now + self.patience,
            seed,
        };
        self.by_tcp.push_back(ByTcp {
            peer,
            config,
            ours,
            theirs,
        });
    }
}

//! Callers that are not known: the user is asked, and answers.

use std::net::SocketAddr;
use std::time::Instant;

use nat::plan::Role;
use session::identity::PublicKey;

use super::Hub;
use super::callers::Told;
use super::peers::MOST_PEERS;
use crate::notice::Notice;

impl Hub {
    /// A stranger calls, or is in a room with us.
    pub(super) fn asked(
        &mut self,
        now: Instant,
        name: &str,
        key: PublicKey,
        from: Option<SocketAddr>,
    ) {
        for gone in self.callers.forget_gone(now) {
            self.forget_caller(&gone);
        }
        match self.callers.call(now, name, key, from) {
            Told::Nothing => {}
            Told::More(callers) => self.user.tell(Notice::AsksMore(callers)),
            Told::Caller => {
                self.user.learn_name(name);
                let peer = name.to_owned();
                self.user.tell(Notice::Asks { peer, key });
            }
        }
    }

    /// Whether a caller that has this number as its name waits, and no such offer does.
    pub(super) fn waits(&self, number: u64) -> bool {
        !self.transfers.offers.contains(number) && self.callers.contains(&number.to_string())
    }

    /// The user wants to talk to a caller: it is called back. Lines go where they went.
    pub(super) fn admit(&mut self, now: Instant, name: &str) {
        let Some((key, called)) = self.take_caller(name) else {
            return;
        };
        match called {
            true => self.network.endpoint.admit(name, key),
            // It was not told to wait: if both call at once, either call may count.
            false => self.network.endpoint.trust(name, key),
        }
        let Some(peer) = self.entry(name) else {
            return self.user.problem(format!(
                "not connected: there are {MOST_PEERS} conversations already"
            ));
        };
        peer.contact.role = Role::Caller;
        peer.conversation.open(now);
    }

    /// The user does not want to talk to a caller.
    pub(super) fn reject(&mut self, name: &str) {
        let Some((key, _)) = self.take_caller(name) else {
            return;
        };
        self.network.endpoint.reject(key);
        self.room_rejected(name, key);
        self.forget_caller(name);
        let peer = name.to_owned();
        self.user.tell(Notice::Rejected { peer });
    }

    fn take_caller(&mut self, name: &str) -> Option<(PublicKey, bool)> {
        let caller = self.callers.take(name);
        if caller.is_none() {
            self.user.problem(format!(
                "no caller of the name {name} waits; type /peers for a list"
            ));
        }
        caller
    }

    /// A caller waits no longer.
    fn forget_caller(&self, name: &str) {
        if !self.peers.contains(name) && !self.keyring.knows(name) {
            self.user.forget_name(name);
        }
    }
}

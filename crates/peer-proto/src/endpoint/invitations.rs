//! Which peers are answered: who is known is decided here, and invitations wait here.

use std::collections::{BTreeSet, HashMap};

use super::types::Strangers;
use crate::client::{Invitation, Relation};
use sansio::Prefix;
use session::identity::PublicKey;

/// Invitations that wait until we know what to answer, at most.
const MOST_HELD: usize = 16;

/// Of these, invitations of strangers.
const MOST_OF_STRANGERS: usize = 4;

/// Of these, invitations of one /24 or /48.
const MOST_OF_PREFIX: usize = 2;

#[derive(Debug)]
pub(super) struct Invitations {
    /// Our key.
    key: PublicKey,
    /// The only peer that is answered.
    only: Option<String>,
    /// The keys that are known.
    known: HashMap<String, PublicKey>,
    /// The peers that we have named: whom we call, and whom we wait for.
    named: BTreeSet<String>,
    strangers: Strangers,
    /// The strangers that the user does not want to talk to.
    rejected: BTreeSet<PublicKey>,
    /// The peers that were told to wait and that we call now: our call counts.
    insisted: BTreeSet<String>,
    held: Vec<Invitation>,
}

impl Invitations {
    pub(super) fn new(
        key: PublicKey,
        only: Option<String>,
        known: HashMap<String, PublicKey>,
        strangers: Strangers,
    ) -> Self {
        Self {
            key,
            named: only.iter().cloned().collect(),
            only,
            known,
            strangers,
            rejected: BTreeSet::new(),
            insisted: BTreeSet::new(),
            held: Vec::new(),
        }
    }

    /// Whether we know the peer that has this name and this key.
    pub(super) fn relation(&self, peer: &str, key: &PublicKey) -> Relation {
        let known = match self.known.get(peer) {
            Some(known) => known == key,
            None => self.named.contains(peer),
        };
        match known {
            true => Relation::Known,
            false => Relation::Stranger,
        }
    }

    /// Nobody else is answered.
    pub(super) fn answer_only(&mut self, peer: &str) {
        self.only = Some(peer.to_owned());
    }

    /// We call this peer, or wait for it.
    pub(super) fn name(&mut self, peer: &str) {
        self.named.insert(peer.to_owned());
    }

    /// The user wants to talk to this stranger.
    pub(super) fn admit(&mut self, peer: &str, key: PublicKey) {
        self.rejected.remove(&key);
        self.trust(peer, key);
        self.insisted.insert(peer.to_owned());
    }

    /// The user does not want to talk to this stranger.
    pub(super) fn reject(&mut self, key: PublicKey) {
        self.rejected.insert(key);
    }

    pub(super) fn is_rejected(&self, key: &PublicKey) -> bool {
        self.rejected.contains(key)
    }

    /// Whether the user is asked before a stranger is answered.
    pub(super) fn asks(&self) -> bool {
        self.strangers == Strangers::Ask
    }

    /// Keeps an invitation, in place of a stranger's if need be. What has no room is
    /// returned: it has to be refused.
    pub(super) fn hold(&mut self, invitation: Invitation) -> Option<Invitation> {
        let full = self.held.len() >= MOST_HELD;
        match self.relation(&invitation.caller, &invitation.key) {
            Relation::Known if full => {
                let Some(stranger) = self.held.iter().rposition(|held| self.is_strange(held))
                else {
                    return Some(invitation);
                };
                let evicted = self.held.remove(stranger);
                self.held.push(invitation);
                Some(evicted)
            }
            Relation::Stranger if full || !self.has_share(&invitation) => Some(invitation),
            Relation::Known | Relation::Stranger => {
                self.held.push(invitation);
                None
            }
        }
    }

    fn is_strange(&self, held: &Invitation) -> bool {
        self.relation(&held.caller, &held.key) == Relation::Stranger
    }

    /// Whether strangers, and those of that prefix, have room for one more.
    fn has_share(&self, invitation: &Invitation) -> bool {
        let prefix = |held: &Invitation| Prefix::of(held.address.ip());
        let strangers = self.held.iter().filter(|held| self.is_strange(held));
        let of_prefix = strangers
            .clone()
            .filter(|held| prefix(held) == prefix(invitation));
        strangers.count() < MOST_OF_STRANGERS && of_prefix.count() < MOST_OF_PREFIX
    }

    /// All that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Invitation> {
        self.held.iter()
    }

    /// It has to wait longer.
    pub(super) fn put_back(&mut self, invitation: Invitation) {
        self.held.push(invitation);
    }

    /// All that wait, those of known peers first.
    pub(super) fn take(&mut self) -> Vec<Invitation> {
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|held| self.relation(&held.caller, &held.key));
        held
    }

    pub(super) fn trust(&mut self, peer: &str, key: PublicKey) {
        self.known.insert(peer.to_owned(), key);
    }

    /// The key that is known for that peer, if it is another one than this.
    pub(super) fn known_other(&self, peer: &str, key: &PublicKey) -> Option<PublicKey> {
        self.known.get(peer).copied().filter(|known| known != key)
    }

    /// Whether a peer of this name is answered at all.
    pub(super) fn is_wanted(&self, caller: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == caller)
    }

    /// Where each side has called the other, the call of the side with the smaller
    /// key counts, as both sides can tell; but not against a side that was told to
    /// wait and is now called back.
    pub(super) fn our_call_counts(&self, peer: &str, theirs: &PublicKey) -> bool {
        self.insisted.contains(peer) || self.key < *theirs
    }

    /// Our call to that peer has ended.
    pub(super) fn call_ended(&mut self, peer: &str) {
        self.insisted.remove(peer);
    }
}

//! Which peers are answered: invitations wait here, and keys are compared here.

use std::collections::HashMap;

use crate::client::Invitation;
use session::identity::PublicKey;

/// Invitations that wait until we know what to answer, at most.
const MOST_HELD: usize = 16;

#[derive(Debug)]
pub(super) struct Invitations {
    /// Our key.
    key: PublicKey,
    /// The only peer that is answered.
    only: Option<String>,
    /// The keys that are known.
    known: HashMap<String, PublicKey>,
    held: Vec<Invitation>,
}

impl Invitations {
    pub(super) fn new(
        key: PublicKey,
        only: Option<String>,
        known: HashMap<String, PublicKey>,
    ) -> Self {
        Self {
            key,
            only,
            known,
            held: Vec::new(),
        }
    }

    pub(super) fn hold(&mut self, invitation: Invitation) {
        if self.held.len() < MOST_HELD {
            self.held.push(invitation);
        } else {
            tracing::debug!(
                caller = invitation.caller,
                "dropped: too many invitations wait"
            );
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Invitation> {
        std::mem::take(&mut self.held)
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
    /// key counts, as both sides can tell.
    pub(super) fn our_call_counts(&self, theirs: &PublicKey) -> bool {
        self.key < *theirs
    }
}

//! Which callers are looked into, and what the user decides about them.

use std::time::Instant;

use stun::code;

use super::{Endpoint, Event};
use crate::client::{Invitation, Notification, Relation};
use session::identity::PublicKey;

impl Endpoint {
    /// This is the peer's key from now on.
    pub fn trust(&mut self, peer: &str, key: PublicKey) {
        self.invitations.trust(peer, key);
    }

    /// The user wants to talk to a stranger that has called
    /// ([`Event::Asking`]): this is the peer's key from now on. Call it: it has been
    /// refused, and will not call again at once.
    pub fn admit(&mut self, peer: &str, key: PublicKey) {
        self.invitations.admit(peer, key);
    }

    /// The user does not want to talk to a stranger with this key, which is not told
    /// so.
    pub fn reject(&mut self, key: PublicKey) {
        self.invitations.reject(key);
    }

    /// From now on only this peer is answered.
    pub fn answer_only(&mut self, peer: &str) {
        self.invitations.answer_only(peer);
    }

    /// Opens what a caller has sealed for us, or refuses it.
    pub(super) fn notified(&mut self, now: Instant, call: &Notification) {
        let (caller, key) = (&call.caller, &call.key);
        self.follow(caller, *key, call.rotation);
        if let Some(known) = self.invitations.known_other(caller, key) {
            let reports = self.admission.reports_change(now, caller);
            // What does not open is refused there.
            if !reports || self.client.open(now, call, Relation::Stranger).is_some() {
                self.refuse(now, call, Relation::Stranger, code::FORBIDDEN);
                if reports {
                    self.key_changed(caller.clone(), known, *key);
                }
            }
            return;
        }
        let relation = self.invitations.relation(caller, key);
        if let Some(code) = self.turned_away(now, call, relation) {
            return self.refuse(now, call, relation, code);
        }
        let Some(invitation) = self.client.open(now, call, relation) else {
            return;
        };
        if relation == Relation::Stranger && self.invitations.asks() {
            self.events.push_back(Event::Asking {
                peer: caller.clone(),
                key: *key,
                address: call.address,
            });
            return self.refuse(now, call, relation, code::USER_ASKED);
        }
        if let Some(refused) = self.invitations.hold(invitation) {
            self.refuse_busy(now, &refused, "too many invitations wait");
        }
    }

    /// With which code a call is refused before it is opened, if it is.
    fn turned_away(
        &mut self,
        now: Instant,
        call: &Notification,
        relation: Relation,
    ) -> Option<u16> {
        if !self.invitations.is_wanted(&call.caller) {
            return Some(code::BUSY);
        }
        if relation == Relation::Stranger {
            if self.invitations.is_rejected(&call.key) {
                return Some(code::USER_ASKED);
            }
            let asks = self.invitations.asks();
            let address = call.address.ip();
            if !asks && !self.attempts.has_room_for(&call.caller, relation, address) {
                return Some(code::BUSY);
            }
        }
        let admitted = self.admission.admits(now, call, relation);
        (!admitted).then_some(code::BUSY)
    }

    fn refuse(&mut self, now: Instant, call: &Notification, relation: Relation, code: u16) {
        tracing::debug!(caller = call.caller, address = %call.address, code, "refused");
        self.client.refuse(now, call.transaction, relation, code);
    }

    /// Refuses an invitation that was opened.
    pub(super) fn refuse_busy(&mut self, now: Instant, invitation: &Invitation, why: &str) {
        let (caller, key) = (&invitation.caller, &invitation.key);
        tracing::debug!(caller, why, "refused: busy");
        let relation = self.invitations.relation(caller, key);
        self.client
            .refuse(now, invitation.transaction, relation, code::BUSY);
    }
}

//! Peers are looked up, and introductions asked for.

use std::time::Instant;

use stun::{Message, code};

use super::pending::{ASK_AGAIN, Asking, Outcome, Standing};
use super::{Client, Event};
use session::seal::Offer;

impl Client {
    pub(super) fn standing(&self) -> Standing {
        if self.registration.mapped.is_some() {
            Standing::Registered
        } else if self.requests.has_cookie() {
            Standing::Cookie
        } else {
            Standing::Unknown
        }
    }

    /// Sends every pending request whose time has come.
    pub(super) fn ask(&mut self, now: Instant) {
        while let Some((peer, wish)) = self.pending.next_due(now, self.standing()) {
            match self.requests.of(now, &wish, &peer) {
                Some((transaction, request, offer)) => {
                    let exchange = self.send(now, transaction, request);
                    self.pending.asked(&peer, Asking { exchange, offer });
                }
                None => self.unavailable(peer, code::FORBIDDEN),
            }
        }
    }

    pub(super) fn pending_answered(
        &mut self,
        now: Instant,
        peer: &str,
        offer: Option<Offer>,
        message: &Message<'_>,
    ) {
        if self.requests.catch_up(now, message) {
            self.pending.ask_again(peer, now);
            return self.ask(now);
        }
        if let Some(error) = message.error() {
            let stale = error == code::STALE_OFFER;
            if self.pending.look_up_again(peer, stale) {
                self.pending.ask_again(peer, now);
                return self.ask(now);
            }
            match error {
                code::BUSY | code::USER_ASKED => self.pending.ask_busy_again(peer, now),
                _ => self.pending.ask_again(peer, now + ASK_AGAIN),
            }
            return self.unavailable(peer.to_owned(), error);
        }
        match self.pending.outcome(now, peer, offer, message) {
            Outcome::Event(event) => {
                self.pending.remove(peer);
                self.events.push_back(*event);
            }
            Outcome::Offer => {
                self.pending.ask_again(peer, now);
                self.ask(now);
            }
            Outcome::Nothing => {
                // No key, or not the key that was sealed to: start over.
                self.pending.look_up_again(peer, false);
                self.pending.ask_again(peer, now + ASK_AGAIN);
                self.unavailable(peer.to_owned(), code::FORBIDDEN);
            }
        }
    }

    fn unavailable(&mut self, peer: String, code: u16) {
        tracing::debug!(peer, code, "peer unavailable");
        self.events.push_back(Event::PeerUnavailable { peer, code });
    }
}

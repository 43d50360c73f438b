//! What we want of a name: its key, then an introduction to its owner.

use super::*;

impl Client {
    pub(super) fn request_of(&mut self, now: Instant, peer: &str, wish: Wish) {
        self.forget(peer);
        self.pending.push(Pending {
            peer: peer.to_owned(),
            wish,
            ask_at: Some(now),
            asking: None,
        });
        self.ask(now);
    }

    /// A lookup needs a cookie, an introduction a registration.
    pub(super) fn may_ask(&self, wish: &Wish) -> bool {
        match wish {
            Wish::Lookup => self.cookie.is_some(),
            Wish::Connect { .. } => self.mapped.is_some(),
        }
    }

    /// Sends every request whose time has come and that has what it needs.
    pub(super) fn ask(&mut self, now: Instant) {
        for index in 0..self.pending.len() {
            let pending = &self.pending[index];
            let due = pending.ask_at.is_some_and(|at| at <= now);
            if due && pending.asking.is_none() && self.may_ask(&pending.wish) {
                let (peer, wish) = (pending.peer.clone(), pending.wish.clone());
                let asking = self.send_wish(now, &peer, &wish);
                let pending = &mut self.pending[index];
                pending.ask_at = None;
                pending.asking = asking;
            }
        }
    }

    pub(super) fn send_wish(
        &mut self,
        now: Instant,
        peer: &str,
        wish: &Wish,
    ) -> Option<(Exchange, Option<Offer>)> {
        let Wish::Connect { key, payload } = wish else {
            let (transaction, request) = self.request(Method::Lookup);
            let exchange = self.exchange(now, transaction, request.peer_name(peer));
            return Some((exchange, None));
        };
        let (transaction, request) = self.request(Method::Connect);
        let names = Names {
            caller: &self.config.name,
            target: peer,
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let Ok((offer, seal)) = Offer::new(&self.config.identity, key, names, payload, seed) else {
            self.unavailable(peer, code::FORBIDDEN);
            return None;
        };
        self.config.sequence += 1;
        let request = request
            .name(&self.config.name)
            .peer_name(peer)
            .sequence(self.config.sequence)
            .seal(&seal)
            .sign(|part| self.config.identity.sign(part));
        let exchange = self.exchange(now, transaction, request);
        Some((exchange, Some(offer)))
    }

    pub(super) fn unavailable(&mut self, peer: &str, code: u16) {
        let peer = peer.to_owned();
        self.events.push_back(Event::PeerUnavailable { peer, code });
    }

    pub(super) fn pending_answered(
        &mut self,
        now: Instant,
        index: usize,
        message: &Message<'_>,
        offer: Option<Offer>,
    ) {
        if self.new_cookie(message) {
            // The registration is as stale as the cookie.
            self.register(now, LIFETIME);
            self.pending[index].ask_at = Some(now);
            return self.ask(now);
        }
        let peer = self.pending[index].peer.clone();
        if let Some(error) = message.error() {
            self.pending[index].ask_at = Some(now + ASK_AGAIN);
            // Two pending requests may bring the same stale cookie: the second is told
            // what the first has learned.
            if !matches!(error, code::UNAUTHENTICATED | code::STALE_NONCE) {
                self.unavailable(&peer, error);
            }
            return;
        }
        let found = match (offer, &self.pending[index].wish) {
            (None, _) => message.public_key().map(|key| Event::Found {
                peer: peer.clone(),
                key,
            }),
            (Some(mut offer), Wish::Connect { key, .. }) => {
                let answer = message.seal().zip(message.peer_address());
                let opened = answer.and_then(|(seal, at)| Some((offer.accept(seal).ok()?, at)));
                opened.map(|((payload, keys), address)| {
                    Event::Introduced(Introduced {
                        peer: peer.clone(),
                        key: *key,
                        address,
                        payload,
                        keys,
                    })
                })
            }
            (Some(_), Wish::Lookup) => None,
        };
        match found {
            Some(event) => {
                self.pending.remove(index);
                self.events.push_back(event);
            }
            None => {
                // Not the key that we sealed to, or no key: start over.
                self.pending[index].ask_at = Some(now + ASK_AGAIN);
                self.unavailable(&peer, code::FORBIDDEN);
            }
        }
    }
}

//! Pending requests: for each name that is asked about, its key is looked up, or
//! an introduction is asked for.

use std::time::{Duration, Instant};

use stun::Message;

use super::exchange::Exchange;
use super::types::{Event, Introduced};
use session::identity::PublicKey;
use session::rotation::Rotation;
use session::seal::Offer;

/// When a name that is not registered, or does not answer, is asked for again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Key,
    Introduction { key: PublicKey, payload: Vec<u8> },
}

/// How far the client has come with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Unknown,
    /// A key may be asked for.
    Cookie,
    /// An introduction may be asked for.
    Registered,
}

/// A request on its way; for an introduction, with what was sealed.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) exchange: Exchange,
    pub(super) offer: Option<Offer>,
}

/// A pending request.
#[derive(Debug)]
struct Pending {
    peer: String,
    wish: Wish,
    /// When to ask next; `None` while a request is on its way.
    ask_at: Option<Instant>,
    asking: Option<Asking>,
}

impl Pending {
    /// When to ask next, if it may be asked.
    fn ask_at(&self, standing: Standing) -> Option<Instant> {
        let needs = match self.wish {
            Wish::Key => Standing::Cookie,
            Wish::Introduction { .. } => Standing::Registered,
        };
        self.ask_at.filter(|_| standing >= needs)
    }
}

/// One for each peer, at most.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    requests: Vec<Pending>,
}

impl PendingRequests {
    /// Replaces what was asked about that peer before.
    pub(super) fn add(&mut self, now: Instant, peer: &str, wish: Wish) {
        self.remove(peer);
        self.requests.push(Pending {
            peer: peer.to_owned(),
            wish,
            ask_at: Some(now),
            asking: None,
        });
    }

    pub(super) fn remove(&mut self, peer: &str) {
        self.requests.retain(|pending| pending.peer != peer);
    }

    fn get_mut(&mut self, peer: &str) -> Option<&mut Pending> {
        self.requests.iter_mut().find(|p| p.peer == peer)
    }

    /// The next peer that is to be asked about, and what is asked.
    pub(super) fn next_due(&mut self, now: Instant, standing: Standing) -> Option<(String, Wish)> {
        let due = |p: &&mut Pending| p.ask_at(standing).is_some_and(|at| at <= now);
        let pending = self.requests.iter_mut().find(due)?;
        pending.ask_at = None;
        Some((pending.peer.clone(), pending.wish.clone()))
    }

    /// The request about that peer is on its way.
    pub(super) fn asked(&mut self, peer: &str, asking: Asking) {
        if let Some(pending) = self.get_mut(peer) {
            pending.asking = Some(asking);
        }
    }

    pub(super) fn ask_again(&mut self, peer: &str, at: Instant) {
        if let Some(pending) = self.get_mut(peer) {
            pending.ask_at = Some(at);
        }
    }

    /// Takes the request that this message answers, and the peer that it is about.
    pub(super) fn answered(&mut self, message: &Message<'_>) -> Option<(String, Asking)> {
        self.requests.iter_mut().find_map(|pending| {
            let answers = |asking: &mut Asking| asking.exchange.is_answered_by(message);
            let asking = pending.asking.take_if(answers)?;
            Some((pending.peer.clone(), asking))
        })
    }

    /// What a success answer about that peer means; `None` if it is not what was
    /// asked for.
    pub(super) fn event(
        &mut self,
        peer: &str,
        offer: Option<Offer>,
        message: &Message<'_>,
    ) -> Option<Event> {
        let (peer, wish) = (peer.to_owned(), &self.get_mut(peer)?.wish);
        match (wish, offer) {
            (Wish::Key, None) => {
                let key = message.public_key()?;
                let rotation = message.rotation().map(Rotation::from_bytes);
                Some(Event::Found {
                    peer,
                    key,
                    rotation,
                })
            }
            (&Wish::Introduction { key, .. }, Some(mut offer)) => {
                let (seal, address) = message.seal().zip(message.peer_address())?;
                let (payload, keys) = offer.accept(seal).ok()?;
                Some(Event::Introduced(Introduced {
                    peer,
                    key,
                    address,
                    payload,
                    keys,
                }))
            }
            _ => None,
        }
    }

    /// The requests that are on their way.
    pub(super) fn exchanges(&mut self) -> impl Iterator<Item = &mut Exchange> {
        let asking = self.requests.iter_mut().filter_map(|p| p.asking.as_mut());
        asking.map(|asking| &mut asking.exchange)
    }

    /// Whether the server owes an answer at once. An introduction is answered only
    /// when the peer has acknowledged, which may take as long as it takes to call
    /// a server silent.
    pub(super) fn is_waiting_for_key(&self) -> bool {
        let waits = |p: &Pending| p.asking.is_some() && matches!(p.wish, Wish::Key);
        self.requests.iter().any(waits)
    }

    pub(super) fn poll_timeout(&self, standing: Standing) -> Option<Instant> {
        let timeouts = self.requests.iter().map(|pending| match &pending.asking {
            Some(asking) => Some(asking.exchange.poll_timeout()),
            None => pending.ask_at(standing),
        });
        timeouts.flatten().min()
    }
}

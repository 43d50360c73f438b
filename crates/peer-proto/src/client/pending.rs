//! Pending requests: for each name that is asked about, its key is looked up, or
//! an introduction is asked for.

use std::time::{Duration, Instant};

use stun::{Message, Transaction};

use super::exchange::Exchange;
use super::types::{Callee, Event, Introduced};
use session::rotation::Rotation;
use session::seal::Offer;

/// When a name that is not registered, or does not answer, is asked for again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long an offer may be made to a callee that was looked up. The callee takes
/// it for longer; it may have come a long way.
const LOOKED_UP: Duration = Duration::from_secs(20);
/// When a peer that is busy is asked for again, and the longest such wait: it doubles
/// each time.
const ASK_BUSY_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_BUSY: Duration = Duration::from_secs(16);

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Key,
    /// The callee is looked up again where `look_up` says so, or when that was
    /// long ago.
    Introduction {
        callee: Callee,
        payload: Vec<u8>,
        look_up: bool,
    },
}

impl Wish {
    /// The callee to whom an offer is to be made; `None` if it has to be looked up.
    pub(super) fn callee(&self, now: Instant) -> Option<(&Callee, &[u8])> {
        match self {
            Wish::Introduction {
                callee,
                payload,
                look_up: false,
            } if now < callee.at + LOOKED_UP => Some((callee, payload)),
            _ => None,
        }
    }
}

/// What follows from an answer about a peer.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What was asked for.
    Event(Box<Event>),
    /// The callee was looked up again: now the offer.
    Offer,
    /// Not what was asked for.
    Nothing,
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
    /// The request before, if what came back asks for another cookie: somebody on
    /// the way may have sent that, and the server's answer follows.
    doubted: Option<Asking>,
    /// The last answer was that the offer is stale.
    stale: bool,
    /// How long to wait when the peer is busy the next time.
    busy: Duration,
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

impl Pending {
    fn found(&mut self, now: Instant, message: &Message<'_>) -> Option<Outcome> {
        let (key, fresh) = (message.public_key()?, message.fresh()?);
        let found = Callee {
            key,
            fresh,
            at: now,
        };
        match &mut self.wish {
            Wish::Introduction {
                callee, look_up, ..
            } if callee.key == key => {
                (*callee, *look_up) = (found, false);
                Some(Outcome::Offer)
            }
            // The payload was for another key.
            _ => Some(Outcome::Event(Box::new(Event::Found {
                peer: self.peer.clone(),
                callee: found,
                rotation: message.rotation().map(Rotation::from_bytes),
            }))),
        }
    }

    fn introduced(&self, mut offer: Offer, message: &Message<'_>) -> Option<Outcome> {
        let Wish::Introduction { callee, .. } = &self.wish else {
            return None;
        };
        let (seal, address) = message.seal().zip(message.peer_address())?;
        let (payload, keys) = offer.accept(seal).ok()?;
        Some(Outcome::Event(Box::new(Event::Introduced(Introduced {
            peer: self.peer.clone(),
            key: callee.key,
            address,
            payload,
            keys,
        }))))
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
            doubted: None,
            stale: false,
            busy: ASK_BUSY_AGAIN,
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

    /// The callee is looked up again before the next offer. Returns whether that
    /// is worth doing at once: the offer was stale, and the one before was not.
    pub(super) fn look_up_again(&mut self, peer: &str, is_stale: bool) -> bool {
        let Some(pending) = self.get_mut(peer) else {
            return false;
        };
        if let Wish::Introduction { look_up, .. } = &mut pending.wish {
            *look_up = true;
        }
        let was_stale = std::mem::replace(&mut pending.stale, is_stale);
        is_stale && !was_stale
    }

    /// The peer is busy: it is asked again later each time.
    pub(super) fn ask_busy_again(&mut self, peer: &str, now: Instant) {
        if let Some(pending) = self.get_mut(peer) {
            pending.ask_at = Some(now + pending.busy);
            pending.busy = LONGEST_BUSY.min(pending.busy * 2);
        }
    }

    /// The request with that transaction.
    pub(super) fn request(&self, transaction: Transaction) -> Option<&Exchange> {
        let both = self
            .requests
            .iter()
            .flat_map(|p| p.asking.iter().chain(&p.doubted));
        let mut exchanges = both.map(|asking| &asking.exchange);
        exchanges.find(|exchange| exchange.transaction() == transaction)
    }

    /// The request with that transaction, if it is on its way.
    pub(super) fn on_its_way(&self, transaction: Transaction) -> Option<&Exchange> {
        let asking = self.requests.iter().filter_map(|p| p.asking.as_ref());
        let mut exchanges = asking.map(|asking| &asking.exchange);
        exchanges.find(|exchange| exchange.transaction() == transaction)
    }

    /// Takes the request with that transaction, which the server has answered: the
    /// peer that it is about, and what was sealed.
    pub(super) fn take(&mut self, transaction: Transaction) -> Option<(String, Option<Offer>)> {
        let asks = |asking: &mut Asking| asking.exchange.transaction() == transaction;
        self.requests.iter_mut().find_map(|pending| {
            let asking = pending.asking.take_if(asks);
            let asking = asking.or_else(|| pending.doubted.take_if(asks))?;
            (pending.asking, pending.doubted, pending.ask_at) = (None, None, None);
            Some((pending.peer.clone(), asking.offer))
        })
    }

    /// What came back for the request with that transaction asks for another
    /// cookie. Returns the peer that is to be asked about again.
    pub(super) fn doubt(&mut self, transaction: Transaction) -> Option<String> {
        let asks = |asking: &mut Asking| asking.exchange.transaction() == transaction;
        self.requests.iter_mut().find_map(|pending| {
            pending.doubted = Some(pending.asking.take_if(asks)?);
            Some(pending.peer.clone())
        })
    }

    /// What a success answer about that peer means.
    pub(super) fn outcome(
        &mut self,
        now: Instant,
        peer: &str,
        offer: Option<Offer>,
        message: &Message<'_>,
    ) -> Outcome {
        let Some(pending) = self.get_mut(peer) else {
            return Outcome::Nothing;
        };
        let outcome = match offer {
            None => pending.found(now, message),
            Some(offer) => pending.introduced(offer, message),
        };
        outcome.unwrap_or(Outcome::Nothing)
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
        let looks_up = |asking: &Asking| asking.offer.is_none();
        let mut asking = self
            .requests
            .iter()
            .flat_map(|p| p.asking.iter().chain(&p.doubted));
        asking.any(looks_up)
    }

    pub(super) fn poll_timeout(&self, standing: Standing) -> Option<Instant> {
        let timeouts = self.requests.iter().map(|pending| match &pending.asking {
            Some(asking) => Some(asking.exchange.poll_timeout()),
            None => pending.ask_at(standing),
        });
        timeouts.flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callee_whose_offers_are_stale_is_looked_up_at_once_and_then_at_leisure() {
        let (now, mut pending) = (Instant::now(), PendingRequests::default());
        let callee = Callee {
            key: [1; 32],
            fresh: [2; 8],
            at: now,
        };
        let wish = Wish::Introduction {
            callee,
            payload: vec![3],
            look_up: false,
        };
        pending.add(now, "bob", wish);
        let next = |pending: &mut PendingRequests| {
            pending.ask_again("bob", now);
            let (_, wish) = pending.next_due(now, Standing::Registered).unwrap();
            wish.callee(now).is_some()
        };
        assert!(next(&mut pending), "an offer");
        for (stale, at_once) in [
            (true, true),
            (true, false),
            (true, false),
            (false, false),
            (true, true),
        ] {
            assert_eq!(pending.look_up_again("bob", stale), at_once);
            assert!(!next(&mut pending), "first the lookup");
        }
        assert!(!pending.look_up_again("carol", true));
    }
}

//! The state of our registration.

use std::net::SocketAddr;
use std::time::Instant;

use stun::Transaction;

use super::exchange::Exchange;

#[derive(Debug)]
pub(super) struct Registration {
    /// The request that is on its way.
    pub(super) exchange: Option<Exchange>,
    /// The request before, where its answer has not come: somebody on the way may
    /// have asked for another cookie, and the server's answer follows.
    before: Option<Exchange>,
    pub(super) refresh_at: Option<Instant>,
    /// Where the server sees us.
    pub(super) mapped: Option<SocketAddr>,
    /// We have changed our network since the server last saw us.
    pub(super) roamed: bool,
    /// The server's other address, as it was told.
    other: Option<SocketAddr>,
    /// That the server wants a proof of work has been told.
    pub(super) work_told: bool,
    /// Credentials for the relay are wanted.
    relay: bool,
    /// When to ask for credentials again.
    pub(super) credentials_at: Option<Instant>,
}

impl Registration {
    pub(super) fn new(relay: bool) -> Self {
        Self {
            exchange: None,
            before: None,
            refresh_at: None,
            mapped: None,
            roamed: false,
            other: None,
            work_told: false,
            relay,
            credentials_at: None,
        }
    }

    /// Sealing credentials costs the server much, so they are not asked for every
    /// time.
    pub(super) fn wants_credentials(&self, now: Instant) -> bool {
        self.relay && self.credentials_at.is_none_or(|at| at <= now)
    }

    /// The request with that transaction.
    pub(super) fn request(&self, transaction: Transaction) -> Option<&Exchange> {
        let mut both = self.exchange.iter().chain(&self.before);
        both.find(|exchange| exchange.transaction() == transaction)
    }

    /// The request with that transaction, if it is on its way.
    pub(super) fn on_its_way(&self, transaction: Transaction) -> Option<&Exchange> {
        let exchange = self.exchange.as_ref();
        exchange.filter(|exchange| exchange.transaction() == transaction)
    }

    /// The request with that transaction, which the server has answered.
    pub(super) fn take(&mut self, transaction: Transaction) -> Option<Exchange> {
        self.request(transaction)?;
        let both = [self.exchange.take(), self.before.take()];
        let mut both = both.into_iter().flatten();
        both.find(|exchange| exchange.transaction() == transaction)
    }

    /// That request is on its way now.
    pub(super) fn sent(&mut self, exchange: Exchange) {
        self.before = self.exchange.replace(exchange);
    }

    /// The server's other address; true if it is news. What may come from anybody
    /// counts only where nothing is known.
    pub(super) fn other_address(&mut self, other: SocketAddr, proved: bool) -> bool {
        let news = match self.other {
            Some(known) => proved && known != other,
            None => true,
        };
        if news {
            self.other = Some(other);
        }
        news
    }

    /// When the request is to be sent again, or the registration refreshed.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.exchange {
            Some(exchange) => Some(exchange.poll_timeout()),
            None => self.refresh_at,
        }
    }
}

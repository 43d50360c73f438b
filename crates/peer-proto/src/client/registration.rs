//! The state of our registration.

use std::net::SocketAddr;
use std::time::Instant;

use super::exchange::Exchange;

#[derive(Debug)]
pub(super) struct Registration {
    /// The request that is on its way.
    pub(super) exchange: Option<Exchange>,
    pub(super) refresh_at: Option<Instant>,
    /// Where the server sees us.
    pub(super) mapped: Option<SocketAddr>,
    /// The server's other address has been told.
    pub(super) other_told: bool,
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
            refresh_at: None,
            mapped: None,
            other_told: false,
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

    /// When the request is to be sent again, or the registration refreshed.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.exchange {
            Some(exchange) => Some(exchange.poll_timeout()),
            None => self.refresh_at,
        }
    }
}

//! Our name is registered, and stays so.

use std::time::{Duration, Instant};

use stun::{Class, Message, code};

use super::pending::ASK_AGAIN;
use super::requests::Register;
use super::{Client, Event, REFRESH};
use session::name::LIFETIME;

impl Client {
    pub(super) fn register(&mut self, now: Instant, lifetime: Duration) {
        let fresh = self.requests.draw_fresh();
        self.offers.turn(now, fresh);
        let (transaction, request) = self.requests.register(Register {
            lifetime,
            credentials: self.registration.wants_credentials(now),
            fresh,
        });
        let exchange = self.send(now, transaction, request);
        self.registration.sent(exchange);
    }

    pub(super) fn registration_answered(&mut self, now: Instant, message: &Message<'_>) {
        if let Some(other) = message.other_address() {
            self.other_address(other, true);
        }
        if self.requests.catch_up(now, message) {
            tracing::debug!("the server has seen a later SEQUENCE of our key");
            return self.register(now, LIFETIME);
        }
        if let Some(bits) = self.requests.work_wanted(message) {
            return self.begin_work(now, bits);
        }
        match (message.class(), message.mapped(), message.error()) {
            (Class::Success, Some(mapped), _) => {
                self.registration.work_told = false;
                self.registration.roamed = false;
                self.registration.refresh_at = Some(now + REFRESH);
                if self.registration.wants_credentials(now) {
                    self.granted(now, message);
                }
                let before = self.registration.mapped.replace(mapped);
                if before != Some(mapped) {
                    tracing::debug!(%mapped, ?before, "registered");
                    self.events.push_back(Event::Registered { mapped, before });
                }
                self.ask(now);
            }
            (_, _, Some(code)) => {
                tracing::debug!(code, "the server refused the registration");
                self.registration.refresh_at = Some(now + REFRESH);
                self.events.push_back(Event::Refused(code));
            }
            _ => self.registration.refresh_at = Some(now + ASK_AGAIN),
        }
    }

    /// The server registers our name for a proof of work only.
    fn begin_work(&mut self, now: Instant, bits: u8) {
        tracing::debug!(bits, "the server asks for a proof of work");
        if !self.work.begin(now, self.requests.subject(), bits) {
            self.registration.refresh_at = Some(now + REFRESH);
            return self.events.push_back(Event::Refused(code::WORK_REQUIRED));
        }
        self.registration.refresh_at = None;
        if !std::mem::replace(&mut self.registration.work_told, true) {
            self.events.push_back(Event::WorkWanted { bits });
        }
    }

    fn granted(&mut self, now: Instant, message: &Message<'_>) {
        let granted = self.requests.credentials(message);
        let lifetime = granted
            .as_ref()
            .map_or(LIFETIME, |granted| granted.lifetime);
        self.registration.credentials_at = Some(now + lifetime / 2);
        tracing::debug!(
            granted = granted.is_some(),
            ?lifetime,
            "credentials for the relay"
        );
        self.events.push_back(Event::Granted(granted));
    }
}

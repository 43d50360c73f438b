//! The notifications that have come, and our answers, for retransmissions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use stun::{Builder, Message, Transaction, code};

use super::Client;
use super::offers::Admission;
use super::requests::Forbidden;
use super::types::Event;

/// Notifications that are remembered, at most.
const MOST: usize = 16;

/// How long an answer is repeated: the server asks for it for three seconds. A
/// notification that comes later was kept by somebody.
const REPEAT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// There is none: the invitation is not accepted yet, or it is too late.
    None,
    /// This was sent.
    Sent(Vec<u8>),
}

#[derive(Debug)]
struct Notification {
    transaction: Transaction,
    since: Instant,
    answer: Answer,
}

#[derive(Debug, Default)]
pub(super) struct Notifications {
    known: VecDeque<Notification>,
}

impl Notifications {
    /// What is to be answered, if this notification has come before.
    pub(super) fn answer(&self, now: Instant, transaction: Transaction) -> Option<Answer> {
        let mut known = self.known.iter();
        let known = known.find(|known| known.transaction == transaction)?;
        Some(match now < known.since + REPEAT {
            true => known.answer.clone(),
            false => Answer::None,
        })
    }

    pub(super) fn remember(&mut self, now: Instant, transaction: Transaction) {
        self.known.push_front(Notification {
            transaction,
            since: now,
            answer: Answer::None,
        });
        self.known.truncate(MOST);
    }

    pub(super) fn answered(&mut self, transaction: Transaction, answer: Vec<u8>) {
        let mut known = self.known.iter_mut();
        if let Some(known) = known.find(|known| known.transaction == transaction) {
            known.answer = Answer::Sent(answer);
        }
    }
}

impl Client {
    /// The server notifies us, or somebody sends what looks like it.
    pub(super) fn notified(&mut self, now: Instant, message: &Message<'_>) {
        if !self.requests.is_from_our_server(message) {
            return tracing::debug!("dropped: a notification without a cookie of ours");
        }
        if !self.server.has_signed(message) {
            return tracing::debug!("dropped: a notification that the server has not signed");
        }
        let transaction = message.transaction();
        match self.notifications.answer(now, transaction) {
            Some(Answer::Sent(answer)) => return self.transmits.push_back(answer),
            Some(Answer::None) => return,
            None => {}
        }
        let (Some(fresh), Some(offer)) = (message.fresh(), message.seal()) else {
            return tracing::debug!("dropped: a notification that is not complete");
        };
        match self.offers.admit(now, fresh, offer) {
            Admission::Open => {}
            Admission::Stale => {
                tracing::debug!("refused: an offer that is bound to no nonce of ours");
                return self.refuse(now, message, code::STALE_OFFER);
            }
            Admission::Replay => return tracing::debug!("dropped: an offer that is sent again"),
        }
        match self.requests.invitation(message, fresh) {
            Some(Ok(invitation)) => {
                tracing::debug!(caller = invitation.caller, address = %invitation.address, "invitation");
                self.offers.opened(fresh, offer);
                if self.offers.is_full() {
                    self.refresh(now);
                }
                self.notifications.remember(now, transaction);
                let invitation = Event::Invitation(Box::new(invitation));
                self.events.push_back(invitation);
            }
            Some(Err(Forbidden)) => {
                tracing::debug!("refused: an invitation that is not sealed to us");
                self.refuse(now, message, code::FORBIDDEN);
            }
            None => tracing::debug!("dropped: a notification that is not complete"),
        }
    }

    fn refuse(&mut self, now: Instant, notification: &Message<'_>, error: u16) {
        let transaction = notification.transaction();
        self.notifications.remember(now, transaction);
        let answer = Builder::error(notification, error).finish();
        self.answer(transaction, answer);
    }

    pub(super) fn answer(&mut self, transaction: Transaction, answer: Vec<u8>) {
        self.transmits.push_back(answer.clone());
        self.notifications.answered(transaction, answer);
    }
}

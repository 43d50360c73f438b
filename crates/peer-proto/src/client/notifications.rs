//! The notifications that have come, and our answers, for retransmissions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use session::name::valid_name;
use session::rotation::Rotation;
use stun::{Builder, Class, Message, Method, Transaction, code};

use super::Client;
use super::offers::Admission;
use super::requests::Forbidden;
use super::types::{Event, Invitation, Notification, Relation};

/// Notifications of known peers that are remembered, at most.
const MOST_KNOWN: usize = 16;

/// Notifications of strangers that are remembered, at most.
const MOST_STRANGERS: usize = 64;

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
struct Remembered {
    transaction: Transaction,
    since: Instant,
    answer: Answer,
}

#[derive(Debug, Default)]
pub(super) struct Notifications {
    known: VecDeque<Remembered>,
    strangers: VecDeque<Remembered>,
}

impl Notifications {
    /// What is to be answered, if this notification has come before.
    fn answer(&self, now: Instant, transaction: Transaction) -> Option<Answer> {
        let mut all = self.known.iter().chain(&self.strangers);
        let before = all.find(|before| before.transaction == transaction)?;
        Some(match now < before.since + REPEAT {
            true => before.answer.clone(),
            false => Answer::None,
        })
    }

    fn remember(
        &mut self,
        now: Instant,
        transaction: Transaction,
        relation: Relation,
        answer: Answer,
    ) {
        let mut since = now;
        for all in [&mut self.known, &mut self.strangers] {
            let at = all.iter().position(|it| it.transaction == transaction);
            if let Some(before) = at.and_then(|at| all.remove(at)) {
                since = before.since;
            }
        }
        let (all, most) = match relation {
            Relation::Known => (&mut self.known, MOST_KNOWN),
            Relation::Stranger => (&mut self.strangers, MOST_STRANGERS),
        };
        all.push_front(Remembered {
            transaction,
            since,
            answer,
        });
        all.truncate(most);
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
            Some(Answer::Sent(answer)) => {
                self.transmits.push_back(answer);
                let caller = message.name().map(str::to_owned);
                let again = caller.map(|caller| Event::NotifiedAgain { caller });
                return self.events.extend(again);
            }
            Some(Answer::None) => return,
            None => {}
        }
        let parts = (
            message.name().filter(|name| valid_name(name)),
            message.public_key(),
            message.peer_address(),
            message.fresh().zip(message.seal()),
        );
        let (Some(caller), Some(key), Some(address), Some((fresh, offer))) = parts else {
            return tracing::debug!("dropped: a notification that is not complete");
        };
        match self.offers.admit(now, fresh, offer) {
            Admission::Open => {}
            Admission::Stale => {
                tracing::debug!("refused: an offer that is bound to no nonce of ours");
                return self.refuse(now, transaction, Relation::Stranger, code::STALE_OFFER);
            }
            Admission::Replay => return tracing::debug!("dropped: an offer that is sent again"),
        }
        self.events.push_back(Event::Notified(Notification {
            caller: caller.to_owned(),
            key,
            address,
            rotation: message.rotation().map(Rotation::from_bytes),
            transaction,
            bytes: message.as_bytes().to_vec(),
        }));
    }

    /// Opens what the caller of a notification has sealed for us. `None` if that is
    /// not possible; then it is answered with an error. Opening takes two operations
    /// on a curve, about a tenth of a millisecond: bound how often it is done.
    pub fn open(
        &mut self,
        now: Instant,
        notification: &Notification,
        relation: Relation,
    ) -> Option<Invitation> {
        let transaction = notification.transaction;
        let message = Message::parse(&notification.bytes).ok()?;
        let (fresh, offer) = message.fresh().zip(message.seal())?;
        match self.requests.invitation(&message, fresh)? {
            Ok(invitation) => {
                tracing::debug!(caller = invitation.caller, address = %invitation.address, "invitation");
                self.offers.opened(fresh, offer);
                if self.offers.is_full() {
                    self.refresh(now);
                }
                self.notifications
                    .remember(now, transaction, relation, Answer::None);
                Some(invitation)
            }
            Err(Forbidden) => {
                tracing::debug!("refused: an invitation that is not sealed to us");
                self.refuse(now, transaction, relation, code::FORBIDDEN);
                None
            }
        }
    }

    /// Refuses a notification or an invitation with this error code, which the caller
    /// gets at once.
    pub fn refuse(
        &mut self,
        now: Instant,
        transaction: Transaction,
        relation: Relation,
        code: u16,
    ) {
        let answer = Builder::new(Class::Error, Method::Notify, transaction).error_code(code);
        self.answer(now, transaction, relation, answer.finish());
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        transaction: Transaction,
        relation: Relation,
        answer: Vec<u8>,
    ) {
        self.transmits.push_back(answer.clone());
        self.notifications
            .remember(now, transaction, relation, Answer::Sent(answer));
    }
}

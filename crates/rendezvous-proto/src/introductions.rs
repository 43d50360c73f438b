//! Introductions: the caller's offer goes to the callee, the callee's answer to
//! the caller.

mod table;

use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use session::rotation::Rotation;
use session::seal::Fresh;
use stun::{Builder, Class, Message, Method, Transaction, code};

use crate::output::{Drop, Output, Request};
use crate::prover::Prover;
use crate::registrar::{Refused, Registrar};
use crate::registry::Registration;
use crate::types::Event;
use table::{CallerRequest, Due, Introduction, Known, Notification, Table};

#[derive(Debug)]
pub(crate) struct Introductions {
    table: Table,
    /// For the notifications' transaction ids.
    rng: ChaCha20Rng,
    prover: Prover,
}

impl Introductions {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Introductions {
            table: Table::default(),
            rng: ChaCha20Rng::from_seed(seed),
            prover: Prover::default(),
        }
    }

    pub(crate) fn set_prover(&mut self, prover: Prover) {
        self.prover = prover;
    }

    /// Connect: a caller asks for an introduction.
    pub(crate) fn connect(
        &mut self,
        request: &Request<'_>,
        registrar: &mut Registrar,
        output: &mut Output,
    ) -> Result<(), Refused> {
        let (now, message) = (request.now, &request.message);
        let caller_request = CallerRequest {
            from: request.from,
            transaction: message.transaction(),
        };
        match self.table.known(&caller_request) {
            Known::Nothing => {}
            Known::Pending => return Ok(()),
            // A shorter request with the transaction id of the first may be forged.
            Known::Answered(answer) if answer.len() > message.as_bytes().len() => {
                output.dropped(request.from.client, Drop::TooShort);
                return Ok(());
            }
            Known::Answered(answer) => {
                output.send(request.from, answer.to_vec());
                return Ok(());
            }
        }
        // Before its signature is verified, which costs most.
        let client = request.from.client;
        let cookie = |nonce| registrar.is_cookie(now, client, nonce);
        if message.nonce().is_some_and(cookie) && self.table.is_used_up(&caller_request) {
            return Err(code::QUOTA_REACHED.into());
        }
        let caller = registrar.caller(request)?;
        let callee = message.peer_name().ok_or(code::BAD_REQUEST)?;
        let offer = Offer::of(message).ok_or(code::BAD_REQUEST)?;
        let held = registrar.find(now, callee).ok_or(code::NOT_REGISTERED)?;
        let mut transaction: Transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let introduction = Introduction {
            request: caller_request,
            connect: message.as_bytes().to_vec(),
            caller: caller.name.to_owned(),
            caller_key: caller.key,
            callee: callee.to_owned(),
        };
        let rotation = registrar.find(now, caller.name).and_then(rotation_of);
        let notification = self.notification(transaction, &introduction, held, offer, rotation);
        if notification.payload.len() > introduction.connect.len() {
            output.dropped(request.from.client, Drop::TooShort);
            return Ok(());
        }
        for ended in self.table.make_room(&introduction.request, callee)? {
            output.stats.made_room += 1;
            if let Ok(connect) = Message::parse(&ended.connect) {
                let answer = Builder::error(&connect, code::QUOTA_REACHED).finish();
                output.send(ended.request.from, answer);
            }
        }
        output.stats.connects += 1;
        tracing::debug!(caller = caller.name, callee, to = %held.at.client, "introduction begins");
        self.table
            .start(now, transaction, introduction, notification);
        self.handle_timeout(now, output);
        Ok(())
    }

    /// A callee has registered at another address than before, with a cookie of
    /// that address: the pending introductions follow it there. When a NAT
    /// forgets its mappings, both peers may register and call at the same time.
    pub(crate) fn callee_moved(
        &mut self,
        now: Instant,
        callee: &str,
        registrar: &Registrar,
        output: &mut Output,
    ) {
        let Some(held) = registrar.find(now, callee) else {
            return;
        };
        for transaction in self.table.elsewhere(callee, held.at) {
            let Some(introduction) = self.table.get(&transaction) else {
                continue;
            };
            // A caller that has left, or has a new address itself, would not
            // receive the answer. The callee would wait for it, and meanwhile
            // take no other call.
            let caller = registrar.find(now, &introduction.caller);
            let asked_from = introduction.request.from.client;
            let Some(caller) = caller.filter(|caller| caller.at.client == asked_from) else {
                continue;
            };
            let connect = Message::parse(&introduction.connect).ok();
            let Some(offer) = connect.as_ref().and_then(Offer::of) else {
                continue;
            };
            let rotation = rotation_of(caller);
            let notification = self.notification(transaction, introduction, held, offer, rotation);
            tracing::debug!(callee, to = %held.at.client, "introduction follows the callee");
            self.table.redirect(now, &transaction, notification);
        }
        self.handle_timeout(now, output);
    }

    /// The answer to a notification; false if none waits for it.
    pub(crate) fn notify_answered(
        &mut self,
        answer: &Request<'_>,
        registrar: &Registrar,
        output: &mut Output,
    ) -> bool {
        let Request { now, from, message } = answer;
        let transaction = message.transaction();
        let Some(introduction) = self.table.unanswered(&transaction, from.client) else {
            return false;
        };
        let Ok(connect) = Message::parse(&introduction.connect) else {
            return false;
        };
        let callee = registrar.find(*now, &introduction.callee);
        let (to_caller, event) = match (message.class(), message.seal(), callee) {
            (Class::Success, Some(seal), Some(held)) => {
                let to_caller = Builder::success(&connect)
                    .public_key(&held.key)
                    .peer_address(held.at.client)
                    .seal(seal);
                let event = Event::Introduced {
                    caller: introduction.caller.clone(),
                    callee: introduction.callee.clone(),
                    address: introduction.request.from.client,
                };
                (to_caller, Some(event))
            }
            (Class::Error, _, _) => {
                let code = message.error().unwrap_or(code::FORBIDDEN);
                (Builder::error(&connect, code), None)
            }
            _ => return false,
        };
        let to_caller = self.prover.answer(&connect, to_caller).finish();
        if to_caller.len() > introduction.connect.len() {
            output.dropped(from.client, Drop::TooShort);
            return true;
        }
        tracing::debug!(
            caller = introduction.caller,
            callee = introduction.callee,
            accepted = event.is_some(),
            "the callee has answered"
        );
        output.stats.introduced += u64::from(event.is_some());
        output.events.extend(event);
        self.answer_caller(*now, transaction, to_caller, output);
        true
    }

    /// Whether an answer to a notification, with this transaction, is waited for from this client.
    pub(crate) fn waits_for(&self, transaction: &Transaction, client: SocketAddr) -> bool {
        self.table.unanswered(transaction, client).is_some()
    }

    /// A client has ended its registration, and so the introductions that it has
    /// asked for.
    pub(crate) fn caller_left(&mut self, caller: &str) {
        self.table.forget_caller(caller);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, output: &mut Output) {
        for due in self.table.due(now) {
            match due {
                Due::Notify(Notification { to, payload }) => output.send(to, payload),
                Due::GiveUp(transaction) => self.give_up(now, transaction, output),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.table.next()
    }

    fn give_up(&mut self, now: Instant, transaction: Transaction, output: &mut Output) {
        let Some(introduction) = self.table.get(&transaction) else {
            return;
        };
        let Ok(connect) = Message::parse(&introduction.connect) else {
            return;
        };
        tracing::debug!(
            caller = introduction.caller,
            callee = introduction.callee,
            "the callee is silent"
        );
        output.events.push_back(Event::Silent {
            caller: introduction.caller.clone(),
            callee: introduction.callee.clone(),
            address: introduction.request.from.client,
        });
        let answer = Builder::error(&connect, code::PEER_SILENT);
        let answer = self.prover.answer(&connect, answer).finish();
        self.answer_caller(now, transaction, answer, output);
    }

    fn answer_caller(
        &mut self,
        now: Instant,
        transaction: Transaction,
        answer: Vec<u8>,
        output: &mut Output,
    ) {
        if let Some(introduction) = self.table.get(&transaction) {
            output.send(introduction.request.from, answer.clone());
            self.table.answered(now, &transaction, answer);
        }
    }

    /// The notification for the callee at its present address, with the cookie that
    /// it registered with there.
    fn notification(
        &self,
        transaction: Transaction,
        introduction: &Introduction,
        callee: &Registration,
        Offer { fresh, seal }: Offer<'_>,
        rotation: Option<&Rotation>,
    ) -> Notification {
        let payload = |rotation: Option<&Rotation>| {
            let mut notify = Builder::request(Method::Notify, transaction)
                .nonce(&callee.cookie)
                .name(&introduction.caller)
                .peer_name(&introduction.callee)
                .public_key(&introduction.caller_key)
                .peer_address(introduction.request.from.client)
                .fresh(&fresh)
                .seal(seal);
            if let Some(rotation) = rotation {
                notify = notify.rotation(rotation.as_bytes());
            }
            let proved = self.prover.notification(callee.asks_proof, notify);
            proved.finish()
        };
        let whole = payload(rotation);
        // Most callees need no rotation, so it is left out rather than the invitation.
        let payload = match whole.len() <= introduction.connect.len() {
            true => whole,
            false => payload(None),
        };
        let to = callee.at;
        Notification { to, payload }
    }
}

fn rotation_of(caller: &Registration) -> Option<&Rotation> {
    caller.rotation.as_deref()
}

/// What a caller has sealed, and the callee's nonce that it is bound to.
struct Offer<'a> {
    fresh: Fresh,
    seal: &'a [u8],
}

impl<'a> Offer<'a> {
    fn of(connect: &Message<'a>) -> Option<Self> {
        let (fresh, seal) = (connect.fresh()?, connect.seal()?);
        Some(Offer { fresh, seal })
    }
}

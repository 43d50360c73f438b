//! Introductions: an offer to the target, its answer to the caller.

use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::rand_core::RngCore;
use stun::{Builder, Class, Message, Method, Transaction, code};

use super::{Event, Inbound, Server};
use crate::forward::Asker;
use sansio::Protocol;
use session::identity::PublicKey;

impl Server {
    pub(super) fn connect(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
        let asker = Asker {
            socket: inbound.socket,
            address: inbound.from,
            transaction: inbound.message.transaction(),
        };
        if let Some(known) = self.introductions.seen(&asker) {
            if let Some(answer) = known.map(<[u8]>::to_vec) {
                self.push(inbound.socket, inbound.from, answer);
            }
            return Ok(());
        }
        let (now, message) = (inbound.now, &inbound.message);
        let caller = message
            .name()
            .and_then(|name| self.registry.find(now, name))
            .filter(|caller| caller.address == inbound.from)
            .map(|caller| caller.key);
        let signed = self.signed(inbound, caller)?;
        let caller = caller.ok_or(code::NOT_REGISTERED)?;
        if !self.registry.advance(signed.name, signed.sequence) {
            return Err(code::FORBIDDEN);
        }
        let target = message.peer_name().ok_or(code::BAD_REQUEST)?;
        let offer = message.seal().ok_or(code::BAD_REQUEST)?;
        let held = self
            .registry
            .find(now, target)
            .ok_or(code::NOT_REGISTERED)?;
        if !self.introductions.room_for(target) {
            return Err(code::INSUFFICIENT_CAPACITY);
        }
        let mut transaction: Transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let names = (signed.name, target);
        let seen = (caller, inbound.from);
        let notification = notify(transaction, &held.cookie, names, seen, offer);
        if notification.len() > message.as_bytes().len() {
            self.stats.too_short += 1;
            return Ok(());
        }
        self.stats.connects += 1;
        self.introductions.start(
            now,
            transaction,
            asker,
            message.as_bytes(),
            names,
            caller,
            (held.socket, held.address),
            notification,
        );
        self.handle_timeout(now);
        Ok(())
    }

    /// A name is at another address than before, with a cookie of its own:
    /// who waits for it is announced there. A NAT that has forgotten its
    /// mappings makes both sides call, and register anew, at the same time.
    pub(super) fn moved(&mut self, now: Instant, name: &str) {
        let Some(held) = self.registry.find(now, name) else {
            return;
        };
        let to = (held.socket, held.address);
        for transaction in self.introductions.elsewhere(name, to) {
            let Some(introduction) = self.introductions.get(&transaction) else {
                continue;
            };
            // Who has left, or is elsewhere itself, does not hear of the answer:
            // the target would wait for it, and be lost to others.
            let caller = self.registry.find(now, &introduction.caller);
            if caller.is_none_or(|caller| caller.address != introduction.asker.address) {
                continue;
            }
            let request = Message::parse(&introduction.request).ok();
            let Some(offer) = request.as_ref().and_then(Message::seal) else {
                continue;
            };
            let names = (introduction.caller.as_str(), name);
            let seen = (introduction.key, introduction.asker.address);
            let notification = notify(transaction, &held.cookie, names, seen, offer);
            self.introductions
                .redirect(now, &transaction, to, notification);
        }
        self.handle_timeout(now);
    }

    /// `None` if it is no answer to a notification that waits for one.
    pub(super) fn notify_answered(&mut self, inbound: &Inbound<'_>) -> Option<()> {
        let transaction = inbound.message.transaction();
        let introduction = self.introductions.pending(&transaction, inbound.from)?;
        let request = Message::parse(&introduction.request).ok()?;
        let target = self.registry.find(inbound.now, &introduction.target);
        let answer = match (inbound.message.class(), inbound.message.seal(), target) {
            (Class::Success, Some(seal), Some(held)) => Builder::success(&request)
                .public_key(&held.key)
                .peer_address(held.address)
                .seal(seal),
            (Class::Error, _, _) => {
                let code = inbound.message.error().unwrap_or(code::FORBIDDEN);
                Builder::error(&request, code)
            }
            _ => return None,
        };
        let introduced = inbound.message.class() == Class::Success;
        let answer = answer.finish();
        if answer.len() > introduction.request.len() {
            self.stats.too_short += 1;
            return Some(());
        }
        if introduced {
            self.stats.introduced += 1;
            self.events.push_back(Event::Introduced {
                caller: introduction.caller.clone(),
                target: introduction.target.clone(),
            });
        }
        self.tell_caller(transaction, answer);
        Some(())
    }

    pub(super) fn target_silent(&mut self, transaction: Transaction) {
        let Some(introduction) = self.introductions.get(&transaction) else {
            return;
        };
        let Ok(request) = Message::parse(&introduction.request) else {
            return;
        };
        self.events.push_back(Event::Silent {
            caller: introduction.caller.clone(),
            target: introduction.target.clone(),
        });
        let answer = Builder::error(&request, code::PEER_SILENT).finish();
        self.tell_caller(transaction, answer);
    }

    fn tell_caller(&mut self, transaction: Transaction, answer: Vec<u8>) {
        let Some(introduction) = self.introductions.get(&transaction) else {
            return;
        };
        let (socket, to) = (introduction.asker.socket, introduction.asker.address);
        self.introductions.answered(&transaction, answer.clone());
        self.push(socket, to, answer);
    }
}

/// What the target is sent.
fn notify(
    transaction: Transaction,
    cookie: &[u8],
    (caller, target): (&str, &str),
    (key, seen): (PublicKey, SocketAddr),
    offer: &[u8],
) -> Vec<u8> {
    Builder::request(Method::Notify, transaction)
        .nonce(cookie)
        .name(caller)
        .peer_name(target)
        .public_key(&key)
        .peer_address(seen)
        .seal(offer)
        .finish()
}

//! The messages of one side of an attempt, until they are sent: each names its
//! attempt and carries a MAC.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Builder, Message, Method, Transaction};

use super::types::{Outgoing, Target};
use session::seal::Keys;

#[derive(Debug)]
pub(super) struct Outbox {
    keys: Keys,
    rng: ChaCha20Rng,
    transmits: VecDeque<Outgoing>,
}

impl Outbox {
    pub(super) fn new(keys: Keys, seed: [u8; 32]) -> Self {
        Self {
            keys,
            rng: ChaCha20Rng::from_seed(seed),
            transmits: VecDeque::new(),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A request; its answer will have this transaction id.
    pub(super) fn request(
        &mut self,
        to: Target,
        ttl: Option<u8>,
        fill: impl FnOnce(Builder) -> Builder,
    ) -> Transaction {
        let transaction = self.transaction();
        let request = Builder::request(Method::Probe, transaction);
        self.push(to, ttl, request, fill);
        transaction
    }

    /// An indication: it is not answered.
    pub(super) fn indicate(&mut self, to: Target, fill: impl FnOnce(Builder) -> Builder) {
        let transaction = self.transaction();
        let indication = Builder::indication(Method::Probe, transaction);
        self.push(to, None, indication, fill);
    }

    /// The answer to a request.
    pub(super) fn answer(
        &mut self,
        to: Target,
        request: &Message<'_>,
        fill: impl FnOnce(Builder) -> Builder,
    ) {
        self.push(to, None, Builder::success(request), fill);
    }

    /// The next packet to send.
    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.transmits.pop_front()
    }

    fn transaction(&mut self) -> Transaction {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        transaction
    }

    fn push(
        &mut self,
        to: Target,
        ttl: Option<u8>,
        message: Builder,
        fill: impl FnOnce(Builder) -> Builder,
    ) {
        let message = fill(message.attempt(self.keys.attempt));
        self.transmits.push_back(Outgoing {
            to,
            ttl,
            payload: message.finish_authentic(&self.keys.outgoing),
        });
    }
}

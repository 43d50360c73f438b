//! A name is registered, and told so when that is stored.

use rand_chacha::rand_core::RngCore;
use session::identity::fingerprint;
use stun::{Builder, code};

use super::Server;
use crate::output::Request;
use crate::registrar::{Accepted, Before, Refused};
use crate::types::{Event, Sender};

impl Server {
    /// Answers when the changes that were made so far are stored.
    pub(super) fn answer_when_stored(&mut self, request: &Request<'_>, answer: Builder) {
        let answered = self.output.answer(request, answer);
        if answered
            && !self.waiting.all_stored()
            && let Some(answer) = self.output.transmits.pop_back()
        {
            self.waiting.hold(answer);
        }
    }

    pub(super) fn register(&mut self, request: &Request<'_>) -> Result<Sender, Refused> {
        if self.waiting.is_full() {
            return Err(code::INSUFFICIENT_CAPACITY.into());
        }
        let before = self.changes();
        let registered = self.registrar.register(request);
        let made = self.changes() - before;
        self.waiting.made(made);
        let Accepted {
            name,
            key,
            lifetime,
            before,
            rotated_from,
        } = registered?;
        let (now, from, ended) = (request.now, request.from, lifetime.is_zero());
        self.output.stats.registrations += 1;
        self.output.events.extend(match (ended, before) {
            (false, Before::Nowhere) => Some(Event::Registered {
                name: name.to_owned(),
                address: from.client,
                key: fingerprint(&key),
            }),
            (true, Before::Here | Before::Elsewhere) => Some(Event::Unregistered {
                name: name.to_owned(),
                address: from.client,
            }),
            _ => None,
        });
        self.output
            .events
            .extend(rotated_from.map(|before| Event::Rotated {
                name: name.to_owned(),
                address: from.client,
                before: fingerprint(&before),
                now: fingerprint(&key),
            }));
        if ended && before != Before::Nowhere {
            self.introductions.caller_left(name);
        }
        let mut answer = Builder::success(&request.message)
            .xor_mapped(from.client)
            .lifetime(lifetime.as_secs() as u32);
        if let Some(other) = self.discovery.other_address(from.socket) {
            answer = answer.other_address(other);
        }
        if let Some(relay) = &self.relay
            && request.message.relay().is_some()
            && !ended
        {
            // Only registered names get credentials, and only the owner of the
            // name's key can read them.
            let mut seed = [0; 32];
            self.rng.fill_bytes(&mut seed);
            if let Ok(sealed) = relay
                .credentials(now, name, from.client)
                .seal(name, &key, seed)
            {
                answer = answer.relay(&sealed);
            }
        }
        let answer = self.prover.answer(&request.message, answer);
        self.answer_when_stored(request, answer);
        if ended {
            return Ok(Sender::Unproved);
        }
        if before == Before::Elsewhere {
            let (registrar, output) = (&self.registrar, &mut self.output);
            self.introductions
                .callee_moved(now, name, registrar, output);
        }
        Ok(Sender::Proved)
    }

    /// The changes that the driver has not taken.
    pub(super) fn changes(&mut self) -> usize {
        let changes = self.registrar.registry().changes();
        changes.map_or(0, |changes| changes.len())
    }
}

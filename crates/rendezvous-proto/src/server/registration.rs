//! Names: who may register one, and who may ask for its key.

use std::time::Duration;

use rand_chacha::rand_core::RngCore;
use stun::{Builder, code};

use super::{Event, Inbound, Server};
use crate::cookie;
use crate::registry::{Place, Refusal};
use session::identity::{PublicKey, fingerprint, verify};
use session::name::{LIFETIME, valid_name};

/// A request whose cookie and signature are right.
pub(super) struct Signed<'a> {
    pub(super) name: &'a str,
    pub(super) sequence: u64,
    cookie: [u8; cookie::LENGTH],
}

impl Server {
    /// Cookie first, and only for those who brought it back the signature's cost.
    pub(super) fn signed<'a>(
        &self,
        inbound: &Inbound<'a>,
        key: Option<PublicKey>,
    ) -> Result<Signed<'a>, u16> {
        let cookie = self.cookie(inbound)?;
        let message = &inbound.message;
        let name = message.name().ok_or(code::BAD_REQUEST)?;
        let sequence = message.sequence().ok_or(code::BAD_REQUEST)?;
        let (part, signature) = message.signed().ok_or(code::BAD_REQUEST)?;
        let key = key.ok_or(code::NOT_REGISTERED)?;
        if !valid_name(name) {
            return Err(code::BAD_REQUEST);
        }
        if !verify(&key, &part, &signature) {
            return Err(code::FORBIDDEN);
        }
        Ok(Signed {
            name,
            sequence,
            cookie,
        })
    }

    fn cookie(&self, inbound: &Inbound<'_>) -> Result<[u8; cookie::LENGTH], u16> {
        let nonce = inbound.message.nonce().ok_or(code::UNAUTHENTICATED)?;
        if !self.cookies.check(inbound.now, inbound.from, nonce) {
            return Err(code::STALE_NONCE);
        }
        nonce.try_into().map_err(|_| code::STALE_NONCE)
    }

    pub(super) fn register(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
        let key = match inbound.message.public_key() {
            Some(key) => key,
            None => return Err(self.cookie(inbound).err().unwrap_or(code::BAD_REQUEST)),
        };
        let signed = self.signed(inbound, Some(key))?;
        let asked = inbound.message.lifetime();
        let lifetime = match asked {
            Some(0) => Duration::ZERO,
            _ => LIFETIME,
        };
        let before = self.registry.find(inbound.now, signed.name);
        let before = before.map(|held| (held.socket, held.address));
        let known = before.is_some();
        let place = Place {
            key,
            address: inbound.from,
            socket: inbound.socket,
            cookie: signed.cookie,
        };
        self.registry
            .register(inbound.now, signed.name, signed.sequence, lifetime, place)
            .map_err(|refusal| match refusal {
                Refusal::Taken => code::NAME_TAKEN,
                Refusal::Replayed => code::FORBIDDEN,
                Refusal::Full => code::INSUFFICIENT_CAPACITY,
            })?;
        self.stats.registrations += 1;
        self.greeted = (!lifetime.is_zero()).then_some(inbound.from);
        let name = signed.name.to_owned();
        if lifetime.is_zero() && known {
            self.events.push_back(Event::Unregistered { name });
        } else if !lifetime.is_zero() && !known {
            self.events.push_back(Event::Registered {
                name,
                address: inbound.from,
                key: fingerprint(&key),
            });
        }
        if lifetime.is_zero() {
            self.introductions.forget_calls_of(signed.name);
        }
        let mut answer = Builder::success(&inbound.message)
            .xor_mapped(inbound.from)
            .lifetime(lifetime.as_secs() as u32);
        if let Some(other) = self.other(inbound.socket) {
            answer = answer.other_address(other);
        }
        if inbound.message.relay().is_some() && !lifetime.is_zero() {
            answer = self.grant(inbound, signed.name, &key, answer);
        }
        self.answer(inbound, answer);
        let moved = before.is_some_and(|place| place != (inbound.socket, inbound.from));
        if moved && !lifetime.is_zero() {
            self.moved(inbound.now, signed.name);
        }
        Ok(())
    }

    /// Credentials for the relay, where there is one: only who is registered
    /// gets them, and only the key's owner can read them.
    fn grant(
        &mut self,
        inbound: &Inbound<'_>,
        name: &str,
        key: &PublicKey,
        answer: Builder,
    ) -> Builder {
        let Some(relay) = &self.relay else {
            return answer;
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        match relay.credentials(inbound.now, name).seal(name, key, seed) {
            Ok(sealed) => answer.relay(&sealed),
            Err(_) => answer,
        }
    }

    pub(super) fn lookup(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
        self.cookie(inbound)?;
        let name = inbound.message.peer_name().ok_or(code::BAD_REQUEST)?;
        let held = self
            .registry
            .find(inbound.now, name)
            .ok_or(code::NOT_REGISTERED)?;
        let answer = Builder::success(&inbound.message).public_key(&held.key);
        self.answer(inbound, answer);
        Ok(())
    }
}

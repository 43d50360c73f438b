//! The rendezvous' brain: STUN with behaviour discovery, the registry, and
//! the introducer.
//!
//! Feed it every datagram with [`Server::handle_input`], call
//! [`Server::handle_timeout`] when [`Server::poll_timeout`] says so, and send
//! what [`Server::poll_transmit`] yields from the socket that it names.
//!
//! It does not relay: no payload of a client reaches another but the sealed
//! offer and its answer, and those only to a client that has registered.

mod classic;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Serialize;
use wire::{Builder, Change, Class, Message, Method, ParseError, Transaction, code};

use super::cookie::Cookies;
use super::forward::{Asker, Due, Introductions};
use super::limit::Limiter;
use super::registry::{LIFETIME, Place, Refusal, Registry, valid_name};
use crate::identity::{PublicKey, fingerprint, verify};
use crate::io::{SocketId, Transmit};

/// What the server is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sockets' addresses: `[ip₁:p₁, ip₁:p₂]`, and `[…, ip₂:p₁, ip₂:p₂]`
    /// where there is a second address. Unspecified addresses are allowed;
    /// they cannot be told to clients.
    pub addresses: Vec<SocketAddr>,
    /// 32 random bytes: the cookies' key and the transaction ids' seed.
    pub secret: [u8; 32],
    /// Requests a second that are answered to one /24 or /48.
    pub rate: u32,
    /// Names in the registry.
    pub most_names: usize,
}

/// What happened, counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stats {
    /// Binding requests answered.
    pub bindings: u64,
    /// Registrations and refreshes accepted.
    pub registrations: u64,
    /// Introductions asked for.
    pub connects: u64,
    /// Introductions that both sides learned of.
    pub introduced: u64,
    /// Requests refused with an error answer.
    pub refused: u64,
    /// Datagrams that are not STUN, or malformed, or of an unknown method.
    pub garbage: u64,
    /// Requests over the rate of their prefix.
    pub limited: u64,
    /// Requests dropped because the answer would have been longer.
    pub too_short: u64,
}

/// What an operator may want to read in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A name was registered anew (not merely refreshed).
    Registered {
        /// The name.
        name: String,
        /// Where.
        address: SocketAddr,
        /// The key's fingerprint.
        key: String,
    },
    /// A name was given back.
    Unregistered {
        /// The name.
        name: String,
    },
    /// Two clients know of each other.
    Introduced {
        /// Who asked.
        caller: String,
        /// Who answered.
        target: String,
    },
    /// The target did not acknowledge.
    Silent {
        /// Who asked.
        caller: String,
        /// Who was silent.
        target: String,
    },
}

/// The rendezvous.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    cookies: Cookies,
    limiter: Limiter,
    registry: Registry,
    introductions: Introductions,
    rng: ChaCha20Rng,
    stats: Stats,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// A datagram and where it came from.
struct Inbound<'a> {
    now: Instant,
    socket: SocketId,
    from: SocketAddr,
    message: Message<'a>,
}

/// A request whose cookie and signature are right.
struct Signed<'a> {
    name: &'a str,
    sequence: u64,
    cookie: [u8; super::cookie::LENGTH],
}

impl Server {
    /// A server with these sockets, at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        Server {
            addresses: config.addresses,
            cookies: Cookies::new(config.secret, now),
            limiter: Limiter::new(config.rate),
            registry: Registry::new(config.most_names),
            introductions: Introductions::default(),
            rng: ChaCha20Rng::from_seed(config.secret),
            stats: Stats::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// One datagram that `socket` received.
    pub fn handle_input(&mut self, now: Instant, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(ParseError::NotStun) => return self.classic(now, socket, from, bytes),
            Err(ParseError::Malformed | ParseError::UnknownMethod(_)) => {
                self.stats.garbage += 1;
                return;
            }
        };
        let inbound = Inbound {
            now,
            socket,
            from,
            message,
        };
        if inbound.message.method() == Method::Notify {
            // Answers to what we sent ourselves are not requests to be limited.
            return self.notify_answered(&inbound);
        }
        if inbound.message.class() != Class::Request {
            // Binding indications keep a mapping open (RFC 8489 §3): nothing to say.
            return;
        }
        if !self.limiter.allow(now, from.ip()) {
            self.stats.limited += 1;
            return;
        }
        let unknown = inbound.message.unknown_required();
        if !unknown.is_empty() {
            let answer = Builder::error(&inbound.message, code::UNKNOWN_ATTRIBUTE)
                .unknown_attributes(&unknown);
            self.stats.refused += 1;
            return self.push(inbound.socket, inbound.from, answer.finish());
        }
        let refusal = match inbound.message.method() {
            Method::Binding => self.binding(&inbound),
            Method::Register => self.register(&inbound),
            Method::Lookup => self.lookup(&inbound),
            Method::Connect => self.connect(&inbound),
            Method::Notify | Method::Probe => Err(code::BAD_REQUEST),
        };
        if let Err(code) = refusal {
            self.refuse(&inbound, code);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        for due in self.introductions.due(now) {
            match due {
                Due::Notify { to, notification } => self.push(to.0, to.1, notification),
                Due::Silent(transaction) => self.target_silent(transaction),
            }
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.introductions.next()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next line for the log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Names registered now.
    pub fn registered(&self, now: Instant) -> usize {
        self.registry.alive(now)
    }

    fn push(&mut self, socket: SocketId, to: SocketAddr, payload: Vec<u8>) {
        self.transmits.push_back(Transmit {
            socket,
            to,
            ttl: None,
            payload,
        });
    }

    /// Answers a request of ours, unless the answer is longer than the request.
    fn answer(&mut self, inbound: &Inbound<'_>, answer: Builder) {
        let answer = answer.finish();
        if answer.len() > inbound.message.as_bytes().len() {
            self.stats.too_short += 1;
            return;
        }
        self.push(inbound.socket, inbound.from, answer);
    }

    fn refuse(&mut self, inbound: &Inbound<'_>, code: u16) {
        self.stats.refused += 1;
        let mut answer = Builder::error(&inbound.message, code);
        if matches!(code, code::UNAUTHENTICATED | code::STALE_NONCE) {
            answer = answer.nonce(&self.cookies.issue(inbound.now, inbound.from));
            // Told this early, a client can ask there while it registers.
            if let Some(other) = self.other(inbound.socket) {
                answer = answer.other_address(other);
            }
        }
        self.answer(inbound, answer);
    }

    // ---- STUN and RFC 5780 ----

    fn binding(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
        let change = inbound.message.change_request().unwrap_or_default();
        let Some(via) = self.via(inbound.socket, change) else {
            // One address alone: RFC 5780 §6.1 has the attribute unknown then.
            let answer = Builder::error(&inbound.message, code::UNKNOWN_ATTRIBUTE)
                .unknown_attributes(&[0x0003]);
            self.stats.refused += 1;
            self.push(inbound.socket, inbound.from, answer.finish());
            return Ok(());
        };
        let mut to = inbound.from;
        if let Some(port) = inbound.message.response_port() {
            to.set_port(port);
        }
        let mut answer = Builder::success(&inbound.message)
            .xor_mapped(inbound.from)
            .mapped(inbound.from);
        if !self.addresses[via].ip().is_unspecified() {
            answer = answer.response_origin(self.addresses[via]);
        }
        if let Some(other) = self.other(inbound.socket) {
            answer = answer.other_address(other);
        }
        self.stats.bindings += 1;
        self.push(via, to, answer.finish());
        Ok(())
    }

    /// The socket that a change leads to, if there is one.
    fn via(&self, socket: SocketId, change: Change) -> Option<SocketId> {
        let via = socket ^ (usize::from(change.ip) << 1) ^ usize::from(change.port);
        (via < self.addresses.len()).then_some(via)
    }

    /// The address that differs in both from that of `socket`.
    fn other(&self, socket: SocketId) -> Option<SocketAddr> {
        self.addresses
            .get(socket ^ 3)
            .filter(|other| !other.ip().is_unspecified())
            .copied()
    }

    // ---- The registry ----

    /// Cookie first, and only for those who brought it back the signature's cost.
    fn signed<'a>(&self, inbound: &Inbound<'a>, key: Option<PublicKey>) -> Result<Signed<'a>, u16> {
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

    fn cookie(&self, inbound: &Inbound<'_>) -> Result<[u8; super::cookie::LENGTH], u16> {
        let nonce = inbound.message.nonce().ok_or(code::UNAUTHENTICATED)?;
        if !self.cookies.check(inbound.now, inbound.from, nonce) {
            return Err(code::STALE_NONCE);
        }
        nonce.try_into().map_err(|_| code::STALE_NONCE)
    }

    fn register(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
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
        let known = self.registry.find(inbound.now, signed.name).is_some();
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
        let name = signed.name.to_owned();
        if lifetime.is_zero() {
            self.events.push_back(Event::Unregistered { name });
        } else if !known {
            self.events.push_back(Event::Registered {
                name,
                address: inbound.from,
                key: fingerprint(&key),
            });
        }
        let mut answer = Builder::success(&inbound.message)
            .xor_mapped(inbound.from)
            .lifetime(lifetime.as_secs() as u32);
        if let Some(other) = self.other(inbound.socket) {
            answer = answer.other_address(other);
        }
        self.answer(inbound, answer);
        Ok(())
    }

    fn lookup(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
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

    // ---- The introducer ----

    fn connect(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
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
        let notification = Builder::request(Method::Notify, transaction)
            .nonce(&held.cookie)
            .name(signed.name)
            .peer_name(target)
            .public_key(&caller)
            .peer_address(inbound.from)
            .seal(offer)
            .finish();
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
            (signed.name, target),
            (held.socket, held.address),
            notification,
        );
        self.handle_timeout(now);
        Ok(())
    }

    fn notify_answered(&mut self, inbound: &Inbound<'_>) {
        let transaction = inbound.message.transaction();
        let Some(introduction) = self.introductions.pending(&transaction, inbound.from) else {
            return;
        };
        let Ok(request) = Message::parse(&introduction.request) else {
            return;
        };
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
            _ => return,
        };
        let introduced = inbound.message.class() == Class::Success;
        let answer = answer.finish();
        if answer.len() > introduction.request.len() {
            self.stats.too_short += 1;
            return;
        }
        if introduced {
            self.stats.introduced += 1;
            self.events.push_back(Event::Introduced {
                caller: introduction.caller.clone(),
                target: introduction.target.clone(),
            });
        }
        self.tell_caller(transaction, answer);
    }

    fn target_silent(&mut self, transaction: Transaction) {
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

/// The default number of names: 64 MiB or so when full.
pub const MOST_NAMES: usize = 200_000;

/// The default rate for one prefix.
pub const RATE: u32 = 2000;

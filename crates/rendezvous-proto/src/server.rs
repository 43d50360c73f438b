//! The rendezvous' brain: STUN with behaviour discovery, the registry, and
//! the introducer.
//!
//! It is driven as every [`Protocol`] is: datagrams, and ICMP errors about what
//! was sent, go in through `handle_input`.
//!
//! Without a [`Relay`] it does not relay: no payload of a client reaches another
//! but the sealed offer and its answer, and those only to a client that has
//! registered.

mod bounce;
mod classic;
mod introducer;
mod registration;
mod stream;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use stun::{Builder, Change, Class, MAX_DATAGRAM, Message, Method, ParseError, code, turn};

use super::bounces::Bounces;
use super::cookie::Cookies;
use super::forward::{Due, Introductions};
use super::limit::{Limiter, Open};
use super::registry::Registry;
use crate::relay::server::Relay;
use crate::secret::derive;
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};

/// What the server is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sockets' addresses: `[ip₁:p₁, ip₁:p₂]`, and `[…, ip₂:p₁, ip₂:p₂]`
    /// where there is a second address. Unspecified addresses are allowed;
    /// they cannot be told to clients.
    pub addresses: Vec<SocketAddr>,
    /// 32 random bytes: the cookies' key and the seed of transaction ids are
    /// derived from them.
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
    /// Requests refused with an error answer that was sent.
    pub refused: u64,
    /// Datagrams that are not STUN, or malformed, or of an unknown method.
    pub garbage: u64,
    /// Messages that ask nothing: indications, and answers that nobody waits for.
    pub ignored: u64,
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
    open: Open,
    registry: Registry,
    introductions: Introductions,
    bounces: Bounces,
    relay: Option<Relay>,
    /// Whose registration was accepted last.
    greeted: Option<SocketAddr>,
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

impl Server {
    /// A server with these sockets, at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        Server {
            addresses: config.addresses,
            cookies: Cookies::new(derive(&config.secret, "cookies"), now),
            limiter: Limiter::new(config.rate),
            open: Open::default(),
            registry: Registry::new(config.most_names),
            introductions: Introductions::default(),
            bounces: Bounces::default(),
            relay: None,
            greeted: None,
            rng: ChaCha20Rng::from_seed(derive(&config.secret, "transaction ids")),
            stats: Stats::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// This server, relaying.
    pub fn with_relay(mut self, relay: Relay) -> Self {
        self.relay = Some(relay);
        self
    }

    /// The relay, whose sockets are the hands' to open and to read.
    pub fn relaying(&mut self) -> Option<&mut Relay> {
        self.relay.as_mut()
    }

    /// One datagram that `socket` received.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        if let Some(relay) = &mut self.relay
            && turn::is_channel_data(bytes)
        {
            return relay.handle_channel_data(now, socket, from, bytes);
        }
        let message = match Message::parse(bytes) {
            Ok(message) if message.method().is_turn() || bytes.len() <= MAX_DATAGRAM => message,
            Err(ParseError::NotStun) => return self.classic(now, socket, from, bytes),
            Ok(_) | Err(ParseError::Malformed | ParseError::UnknownMethod(_)) => {
                self.stats.garbage += 1;
                return;
            }
        };
        if message.method().is_turn() {
            return self.relay(now, socket, from, &message);
        }
        let inbound = Inbound {
            now,
            socket,
            from,
            message,
        };
        if inbound.message.method() == Method::Notify {
            // Answers to what we sent ourselves are not requests to be limited.
            if self.notify_answered(&inbound).is_none() {
                self.stats.ignored += 1;
            }
            return;
        }
        if inbound.message.class() != Class::Request {
            // Binding indications keep a mapping open (RFC 8489 §3): nothing to say.
            self.stats.ignored += 1;
            if let Some(relay) = &mut self.relay {
                relay.heard(now, socket, from);
            }
            return;
        }
        if !self.limiter.allow(now, from.ip()) {
            self.stats.limited += 1;
            return;
        }
        let unknown = inbound.message.unknown_required();
        if !unknown.is_empty() {
            return self.refuse_unknown(&inbound, &unknown);
        }
        let refusal = match inbound.message.method() {
            Method::Binding => self.binding(&inbound),
            Method::Register => self.register(&inbound),
            Method::Lookup => self.lookup(&inbound),
            Method::Connect => self.connect(&inbound),
            // Those of TURN have gone to the relay.
            _ => Err(code::BAD_REQUEST),
        };
        if let Err(code) = refusal {
            self.refuse(&inbound, code);
        }
    }

    /// Whether the datagram that was taken just now is of somebody who may be
    /// sent something later, unasked. It has brought a cookie back; hands that
    /// listen on several addresses keep for it, and for nobody else, which it
    /// spoke to.
    pub fn remembers(&mut self, socket: SocketId, from: SocketAddr) -> bool {
        let relay = self.relay.as_ref();
        self.greeted.take() == Some(from) || relay.is_some_and(|relay| relay.serves(socket, from))
    }

    /// A message of TURN: an allocation's traffic is limited by its own rate,
    /// everything else by that of its prefix.
    fn relay(&mut self, now: Instant, socket: SocketId, from: SocketAddr, message: &Message<'_>) {
        let Some(relay) = &mut self.relay else {
            self.stats.garbage += 1;
            return;
        };
        if message.class() == Class::Request && !self.limiter.allow(now, from.ip()) {
            self.stats.limited += 1;
            return;
        }
        relay.handle_message(now, socket, from, message);
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

    /// Answers a request of ours, unless the answer is longer than the request;
    /// whether it did.
    fn answer(&mut self, inbound: &Inbound<'_>, answer: Builder) -> bool {
        let answer = answer.finish();
        if answer.len() > inbound.message.as_bytes().len() {
            self.stats.too_short += 1;
            return false;
        }
        self.push(inbound.socket, inbound.from, answer);
        true
    }

    fn refuse(&mut self, inbound: &Inbound<'_>, code: u16) {
        let mut answer = Builder::error(&inbound.message, code);
        if matches!(code, code::UNAUTHENTICATED | code::STALE_NONCE) {
            answer = answer.nonce(&self.cookies.issue(inbound.now, inbound.from));
            // Told this early, a client can ask there while it registers.
            if let Some(other) = self.other(inbound.socket) {
                answer = answer.other_address(other);
            }
        }
        if self.answer(inbound, answer) {
            self.stats.refused += 1;
        }
    }

    /// Clients of plain STUN do not pad, and RFC 8489 §6.3.1 wants them told:
    /// a Binding's refusal is an exception as its answer is, which is longer.
    fn refuse_unknown(&mut self, inbound: &Inbound<'_>, unknown: &[u16]) {
        let answer =
            Builder::error(&inbound.message, code::UNKNOWN_ATTRIBUTE).unknown_attributes(unknown);
        let told = if inbound.message.method() == Method::Binding {
            self.push(inbound.socket, inbound.from, answer.finish());
            true
        } else {
            self.answer(inbound, answer)
        };
        self.stats.refused += u64::from(told);
    }

    // ---- STUN and RFC 5780 ----

    fn binding(&mut self, inbound: &Inbound<'_>) -> Result<(), u16> {
        let change = inbound.message.change_request().unwrap_or_default();
        let Some(via) = self.via(inbound.socket, change) else {
            // One address alone: RFC 5780 §6.1 has the attribute unknown then.
            self.refuse_unknown(inbound, &[0x0003]);
            return Ok(());
        };
        let mut to = inbound.from;
        if let Some(port) = inbound.message.response_port() {
            to.set_port(port);
        }
        let answer = self.reflexive(inbound, via);
        self.push(via, to, answer);
        Ok(())
    }

    /// Where the asker is seen, told from the socket `via`.
    fn reflexive(&mut self, inbound: &Inbound<'_>, via: SocketId) -> Vec<u8> {
        let mut answer = Builder::success(&inbound.message)
            .xor_mapped(inbound.from)
            .mapped(inbound.from);
        if !self.addresses[via].ip().is_unspecified() {
            answer = answer.response_origin(self.addresses[via]);
        }
        if let Some(other) = self.other(inbound.socket) {
            answer = answer.other_address(other);
        }
        answer = self.tell_bounced(inbound, answer);
        self.stats.bindings += 1;
        answer.finish()
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
}

impl Protocol for Server {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(Datagram {
                socket,
                from,
                payload,
                ..
            }) => {
                self.handle_datagram(now, socket, from, payload);
            }
            Input::Icmp(error) => self.undelivered(now, error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(relay) = &mut self.relay {
            relay.handle_timeout(now);
        }
        for due in self.introductions.due(now) {
            match due {
                Due::Notify { to, notification } => self.push(to.0, to.1, notification),
                Due::Silent(transaction) => self.target_silent(transaction),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let relay = self.relay.as_ref().and_then(Relay::poll_timeout);
        self.introductions.next().into_iter().chain(relay).min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let relay = self.relay.as_mut();
        self.transmits
            .pop_front()
            .or_else(|| relay.and_then(Relay::poll_transmit))
    }
}

/// The default number of names: 64 MiB or so when full.
pub const MOST_NAMES: u32 = 200_000;

/// The default rate for one prefix.
pub const RATE: u32 = 2000;

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::RngCore;

    use super::*;

    #[test]
    fn the_secret_itself_makes_no_cookies_and_no_transaction_ids() {
        let (now, secret) = (Instant::now(), [9; 32]);
        let mut server = Server::new(
            Config {
                addresses: vec!["203.0.113.1:8848".parse().unwrap()],
                secret,
                rate: RATE,
                most_names: 1,
            },
            now,
        );
        let client: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        let cookie = server.cookies.issue(now, client);
        assert!(server.cookies.check(now, client, &cookie));
        assert!(!Cookies::new(secret, now).check(now, client, &cookie));
        let (mut from_server, mut from_secret) = ([0; 12], [0; 12]);
        server.rng.fill_bytes(&mut from_server);
        ChaCha20Rng::from_seed(secret).fill_bytes(&mut from_secret);
        assert_ne!(from_server, from_secret);
    }
}

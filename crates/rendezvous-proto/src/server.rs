//! The server: it hands each datagram to the component that it is for.

mod registering;
mod streaming;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};
use session::identity::{Identity, PublicKey};
use stun::{Builder, Class, ClassicRequest, MAX_DATAGRAM, Message, Method, ParseError, code, turn};

use crate::bindings::{Binding, Change, Waiting};
use crate::cookie::Cookies;
use crate::discovery::Discovery;
use crate::introductions::Introductions;
use crate::output::{Drop, Output, Request};
use crate::prover::Prover;
use crate::rate::RateLimiter;
use crate::registrar::{Refused, Registrar};
use crate::registry::Registry;
use crate::relay::Relay;
use crate::secret::derive;
use crate::streams::Streams;
use crate::types::FiveTuple;

pub use crate::streams::{MOST_STREAMS, StreamId};
pub use crate::types::{Config, Event, MOST_NAMES, RATE, Sender, Standing, Stats};

/// The rendezvous.
#[derive(Debug)]
pub struct Server {
    /// The requests that bring no cookie of the server, whose sources may be forged.
    unproved: RateLimiter,
    /// Of these, the ones that ask for a cookie, so that forged Bindings keep nobody from getting one.
    newcomers: RateLimiter,
    /// Those that bring one, so that forged sources do not use up their rate.
    proved: RateLimiter,
    streams: Streams,
    discovery: Discovery,
    registrar: Registrar,
    introductions: Introductions,
    relay: Option<Relay>,
    prover: Prover,
    /// What clients are told, if what they are told of is stored.
    waiting: Waiting,
    /// For the seeds of sealed credentials.
    rng: ChaCha20Rng,
    output: Output,
}

impl Server {
    /// A server with these sockets, at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let key = |label| derive(&config.secret, label);
        let cookies = Cookies::new(key("cookies"), now);
        let limiter = |label| RateLimiter::new(config.rate, key(label), now);
        Server {
            unproved: limiter("rates of requests without a cookie"),
            newcomers: limiter("rates of newcomers"),
            proved: limiter("rates of requests with a cookie"),
            streams: Streams::new(),
            discovery: Discovery::new(config.addresses),
            registrar: Registrar::new(cookies, Registry::new(config.most_names)),
            introductions: Introductions::new(key("transaction ids")),
            relay: None,
            prover: Prover::default(),
            waiting: Waiting::default(),
            rng: ChaCha20Rng::from_seed(key("sealed credentials")),
            output: Output::default(),
        }
    }

    /// Gives the server a key of its own, by which clients know it. Without one it
    /// proves nothing.
    pub fn with_key(mut self, identity: Identity) -> Self {
        self.prover = Prover::new(identity);
        self.introductions.set_prover(self.prover.clone());
        self
    }

    /// Adds a relay.
    pub fn with_relay(mut self, relay: Relay) -> Self {
        self.relay = Some(relay);
        self
    }

    /// Takes over the bindings that are [stored](crate::bindings), in the order in which they end. Names that are reserved by then keep the keys that they are reserved for.
    pub fn with_bindings(
        mut self,
        now: Instant,
        bindings: impl IntoIterator<Item = Binding>,
    ) -> Self {
        self.registrar.registry().restore(now, bindings);
        self
    }

    /// The next change of the bindings, which the driver stores.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.registrar.registry().changes()?.pop_front()
    }

    /// The driver has stored this number of further changes.
    pub fn changes_stored(&mut self, changes: u64) {
        self.output.transmits.extend(self.waiting.stored(changes));
    }

    /// Whether it takes names: not while the driver is too far behind with storing them.
    pub fn is_ready(&self) -> bool {
        !self.waiting.is_full()
    }

    /// Reserves these names for their keys, and no others from now on. Each belongs to its key for ever.
    pub fn set_reserved(&mut self, now: Instant, names: BTreeMap<String, PublicKey>) {
        let before = self.changes();
        self.registrar.registry().set_reserved(now, names);
        let made = self.changes() - before;
        self.waiting.made(made);
    }

    /// Answers this many requests per second to one network, and has room for this many names, from now on.
    pub fn set_limits(&mut self, rate: u32, most_names: usize) {
        for limiter in [&mut self.unproved, &mut self.newcomers, &mut self.proved] {
            limiter.set_rate(rate);
        }
        self.registrar.registry().set_most(most_names);
    }

    /// Bounds the TCP connections that are open at once, where the driver has sockets for fewer
    /// than [`MOST_STREAMS`]. Those that are open stay.
    pub fn set_most_streams(&mut self, most: usize) {
        self.streams.bound(most);
    }

    /// The relay, for the driver of its relayed sockets.
    pub fn relaying(&mut self) -> Option<&mut Relay> {
        self.relay.as_mut()
    }

    /// What is known about the sender of this datagram. This changes nothing.
    pub fn standing(
        &self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Standing {
        let client = from;
        let from = FiveTuple { socket, client };
        if self.relay.as_ref().is_some_and(|relay| relay.serves(from)) {
            return Standing::Known;
        }
        let Ok(message) = Message::parse(bytes) else {
            return Standing::Other;
        };
        let known = match (message.method(), message.nonce()) {
            (Method::Notify, _) => self.introductions.waits_for(&message.transaction(), client),
            (_, Some(nonce)) => self.is_ours(now, client, nonce),
            _ => false,
        };
        match (known, message.class(), message.method()) {
            (true, ..) => Standing::Known,
            (false, _, Method::Binding | Method::Notify) => Standing::Other,
            (false, Class::Request, _) => Standing::Newcomer,
            _ => Standing::Other,
        }
    }

    /// One datagram that `socket` received, and whether its sender has proved
    /// its address.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Sender {
        let client = from;
        let from = FiveTuple { socket, client };
        let sender = self.dispatch(now, from, bytes);
        match &self.relay {
            Some(relay) if relay.serves(from) => Sender::Proved,
            _ => sender,
        }
    }

    fn dispatch(&mut self, now: Instant, from: FiveTuple, bytes: &[u8]) -> Sender {
        if let Some(relay) = &mut self.relay
            && turn::is_channel_data(bytes)
        {
            relay.handle_channel_data(now, from, bytes);
            return Sender::Unproved;
        }
        match Message::parse(bytes) {
            Ok(message) if message.method().is_turn() => self.handle_turn(now, from, &message),
            // A Binding may be long: by those a client measures the path MTU.
            Ok(message) if bytes.len() <= MAX_DATAGRAM || message.method() == Method::Binding => {
                return self.handle_message(&Request { now, from, message });
            }
            Err(ParseError::NotStun) => self.handle_classic(now, from, bytes),
            Ok(_) | Err(ParseError::Malformed | ParseError::UnknownMethod(_)) => {
                self.output.dropped(from.client, Drop::Garbage);
            }
        }
        Sender::Unproved
    }

    /// A message of TURN. The traffic of an allocation is limited by the rate of
    /// the allocation, everything else by that of the client's network.
    fn handle_turn(&mut self, now: Instant, from: FiveTuple, message: &Message<'_>) {
        let limited = message.class() == Class::Request && self.relay.is_some();
        if limited && !self.allows(now, from.client, message.method(), message.nonce()) {
            return;
        }
        match &mut self.relay {
            Some(relay) => relay.handle_message(now, from, message),
            None => self.output.dropped(from.client, Drop::Garbage),
        }
    }

    fn handle_classic(&mut self, now: Instant, from: FiveTuple, bytes: &[u8]) {
        let Ok(request) = ClassicRequest::parse(bytes) else {
            return self.output.dropped(from.client, Drop::Garbage);
        };
        if self.allows(now, from.client, Method::Binding, None) {
            self.discovery.classic(from, &request, &mut self.output);
        }
    }

    fn handle_message(&mut self, request: &Request<'_>) -> Sender {
        let Request { now, from, message } = request;
        if message.method() == Method::Notify {
            // The answer to a request of the server's own is not limited.
            let (registrar, output) = (&self.registrar, &mut self.output);
            if !self
                .introductions
                .notify_answered(request, registrar, output)
            {
                output.dropped(from.client, Drop::Ignored);
            }
            return Sender::Unproved;
        }
        if message.class() != Class::Request {
            // A Binding indication keeps a mapping open; it has no answer
            // (RFC 8489 §3).
            self.output.dropped(from.client, Drop::Ignored);
            if let Some(relay) = &mut self.relay {
                relay.client_is_active(*now, *from);
            }
            return Sender::Unproved;
        }
        if !self.allows(*now, from.client, message.method(), message.nonce()) {
            return Sender::Unproved;
        }
        let unknown = message.unknown_required();
        if !unknown.is_empty() {
            self.output.refuse_unknown(request, &unknown);
            return Sender::Unproved;
        }
        if !message.has_right_lengths() {
            self.output.refuse_malformed(request);
            return Sender::Unproved;
        }
        let (registrar, output) = (&mut self.registrar, &mut self.output);
        let handled = match message.method() {
            Method::Binding => {
                self.discovery.binding(request, output);
                Ok(Sender::Unproved)
            }
            Method::Register => self.register(request),
            Method::Lookup => match registrar.lookup(request) {
                Ok(held) => {
                    let mut answer = Builder::success(message)
                        .public_key(&held.key)
                        .fresh(&held.fresh);
                    if let Some(rotation) = &held.rotation {
                        answer = answer.rotation(rotation.as_bytes());
                    }
                    let answer = self.prover.answer(message, answer);
                    self.answer_when_stored(request, answer);
                    Ok(Sender::Unproved)
                }
                Err(code) => Err(code.into()),
            },
            Method::Connect => {
                let connected = self.introductions.connect(request, registrar, output);
                connected.map(|()| Sender::Unproved)
            }
            // Those of TURN have gone to the relay.
            _ => Err(code::BAD_REQUEST.into()),
        };
        handled.unwrap_or_else(|refused| {
            self.refuse(request, refused);
            Sender::Unproved
        })
    }

    fn refuse(&mut self, request: &Request<'_>, refused: Refused) {
        let code = refused.code;
        let mut answer = Builder::error(&request.message, code);
        if let Some(last) = refused.last_sequence {
            answer = answer.sequence(last);
        }
        if let Some(bits) = refused.work {
            let client = request.from.client;
            let cookie = self.registrar.issue_cookie(request.now, client);
            answer = answer.work(&[bits]).nonce(&cookie);
        }
        if matches!(code, code::UNAUTHENTICATED | code::STALE_NONCE) {
            let client = request.from.client;
            answer = answer.nonce(&self.registrar.issue_cookie(request.now, client));
            // So early, a client can ask there while it registers.
            if let Some(other) = self.discovery.other_address(request.from.socket) {
                answer = answer.other_address(other);
            }
        }
        let (now, client, message) = (request.now, request.from.client, &request.message);
        let proved = |cookie| self.registrar.is_cookie(now, client, cookie);
        if message.nonce().is_some_and(proved) {
            answer = self.prover.answer(message, answer);
        }
        self.output.refuse(request, code, answer);
    }

    /// Whether the server, or its relay, has issued that cookie to this client.
    fn is_ours(&self, now: Instant, client: SocketAddr, cookie: &[u8]) -> bool {
        let relay = self.relay.as_ref();
        self.registrar.is_cookie(now, client, cookie)
            || relay.is_some_and(|relay| relay.is_nonce(now, client, cookie))
    }

    fn allows(
        &mut self,
        now: Instant,
        client: SocketAddr,
        method: Method,
        cookie: Option<&[u8]>,
    ) -> bool {
        let proved = cookie.is_some_and(|cookie| self.is_ours(now, client, cookie));
        let limiter = match proved {
            true => &mut self.proved,
            false if method == Method::Binding => &mut self.unproved,
            false => &mut self.newcomers,
        };
        let allowed = limiter.allow(now, client.ip());
        if !allowed {
            self.output.dropped(client, Drop::OverRate);
        }
        allowed
    }

    /// The next event for the operator's log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.events.pop_front()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.output.stats
    }

    /// The number of names that are registered now.
    pub fn registered(&self, now: Instant) -> usize {
        self.registrar.registered(now)
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
            Input::Icmp(error) => self.discovery.icmp_error(now, error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(relay) = &mut self.relay {
            relay.handle_timeout(now);
        }
        self.introductions.handle_timeout(now, &mut self.output);
        self.streams.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let relay = self.relay.as_ref().and_then(Relay::poll_timeout);
        let introductions = self.introductions.poll_timeout();
        let streams = self.streams.poll_timeout();
        [relay, introductions, streams].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let relay = self.relay.as_mut();
        self.output
            .transmits
            .pop_front()
            .or_else(|| relay.and_then(Relay::poll_transmit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_itself_issues_no_cookies() {
        let (now, secret) = (Instant::now(), [9; 32]);
        let config = Config {
            addresses: vec!["203.0.113.1:8848".parse().unwrap()],
            secret,
            rate: RATE,
            most_names: 1,
        };
        let server = Server::new(config, now);
        let client: SocketAddr = "203.0.113.17:40000".parse().unwrap();
        let ours = server.registrar.issue_cookie(now, client);
        assert_ne!(ours, Cookies::new(secret, now).issue(now, client));
        let transaction_ids = derive(&secret, "transaction ids");
        assert_ne!(ours, Cookies::new(transaction_ids, now).issue(now, client));
    }
}

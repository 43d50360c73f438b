//! The client's side: get a cookie, register, stay registered, look a name
//! up, ask for an introduction, and hear of those who ask for us.
//!
//! Feed it what the server sends with [`Client::handle_input`], call
//! [`Client::handle_timeout`] when [`Client::poll_timeout`] says so, send what
//! [`Client::poll_transmit`] yields to the server, act on
//! [`Client::poll_event`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wire::{Builder, Class, Message, Method, Transaction, code};

use super::registry::LIFETIME;
use crate::identity::{Identity, PublicKey};
use crate::seal::{Keys, Names, Offer, Opened, SealError};

/// Requests are padded to this many bytes, since no answer is longer than its
/// request; it also makes all of them look alike.
const REQUEST: usize = 640;

/// A registration is refreshed this often: it also keeps the NAT's mapping.
pub const REFRESH: Duration = Duration::from_secs(15);

/// A name that is not registered, or silent, is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Retransmission: the first wait, doubled each time up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_millis(1600);

/// Without an answer for so long the server is called silent.
const SILENT: Duration = Duration::from_secs(3);

/// Answers to notifications that are kept for retransmissions.
const MOST_ANSWERS: usize = 16;

/// What a client is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rendezvous.
    pub server: SocketAddr,
    /// Our name.
    pub name: String,
    /// Our key.
    pub identity: Identity,
    /// Grows from one start to the next; microseconds since 1970 do.
    pub sequence: u64,
    /// Random.
    pub seed: [u8; 32],
}

/// What a client learns.
#[derive(Debug)]
pub enum Event {
    /// The server has a second address, of which this is the one that differs
    /// in both address and port.
    OtherAddress(SocketAddr),
    /// We are registered, and seen at this address. Told again when it changes.
    Registered(SocketAddr),
    /// The server refused for good: another key owns the name, say.
    Refused(u16),
    /// The server has not answered for three seconds. We go on asking.
    ServerSilent,
    /// The peer's key, before anything is sealed to it: go on with
    /// [`Client::connect`], or do not.
    Found(PublicKey),
    /// Not registered, or did not acknowledge. We go on asking.
    PeerUnavailable(u16),
    /// The peer has acknowledged.
    Introduced(Introduced),
    /// Somebody asks for us: answer with [`Client::accept`].
    Invitation(Box<Invitation>),
}

/// The two sides know each other.
#[derive(Debug)]
pub struct Introduced {
    /// The peer's name.
    pub peer: String,
    /// The peer's key.
    pub key: PublicKey,
    /// Where the server sees the peer.
    pub address: SocketAddr,
    /// What the peer sealed for us.
    pub payload: Vec<u8>,
    /// The secrets of this attempt.
    pub keys: Keys,
}

/// Somebody who asks for us.
#[derive(Debug)]
pub struct Invitation {
    /// Its name.
    pub caller: String,
    /// Its key, which the server has verified and the seal confirms.
    pub key: PublicKey,
    /// Where the server sees it.
    pub address: SocketAddr,
    transaction: Transaction,
    opened: Opened,
}

impl Invitation {
    /// What the caller sealed for us.
    pub fn payload(&self) -> &[u8] {
        &self.opened.payload
    }
}

/// One request and its retransmissions.
#[derive(Debug)]
struct Exchange {
    transaction: Transaction,
    bytes: Vec<u8>,
    started: Instant,
    next: Instant,
    wait: Duration,
}

/// What we want of a name.
#[derive(Debug)]
enum Wish {
    Lookup(String),
    Connect {
        peer: String,
        key: PublicKey,
        payload: Vec<u8>,
    },
}

/// The client.
#[derive(Debug)]
pub struct Client {
    config: Config,
    rng: ChaCha20Rng,
    cookie: Option<Vec<u8>>,
    /// The cookies of the last two registrations: notifications show one.
    shown: VecDeque<Vec<u8>>,
    registering: Option<Exchange>,
    refresh_at: Option<Instant>,
    mapped: Option<SocketAddr>,
    wish: Option<Wish>,
    asking: Option<(Exchange, Option<Offer>)>,
    ask_at: Option<Instant>,
    answered: VecDeque<(Transaction, Option<Vec<u8>>)>,
    heard: Instant,
    silence_told: bool,
    other_told: bool,
    rtt: Option<Duration>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that starts to register at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut client = Client {
            rng: ChaCha20Rng::from_seed(config.seed),
            config,
            cookie: None,
            shown: VecDeque::new(),
            registering: None,
            refresh_at: None,
            mapped: None,
            wish: None,
            asking: None,
            ask_at: None,
            answered: VecDeque::new(),
            heard: now,
            silence_told: false,
            other_told: false,
            rtt: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.register(now, LIFETIME);
        client
    }

    /// Asks for a name's key; it answers with [`Event::Found`].
    pub fn look_up(&mut self, now: Instant, peer: &str) {
        self.wish = Some(Wish::Lookup(peer.to_owned()));
        self.ask_at = Some(now);
        self.ask(now);
    }

    /// Asks for an introduction. `payload` is sealed to `key`.
    pub fn connect(&mut self, now: Instant, peer: &str, key: PublicKey, payload: Vec<u8>) {
        self.wish = Some(Wish::Connect {
            peer: peer.to_owned(),
            key,
            payload,
        });
        self.ask_at = Some(now);
        self.ask(now);
    }

    /// No longer wants to reach anybody.
    pub fn forget_wish(&mut self) {
        self.wish = None;
        self.asking = None;
        self.ask_at = None;
    }

    /// Answers an invitation. What is to leave before the acknowledgement
    /// must have been taken out for sending already.
    ///
    /// # Errors
    /// When `payload` is too long to seal.
    pub fn accept(&mut self, invitation: Invitation, payload: &[u8]) -> Result<Keys, SealError> {
        let (seal, keys) = invitation.opened.answer(payload)?;
        let answer = Builder::new(Class::Success, Method::Notify, invitation.transaction)
            .seal(&seal)
            .finish();
        self.remember(invitation.transaction, Some(answer.clone()));
        self.transmits.push_back(answer);
        Ok(keys)
    }

    /// Gives the name back.
    pub fn unregister(&mut self, now: Instant) {
        self.register(now, Duration::ZERO);
        self.registering = None;
    }

    /// Where the server sees us.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// The last measured round trip to the server.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// A message from the server's address.
    pub fn handle_input(&mut self, now: Instant, message: &Message<'_>) {
        if message.is(Class::Request, Method::Notify) {
            return self.notified(message);
        }
        let answers = |exchange: &Exchange| exchange.transaction == message.transaction();
        if let Some(exchange) = self.registering.take_if(|exchange| answers(exchange)) {
            self.hear(now, &exchange);
            self.registration_answered(now, message);
        } else if let Some((exchange, offer)) = self.asking.take_if(|(e, _)| answers(e)) {
            self.hear(now, &exchange);
            self.wish_answered(now, message, offer);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.refresh_at.is_some_and(|at| at <= now) && self.registering.is_none() {
            self.register(now, LIFETIME);
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask(now);
        }
        let asking = self.asking.as_mut().map(|(exchange, _)| exchange);
        for exchange in self.registering.as_mut().into_iter().chain(asking) {
            if exchange.next <= now {
                self.transmits.push_back(exchange.bytes.clone());
                exchange.wait = (exchange.wait * 2).min(LAST_WAIT);
                exchange.next = now + exchange.wait;
            }
        }
        if self.waiting() && now >= self.heard + SILENT && !self.silence_told {
            self.silence_told = true;
            self.events.push_back(Event::ServerSilent);
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silent = (self.waiting() && !self.silence_told).then_some(self.heard + SILENT);
        let refresh = self.refresh_at.filter(|_| self.registering.is_none());
        [
            self.registering.as_ref().map(|exchange| exchange.next),
            self.asking.as_ref().map(|(exchange, _)| exchange.next),
            self.ask_at.filter(|_| self.may_ask()),
            refresh,
            silent,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next datagram for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn waiting(&self) -> bool {
        self.registering.is_some() || self.asking.is_some()
    }

    fn hear(&mut self, now: Instant, exchange: &Exchange) {
        self.heard = now;
        self.silence_told = false;
        // Only an answer to a single transmission tells the round trip (Karn).
        if exchange.wait == FIRST_WAIT {
            self.rtt = Some(now.saturating_duration_since(exchange.started));
        }
    }

    fn exchange(&mut self, now: Instant, transaction: Transaction, request: Builder) -> Exchange {
        let bytes = request.pad_to(REQUEST).finish();
        self.transmits.push_back(bytes.clone());
        if !self.waiting() {
            self.heard = now;
        }
        Exchange {
            transaction,
            bytes,
            started: now,
            next: now + FIRST_WAIT,
            wait: FIRST_WAIT,
        }
    }

    fn request(&mut self, method: Method) -> (Transaction, Builder) {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let mut request = Builder::request(method, transaction);
        if let Some(cookie) = &self.cookie {
            request = request.nonce(cookie);
        }
        (transaction, request)
    }

    fn register(&mut self, now: Instant, lifetime: Duration) {
        let (transaction, mut request) = self.request(Method::Register);
        // The first request brings no cookie and hence needs no signature.
        if let Some(cookie) = &self.cookie {
            if self.shown.front() != Some(cookie) {
                self.shown.push_front(cookie.clone());
                self.shown.truncate(2);
            }
            self.config.sequence += 1;
            request = request
                .name(&self.config.name)
                .public_key(&self.config.identity.public())
                .sequence(self.config.sequence)
                .lifetime(lifetime.as_secs() as u32)
                .sign(|part| self.config.identity.sign(part));
        }
        self.registering = Some(self.exchange(now, transaction, request));
    }

    /// Takes a fresh cookie out of an error answer, if there is one.
    fn new_cookie(&mut self, message: &Message<'_>) -> bool {
        let asked = matches!(
            message.error(),
            Some(code::UNAUTHENTICATED | code::STALE_NONCE)
        );
        match message.nonce() {
            Some(nonce) if asked && self.cookie.as_deref() != Some(nonce) => {
                self.cookie = Some(nonce.to_vec());
                true
            }
            _ => false,
        }
    }

    fn registration_answered(&mut self, now: Instant, message: &Message<'_>) {
        if let Some(other) = message.other_address().filter(|_| !self.other_told) {
            self.other_told = true;
            self.events.push_back(Event::OtherAddress(other));
        }
        if self.new_cookie(message) {
            self.register(now, LIFETIME);
            return self.ask(now);
        }
        match (message.class(), message.mapped(), message.error()) {
            (Class::Success, Some(mapped), _) => {
                self.refresh_at = Some(now + REFRESH);
                if self.mapped != Some(mapped) {
                    self.mapped = Some(mapped);
                    self.events.push_back(Event::Registered(mapped));
                }
                self.ask(now);
            }
            (_, _, Some(code)) => self.events.push_back(Event::Refused(code)),
            _ => self.refresh_at = Some(now + ASK_AGAIN),
        }
    }

    fn may_ask(&self) -> bool {
        let ready = match self.wish {
            None => false,
            Some(Wish::Lookup(_)) => self.cookie.is_some(),
            Some(Wish::Connect { .. }) => self.mapped.is_some(),
        };
        ready && self.asking.is_none()
    }

    /// Sends the wish, when it is time and what it needs is there: a cookie
    /// for a lookup, a registration for an introduction.
    fn ask(&mut self, now: Instant) {
        if !self.may_ask() || self.ask_at.is_none_or(|at| at > now) {
            return;
        }
        let (transaction, request) = self.request(Method::Connect);
        match &self.wish {
            None => {}
            Some(Wish::Lookup(peer)) => {
                let peer = peer.clone();
                let (transaction, request) = self.request(Method::Lookup);
                let exchange = self.exchange(now, transaction, request.peer_name(&peer));
                self.ask_at = None;
                self.asking = Some((exchange, None));
            }
            Some(Wish::Connect { peer, key, payload }) => {
                let names = Names {
                    caller: &self.config.name,
                    target: peer,
                };
                let mut seed = [0; 32];
                self.rng.fill_bytes(&mut seed);
                self.ask_at = None;
                let Ok((offer, seal)) =
                    Offer::new(&self.config.identity, key, names, payload, seed)
                else {
                    return self
                        .events
                        .push_back(Event::PeerUnavailable(code::FORBIDDEN));
                };
                self.config.sequence += 1;
                let request = request
                    .name(&self.config.name)
                    .peer_name(peer)
                    .sequence(self.config.sequence)
                    .seal(&seal)
                    .sign(|part| self.config.identity.sign(part));
                let exchange = self.exchange(now, transaction, request);
                self.asking = Some((exchange, Some(offer)));
            }
        }
    }

    fn wish_answered(&mut self, now: Instant, message: &Message<'_>, offer: Option<Offer>) {
        if self.new_cookie(message) {
            // The registration is as stale as the cookie.
            self.register(now, LIFETIME);
            self.ask_at = Some(now);
            return self.ask(now);
        }
        if let Some(error) = message.error() {
            self.ask_at = Some(now + ASK_AGAIN);
            return self.events.push_back(Event::PeerUnavailable(error));
        }
        match (offer, self.wish.take()) {
            (None, Some(Wish::Lookup(peer))) => match message.public_key() {
                Some(key) => self.events.push_back(Event::Found(key)),
                None => self.wish = Some(Wish::Lookup(peer)),
            },
            (Some(mut offer), Some(Wish::Connect { peer, key, payload })) => {
                let answer = message.seal().zip(message.peer_address());
                let opened = answer.and_then(|(seal, at)| Some((offer.accept(seal).ok()?, at)));
                match opened {
                    Some(((payload, keys), address)) => {
                        let introduced = Introduced {
                            peer,
                            key,
                            address,
                            payload,
                            keys,
                        };
                        self.events.push_back(Event::Introduced(introduced));
                    }
                    None => {
                        // Not the key that we sealed to: start over.
                        self.wish = Some(Wish::Connect { peer, key, payload });
                        self.ask_at = Some(now + ASK_AGAIN);
                        self.events
                            .push_back(Event::PeerUnavailable(code::FORBIDDEN));
                    }
                }
            }
            (_, wish) => self.wish = wish,
        }
    }

    fn notified(&mut self, message: &Message<'_>) {
        let ours = message
            .nonce()
            .is_some_and(|n| self.shown.iter().any(|s| s == n));
        if !ours {
            return; // Not of our server, whatever its address says.
        }
        let transaction = message.transaction();
        if let Some((_, answer)) = self.answered.iter().find(|(t, _)| *t == transaction) {
            self.transmits.extend(answer.clone());
            return;
        }
        let (Some(caller), Some(target), Some(key), Some(address), Some(offer)) = (
            message.name(),
            message.peer_name(),
            message.public_key(),
            message.peer_address(),
            message.seal(),
        ) else {
            return;
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let names = Names { caller, target };
        let opened = Opened::new(&self.config.identity, &key, names, offer, seed);
        match opened {
            Ok(opened) if target == self.config.name => {
                // Known, and not answered until it is accepted.
                self.remember(transaction, None);
                self.events
                    .push_back(Event::Invitation(Box::new(Invitation {
                        caller: caller.to_owned(),
                        key,
                        address,
                        transaction,
                        opened,
                    })));
            }
            _ => {
                let answer = Builder::error(message, code::FORBIDDEN).finish();
                self.remember(transaction, Some(answer.clone()));
                self.transmits.push_back(answer);
            }
        }
    }

    fn remember(&mut self, transaction: Transaction, answer: Option<Vec<u8>>) {
        self.answered.retain(|(known, _)| *known != transaction);
        self.answered.push_front((transaction, answer));
        self.answered.truncate(MOST_ANSWERS);
    }
}

//! The client's side: get a cookie, register, stay registered, look a name
//! up, ask for an introduction, and hear of those who ask for us.
//!
//! Feed it what the server sends with [`Client::handle_input`], call
//! [`Client::handle_timeout`] when [`Client::poll_timeout`] says so, send what
//! [`Client::poll_transmit`] yields to the server, act on
//! [`Client::poll_event`].

mod notified;
mod pending;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Builder, Class, Message, Method, Transaction, code};

use session::credentials::{Credentials, Granted};
use session::identity::{Identity, PublicKey};
use session::name::LIFETIME;
use session::seal::{Keys, Names, Offer, Opened, SealError};

/// Requests are padded to this many bytes, since no answer is longer than its
/// request; it also makes all of them look alike.
const REQUEST: usize = 640;

/// A registration is refreshed this often: it also keeps the NAT's mapping.
pub const REFRESH: Duration = Duration::from_secs(15);

/// A name that is not registered, or silent, is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Retransmission: the first wait, doubled each time up to the last. With
/// every third packet lost each way, eight tries within [`SILENT`] leave one
/// exchange in 200 without an answer; five would leave one in 30.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_millis(400);

/// The last wait for a server that is silent: it may be gone for hours.
const SILENT_WAIT: Duration = Duration::from_millis(3200);

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
    /// Ask for credentials for the server's relay, too.
    pub relay: bool,
    /// Random.
    pub seed: [u8; 32],
}

/// What a client learns.
#[derive(Debug)]
pub enum Event {
    /// The server has a second address, of which this is the one that differs
    /// in both address and port.
    OtherAddress(SocketAddr),
    /// We are registered. Told again when the address changes.
    Registered {
        /// Where the server sees us.
        mapped: SocketAddr,
        /// Where it saw us before.
        before: Option<SocketAddr>,
    },
    /// What opens the server's relay; `None` where it has none.
    Granted(Option<Credentials>),
    /// The server refused for good: another key owns the name, say.
    Refused(u16),
    /// The server has not answered for three seconds. We go on asking.
    ServerSilent,
    /// A peer's key, before anything is sealed to it: go on with
    /// [`Client::connect`], or do not.
    Found {
        /// The peer's name.
        peer: String,
        /// Its key.
        key: PublicKey,
    },
    /// Not registered, or did not acknowledge. We go on asking.
    PeerUnavailable {
        /// The peer's name.
        peer: String,
        /// The server's error code.
        code: u16,
    },
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
#[derive(Clone, Debug)]
enum Wish {
    Lookup,
    Connect { key: PublicKey, payload: Vec<u8> },
}

/// A name that is asked about, one request at a time.
#[derive(Debug)]
struct Pending {
    peer: String,
    wish: Wish,
    /// When to ask next; never while a request is on its way.
    ask_at: Option<Instant>,
    asking: Option<(Exchange, Option<Offer>)>,
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
    pending: Vec<Pending>,
    answered: VecDeque<(Transaction, Option<Vec<u8>>)>,
    heard: Instant,
    silence_told: bool,
    other_told: bool,
    /// When to ask for credentials again.
    credentials_at: Option<Instant>,
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
            pending: Vec::new(),
            answered: VecDeque::new(),
            heard: now,
            silence_told: false,
            other_told: false,
            credentials_at: None,
            rtt: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.register(now, LIFETIME);
        client
    }

    /// Asks for a name's key; it answers with [`Event::Found`].
    pub fn look_up(&mut self, now: Instant, peer: &str) {
        self.request_of(now, peer, Wish::Lookup);
    }

    /// Asks for an introduction. `payload` is sealed to `key`.
    pub fn connect(&mut self, now: Instant, peer: &str, key: PublicKey, payload: Vec<u8>) {
        self.request_of(now, peer, Wish::Connect { key, payload });
    }

    /// No longer wants to reach that peer.
    pub fn forget(&mut self, peer: &str) {
        self.pending.retain(|pending| pending.peer != peer);
    }

    /// Registers anew at once: our address may have changed.
    pub fn refresh(&mut self, now: Instant) {
        if self.registering.is_none() {
            self.register(now, LIFETIME);
        }
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
            return;
        }
        for index in 0..self.pending.len() {
            let asking = &mut self.pending[index].asking;
            if let Some((exchange, offer)) = asking.take_if(|(exchange, _)| answers(exchange)) {
                self.hear(now, &exchange);
                return self.pending_answered(now, index, message, offer);
            }
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.refresh_at.is_some_and(|at| at <= now) && self.registering.is_none() {
            self.register(now, LIFETIME);
        }
        self.ask(now);
        let last = match self.silence_told {
            true => SILENT_WAIT,
            false => LAST_WAIT,
        };
        let asking = self.pending.iter_mut().filter_map(|e| e.asking.as_mut());
        let asking = asking.map(|(exchange, _)| exchange);
        for exchange in self.registering.as_mut().into_iter().chain(asking) {
            if exchange.next <= now {
                self.transmits.push_back(exchange.bytes.clone());
                exchange.wait = (exchange.wait * 2).min(last);
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
        let pending = self.pending.iter().map(|pending| match &pending.asking {
            Some((exchange, _)) => Some(exchange.next),
            None => pending.ask_at.filter(|_| self.may_ask(&pending.wish)),
        });
        let registering = self.registering.as_ref().map(|exchange| exchange.next);
        pending
            .chain([registering, refresh, silent])
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

    /// Whether the server owes an answer. An introduction is answered only
    /// when the peer has acknowledged, which may take as long as it takes to
    /// call a server silent.
    fn waiting(&self) -> bool {
        let soon = |pending: &Pending| matches!(pending.wish, Wish::Lookup);
        self.registering.is_some()
            || self
                .pending
                .iter()
                .any(|pending| pending.asking.is_some() && soon(pending))
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
            // Sealing them is dear to the server, so not every time.
            if self.config.relay && self.credentials_at.is_none_or(|at| at <= now) {
                request = request.relay(&[]);
            }
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

    /// Credentials in an answer to a registration that asked for them.
    fn granted(&mut self, now: Instant, message: &Message<'_>) {
        if !self.config.relay || self.credentials_at.is_some_and(|at| at > now) {
            return;
        }
        let Config { name, identity, .. } = &self.config;
        let sealed = message.relay();
        let granted = sealed.and_then(|sealed| Granted::open(name, identity, sealed).ok());
        let lifetime = granted
            .as_ref()
            .map_or(LIFETIME, |granted| granted.lifetime);
        self.credentials_at = Some(now + lifetime / 2);
        let credentials = granted.map(|granted| granted.credentials);
        self.events.push_back(Event::Granted(credentials));
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
                self.granted(now, message);
                let before = self.mapped.replace(mapped);
                if before != Some(mapped) {
                    self.events.push_back(Event::Registered { mapped, before });
                }
                self.ask(now);
            }
            (_, _, Some(code)) => {
                self.refresh_at = Some(now + REFRESH);
                self.events.push_back(Event::Refused(code));
            }
            _ => self.refresh_at = Some(now + ASK_AGAIN),
        }
    }
}

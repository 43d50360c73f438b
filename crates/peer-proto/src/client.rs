//! The client of a rendezvous: it gets a cookie, registers, stays registered,
//! looks a name up, asks for an introduction, and is told of those who ask for
//! one.
//!
//! Feed it what the server sends with [`Client::handle_input`], call
//! [`Client::handle_timeout`] at the time that [`Client::poll_timeout`] returns, send what
//! [`Client::poll_transmit`] yields to the server, and act on
//! [`Client::poll_event`].

mod exchange;
mod notifications;
mod pending;
mod registration;
mod requests;
mod types;
mod work;

pub use types::{Config, Event, Introduced, Invitation};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Builder, Class, Message, Method, Transaction, code};

use self::exchange::Exchange;
use self::notifications::{Answer, Notifications};
use self::pending::{ASK_AGAIN, Asking, PendingRequests, Standing, Wish};
use self::registration::Registration;
use self::requests::{Forbidden, Register, Requests};
use self::work::Work;
use session::identity::PublicKey;
use session::name::LIFETIME;
use session::rotation::Rotation;
use session::seal::{Offer, SealError};

/// Requests are padded to this many bytes, since no answer is longer than its
/// request. It also makes all of them look alike.
const REQUEST: usize = 640;

/// The same where there is a rotation, which peers are sent with our key.
const REQUEST_WITH_ROTATION: usize = 768;

/// A registration is refreshed this often, which also keeps the NAT's mapping.
pub const REFRESH: Duration = Duration::from_secs(15);

/// The longest wait before a retransmission. Where every third packet is lost each
/// way, the eight transmissions within [`SILENT`] leave one exchange in 200 without
/// an answer; five would leave one in 30.
const LAST_WAIT: Duration = Duration::from_millis(400);

/// The longest wait where the server is silent: it may be gone for hours.
const SILENT_WAIT: Duration = Duration::from_millis(3200);

/// A server that does not answer for this time is called silent.
const SILENT: Duration = Duration::from_secs(3);

/// The client.
#[derive(Debug)]
pub struct Client {
    requests: Requests,
    registration: Registration,
    work: Work,
    pending: PendingRequests,
    notifications: Notifications,
    /// When the server was last heard, or last asked after a pause.
    heard: Instant,
    silence_told: bool,
    rtt: Option<Duration>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that starts to register at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut client = Client {
            requests: Requests::new(&config),
            registration: Registration::new(config.relay),
            work: Work::default(),
            pending: PendingRequests::default(),
            notifications: Notifications::default(),
            heard: now,
            silence_told: false,
            rtt: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.register(now, LIFETIME);
        client
    }

    /// Shows from now on how our key got the name: servers and peers that know the
    /// key before it follow.
    pub fn show_rotation(&mut self, rotation: Rotation) {
        self.requests.show_rotation(rotation);
    }

    /// Asks for a name's key, until [`Event::Found`].
    pub fn look_up(&mut self, now: Instant, peer: &str) {
        self.pending.add(now, peer, Wish::Key);
        self.ask(now);
    }

    /// Asks for an introduction, until [`Event::Introduced`]. `payload` is sealed
    /// to `key`.
    pub fn connect(&mut self, now: Instant, peer: &str, key: PublicKey, payload: Vec<u8>) {
        let wish = Wish::Introduction { key, payload };
        self.pending.add(now, peer, wish);
        self.ask(now);
    }

    /// No longer asks about that peer.
    pub fn forget(&mut self, peer: &str) {
        self.pending.remove(peer);
    }

    /// Registers anew at once: our address may have changed.
    pub fn refresh(&mut self, now: Instant) {
        if self.registration.exchange.is_none() && !self.work.is_under_way() {
            self.register(now, LIFETIME);
        }
    }

    /// Acknowledges an invitation, which introduces the caller. What is to leave
    /// before the acknowledgement must have been sent already.
    ///
    /// # Errors
    /// When `payload` is too long to seal.
    pub fn accept(
        &mut self,
        mut invitation: Invitation,
        payload: &[u8],
    ) -> Result<Introduced, SealError> {
        let transaction = invitation.transaction;
        let theirs = std::mem::take(&mut invitation.opened.payload);
        let (seal, keys) = invitation.opened.answer(payload)?;
        let answer = Builder::new(Class::Success, Method::Notify, transaction).seal(&seal);
        self.answer(transaction, answer.finish());
        Ok(Introduced {
            peer: invitation.caller,
            key: invitation.key,
            address: invitation.address,
            payload: theirs,
            keys,
        })
    }

    /// Gives the name back.
    pub fn unregister(&mut self, now: Instant) {
        self.work.stop();
        self.register(now, Duration::ZERO);
        self.registration.exchange = None;
    }

    /// Where the server sees us.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.registration.mapped
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
        let answers = |exchange: &mut Exchange| exchange.is_answered_by(message);
        if let Some(exchange) = self.registration.exchange.take_if(answers) {
            self.hear(now, &exchange);
            self.registration_answered(now, message);
        } else if let Some((peer, asking)) = self.pending.answered(message) {
            self.hear(now, &asking.exchange);
            self.pending_answered(now, &peer, asking.offer, message);
        }
    }

    /// To be called at the time that [`Self::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.registration.refresh_at.is_some_and(|at| at <= now) {
            self.refresh(now);
        }
        if let Some(proof) = self.work.handle_timeout(now) {
            tracing::debug!("the proof of work is found");
            self.requests.prove(proof);
            self.register(now, LIFETIME);
        }
        self.ask(now);
        let longest = match self.silence_told {
            true => SILENT_WAIT,
            false => LAST_WAIT,
        };
        let exchanges = self.registration.exchange.iter_mut();
        let exchanges = exchanges.chain(self.pending.exchanges());
        let due = exchanges.filter_map(|exchange| exchange.poll_transmit(now, longest));
        self.transmits.extend(due);
        if self.silent_at().is_some_and(|at| at <= now) {
            tracing::debug!("the server is silent");
            self.silence_told = true;
            self.events.push_back(Event::ServerSilent);
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pending = self.pending.poll_timeout(self.standing());
        let timeouts = [
            self.registration.poll_timeout(),
            self.work.poll_timeout(),
            pending,
            self.silent_at(),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// The next datagram for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether the server owes an answer.
    fn is_waiting(&self) -> bool {
        self.registration.exchange.is_some() || self.pending.is_waiting_for_key()
    }

    /// When the server is to be called silent, if it does not answer.
    fn silent_at(&self) -> Option<Instant> {
        (self.is_waiting() && !self.silence_told).then_some(self.heard + SILENT)
    }

    fn hear(&mut self, now: Instant, exchange: &Exchange) {
        self.heard = now;
        self.silence_told = false;
        self.rtt = exchange.rtt(now).or(self.rtt);
    }

    fn send(&mut self, now: Instant, transaction: Transaction, request: Builder) -> Exchange {
        let length = match self.requests.has_rotation() {
            true => REQUEST_WITH_ROTATION,
            false => REQUEST,
        };
        let bytes = request.pad_to(length).finish();
        self.transmits.push_back(bytes.clone());
        if !self.is_waiting() {
            self.heard = now;
        }
        Exchange::new(now, transaction, bytes)
    }

    fn register(&mut self, now: Instant, lifetime: Duration) {
        let (transaction, request) = self.requests.register(Register {
            lifetime,
            credentials: self.registration.wants_credentials(now),
        });
        self.registration.exchange = Some(self.send(now, transaction, request));
    }

    fn registration_answered(&mut self, now: Instant, message: &Message<'_>) {
        if let Some(other) = message.other_address()
            && !std::mem::replace(&mut self.registration.other_told, true)
        {
            self.events.push_back(Event::OtherAddress(other));
        }
        if self.requests.new_cookie(message) {
            self.register(now, LIFETIME);
            return self.ask(now);
        }
        if self.requests.catch_up(now, message) {
            tracing::debug!("the server has seen a later SEQUENCE of our key");
            return self.register(now, LIFETIME);
        }
        if let Some(bits) = self.requests.work_wanted(message) {
            return self.begin_work(now, bits);
        }
        match (message.class(), message.mapped(), message.error()) {
            (Class::Success, Some(mapped), _) => {
                self.registration.work_told = false;
                self.registration.refresh_at = Some(now + REFRESH);
                if self.registration.wants_credentials(now) {
                    self.granted(now, message);
                }
                let before = self.registration.mapped.replace(mapped);
                if before != Some(mapped) {
                    tracing::debug!(%mapped, ?before, "registered");
                    self.events.push_back(Event::Registered { mapped, before });
                }
                self.ask(now);
            }
            (_, _, Some(code)) => {
                tracing::debug!(code, "the server refused the registration");
                self.registration.refresh_at = Some(now + REFRESH);
                self.events.push_back(Event::Refused(code));
            }
            _ => self.registration.refresh_at = Some(now + ASK_AGAIN),
        }
    }

    /// The server registers our name for a proof of work only.
    fn begin_work(&mut self, now: Instant, bits: u8) {
        tracing::debug!(bits, "the server asks for a proof of work");
        if !self.work.begin(now, self.requests.subject(), bits) {
            self.registration.refresh_at = Some(now + REFRESH);
            return self.events.push_back(Event::Refused(code::WORK_REQUIRED));
        }
        self.registration.refresh_at = None;
        if !std::mem::replace(&mut self.registration.work_told, true) {
            self.events.push_back(Event::WorkWanted { bits });
        }
    }

    fn granted(&mut self, now: Instant, message: &Message<'_>) {
        let granted = self.requests.credentials(message);
        let lifetime = granted.as_ref().map_or(LIFETIME, |(_, lifetime)| *lifetime);
        self.registration.credentials_at = Some(now + lifetime / 2);
        tracing::debug!(
            granted = granted.is_some(),
            ?lifetime,
            "credentials for the relay"
        );
        let credentials = granted.map(|(credentials, _)| credentials);
        self.events.push_back(Event::Granted(credentials));
    }

    fn standing(&self) -> Standing {
        if self.registration.mapped.is_some() {
            Standing::Registered
        } else if self.requests.has_cookie() {
            Standing::Cookie
        } else {
            Standing::Unknown
        }
    }

    /// Sends every pending request whose time has come.
    fn ask(&mut self, now: Instant) {
        while let Some((peer, wish)) = self.pending.next_due(now, self.standing()) {
            match self.requests.of(&wish, &peer) {
                Some((transaction, request, offer)) => {
                    let exchange = self.send(now, transaction, request);
                    self.pending.asked(&peer, Asking { exchange, offer });
                }
                None => self.unavailable(peer, code::FORBIDDEN),
            }
        }
    }

    fn pending_answered(
        &mut self,
        now: Instant,
        peer: &str,
        offer: Option<Offer>,
        message: &Message<'_>,
    ) {
        if self.requests.new_cookie(message) {
            // The registration is as stale as the cookie.
            self.register(now, LIFETIME);
            self.pending.ask_again(peer, now);
            return self.ask(now);
        }
        if self.requests.catch_up(now, message) {
            self.pending.ask_again(peer, now);
            return self.ask(now);
        }
        if let Some(error) = message.error() {
            self.pending.ask_again(peer, now + ASK_AGAIN);
            // Two pending requests may have brought the same stale cookie. The
            // second answer then brings no news.
            if !matches!(error, code::UNAUTHENTICATED | code::STALE_NONCE) {
                self.unavailable(peer.to_owned(), error);
            }
            return;
        }
        match self.pending.event(peer, offer, message) {
            Some(event) => {
                self.pending.remove(peer);
                self.events.push_back(event);
            }
            None => {
                // No key, or not the key that was sealed to: start over.
                self.pending.ask_again(peer, now + ASK_AGAIN);
                self.unavailable(peer.to_owned(), code::FORBIDDEN);
            }
        }
    }

    fn unavailable(&mut self, peer: String, code: u16) {
        tracing::debug!(peer, code, "peer unavailable");
        self.events.push_back(Event::PeerUnavailable { peer, code });
    }

    fn notified(&mut self, message: &Message<'_>) {
        if !self.requests.is_from_our_server(message) {
            return tracing::debug!("dropped: a notification without a cookie of ours");
        }
        let transaction = message.transaction();
        match self.notifications.answer(transaction) {
            Some(Answer::Sent(answer)) => return self.transmits.push_back(answer.clone()),
            Some(Answer::None) => return,
            None => {}
        }
        match self.requests.invitation(message) {
            Some(Ok(invitation)) => {
                tracing::debug!(caller = invitation.caller, address = %invitation.address, "invitation");
                self.notifications.remember(transaction, Answer::None);
                let invitation = Event::Invitation(Box::new(invitation));
                self.events.push_back(invitation);
            }
            Some(Err(Forbidden)) => {
                tracing::debug!("refused: an invitation that is not sealed to us");
                let answer = Builder::error(message, code::FORBIDDEN).finish();
                self.answer(transaction, answer);
            }
            None => tracing::debug!("dropped: a notification that is not complete"),
        }
    }

    fn answer(&mut self, transaction: Transaction, answer: Vec<u8>) {
        self.transmits.push_back(answer.clone());
        self.notifications
            .remember(transaction, Answer::Sent(answer));
    }
}

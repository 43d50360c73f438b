//! The client of a rendezvous: it gets a cookie, registers, stays registered,
//! looks a name up, asks for an introduction, and is told of those who ask for
//! one.
//!
//! Feed it what the server sends with [`Client::handle_input`], call
//! [`Client::handle_timeout`] at the time that [`Client::poll_timeout`] returns, send what
//! [`Client::poll_transmit`] yields to the server, and act on
//! [`Client::poll_event`].

mod asking;
mod exchange;
mod notifications;
mod offers;
mod pending;
mod registering;
mod registration;
mod requests;
mod server;
mod types;
mod work;

pub use types::{Callee, Config, Event, Introduced, Invitation, Notification, OtherKey, Relation};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Builder, Class, Message, Method, Transaction};

use self::exchange::{Exchange, Numbered};
use self::notifications::Notifications;
use self::offers::Offers;
use self::pending::{PendingRequests, Wish};
use self::registration::Registration;
use self::requests::Requests;
use self::server::{Server, Verdict};
use self::work::Work;
use session::identity::PublicKey;
use session::name::LIFETIME;
use session::rotation::Rotation;
use session::seal::SealError;

/// Requests are padded to this many bytes, since no answer is longer than its
/// request. It also makes all of them look alike.
const REQUEST: usize = 640;

/// A notification has up to 80 bytes that the request for it has not, and is not
/// longer than it, however long the offer is.
const MARGIN: usize = 80;

/// The same where there is a rotation, which the notification has as well.
const MARGIN_WITH_ROTATION: usize = 180;

/// The type and the length of an attribute (RFC 8489 §14).
const ATTRIBUTE_HEADER: usize = 4;

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

/// Who has not refreshed its registration for this time has ended or lost its network: it was due
/// after [`REFRESH`], and would have been sent ten times since.
pub const GONE: Duration = REFRESH.saturating_add(Duration::from_secs(9));

/// The client.
#[derive(Debug)]
pub struct Client {
    requests: Requests,
    server: Server,
    registration: Registration,
    work: Work,
    pending: PendingRequests,
    notifications: Notifications,
    offers: Offers,
    /// When the server was last heard, or last asked after a pause.
    heard: Instant,
    silence_told: bool,
    /// It was called silent, and has not answered since.
    silent: bool,
    rtt: Option<Duration>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that starts to register at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut client = Client {
            requests: Requests::new(&config),
            server: Server::new(config.server_key),
            registration: Registration::new(config.relay),
            work: Work::default(),
            pending: PendingRequests::default(),
            notifications: Notifications::default(),
            offers: Offers::default(),
            heard: now,
            silence_told: false,
            silent: false,
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
    /// to the callee's key. If the server has another key for the peer by now, the
    /// client asks no more, and reports [`Event::Found`] again.
    pub fn connect(&mut self, now: Instant, peer: &str, callee: Callee, payload: Vec<u8>) {
        let wish = Wish::Introduction {
            callee,
            payload,
            look_up: false,
        };
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

    /// The server is at another address: it may be another machine, and have another relay.
    pub fn moved(&mut self, now: Instant) {
        self.registration.credentials_at = None;
        (self.heard, self.silence_told) = (now, false);
        self.refresh(now);
    }

    /// This host has changed its network: where the server saw us is no longer true.
    /// What waits is not waited for any longer, and we register anew at once.
    pub fn roamed(&mut self, now: Instant) {
        (self.registration.roamed, self.silence_told) = (true, false);
        if !self.work.is_under_way() {
            self.register(now, LIFETIME);
        }
    }

    /// Whether the server has not answered since this host changed its network.
    pub fn is_roaming(&self) -> bool {
        self.registration.roamed
    }

    /// Acknowledges an invitation, which introduces the caller. What is to leave
    /// before the acknowledgement must have been sent already.
    ///
    /// # Errors
    /// When `payload` is too long to seal.
    pub fn accept(
        &mut self,
        now: Instant,
        mut invitation: Invitation,
        relation: Relation,
        payload: &[u8],
    ) -> Result<Introduced, SealError> {
        let transaction = invitation.transaction;
        let theirs = std::mem::take(&mut invitation.opened.payload);
        let (seal, keys) = invitation.opened.answer(payload)?;
        let answer = Builder::new(Class::Success, Method::Notify, transaction).seal(&seal);
        self.answer(now, transaction, relation, answer.finish());
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

    /// Whether everybody who is there is registered. A server that was restarted knows nobody before
    /// they have refreshed their registration, for which they may have to send it several times.
    pub fn knows_all(&self, now: Instant) -> bool {
        let refused = self.requests.refused();
        refused.is_none_or(|at| at + REFRESH + SILENT <= now)
    }

    /// Where the server sees us.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.registration.mapped
    }

    /// The last measured round trip to the server.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// The key that the server is known by.
    pub fn server_key(&self) -> Option<PublicKey> {
        self.server.key()
    }

    /// Answers that came in place of the server's, if none of its own came since.
    pub fn other_server_key(&self) -> Option<OtherKey> {
        self.server.other()
    }

    /// A message from the server's address.
    pub fn handle_input(&mut self, now: Instant, message: &Message<'_>) {
        if message.is(Class::Request, Method::Notify) {
            return self.notified(now, message);
        }
        let transaction = message.transaction();
        let registration = self.registration.request(transaction);
        let Some(request) = registration.or_else(|| self.pending.request(transaction)) else {
            return;
        };
        match self.server.judge(&request.answered_by(message), message) {
            Verdict::Genuine => self.answered(now, message),
            Verdict::Challenge => self.challenged(now, message),
            Verdict::Noise => tracing::debug!("dropped: an answer that does not prove itself"),
        }
    }

    fn answered(&mut self, now: Instant, message: &Message<'_>) {
        let transaction = message.transaction();
        let registration = self.registration.request(transaction);
        let Some(exchange) = registration.or_else(|| self.pending.request(transaction)) else {
            return;
        };
        if let Some(cookie) = exchange.cookie() {
            self.requests.keep_cookie(cookie);
        }
        // Whoever asks for an introduction waits for the callee as well.
        let waited = message.method() == Method::Connect;
        let rtt = exchange.rtt(now, message).filter(|_| !waited);
        self.hear(now, rtt);
        if message.class() == Class::Success {
            self.events.extend(self.server.told());
        }
        if self.registration.take(transaction).is_some() {
            self.registration_answered(now, message);
        } else if let Some((peer, offer)) = self.pending.take(transaction) {
            self.pending_answered(now, &peer, offer, message);
        }
    }

    /// The server wants another cookie, or somebody on the way says so. The request
    /// that was sent may still be answered.
    fn challenged(&mut self, now: Instant, message: &Message<'_>) {
        let transaction = message.transaction();
        if let Some(other) = message.other_address() {
            self.other_address(other, false);
        }
        let registration = self.registration.on_its_way(transaction);
        let Some(exchange) = registration.or_else(|| self.pending.on_its_way(transaction)) else {
            return;
        };
        let news = self.requests.new_cookie(now, message);
        // A request with the cookie that we still have is only sent again.
        if !news && self.requests.cookie() == exchange.cookie() {
            return;
        }
        let rtt = exchange.rtt(now, message);
        self.hear(now, rtt);
        let peer = self.pending.doubt(transaction);
        if peer.is_none() || news {
            // The registration is as stale as the cookie.
            self.register(now, LIFETIME);
        }
        if let Some(peer) = peer {
            self.pending.ask_again(&peer, now);
        }
        self.ask(now);
    }

    fn other_address(&mut self, other: SocketAddr, proved: bool) {
        if self.registration.other_address(other, proved) {
            self.events.push_back(Event::OtherAddress(other));
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
            let other = self.server.other();
            tracing::debug!(?other, "the server is silent");
            (self.silence_told, self.silent) = (true, true);
            self.events.push_back(match other {
                Some(other) => Event::OtherServerKey(other),
                None => Event::ServerSilent,
            });
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

    fn hear(&mut self, now: Instant, rtt: Option<Duration>) {
        self.heard = now;
        self.silence_told = false;
        if std::mem::take(&mut self.silent) {
            self.events.push_back(Event::ServerAnswers);
        }
        self.rtt = rtt.or(self.rtt);
    }

    fn send(&mut self, now: Instant, transaction: Transaction, request: Builder) -> Exchange {
        let margin = match self.requests.has_rotation() {
            true => MARGIN_WITH_ROTATION,
            false => MARGIN,
        };
        let length = REQUEST.max(request.length() + margin);
        let number_at = request.length() + ATTRIBUTE_HEADER;
        let bytes = request.transmission(0).pad_to(length).finish();
        self.transmits.push_back(bytes.clone());
        if !self.is_waiting() {
            self.heard = now;
        }
        let request = Numbered {
            transaction,
            bytes,
            number_at,
        };
        Exchange::new(now, request)
    }
}

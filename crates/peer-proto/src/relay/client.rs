//! The client: an allocation, its permissions and its channels, each refreshed in time.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::{Attribute, Builder, Class, Message, Method, code, turn};

use super::request::{Request, Requests, Unanswered, Wish};
use super::types::{Config, Event, Failure, Input, SendError};

/// After this time without a packet to the server, a Binding indication keeps the
/// NAT's mapping.
pub const KEEPALIVE: Duration = Duration::from_secs(15);

/// Peers that may be permitted, at most, and those with a channel.
pub const MOST_PEERS: usize = 32;

/// How long giving the relayed address back may take. An allocation that is not
/// given back counts against the quota until it expires.
const CLOSING: Duration = Duration::from_secs(1);

/// The lifetime of an allocation, where the answer has none (RFC 8656 §3.2).
const LIFETIME: Duration = Duration::from_secs(600);

/// Refreshes of an allocation are at least this far apart, whatever lifetime the
/// server grants.
const LEAST_LIFETIME: Duration = Duration::from_secs(10);

/// A permission lives for 300 s (RFC 8656 §9), a channel for 600 s (§12): each is
/// refreshed this long after it was made.
const PERMIT_AGAIN: Duration = Duration::from_secs(240);
const BIND_AGAIN: Duration = Duration::from_secs(540);

/// When a refresh that was not answered is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The first channel number (RFC 8656 §12).
const FIRST_CHANNEL: u16 = 0x4000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Allocating,
    Allocated {
        relayed: SocketAddr,
        refresh_at: Instant,
        expires: Instant,
    },
    /// The allocation is being given back, or will be once it is there.
    Closing {
        until: Instant,
    },
    Ended,
}

/// Something that the server does for us, and that is to be refreshed.
#[derive(Clone, Copy, Debug, Default)]
struct Granted {
    /// It was granted.
    is: bool,
    /// When it is to be asked for again; `None` while it is being asked for.
    again_at: Option<Instant>,
}

/// The client.
#[derive(Debug)]
pub struct Client {
    requests: Requests,
    state: State,
    pending: Vec<Request>,
    permits: BTreeMap<IpAddr, Granted>,
    channels: BTreeMap<SocketAddr, (u16, Granted)>,
    /// When a packet last left for the server.
    spoke: Instant,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that starts to allocate at `now`. The relayed address is of the
    /// server's own address family. The seed is random.
    pub fn new(config: &Config, seed: [u8; 32], now: Instant) -> Self {
        let mut client = Client {
            requests: Requests::new(config.clone(), seed),
            state: State::Allocating,
            pending: Vec::new(),
            permits: BTreeMap::new(),
            channels: BTreeMap::new(),
            spoke: now,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.ask(now, Wish::Allocate);
        client
    }

    /// The TURN server.
    pub fn server(&self) -> SocketAddr {
        self.requests.server()
    }

    /// The relayed address, which peers are to send to.
    pub fn relayed(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated { relayed, .. } => Some(relayed),
            _ => None,
        }
    }

    /// Lets packets from this peer through, from all of its ports. A peer that is
    /// permitted already is not asked for again. Beyond [`MOST_PEERS`] a peer is
    /// [`Event::Refused`].
    pub fn permit(&mut self, now: Instant, peer: IpAddr) {
        if !self.is_of_use() || self.permits.contains_key(&peer) {
            return;
        }
        if self.permits.len() >= MOST_PEERS {
            return self.events.push_back(Event::Refused(peer));
        }
        self.permits.insert(peer, Granted::default());
        if self.relayed().is_some() {
            self.ask(now, Wish::Permit(peer));
        }
    }

    /// Permits this peer and binds a channel to it.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) {
        let full = self.channels.len() >= MOST_PEERS;
        if full || !self.is_of_use() || self.channels.contains_key(&peer) {
            return;
        }
        self.permit(now, peer.ip());
        let used = |number| self.channels.values().any(|(used, _)| *used == number);
        let free = (FIRST_CHANNEL..).find(|number| !used(*number));
        if let (Some(number), true) = (free, self.permits.contains_key(&peer.ip())) {
            self.channels.insert(peer, (number, Granted::default()));
            if self.permitted(peer.ip()) {
                self.ask(now, Wish::Bind(number, peer));
            }
        }
    }

    /// Whether [`Self::send_to`] would work.
    pub fn permitted(&self, peer: IpAddr) -> bool {
        self.relayed().is_some() && self.permits.get(&peer).is_some_and(|it| it.is)
    }

    /// The datagram that carries this payload to the peer: it is to be sent to the
    /// server.
    ///
    /// # Errors
    /// When the peer is not permitted, or not yet.
    pub fn send_to(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        payload: &[u8],
    ) -> Result<Vec<u8>, SendError> {
        if !self.permitted(peer.ip()) {
            return Err(SendError::NotPermitted);
        }
        self.spoke = now;
        let bound = self.channels.get(&peer).filter(|(_, it)| it.is);
        if let Some(datagram) = bound.and_then(|(number, _)| turn::to_channel(*number, payload)) {
            return Ok(datagram);
        }
        let indication = Builder::indication(Method::Send, self.requests.transaction());
        Ok(indication.peer(peer).data(payload).finish())
    }

    /// A datagram that the socket received.
    pub fn handle_input(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Input {
        if from != self.server() {
            return Input::NotOurs;
        }
        // The numbers of RFC 8656's channels.
        if matches!(bytes.first(), Some(0x40..=0x4f)) {
            return self.channel_data(bytes).unwrap_or(Input::Consumed);
        }
        let message = match Message::parse(bytes) {
            Ok(message) if message.method().is_turn() => message,
            _ => return Input::NotOurs,
        };
        match message.class() {
            Class::Indication => self.indication(&message).unwrap_or(Input::Consumed),
            Class::Request => Input::Consumed,
            Class::Success | Class::Error => {
                self.answered(now, &message);
                Input::Consumed
            }
        }
    }

    /// The server's host answers that nothing listens there. It counts until there is an
    /// allocation: anybody could send such an error.
    pub fn handle_unreachable(&mut self) {
        if self.state == State::Allocating {
            self.end(Failure::Unreachable);
        }
    }

    /// To be called at the time that [`Self::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Ended => return,
            State::Closing { until } if until <= now => return self.end(Failure::Closed),
            State::Allocated { expires, .. } if expires <= now => {
                return self.end(Failure::Expired);
            }
            _ => {}
        }
        self.retransmit(now);
        self.refresh(now);
        if self.keepalive_at().is_some_and(|at| at <= now) {
            let indication = Builder::indication(Method::Binding, self.requests.transaction());
            self.send(now, indication.finish());
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (refresh, end) = match self.state {
            State::Ended => return None,
            State::Closing { until } => (None, Some(until)),
            State::Allocating => (None, None),
            State::Allocated {
                refresh_at,
                expires,
                ..
            } => (Some(refresh_at), Some(expires)),
        };
        let granted = self.permits.values();
        let granted = granted.chain(self.channels.values().map(|(_, granted)| granted));
        let again = granted.filter_map(|granted| granted.again_at);
        let again = again.filter(|_| self.relayed().is_some());
        let pending = self.pending.iter().map(|request| request.next);
        let others = [refresh, end, self.keepalive_at()];
        others
            .into_iter()
            .flatten()
            .chain(again)
            .chain(pending)
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

    /// Gives the relayed address back. That takes a round trip or two: the client
    /// is to be driven until [`Event::Failed`] with [`Failure::Closed`], a second at
    /// most. If the client is dropped instead, the allocation stays until it
    /// expires.
    pub fn close(&mut self, now: Instant) {
        if !self.is_of_use() {
            return;
        }
        let until = now + CLOSING;
        let before = std::mem::replace(&mut self.state, State::Closing { until });
        if let State::Allocated { .. } = before {
            self.pending.clear();
            self.ask(now, Wish::GiveBack);
        }
        // An allocation that is being made is given back once it is there.
    }

    fn is_of_use(&self) -> bool {
        matches!(self.state, State::Allocating | State::Allocated { .. })
    }

    fn keepalive_at(&self) -> Option<Instant> {
        self.relayed().map(|_| self.spoke + KEEPALIVE)
    }

    fn ask(&mut self, now: Instant, wish: Wish) {
        let (request, bytes) = self.requests.request(now, wish);
        self.pending.push(request);
        self.send(now, bytes);
    }

    fn send(&mut self, now: Instant, bytes: Vec<u8>) {
        self.spoke = now;
        self.transmits.push_back(bytes);
    }

    fn end(&mut self, failure: Failure) {
        let failure = match self.state {
            State::Ended => return,
            State::Closing { .. } => Failure::Closed,
            State::Allocating | State::Allocated { .. } => failure,
        };
        tracing::debug!(server = %self.server(), %failure, "no relayed address");
        self.state = State::Ended;
        self.pending.clear();
        self.events.push_back(Event::Failed(failure));
    }

    fn channel_data(&self, bytes: &[u8]) -> Option<Input> {
        let (number, payload) = turn::channel_data(bytes)?;
        let mut channels = self.channels.iter();
        let (peer, _) = channels.find(|(_, (bound, granted))| *bound == number && granted.is)?;
        self.relayed()?;
        Some(Input::Relayed {
            peer: *peer,
            payload: payload.to_vec(),
        })
    }

    fn indication(&self, message: &Message<'_>) -> Option<Input> {
        let is_data = message.method() == Method::Data;
        let peer = message.peers().first().copied().flatten()?;
        let payload = message.get(Attribute::Data)?;
        (is_data && self.permitted(peer.ip())).then(|| Input::Relayed {
            peer,
            payload: payload.to_vec(),
        })
    }

    fn retransmit(&mut self, now: Instant) {
        let mut unanswered = Vec::new();
        self.pending
            .retain_mut(|request| match request.poll_transmit(now) {
                Ok(bytes) => {
                    if let Some(bytes) = bytes {
                        self.spoke = now;
                        self.transmits.push_back(bytes);
                    }
                    true
                }
                Err(Unanswered) => {
                    unanswered.push(request.wish);
                    false
                }
            });
        for wish in unanswered {
            match wish {
                Wish::Allocate => self.end(Failure::Silent),
                Wish::GiveBack => self.end(Failure::Closed),
                Wish::Refresh => self.refresh_again(now + TRY_AGAIN),
                Wish::Permit(_) | Wish::Bind(..) => self.refused(now, wish),
            }
        }
    }

    /// Asks for everything anew whose time has come.
    fn refresh(&mut self, now: Instant) {
        let State::Allocated {
            refresh_at,
            expires,
            ..
        } = self.state
        else {
            return;
        };
        if refresh_at <= now {
            self.refresh_again(expires);
            self.ask(now, Wish::Refresh);
        }
        let mut due = Vec::new();
        let mut take = |granted: &mut Granted, wish| {
            due.extend(granted.again_at.take_if(|at| *at <= now).map(|_| wish));
        };
        for (peer, granted) in &mut self.permits {
            take(granted, Wish::Permit(*peer));
        }
        for (peer, (number, granted)) in &mut self.channels {
            take(granted, Wish::Bind(*number, *peer));
        }
        for wish in due {
            self.ask(now, wish);
        }
    }

    fn refresh_again(&mut self, at: Instant) {
        if let State::Allocated { refresh_at, .. } = &mut self.state {
            *refresh_at = at;
        }
    }

    fn answered(&mut self, now: Instant, message: &Message<'_>) {
        let mut pending = self.pending.iter();
        let Some(index) = pending.position(|request| request.is(message.transaction())) else {
            return tracing::trace!("dropped: an answer to nothing that was sent");
        };
        let Some(error) = message.error() else {
            let success = message.class() == Class::Success;
            if !success || !self.requests.is_authentic(message) {
                return tracing::debug!("dropped: an answer that is not the TURN server's");
            }
            let wish = self.pending.swap_remove(index).wish;
            return self.granted(now, wish, message);
        };
        let request = self.pending.swap_remove(index);
        let challenged = match error {
            code::UNAUTHENTICATED => !request.authenticated,
            code::STALE_NONCE => true,
            _ => false,
        };
        if challenged && let Some((again, bytes)) = self.requests.again(now, &request, message) {
            self.pending.push(again);
            return self.send(now, bytes);
        }
        tracing::debug!(wish = ?request.wish, error, "the TURN server refused");
        match request.wish {
            Wish::GiveBack => self.end(Failure::Closed),
            Wish::Allocate | Wish::Refresh => self.end(Failure::Refused(error)),
            Wish::Permit(_) | Wish::Bind(..)
                if matches!(error, code::UNAUTHENTICATED | code::ALLOCATION_MISMATCH) =>
            {
                self.end(Failure::Refused(error));
            }
            wish => self.refused(now, wish),
        }
    }

    fn granted(&mut self, now: Instant, wish: Wish, message: &Message<'_>) {
        match wish {
            Wish::Allocate => self.allocated(now, message),
            Wish::Refresh => {
                if let State::Allocated { relayed, .. } = self.state {
                    self.state = allocated(now, relayed, lifetime(message));
                }
            }
            Wish::GiveBack => self.end(Failure::Closed),
            Wish::Permit(peer) => {
                let Some(permit) = self.permits.get_mut(&peer) else {
                    return;
                };
                permit.again_at = Some(now + PERMIT_AGAIN);
                if std::mem::replace(&mut permit.is, true) {
                    return;
                }
                self.events.push_back(Event::Permitted(peer));
                let channels = self.channels.iter().filter(|(to, _)| to.ip() == peer);
                let wishes = channels.map(|(to, (number, _))| Wish::Bind(*number, *to));
                for wish in Vec::from_iter(wishes) {
                    self.ask(now, wish);
                }
            }
            Wish::Bind(_, peer) => {
                let Some((_, channel)) = self.channels.get_mut(&peer) else {
                    return;
                };
                channel.again_at = Some(now + BIND_AGAIN);
                if !std::mem::replace(&mut channel.is, true) {
                    self.events.push_back(Event::ChannelBound(peer));
                }
            }
        }
    }

    fn allocated(&mut self, now: Instant, message: &Message<'_>) {
        let Some(relayed) = message.relayed() else {
            return self.end(Failure::Refused(code::BAD_REQUEST));
        };
        if self.state != State::Allocating {
            return self.ask(now, Wish::GiveBack);
        }
        let lifetime = lifetime(message);
        tracing::debug!(server = %self.server(), %relayed, ?lifetime, "allocated");
        self.state = allocated(now, relayed, lifetime);
        self.events.push_back(Event::Allocated {
            relayed,
            mapped: message.mapped(),
            lifetime,
        });
        for peer in Vec::from_iter(self.permits.keys().copied()) {
            self.ask(now, Wish::Permit(peer));
        }
    }

    /// The server does not do this for us, or no longer.
    fn refused(&mut self, now: Instant, wish: Wish) {
        match wish {
            Wish::Permit(peer) => {
                self.permits.remove(&peer);
                self.channels.retain(|to, _| to.ip() != peer);
                self.events.push_back(Event::Refused(peer));
            }
            // What was sent through the channel goes in indications.
            Wish::Bind(_, peer) => {
                if let Some((_, channel)) = self.channels.get_mut(&peer) {
                    channel.is = false;
                    channel.again_at = Some(now + BIND_AGAIN);
                }
            }
            Wish::Allocate | Wish::Refresh | Wish::GiveBack => {}
        }
    }
}

/// The lifetime that an answer grants.
fn lifetime(message: &Message<'_>) -> Duration {
    let seconds = message.lifetime().map(u64::from);
    seconds.map_or(LIFETIME, Duration::from_secs)
}

/// An allocation that was granted for this time. It is refreshed a minute before its end,
/// or after half of its time if that is later (RFC 8656 §8).
fn allocated(now: Instant, relayed: SocketAddr, lifetime: Duration) -> State {
    let lifetime = lifetime.clamp(LEAST_LIFETIME, Duration::from_secs(3600));
    let refresh_after = (lifetime / 2).max(lifetime.saturating_sub(Duration::from_secs(60)));
    State::Allocated {
        relayed,
        refresh_at: now + refresh_after,
        expires: now + lifetime,
    }
}

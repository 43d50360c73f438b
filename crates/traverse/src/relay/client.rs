//! A TURN client (RFC 8656): one relayed address, asked of any TURN server,
//! kept alive until [`Client::close`].
//!
//! Feed it what the TURN server sends with [`Client::handle_input`], call
//! [`Client::handle_timeout`] when [`Client::poll_timeout`] says so, send what
//! [`Client::poll_transmit`] yields to the server, always from the same socket,
//! which may be shared with others: what is not of TURN is left alone. Act on
//! [`Client::poll_event`].
//!
//! A peer is heard, and can be sent to, once its address is permitted
//! ([`Event::Permitted`]): a payload then costs 36 bytes and up to three of
//! padding (IPv4), or four bytes once a channel is bound. Wishes that come
//! before the allocation are remembered.
//!
//! The state machine is `turn-client-proto`; the ids of its transactions are
//! the one thing in this crate that is random by itself. Redirections (300)
//! are not followed, TCP is not spoken.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use turn_client_proto::api::{TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::prelude::*;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;
use wire::{Builder, Class, Message, Method, Transaction, code};

/// Without a word for so long a Binding indication keeps the NAT's mapping.
pub const KEEPALIVE: Duration = Duration::from_secs(15);

/// Retransmission of a request: the first wait, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_millis(1600);
const TRANSMISSIONS: u32 = 6;

/// How long giving the relayed address back may take.
const CLOSING: Duration = Duration::from_secs(1);

/// Peers that may be permitted, and those with a channel: more are refused
/// here, since a server would.
pub const MOST_PEERS: usize = 32;

/// What a client is told when it starts.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// The TURN server.
    pub server: SocketAddr,
    /// Who we are to it.
    pub username: String,
    /// What proves it.
    pub password: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({} at {})", self.username, self.server)
    }
}

/// What a client learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// We have a relayed address, which is kept alive from here on.
    Allocated {
        /// What peers are to send to.
        relayed: SocketAddr,
        /// Where the server sees us.
        mapped: Option<SocketAddr>,
        /// What the server granted the first time.
        lifetime: Duration,
    },
    /// There is no relayed address, or no longer one: this client is of no
    /// more use.
    Failed(Failure),
    /// This peer is heard now, and can be sent to.
    Permitted(IpAddr),
    /// The server does not relay to this peer, or forgot it.
    Refused(IpAddr),
    /// What is sent to this peer costs only four bytes more from here on.
    ChannelBound(SocketAddr),
}

/// Why there is no relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server does not answer.
    #[error("the TURN server does not answer")]
    Silent,
    /// It said no, with this error code.
    #[error("the TURN server refused: {0} {why}", why = code::reason(*.0))]
    Refused(u16),
    /// It was there and could not be refreshed in time.
    #[error("the relayed address has expired")]
    Expired,
    /// [`Client::close`] was called.
    #[error("closed")]
    Closed,
}

impl Failure {
    /// The server's error code, if it said no.
    pub fn code(&self) -> Option<u16> {
        match self {
            Failure::Refused(code) => Some(*code),
            _ => None,
        }
    }
}

/// What a datagram was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Not of TURN, or not from the server: somebody else's.
    NotOurs,
    /// An answer, or nonsense.
    Consumed,
    /// A peer sent this through the relay.
    Relayed {
        /// Who: the address that the relay saw.
        peer: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
}

/// Why a payload cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no relayed address, or it is not [`Event::Permitted`] yet.
    #[error("the relay does not let this peer through (yet)")]
    NotPermitted,
}

/// The client.
#[derive(Debug)]
pub struct Client {
    turn: TurnClientUdp,
    server: SocketAddr,
    /// What the codec calls our address; the hands know the real one.
    local: SocketAddr,
    epoch: Instant,
    /// Requests that were sent and not answered: an answer must be to one.
    asked: VecDeque<(Transaction, bool)>,
    relayed: Option<SocketAddr>,
    /// When to leave it at that.
    closing: Option<Instant>,
    ended: bool,
    permits: BTreeSet<IpAddr>,
    channels: BTreeSet<SocketAddr>,
    /// The last answer's, until the event that it leads to is told.
    granted: (Option<SocketAddr>, Duration),
    wake_at: Option<Instant>,
    spoke: Instant,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that starts to allocate at `now`. The relayed address is of
    /// the server's own family.
    pub fn new(config: &Config, now: Instant) -> Self {
        let credentials = TurnCredentials::new(&config.username, &config.password);
        let mut turn = TurnConfig::new(credentials);
        if config.server.is_ipv6() {
            turn.set_address_family(AddressFamily::IPV6);
        }
        turn.set_request_retransmits(FIRST_WAIT, LAST_WAIT, TRANSMISSIONS, LAST_WAIT);
        let unspecified = match config.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let local = SocketAddr::new(unspecified, 0);
        let mut client = Client {
            turn: TurnClientUdp::allocate(local, config.server, turn),
            server: config.server,
            local,
            epoch: now,
            asked: VecDeque::new(),
            relayed: None,
            closing: None,
            ended: false,
            permits: BTreeSet::new(),
            channels: BTreeSet::new(),
            granted: (None, Duration::ZERO),
            wake_at: None,
            spoke: now,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.advance(now);
        client
    }

    /// The TURN server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// What peers are to send to.
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    /// Lets whatever this peer sends, from any port, through. Asked again, it
    /// does nothing; beyond [`MOST_PEERS`] the peer is [`Event::Refused`].
    pub fn permit(&mut self, now: Instant, peer: IpAddr) {
        if self.ended || self.closing.is_some() || self.permits.contains(&peer) {
            return;
        }
        if self.permits.len() >= MOST_PEERS {
            return self.events.push_back(Event::Refused(peer));
        }
        self.permits.insert(peer);
        self.ask_permission(now, peer);
        self.advance(now);
    }

    /// Permits this peer and binds a channel to it.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) {
        if self.ended || self.channels.contains(&peer) || self.channels.len() >= MOST_PEERS {
            return;
        }
        self.permit(now, peer.ip());
        if self.permits.contains(&peer.ip()) {
            self.channels.insert(peer);
            if self.permitted(peer.ip()) {
                self.ask_channel(now, peer);
                self.advance(now);
            }
        }
    }

    /// Whether [`Self::send_to`] would work.
    pub fn permitted(&self, peer: IpAddr) -> bool {
        self.relayed.is_some() && self.turn.have_permission(TransportType::Udp, peer)
    }

    /// The datagram that carries this payload to the peer: it is to be sent to
    /// the server.
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
        let at = self.at(now);
        let sent = self.turn.send_to(TransportType::Udp, peer, payload, at);
        let transmit = sent.ok().flatten().ok_or(SendError::NotPermitted)?;
        self.spoke = now;
        Ok(transmit.build().data)
    }

    /// A datagram that the socket received.
    pub fn handle_input(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Input {
        if from != self.server {
            return Input::NotOurs;
        }
        // The channels that we bind are those of RFC 8656.
        if !matches!(bytes.first(), Some(0x40..=0x4f)) {
            match Message::parse(bytes) {
                Ok(message) if message.method().is_turn() => {
                    if !self.answered(&message) {
                        return Input::Consumed;
                    }
                }
                _ => return Input::NotOurs,
            }
        }
        let transmit = turn_client_proto::api::Transmit::new(
            bytes,
            TransportType::Udp,
            self.server,
            self.local,
        );
        let input = match self.turn.recv(transmit, self.at(now)) {
            TurnRecvRet::PeerData(data) => Input::Relayed {
                peer: data.peer,
                payload: data.data().to_vec(),
            },
            _ => Input::Consumed,
        };
        self.advance(now);
        input
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        if self.closing.is_some_and(|at| at <= now) {
            return self.end(Failure::Closed);
        }
        self.advance(now);
        if self.relayed.is_some() && now >= self.spoke + KEEPALIVE {
            let mut id = [0; 12];
            // Nobody answers an indication: its id need not be anything.
            id[4..].copy_from_slice(&(now - self.epoch).as_secs().to_be_bytes());
            let word = Builder::indication(Method::Binding, id).finish();
            self.transmits.push_back(word);
            self.spoke = now;
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keepalive = self.relayed.map(|_| self.spoke + KEEPALIVE);
        self.wake_at
            .into_iter()
            .chain(keepalive)
            .chain(self.closing)
            .min()
            .filter(|_| !self.ended)
    }

    /// The next datagram for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Gives the relayed address back. That takes a round trip or two: the
    /// client is to be driven until [`Event::Failed`] says [`Failure::Closed`],
    /// a second at most. Left at once, the server forgets it by itself, later.
    pub fn close(&mut self, now: Instant) {
        if self.ended || self.closing.is_some() {
            return;
        }
        if self.relayed.take().is_some() && self.turn.delete(self.at(now)).is_ok() {
            self.closing = Some(now + CLOSING);
            self.advance(now);
        } else {
            self.end(Failure::Closed);
        }
    }

    fn end(&mut self, failure: Failure) {
        if !self.ended {
            let failure = self.closing.map_or(failure, |_| Failure::Closed);
            self.ended = true;
            self.relayed = None;
            self.events.push_back(Event::Failed(failure));
        }
    }

    fn at(&self, now: Instant) -> turn_client_proto::types::Instant {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        turn_client_proto::types::Instant::from_nanos(i64::try_from(since).unwrap_or(i64::MAX))
    }

    fn ask_permission(&mut self, now: Instant, peer: IpAddr) {
        if self.relayed.is_some() {
            let at = self.at(now);
            // What it refuses is there already, or of the wrong family.
            if let Err(turn_client_proto::api::CreatePermissionError::NoAllocation) =
                self.turn.create_permission(TransportType::Udp, peer, at)
            {
                self.refuse(peer);
            }
        }
    }

    fn ask_channel(&mut self, now: Instant, peer: SocketAddr) {
        let at = self.at(now);
        let _ = self.turn.bind_channel(TransportType::Udp, peer, at);
    }

    fn refuse(&mut self, peer: IpAddr) {
        self.channels.retain(|channel| channel.ip() != peer);
        if self.permits.remove(&peer) {
            self.events.push_back(Event::Refused(peer));
        }
    }

    /// Whether the state machine should see this message. It knows nothing of
    /// some ways to fail, waits for the end of the world in others, and tells
    /// no error code.
    fn answered(&mut self, message: &Message<'_>) -> bool {
        if !matches!(message.class(), Class::Success | Class::Error) {
            return true;
        }
        let Some(index) = self
            .asked
            .iter()
            .position(|(transaction, _)| *transaction == message.transaction())
        else {
            return false;
        };
        let authenticated = self.asked[index].1;
        self.granted = (
            message.mapped(),
            Duration::from_secs(message.lifetime().unwrap_or(0).into()),
        );
        let Some(error) = message.error() else {
            return true;
        };
        let lost = match (message.method(), error) {
            (_, code::STALE_NONCE) => false,
            (_, code::UNAUTHENTICATED) => authenticated,
            (Method::Allocate, _) | (_, code::ALLOCATION_MISMATCH) => true,
            _ => false,
        };
        if lost {
            self.end(Failure::Refused(error));
        }
        !lost
    }

    /// Lets the state machine go on as far as it can at `now`.
    fn advance(&mut self, now: Instant) {
        let at = self.at(now);
        loop {
            while let Some(transmit) = self.turn.poll_transmit(at) {
                self.sent(now, transmit.data.to_vec());
            }
            if self.tell(now) {
                continue;
            }
            match self.turn.poll(at) {
                TurnPollRet::WaitUntil(wait) if wait > at => {
                    self.wake_at = Some(now + wait.saturating_duration_since(at));
                    break;
                }
                TurnPollRet::WaitUntil(_) if self.idle(now) => break,
                TurnPollRet::WaitUntil(_) => {}
                _ => {
                    self.tell(now);
                    let expired = self.relayed.is_some();
                    self.end(if expired {
                        Failure::Expired
                    } else {
                        Failure::Silent
                    });
                    break;
                }
            }
        }
    }

    /// Whether the state machine asks to be polled at once and has nothing to
    /// say: it is asked again soon instead, lest it be asked for ever.
    fn idle(&mut self, now: Instant) -> bool {
        let at = self.at(now);
        let transmit = self.turn.poll_transmit(at);
        let idle = transmit.is_none() && !self.tell(now);
        if let Some(transmit) = transmit {
            self.sent(now, transmit.data.to_vec());
        }
        if idle {
            self.wake_at = Some(now + Duration::from_millis(10));
        }
        idle
    }

    fn sent(&mut self, now: Instant, bytes: Vec<u8>) {
        if let Ok(message) = Message::parse(&bytes) {
            let known = (message.transaction(), message.username().is_some());
            if message.class() == Class::Request && !self.asked.contains(&known) {
                self.asked.push_back(known);
                if self.asked.len() > 4 * MOST_PEERS {
                    self.asked.pop_front();
                }
            }
        }
        self.spoke = now;
        self.transmits.push_back(bytes);
    }

    /// Passes the state machine's events on; whether there was one.
    fn tell(&mut self, now: Instant) -> bool {
        let Some(event) = self.turn.poll_event() else {
            return false;
        };
        match event {
            TurnEvent::AllocationCreated(_, relayed) => {
                self.relayed = Some(relayed);
                let (mapped, lifetime) = self.granted;
                self.events.push_back(Event::Allocated {
                    relayed,
                    mapped,
                    lifetime,
                });
                for peer in self.permits.clone() {
                    self.ask_permission(now, peer);
                }
            }
            TurnEvent::AllocationCreateFailed(_) => self.end(Failure::Silent),
            TurnEvent::PermissionCreated(_, peer) => {
                self.events.push_back(Event::Permitted(peer));
                let channels = self.channels.clone();
                for channel in channels.into_iter().filter(|c| c.ip() == peer) {
                    self.ask_channel(now, channel);
                }
            }
            TurnEvent::PermissionCreateFailed(_, peer) => self.refuse(peer),
            TurnEvent::ChannelCreated(_, peer) => self.events.push_back(Event::ChannelBound(peer)),
            TurnEvent::ChannelCreateFailed(_, peer) => {
                self.channels.remove(&peer);
            }
            TurnEvent::TcpConnected(_) | TurnEvent::TcpConnectFailed(_) => {}
        }
        true
    }
}

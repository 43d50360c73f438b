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

mod machine;
mod types;

pub use types::{Config, Event, Failure, Input, SendError};

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use stun::{Builder, Message, Method, Transaction};
use turn_client_proto::api::{TurnConfig, TurnRecvRet};
use turn_client_proto::prelude::*;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

/// Without a word for so long a Binding indication keeps the NAT's mapping.
pub const KEEPALIVE: Duration = Duration::from_secs(15);

/// Retransmission of a request: the first wait, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_millis(1600);
const TRANSMISSIONS: u32 = 6;

/// How long giving the relayed address back may take. Kept, it would count
/// against the quota until it expires.
const CLOSING: Duration = Duration::from_secs(1);

/// Peers that may be permitted, and those with a channel: more are refused
/// here, since a server would.
pub const MOST_PEERS: usize = 32;

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
    /// Whether the server has told its nonce and we have used it.
    challenged: bool,
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
            challenged: false,
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
        if self.ended {
            return Input::Consumed;
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
        self.closing = Some(now + CLOSING);
        if self.relayed.take().is_some() {
            self.give_back(now);
            self.advance(now);
        }
        // Otherwise what is being asked for is given back once it is there.
    }

    fn give_back(&mut self, now: Instant) {
        if self.turn.delete(self.at(now)).is_err() {
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
}

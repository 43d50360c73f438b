//! The client, around the state machine of `turn-client-proto`.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use stun::{Builder, Message, Method};
use turn_client_proto::api::{
    CreatePermissionError, Transmit, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::*;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::answers::{Answers, Judgement};
use super::types::{Config, Event, Failure, Input, SendError};

/// After this time without a packet to the server, a Binding indication keeps the
/// NAT's mapping.
pub const KEEPALIVE: Duration = Duration::from_secs(15);

/// Peers that may be permitted, at most, and those with a channel.
pub const MOST_PEERS: usize = 32;

/// Retransmission of a request: the first wait, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_millis(1600);
const TRANSMISSIONS: u32 = 6;

/// How long giving the relayed address back may take. An allocation that is not
/// given back counts against the quota until it expires.
const CLOSING: Duration = Duration::from_secs(1);

/// When a state machine that asks to be polled at once, and then has nothing, is
/// polled again.
const IDLE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Allocating,
    Allocated {
        relayed: SocketAddr,
    },
    /// The allocation is being given back, or will be once it is there.
    Closing {
        until: Instant,
    },
    Ended,
}

/// The client.
#[derive(Debug)]
pub struct Client {
    turn: TurnClientUdp,
    server: SocketAddr,
    /// What the codec takes for our address; only the driver knows the real one.
    local: SocketAddr,
    epoch: Instant,
    state: State,
    answers: Answers,
    permits: BTreeSet<IpAddr>,
    channels: BTreeSet<SocketAddr>,
    /// When the state machine has something to do.
    wake_at: Option<Instant>,
    /// When a packet last left for the server.
    spoke: Instant,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that starts to allocate at `now`. The relayed address is of the
    /// server's own address family.
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
            state: State::Allocating,
            answers: Answers::default(),
            permits: BTreeSet::new(),
            channels: BTreeSet::new(),
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

    /// The relayed address, which peers are to send to.
    pub fn relayed(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated { relayed } => Some(relayed),
            _ => None,
        }
    }

    /// Lets packets from this peer through, from all of its ports. A peer that is
    /// permitted already is not asked for again. Beyond [`MOST_PEERS`] a peer is
    /// [`Event::Refused`].
    pub fn permit(&mut self, now: Instant, peer: IpAddr) {
        if !self.is_of_use() || self.permits.contains(&peer) {
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
        let full = self.channels.len() >= MOST_PEERS;
        if full || !self.is_of_use() || self.channels.contains(&peer) {
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
        self.relayed().is_some() && self.turn.have_permission(TransportType::Udp, peer)
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
        // The numbers of RFC 8656's channels.
        if !matches!(bytes.first(), Some(0x40..=0x4f)) {
            let answer = match Message::parse(bytes) {
                Ok(message) if message.method().is_turn() => self.answers.judge(&message),
                _ => return Input::NotOurs,
            };
            match answer {
                Judgement::Pass => {}
                Judgement::Ignore => {
                    tracing::trace!(
                        "dropped: a answer to nothing that was sent, or a repeated one"
                    );
                    return Input::Consumed;
                }
                Judgement::Lost(code) => {
                    self.end(Failure::Refused(code));
                    return Input::Consumed;
                }
            }
        }
        if self.state == State::Ended {
            return Input::Consumed;
        }
        let transmit = Transmit::new(bytes, TransportType::Udp, self.server, self.local);
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

    /// To be called at the time that [`Self::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Ended => return,
            State::Closing { until } if until <= now => return self.end(Failure::Closed),
            _ => self.advance(now),
        }
        if self.keepalive_at().is_some_and(|at| at <= now) {
            let mut id = [0; 12];
            // An indication is not answered, so its id need not be random.
            id[4..].copy_from_slice(&(now - self.epoch).as_secs().to_be_bytes());
            let indication = Builder::indication(Method::Binding, id).finish();
            self.transmits.push_back(indication);
            self.spoke = now;
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let closing = match self.state {
            State::Ended => return None,
            State::Closing { until } => Some(until),
            State::Allocating | State::Allocated { .. } => None,
        };
        let timeouts = [self.wake_at, self.keepalive_at(), closing];
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
            self.give_back(now);
            self.advance(now);
        }
        // An allocation that is being made is given back once it is there.
    }

    fn is_of_use(&self) -> bool {
        matches!(self.state, State::Allocating | State::Allocated { .. })
    }

    fn keepalive_at(&self) -> Option<Instant> {
        self.relayed().map(|_| self.spoke + KEEPALIVE)
    }

    fn give_back(&mut self, now: Instant) {
        if self.turn.delete(self.at(now)).is_err() {
            self.end(Failure::Closed);
        }
    }

    fn end(&mut self, failure: Failure) {
        let failure = match self.state {
            State::Ended => return,
            State::Closing { .. } => Failure::Closed,
            State::Allocating | State::Allocated { .. } => failure,
        };
        tracing::debug!(server = %self.server, %failure, "no relayed address");
        self.state = State::Ended;
        self.events.push_back(Event::Failed(failure));
    }

    fn at(&self, now: Instant) -> turn_client_proto::types::Instant {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        turn_client_proto::types::Instant::from_nanos(i64::try_from(since).unwrap_or(i64::MAX))
    }

    fn ask_permission(&mut self, now: Instant, peer: IpAddr) {
        if self.relayed().is_some() {
            let at = self.at(now);
            let asked = self.turn.create_permission(TransportType::Udp, peer, at);
            // Other errors: it is permitted already, or of the wrong address family.
            if let Err(CreatePermissionError::NoAllocation) = asked {
                self.refuse(peer);
            }
        }
    }

    fn ask_channel(&mut self, now: Instant, peer: SocketAddr) {
        let at = self.at(now);
        let _ = self.turn.bind_channel(TransportType::Udp, peer, at);
    }

    fn refuse(&mut self, peer: IpAddr) {
        tracing::debug!(%peer, "the relay refuses the peer");
        self.channels.retain(|channel| channel.ip() != peer);
        if self.permits.remove(&peer) {
            self.events.push_back(Event::Refused(peer));
        }
    }

    /// Lets the state machine go on as far as it can at `now`.
    fn advance(&mut self, now: Instant) {
        let at = self.at(now);
        loop {
            while self.send_next(now) {}
            if self.tell(now) {
                continue;
            }
            match self.turn.poll(at) {
                TurnPollRet::WaitUntil(wait) if wait > at => {
                    self.wake_at = Some(now + wait.saturating_duration_since(at));
                    break;
                }
                TurnPollRet::WaitUntil(_) => {
                    let busy = self.send_next(now) | self.tell(now);
                    if !busy {
                        self.wake_at = Some(now + IDLE);
                        break;
                    }
                }
                _ => {
                    self.tell(now);
                    self.end(match self.relayed() {
                        Some(_) => Failure::Expired,
                        None => Failure::Silent,
                    });
                    break;
                }
            }
        }
    }

    /// Passes the state machine's next packet on; false if there is none.
    fn send_next(&mut self, now: Instant) -> bool {
        let at = self.at(now);
        let Some(transmit) = self.turn.poll_transmit(at) else {
            return false;
        };
        let bytes = transmit.data.to_vec();
        self.answers.note_sent(&bytes);
        self.spoke = now;
        self.transmits.push_back(bytes);
        true
    }

    /// Passes the state machine's next event on; false if there is none.
    fn tell(&mut self, now: Instant) -> bool {
        let Some(event) = self.turn.poll_event() else {
            return false;
        };
        match event {
            TurnEvent::AllocationCreated(_, relayed) => match self.state {
                State::Allocating => {
                    tracing::debug!(server = %self.server, %relayed, "allocated");
                    self.state = State::Allocated { relayed };
                    self.events.push_back(Event::Allocated {
                        relayed,
                        mapped: self.answers.mapped,
                        lifetime: self.answers.lifetime,
                    });
                    for peer in self.permits.clone() {
                        self.ask_permission(now, peer);
                    }
                }
                _ => self.give_back(now),
            },
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

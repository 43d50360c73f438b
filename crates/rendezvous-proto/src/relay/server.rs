//! A TURN server (RFC 8656) for UDP, as the rendezvous plays it on its own
//! sockets, next to its own protocol.
//!
//! Feed it the messages of TURN with [`Relay::handle_message`], channel data
//! with [`Relay::handle_channel_data`], and what relayed sockets receive with
//! [`Relay::handle_relayed`]. Send what [`Relay::poll_transmit`] yields, do what
//! [`Relay::poll_command`] says and tell [`Relay::opened`] what came of it.
//!
//! What is not here: TCP, reservations, two families at once, DONT-FRAGMENT,
//! ICMP. Whoever asks for those is told that. The key is MD5's, as every client
//! has it: it protects a quota, not what is relayed, which the peers encrypt
//! between themselves.

mod requests;
mod words;

pub use words::{Command, Config, Event, Limits, Stats};

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Attribute, Builder, Class, IntegrityKey, Message, Method, Transaction, turn};

use super::allocation::{Allocation, Counts, Seat};
use crate::cookie::Cookies;
use sansio::{SocketId, Transmit};
use session::credentials::{self, Granted};

/// What an allocation lives unless it is refreshed, at least (RFC 8656 §7.2).
pub const SHORTEST: Duration = Duration::from_secs(600);

/// How long credentials may be used to allocate; what was allocated is
/// refreshed with them after that, too.
pub const CREDENTIALS: Duration = Duration::from_secs(3600);

/// An allocation whose client is silent for so long makes room for another of
/// its name: a process that ended without a word would hold it otherwise.
pub const ABANDONED: Duration = Duration::from_secs(60);

/// Ports that are tried for one allocation before it is refused.
const TRIES: u8 = 8;

/// An Allocate request that waits for its socket.
#[derive(Debug)]
struct Opening {
    seat: Seat,
    username: String,
    transaction: Transaction,
    lifetime: Duration,
    key: IntegrityKey,
    even: bool,
    tries: u8,
}

/// The relay.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    start: Instant,
    cookies: Cookies,
    rng: ChaCha20Rng,
    /// By port.
    allocations: HashMap<u16, Allocation>,
    openings: HashMap<u16, Opening>,
    /// Which port belongs to whom, opening or open.
    seats: HashMap<Seat, u16>,
    /// Ports of each name, opening or open.
    held: Counts<String>,
    /// And of each client address.
    held_at: Counts<IpAddr>,
    stats: Stats,
    transmits: VecDeque<Transmit>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
}

impl Relay {
    /// A relay without allocations, at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.seed);
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Relay {
            config,
            start: now,
            cookies: Cookies::new(secret, now),
            rng,
            allocations: HashMap::new(),
            openings: HashMap::new(),
            seats: HashMap::new(),
            held: Counts::default(),
            held_at: Counts::default(),
            stats: Stats::default(),
            transmits: VecDeque::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Credentials for a name, and how long they may be used to allocate.
    pub fn credentials(&self, now: Instant, name: &str) -> Granted {
        let until = self.unix(now) + CREDENTIALS.as_secs();
        Granted {
            credentials: self.config.secret.issue(name, until),
            lifetime: CREDENTIALS,
        }
    }

    /// Somebody has said something, be it only to keep a mapping: whoever has
    /// an allocation there still wants it.
    pub fn heard(&mut self, now: Instant, socket: SocketId, from: SocketAddr) {
        let port = self.seats.get(&(socket, from));
        if let Some(allocation) = port.and_then(|port| self.allocations.get_mut(port)) {
            allocation.heard = now;
        }
    }

    /// Whether an allocation there is open, or being opened.
    pub fn serves(&self, socket: SocketId, from: SocketAddr) -> bool {
        self.seats.contains_key(&(socket, from))
    }

    /// A message of TURN that `socket` received.
    pub fn handle_message(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        message: &Message<'_>,
    ) {
        let seat = (socket, from);
        match (message.class(), message.method()) {
            (Class::Indication, Method::Send) => {
                let known = [Attribute::XorPeerAddress, Attribute::Data];
                let (peer, data) = (message.peers(), message.get(Attribute::Data));
                if let (&[Some(peer)], Some(data)) = (&peer[..], data)
                    && message.unknown_but(&known).is_empty()
                {
                    self.forward(now, seat, |_| Some(peer), data);
                }
            }
            (Class::Request, Method::Send | Method::Data) => {}
            (Class::Request, _) => self.request(now, seat, message),
            _ => {}
        }
    }

    /// Channel data that `socket` received.
    pub fn handle_channel_data(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        if let Some((number, payload)) = turn::channel_data(bytes) {
            let peer_of = |allocation: &Allocation| allocation.peer_of(now, number);
            self.forward(now, (socket, from), peer_of, payload);
        }
    }

    /// What the socket of this port received.
    pub fn handle_relayed(&mut self, now: Instant, port: u16, from: SocketAddr, payload: &[u8]) {
        let live = self.allocations.get_mut(&port);
        let Some(allocation) = live.filter(|a| a.expires > now && a.permits(now, from.ip())) else {
            self.stats.unpermitted += 1;
            return;
        };
        if !allocation.take(now, payload.len()) {
            self.stats.over_rate += 1;
            return;
        }
        let channel = allocation.channel_to(now, from);
        let as_channel = channel.and_then(|number| turn::to_channel(number, payload));
        let bytes = as_channel.unwrap_or_else(|| {
            let mut transaction: Transaction = [0; 12];
            self.rng.fill_bytes(&mut transaction);
            Builder::indication(Method::Data, transaction)
                .peer(from)
                .data(payload)
                .finish()
        });
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        self.transmits.push_back(Transmit {
            socket: allocation.seat.0,
            to: allocation.seat.1,
            ttl: None,
            payload: bytes,
        });
    }

    fn forward(
        &mut self,
        now: Instant,
        seat: Seat,
        peer_of: impl FnOnce(&Allocation) -> Option<SocketAddr>,
        payload: &[u8],
    ) {
        let port = self.seats.get(&seat).copied();
        let found = port.and_then(|port| {
            let allocation = self.allocations.get_mut(&port)?;
            let peer = peer_of(allocation)?;
            let allowed = allocation.expires > now && allocation.permits(now, peer.ip());
            allowed.then_some((port, allocation, peer))
        });
        let Some((port, allocation, to)) = found else {
            self.stats.unpermitted += 1;
            return;
        };
        allocation.heard = now;
        if !allocation.take(now, payload.len()) {
            self.stats.over_rate += 1;
            return;
        }
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        if to.ip() == self.config.address {
            // Another allocation, or nobody: nothing of ours listens for it.
            let from = SocketAddr::new(self.config.address, port);
            return self.handle_relayed(now, to.port(), from, payload);
        }
        let payload = payload.to_vec();
        self.commands.push_back(Command::Send { port, to, payload });
    }

    /// Whether the socket that [`Command::Open`] asked for is there.
    pub fn opened(&mut self, now: Instant, port: u16, open: bool) {
        let Some(mut opening) = self.openings.remove(&port) else {
            return;
        };
        if !open {
            opening.tries += 1;
            return self.open(opening);
        }
        let allocation = Allocation::new(
            opening.seat,
            opening.username.clone(),
            opening.transaction,
            (now, now + opening.lifetime),
            self.config.limits.rate,
        );
        self.stats.allocations += 1;
        self.events.push_back(Event::Opened {
            name: name_of(&opening.username).to_owned(),
            client: opening.seat.1,
            relayed: SocketAddr::new(self.config.address, port),
        });
        self.allocations.insert(port, allocation);
        let Opening {
            seat,
            transaction,
            lifetime,
            ..
        } = opening;
        let answer = self.allocated(seat, port, transaction, lifetime);
        self.push(seat, answer.finish_long_term(&opening.key));
    }

    /// Looks for a port for this request; its quotas are taken already.
    fn open(&mut self, opening: Opening) {
        let port = (opening.tries < TRIES)
            .then(|| self.free_port(opening.even))
            .flatten();
        let Some(port) = port else {
            self.let_go(&opening.username, opening.seat);
            self.stats.refused += 1;
            let answer = Builder::new(Class::Error, Method::Allocate, opening.transaction)
                .error_code(stun::code::INSUFFICIENT_CAPACITY);
            return self.push(opening.seat, answer.finish_long_term(&opening.key));
        };
        self.seats.insert(opening.seat, port);
        self.openings.insert(port, opening);
        self.commands.push_back(Command::Open { port });
    }

    /// A port that nobody here has, at random: a peer cannot guess who is next.
    fn free_port(&mut self, even: bool) -> Option<u16> {
        let (first, last) = (*self.config.ports.start(), *self.config.ports.end());
        let many = u32::from(last.checked_sub(first)?) + 1;
        let start = self.rng.next_u32() % many;
        (0..many)
            .map(|step| first + ((start + step) % many) as u16)
            .filter(|port| !even || port % 2 == 0)
            .find(|port| !self.allocations.contains_key(port) && !self.openings.contains_key(port))
    }

    /// Closes the name's allocation that has been silent for longest, if that
    /// is long enough.
    fn make_room(&mut self, now: Instant, name: &str) -> bool {
        let of_name = self
            .allocations
            .iter()
            .filter(|(_, held)| name_of(&held.username) == name);
        let silent = of_name
            .min_by_key(|(_, held)| held.heard)
            .filter(|(_, held)| held.heard + ABANDONED <= now)
            .map(|(port, _)| *port);
        if let Some(port) = silent {
            self.close(port);
        }
        silent.is_some()
    }

    fn close(&mut self, port: u16) {
        if let Some(allocation) = self.allocations.remove(&port) {
            self.let_go(&allocation.username, allocation.seat);
            self.commands.push_back(Command::Close { port });
            self.events.push_back(Event::Closed {
                name: name_of(&allocation.username).to_owned(),
                relayed: SocketAddr::new(self.config.address, port),
                bytes: allocation.bytes,
            });
        }
    }

    fn let_go(&mut self, username: &str, seat: Seat) {
        self.seats.remove(&seat);
        self.held.remove(&name_of(username).to_owned());
        self.held_at.remove(&seat.1.ip());
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        let expired = self.allocations.iter().filter(|(_, a)| a.expires <= now);
        let expired: Vec<u16> = expired.map(|(port, _)| *port).collect();
        for port in expired {
            self.close(port);
        }
    }

    /// When the next allocation expires.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.allocations.values().map(|a| a.expires).min()
    }

    /// The next datagram for a client.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to do with the relayed sockets.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next line for the log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Allocations now.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    fn unix(&self, now: Instant) -> u64 {
        self.config.unix + now.saturating_duration_since(self.start).as_secs()
    }

    fn push(&mut self, seat: Seat, payload: Vec<u8>) {
        self.transmits.push_back(Transmit {
            socket: seat.0,
            to: seat.1,
            ttl: None,
            payload,
        });
    }
}

/// Whose username it is: what quotas are counted by.
fn name_of(username: &str) -> &str {
    credentials::parse_username(username).map_or(username, |(_, name)| name)
}

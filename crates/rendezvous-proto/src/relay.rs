//! The relay: a TURN server (RFC 8656) for UDP. It carries the packets of peers
//! that cannot be connected directly.
//!
//! A [`Relay`] is given to a server with
//! [`Server::with_relay`](crate::server::Server::with_relay), which hands it the
//! messages of TURN that its own sockets receive. The driver, in addition,
//!
//! 1. does what [`Relay::poll_command`] yields, until it yields nothing, after
//!    each call on the server; after [`Command::Open`] it calls [`Relay::opened`];
//! 2. hands over what relayed sockets receive with [`Relay::handle_relayed`].
//!
//! It does not do TCP, reserved ports, two address families in one allocation,
//! DONT-FRAGMENT, or the forwarding of ICMP errors; a client that asks for one of
//! these gets an error answer. Its integrity key is an MD5 hash, the only one that
//! all TURN clients have: it protects a quota. The relayed payload is encrypted by
//! the peers.

mod allocation;
mod allocations;
mod authentication;
mod pending;
mod policy;
mod ports;
mod quotas;
mod types;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sansio::Transmit;
use session::credentials::{Granted, Secret};
use stun::{Attribute, Builder, Class, Message, Method, Transaction, code, turn};

use crate::secret::derive;
use crate::types::FiveTuple;
use allocation::Drop;
use allocations::{Allocations, Begun, Destination, Held};
use authentication::{Answer, Authenticator, UserRequest};
use pending::{PendingAllocate, allocated};
use quotas::name_of;

pub use allocations::ABANDONED;
pub use authentication::CREDENTIALS;
pub use ipnet::IpNet;
pub use policy::{NotARange, Policy, parse_range};
pub use types::{Command, Config, Event, Limits, SHORTEST, Stats};

/// The comprehension-required attributes of requests that are understood
/// (RFC 8489 §14).
const KNOWN: [Attribute; 10] = [
    Attribute::Username,
    Attribute::MessageIntegrity,
    Attribute::ChannelNumber,
    Attribute::Lifetime,
    Attribute::XorPeerAddress,
    Attribute::Realm,
    Attribute::Nonce,
    Attribute::RequestedAddressFamily,
    Attribute::EvenPort,
    Attribute::RequestedTransport,
];

/// The relay.
#[derive(Debug)]
pub struct Relay {
    address: IpAddr,
    limits: Limits,
    authenticator: Authenticator,
    allocations: Allocations,
    /// For the transaction ids of Data indications.
    rng: ChaCha20Rng,
    stats: Stats,
    transmits: VecDeque<Transmit>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
}

impl Relay {
    /// A relay without allocations, at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let key = |label| derive(&config.seed, label);
        Relay {
            address: config.address,
            limits: config.limits,
            allocations: Allocations::new(&config, key("ports")),
            rng: ChaCha20Rng::from_seed(key("transaction ids")),
            authenticator: Authenticator::new(&config, now, key("nonces")),
            stats: Stats::default(),
            transmits: VecDeque::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Credentials for a name that is registered at this address, and for how long they
    /// may be used to allocate.
    pub fn credentials(&self, now: Instant, name: &str, from: SocketAddr) -> Granted {
        self.authenticator.credentials(now, name, from)
    }

    /// Credentials are issued with this secret from now on. Those of the secret before are valid until
    /// they expire, if that is within [`CREDENTIALS`].
    pub fn set_secret(&mut self, now: Instant, secret: Secret) {
        self.authenticator.set_secret(now, secret);
    }

    /// Grants allocations within these limits from now on. Those that are there keep theirs.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.authenticator.set_rate(limits.rate);
        self.allocations.set_limits(limits);
    }

    /// Private or reserved addresses may be peers if they are among these, from now on: no permission for
    /// another one is left.
    pub fn set_allowed(&mut self, allowed: Vec<IpNet>) {
        self.allocations.set_allowed(allowed);
    }

    /// The addresses of the server's host have changed: no permission for one of these is left.
    pub fn set_own_addresses(&mut self, own: Vec<IpAddr>) {
        self.allocations.set_own_addresses(own);
    }

    /// A client has sent something that is not for the relay, if only to keep a
    /// mapping: it still wants the allocation that it may have.
    pub(crate) fn client_is_active(&mut self, now: Instant, client: FiveTuple) {
        if let Held::Open(_, allocation) = self.allocations.held(client) {
            allocation.active = now;
        }
    }

    /// Whether that nonce was issued to this client.
    pub(crate) fn is_nonce(&self, now: Instant, client: SocketAddr, nonce: &[u8]) -> bool {
        self.authenticator.is_nonce(now, client, nonce)
    }

    /// Whether a client has an allocation, or waits for one.
    pub(crate) fn serves(&self, client: FiveTuple) -> bool {
        self.allocations.contains(client)
    }

    /// A message of TURN.
    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        client: FiveTuple,
        message: &Message<'_>,
    ) {
        match (message.class(), message.method()) {
            (Class::Indication, Method::Send) => {
                let known = [Attribute::XorPeerAddress, Attribute::Data];
                let (peer, data) = (message.peers(), message.get(Attribute::Data));
                if let (&[Some(peer)], Some(data)) = (&peer[..], data)
                    && message.unknown_but(&known).is_empty()
                {
                    self.forward(now, client, Destination::Peer(peer), data);
                }
            }
            (Class::Request, Method::Send | Method::Data) => {}
            (Class::Request, _) => self.handle_request(now, client, message),
            _ => {}
        }
    }

    /// Channel data (RFC 8656 §12.4).
    pub(crate) fn handle_channel_data(&mut self, now: Instant, client: FiveTuple, bytes: &[u8]) {
        if let Some((number, payload)) = turn::channel_data(bytes) {
            self.forward(now, client, Destination::Channel(number), payload);
        }
    }

    /// The socket of this port has received a datagram.
    pub fn handle_relayed(&mut self, now: Instant, port: u16, from: SocketAddr, payload: &[u8]) {
        let bytes = payload.len();
        match self.allocations.inbound(now, port, from, bytes) {
            Ok((client, channel)) => {
                self.count(bytes);
                let as_channel = channel.and_then(|number| turn::to_channel(number, payload));
                let payload = as_channel.unwrap_or_else(|| self.data_indication(from, payload));
                self.send(client, payload);
            }
            Err(why) => self.dropped(from, why),
        }
    }

    fn forward(&mut self, now: Instant, client: FiveTuple, to: Destination, payload: &[u8]) {
        let bytes = payload.len();
        match self.allocations.outbound(now, client, to, bytes) {
            Ok((port, to)) if to.ip() == self.address => {
                // This is another allocation, or no address in use: the payload
                // never leaves the process.
                self.count(bytes);
                let from = SocketAddr::new(self.address, port);
                self.handle_relayed(now, to.port(), from, payload);
            }
            Ok((port, to)) => {
                self.count(bytes);
                let payload = payload.to_vec();
                self.commands.push_back(Command::Send { port, to, payload });
            }
            Err(why) => self.dropped(client.client, why),
        }
    }

    fn data_indication(&mut self, from: SocketAddr, payload: &[u8]) -> Vec<u8> {
        let mut transaction: Transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        Builder::indication(Method::Data, transaction)
            .peer(from)
            .data(payload)
            .finish()
    }

    fn count(&mut self, bytes: usize) {
        self.stats.packets += 1;
        self.stats.bytes += bytes as u64;
    }

    fn dropped(&mut self, from: SocketAddr, why: Drop) {
        match why {
            Drop::OverRate => self.stats.over_rate += 1,
            Drop::Unpermitted => self.stats.unpermitted += 1,
        }
        tracing::trace!(%from, ?why, "payload dropped");
    }

    fn handle_request(&mut self, now: Instant, client: FiveTuple, message: &Message<'_>) {
        let user = match self.authenticator.authenticate(now, client.client, message) {
            Ok(user) => user,
            Err(code) => return self.challenge(now, client, message, code),
        };
        let unknown = message.unknown_but(&KNOWN);
        let request = UserRequest {
            now,
            client,
            message,
            user,
        };
        let answer = match message.method() {
            _ if !unknown.is_empty() => Err(code::UNKNOWN_ATTRIBUTE),
            _ if !message.has_right_lengths() => Err(code::BAD_REQUEST),
            Method::Allocate => self.allocate(&request),
            Method::Refresh => self.refresh(&request),
            Method::CreatePermission => self.allocations.create_permission(&request),
            Method::ChannelBind => self.allocations.bind_channel(&request),
            _ => Err(code::BAD_REQUEST),
        };
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            // A client that has to show other credentials needs the nonce, too.
            Err(code::UNAUTHENTICATED) => {
                return self.challenge(now, client, message, code::UNAUTHENTICATED);
            }
            Err(code) => {
                self.count_refusal(client, message.method(), code);
                let answer = Builder::error(message, code);
                match code {
                    code::UNKNOWN_ATTRIBUTE => answer.unknown_attributes(&unknown),
                    _ => answer,
                }
            }
        };
        self.send(client, answer.finish_long_term(&request.user.key));
    }

    fn challenge(&mut self, now: Instant, client: FiveTuple, message: &Message<'_>, code: u16) {
        self.count_refusal(client, message.method(), code);
        let answer = self
            .authenticator
            .challenge(now, client.client, message, code);
        self.send(client, answer);
    }

    fn allocate(&mut self, request: &UserRequest<'_>) -> Answer {
        let message = request.message;
        let transaction = message.transaction();
        match self.allocations.held(request.client) {
            Held::Nothing => {}
            Held::Pending => return Ok(None),
            Held::Open(port, held) => {
                if held.transaction != transaction || held.username != request.user.username {
                    return Err(code::ALLOCATION_MISMATCH);
                }
                // A retransmission: its answer was lost.
                let lifetime = held.expires.saturating_duration_since(request.now);
                let relayed = SocketAddr::new(self.address, port);
                return Ok(Some(allocated(
                    request.client,
                    relayed,
                    transaction,
                    lifetime,
                )));
            }
        }
        if !message.wants_udp().ok_or(code::BAD_REQUEST)? {
            return Err(code::TRANSPORT_NOT_SUPPORTED);
        }
        if message.requested_family().unwrap_or(turn::IPV4) != self.family() {
            return Err(code::FAMILY_NOT_SUPPORTED);
        }
        if !request.user.may_allocate {
            return Err(code::UNAUTHENTICATED);
        }
        // EVEN-PORT with its bit set asks to reserve the next port as well, which
        // this relay does not do (RFC 8656 §7.2).
        let even = message.even_port();
        if even == Some(true) {
            return Err(code::INSUFFICIENT_CAPACITY);
        }
        let client = request.client.client.ip();
        let pays = self
            .allocations
            .room(request.now, request.user.username, client)?;
        if let Some(port) = pays {
            self.close(port);
        }
        let begun = self.allocations.begin(PendingAllocate {
            client: request.client,
            username: request.user.username.to_owned(),
            transaction,
            lifetime: self.limits.granted(message.lifetime()),
            key: request.user.key.clone(),
            even: even.is_some(),
        });
        self.open(begun);
        Ok(None)
    }

    /// Opens the socket of a pending request, or refuses the request if no port
    /// is free.
    fn open(&mut self, begun: Begun) {
        match begun {
            Begun::Opens(port) => self.commands.push_back(Command::Open { port }),
            Begun::NoPort(request) => {
                let code = code::INSUFFICIENT_CAPACITY;
                self.count_refusal(request.client, Method::Allocate, code);
                self.send(request.client, request.refused(code));
            }
        }
    }

    /// Whether the socket that [`Command::Open`] asked for could be opened.
    pub fn opened(&mut self, now: Instant, port: u16, open: bool) {
        if !open {
            if let Some(begun) = self.allocations.not_opened(port) {
                self.open(begun);
            }
            return;
        }
        let Some(request) = self.allocations.opened(now, port) else {
            return;
        };
        let (client, relayed) = (request.client, SocketAddr::new(self.address, port));
        let name = name_of(&request.username).to_owned();
        tracing::debug!(name, client = %client.client, %relayed, "allocation created");
        self.stats.allocations += 1;
        self.events.push_back(Event::Opened {
            name,
            client: client.client,
            relayed,
        });
        self.send(client, request.granted(relayed));
    }

    fn refresh(&mut self, request: &UserRequest<'_>) -> Answer {
        let message = request.message;
        let lifetime = self.limits.granted(message.lifetime());
        let family = message.requested_family();
        if family.is_some_and(|family| family != self.family()) {
            return Err(code::PEER_FAMILY_MISMATCH);
        }
        let (port, _) =
            self.allocations
                .of_user(request.now, request.client, request.user.username)?;
        let answer = Builder::success(message);
        if message.lifetime() == Some(0) {
            self.close(port);
            return Ok(Some(answer.lifetime(0)));
        }
        self.allocations.extend(port, request.now + lifetime);
        Ok(Some(answer.lifetime(lifetime.as_secs() as u32)))
    }

    /// That of relayed addresses, as REQUESTED-ADDRESS-FAMILY has it.
    fn family(&self) -> u8 {
        match self.address {
            IpAddr::V4(_) => turn::IPV4,
            IpAddr::V6(_) => turn::IPV6,
        }
    }

    fn close(&mut self, port: u16) {
        if let Some(allocation) = self.allocations.close(port) {
            let (name, bytes) = (name_of(&allocation.username).to_owned(), allocation.bytes);
            let relayed = SocketAddr::new(self.address, port);
            tracing::debug!(name, %relayed, bytes, "allocation closed");
            self.commands.push_back(Command::Close { port });
            self.events.push_back(Event::Closed {
                name,
                client: allocation.client.client,
                relayed,
                bytes,
            });
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(port) = self.allocations.expired(now) {
            self.close(port);
        }
    }

    /// When the next allocation expires.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.allocations.next_expiry()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What to do next with the sockets of relayed addresses.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next event for the operator's log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The number of allocations.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    fn send(&mut self, to: FiveTuple, payload: Vec<u8>) {
        let transmit = Transmit::new(to.socket, to.client, payload);
        self.transmits.push_back(transmit);
    }

    fn count_refusal(&mut self, client: FiveTuple, method: Method, code: u16) {
        self.stats.refused += 1;
        let client = client.client;
        tracing::trace!(%client, ?method, code, reason = code::reason(code), "request refused");
    }
}

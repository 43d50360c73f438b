//! A peer: registered at a rendezvous, on one socket, and with one attempt at
//! a time. It joins the introduction's client with the punch's agent.
//!
//! Feed it every datagram of its socket with [`Endpoint::handle_input`], call
//! [`Endpoint::handle_timeout`] when [`Endpoint::poll_timeout`] says so, send
//! what [`Endpoint::poll_transmit`] yields **in that order** (an opener must
//! leave before the acknowledgement that invites the peer's packets), and act
//! on [`Endpoint::poll_event`].

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wire::{Class, Message, Method, Transaction, code};

use crate::candidate::Candidates;
use crate::identity::PublicKey;
use crate::introduce::client::{self, Client, Introduced, Invitation};
use crate::io::Transmit;
use crate::punch::{self, Agent, Path, Role, schedule::HOLD};
use crate::seal::Keys;
use crate::verdict::Cause;

/// How long the mapping towards the server's other address is asked for.
const GATHER: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(300),
];
const GATHER_END: Duration = Duration::from_millis(600);

/// What an endpoint is told when it starts.
#[derive(Debug)]
pub struct Config {
    /// Server, name, key.
    pub client: client::Config,
    /// Own addresses, to be told to peers. Empty for privacy.
    pub hosts: Vec<SocketAddr>,
    /// Whom to reach; `None` waits for whoever asks.
    pub peer: Option<String>,
    /// Keys known for names. Another key for a known name is refused.
    pub known: HashMap<String, PublicKey>,
    /// TTL of openers; `None` sends none.
    pub opener_ttl: Option<u8>,
    /// How long one attempt may take.
    pub attempt: Duration,
}

/// What an endpoint learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Registered, and seen at this address.
    Registered(SocketAddr),
    /// The server refused for good, with this error code of [`wire::code`].
    Refused(u16),
    /// No answer from the server for three seconds.
    ServerSilent,
    /// The peer is not there yet, with the server's error code. We go on asking.
    PeerUnavailable(u16),
    /// The peer's key is not the known one. Nothing was sealed to it.
    KeyChanged {
        /// The name.
        peer: String,
        /// The key that is known.
        known: PublicKey,
        /// The key that is registered.
        now: PublicKey,
    },
    /// An attempt begins.
    Introduced {
        /// The peer's name.
        peer: String,
        /// Its key.
        key: PublicKey,
        /// Where the server sees it.
        address: SocketAddr,
        /// Who asked.
        role: Role,
    },
    /// There is a path. Go on until [`Event::Finished`].
    Connected(Path),
    /// The peer knows too.
    Finished,
    /// There is none, and this is why.
    Failed(Cause),
}

/// A question to the server's other address.
#[derive(Debug)]
struct Gather {
    transaction: Transaction,
    to: SocketAddr,
    since: Instant,
    sent: usize,
    mapped: Option<SocketAddr>,
}

/// What was agreed on with the peer, for the verdict.
#[derive(Debug)]
struct Attempt {
    agent: Agent,
    peer: String,
    theirs: Candidates,
    connected: bool,
}

/// A peer.
#[derive(Debug)]
pub struct Endpoint {
    server: SocketAddr,
    key: PublicKey,
    client: Client,
    hosts: Vec<SocketAddr>,
    peer: Option<String>,
    found: Option<PublicKey>,
    calling: bool,
    known: HashMap<String, PublicKey>,
    opener_ttl: Option<u8>,
    patience: Duration,
    gather: Option<Gather>,
    attempt: Option<Attempt>,
    unavailable: Option<u16>,
    rng: ChaCha20Rng,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Endpoint {
    /// An endpoint that starts to register at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.client.seed);
        let mut client = config.client;
        rng.fill_bytes(&mut client.seed);
        let mut endpoint = Endpoint {
            server: client.server,
            key: client.identity.public(),
            client: Client::new(client, now),
            hosts: config.hosts,
            peer: config.peer,
            found: None,
            calling: false,
            known: config.known,
            opener_ttl: config.opener_ttl,
            patience: config.attempt,
            gather: None,
            attempt: None,
            unavailable: None,
            rng,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        if let Some(peer) = &endpoint.peer {
            endpoint.client.look_up(now, peer);
        }
        endpoint
    }

    /// One datagram; true if it was understood.
    pub fn handle_input(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        let Ok(message) = Message::parse(bytes) else {
            return false;
        };
        let mut understood = true;
        if message.method() == Method::Probe {
            understood = match &mut self.attempt {
                Some(attempt) => attempt.agent.handle_input(now, from, &message),
                None => false,
            };
        } else if message.method() == Method::Binding {
            self.gathered(from, &message);
        } else if from == self.server {
            self.client.handle_input(now, &message);
        }
        self.advance(now);
        understood
    }

    /// The system says that nobody listens where we have sent to.
    pub fn handle_refused(&mut self, to: SocketAddr) {
        if let Some(attempt) = &mut self.attempt {
            attempt.agent.handle_refused(to);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        if let Some(attempt) = &mut self.attempt {
            attempt.agent.handle_timeout(now);
        }
        self.advance(now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let attempt = self.attempt.as_ref().and_then(|a| a.agent.poll_timeout());
        [
            self.client.poll_timeout(),
            attempt,
            self.gather.as_ref().and_then(Gather::next),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.attempt.as_mut().and_then(|a| a.agent.poll_transmit()) {
            return Some(transmit);
        }
        if let Some(payload) = self.client.poll_transmit() {
            return Some(Transmit {
                socket: 0,
                to: self.server,
                ttl: None,
                payload,
            });
        }
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Gives the name back, so that nobody is introduced to a peer that left.
    pub fn leave(&mut self, now: Instant) {
        self.client.unregister(now);
    }

    /// Probes sent so far.
    pub fn probes_sent(&self) -> u32 {
        self.attempt.as_ref().map_or(0, |a| a.agent.probes_sent())
    }

    /// Our addresses as servers see them, the rendezvous' first.
    pub fn mapped(&self) -> Vec<SocketAddr> {
        let other = self.gather.as_ref().and_then(|gather| gather.mapped);
        self.client.mapped().into_iter().chain(other).collect()
    }

    /// Why the peer has not been reached so far, for those who stop waiting.
    pub fn cause_so_far(&self) -> Option<Cause> {
        let peer = self.peer.clone()?;
        Some(match self.unavailable? {
            code::NOT_REGISTERED => Cause::PeerOffline { peer },
            code::FORBIDDEN => Cause::AuthMismatch { peer },
            _ => Cause::PeerSilent { peer },
        })
    }

    /// Lets everything that has happened have its consequences.
    fn advance(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            self.client_event(now, event);
        }
        self.send_gather(now);
        self.call(now);
        while let Some(event) = self.attempt.as_mut().and_then(|a| a.agent.poll_event()) {
            self.agent_event(event);
        }
    }

    fn client_event(&mut self, now: Instant, event: client::Event) {
        match event {
            client::Event::OtherAddress(to) => {
                let mut transaction = [0; 12];
                self.rng.fill_bytes(&mut transaction);
                self.gather = Some(Gather {
                    transaction,
                    to,
                    since: now,
                    sent: 0,
                    mapped: None,
                });
            }
            client::Event::Registered(mapped) => self.events.push_back(Event::Registered(mapped)),
            client::Event::Refused(code) => self.events.push_back(Event::Refused(code)),
            client::Event::ServerSilent => self.events.push_back(Event::ServerSilent),
            client::Event::Found(key) => self.peer_found(key),
            client::Event::PeerUnavailable(code) => {
                self.unavailable = Some(code);
                self.events.push_back(Event::PeerUnavailable(code));
            }
            client::Event::Introduced(introduced) => self.introduced(now, introduced),
            client::Event::Invitation(invitation) => self.invited(now, *invitation),
        }
    }

    fn peer_found(&mut self, key: PublicKey) {
        let peer = self.peer.clone().unwrap_or_default();
        match self.known.get(&peer) {
            Some(&known) if known != key => {
                self.client.forget_wish();
                self.events.push_back(Event::KeyChanged {
                    peer,
                    known,
                    now: key,
                });
            }
            _ => self.found = Some(key),
        }
    }

    /// Asks for the introduction, once the peer's key and our own mappings
    /// are known.
    fn call(&mut self, now: Instant) {
        let gathered = self.gather.as_ref().is_none_or(|g| g.is_over(now));
        let (Some(peer), Some(key), true) = (&self.peer, self.found, gathered) else {
            return;
        };
        if self.calling || self.client.mapped().is_none() || self.attempt.is_some() {
            return;
        }
        self.calling = true;
        let payload = self.candidates().encode();
        self.client.connect(now, peer, key, payload);
    }

    fn candidates(&self) -> Candidates {
        Candidates {
            hosts: self.hosts.clone(),
            mapped: self.mapped(),
        }
    }

    fn invited(&mut self, now: Instant, invitation: Invitation) {
        let caller = invitation.caller.clone();
        let wanted = self.peer.as_ref().is_none_or(|peer| *peer == caller);
        // Both asked: the smaller key's call stands, as both sides can tell.
        let ours_stands = self.calling && self.key < invitation.key;
        let trusted = self
            .known
            .get(&caller)
            .is_none_or(|key| *key == invitation.key);
        // Whoever asks again has not learned of our answer: that attempt is void.
        let free = self
            .attempt
            .as_ref()
            .is_none_or(|attempt| attempt.peer == caller && !attempt.connected);
        let Some(theirs) = Candidates::decode(invitation.payload()) else {
            return;
        };
        if !wanted || ours_stands || !free {
            return;
        }
        if !trusted {
            return self.events.push_back(Event::KeyChanged {
                peer: caller.clone(),
                known: self.known[&caller],
                now: invitation.key,
            });
        }
        self.client.forget_wish();
        let (key, address) = (invitation.key, invitation.address);
        let payload = self.candidates().encode();
        if let Ok(keys) = self.client.accept(invitation, &payload) {
            self.start(now, Role::Target, caller, key, address, theirs, keys);
        }
    }

    fn introduced(&mut self, now: Instant, introduced: Introduced) {
        let Some(theirs) = Candidates::decode(&introduced.payload) else {
            return;
        };
        let Introduced {
            peer,
            key,
            address,
            keys,
            ..
        } = introduced;
        self.start(now, Role::Caller, peer, key, address, theirs, keys);
    }

    #[allow(clippy::too_many_arguments)]
    fn start(
        &mut self,
        now: Instant,
        role: Role,
        peer: String,
        key: PublicKey,
        address: SocketAddr,
        theirs: Candidates,
        keys: Keys,
    ) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let hold = match role {
            Role::Caller => Duration::ZERO,
            Role::Target => HOLD + 2 * self.client.rtt().unwrap_or(HOLD),
        };
        let own = self.client.mapped().map(|mapped| mapped.ip());
        let hosts = theirs.probeable_hosts();
        let config = punch::Config {
            role,
            keys,
            reflexive: address,
            lan_likely: own == Some(address.ip()) && !hosts.is_empty(),
            hosts,
            opener_ttl: self.opener_ttl,
            hold,
            deadline: now + self.patience,
            seed,
        };
        self.events.push_back(Event::Introduced {
            peer: peer.clone(),
            key,
            address,
            role,
        });
        self.attempt = Some(Attempt {
            agent: Agent::new(config, now),
            peer,
            theirs,
            connected: false,
        });
    }

    fn agent_event(&mut self, event: punch::Event) {
        let event = match event {
            punch::Event::Connected(path) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.connected = true;
                }
                Event::Connected(path)
            }
            punch::Event::Finished => Event::Finished,
            punch::Event::Failed(observed) => {
                let ours = self.candidates();
                let Some(attempt) = &self.attempt else { return };
                let cause = Cause::of_attempt(&attempt.peer, &ours, &attempt.theirs, &observed);
                Event::Failed(cause)
            }
        };
        self.events.push_back(event);
    }

    fn send_gather(&mut self, now: Instant) {
        let Some(gather) = &mut self.gather else {
            return;
        };
        if gather.next().is_none_or(|at| at > now) {
            return;
        }
        gather.sent += 1;
        if gather.sent <= GATHER.len() {
            self.transmits.push_back(Transmit {
                socket: 0,
                to: gather.to,
                ttl: None,
                payload: wire::binding_request(gather.transaction, None),
            });
        }
    }

    fn gathered(&mut self, from: SocketAddr, message: &Message<'_>) {
        if let Some(gather) = &mut self.gather
            && gather.to == from
            && message.class() == Class::Success
            && message.transaction() == gather.transaction
        {
            gather.mapped = message.mapped();
        }
    }
}

impl Gather {
    fn next(&self) -> Option<Instant> {
        if self.mapped.is_some() {
            return None;
        }
        match GATHER.get(self.sent) {
            Some(&after) => Some(self.since + after),
            None => Some(self.since + GATHER_END).filter(|_| self.sent == GATHER.len()),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.mapped.is_some() || now >= self.since + GATHER_END
    }
}

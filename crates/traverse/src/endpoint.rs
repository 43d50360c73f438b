//! A peer: registered at a rendezvous, on one socket, with an attempt at each
//! of the peers that it wants to reach or is wanted by. It joins the
//! introduction's client with the punch's agents.
//!
//! It makes holes and does not keep them: what then uses the path keeps it
//! open, and calls again when it is lost.
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
    /// Whom to reach, and who alone is answered; `None` waits for whoever
    /// asks, until [`Endpoint::call`].
    pub peer: Option<String>,
    /// Attempts at once, at most: one with each peer.
    pub most_attempts: usize,
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
    /// The peer is not there yet. We go on asking.
    PeerUnavailable {
        /// The name.
        peer: String,
        /// The server's error code.
        code: u16,
    },
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
    Connected {
        /// The peer's name.
        peer: String,
        /// Where it is.
        path: Path,
    },
    /// The peer knows too.
    Finished {
        /// The peer's name.
        peer: String,
    },
    /// There is none, and this is why.
    Failed {
        /// The peer's name.
        peer: String,
        /// Why.
        cause: Cause,
    },
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

/// A peer that we want to reach and are not yet introduced to.
#[derive(Debug)]
struct Call {
    peer: String,
    /// Its key, once the server has told it.
    key: Option<PublicKey>,
    /// The introduction has been asked for.
    asked: bool,
    /// The last error code that came back.
    unavailable: Option<u16>,
}

/// An attempt, and what was agreed on with the peer, for the verdict.
#[derive(Debug)]
struct Attempt {
    agent: Agent,
    peer: String,
    theirs: Candidates,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Punching,
    Connected,
    Ended,
}

/// A peer.
#[derive(Debug)]
pub struct Endpoint {
    server: SocketAddr,
    key: PublicKey,
    client: Client,
    hosts: Vec<SocketAddr>,
    only: Option<String>,
    calls: Vec<Call>,
    known: HashMap<String, PublicKey>,
    opener_ttl: Option<u8>,
    patience: Duration,
    gather: Option<Gather>,
    attempts: Vec<Attempt>,
    most_attempts: usize,
    /// Of attempts that are no longer in the table.
    probes_before: u32,
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
            only: config.peer.clone(),
            calls: Vec::new(),
            known: config.known,
            opener_ttl: config.opener_ttl,
            patience: config.attempt,
            gather: None,
            attempts: Vec::new(),
            most_attempts: config.most_attempts,
            probes_before: 0,
            rng,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        if let Some(peer) = &config.peer {
            endpoint.call(now, peer);
        }
        endpoint
    }

    /// Wants a path to that peer: looks it up, has itself introduced, punches.
    /// It goes on asking until the introduction or [`Self::hang_up`]; an
    /// attempt that fails is not repeated unless it is called again.
    pub fn call(&mut self, now: Instant, peer: &str) {
        if self.calls.iter().any(|call| call.peer == peer) || self.is_punching(peer) {
            return;
        }
        self.calls.push(Call {
            peer: peer.to_owned(),
            key: None,
            asked: false,
            unavailable: None,
        });
        self.client.look_up(now, peer);
    }

    /// No longer wants a path to that peer. An attempt under way goes on.
    pub fn hang_up(&mut self, peer: &str) {
        self.calls.retain(|call| call.peer != peer);
        self.client.forget(peer);
    }

    /// That key is the peer's from now on.
    pub fn trust(&mut self, peer: &str, key: PublicKey) {
        self.known.insert(peer.to_owned(), key);
    }

    /// Registers anew at once, for when paths have broken: it may be our own
    /// address that has changed, and nobody finds us at the old one.
    pub fn refresh(&mut self, now: Instant) {
        self.client.refresh(now);
    }

    /// One datagram; true if it was understood.
    pub fn handle_input(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        let Ok(message) = Message::parse(bytes) else {
            return false;
        };
        let mut understood = true;
        if message.method() == Method::Probe {
            let mut attempts = self.attempts.iter_mut();
            understood = attempts.any(|a| a.agent.handle_input(now, from, &message));
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
        for attempt in &mut self.attempts {
            attempt.agent.handle_refused(to);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        for attempt in &mut self.attempts {
            attempt.agent.handle_timeout(now);
        }
        self.advance(now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let attempts = self.attempts.iter().map(|a| a.agent.poll_timeout());
        let gather = self.gather.as_ref().and_then(Gather::next);
        attempts
            .chain([self.client.poll_timeout(), gather])
            .flatten()
            .min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let mut attempts = self.attempts.iter_mut();
        if let Some(transmit) = attempts.find_map(|a| a.agent.poll_transmit()) {
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
        let now: u32 = self.attempts.iter().map(|a| a.agent.probes_sent()).sum();
        self.probes_before + now
    }

    /// Our addresses as servers see them, the rendezvous' first.
    pub fn mapped(&self) -> Vec<SocketAddr> {
        let other = self.gather.as_ref().and_then(|gather| gather.mapped);
        self.client.mapped().into_iter().chain(other).collect()
    }

    /// Why a peer that was called has not been reached so far, for those who
    /// stop waiting.
    pub fn cause_so_far(&self, peer: &str) -> Option<Cause> {
        let call = self.calls.iter().find(|call| call.peer == peer)?;
        let peer = call.peer.clone();
        Some(match call.unavailable? {
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
        self.ask_introductions(now);
        for index in 0..self.attempts.len() {
            while let Some(event) = self.attempts[index].agent.poll_event() {
                self.agent_event(index, event);
            }
        }
    }

    fn client_event(&mut self, now: Instant, event: client::Event) {
        match event {
            client::Event::OtherAddress(to) => self.start_gather(now, to),
            client::Event::Registered(mapped) => {
                // Another address than before: the other mapping is another, too.
                if let Some(gather) = self.gather.take_if(|g| g.mapped.is_some()) {
                    self.start_gather(now, gather.to);
                }
                self.events.push_back(Event::Registered(mapped));
            }
            client::Event::Refused(code) => self.events.push_back(Event::Refused(code)),
            client::Event::ServerSilent => self.events.push_back(Event::ServerSilent),
            client::Event::Found { peer, key } => self.peer_found(peer, key),
            client::Event::PeerUnavailable { peer, code } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.peer == peer) {
                    call.unavailable = Some(code);
                }
                self.events.push_back(Event::PeerUnavailable { peer, code });
            }
            client::Event::Introduced(introduced) => self.introduced(now, introduced),
            client::Event::Invitation(invitation) => self.invited(now, *invitation),
        }
    }

    fn peer_found(&mut self, peer: String, key: PublicKey) {
        match self.known.get(&peer) {
            Some(&known) if known != key => {
                self.hang_up(&peer);
                self.events.push_back(Event::KeyChanged {
                    peer,
                    known,
                    now: key,
                });
            }
            _ => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.peer == peer) {
                    call.key = Some(key);
                }
            }
        }
    }

    /// Asks for the introductions, once the peers' keys and our own mappings
    /// are known.
    fn ask_introductions(&mut self, now: Instant) {
        let gathered = self.gather.as_ref().is_none_or(|g| g.is_over(now));
        if !gathered || self.client.mapped().is_none() {
            return;
        }
        let payload = self.candidates().encode();
        for call in self.calls.iter_mut().filter(|call| !call.asked) {
            if let Some(key) = call.key {
                call.asked = true;
                self.client.connect(now, &call.peer, key, payload.clone());
            }
        }
    }

    fn is_punching(&self, peer: &str) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.peer == peer && attempt.stage == Stage::Punching)
    }

    fn candidates(&self) -> Candidates {
        Candidates {
            hosts: self.hosts.clone(),
            mapped: self.mapped(),
        }
    }

    fn invited(&mut self, now: Instant, invitation: Invitation) {
        let caller = invitation.caller.clone();
        let wanted = self.only.as_ref().is_none_or(|only| *only == caller);
        // Both asked: the smaller key's call stands, as both sides can tell.
        let asked = self.calls.iter().any(|c| c.peer == caller && c.asked);
        let ours_stands = asked && self.key < invitation.key;
        let trusted = self
            .known
            .get(&caller)
            .is_none_or(|key| *key == invitation.key);
        // Whoever asks again has not learned of our answer, or has lost the
        // path: that attempt is void.
        let free = match self.attempts.iter().find(|a| a.peer == caller) {
            Some(attempt) => attempt.stage != Stage::Connected,
            None => self.has_room(),
        };
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
        self.hang_up(&caller);
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
        self.hang_up(&peer);
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
        self.make_room(&peer);
        self.attempts.push(Attempt {
            agent: Agent::new(config, now),
            peer,
            theirs,
            stage: Stage::Punching,
        });
    }

    fn has_room(&self) -> bool {
        let ended = self.attempts.iter().any(|a| a.stage == Stage::Ended);
        self.attempts.len() < self.most_attempts || ended
    }

    /// An attempt replaces the last one with that peer, else one that has
    /// ended. Those are kept so long for packets that come late. A call of our
    /// own is never refused for want of room: calls are ours to limit.
    fn make_room(&mut self, peer: &str) {
        let ended = |a: &Attempt| a.stage == Stage::Ended;
        let full = self.attempts.len() >= self.most_attempts;
        let mut old = self.attempts.iter().position(|a| a.peer == peer);
        if old.is_none() && full {
            old = self.attempts.iter().position(ended);
        }
        if let Some(old) = old {
            self.probes_before += self.attempts.remove(old).agent.probes_sent();
        }
    }

    fn agent_event(&mut self, index: usize, event: punch::Event) {
        let ours = self.candidates();
        let attempt = &mut self.attempts[index];
        let peer = attempt.peer.clone();
        let event = match event {
            punch::Event::Connected(path) => {
                attempt.stage = Stage::Connected;
                Event::Connected { peer, path }
            }
            punch::Event::Finished => {
                attempt.stage = Stage::Ended;
                Event::Finished { peer }
            }
            punch::Event::Failed(observed) => {
                attempt.stage = Stage::Ended;
                let cause = Cause::of_attempt(&peer, &ours, &attempt.theirs, &observed);
                Event::Failed { peer, cause }
            }
        };
        self.events.push_back(event);
    }

    fn start_gather(&mut self, now: Instant, to: SocketAddr) {
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

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

mod attempts;
mod question;
mod relaying;
mod tcp;

pub use self::tcp::ByTcp;
pub use relaying::{RELAY, Wish};

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wire::{Message, Method, code};

use self::attempts::{Attempt, Attempts, Stage};
use self::question::Question;
use self::relaying::Relaying;
use crate::candidate::{Candidates, Tcp};
use crate::identity::PublicKey;
use crate::introduce::client::{self, Client, Introduced, Invitation};
use crate::io::{Inbound, SocketId, Transmit};
use crate::plan::{self, Limits, Plan, Ports, Side, Strategy};
use crate::punch::{
    self, Agent, Measured, Meter, Path, Role, Shot, Volley,
    schedule::{DIRECT_HEAD_START, HOLD, LAST_WAIT},
};
use crate::relay;
use crate::relay::client::Input;
use crate::relay::credentials::Credentials;
use crate::seal::Keys;
use crate::verdict::Cause;

/// Invitations that wait until we know what to answer.
const MOST_HELD: usize = 16;

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
    /// Our NAT is being measured: nobody is called or answered before
    /// [`Endpoint::describe`].
    pub measuring: bool,
    /// Whether to use a relay: the server's, unless `turn` names another.
    pub relay: Wish,
    /// Another TURN server, to be used in place of the rendezvous. The peer
    /// has to know it, too: it is sent to only if both name it.
    pub turn: Option<relay::client::Config>,
    /// How long one attempt may take, beside what its plan takes.
    pub attempt: Duration,
    /// Where we are reached by TCP, if that and nothing else is wanted. Attempts
    /// are the hands' then: see [`Endpoint::poll_tcp`].
    pub tcp: Option<Tcp>,
}

/// What an endpoint learns.
#[derive(Clone, Debug, PartialEq)]
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
        /// How it will be tried.
        plan: Plan,
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
    /// What the path is worth, after [`Endpoint::measure`].
    Measured {
        /// The peer's name.
        peer: String,
        /// The figures.
        measured: Measured,
    },
    /// There is none, and this is why.
    Failed {
        /// The peer's name.
        peer: String,
        /// Why.
        cause: Cause,
    },
}

/// A peer that we want to reach and are not yet introduced to.
#[derive(Debug)]
struct Call {
    peer: String,
    /// Its key, once the server has told it.
    key: Option<PublicKey>,
    /// The introduction has been asked for, with this said of our NAT.
    asked: bool,
    told: Option<Side>,
    /// The last error code that came back.
    unavailable: Option<u16>,
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
    /// The mapping towards the server's other address.
    gather: Option<Question>,
    /// Our NAT, if it is known, and whether that is all that we shall know.
    side: Option<Side>,
    described: bool,
    /// Once, at least.
    registered: bool,
    /// What our gateway has opened to everybody.
    opened: Option<SocketAddr>,
    relaying: Relaying,
    /// A TURN server of our own choice.
    turn: Option<SocketAddr>,
    /// Where a NAT that counts its ports upwards is by now.
    fresh: Option<Question>,
    held: Vec<Invitation>,
    attempts: Attempts,
    tcp: Option<Tcp>,
    by_tcp: VecDeque<ByTcp>,
    /// The first number that no socket has yet.
    next_socket: SocketId,
    rng: ChaCha20Rng,
    /// Of the attempts: it leaves before all else.
    outbox: VecDeque<Transmit>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Endpoint {
    /// An endpoint that starts to register at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.client.seed);
        let mut client = config.client;
        rng.fill_bytes(&mut client.seed);
        client.relay = config.relay != Wish::Never && config.turn.is_none();
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
            side: None,
            described: !config.measuring,
            registered: false,
            opened: None,
            turn: config.turn.as_ref().map(|turn| turn.server),
            relaying: Relaying::new(config.relay, config.turn),
            fresh: None,
            held: Vec::new(),
            attempts: Attempts::new(config.most_attempts),
            tcp: config.tcp,
            by_tcp: VecDeque::new(),
            next_socket: 1,
            rng,
            outbox: VecDeque::new(),
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
            told: None,
            unavailable: None,
        });
        self.client.look_up(now, peer);
        // Only who calls allocates: one relayed address joins two peers.
        self.relaying.start(now);
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

    /// Our NAT has been measured, or could not be. Ways across that take
    /// guessing are open only to peers that both know theirs.
    pub fn describe(&mut self, now: Instant, side: Option<Side>) {
        self.side = side;
        self.described = true;
        self.advance(now);
    }

    /// Our gateway leads from this outer address to our first socket, or no
    /// longer does. Peers that are introduced from now on are told.
    pub fn opened(&mut self, external: Option<SocketAddr>) {
        self.opened = external;
    }

    /// Registers anew at once, for when paths have broken: it may be our own
    /// address that has changed, and nobody finds us at the old one.
    pub fn refresh(&mut self, now: Instant) {
        self.client.refresh(now);
    }

    /// Measures the path to that peer, if there is one and the peer does the
    /// same; it takes about half a second, and sixty packets at once.
    pub fn measure(&mut self, now: Instant, peer: &str) {
        self.attempts.measure(now, peer);
        self.advance(now);
    }

    /// Asks the peer for a sign of life on the path that there is, which also
    /// keeps the NATs' mappings.
    pub fn beat(&mut self, now: Instant, peer: &str) {
        if let Some(meter) = self.attempts.meter(peer) {
            meter.beat();
        }
        self.advance(now);
    }

    /// When the peer was last heard on that path, after it was there.
    pub fn heard(&mut self, peer: &str) -> Option<Instant> {
        self.attempts.meter(peer)?.heard()
    }

    /// One datagram; true if it was understood.
    pub fn handle_input(&mut self, now: Instant, inbound: Inbound, bytes: &[u8]) -> bool {
        let understood = match self.relaying.handle_input(now, inbound.from, bytes) {
            Input::NotOurs => self.take(now, inbound, bytes),
            Input::Consumed => true,
            Input::Relayed { peer, payload } => {
                let relayed = Inbound {
                    socket: RELAY,
                    from: peer,
                    ttl: None,
                };
                self.take(now, relayed, &payload)
            }
        };
        self.advance(now);
        understood
    }

    fn take(&mut self, now: Instant, inbound: Inbound, bytes: &[u8]) -> bool {
        let Inbound { socket, from, .. } = inbound;
        let Ok(message) = Message::parse(bytes) else {
            return false;
        };
        let mut understood = true;
        if message.method() == Method::Probe {
            understood = self.attempts.handle_input(now, inbound, &message);
        } else if message.method() == Method::Binding {
            for question in self.gather.iter_mut().chain(&mut self.fresh) {
                question.hear(from, &message);
            }
        } else if from == self.server && socket == 0 {
            self.client.handle_input(now, &message);
        }
        understood
    }

    /// The system says that nobody listens where we have sent to.
    pub fn handle_refused(&mut self, to: SocketAddr) {
        self.attempts.handle_refused(to);
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.relaying.handle_timeout(now);
        self.attempts.handle_timeout(now);
        self.advance(now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let questions = self.gather.iter().chain(&self.fresh);
        questions
            .map(Question::next)
            .chain([self.client.poll_timeout(), self.attempts.poll_timeout()])
            .chain([self
                .relaying
                .poll_timeout(self.calls.iter().any(|call| !call.asked))])
            .flatten()
            .min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.outbox.pop_front() {
            return Some(transmit);
        }
        if let Some(transmit) = self.relaying.poll_transmit() {
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
        self.relaying.close(now);
        self.client.unregister(now);
    }

    /// Probes sent so far.
    pub fn probes_sent(&self) -> u32 {
        self.attempts.probes_sent()
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
        if self.is_ready(now) {
            self.ask_introductions(now);
            for invitation in std::mem::take(&mut self.held) {
                self.answer(now, invitation);
            }
        }
        for question in self.gather.iter_mut().chain(&mut self.fresh) {
            self.transmits.extend(question.ask(now));
        }
        self.relaying.advance();
        self.agent_events();
        while let Some((peer, measured)) = self.attempts.poll_measured(now) {
            self.events.push_back(Event::Measured { peer, measured });
        }
        while let Some(transmit) = self.attempts.poll_transmit() {
            let transmit = match transmit.socket {
                RELAY => self.relaying.wrap(now, transmit.to, &transmit.payload),
                _ => Some(transmit),
            };
            self.outbox.extend(transmit);
        }
    }

    fn client_event(&mut self, now: Instant, event: client::Event) {
        match event {
            client::Event::OtherAddress(to) => self.start_gather(now, to),
            client::Event::Registered(mapped) => {
                self.moved(now);
                // Another address than before: the other mapping is another, too.
                if let Some(gather) = self.gather.take_if(|g| g.mapped.is_some()) {
                    self.start_gather(now, gather.to);
                }
                self.events.push_back(Event::Registered(mapped));
            }
            client::Event::Granted(credentials) => self.granted(now, credentials),
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
            client::Event::Invitation(invitation) => self.invited(*invitation),
        }
    }

    /// We are seen at another address than before, if this is not the first:
    /// what was told of us is no longer so, and the relay does not know us.
    fn moved(&mut self, now: Instant) {
        if std::mem::replace(&mut self.registered, true) {
            self.relaying.forget();
            for call in &mut self.calls {
                call.asked = false;
            }
            if !self.calls.is_empty() {
                self.relaying.start(now);
            }
        }
    }

    fn granted(&mut self, now: Instant, credentials: Option<Credentials>) {
        let server = self.server;
        let config = credentials.map(|Credentials { username, password }| relay::client::Config {
            server,
            username,
            password,
        });
        self.relaying.granted(config);
        if !self.calls.is_empty() {
            self.relaying.start(now);
        }
    }

    /// Where the peer may be reached through its relay. It could name anybody,
    /// so it is one that we know ourselves.
    fn relay_of(&self, theirs: &Candidates) -> Option<SocketAddr> {
        let ours = self.turn.map(|turn| turn.ip());
        let other = self.gather.as_ref().map(|gather| gather.to.ip());
        let known = [Some(self.server.ip()), other, ours];
        theirs.relayed.filter(|relayed| {
            self.relaying.wish != Wish::Never && known.contains(&Some(relayed.ip()))
        })
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

    /// Is there somebody to call or to answer, and do we know what to tell them
    /// of ourselves?
    fn is_ready(&mut self, now: Instant) -> bool {
        let wanted = |call: &Call| !call.asked && call.key.is_some();
        if self.held.is_empty() && !self.calls.iter().any(wanted) {
            return false;
        }
        let gathered = self.gather.as_ref().is_none_or(|g| g.is_over(now));
        if !gathered || !self.described || self.client.mapped().is_none() {
            return false;
        }
        if self.held.is_empty() && !self.relaying.is_settled(now) {
            return false;
        }
        // Ports that are foreseen are foreseen from the last one.
        if !matches!(self.side, Some(side) if matches!(side.ports, Ports::Sequential(_))) {
            return true;
        }
        let old = self.fresh.take_if(|fresh| fresh.is_stale(now));
        if old.is_some() || self.fresh.is_none() {
            let socket = self.new_sockets(1);
            self.fresh = Some(self.question(now, socket, self.server));
        }
        self.fresh.as_ref().is_some_and(|fresh| fresh.is_over(now))
    }

    /// Numbers for so many new sockets; the first.
    fn new_sockets(&mut self, count: u32) -> SocketId {
        let first = self.next_socket;
        self.next_socket += count as usize;
        first
    }

    /// Asks for the introductions, once the peers' keys are known.
    fn ask_introductions(&mut self, now: Instant) {
        let candidates = self.candidates();
        let (payload, side) = (candidates.encode(), candidates.side);
        for call in self.calls.iter_mut().filter(|call| !call.asked) {
            if let Some(key) = call.key {
                call.asked = true;
                call.told = side;
                self.client.connect(now, &call.peer, key, payload.clone());
            }
        }
    }

    fn is_punching(&self, peer: &str) -> bool {
        self.attempts.stage(peer) == Some(Stage::Punching)
    }

    fn candidates(&self) -> Candidates {
        if self.relaying.wish == Wish::Only {
            return Candidates {
                relayed: self.relaying.address(),
                ..Candidates::default()
            };
        }
        Candidates {
            hosts: self.hosts.clone(),
            mapped: self.mapped(),
            side: self.side.map(|side| Side {
                mapped: self.opened.is_some(),
                ..side
            }),
            opened: self.opened,
            base: self
                .fresh
                .as_ref()
                .and_then(|fresh| Some(fresh.mapped?.port())),
            relayed: self.relaying.address(),
            tcp: self.tcp.clone(),
        }
    }

    fn invited(&mut self, invitation: Invitation) {
        if self.held.len() < MOST_HELD {
            self.held.push(invitation);
        }
    }

    fn answer(&mut self, now: Instant, invitation: Invitation) {
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
        let free = match self.attempts.stage(&caller) {
            Some(stage) => stage != Stage::Connected,
            None => self.attempts.has_room(),
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
        let candidates = self.candidates();
        let (payload, side) = (candidates.encode(), candidates.side);
        if let Ok(keys) = self.client.accept(invitation, &payload) {
            self.start(
                now,
                Role::Target,
                caller,
                key,
                address,
                (side, theirs),
                keys,
            );
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
        let call = self.calls.iter().find(|call| call.peer == peer);
        let side = call.and_then(|call| call.told);
        self.hang_up(&peer);
        self.start(now, Role::Caller, peer, key, address, (side, theirs), keys);
    }

    #[allow(clippy::too_many_arguments)]
    fn start(
        &mut self,
        now: Instant,
        role: Role,
        peer: String,
        key: PublicKey,
        address: SocketAddr,
        (side, theirs): (Option<Side>, Candidates),
        keys: Keys,
    ) {
        if self.tcp.is_some() || theirs.tcp.is_some() {
            return self.start_tcp(now, role, peer, key, address, theirs, keys);
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let hold = match role {
            Role::Caller => Duration::ZERO,
            Role::Target => HOLD + 2 * self.client.rtt().unwrap_or(HOLD),
        };
        let plan = plan_of(role, &side, &theirs.side);
        let (volley, volleys_end) = self.volley(now + hold, role, &plan, address, &theirs);
        // One early packet, and a bare Linux masquerade sends not only that
        // flow but all that follow it from another port (it looks for a
        // mapping of the same source first, and finds the moved one).
        let hold = match (
            volleys_end,
            plan.share(role).openers && !is_harmless(&theirs),
        ) {
            (Some(end), true) => end.saturating_duration_since(now) + LAST_WAIT,
            _ => hold,
        };
        let own = self.client.mapped().map(|mapped| mapped.ip());
        let mut hosts = theirs.probeable_hosts();
        // As public an address as the one that the rendezvous sees, or nobody's.
        hosts.extend(theirs.opened.filter(|opened| opened.ip() == address.ip()));
        let mut relayed = Vec::from_iter(self.relay_of(&theirs).map(|to| (0, to)));
        if self.relaying.address().is_some() {
            self.relaying.permit(now, address.ip());
            relayed.push((RELAY, address));
        }
        // A path that is sure to come need not be bridged.
        let head_start = match plan.strategy {
            Strategy::Plain if self.relaying.wish != Wish::Only => DIRECT_HEAD_START,
            _ => Duration::ZERO,
        };
        let config = punch::Config {
            role,
            keys,
            relayed,
            relay_from: now + head_start,
            relay_only: self.relaying.wish == Wish::Only,
            hopeful: !matches!(plan.strategy, Strategy::Relay | Strategy::None)
                && self.relaying.wish != Wish::Only,
            reflexive: address,
            lan_likely: own == Some(address.ip()) && !hosts.is_empty(),
            hosts,
            opener_ttl: self.opener_ttl,
            hold,
            volley,
            volleys_end,
            deadline: now + self.patience,
            seed,
        };
        self.events.push_back(Event::Introduced {
            peer: peer.clone(),
            key,
            address,
            role,
            plan,
        });
        self.attempts.add(Attempt {
            agent: Agent::new(config, now),
            peer,
            theirs,
            plan,
            stage: Stage::Punching,
            meter: None,
            measuring: false,
        });
    }

    /// Our part of the guessing, and when all of it is over. `start` is when
    /// the other side may be taken to have begun.
    fn volley(
        &mut self,
        start: Instant,
        role: Role,
        plan: &Plan,
        peer: SocketAddr,
        theirs: &Candidates,
    ) -> (Option<Volley>, Option<Instant>) {
        let (ours, other) = match role {
            Role::Caller => (plan.caller, plan.target),
            Role::Target => (plan.target, plan.caller),
        };
        if ours.each == 0 {
            return (None, None);
        }
        let limits = |side: &Option<Side>| side.map_or(Limits::NOTHING, |side| side.limits);
        let (our_limits, their_limits) = (limits(&self.side), limits(&theirs.side));
        let their_time = Duration::from_secs_f64(other.seconds(&their_limits).min(600.0));
        // Their packets take their time, and so does a busy machine.
        let start = match ours.after {
            true => start + their_time + HOLD,
            false => start,
        };
        // Where the peer's NAT is not known to be harmless, nothing of ours
        // may come to it before its own packet has left.
        let ttl = self.opener_ttl;
        let ttl = ttl.filter(|_| ours.openers && !is_harmless(theirs));
        let first = self.new_sockets(ours.sockets);
        let shots = punch::shots(&ours, peer, theirs.base, first, &mut self.rng);
        let volley = Volley::new(shots, start, our_limits.pps, ttl);
        let end = volley.end()
            + if ours.after {
                Duration::ZERO
            } else {
                their_time
            };
        (Some(volley), Some(end))
    }

    fn agent_events(&mut self) {
        let ours = self.candidates();
        while let Some((attempt, event)) = self.attempts.poll_event() {
            let peer = attempt.peer.clone();
            let event = match event {
                punch::Event::Connected(path) => {
                    attempt.stage = Stage::Connected;
                    let mut seed = [0; 32];
                    self.rng.fill_bytes(&mut seed);
                    let keys = attempt.agent.keys().clone();
                    let to = Shot {
                        socket: path.socket,
                        to: path.remote,
                    };
                    attempt.meter = Some(Meter::new(keys, to, path.relayed, seed));
                    Event::Connected { peer, path }
                }
                punch::Event::Finished => {
                    attempt.stage = Stage::Ended;
                    Event::Finished { peer }
                }
                punch::Event::Failed(observed) => {
                    attempt.stage = Stage::Ended;
                    let told = (&ours, &attempt.theirs);
                    let cause = Cause::of_attempt(&peer, told, &attempt.plan, &observed);
                    Event::Failed { peer, cause }
                }
            };
            self.events.push_back(event);
        }
    }

    fn start_gather(&mut self, now: Instant, to: SocketAddr) {
        self.gather = Some(self.question(now, 0, to));
    }

    fn question(&mut self, now: Instant, socket: SocketId, to: SocketAddr) -> Question {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        Question::new(now, transaction, socket, to)
    }
}

/// Is its NAT known to bear packets that come before its own has left?
fn is_harmless(peer: &Candidates) -> bool {
    peer.side.is_some_and(|side| side.remaps == Some(false))
}

/// Both sides make the same plan, of what they have told each other.
fn plan_of(role: Role, ours: &Option<Side>, theirs: &Option<Side>) -> Plan {
    match (role, ours, theirs) {
        (Role::Caller, Some(ours), Some(theirs)) => plan::between(ours, theirs),
        (Role::Target, Some(ours), Some(theirs)) => plan::between(theirs, ours),
        _ => Plan::plain(Strategy::Unknown, 0.0),
    }
}

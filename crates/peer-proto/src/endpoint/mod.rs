//! A peer: registered at a rendezvous, on one socket (and more where ports are
//! guessed), with an attempt at each
//! of the peers that it wants to reach or is wanted by. It joins the
//! introduction's client with the punch's agents.
//!
//! It makes holes and does not keep them: what then uses the path keeps it
//! open, and calls again when it is lost.
//!
//! It is driven as every [`Protocol`] is; what it yields has to be sent **in that
//! order** (an opener must leave before the acknowledgement that invites the
//! peer's packets). Act on [`Endpoint::poll_event`].

mod attempts;
mod bracket;
mod introduction;
mod relaying;
mod start;
mod tcp;
mod transaction;
mod types;

pub use self::tcp::ByTcp;
pub use relaying::{MOST_RELAYED, Wish};
pub use types::{Config, Event};

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Builder, IcmpReason, Message, Method, code};

use self::attempts::{Attempt, Attempts, Stage};
use self::bracket::Bracket;
use self::relaying::Relaying;
use self::start::{is_harmless, plan_of};
use self::transaction::BindingTransaction;
use crate::candidate::{Candidates, Tcp};
use crate::cause::Cause;
use crate::client::{self, Client, Introduced, Invitation};
use crate::punch::{
    self, Agent, Burst, Measured, Meter, Path, Target,
    schedule::{DIRECT_HEAD_START, HOLD, LAST_WAIT},
};
use crate::relay;
use nat::plan::{self, Limits, Plan, Ports, Role, Side, Strategy};
use sansio::{Datagram, Input, Protocol, SocketId, Transmit, Via};
use session::credentials::Credentials;
use session::identity::PublicKey;
use session::seal::Keys;

/// Invitations that wait until we know what to answer.
const MOST_HELD: usize = 16;

/// A peer that we want to reach and are not yet introduced to.
#[derive(Debug)]
struct Call {
    peer: String,
    /// Its key, once the server has told it.
    key: Option<PublicKey>,
    /// The introduction has been asked for, with this said of our NAT.
    asked: bool,
    told: Option<Side>,
    /// Sockets that have a mapping towards the peer already.
    reserved: Option<SocketId>,
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
    lan: bool,
    only: Option<String>,
    calls: Vec<Call>,
    known: HashMap<String, PublicKey>,
    opener_ttl: Option<u8>,
    patience: Duration,
    /// The mapping towards the server's other address.
    gather: Option<BindingTransaction>,
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
    fresh: Option<BindingTransaction>,
    bracket: Option<Bracket>,
    /// Of the attempt that begins: sockets with a mapping towards the peer.
    reserved: Option<SocketId>,
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
            lan: config.lan,
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
            bracket: None,
            reserved: None,
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
            reserved: None,
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
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> bool {
        let understood = match self
            .relaying
            .handle_input(now, datagram.from, datagram.payload)
        {
            relay::Input::NotOurs => self.take(now, Via::Socket(datagram.socket), datagram),
            relay::Input::Consumed => true,
            relay::Input::Relayed { peer, payload } => {
                let relayed = Datagram {
                    socket: 0,
                    from: peer,
                    ttl: None,
                    payload: &payload,
                };
                self.relaying.keep(peer, &payload) || self.take(now, Via::Relay, relayed)
            }
        };
        self.advance(now);
        understood
    }

    fn take(&mut self, now: Instant, via: Via, datagram: Datagram<'_>) -> bool {
        let Datagram {
            from, ttl, payload, ..
        } = datagram;
        let Ok(message) = Message::parse(payload) else {
            return false;
        };
        let mut understood = true;
        if message.method() == Method::Probe {
            understood = self
                .attempts
                .handle_input(now, Target { via, to: from }, ttl, &message);
        } else if message.method() == Method::Binding {
            for transaction in self.transactions() {
                transaction.hear(from, &message);
            }
        } else if from == self.server && via == Via::Socket(0) {
            self.client.handle_input(now, &message);
        }
        understood
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

    /// Messages that claimed to be a peer's and were dropped, since their MAC
    /// was not.
    pub fn forged(&self) -> u32 {
        self.attempts.forged()
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

    /// Has the server been asked to introduce us to that peer, whom it knows?
    pub fn is_asked_for(&self, peer: &str) -> bool {
        let mut calls = self.calls.iter();
        calls.any(|call| call.peer == peer && call.asked)
    }

    fn transactions(&mut self) -> impl Iterator<Item = &mut BindingTransaction> {
        let bracket = self.bracket.iter_mut();
        let bracket = bracket.flat_map(|b| [&mut b.before, &mut b.after]);
        self.gather.iter_mut().chain(&mut self.fresh).chain(bracket)
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
        let asked: Vec<Transmit> = self.transactions().filter_map(|q| q.ask(now)).collect();
        self.transmits.extend(asked);
        self.bracketed(now);
        self.relaying.advance();
        self.agent_events(now);
        while let Some((peer, measured)) = self.attempts.poll_measured(now) {
            self.events.push_back(Event::Measured { peer, measured });
        }
        while let Some(transmit) = self.attempts.poll_transmit() {
            let punch::Outgoing { to, ttl, payload } = transmit;
            let transmit = match to.via {
                Via::Relay => self.relaying.wrap(now, to.to, &payload),
                Via::Socket(socket) => Some(Transmit {
                    socket,
                    to: to.to,
                    ttl,
                    payload,
                }),
            };
            self.outbox.extend(transmit);
        }
    }

    fn agent_events(&mut self, now: Instant) {
        let ours = self.candidates();
        while let Some((attempt, event)) = self.attempts.poll_event() {
            let peer = attempt.peer.clone();
            let event = match event {
                punch::Event::Connected(path) => {
                    attempt.stage = Stage::Connected;
                    let mut seed = [0; 32];
                    self.rng.fill_bytes(&mut seed);
                    let keys = attempt.agent.keys().clone();
                    let to = Target {
                        via: path.via,
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
                    self.relaying.doubt(now);
                    let told = (&ours, &attempt.theirs);
                    let cause = Cause::of_attempt(&peer, told, &attempt.plan, &observed);
                    Event::Failed { peer, cause }
                }
            };
            self.events.push_back(event);
        }
    }

    fn start_gather(&mut self, now: Instant, to: SocketAddr) {
        self.gather = Some(self.transaction(now, 0, to));
    }

    fn transaction(
        &mut self,
        now: Instant,
        socket: SocketId,
        to: SocketAddr,
    ) -> BindingTransaction {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        BindingTransaction::new(now, transaction, socket, to)
    }
}

impl Protocol for Endpoint {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => {
                self.handle_datagram(now, datagram);
            }
            Input::Icmp(error) if error.reason() == Some(IcmpReason::PortUnreachable) => {
                self.attempts.handle_refused(error.to);
            }
            Input::Icmp(_) => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.relaying.handle_timeout(now);
        self.attempts.handle_timeout(now);
        self.advance(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let bracket = self.bracket.iter().flat_map(|b| [&b.before, &b.after]);
        let transactions = self.gather.iter().chain(&self.fresh).chain(bracket);
        transactions
            .map(BindingTransaction::next)
            .chain([self.client.poll_timeout(), self.attempts.poll_timeout()])
            .chain([self
                .relaying
                .poll_timeout(self.calls.iter().any(|call| !call.asked))])
            .flatten()
            .min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.outbox.pop_front() {
            return Some(transmit);
        }
        if let Some(transmit) = self.relaying.poll_transmit() {
            return Some(transmit);
        }
        if let Some(payload) = self.client.poll_transmit() {
            return Some(Transmit::new(0, self.server, payload));
        }
        self.transmits.pop_front()
    }
}

//! A peer: registered at a rendezvous, on one socket (and on more while ports are
//! guessed), with an attempt at each of the peers that it wants to reach or that
//! want to reach it.
//!
//! The components each own their state: whom we call, who is answered, what is
//! known of ourselves, what servers see of our sockets, the relayed address, and
//! the attempts. The endpoint passes what arrives to the component that it is
//! for, and what one component reports to the others.
//!
//! It makes paths and does not keep them alive: the user of a path sends keepalives,
//! and calls again when the path is lost.
//!
//! It is driven as every [`Protocol`] is. What it yields has to be sent **in that
//! order**: an opener must leave before the acknowledgement that invites the
//! peer's packets. Act on [`Endpoint::poll_event`].

mod admission;
mod advance;
mod again;
mod attempts;
mod binding;
mod bracket;
mod budget;
mod calls;
mod departure;
mod gathering;
mod introduction;
mod invitations;
mod notified;
mod ourselves;
mod outbox;
mod paths;
mod relaying;
mod start;
mod tcp;
mod types;

pub use self::tcp::ByTcp;
pub use relaying::{MOST_RELAYED, Wish};
pub use types::{Config, Event, Strangers};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Message, Method, code};

use self::admission::Admission;
use self::attempts::Attempts;
use self::calls::{Call, Calls};
use self::gathering::Gathering;
use self::invitations::Invitations;
use self::ourselves::{Nat, Ourselves, TcpToo};
use self::outbox::Outbox;
use self::relaying::Relaying;
use crate::cause::Cause;
use crate::client::{Client, OtherKey};
use crate::punch::Target;
use crate::relay;
use nat::plan::Side;
use sansio::{Datagram, Input, Protocol, SocketId, Transmit, Via};
use session::identity::PublicKey;

/// A peer.
#[derive(Debug)]
pub struct Endpoint {
    /// Our registration, and introductions.
    client: Client,
    calls: Calls,
    admission: Admission,
    invitations: Invitations,
    ourselves: Ourselves,
    gathering: Gathering,
    relaying: Relaying,
    /// When those are called again whom we have called before there was a relayed
    /// address.
    call_again_at: Option<Instant>,
    /// When those are to be told of our NAT whom we have called before it was known.
    report_at: Option<Instant>,
    /// When the rendezvous is asked whether the peers are there to which ports are guessed.
    departure_at: Option<Instant>,
    /// When it is looked whether a direct path is there, or TCP is wanted.
    tcp_wanted_at: Option<Instant>,
    attempts: Attempts,
    by_tcp: VecDeque<ByTcp>,
    /// Host candidates of peers are probed.
    lan: bool,
    opener_ttl: Option<u8>,
    /// How long an attempt may take.
    timeout: Duration,
    rng: ChaCha20Rng,
    outbox: Outbox,
    events: VecDeque<Event>,
}

impl Endpoint {
    /// An endpoint that starts to register at `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.client.seed);
        let mut client = config.client;
        let [client_seed, gathering, attempts, relaying] = std::array::from_fn(|_| seed(&mut rng));
        client.seed = client_seed;
        client.relay = config.relay != Wish::Never && config.turn.is_none();
        let server = client.server;
        let key = client.identity.public();
        let mut client = Client::new(client, now);
        if let Some(rotation) = config.rotation {
            client.show_rotation(rotation);
        }
        let nat = nat_at_first(config.measuring);
        let mut endpoint = Endpoint {
            calls: Calls::default(),
            admission: Admission::new(now),
            invitations: Invitations::new(
                key,
                config.peer.clone().or(config.from),
                config.known,
                config.strangers,
            ),
            ourselves: Ourselves::new(config.hosts, config.tcp, nat, config.shares),
            gathering: Gathering::new(server, gathering),
            relaying: Relaying::new(config.relay, config.turn, relaying),
            call_again_at: None,
            report_at: None,
            departure_at: None,
            tcp_wanted_at: None,
            attempts: Attempts::new(now, config.most_attempts, attempts),
            by_tcp: VecDeque::new(),
            client,
            lan: config.lan,
            opener_ttl: config.opener_ttl,
            timeout: config.attempt,
            rng,
            outbox: Outbox::default(),
            events: VecDeque::new(),
        };
        if config.tcp_too && config.relay != Wish::Only {
            endpoint.ourselves.set_tcp_too(TcpToo::Unasked);
        }
        if let Some(peer) = &config.peer {
            endpoint.call(now, peer);
        }
        endpoint
    }

    /// Asks for a path to that peer: it is looked up, introduced, and then punched
    /// to. The endpoint goes on asking until the introduction or
    /// [`Self::hang_up`]. An attempt that fails is not repeated: call again.
    /// The peer counts as known from now on.
    pub fn call(&mut self, now: Instant, peer: &str) {
        self.invitations.name(peer);
        if self.calls.get(peer).is_some() || self.attempts.is_punching(peer) {
            return;
        }
        tracing::debug!(peer, "calling");
        self.calls.add(Call::new(peer));
        self.client.look_up(now, peer);
        // Only the caller allocates: one relayed address joins two peers.
        self.relaying.start(now);
    }

    /// No longer asks for a path to that peer. An attempt under way goes on.
    pub fn hang_up(&mut self, peer: &str) {
        self.calls.remove(peer);
        self.invitations.call_ended(peer);
        self.client.forget(peer);
    }

    /// Our NAT has been measured; `None` if it could not be. Ports are guessed only
    /// between peers that both know their NATs: those whom we have called before, and to
    /// whom there is no direct path yet, are called again where that changes the plan.
    pub fn describe(&mut self, now: Instant, side: Option<Side>) {
        self.ourselves.describe(side);
        if let Some(side) = side {
            self.attempts.allow_guesses(&side.limits);
        }
        self.call_with_reports(now);
        self.advance(now);
    }

    /// Our gateway has mapped this outside endpoint to our first socket, or has no
    /// mapping any more (`None`). Peers that are introduced from now on are told, and so are
    /// those whom we have called and to whom there is no direct path yet.
    pub fn opened(&mut self, now: Instant, external: Option<SocketAddr>) {
        self.ourselves.set_opened(external);
        self.call_with_reports(now);
        self.advance(now);
    }

    /// Registers anew at once. To be called when paths have broken: our own address
    /// may have changed, and peers are still told the old one.
    pub fn refresh(&mut self, now: Instant) {
        self.client.refresh(now);
    }

    /// This host has changed its network, and `hosts` are its host candidates from now on:
    /// another address, or another router. It registers at once, and introduces itself to
    /// no peer before the rendezvous has seen it at its new address. What was known of the
    /// NAT, a port at the old gateway and the relayed address do not hold any more;
    /// `measuring` says that [`Self::describe`] follows. Paths are made anew by [`Self::call`],
    /// from either side.
    pub fn roamed(&mut self, now: Instant, hosts: Vec<SocketAddr>, measuring: bool) {
        tracing::debug!(?hosts, "another network");
        self.ourselves.roamed(hosts, nat_at_first(measuring));
        self.gathering.roamed(now);
        self.relaying.forget();
        self.client.roamed(now);
        self.advance(now);
    }

    /// Whether an attempt is under way.
    pub fn is_punching(&self) -> bool {
        self.attempts.are_punching()
    }

    /// The socket that the relay knows us by, if there is an allocation or one is being
    /// made.
    pub fn relay_socket(&self) -> Option<SocketId> {
        self.relaying.socket()
    }

    /// The rendezvous is at this address from now on, of the same family: what it was asked
    /// is asked there again.
    pub fn move_server(&mut self, now: Instant, server: SocketAddr) {
        tracing::debug!(%server, "the rendezvous is at another address");
        self.gathering.move_server(server);
        self.relaying.move_server();
        self.client.moved(now);
        self.advance(now);
    }

    /// Whether there is an allocation, or one is being made or given back.
    pub fn is_relaying(&self) -> bool {
        self.relaying.is_active()
    }

    /// One datagram; true if it was understood.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> bool {
        let Datagram {
            socket,
            from,
            ttl,
            payload,
        } = datagram;
        let understood = match self.relaying.handle_input(now, (socket, from), payload) {
            relay::Input::NotOurs => {
                let via = Via::Socket(socket);
                self.handle_message(now, Target { via, to: from }, ttl, payload)
            }
            relay::Input::Consumed => true,
            relay::Input::Relayed { peer, payload } => {
                let from = Target {
                    via: Via::Relay,
                    to: peer,
                };
                self.relaying.keep(peer, &payload) || self.handle_message(now, from, None, &payload)
            }
        };
        self.advance(now);
        understood
    }

    fn handle_message(
        &mut self,
        now: Instant,
        from: Target,
        ttl: Option<u8>,
        payload: &[u8],
    ) -> bool {
        let Ok(message) = Message::parse(payload) else {
            return false;
        };
        match message.method() {
            Method::Probe => return self.attempts.handle_input(now, from, ttl, &message),
            Method::Binding => self.gathering.handle_input(from.to, &message),
            _ if from.to == self.gathering.server() && from.via == Via::Socket(0) => {
                self.client.handle_input(now, &message);
            }
            method => tracing::trace!(?from, ?method, "dropped: not from the server"),
        }
        true
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Gives back the name, so that no peer is introduced to one that has left, and
    /// the relayed address.
    pub fn leave(&mut self, now: Instant) {
        self.relaying.close(now);
        self.client.unregister(now);
    }

    /// Probes sent so far.
    pub fn probes_sent(&self) -> u32 {
        self.attempts.probes_sent()
    }

    /// Messages that named an attempt of ours and were dropped because their MAC
    /// was wrong.
    pub fn forged(&self) -> u32 {
        self.attempts.forged()
    }

    /// Our reflexive addresses, as the server's first and second address see them.
    pub fn mapped(&self) -> Vec<SocketAddr> {
        let first = self.client.mapped().into_iter();
        first.chain(self.gathering.other_mapped()).collect()
    }

    /// The key that the server is known by.
    pub fn server_key(&self) -> Option<PublicKey> {
        self.client.server_key()
    }

    /// Answers that came in place of the server's, if none of its own came since.
    pub fn other_server_key(&self) -> Option<OtherKey> {
        self.client.other_server_key()
    }

    /// Why a peer that was called has not been reached so far, for callers that
    /// stop waiting.
    pub fn cause_so_far(&self, peer: &str) -> Option<Cause> {
        let error = self.calls.error(peer)?;
        let peer = peer.to_owned();
        Some(match error {
            code::NOT_REGISTERED => Cause::PeerOffline { peer },
            code::FORBIDDEN => Cause::AuthMismatch { peer },
            code::BUSY | code::USER_ASKED => Cause::PeerBusy {
                peer,
                asked: error == code::USER_ASKED,
            },
            _ => Cause::PeerSilent { peer },
        })
    }

    /// Whether the server knows that peer and has been asked for an introduction.
    pub fn is_asked_for(&self, peer: &str) -> bool {
        self.calls.is_asked(peer)
    }

    fn seed(&mut self) -> [u8; 32] {
        seed(&mut self.rng)
    }
}

/// What is known of a NAT that nothing was found out about.
fn nat_at_first(measuring: bool) -> Nat {
    match measuring {
        true => Nat::BeingMeasured,
        false => Nat::Unknown,
    }
}

fn seed(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}

impl Protocol for Endpoint {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => {
                self.handle_datagram(now, datagram);
            }
            Input::Icmp(error) => {
                self.attempts.handle_icmp(&error);
                self.relaying.handle_icmp(&error);
                self.advance(now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.call_again_at.take_if(|at| *at <= now).is_some() {
            for peer in self.attempts.called() {
                self.call_again(now, &peer);
            }
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.call_with_reports(now);
        }
        self.ask_for_departure(now);
        if self.tcp_wanted_at.take_if(|at| *at <= now).is_some() {
            self.want_tcp();
        }
        self.client.handle_timeout(now);
        self.relaying.handle_timeout(now);
        self.attempts.handle_timeout(now);
        self.advance(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let wait = self.relaying.wait_end();
        let timeouts = [
            self.client.poll_timeout(),
            self.gathering.poll_timeout(),
            self.relaying.poll_timeout(),
            wait.filter(|_| self.calls.is_waiting()),
            self.attempts.poll_timeout(),
            self.call_again_at,
            self.report_at,
            self.departure_at,
            self.tcp_wanted_at,
        ];
        timeouts.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let first = self.outbox.pop_first();
        let relay = first.or_else(|| self.relaying.poll_transmit());
        let client = relay.or_else(|| {
            let payload = self.client.poll_transmit()?;
            Some(Transmit::new(0, self.gathering.server(), payload))
        });
        client.or_else(|| self.outbox.pop_last())
    }
}

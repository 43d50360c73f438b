//! Our relayed address: what gets it, and what goes through it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Endpoint;
use crate::relay::{Client, Config, Event, Input};
use sansio::Transmit;

/// How long a call waits for a relayed address, from when one can be asked for.
const WAIT: Duration = Duration::from_millis(500);

/// An attempt that fails although there is a relayed address, through which
/// nothing has come for so long (an attempt takes longer), suggests that the
/// relay has forgotten it.
const QUIET: Duration = Duration::from_secs(5);

/// Payloads that wait for [`Endpoint::poll_relayed`], at most: more are lost,
/// as in a full buffer.
pub const MOST_RELAYED: usize = 256;

/// What follows the introduction goes through the relay, too.
impl Endpoint {
    /// Sends a payload to a peer to which there is a path by [`sansio::Via::Relay`];
    /// the
    /// payload must not look like STUN. From the second or so on it costs four
    /// bytes more on the way to the relay. Like any datagram it may be lost.
    pub fn relay_send(&mut self, now: Instant, peer: SocketAddr, payload: &[u8]) {
        self.relaying.bind(now, peer);
        let transmit = self.relaying.wrap(now, peer, payload);
        self.outbox.extend(transmit);
    }

    /// What came through the relay and is none of ours, and from whom.
    pub fn poll_relayed(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.relaying.payloads.pop_front()
    }

    /// Whether we have something at the relay, or are giving it back.
    pub fn is_relaying(&self) -> bool {
        self.relaying.client.is_some()
    }
}

/// Whether to use one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Direct paths alone.
    #[default]
    Never,
    /// Until there is a direct path, or for want of one.
    Allowed,
    /// Nothing else: no candidate is told, and nothing sent to the peer's
    /// address. (The rendezvous tells each where it sees the other all the same.)
    Only,
}

#[derive(Debug)]
pub(super) struct Relaying {
    pub(super) wish: Wish,
    /// Where, and with which credentials.
    config: Option<Config>,
    client: Option<Client>,
    /// Until when a call waits, and whether one has waited for long enough.
    until: Option<Instant>,
    waited: bool,
    over: bool,
    /// When something last came through it; nothing can before it is there.
    heard: Option<Instant>,
    /// Of clients that are no more.
    parting: VecDeque<Transmit>,
    /// For others than us.
    payloads: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Relaying {
    pub(super) fn new(wish: Wish, config: Option<Config>) -> Self {
        Self {
            wish,
            config,
            client: None,
            until: None,
            waited: false,
            over: wish == Wish::Never,
            heard: None,
            parting: VecDeque::new(),
            payloads: VecDeque::new(),
        }
    }

    /// Asks for an address, if it may and knows where, and has none.
    pub(super) fn start(&mut self, now: Instant) {
        if self.wish != Wish::Never
            && self.client.is_none()
            && let Some(config) = &self.config
        {
            self.client = Some(Client::new(config, now));
            self.over = false;
            self.heard = Some(now);
            self.asked();
        }
    }

    /// The address is of no more use: our own may have changed, and the relay
    /// knows us by it.
    pub(super) fn forget(&mut self) {
        self.client = None;
        self.asked();
    }

    /// An attempt has failed: is the relayed address still ours? The server
    /// tells only whom it knows.
    pub(super) fn doubt(&mut self, now: Instant) {
        let quiet = self.heard.is_some_and(|heard| now >= heard + QUIET);
        if let Some(mut client) = self.client.take_if(|c| quiet && c.relayed().is_some()) {
            client.close(now);
            while let Some(payload) = client.poll_transmit() {
                self.parting.push_back(to(client.server(), payload));
            }
            self.start(now);
        }
    }

    /// The server relays for us, or for nobody.
    pub(super) fn granted(&mut self, config: Option<Config>) {
        self.over = config.is_none();
        self.config = config;
    }

    /// A call is to be made: do we know whether there is a relayed address?
    pub(super) fn is_settled(&mut self, now: Instant) -> bool {
        if self.over || self.waited || self.address().is_some() {
            return true;
        }
        now >= *self.until.get_or_insert(now + WAIT)
    }

    /// It is made; the next one may wait again.
    pub(super) fn asked(&mut self) {
        (self.until, self.waited) = (None, false);
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.client.as_ref()?.relayed()
    }

    pub(super) fn permit(&mut self, now: Instant, peer: IpAddr) {
        if let Some(client) = &mut self.client {
            client.permit(now, peer);
        }
    }

    fn bind(&mut self, now: Instant, peer: SocketAddr) {
        if let Some(client) = &mut self.client {
            client.bind_channel(now, peer);
        }
    }

    /// Keeps a payload that is not STUN for who wants it; false if it is.
    pub(super) fn keep(&mut self, peer: SocketAddr, payload: &[u8]) -> bool {
        let foreign = payload.first().is_some_and(|first| *first > 3);
        if foreign && self.payloads.len() < MOST_RELAYED {
            self.payloads.push_back((peer, payload.to_vec()));
        }
        foreign
    }

    pub(super) fn handle_input(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Input {
        let input = match &mut self.client {
            Some(client) => client.handle_input(now, from, bytes),
            None => Input::NotOurs,
        };
        if matches!(input, Input::Relayed { .. }) {
            self.heard = Some(now);
        }
        input
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.waited |= self.until.take_if(|until| *until <= now).is_some();
        if let Some(client) = &mut self.client
            && client.poll_timeout().is_some_and(|at| at <= now)
        {
            client.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self, waiting: bool) -> Option<Instant> {
        let client = self.client.as_ref().and_then(Client::poll_timeout);
        let wait = self.until.filter(|_| waiting && !self.over);
        client.into_iter().chain(wait).min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.parting.pop_front() {
            return Some(transmit);
        }
        let client = self.client.as_mut()?;
        let payload = client.poll_transmit()?;
        Some(to(client.server(), payload))
    }

    /// What an agent sends to `peer` through the relay, as it leaves; nothing
    /// before the peer is permitted: it is sent again.
    pub(super) fn wrap(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Option<Transmit> {
        let client = self.client.as_mut()?;
        let payload = client.send_to(now, peer, bytes).ok()?;
        Some(to(client.server(), payload))
    }

    /// Lets what has happened have its consequences.
    pub(super) fn advance(&mut self) {
        while let Some(event) = self.client.as_mut().and_then(Client::poll_event) {
            if let Event::Failed(_) = event {
                self.over = true;
                self.client = None;
            }
        }
    }

    /// Gives the address back.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(client) = &mut self.client {
            client.close(now);
        }
    }
}

fn to(server: SocketAddr, payload: Vec<u8>) -> Transmit {
    Transmit {
        socket: 0,
        to: server,
        ttl: None,
        payload,
    }
}

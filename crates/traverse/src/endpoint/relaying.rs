//! Our relayed address: what gets it, and what goes through it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::io::{SocketId, Transmit};
use crate::relay::client::{Client, Config, Event, Input};

/// The number of the socket that is none: what an agent sends from it goes
/// through the relay.
pub const RELAY: SocketId = SocketId::MAX;

/// How long a call waits for a relayed address, from when one can be asked for.
const WAIT: Duration = Duration::from_millis(500);

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
    since: Option<Instant>,
    /// A call is held up by this, and not by something else.
    waiting: bool,
    over: bool,
}

impl Relaying {
    pub(super) fn new(wish: Wish, config: Option<Config>) -> Self {
        Self {
            wish,
            config,
            client: None,
            since: None,
            waiting: false,
            over: wish == Wish::Never,
        }
    }

    /// Asks for an address, if it may and knows where, and has none.
    pub(super) fn start(&mut self, now: Instant) {
        if self.wish != Wish::Never
            && self.client.is_none()
            && let Some(config) = &self.config
        {
            self.client = Some(Client::new(config, now));
        }
    }

    /// The address is of no more use: our own may have changed, and the relay
    /// knows us by it.
    pub(super) fn forget(&mut self) {
        self.client = None;
        self.since = None;
    }

    /// The server relays for us, or for nobody.
    pub(super) fn granted(&mut self, config: Option<Config>) {
        self.over = config.is_none();
        self.config = config;
    }

    /// A call is to be made: do we know whether there is a relayed address?
    pub(super) fn is_settled(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.waiting = !self.over && self.address().is_none() && now < since + WAIT;
        !self.waiting
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.client.as_ref()?.relayed()
    }

    pub(super) fn permit(&mut self, now: Instant, peer: IpAddr) {
        if let Some(client) = &mut self.client {
            client.permit(now, peer);
        }
    }

    pub(super) fn handle_input(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Input {
        match &mut self.client {
            Some(client) => client.handle_input(now, from, bytes),
            None => Input::NotOurs,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(client) = &mut self.client
            && client.poll_timeout().is_some_and(|at| at <= now)
        {
            client.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self, waiting: bool) -> Option<Instant> {
        let client = self.client.as_ref().and_then(Client::poll_timeout);
        let wait = self.since.filter(|_| waiting && self.waiting);
        client
            .into_iter()
            .chain(wait.map(|since| since + WAIT))
            .min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        let client = self.client.as_mut()?;
        let payload = client.poll_transmit()?;
        Some(to(client.server(), payload))
    }

    /// What an agent sends to `peer` from [`RELAY`], as it leaves; nothing
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

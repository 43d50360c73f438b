//! Our relayed address: when it is asked for, and what goes through it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::code;

use crate::relay::{Client, Config, Event, Failure, Input};
use sansio::{IcmpError, SocketId, Transmit};

/// How long a call waits for a relayed address, from when one can be asked for: a round
/// trip to the rendezvous, which is mostly the relay as well, and at least this.
const LEAST_WAIT: Duration = Duration::from_millis(20);

/// How many of our addresses an allocation is asked for from, where the relay holds an
/// older allocation of the address (RFC 8656 §7.4).
const MOST_ADDRESSES: u32 = 3;

/// How long a relay that has refused, or is silent, is not asked again (RFC 8656 §7.4).
const REST: Duration = Duration::from_secs(60);
const REST_AFTER_MISMATCH: Duration = Duration::from_secs(120);

/// Where an attempt fails and nothing has come through the relay for this time
/// (an attempt takes longer), the relay may have forgotten the allocation.
const QUIET: Duration = Duration::from_secs(5);

/// Payloads that wait for [`Endpoint::poll_relayed`](super::Endpoint::poll_relayed),
/// at most: more are dropped, as a full socket buffer drops them.
pub const MOST_RELAYED: usize = 256;

/// Whether to use a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Direct paths only.
    #[default]
    Never,
    /// A relayed path is used until there is a direct path, or where there is
    /// none.
    Allowed,
    /// Relayed paths only: no other candidate is told, and nothing is sent to the
    /// peer's address. (The rendezvous still tells each side where it sees the
    /// other.)
    Only,
}

/// The wait of a call for a relayed address.
#[derive(Clone, Copy, Debug)]
enum Wait {
    NotBegun,
    Until(Instant),
    Over,
}

#[derive(Debug)]
pub(super) struct Relaying {
    pub(super) wish: Wish,
    /// The TURN server that we have chosen in place of the rendezvous.
    chosen: Option<IpAddr>,
    /// The TURN server to use, and the credentials.
    config: Option<Config>,
    /// What the relay of the rendezvous passes, in bytes per second, if it says so.
    rate: Option<u32>,
    client: Option<Client>,
    /// The socket that the relay knows us by.
    socket: SocketId,
    /// From how many of our addresses an allocation was asked for in vain.
    mismatches: u32,
    /// Until when no allocation is asked for.
    rests_until: Option<Instant>,
    /// Why there is no relayed address.
    failure: Option<Failure>,
    /// A call was made without a relayed address.
    called_without: bool,
    rng: ChaCha20Rng,
    wait: Wait,
    /// There is no relay to wait for.
    unavailable: bool,
    /// When something last came through the relay, or when it was asked for.
    heard: Option<Instant>,
    /// The last packets of clients that are no longer used.
    parting: VecDeque<Transmit>,
    /// What came for the user of the endpoint.
    payloads: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Relaying {
    pub(super) fn new(wish: Wish, config: Option<Config>, seed: [u8; 32]) -> Self {
        Self {
            wish,
            chosen: config.as_ref().map(|config| config.server.ip()),
            config,
            rate: None,
            client: None,
            socket: 0,
            mismatches: 0,
            rests_until: None,
            failure: None,
            called_without: false,
            rng: ChaCha20Rng::from_seed(seed),
            wait: Wait::NotBegun,
            unavailable: wish == Wish::Never,
            heard: None,
            parting: VecDeque::new(),
            payloads: VecDeque::new(),
        }
    }

    /// The TURN server that we have chosen in place of the rendezvous.
    pub(super) fn chosen(&self) -> Option<IpAddr> {
        self.chosen
    }

    /// Whether there is an allocation, or one is being made or given back.
    pub(super) fn is_active(&self) -> bool {
        self.client.is_some()
    }

    /// The socket that the relay knows us by.
    pub(super) fn socket(&self) -> Option<SocketId> {
        self.client.as_ref().map(|_| self.socket)
    }

    /// What the relay of the rendezvous passes.
    pub(super) fn rate(&self) -> Option<u32> {
        self.rate
    }

    /// Asks for a relayed address, if one is wanted and there is none.
    pub(super) fn start(&mut self, now: Instant) {
        let rests = self.rests_until.is_some_and(|until| now < until);
        if self.wish != Wish::Never
            && self.client.is_none()
            && !rests
            && let Some(config) = &self.config
        {
            let mut seed = [0; 32];
            self.rng.fill_bytes(&mut seed);
            self.client = Some(Client::new(config, seed, now));
            (self.unavailable, self.rests_until, self.failure) = (false, None, None);
            self.heard = Some(now);
            self.end_wait();
        }
    }

    /// The relay.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        Some(self.config.as_ref()?.server)
    }

    /// The relay, and why there is no relayed address, if one was asked for.
    pub(super) fn failure(&self) -> Option<(SocketAddr, Failure)> {
        Some((self.server()?, self.failure?))
    }

    /// The rendezvous, which is the relay unless we have chosen another, is at another
    /// address.
    pub(super) fn move_server(&mut self) {
        if self.chosen.is_none() {
            self.forget();
            (self.config, self.rests_until) = (None, None);
        }
    }

    /// Our own address has changed: the relay does not know us by the new one.
    pub(super) fn forget(&mut self) {
        self.client = None;
        self.end_wait();
    }

    /// An attempt has failed. If nothing has come through the relay for a while,
    /// it may have forgotten the allocation, and another is asked for.
    pub(super) fn doubt(&mut self, now: Instant) {
        let quiet = self.heard.is_some_and(|heard| now >= heard + QUIET);
        if let Some(mut client) = self.client.take_if(|c| quiet && c.relayed().is_some()) {
            tracing::debug!("the relay may have forgotten us: asking anew");
            client.close(now);
            while let Some(payload) = client.poll_transmit() {
                let transmit = Transmit::new(self.socket, client.server(), payload);
                self.parting.push_back(transmit);
            }
            self.start(now);
        }
    }

    /// The server has sent credentials for its relay, or has no relay.
    pub(super) fn granted(&mut self, config: Option<Config>, rate: Option<u32>) {
        self.rate = rate;
        self.unavailable = config.is_none() || self.rests_until.is_some();
        self.config = config;
    }

    /// Whether it is known which relayed address to tell with a call. The first
    /// time this is asked, the wait begins. `rtt` is our round trip to the rendezvous.
    pub(super) fn is_settled(&mut self, now: Instant, rtt: Option<Duration>) -> bool {
        if self.unavailable || self.address().is_some() {
            return true;
        }
        // Without a relayed address there is nothing to tell.
        if self.wish == Wish::Only && self.client.is_some() {
            return false;
        }
        match self.wait {
            Wait::NotBegun => {
                let wait = rtt.unwrap_or_default().max(LEAST_WAIT);
                self.wait = Wait::Until(now + wait);
            }
            Wait::Until(until) => return now >= until,
            Wait::Over => return true,
        }
        false
    }

    /// A call is made with what is known.
    pub(super) fn called(&mut self) {
        self.called_without |= self.address().is_none() && self.client.is_some();
        self.end_wait();
    }

    /// Whether there is a relayed address now that calls were made without; true once.
    pub(super) fn came_late(&mut self) -> bool {
        self.address().is_some() && std::mem::take(&mut self.called_without)
    }

    /// The call has been made, or need not wait: the next one may wait again.
    pub(super) fn end_wait(&mut self) {
        self.wait = Wait::NotBegun;
    }

    /// Until when a call waits.
    pub(super) fn wait_end(&self) -> Option<Instant> {
        match self.wait {
            Wait::Until(until) if !self.unavailable => Some(until),
            _ => None,
        }
    }

    /// Our relayed address.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.client.as_ref()?.relayed()
    }

    pub(super) fn permit(&mut self, now: Instant, peer: IpAddr) {
        if let Some(client) = &mut self.client {
            client.permit(now, peer);
        }
    }

    /// Binds a channel, which makes what is sent to this peer smaller.
    pub(super) fn bind(&mut self, now: Instant, peer: SocketAddr) {
        if let Some(client) = &mut self.client {
            client.bind_channel(now, peer);
        }
    }

    /// The next payload for the user of the endpoint, and its sender.
    pub(super) fn poll_payload(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.payloads.pop_front()
    }

    /// Keeps a payload for the user of the endpoint; false if it is STUN and hence
    /// for the endpoint itself.
    pub(super) fn keep(&mut self, peer: SocketAddr, payload: &[u8]) -> bool {
        let foreign = payload.first().is_some_and(|first| *first > 3);
        if foreign && self.payloads.len() < MOST_RELAYED {
            self.payloads.push_back((peer, payload.to_vec()));
        } else if foreign {
            tracing::trace!(%peer, "dropped: too many relayed payloads wait");
        }
        foreign
    }

    pub(super) fn handle_input(
        &mut self,
        now: Instant,
        (socket, from): (SocketId, SocketAddr),
        bytes: &[u8],
    ) -> Input {
        let input = match &mut self.client {
            Some(client) if socket == self.socket => client.handle_input(now, from, bytes),
            _ => Input::NotOurs,
        };
        if matches!(input, Input::Relayed { .. }) {
            self.heard = Some(now);
        }
        input
    }

    /// An ICMP error about a packet of ours.
    pub(super) fn handle_icmp(&mut self, error: &IcmpError<'_>) {
        let unreachable = error.reason() == Some(stun::IcmpReason::PortUnreachable);
        if let Some(client) = &mut self.client
            && unreachable
            && (error.socket, error.to) == (self.socket, client.server())
        {
            client.handle_unreachable();
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.wait, Wait::Until(until) if until <= now) {
            tracing::debug!("no relayed address in time: the call is made without");
            self.wait = Wait::Over;
        }
        if let Some(client) = &mut self.client
            && client.poll_timeout().is_some_and(|at| at <= now)
        {
            client.handle_timeout(now);
        }
    }

    /// When the client has something to do; [`Self::wait_end`] comes beside.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.client.as_ref().and_then(Client::poll_timeout)
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.parting.pop_front() {
            return Some(transmit);
        }
        let client = self.client.as_mut()?;
        let payload = client.poll_transmit()?;
        Some(Transmit::new(self.socket, client.server(), payload))
    }

    /// The packet that carries this payload through the relay to the peer; `None`
    /// before the peer is permitted (a probe is sent again then).
    pub(super) fn wrap(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Option<Transmit> {
        let client = self.client.as_mut()?;
        match client.send_to(now, peer, bytes) {
            Ok(payload) => Some(Transmit::new(self.socket, client.server(), payload)),
            Err(error) => {
                tracing::trace!(%peer, %error, "dropped");
                None
            }
        }
    }

    /// Acts on the events of the client; why there is no relayed address, when that
    /// becomes known. `new_socket` numbers another socket of ours.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        mut new_socket: impl FnMut() -> SocketId,
    ) -> Option<(SocketAddr, Failure)> {
        let mut failed = None;
        while let Some(event) = self.client.as_mut().and_then(Client::poll_event) {
            tracing::debug!(?event, "relay");
            match event {
                Event::Allocated { .. } => self.mismatches = 0,
                Event::Failed(failure) => failed = Some(failure),
                Event::Permitted(_) | Event::Refused(_) | Event::ChannelBound(_) => {}
            }
        }
        let failure = failed?;
        self.client = None;
        let mismatch = failure == Failure::Refused(code::ALLOCATION_MISMATCH);
        if mismatch && self.mismatches + 1 < MOST_ADDRESSES {
            self.mismatches += 1;
            self.socket = new_socket();
            tracing::debug!(socket = self.socket, "asking from another address");
            self.start(now);
            return None;
        }
        self.unavailable = true;
        if failure == Failure::Closed {
            return None;
        }
        let rest = match mismatch {
            true => REST_AFTER_MISMATCH,
            false => REST,
        };
        self.mismatches = 0;
        self.rests_until = Some(now + rest);
        self.failure = Some(failure);
        self.failure()
    }

    /// Gives the address back.
    pub(super) fn close(&mut self, now: Instant) {
        if let Some(client) = &mut self.client {
            client.close(now);
        }
    }
}

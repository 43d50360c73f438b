//! The table of allocations, and of the requests that wait for a socket.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Builder, code};

use super::allocation::{Allocation, Drop};
use super::authentication::{Answer, UserRequest};
use super::pending::PendingAllocate;
use super::policy::Policy;
use super::quotas::{Quotas, name_of};
use super::types::{Config, Limits};
use crate::types::FiveTuple;

/// An allocation whose client has been silent for this long makes room for
/// another one of the same name: a process that ended without a Refresh would
/// hold it otherwise.
pub const ABANDONED: Duration = Duration::from_secs(60);

/// Ports that are tried for one allocation before it is refused.
const TRIES: u8 = 8;

/// What has become of a pending request.
pub(super) enum Begun {
    /// It waits for the socket of this port.
    Opens(u16),
    /// No port is free: it is to be refused.
    NoPort(PendingAllocate),
}

/// Allocations and pending requests by port; each client 5-tuple has at most
/// one of either.
#[derive(Debug)]
pub(super) struct Allocations {
    address: IpAddr,
    policy: Policy,
    limits: Limits,
    ports: RangeInclusive<u16>,
    rng: ChaCha20Rng,
    open: BTreeMap<u16, Allocation>,
    /// With the number of ports that were tried and not free.
    pending: BTreeMap<u16, (PendingAllocate, u8)>,
    by_client: HashMap<FiveTuple, u16>,
    quotas: Quotas,
}

/// How a client names the peer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination {
    /// In a Send indication.
    Peer(SocketAddr),
    /// In channel data.
    Channel(u16),
}

/// What a client 5-tuple has.
pub(super) enum Held<'a> {
    Nothing,
    Pending,
    Open(u16, &'a mut Allocation),
}

impl Allocations {
    /// Ports are chosen at random, from `seed`.
    pub(super) fn new(config: &Config, seed: [u8; 32]) -> Self {
        Allocations {
            address: config.address,
            policy: config.policy.clone(),
            limits: config.limits,
            ports: config.ports.clone(),
            rng: ChaCha20Rng::from_seed(seed),
            open: BTreeMap::new(),
            pending: BTreeMap::new(),
            by_client: HashMap::new(),
            quotas: Quotas::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn contains(&self, client: FiveTuple) -> bool {
        self.by_client.contains_key(&client)
    }

    pub(super) fn held(&mut self, client: FiveTuple) -> Held<'_> {
        let Some(&port) = self.by_client.get(&client) else {
            return Held::Nothing;
        };
        match self.open.get_mut(&port) {
            Some(allocation) => Held::Open(port, allocation),
            None => Held::Pending,
        }
    }

    /// The client's allocation, if it is this user's.
    pub(super) fn of_user(
        &mut self,
        now: Instant,
        client: FiveTuple,
        username: &str,
    ) -> Result<(u16, &mut Allocation), u16> {
        match self.held(client) {
            Held::Open(port, held) if held.expires > now => {
                if held.username != username {
                    return Err(code::WRONG_CREDENTIALS);
                }
                held.active = now;
                Ok((port, held))
            }
            _ => Err(code::ALLOCATION_MISMATCH),
        }
    }

    /// A client has sent a payload of this many bytes: the port that it leaves
    /// from, and the peer.
    pub(super) fn outbound(
        &mut self,
        now: Instant,
        client: FiveTuple,
        to: Destination,
        bytes: usize,
    ) -> Result<(u16, SocketAddr), Drop> {
        let Held::Open(port, allocation) = self.held(client) else {
            return Err(Drop::Unpermitted);
        };
        let peer = match to {
            Destination::Peer(peer) => Some(peer),
            Destination::Channel(number) => allocation.peer_of(now, number),
        };
        let peer = peer.filter(|peer| allocation.permits(now, peer.ip()));
        let peer = peer.ok_or(Drop::Unpermitted)?;
        allocation.active = now;
        allocation.take(now, bytes)?;
        Ok((port, peer))
    }

    /// A peer has sent a payload of this many bytes to the relayed address with
    /// this port: the client, and the channel if it has bound one to the peer.
    pub(super) fn inbound(
        &mut self,
        now: Instant,
        port: u16,
        peer: SocketAddr,
        bytes: usize,
    ) -> Result<(FiveTuple, Option<u16>), Drop> {
        let allocation = self.open.get_mut(&port);
        let allocation = allocation.filter(|allocation| allocation.permits(now, peer.ip()));
        let allocation = allocation.ok_or(Drop::Unpermitted)?;
        allocation.take(now, bytes)?;
        Ok((allocation.client, allocation.channel_to(now, peer)))
    }

    /// CreatePermission (RFC 8656 §10.2).
    pub(super) fn create_permission(&mut self, request: &UserRequest<'_>) -> Answer {
        let message = request.message;
        let peers: Option<Vec<SocketAddr>> = message.peers().into_iter().collect();
        let peers = peers.filter(|peers| !peers.is_empty());
        let peers: Vec<IpAddr> = peers
            .ok_or(code::BAD_REQUEST)?
            .iter()
            .map(SocketAddr::ip)
            .collect();
        let refusal = peers
            .iter()
            .find_map(|peer| self.policy.refusal(self.address, *peer));
        let (_, allocation) = self.of_user(request.now, request.client, request.user.username)?;
        refusal.map_or(Ok(()), Err)?;
        allocation.permit(request.now, &peers)?;
        Ok(Some(Builder::success(message)))
    }

    /// ChannelBind (RFC 8656 §12.2).
    pub(super) fn bind_channel(&mut self, request: &UserRequest<'_>) -> Answer {
        let message = request.message;
        let number = message.channel().ok_or(code::BAD_REQUEST)?;
        let &[Some(peer)] = &message.peers()[..] else {
            return Err(code::BAD_REQUEST);
        };
        let refusal = self.policy.refusal(self.address, peer.ip());
        let (_, allocation) = self.of_user(request.now, request.client, request.user.username)?;
        refusal.map_or(Ok(()), Err)?;
        allocation.bind(request.now, number, peer)?;
        Ok(Some(Builder::success(message)))
    }

    /// Whether there are as many allocations as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.open.len() + self.pending.len() >= self.limits.total
    }

    /// Whether this name has used up its quota.
    pub(super) fn name_is_full(&self, username: &str) -> bool {
        self.quotas.of_name(username) >= self.limits.per_name
    }

    /// Whether the clients of this address, or of its IPv6 network, have used up
    /// its quota.
    pub(super) fn address_is_full(&self, client: IpAddr) -> bool {
        self.quotas.network_is_full(client, self.limits.per_address)
    }

    /// The name's allocation that has been silent for longest, if that is
    /// [`ABANDONED`] or longer.
    pub(super) fn abandoned(&self, now: Instant, username: &str) -> Option<u16> {
        let of_name = self
            .open
            .iter()
            .filter(|(_, held)| name_of(&held.username) == name_of(username));
        let (port, held) = of_name.min_by_key(|(_, held)| held.active)?;
        (held.active + ABANDONED <= now).then_some(*port)
    }

    /// Takes a request in, and assigns a port to it.
    pub(super) fn begin(&mut self, request: PendingAllocate) -> Begun {
        self.quotas
            .take(&request.username, request.client.client.ip());
        self.assign(request, 0)
    }

    /// The socket of this port is open: the request becomes an allocation.
    pub(super) fn opened(&mut self, now: Instant, port: u16) -> Option<PendingAllocate> {
        let (request, _) = self.pending.remove(&port)?;
        let expires = now + request.lifetime;
        let allocation = Allocation::new(
            request.client,
            request.username.clone(),
            request.transaction,
            (now, expires),
            self.limits.rate,
        );
        self.open.insert(port, allocation);
        Some(request)
    }

    /// The socket of this port cannot be opened: its request, if there is one, is
    /// assigned another port.
    pub(super) fn not_opened(&mut self, port: u16) -> Option<Begun> {
        let (request, tries) = self.pending.remove(&port)?;
        Some(self.assign(request, tries + 1))
    }

    fn assign(&mut self, request: PendingAllocate, tries: u8) -> Begun {
        let port = (tries < TRIES).then(|| self.free_port(request.even));
        let Some(port) = port.flatten() else {
            self.release(&request.username, request.client);
            return Begun::NoPort(request);
        };
        self.by_client.insert(request.client, port);
        self.pending.insert(port, (request, tries));
        Begun::Opens(port)
    }

    /// A random port that is free: a peer cannot guess which is assigned next.
    fn free_port(&mut self, even: bool) -> Option<u16> {
        let (first, last) = (*self.ports.start(), *self.ports.end());
        let many = u32::from(last.checked_sub(first)?) + 1;
        let start = self.rng.next_u32() % many;
        (0..many)
            .map(|step| first + ((start + step) % many) as u16)
            .filter(|port| !even || port % 2 == 0)
            .find(|port| !self.open.contains_key(port) && !self.pending.contains_key(port))
    }

    pub(super) fn close(&mut self, port: u16) -> Option<Allocation> {
        let allocation = self.open.remove(&port)?;
        self.release(&allocation.username, allocation.client);
        Some(allocation)
    }

    fn release(&mut self, username: &str, client: FiveTuple) {
        self.by_client.remove(&client);
        self.quotas.release(username, client.client.ip());
    }

    pub(super) fn expired(&self, now: Instant) -> Vec<u16> {
        let expired = self.open.iter().filter(|(_, held)| held.expires <= now);
        expired.map(|(port, _)| *port).collect()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.open.values().map(|held| held.expires).min()
    }
}

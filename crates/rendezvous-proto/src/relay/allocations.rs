//! The table of allocations, and of the requests that wait for a socket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sansio::{Prefix, Shares};
use stun::{Builder, code};

use super::allocation::{Allocation, Drop};
use super::authentication::{Answer, UserRequest};
use super::pending::PendingAllocate;
use super::policy::Policy;
use super::ports::Ports;
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
    /// Those that no allocation has.
    ports: Ports,
    open: BTreeMap<u16, Allocation>,
    /// With the number of ports that were tried and not free.
    pending: BTreeMap<u16, (PendingAllocate, u8)>,
    by_client: HashMap<FiveTuple, u16>,
    /// The open ones of each name.
    by_name: HashMap<String, BTreeSet<u16>>,
    /// When each of the open ones expires.
    schedule: BTreeSet<(Instant, u16)>,
    /// The open ones of each prefix.
    shares: Shares<Prefix, u16>,
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
            ports: Ports::new(config.ports.clone(), seed),
            open: BTreeMap::new(),
            pending: BTreeMap::new(),
            by_client: HashMap::new(),
            by_name: HashMap::new(),
            schedule: BTreeSet::new(),
            shares: Shares::new(),
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

    pub(super) fn set_own_addresses(&mut self, own: Vec<IpAddr>) {
        self.policy.own = own;
        self.keep_permitted();
    }

    pub(super) fn set_allowed(&mut self, allowed: Vec<IpNet>) {
        self.policy.allowed = allowed;
        self.keep_permitted();
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes permissions back that the policy does not grant any more.
    fn keep_permitted(&mut self) {
        let (policy, address) = (&self.policy, self.address);
        for allocation in self.open.values_mut() {
            allocation.keep_peers(|peer| policy.refusal(address, peer).is_none());
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

    /// Makes room for one more allocation of this name and client: the port of an allocation
    /// that has to be closed for it, if one has.
    ///
    /// # Errors
    /// The code that refuses the request.
    pub(super) fn room(
        &self,
        now: Instant,
        username: &str,
        client: IpAddr,
    ) -> Result<Option<u16>, u16> {
        if self.quotas.network_is_full(client, self.limits.per_address) {
            return Err(code::QUOTA_REACHED);
        }
        if self.quotas.of_name(username) >= self.limits.per_name {
            let abandoned = self.abandoned(now, username);
            return Ok(Some(abandoned.ok_or(code::QUOTA_REACHED)?));
        }
        if self.open.len() + self.pending.len() >= self.limits.total {
            let pays = self.biggest_pays(Prefix::of(client));
            return Ok(Some(pays.ok_or(code::INSUFFICIENT_CAPACITY)?));
        }
        Ok(None)
    }

    /// The allocation that has been silent for longest, of the prefix that has most: it must have
    /// more than the newcomer's will have then, so that two prefixes do not take turns in closing each
    /// other's.
    fn biggest_pays(&self, newcomer: Prefix) -> Option<u16> {
        let (biggest, many, _) = self.shares.biggest()?;
        let silent = |port: &u16| self.open.get(port).map(|held| held.active);
        let of_biggest = self.shares.elements_of(biggest);
        let port = of_biggest.min_by_key(silent);
        port.filter(|_| many > self.shares.of(newcomer) + 1)
    }

    /// The name's allocation that has been silent for longest, if that is
    /// [`ABANDONED`] or longer.
    fn abandoned(&self, now: Instant, username: &str) -> Option<u16> {
        let ports = self.by_name.get(name_of(username))?;
        let of_name = ports
            .iter()
            .filter_map(|port| Some((*port, self.open.get(port)?)));
        let (port, held) = of_name.min_by_key(|(_, held)| held.active)?;
        (held.active + ABANDONED <= now).then_some(port)
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
        self.schedule.insert((expires, port));
        let name = name_of(&request.username).to_owned();
        self.by_name.entry(name).or_default().insert(port);
        let prefix = Prefix::of(request.client.client.ip());
        self.shares.insert(prefix, port);
        self.open.insert(port, allocation);
        Some(request)
    }

    /// The socket of this port cannot be opened: its request, if there is one, is
    /// assigned another port.
    pub(super) fn not_opened(&mut self, port: u16) -> Option<Begun> {
        let (request, tries) = self.pending.remove(&port)?;
        let begun = self.assign(request, tries + 1);
        self.ports.release(port);
        Some(begun)
    }

    fn assign(&mut self, request: PendingAllocate, tries: u8) -> Begun {
        let port = (tries < TRIES).then(|| self.ports.take(request.even));
        let Some(port) = port.flatten() else {
            self.release(&request.username, request.client);
            return Begun::NoPort(request);
        };
        self.by_client.insert(request.client, port);
        self.pending.insert(port, (request, tries));
        Begun::Opens(port)
    }

    /// The allocation of this port expires at another time than before.
    pub(super) fn extend(&mut self, port: u16, expires: Instant) {
        if let Some(held) = self.open.get_mut(&port) {
            self.schedule.remove(&(held.expires, port));
            held.expires = expires;
            self.schedule.insert((expires, port));
        }
    }

    pub(super) fn close(&mut self, port: u16) -> Option<Allocation> {
        let allocation = self.open.remove(&port)?;
        self.schedule.remove(&(allocation.expires, port));
        let name = name_of(&allocation.username);
        if let Some(of_name) = self.by_name.get_mut(name) {
            of_name.remove(&port);
            if of_name.is_empty() {
                self.by_name.remove(name);
            }
        }
        let prefix = Prefix::of(allocation.client.client.ip());
        self.shares.remove(prefix, port);
        self.ports.release(port);
        self.release(&allocation.username, allocation.client);
        Some(allocation)
    }

    fn release(&mut self, username: &str, client: FiveTuple) {
        self.by_client.remove(&client);
        self.quotas.release(username, client.client.ip());
    }

    /// The next allocation that has expired.
    pub(super) fn expired(&self, now: Instant) -> Option<u16> {
        let &(expires, port) = self.schedule.first()?;
        (expires <= now).then_some(port)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.schedule.first().map(|&(expires, _)| expires)
    }
}

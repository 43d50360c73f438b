//! A NAT or firewall: its tables, and what it does to a packet.
//!
//! A NAT's behaviour is a key function: it sets the fields of the remote endpoint that the NAT
//! ignores to zero. One table of such keys then serves every mapping behaviour, and one every
//! filtering behaviour.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::ports::{Allocator, Ports};
use super::{Dropped, Profile};
use nat::Dependence::{self, *};

/// How long Linux keeps the entry of an unanswered UDP packet.
const UNREPLIED: Duration = Duration::from_secs(30);

/// A NAT (or firewall) with one outside address.
#[derive(Debug)]
pub struct Nat {
    profile: Profile,
    outside: IpAddr,
    rng: ChaCha8Rng,
    allocator: Allocator,
    /// Never shrinks, so that a key of an expired mapping never means another one.
    mappings: Vec<Mapping>,
    /// (inside endpoint, remote endpoint as the mapping behaviour sees it) → mapping. A flow with a
    /// mapping of its own has a key with the full remote endpoint.
    by_flow: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// The newest mapping of each port.
    by_outside: BTreeMap<SocketAddr, usize>,
    /// (outside endpoint, remote endpoint as the mapping behaviour sees it) → mapping. Remotes that
    /// both behaviours tell apart share the ports of a block, as with Linux.
    by_ends: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// (outside endpoint, remote endpoint) of early packets, and when the last one came.
    taken: BTreeMap<(SocketAddr, SocketAddr), Instant>,
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    outside: SocketAddr,
    /// The remote endpoint as the mapping behaviour sees it.
    remote: SocketAddr,
    sent: Instant,
    /// Remote endpoint as the filtering behaviour sees it → last packet towards it.
    permits: BTreeMap<SocketAddr, Instant>,
}

impl Nat {
    /// A NAT without any mapping yet.
    pub fn new(profile: Profile, outside: IpAddr, seed: u64) -> Self {
        Self {
            allocator: Allocator::new(profile.ports.clone()),
            rng: ChaCha8Rng::seed_from_u64(seed),
            profile,
            outside,
            mappings: Vec::new(),
            by_flow: BTreeMap::new(),
            by_outside: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    /// Removes every mapping, as a restart does.
    pub fn forget(&mut self) {
        self.by_flow.clear();
        self.by_outside.clear();
        self.by_ends.clear();
        self.taken.clear();
    }

    /// Its behaviour.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Its outside address.
    pub fn outside(&self) -> IpAddr {
        self.outside
    }

    /// Handles an outbound packet; returns its source outside.
    pub fn outbound(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<SocketAddr, Dropped> {
        if self.profile.blocks_udp {
            return Err(Dropped::UdpBlocked);
        }
        if self.is_plain_router() {
            return Ok(from);
        }
        let id = self.mapping_for(now, from, to)?;
        let permit = seen_by(self.profile.filtering, to);
        let mapping = &mut self.mappings[id];
        mapping.sent = now;
        mapping.permits.insert(permit, now);
        Ok(mapping.outside)
    }

    /// Handles an inbound packet; returns its destination inside.
    pub fn inbound(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<SocketAddr, Dropped> {
        if self.profile.blocks_udp {
            return Err(Dropped::UdpBlocked);
        }
        if self.is_plain_router() {
            return Ok(to);
        }
        match self.admit(now, from, to) {
            Ok(id) => {
                let inside = self.mappings[id].inside;
                // The answer leaves through the mapping that the packet came in by, as with connection
                // tracking. It matters only if the mapping looks at more than the filtering.
                if self.profile.mapping != EndpointIndependent {
                    self.by_flow.insert((inside, from), id);
                }
                Ok(inside)
            }
            Err(reason) => {
                if self.profile.remaps_after_early_inbound {
                    self.taken.insert((to, from), now);
                }
                Err(reason)
            }
        }
    }

    /// Handles a packet from inside to the NAT's own outside address; returns its source and
    /// destination on the way back in.
    pub fn hairpin(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<(SocketAddr, SocketAddr), Dropped> {
        if !self.profile.hairpin {
            return Err(Dropped::NoHairpin);
        }
        let source = self.outbound(now, from, to)?;
        Ok((source, self.inbound(now, source, to)?))
    }

    /// What it holds now, as a trace shows it.
    pub(crate) fn holds(&self, now: Instant) -> Vec<journey::Mapping> {
        let known: BTreeSet<usize> = self.by_flow.values().copied().collect();
        let live = known.into_iter().filter(|&id| self.is_live(now, id));
        let shown = live.map(|id| {
            let mapping = &self.mappings[id];
            let permits = mapping.permits.iter();
            let permits = permits.filter(|&(_, &since)| now - since < self.profile.lifetime);
            let anyone = self.profile.filtering == EndpointIndependent;
            journey::Mapping {
                protocol: "udp".to_owned(),
                inside: mapping.inside,
                outside: mapping.outside,
                destination: (!mapping.remote.ip().is_unspecified()).then_some(mapping.remote),
                permits: match anyone {
                    true => Vec::new(),
                    false => permits.map(|(&remote, _)| remote).collect(),
                },
                anyone,
            }
        });
        shown.collect()
    }

    /// Neither translates nor filters, so it keeps no state.
    fn is_plain_router(&self) -> bool {
        !self.profile.translates && self.profile.filtering == EndpointIndependent
    }

    fn mapping_for(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<usize, Dropped> {
        if let Some(own) = self.live(now, (from, to)) {
            return Ok(own);
        }
        let flow = (from, seen_by(self.profile.mapping, to));
        let id = match self.live(now, flow) {
            Some(id) => id,
            None => self.create(now, flow)?,
        };
        let taken = self.taken.get(&(self.mappings[id].outside, to));
        match taken.is_some_and(|&since| now - since < UNREPLIED) {
            true => self.create(now, (from, to)),
            false => Ok(id),
        }
    }

    fn live(&self, now: Instant, flow: (SocketAddr, SocketAddr)) -> Option<usize> {
        let id = *self.by_flow.get(&flow)?;
        self.is_live(now, id).then_some(id)
    }

    fn is_live(&self, now: Instant, id: usize) -> bool {
        now - self.mappings[id].sent < self.profile.lifetime
    }

    fn create(&mut self, now: Instant, flow: (SocketAddr, SocketAddr)) -> Result<usize, Dropped> {
        let (inside, remote) = flow;
        let outside = match self.profile.translates {
            false => inside,
            true => {
                let (ip, lifetime) = (self.outside, self.profile.lifetime);
                let (by_outside, by_ends, mappings) =
                    (&self.by_outside, &self.by_ends, &self.mappings);
                let axes = [self.profile.mapping, self.profile.filtering];
                let scarce = matches!(self.profile.ports, Ports::Block(_));
                let shares = scarce && axes == [AddressAndPortDependent; 2];
                let free = |port| {
                    let outside = SocketAddr::new(ip, port);
                    let holder = match shares {
                        true => by_ends.get(&(outside, remote)),
                        false => by_outside.get(&outside),
                    };
                    holder.is_none_or(|&id| now - mappings[id].sent >= lifetime)
                };
                let port = self.allocator.allocate(inside.port(), &mut self.rng, free);
                SocketAddr::new(ip, port.ok_or(Dropped::PortsExhausted)?)
            }
        };
        let id = self.mappings.len();
        self.mappings.push(Mapping {
            inside,
            outside,
            remote,
            sent: now,
            permits: BTreeMap::new(),
        });
        self.by_flow.insert(flow, id);
        self.by_outside.insert(outside, id);
        self.by_ends.insert((outside, remote), id);
        Ok(id)
    }

    fn admit(&self, now: Instant, from: SocketAddr, to: SocketAddr) -> Result<usize, Dropped> {
        let own = self.by_ends.get(&(to, seen_by(self.profile.mapping, from)));
        let own = own.filter(|&&id| self.is_live(now, id));
        let id = *own.or(self.by_outside.get(&to)).ok_or(Dropped::NoMapping)?;
        if !self.is_live(now, id) {
            return Err(Dropped::NoMapping);
        }
        let permit = seen_by(self.profile.filtering, from);
        let permitted = self.mappings[id].permits.get(&permit);
        match permitted.is_some_and(|&since| now - since < self.profile.lifetime) {
            true => Ok(id),
            false => Err(Dropped::Filtered),
        }
    }
}

/// The remote endpoint with the fields set to zero that this axis ignores.
fn seen_by(axis: Dependence, remote: SocketAddr) -> SocketAddr {
    match (axis, remote) {
        (AddressAndPortDependent, _) => remote,
        (AddressDependent, _) => SocketAddr::new(remote.ip(), 0),
        (EndpointIndependent, SocketAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        (EndpointIndependent, SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

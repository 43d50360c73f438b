//! One NAT or firewall: its tables, and what it does to a packet.
//!
//! A NAT type is a key function: blank the fields of the remote end that this
//! type ignores, and one table serves all mappings and one all filters.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::ports::{Allocator, Ports};
use super::{Dropped, Profile};
use nat::Dependence::{self, *};

/// How long Linux keeps the entry of an unanswered UDP packet.
const UNREPLIED: Duration = Duration::from_secs(30);

/// A NAT (or firewall) with one outer address.
#[derive(Debug)]
pub struct Nat {
    profile: Profile,
    outer: IpAddr,
    rng: ChaCha8Rng,
    allocator: Allocator,
    /// Never shrinks, so that a key that outlived its mapping stays dead.
    mappings: Vec<Mapping>,
    /// (inner end, remote end as the mapping axis sees it) → mapping. The full
    /// remote end is there, too, for a flow that has a mapping of its own.
    by_flow: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// The newest mapping of each port.
    by_outer: BTreeMap<SocketAddr, usize>,
    /// (outer end, remote end as the mapping axis sees it) → mapping. Remotes
    /// that are told apart both ways share a block's ports, as with Linux.
    by_ends: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// (outer end, remote end) that an early packet took for the router itself.
    taken: BTreeMap<(SocketAddr, SocketAddr), Instant>,
}

#[derive(Debug)]
struct Mapping {
    inner: SocketAddr,
    outer: SocketAddr,
    sent: Instant,
    /// Remote end as the filtering axis sees it → last packet towards it.
    permits: BTreeMap<SocketAddr, Instant>,
}

impl Nat {
    /// A NAT without any mapping yet.
    pub fn new(profile: Profile, outer: IpAddr, seed: u64) -> Self {
        Self {
            allocator: Allocator::new(profile.ports.clone()),
            rng: ChaCha8Rng::seed_from_u64(seed),
            profile,
            outer,
            mappings: Vec::new(),
            by_flow: BTreeMap::new(),
            by_outer: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    /// As after a restart: every mapping is gone.
    pub fn forget(&mut self) {
        self.by_flow.clear();
        self.by_outer.clear();
        self.by_ends.clear();
        self.taken.clear();
    }

    /// What it was built as.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Its address on the outside.
    pub fn outer(&self) -> IpAddr {
        self.outer
    }

    /// A packet on its way out: its source as the outside will see it.
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
        Ok(mapping.outer)
    }

    /// A packet from outside: the inner end that it is for.
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
                let inner = self.mappings[id].inner;
                // Who came in by a mapping is answered through it. It makes no
                // difference but to a NAT whose mapping is stricter than its
                // filtering, and there it is what connection tracking does.
                if self.profile.mapping != EndpointIndependent {
                    self.by_flow.insert((inner, from), id);
                }
                Ok(inner)
            }
            Err(reason) => {
                if self.profile.remaps_after_early_inbound {
                    self.taken.insert((to, from), now);
                }
                Err(reason)
            }
        }
    }

    /// A packet from the inside to the NAT's own outer address: its source and
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
        let taken = self.taken.get(&(self.mappings[id].outer, to));
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
        let (inner, remote) = flow;
        let outer = match self.profile.translates {
            false => inner,
            true => {
                let (ip, lifetime) = (self.outer, self.profile.lifetime);
                let (by_outer, by_ends, mappings) = (&self.by_outer, &self.by_ends, &self.mappings);
                let axes = [self.profile.mapping, self.profile.filtering];
                let scarce = matches!(self.profile.ports, Ports::Block(_));
                let shares = scarce && axes == [AddressAndPortDependent; 2];
                let free = |port| {
                    let outer = SocketAddr::new(ip, port);
                    let holder = match shares {
                        true => by_ends.get(&(outer, remote)),
                        false => by_outer.get(&outer),
                    };
                    holder.is_none_or(|&id| now - mappings[id].sent >= lifetime)
                };
                let port = self.allocator.allocate(inner.port(), &mut self.rng, free);
                SocketAddr::new(ip, port.ok_or(Dropped::PortsExhausted)?)
            }
        };
        let id = self.mappings.len();
        self.mappings.push(Mapping {
            inner,
            outer,
            sent: now,
            permits: BTreeMap::new(),
        });
        self.by_flow.insert(flow, id);
        self.by_outer.insert(outer, id);
        self.by_ends.insert((outer, remote), id);
        Ok(id)
    }

    fn admit(&self, now: Instant, from: SocketAddr, to: SocketAddr) -> Result<usize, Dropped> {
        let own = self.by_ends.get(&(to, seen_by(self.profile.mapping, from)));
        let own = own.filter(|&&id| self.is_live(now, id));
        let id = *own.or(self.by_outer.get(&to)).ok_or(Dropped::NoMapping)?;
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

/// The remote end with the fields blanked that do not matter on this axis.
fn seen_by(axis: Dependence, remote: SocketAddr) -> SocketAddr {
    match (axis, remote) {
        (AddressAndPortDependent, _) => remote,
        (AddressDependent, _) => SocketAddr::new(remote.ip(), 0),
        (EndpointIndependent, SocketAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        (EndpointIndependent, SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

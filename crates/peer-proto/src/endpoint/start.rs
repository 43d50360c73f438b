//! An attempt begins: the plan that both sides make, and our part of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attempts::Attempt;
use super::{Endpoint, Event, Wish};
use crate::candidate::Candidates;
use crate::client::{Introduced, Relation};
use crate::punch::schedule::{
    DIRECT_HEAD_START, HOLD, HOLD_OF_ANOTHER_PORT, LAST_WAIT, PATIENCE, PROBES,
    PROBES_TO_STRANGERS, hold,
};
use crate::punch::{self, Agent, Burst, Target};
use nat::plan::{self, Limits, Plan, Role, Side, Strategy};
use sansio::{SocketId, Via};

/// What the two sides know of each other when an attempt begins.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) role: Role,
    pub(super) relation: Relation,
    pub(super) introduced: Introduced,
    /// What the peer was told of our NAT.
    pub(super) told: Option<Side>,
    /// The peer was told where we are reached by TCP beside UDP.
    pub(super) told_tcp: bool,
    /// What the peer has told of itself.
    pub(super) theirs: Candidates,
    /// The first of the sockets that have a mapping towards the peer already.
    pub(super) reserved: Option<SocketId>,
}

impl Introduction {
    /// Whether guesses may go to the peer's address. No packet of the peer's can prove
    /// before them that the peer is there. What is sealed with a key that we know has to
    /// do: it must say that the peer sees itself at the IP address at which the
    /// rendezvous tells us to look for it.
    fn may_guess(&self) -> bool {
        let address = self.introduced.address.ip();
        let agrees = self.theirs.mapped.iter().any(|own| own.ip() == address);
        if !agrees {
            tracing::debug!(%address, "no guesses: the peer says that it is elsewhere");
        }
        agrees && self.relation == Relation::Known
    }

    pub(super) fn event(&self, plan: Plan) -> Event {
        let Introduced {
            peer, key, address, ..
        } = &self.introduced;
        Event::Introduced {
            peer: peer.clone(),
            key: *key,
            address: *address,
            role: self.role,
            plan,
            relation: self.relation,
            shares: self.theirs.shares && self.relation == Relation::Known,
        }
    }
}

/// Both sides make the same plan, of what they have told each other.
pub(super) fn plan_of(role: Role, ours: Option<Side>, theirs: Option<Side>) -> Plan {
    match (role, ours, theirs) {
        (Role::Caller, Some(ours), Some(theirs)) => plan::between(&ours, &theirs),
        (Role::Callee, Some(ours), Some(theirs)) => plan::between(&theirs, &ours),
        _ => Plan::plain(Strategy::Unknown, 0.0),
    }
}

impl Endpoint {
    /// Whether an early packet of ours may spoil the caller's mapping, while the caller's
    /// packets reach us as soon as it is introduced: our opener lets
    /// them in, and our NAT maps us to the address that the caller is told.
    fn waits_for_the_callers_packet(&self, role: Role, theirs: &Candidates) -> bool {
        let reaches_us = self.opener_ttl.is_some() && self.candidates().remap().is_none();
        role == Role::Callee && reaches_us && !theirs.bears_early_packets()
    }

    /// Whether our packets to the caller come from a port that it has not been told. Then an
    /// early one spoils nothing for plain probes, and where the caller's do not reach us all
    /// waits for ours.
    fn sends_from_another_port(&self, role: Role) -> bool {
        role == Role::Callee && self.candidates().remap().is_some()
    }

    /// The caller is introduced later than was thought.
    pub(super) fn hold_on(&mut self, now: Instant, caller: &str) {
        let Some(theirs) = self.attempts.punching(caller) else {
            return;
        };
        if self.waits_for_the_callers_packet(Role::Callee, theirs) {
            let until = now + hold(self.client.rtt(), theirs.rtt) + PATIENCE;
            self.attempts.hold_until(caller, until);
        }
    }

    pub(super) fn start(&mut self, now: Instant, introduction: Introduction) {
        if self.ourselves.tcp().is_some() || introduction.theirs.tcp.is_some() {
            return self.start_tcp(now, introduction);
        }
        let (role, theirs) = (introduction.role, &introduction.theirs);
        let (relation, address) = (introduction.relation, introduction.introduced.address);
        let plan = plan_of(role, introduction.told, theirs.side);
        let hold = match role {
            Role::Caller => Duration::ZERO,
            Role::Callee => hold(self.client.rtt(), theirs.rtt),
        };
        let (burst, bursts_end) = self.burst(now + hold, &plan, &introduction);
        // One early packet, and a bare Linux masquerade sends that flow and all
        // later ones from another port (it looks for a mapping of the same source
        // first, and finds the one with the new port).
        let early = plan.part(role).openers && !theirs.bears_early_packets();
        let hold = match bursts_end.filter(|_| early) {
            Some(end) => end.saturating_duration_since(now) + LAST_WAIT,
            None if self.waits_for_the_callers_packet(role, theirs) => hold + PATIENCE,
            None if self.sends_from_another_port(role) => HOLD_OF_ANOTHER_PORT,
            None => hold,
        };
        if plan.guesses() {
            self.watch_for_departure(now);
        }
        let own = self.client.mapped().map(|mapped| mapped.ip());
        let mut hosts = theirs.probeable_hosts();
        // A gateway's outside address must be the one that the rendezvous sees: the
        // peer could name any other.
        hosts.extend(theirs.opened.filter(|opened| opened.ip() == address.ip()));
        let only_relay = self.relaying.wish == Wish::Only;
        let reachable = plan.strategy.may_be_direct();
        // A direct path that is likely need not be bridged by a relayed one.
        let likely = matches!(plan.strategy, Strategy::Plain | Strategy::Unknown);
        let head_start = match likely && !only_relay {
            true => DIRECT_HEAD_START,
            false => Duration::ZERO,
        };
        let config = punch::Config {
            role,
            keys: introduction.introduced.keys.clone(),
            relayed: self.relayed_targets(now, relation, address, theirs),
            relay_from: now + head_start,
            relay_only: only_relay,
            direct_expected: reachable && !only_relay,
            reflexive: address,
            lan_likely: own == Some(address.ip()) && !hosts.is_empty(),
            hosts,
            probes: match relation {
                Relation::Known => &PROBES,
                Relation::Stranger => &PROBES_TO_STRANGERS,
            },
            opener_ttl: self.opener_ttl,
            hold,
            burst,
            bursts_end,
            deadline: now + self.timeout,
            seed: self.seed(),
        };
        self.events.push_back(introduction.event(plan));
        self.start_tcp_too(now, &introduction);
        let (peer, theirs) = (introduction.introduced.peer, introduction.theirs);
        tracing::debug!(peer, ?role, %address, ?plan, "attempt begins");
        let whose = (relation, address.ip());
        let attempt = Attempt::new(now, peer, whose, theirs, plan, || Agent::new(config, now));
        if let Some(peer) = self.attempts.add(attempt) {
            tracing::debug!(peer, "the attempt with a stranger makes room");
            self.events.push_back(Event::Displaced { peer });
        }
    }

    /// What leads through the peer's relay and through ours, which has to let the
    /// peer's packets through. The permissions of ours are few: strangers get none.
    fn relayed_targets(
        &mut self,
        now: Instant,
        relation: Relation,
        address: SocketAddr,
        theirs: &Candidates,
    ) -> Vec<Target> {
        let through = |via, to| Target { via, to };
        let their_relay = self.relay_of(theirs);
        let mut targets = Vec::from_iter(their_relay.map(|to| through(Via::Socket(0), to)));
        if self.relaying.address().is_some() && relation == Relation::Known {
            self.relaying.permit(now, address.ip());
            targets.push(through(Via::Relay, address));
        }
        targets
    }

    /// The TTL of packets that open our NAT: a low one, unless the peer's NAT is
    /// known to bear packets that come before one has left there.
    pub(super) fn low_ttl(&self, theirs: &Candidates) -> Option<u8> {
        self.opener_ttl.filter(|_| !theirs.bears_early_packets())
    }

    /// Our burst, and when the bursts of both sides are over. `start` is when the
    /// other side may be taken to have begun.
    fn burst(
        &mut self,
        start: Instant,
        plan: &Plan,
        introduction: &Introduction,
    ) -> (Option<Burst>, Option<Instant>) {
        let theirs = &introduction.theirs;
        let (ours, other) = match introduction.role {
            Role::Caller => (plan.caller, plan.callee),
            Role::Callee => (plan.callee, plan.caller),
        };
        if ours.ports_per_socket == 0 || !introduction.may_guess() {
            return (None, None);
        }
        let limits = |side: Option<Side>| side.map_or(Limits::NOTHING, |side| side.limits);
        let (our_limits, their_limits) = (limits(introduction.told), limits(theirs.side));
        let their_time = Duration::from_secs_f64(other.seconds(&their_limits).min(600.0));
        // The peer's packets take their time on the way, and so does a busy host.
        let (start, beyond) = match ours.after_peer {
            true => (start + their_time + HOLD, Duration::ZERO),
            false => (start, their_time),
        };
        let ttl = self.low_ttl(theirs).filter(|_| ours.openers);
        let first = introduction.reserved;
        let first = first.unwrap_or_else(|| self.gathering.new_sockets(ours.sockets));
        let ours = ours.with_port_bracket(theirs.ahead, our_limits.probes);
        let peer = introduction.introduced.address;
        let targets = punch::targets(&ours, peer, theirs.base, first, &mut self.rng);
        let burst = Burst::new(targets, start, our_limits.pps, ttl);
        let end = burst.end() + beyond;
        (Some(burst), Some(end))
    }
}

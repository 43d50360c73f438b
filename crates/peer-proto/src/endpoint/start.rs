//! An attempt begins: the plan that both sides make, and our part of it.

use super::*;

impl Endpoint {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn start(
        &mut self,
        now: Instant,
        role: Role,
        peer: String,
        key: PublicKey,
        address: SocketAddr,
        (side, theirs): (Option<Side>, Candidates),
        keys: Keys,
    ) {
        if self.tcp.is_some() || theirs.tcp.is_some() {
            return self.start_tcp(now, role, peer, key, address, theirs, keys);
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let hold = match role {
            Role::Caller => Duration::ZERO,
            Role::Callee => HOLD + 2 * self.client.rtt().unwrap_or(HOLD),
        };
        let plan = plan_of(role, &side, &theirs.side);
        let (volley, volleys_end) = self.volley(now + hold, role, &plan, address, &theirs);
        // One early packet, and a bare Linux masquerade sends not only that
        // flow but all that follow it from another port (it looks for a
        // mapping of the same source first, and finds the moved one).
        let hold = match (
            volleys_end,
            plan.part(role).openers && !is_harmless(&theirs),
        ) {
            (Some(end), true) => end.saturating_duration_since(now) + LAST_WAIT,
            _ => hold,
        };
        let own = self.client.mapped().map(|mapped| mapped.ip());
        let mut hosts = theirs.probeable_hosts();
        // As public an address as the one that the rendezvous sees, or nobody's.
        hosts.extend(theirs.opened.filter(|opened| opened.ip() == address.ip()));
        let mut relayed = Vec::from_iter(self.relay_of(&theirs).map(|to| (0, to)));
        if self.relaying.address().is_some() {
            self.relaying.permit(now, address.ip());
            relayed.push((RELAY, address));
        }
        // A path that is sure to come, or may well, need not be bridged.
        let head_start = match plan.strategy {
            Strategy::Plain | Strategy::Unknown if self.relaying.wish != Wish::Only => {
                DIRECT_HEAD_START
            }
            _ => Duration::ZERO,
        };
        let config = punch::Config {
            role,
            keys,
            relayed,
            relay_from: now + head_start,
            relay_only: self.relaying.wish == Wish::Only,
            hopeful: !matches!(plan.strategy, Strategy::Relay | Strategy::None)
                && self.relaying.wish != Wish::Only,
            reflexive: address,
            lan_likely: own == Some(address.ip()) && !hosts.is_empty(),
            hosts,
            opener_ttl: self.opener_ttl,
            hold,
            volley,
            volleys_end,
            deadline: now + self.patience,
            seed,
        };
        self.events.push_back(Event::Introduced {
            peer: peer.clone(),
            key,
            address,
            role,
            plan,
        });
        self.attempts.add(Attempt {
            agent: Agent::new(config, now),
            peer,
            theirs,
            plan,
            stage: Stage::Punching,
            meter: None,
            measuring: false,
        });
    }

    /// Our part of the guessing, and when all of it is over. `start` is when
    /// the other side may be taken to have begun.
    pub(super) fn volley(
        &mut self,
        start: Instant,
        role: Role,
        plan: &Plan,
        peer: SocketAddr,
        theirs: &Candidates,
    ) -> (Option<Volley>, Option<Instant>) {
        let (ours, other) = match role {
            Role::Caller => (plan.caller, plan.callee),
            Role::Callee => (plan.callee, plan.caller),
        };
        if ours.ports_per_socket == 0 {
            return (None, None);
        }
        let limits = |side: &Option<Side>| side.map_or(Limits::NOTHING, |side| side.limits);
        let (our_limits, their_limits) = (limits(&self.side), limits(&theirs.side));
        let their_time = Duration::from_secs_f64(other.seconds(&their_limits).min(600.0));
        // Their packets take their time, and so does a busy machine.
        let start = match ours.after_peer {
            true => start + their_time + HOLD,
            false => start,
        };
        // Where the peer's NAT is not known to be harmless, nothing of ours
        // may come to it before its own packet has left.
        let ttl = self.opener_ttl;
        let ttl = ttl.filter(|_| ours.openers && !is_harmless(theirs));
        let reserved = self.reserved.take();
        let first = reserved.unwrap_or_else(|| self.new_sockets(ours.sockets));
        let ours = ours.with_port_bracket(theirs.ahead, our_limits.probes);
        let shots = punch::shots(&ours, peer, theirs.base, first, &mut self.rng);
        let volley = Volley::new(shots, start, our_limits.pps, ttl);
        let end = volley.end()
            + if ours.after_peer {
                Duration::ZERO
            } else {
                their_time
            };
        (Some(volley), Some(end))
    }
}

/// Is its NAT known to bear packets that come before its own has left?
pub(super) fn is_harmless(peer: &Candidates) -> bool {
    peer.side.is_some_and(|side| side.remaps == Some(false))
}

/// Both sides make the same plan, of what they have told each other.
pub(super) fn plan_of(role: Role, ours: &Option<Side>, theirs: &Option<Side>) -> Plan {
    match (role, ours, theirs) {
        (Role::Caller, Some(ours), Some(theirs)) => plan::between(ours, theirs),
        (Role::Callee, Some(ours), Some(theirs)) => plan::between(theirs, ours),
        _ => Plan::plain(Strategy::Unknown, 0.0),
    }
}

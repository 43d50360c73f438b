//! The attempts under way, one with each peer, and those that have ended and may
//! still get packets.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Class, Message};
use tracing::Span;

use super::budget::Budget;
use crate::candidate::Candidates;
use crate::client::{GONE, Relation};
use crate::punch::{Agent, Event, Measured, Meter, Outgoing, Target};
use nat::plan::{Limits, Plan, Role};
use sansio::IcmpError;
use sansio::Prefix;
use session::seal::Fresh;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Punching,
    /// There is a relayed path, and a direct one is looked for.
    Relayed,
    Connected,
    Ended,
}

/// An attempt, and what was agreed on with the peer.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) peer: String,
    relation: Relation,
    /// Where the rendezvous sees the peer.
    address: IpAddr,
    pub(super) theirs: Candidates,
    pub(super) plan: Plan,
    agent: Agent,
    stage: Stage,
    /// There was a direct path.
    direct: bool,
    since: Instant,
    /// Probes that the budget has held back.
    withheld: u32,
    /// Of the path, once there is one.
    meter: Option<Meter>,
    /// The path is being measured.
    measuring: bool,
    /// The peer's nonce at the rendezvous, and when it was first seen.
    fresh: Option<(Fresh, Instant)>,
    /// Names the peer in the log.
    span: Span,
}

impl Attempt {
    pub(super) fn new(
        now: Instant,
        peer: String,
        (relation, address): (Relation, IpAddr),
        theirs: Candidates,
        plan: Plan,
        agent: impl FnOnce() -> Agent,
    ) -> Self {
        let span = tracing::debug_span!("attempt", peer);
        Self {
            agent: span.in_scope(agent),
            peer,
            relation,
            address,
            theirs,
            plan,
            stage: Stage::Punching,
            direct: false,
            since: now,
            withheld: 0,
            meter: None,
            measuring: false,
            fresh: None,
            span,
        }
    }

    /// Whether a better path is looked for.
    pub(super) fn may_improve(&self) -> bool {
        matches!(self.stage, Stage::Punching | Stage::Relayed)
    }

    fn is_live(&self) -> bool {
        self.stage != Stage::Ended
    }

    fn is_calling(&self) -> bool {
        self.may_improve() && self.agent.role() == Role::Caller
    }

    fn is_live_with_stranger(&self) -> bool {
        self.is_live() && self.relation == Relation::Stranger
    }

    fn probes_sent(&self) -> u32 {
        self.agent.probes_sent() - self.withheld
    }

    /// The next packet, if it is within the budget or goes to where the peer has proved
    /// to be.
    fn poll_transmit(&mut self, now: Instant, budget: &mut Budget) -> Option<Outgoing> {
        while let Some(outgoing) = self.agent.poll_transmit() {
            let to = outgoing.to;
            if self.agent.is_proved(to) || budget.take(now, self.relation, to.to.ip()) {
                return Some(outgoing);
            }
            tracing::trace!(?to, "held back: the budget of packets is used up");
            let message = Message::parse(&outgoing.payload);
            let probe = message.is_ok_and(|message| message.class() == Class::Request);
            self.withheld += u32::from(probe);
        }
        self.meter.as_mut().and_then(Meter::poll_transmit)
    }
}

/// Of the attempts, those that strangers may have: a quarter, and one at least.
const SHARE_OF_STRANGERS: usize = 4;

/// Of these, attempts with strangers of one /24 or /48.
const MOST_OF_PREFIX: usize = 2;

#[derive(Debug)]
pub(super) struct Attempts {
    table: Vec<Attempt>,
    most: usize,
    budget: Budget,
    rng: ChaCha20Rng,
    /// Of attempts that are no longer in the table.
    probes_before: u32,
    forged_before: u32,
}

impl Attempts {
    pub(super) fn new(now: Instant, most: usize, seed: [u8; 32]) -> Self {
        Self {
            table: Vec::new(),
            most,
            budget: Budget::new(now),
            rng: ChaCha20Rng::from_seed(seed),
            probes_before: 0,
            forged_before: 0,
        }
    }

    /// What our own guesses may cost.
    pub(super) fn allow_guesses(&mut self, limits: &Limits) {
        self.budget.allow_guesses(limits);
    }

    /// A probe, and the TTL with which it arrived; true if it is of an attempt.
    pub(super) fn handle_input(
        &mut self,
        now: Instant,
        from: Target,
        ttl: Option<u8>,
        message: &Message<'_>,
    ) -> bool {
        let mut table = self.table.iter_mut();
        if message.measure().is_none() {
            return table.any(|a| {
                let _entered = a.span.enter();
                a.agent.handle_input(now, from, message)
            });
        }
        let attempt = table.find(|a| message.attempt() == Some(a.agent.keys().attempt));
        let meter = attempt.and_then(|attempt| attempt.meter.as_mut());
        if let Some(meter) = meter {
            meter.handle_input(now, from, ttl, message);
            return true;
        }
        false
    }

    /// What a peer has told of itself, while there is no direct path to it.
    pub(super) fn punching(&self, peer: &str) -> Option<&Candidates> {
        let mut table = self.table.iter();
        let attempt = table.find(|a| a.peer == peer && a.may_improve())?;
        Some(&attempt.theirs)
    }

    /// The same of a peer that we have called, the plan, and when the attempt began.
    pub(super) fn calling(&self, peer: &str) -> Option<(&Candidates, &Plan, Instant)> {
        let mut table = self.table.iter();
        let attempt = table.find(|a| a.peer == peer && a.is_calling())?;
        Some((&attempt.theirs, &attempt.plan, attempt.since))
    }

    /// The probes to that peer's reflexive address wait until then, if none has left yet.
    pub(super) fn hold_until(&mut self, peer: &str, until: Instant) {
        let attempt = self.table.iter_mut().find(|a| a.peer == peer);
        if let Some(attempt) = attempt {
            attempt.agent.hold_until(until);
        }
    }

    /// Begins to measure the path to that peer, if there is one.
    pub(super) fn measure(&mut self, now: Instant, peer: &str) {
        let attempt = self.table.iter_mut().find(|a| a.peer == peer);
        if let Some(attempt) = attempt
            && let Some(meter) = &mut attempt.meter
        {
            meter.start(now);
            attempt.measuring = true;
        }
    }

    pub(super) fn meter(&mut self, peer: &str) -> Option<&mut Meter> {
        let attempt = self.table.iter_mut().find(|a| a.peer == peer)?;
        attempt.meter.as_mut()
    }

    /// A measurement that is over.
    pub(super) fn poll_measured(&mut self, now: Instant) -> Option<(String, Measured)> {
        let mut table = self.table.iter_mut().filter(|a| a.measuring);
        table.find_map(|attempt| {
            let measured = attempt.meter.as_ref()?.result(now)?;
            attempt.measuring = false;
            Some((attempt.peer.clone(), measured))
        })
    }

    pub(super) fn handle_icmp(&mut self, error: &IcmpError<'_>) {
        for attempt in &mut self.table {
            let _entered = attempt.span.enter();
            attempt.agent.handle_icmp(error);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for attempt in &mut self.table {
            let _entered = attempt.span.enter();
            attempt.agent.handle_timeout(now);
            if let Some(meter) = &mut attempt.meter {
                meter.handle_timeout(now);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = self.table.iter().map(|a| a.agent.poll_timeout());
        let measuring = self.table.iter().filter(|a| a.measuring);
        let meters = measuring.map(|a| a.meter.as_ref().and_then(Meter::poll_timeout));
        timeouts.chain(meters).flatten().min()
    }

    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing> {
        let (table, budget) = (&mut self.table, &mut self.budget);
        table.iter_mut().find_map(|a| a.poll_transmit(now, budget))
    }

    /// The next event of an attempt.
    pub(super) fn poll_event(&mut self) -> Option<(&Attempt, Event)> {
        let mut table = self.table.iter_mut();
        let (attempt, event) = table.find_map(|attempt| {
            let event = attempt.agent.poll_event()?;
            Some((attempt, event))
        })?;
        attempt.stage = match &event {
            Event::Connected(path) => {
                attempt.direct |= !path.relayed;
                let mut seed = [0; 32];
                self.rng.fill_bytes(&mut seed);
                attempt.meter = Some(Meter::new(attempt.agent.keys().clone(), path, seed));
                match attempt.agent.may_improve(path) {
                    true => Stage::Relayed,
                    false => Stage::Connected,
                }
            }
            Event::Finished | Event::Failed(_) => Stage::Ended,
        };
        Some((attempt, event))
    }

    pub(super) fn probes_sent(&self) -> u32 {
        let now: u32 = self.table.iter().map(Attempt::probes_sent).sum();
        self.probes_before + now
    }

    pub(super) fn forged(&self) -> u32 {
        let now: u32 = self.table.iter().map(|a| a.agent.forged()).sum();
        self.forged_before + now
    }

    fn stage(&self, peer: &str) -> Option<Stage> {
        let attempt = self.table.iter().find(|a| a.peer == peer)?;
        Some(attempt.stage)
    }

    /// The peers to which ports are still guessed for longer than this time: one that leaves
    /// then has not given up as we are about to.
    pub(super) fn guessing(&self, now: Instant, longer: Duration) -> Vec<String> {
        let guesses =
            |a: &&Attempt| a.may_improve() && a.plan.guesses() && now + longer < a.agent.give_up();
        let guessing = self.table.iter().filter(guesses);
        guessing.map(|a| a.peer.clone()).collect()
    }

    /// Whether that peer has had this nonce for so long that it does not refresh its registration any
    /// more.
    pub(super) fn is_stale(&mut self, now: Instant, peer: &str, fresh: Fresh) -> bool {
        let Some(attempt) = self.table.iter_mut().find(|a| a.peer == peer) else {
            return false;
        };
        let before = attempt.fresh.filter(|(before, _)| *before == fresh);
        let (_, since) = *attempt.fresh.insert(before.unwrap_or((fresh, now)));
        since + GONE <= now
    }

    /// The attempt with that peer is over.
    pub(super) fn abandon(&mut self, peer: &str) {
        if let Some(attempt) = self.table.iter_mut().find(|a| a.peer == peer) {
            attempt.agent.abandon();
            attempt.stage = Stage::Ended;
        }
    }

    /// Those whom we have called and to whom there is no direct path yet.
    pub(super) fn called(&self) -> Vec<String> {
        let called = self.table.iter().filter(|a| a.is_calling());
        called.map(|a| a.peer.clone()).collect()
    }

    /// Whether an attempt with a known peer has found no direct path so far.
    pub(super) fn lack_direct_path(&self) -> bool {
        let lacks = |a: &Attempt| a.relation == Relation::Known && !a.direct;
        self.table.iter().any(lacks)
    }

    pub(super) fn are_punching(&self) -> bool {
        self.table.iter().any(Attempt::is_live)
    }

    pub(super) fn is_punching(&self, peer: &str) -> bool {
        self.stage(peer) == Some(Stage::Punching)
    }

    /// Whether that peer, seen at that address, may begin an attempt. A peer that asks
    /// again has not learned of our answer, or has lost the path: the attempt before is
    /// void. A known peer may take the place of a stranger.
    pub(super) fn has_room_for(&self, peer: &str, relation: Relation, address: IpAddr) -> bool {
        let before = self.table.iter().find(|a| a.peer == peer);
        match (relation, before) {
            (Relation::Known, Some(before)) => {
                before.relation == Relation::Stranger || before.stage != Stage::Connected
            }
            (Relation::Stranger, Some(before)) => {
                before.relation == Relation::Stranger && before.stage != Stage::Connected
            }
            (Relation::Known, None) => {
                let strange = self.table.iter().any(Attempt::is_live_with_stranger);
                strange || self.has_place()
            }
            (Relation::Stranger, None) => self.has_place() && self.strangers_have_share(address),
        }
    }

    fn has_place(&self) -> bool {
        self.table.len() < self.most || self.table.iter().any(|a| !a.is_live())
    }

    /// Whether there may be one more attempt with a stranger, seen at that address.
    fn strangers_have_share(&self, address: IpAddr) -> bool {
        let prefix = Prefix::of(address);
        let strangers = || self.table.iter().filter(|a| a.is_live_with_stranger());
        let of_prefix = strangers().filter(|a| Prefix::of(a.address) == prefix);
        strangers().count() < (self.most / SHARE_OF_STRANGERS).max(1)
            && of_prefix.count() < MOST_OF_PREFIX
            && strangers().all(|a| a.address != address)
    }

    /// An attempt replaces the last one with that peer, else one that has ended (until
    /// then it is kept for late packets), else one with a stranger, whose name is
    /// returned. A call of our own is never refused for want of room, since it is for us
    /// to limit our calls.
    pub(super) fn add(&mut self, attempt: Attempt) -> Option<String> {
        let full = self.table.len() >= self.most;
        let find = |which: &dyn Fn(&Attempt) -> bool| self.table.iter().position(which);
        let same = find(&|a| a.peer == attempt.peer);
        let ended = || find(&|a| !a.is_live()).filter(|_| full);
        let strange = || find(&|a| a.is_live_with_stranger()).filter(|_| full);
        let displaces = same.or_else(ended).is_none();
        let old = same.or_else(ended).or_else(strange);
        let old = old.map(|old| self.table.remove(old));
        if let Some(old) = &old {
            self.probes_before += old.probes_sent();
            self.forged_before += old.agent.forged();
        }
        self.table.push(attempt);
        old.filter(|_| displaces).map(|old| old.peer)
    }
}

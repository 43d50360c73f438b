//! The attempts under way, one with each peer, and those that have ended and may
//! still get packets.

use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::Message;
use tracing::Span;

use crate::candidate::Candidates;
use crate::punch::{Agent, Event, Measured, Meter, Outgoing, Target};
use nat::plan::Plan;
use sansio::IcmpError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Punching,
    Connected,
    Ended,
}

/// An attempt, and what was agreed on with the peer.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) peer: String,
    pub(super) theirs: Candidates,
    pub(super) plan: Plan,
    agent: Agent,
    stage: Stage,
    /// Of the path, once there is one.
    meter: Option<Meter>,
    /// The path is being measured.
    measuring: bool,
    /// Names the peer in the log.
    span: Span,
}

impl Attempt {
    pub(super) fn new(
        peer: String,
        theirs: Candidates,
        plan: Plan,
        agent: impl FnOnce() -> Agent,
    ) -> Self {
        let span = tracing::debug_span!("attempt", peer);
        Self {
            agent: span.in_scope(agent),
            peer,
            theirs,
            plan,
            stage: Stage::Punching,
            meter: None,
            measuring: false,
            span,
        }
    }
}

#[derive(Debug)]
pub(super) struct Attempts {
    table: Vec<Attempt>,
    most: usize,
    rng: ChaCha20Rng,
    /// Of attempts that are no longer in the table.
    probes_before: u32,
    forged_before: u32,
}

impl Attempts {
    pub(super) fn new(most: usize, seed: [u8; 32]) -> Self {
        Self {
            table: Vec::new(),
            most,
            rng: ChaCha20Rng::from_seed(seed),
            probes_before: 0,
            forged_before: 0,
        }
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

    pub(super) fn poll_transmit(&mut self) -> Option<Outgoing> {
        let mut table = self.table.iter_mut();
        table.find_map(|a| {
            let measure = || a.meter.as_mut().and_then(Meter::poll_transmit);
            a.agent.poll_transmit().or_else(measure)
        })
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
                let mut seed = [0; 32];
                self.rng.fill_bytes(&mut seed);
                attempt.meter = Some(Meter::new(attempt.agent.keys().clone(), path, seed));
                Stage::Connected
            }
            Event::Finished | Event::Failed(_) => Stage::Ended,
        };
        Some((attempt, event))
    }

    pub(super) fn probes_sent(&self) -> u32 {
        let now: u32 = self.table.iter().map(|a| a.agent.probes_sent()).sum();
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

    pub(super) fn is_punching(&self, peer: &str) -> bool {
        self.stage(peer) == Some(Stage::Punching)
    }

    /// Whether that peer may begin an attempt. A peer that asks again has not
    /// learned of our answer, or has lost the path: the attempt before is void.
    pub(super) fn has_room_for(&self, peer: &str) -> bool {
        match self.stage(peer) {
            Some(stage) => stage != Stage::Connected,
            None => {
                let ended = |attempt: &Attempt| attempt.stage == Stage::Ended;
                self.table.len() < self.most || self.table.iter().any(ended)
            }
        }
    }

    /// An attempt replaces the last one with that peer, else one that has ended:
    /// until then an ended attempt is kept for late packets. A call of our own is
    /// never refused for want of room, since it is for us to limit our calls.
    pub(super) fn add(&mut self, attempt: Attempt) {
        let full = self.table.len() >= self.most;
        let mut old = self.table.iter().position(|a| a.peer == attempt.peer);
        if old.is_none() && full {
            old = self.table.iter().position(|a| a.stage == Stage::Ended);
        }
        if let Some(old) = old {
            let agent = self.table.remove(old).agent;
            self.probes_before += agent.probes_sent();
            self.forged_before += agent.forged();
        }
        self.table.push(attempt);
    }
}

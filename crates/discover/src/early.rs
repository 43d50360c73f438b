//! What becomes of our mapping if the other side's packet comes first.
//!
//! A bare Linux masquerade takes such a packet for one to the router itself,
//! whose entry then owns the addresses and ports that our own packet needs:
//! that one leaves from another port, and the peer waits in vain.

use std::time::{Duration, Instant};

use super::report::Asks;
use super::trial::Trial;
use super::{Discover, EARLY, MARGIN};
use nat::{Behaviour, Dependence::EndpointIndependent};

/// So many early packets, since it takes one that is not lost; all of them
/// before the filtering tests have sent their last.
pub(super) const SENDS: u32 = 10;
pub(super) const SPACING: Duration = Duration::from_millis(8);

impl Discover {
    /// When to send to where the early packets came from: half a round trip
    /// after the last of them has arrived. `None`: not to be waited for.
    pub(super) fn early_at(&self) -> Option<Instant> {
        let started = self.trials.iter().any(|t| t.asks == Asks::AfterEarly);
        // Where they come in, nothing of ours is early.
        if started || self.lets_anyone_in() {
            return None;
        }
        self.other
            .filter(|other| other.ip() != self.config.s1.ip())?;
        let early = self.trials.iter().find(|t| t.asks == Asks::EarlyInbound)?;
        let round_trip = self.trials.iter().filter_map(Trial::round_trip).max()?;
        match early.due() {
            Some(due) => Some(due),
            None => Some(early.last_sent()? + round_trip + (round_trip / 2).max(MARGIN)),
        }
    }

    /// All early packets have come by now: send where they came from.
    pub(super) fn let_early_in(&mut self, now: Instant) {
        let sent = self.trials.iter().find(|t| t.asks == Asks::EarlyInbound);
        let is_over = sent.is_some_and(|t| t.due().is_none());
        if let Some(other) = self.other
            && is_over
            && self.early_at().is_some_and(|at| at <= now)
        {
            self.add(now, EARLY, other, Asks::AfterEarly);
        }
    }
}

/// Did it? Only a NAT that maps endpoint-independently otherwise can tell.
pub(super) fn judge(trials: &[Trial], loss: f64, behaviour: &Behaviour) -> Option<bool> {
    let asked = |asks| trials.iter().find(|t| t.socket == EARLY && t.asks == asks);
    if behaviour.mapping != Some(EndpointIndependent) {
        return None;
    }
    if behaviour.filtering == Some(EndpointIndependent) {
        return Some(false);
    }
    let before = asked(Asks::Allocation)?.mapped()?;
    let after = asked(Asks::AfterEarly)?.mapped()?;
    let early = asked(Asks::EarlyInbound)?;
    match before == after {
        false => Some(true),
        // Had all early packets been lost, or let in because the port has a
        // past, it would look the same.
        true => early.silence_is_telling(loss).then_some(false),
    }
}

//! A second introduction, during the attempt that followed the first: a peer is called at
//! once, with what is known of us then, and is told what becomes known later if there is no
//! direct path by that time. Our NAT is measured while plain probes are sent.

use std::time::Instant;

use super::Endpoint;
use super::calls::Call;
use super::start::plan_of;
use crate::candidate::Candidates;
use crate::client::Invitation;
use crate::punch::schedule::hold;
use nat::plan::{Role, Strategy};

impl Endpoint {
    /// Tells those of our NAT whom we have called before it was known, where that changes what
    /// both sides do, and plain probes have had their time.
    pub(super) fn call_with_reports(&mut self, now: Instant) {
        self.report_at = None;
        for peer in self.attempts.called() {
            match self.report_due(&peer) {
                Some(due) if due <= now => self.call_again(now, &peer),
                due => self.report_at = due.into_iter().chain(self.report_at).min(),
            }
        }
    }

    /// When a peer that we have called is to be told of our NAT, if it is.
    fn report_due(&self, peer: &str) -> Option<Instant> {
        let (theirs, plan, since) = self.attempts.calling(peer)?;
        let ours = self.candidates().side;
        let better = plan_of(Role::Caller, ours, theirs.side);
        let plain = matches!(better.strategy, Strategy::Plain | Strategy::Unknown);
        let tells = ours.is_some() && (theirs.measuring || better != *plan && !plain);
        tells.then(|| since + hold(self.client.rtt(), theirs.rtt))
    }

    /// Calls a peer with which an attempt is under way, to tell it more of us. The attempt
    /// goes on until the peer has answered.
    pub(super) fn call_again(&mut self, now: Instant, peer: &str) {
        if self.calls.get(peer).is_none() {
            tracing::debug!(peer, "calling again: more is known of us");
            self.calls.add(Call::new(peer));
            self.client.look_up(now, peer);
        }
    }

    /// Whether a caller with which an attempt is under way calls again to tell of its NAT,
    /// and our own is still being measured: the answer is to tell of both.
    pub(super) fn waits_for_our_report(&self, invitation: &Invitation) -> bool {
        let under_way = || self.attempts.punching(&invitation.caller).is_some();
        let tells = || Candidates::decode(invitation.payload()).is_some_and(|it| it.side.is_some());
        !self.ourselves.is_described() && under_way() && tells()
    }
}

//! Whether the NAT remaps after early packets: a packet of the peer arrives before ours has left.
//!
//! A bare Linux masquerade takes such a packet for one to the router itself. The entry of that flow
//! then occupies the addresses and ports that our own packet needs, so that it leaves from another
//! port, which the peer does not expect.

use std::time::{Duration, Instant};

use super::server::Server;
use super::test::{Test, TestKind};
use super::test_set::TestSet;
use super::{EARLY, MARGIN};
use nat::{Behaviour, Dependence::EndpointIndependent};

/// Early packets: one that is not lost is enough. All leave before the last send of the filtering
/// tests.
pub(super) const SENDS: u32 = 10;
pub(super) const SPACING: Duration = Duration::from_millis(8);

/// When to send to the source of the early packets: half a round trip after the last of them must
/// have arrived. `None`: there is nothing to wait for.
pub(super) fn send_at(tests: &TestSet, server: &Server) -> Option<Instant> {
    let started = tests.of_kind(TestKind::AfterEarly).next().is_some();
    // Where they are let in, none is early.
    if started || tests.let_in(TestKind::OtherAddress) {
        return None;
    }
    server.elsewhere()?;
    let early = tests.find(EARLY, TestKind::EarlyInbound)?;
    let round_trip = tests.longest_round_trip()?;
    match early.due() {
        Some(due) => Some(due),
        None => Some(early.last_sent()? + round_trip + (round_trip / 2).max(MARGIN)),
    }
}

/// Sends to the source of the early packets, if all of them must have arrived.
pub(super) fn send(now: Instant, tests: &mut TestSet, server: &Server) {
    let early = tests.find(EARLY, TestKind::EarlyInbound);
    let is_over = early.is_some_and(|t| t.due().is_none());
    if let Some(other) = server.other
        && is_over
        && send_at(tests, server).is_some_and(|at| at <= now)
    {
        tests.add(now, EARLY, other, TestKind::AfterEarly);
    }
}

/// The verdict. It takes a NAT whose mapping is otherwise endpoint-independent.
pub(super) fn judge(tests: &TestSet, behaviour: &Behaviour, loss: f64) -> Option<bool> {
    if behaviour.mapping != Some(EndpointIndependent) {
        return None;
    }
    if behaviour.filtering == Some(EndpointIndependent) {
        return Some(false);
    }
    let mapped = |kind| tests.find(EARLY, kind).and_then(Test::mapped);
    let before = mapped(TestKind::Allocation)?;
    let after = mapped(TestKind::AfterEarly)?;
    let early = tests.find(EARLY, TestKind::EarlyInbound)?;
    if before != after {
        return Some(true);
    }
    // It would look the same if all early packets had been lost, or let in by a permit that the port
    // had before, or if all had been late: on a slow server or host, some are.
    let sent = tests.find(EARLY, TestKind::AfterEarly)?.first_sent()?;
    let late = early.answers.iter().all(|it| it.received() > sent);
    (late && tests.absence_counts(early, loss)).then_some(false)
}

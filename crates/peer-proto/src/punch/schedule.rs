//! When what is sent.

use std::time::{Duration, Instant};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A schedule that is followed from a start on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    schedule: &'static [Duration],
    start: Instant,
    taken: usize,
}

impl Steps {
    /// `schedule` counts from `start`.
    pub(crate) fn new(schedule: &'static [Duration], start: Instant) -> Self {
        Self {
            schedule,
            start,
            taken: 0,
        }
    }

    /// When the next step is due; `None` after the last.
    pub(crate) fn next(&self) -> Option<Instant> {
        let after = self.schedule.get(self.taken)?;
        Some(self.start + *after)
    }

    /// Starts at that time, if that is later and no step was taken; true if it is so.
    pub(crate) fn put_off(&mut self, start: Instant) -> bool {
        let later = self.taken == 0 && self.start < start;
        if later {
            self.start = start;
        }
        later
    }

    /// Takes the steps that are due; how many.
    pub(crate) fn take(&mut self, now: Instant) -> usize {
        let before = self.taken;
        while self.next().is_some_and(|at| at <= now) {
            self.taken += 1;
        }
        self.taken - before
    }
}

/// Probes to one candidate, from the moment when it may be probed: nine in four
/// seconds, the first ones close together, since both sides start together.
pub const PROBES: [Duration; 9] = [
    ms(0),
    ms(33),
    ms(66),
    ms(133),
    ms(266),
    ms(533),
    ms(1000),
    ms(2000),
    ms(4000),
];

/// The same for a peer that is not known: few packets, spread over two seconds. Whoever
/// asks for them may have named somebody else's address.
pub const PROBES_TO_STRANGERS: [Duration; 4] = [ms(0), ms(133), ms(533), ms(2000)];

/// How long after the last probe an answer is waited for.
pub const LAST_WAIT: Duration = ms(1000);

/// Nominations, until one is answered. They are closer together than probes,
/// since the path is proved.
pub const NOMINATIONS: [Duration; 12] = [
    ms(0),
    ms(33),
    ms(66),
    ms(133),
    ms(266),
    ms(400),
    ms(600),
    ms(800),
    ms(1000),
    ms(1250),
    ms(1500),
    ms(1750),
];

/// How long an answer to a nomination is waited for, at least: where every third
/// packet is lost each way, one nomination in 3,000 needs more.
pub const NOMINATION_END: Duration = ms(2000);

/// Confirmations of the caller once it is connected, so that the callee need not
/// wait for further nominations.
pub const CONFIRMATIONS: [Duration; 3] = [ms(0), ms(15), ms(40)];

/// How long the callee answers nominations, after the last one that it heard, if
/// no confirmation comes.
pub const LINGER: Duration = ms(1000);

/// How long a LAN path is waited for where the two seem to be on one LAN.
pub const LAN_HEAD_START: Duration = ms(50);

/// How long a relayed path waits for a direct path that is expected.
pub const DIRECT_HEAD_START: Duration = ms(300);

/// What the callee's hold has beyond the round trips: an introduced caller's opener leaves
/// at once, but both hosts may be busy.
pub const HOLD: Duration = ms(50);

/// The callee's hold where its packets come from a port that the caller has not been told:
/// they pass the caller's opener on the way, as a rule.
pub const HOLD_OF_ANOTHER_PORT: Duration = ms(5);

/// The longest round trip that a hold counts on: a caller may tell any.
const LONGEST_RTT: Duration = ms(1500);

/// How much longer a callee waits for the caller's first packet, where nothing but that
/// packet says that the caller is introduced: an answer of the server that is lost is asked
/// for again once or twice in this time.
pub const PATIENCE: Duration = ms(800);

/// How long the callee holds its probes with the system's TTL. By then the caller's
/// opener has left, so that no packet of ours reaches the caller's NAT before one has
/// left there: a bare Linux masquerade would use another port. Our acknowledgement takes
/// no longer to the server than our round trip, and the server's answer no longer to the
/// caller than the caller's.
pub fn hold(ours: Option<Duration>, theirs: Option<Duration>) -> Duration {
    let ours = ours.unwrap_or(HOLD);
    let theirs = theirs.unwrap_or(ours);
    HOLD + ours.min(LONGEST_RTT) + theirs.min(LONGEST_RTT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hold_covers_both_round_trips_and_no_caller_makes_it_longer_than_three_seconds() {
        assert_eq!(hold(Some(ms(20)), Some(ms(300))), ms(370));
        assert_eq!(hold(Some(ms(300)), Some(ms(20))), ms(370));
        assert_eq!(hold(Some(ms(20)), None), ms(90), "as far as we are");
        assert_eq!(hold(None, None), ms(150));
        assert_eq!(hold(Some(ms(20)), Some(ms(65_535))), ms(1570));
    }
}

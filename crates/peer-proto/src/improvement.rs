//! When a better path to a peer is tried for: a relayed one works, and a direct one may come later,
//! for example when a network or a NAT has changed. It is tried again at growing intervals.

use std::time::{Duration, Instant};

use nat::plan::Role;

/// The first wait before a direct path is tried again, and the last: each is four times
/// the one before. An attempt with guesses sends up to 2,000 packets.
const FIRST: Duration = Duration::from_secs(2);
const LAST: Duration = Duration::from_secs(2048);

/// When a direct path to a peer is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Improvement {
    at: Option<Instant>,
    wait: Duration,
}

impl Default for Improvement {
    fn default() -> Self {
        Improvement {
            at: None,
            wait: FIRST,
        }
    }
}

impl Improvement {
    /// There is a path. A direct one by UDP, which is the best one, is good enough. Of the two
    /// sides of another one the caller tries.
    pub fn connected(&mut self, now: Instant, is_best: bool, role: Role) {
        match (is_best, role) {
            (true, _) => *self = Improvement::default(),
            (false, Role::Caller) => self.at = Some(self.at.unwrap_or(now + self.wait)),
            (false, Role::Callee) => self.at = None,
        }
    }

    /// There is reason to try now, and soon again.
    pub fn hurry(&mut self, now: Instant) {
        self.wait = FIRST;
        if self.at.is_some() {
            self.at = Some(now);
        }
    }

    /// When it is tried again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is to be tried now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = self.at.take_if(|at| *at <= now).is_some();
        if due {
            self.at = Some(now + self.wait);
            self.wait = LAST.min(self.wait * 4);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_of_a_relayed_path_tries_again_at_growing_intervals() {
        let start = Instant::now();
        let mut improvement = Improvement::default();
        improvement.connected(start, false, Role::Callee);
        assert_eq!(improvement.poll_timeout(), None);
        improvement.connected(start, false, Role::Caller);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..8 {
            let at = improvement.poll_timeout().unwrap();
            assert!(!improvement.is_due(at - Duration::from_millis(1)));
            assert!(improvement.is_due(at));
            waits.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(waits, [2, 2, 8, 32, 128, 512, 2048, 2048]);
        improvement.hurry(now);
        assert!(improvement.is_due(now));
        assert_eq!(improvement.poll_timeout(), Some(now + FIRST));
        // Another relayed path in place of the first changes nothing; a direct one ends it.
        improvement.connected(now, false, Role::Caller);
        assert_eq!(improvement.poll_timeout(), Some(now + FIRST));
        improvement.connected(now, true, Role::Caller);
        assert_eq!(improvement.poll_timeout(), None);
    }
}

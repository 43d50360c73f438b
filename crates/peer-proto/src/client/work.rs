//! The proof of work that a server may ask for before it registers a new name. It
//! is searched in steps, so that everything else goes on meanwhile, and within a
//! budget, so that a server that lies does not use up our CPU.

use std::time::{Duration, Instant};

use session::work::{LENGTH, MOST_BITS, Search, Subject};

/// A difficulty above this one is refused, in bits. Servers ask for [`MOST_BITS`] at
/// most.
const ABSURD_BITS: u8 = MOST_BITS + 2;

/// Hashes in one step: a few milliseconds.
const STEP: u32 = 4096;

/// Hashes in one minute: some seconds of one CPU. A search at [`MOST_BITS`] needs
/// more in one of 3,000 cases, and then goes on in the next minute.
const BUDGET: u32 = 1 << 23;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Work {
    /// Hashes in one minute.
    budget: u32,
    search: Option<Search>,
    /// When the next step is due.
    step_at: Option<Instant>,
    /// When the minute began, and how many hashes are left in it.
    minute: Option<(Instant, u32)>,
}

impl Default for Work {
    fn default() -> Self {
        Work::new(BUDGET)
    }
}

impl Work {
    fn new(budget: u32) -> Self {
        Work {
            budget,
            search: None,
            step_at: None,
            minute: None,
        }
    }

    /// Begins a search, in place of another; false if it is refused.
    pub(super) fn begin(&mut self, now: Instant, subject: Subject<'_>, bits: u8) -> bool {
        let sane = bits < ABSURD_BITS;
        self.search = sane.then(|| Search::new(subject, bits));
        self.step_at = sane.then_some(now);
        sane
    }

    pub(super) fn stop(&mut self) {
        (self.search, self.step_at) = (None, None);
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.search.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.step_at
    }

    /// One step, if it is due; the proof, if it was found.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<[u8; LENGTH]> {
        self.step_at.filter(|at| *at <= now)?;
        let (began, left) = match self.minute {
            Some((began, left)) if now < began + MINUTE => (began, left),
            _ => (now, self.budget),
        };
        let tries = STEP.min(left);
        self.minute = Some((began, left - tries));
        let proof = self.search.as_mut()?.step(tries);
        match proof {
            Some(_) => self.stop(),
            None if left == tries => self.step_at = Some(began + MINUTE),
            None => self.step_at = Some(now),
        }
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'static> = Subject {
        nonce: b"a cookie",
        name: "alice",
        key: &[7; 32],
    };

    #[test]
    fn the_proof_is_found_step_by_step() {
        let (mut work, now) = (Work::default(), Instant::now());
        assert!(work.begin(now, SUBJECT, 14));
        let mut steps = 0;
        let proof = loop {
            assert_eq!(work.poll_timeout(), Some(now));
            steps += 1;
            if let Some(proof) = work.handle_timeout(now) {
                break proof;
            }
        };
        assert!((1..200).contains(&steps), "{steps}");
        assert!(SUBJECT.shown_by(proof) >= 14);
        assert_eq!(work.poll_timeout(), None);
    }

    #[test]
    fn a_server_that_asks_on_and_on_gets_a_bounded_number_of_hashes_in_a_minute() {
        const BUDGET: u32 = 10 * STEP;
        let (mut work, start) = (Work::new(BUDGET), Instant::now());
        assert!(!work.begin(start, SUBJECT, ABSURD_BITS));
        assert!(!work.is_under_way());
        let mut in_a_minute = |start: Instant| {
            let (mut steps, mut calls) = (0, 0);
            for n in 0..3000 {
                let now = start + Duration::from_millis(n);
                // Hardly ever found; and it begins anew again and again.
                if n % 100 == 0 {
                    let nonce = n.to_be_bytes();
                    let nonce = &nonce[..];
                    assert!(work.begin(now, Subject { nonce, ..SUBJECT }, ABSURD_BITS - 1));
                }
                if work.poll_timeout().is_some_and(|at| at <= now) {
                    let left = |work: &Work| work.minute.map_or(BUDGET, |(_, left)| left);
                    let before = left(&work);
                    let _ = work.handle_timeout(now);
                    steps += u32::from(left(&work) != before);
                    calls += 1;
                }
            }
            // What is beyond the budget waits, and is not due again and again.
            assert!(calls <= steps + 30, "{calls}");
            steps
        };
        assert_eq!(in_a_minute(start), BUDGET / STEP);
        assert!(in_a_minute(start + Duration::from_secs(10)) == 0);
        assert!(in_a_minute(start + MINUTE + Duration::from_secs(1)) > 0);
    }
}

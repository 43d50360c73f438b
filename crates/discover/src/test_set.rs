//! All tests of a measurement, and what they show together: loss, round trips and witnesses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use stun::{Message, Transaction};

use super::MARGIN;
use super::early;
use super::test::{Answer, Test, TestKind};
use sansio::{SocketId, Transmit};

/// A silence counts if the chance that loss alone explains it is at most this.
const MAX_DOUBT: f64 = 1e-6;

/// The tests, in the order in which they were added.
#[derive(Debug)]
pub(super) struct TestSet {
    tests: Vec<Test>,
    /// Sends of a test in one batch.
    tries: u32,
    spacing: Duration,
    rng: ChaCha20Rng,
}

impl TestSet {
    pub(super) fn new(tries: u32, spacing: Duration, seed: [u8; 32]) -> Self {
        Self {
            tests: Vec::new(),
            tries: tries.max(2),
            spacing,
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    /// Begins a test, unless there is the same one already.
    pub(super) fn add(&mut self, now: Instant, socket: SocketId, to: SocketAddr, kind: TestKind) {
        let (tries, mut spacing) = match kind {
            TestKind::EarlyInbound => (early::SENDS, early::SPACING),
            // More in the same time: an ICMP error about one of them is lost more easily than an answer.
            TestKind::OtherAddress => (self.tries * 3 / 2, self.spacing * 2 / 3),
            _ => (self.tries, self.spacing),
        };
        let witness = matches!(kind, TestKind::OtherAddress | TestKind::OtherPort);
        if witness && self.of_kind(kind).next().is_some() {
            // The second one sends at other moments: a short burst of losses does not take both.
            spacing -= spacing / 7;
        }
        let same = |t: &Test| (t.socket, t.to, t.kind) == (socket, to, kind);
        if !self.tests.iter().any(same) {
            tracing::debug!(socket, %to, ?kind, "test begins");
            let mut test = Test::new(socket, to, kind);
            test.schedule(now, tries, spacing);
            self.tests.push(test);
        }
    }

    /// Begins, or begins again, the test that asks `to` for ICMP errors about these transactions.
    pub(super) fn ask_for_errors(
        &mut self,
        now: Instant,
        socket: SocketId,
        to: SocketAddr,
        about: Vec<Transaction>,
    ) {
        self.add(now, socket, to, TestKind::Unsolicited);
        let (tries, spacing) = (self.tries, self.spacing);
        let mut tests = self.tests.iter_mut();
        if let Some(test) = tests.find(|t| t.socket == socket && t.kind == TestKind::Unsolicited) {
            test.ask_about(about);
            test.schedule(now, tries, spacing);
        }
    }

    /// Sends another batch of the tests that `which` selects.
    pub(super) fn repeat(&mut self, now: Instant, which: impl Fn(&Test) -> bool) {
        for test in self.tests.iter_mut().filter(|t| which(t)) {
            test.schedule(now, self.tries, self.spacing);
        }
    }

    /// The next request that is due.
    pub(super) fn next_request(&mut self, now: Instant) -> Option<Transmit> {
        let mut tests = self.tests.iter_mut();
        tests.find_map(|test| test.next_request(now, &mut self.rng))
    }

    /// Takes a message that came in on `socket`, if it answers a request of a test there.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> Option<&Answer> {
        let mut tests = self.tests.iter_mut().filter(|t| t.socket == socket);
        tests.find_map(|test| test.accept(now, from, message))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Test> + Clone {
        self.tests.iter()
    }

    /// All tests of this kind: the witnesses of each other.
    pub(super) fn of_kind(&self, kind: TestKind) -> impl Iterator<Item = &Test> + Clone {
        self.iter().filter(move |t| t.kind == kind)
    }

    /// The test of this kind on this socket.
    pub(super) fn find(&self, socket: SocketId, kind: TestKind) -> Option<&Test> {
        self.of_kind(kind).find(|t| t.socket == socket)
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = &Answer> + Clone {
        self.iter().flat_map(|t| &t.answers)
    }

    /// Whether a request to this address was answered.
    pub(super) fn is_answered_at(&self, to: SocketAddr) -> bool {
        self.iter().any(|t| t.to == to && t.is_answered())
    }

    /// Whether every witness of the filtering test has received an answer from elsewhere. A witness
    /// that has not may be the only one on a port that the NAT has no permit for.
    pub(super) fn let_in(&self, kind: TestKind) -> bool {
        self.of_kind(kind).all(Test::hears_from_elsewhere)
    }

    /// The sends that were in vain where this test is silent. Witnesses that are silent testify
    /// together: had the NAT let the answers in, each of them would have heard some.
    pub(super) fn in_vain(&self, test: &Test) -> usize {
        let witness = matches!(test.kind, TestKind::OtherAddress | TestKind::OtherPort);
        match witness && !test.is_answered() {
            true => {
                let silent = self.of_kind(test.kind).filter(|t| !t.is_answered());
                silent.map(Test::sent).sum()
            }
            false => test.absent(),
        }
    }

    /// Whether loss alone, at this rate, does not explain the answers that did not come.
    pub(super) fn absence_counts(&self, test: &Test, loss: f64) -> bool {
        loss.powf(self.in_vain(test) as f64) <= MAX_DOUBT
    }

    /// Whether nothing came and loss alone, at this rate, does not explain it.
    pub(super) fn silence_counts(&self, test: &Test, loss: f64) -> bool {
        !test.is_answered() && self.absence_counts(test, loss)
    }

    /// After this time an answer that has not come is late.
    pub(super) fn usual_wait(&self) -> Option<Duration> {
        let round_trip = self.usual_round_trip()?;
        Some(round_trip + (round_trip / 2).max(MARGIN))
    }

    /// The share of round trips that are lost, from the tests that are answered at all, and from the
    /// sends whose answer should have come. One loss more than seen is assumed (Laplace's rule of
    /// succession): 0 of 15 does not mean 0 %.
    pub(super) fn loss(&self, now: Instant) -> f64 {
        let before = self.usual_wait().and_then(|wait| now.checked_sub(wait));
        // Of the early packets, the NAT may have let in some.
        let lost = |t: &&Test| !t.kind.needs_one_answer() && t.kind != TestKind::EarlyInbound;
        let repeated = self.iter().filter(lost);
        let answered = repeated.filter(|t| t.is_answered());
        let (sent, received) = answered.fold((0, 0), |(sent, received), t| {
            (sent + t.judged(before), received + t.received())
        });
        (sent - received + 1) as f64 / (sent + 2) as f64
    }

    /// The longest of the tests' shortest round trips.
    pub(super) fn longest_round_trip(&self) -> Option<Duration> {
        self.iter().filter_map(Test::round_trip).max()
    }

    /// The same, but what was sent before the first answer came counts only where the host answered
    /// nothing else: it may have waited for a neighbour's link-layer address, for a second and more.
    pub(super) fn usual_round_trip(&self) -> Option<Duration> {
        let first_answer = self.answers().map(|a| a.sent + a.round_trip).min()?;
        let later = |a: &&Answer| a.sent >= first_answer;
        let counts = |a: &&Answer| {
            let host = a.asked.ip();
            later(a) || !self.answers().filter(later).any(|b| b.asked.ip() == host)
        };
        let best = |t: &Test| t.answers.iter().filter(counts).map(|a| a.round_trip).min();
        self.iter().filter_map(best).max()
    }
}

//! One question, asked several times.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use stun::{Change, Icmp, Message, Transaction};

use super::transaction::transaction;
use sansio::{SocketId, Transmit};

/// What a trial asks the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// From where do you see me?
    Mapping,
    /// Answer from your other address and port.
    OtherAddress,
    /// Answer from your other port.
    OtherPort,
    /// From where do you see me, one of many sockets?
    Allocation,
    /// Send to me from your other address and port, before I have sent there.
    EarlyInbound,
    /// And now that I send there: from where do you see me?
    AfterEarly,
    /// What came back of your answers from your other address and port?
    Unsolicited,
}

/// The same question from one socket to one address, and what came of it.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    pub(super) asks: Asks,
    pub(super) answers: Vec<Answer>,
    /// The answers that [`Asks::Unsolicited`] is about.
    pub(super) about: Vec<Transaction>,
    sends: Vec<Send>,
    due: Option<Instant>,
    left: u32,
    spacing: Duration,
}

/// Every send has a transaction of its own, so that answers can be counted.
#[derive(Debug)]
struct Send {
    transaction: Transaction,
    at: Instant,
    answered: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Where the request went.
    pub(super) asked: SocketAddr,
    /// Where the answer came from.
    pub(super) from: SocketAddr,
    pub(super) mapped: Option<SocketAddr>,
    pub(super) origin: Option<SocketAddr>,
    pub(super) other: Option<SocketAddr>,
    pub(super) error: Option<u16>,
    /// Does the server know what comes back of its answers?
    pub(super) bounces: bool,
    /// This has.
    pub(super) icmp: Option<Icmp>,
    pub(super) sent: Instant,
    pub(super) round_trip: Duration,
}

/// The share of round trips that get lost, as seen on the trials that get
/// answers at all. One lost send more than seen (Laplace's rule of succession):
/// "none of 15" is not "never".
pub(super) fn loss(trials: &[Trial]) -> f64 {
    let repeated = trials.iter().filter(|t| !t.asks.is_enough_once());
    let answered = repeated.filter(|t| t.is_answered());
    let (sent, received) = answered.fold((0, 0), |(sent, received), t| {
        (sent + t.sent(), received + t.received())
    });
    (sent - received + 1) as f64 / (sent + 2) as f64
}

/// The longest round trip of any trial, each at its best. What was sent before
/// anything was heard may have waited for the way to be made (a neighbour that
/// does not answer at once is asked again after a second), and all of it
/// equally: it counts only where nothing else was answered by that host.
pub(super) fn usual_round_trip(trials: &[Trial]) -> Option<Duration> {
    let answers = || trials.iter().flat_map(|t| &t.answers);
    let first_heard = answers().map(|a| a.sent + a.round_trip).min()?;
    let later = |a: &&Answer| a.sent >= first_heard;
    let counts = |a: &&Answer| {
        let host = a.asked.ip();
        later(a) || !answers().filter(later).any(|b| b.asked.ip() == host)
    };
    let best = |t: &Trial| t.answers.iter().filter(counts).map(|a| a.round_trip).min();
    trials.iter().filter_map(best).max()
}

/// All trials that ask for this.
pub(super) fn witnesses(trials: &[Trial], asks: Asks) -> impl Iterator<Item = &Trial> {
    trials.iter().filter(move |t| t.asks == asks)
}

/// Has every witness heard something that came from elsewhere? One that has
/// not may be the only one on a port without a past.
pub(super) fn let_in(trials: &[Trial], asks: Asks) -> bool {
    let heard = |t: &Trial| {
        let from_elsewhere = |a: &Answer| match asks {
            Asks::OtherPort => a.from.ip() == t.to.ip() && a.from.port() != t.to.port(),
            _ => a.from.ip() != t.to.ip(),
        };
        t.answers.iter().any(from_elsewhere)
    };
    witnesses(trials, asks).all(heard)
}

/// How probable it may be that all sends of a trial just got lost.
const FOOLED: f64 = 1e-6;

impl Trial {
    pub(super) fn new(socket: SocketId, to: SocketAddr, asks: Asks) -> Self {
        Self {
            socket,
            to,
            asks,
            answers: Vec::new(),
            about: Vec::new(),
            sends: Vec::new(),
            due: None,
            left: 0,
            spacing: Duration::ZERO,
        }
    }

    /// So many sends, from now on.
    pub(super) fn schedule(&mut self, now: Instant, tries: u32, spacing: Duration) {
        (self.due, self.left, self.spacing) = (Some(now), tries, spacing);
    }

    /// When the next send is due, if there is one left.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The request to send if one is due.
    pub(super) fn next_request(&mut self, now: Instant, rng: &mut ChaCha20Rng) -> Option<Transmit> {
        let due = self.due.filter(|&due| due <= now)?;
        self.left = self.left.saturating_sub(1);
        self.due = (self.left > 0).then_some(due + self.spacing);
        let transaction = transaction(rng);
        self.sends.push(Send {
            transaction,
            at: now,
            answered: false,
        });
        let payload = match self.asks {
            Asks::Unsolicited => stun::bounced_request(transaction, &self.about),
            _ => stun::binding_request(transaction, self.asks.change()),
        };
        Some(Transmit {
            socket: self.socket,
            to: self.to,
            ttl: None,
            payload,
        })
    }

    /// Takes a message if it is the first answer to one of our sends.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> Option<Answer> {
        let transaction = message.transaction();
        let send = self
            .sends
            .iter_mut()
            .find(|s| s.transaction == transaction && !s.answered)?;
        send.answered = true;
        let answer = Answer {
            asked: self.to,
            from,
            mapped: message.mapped(),
            origin: message.response_origin(),
            other: message.other_address(),
            error: message.error(),
            bounces: message.bounced().is_some(),
            icmp: message.icmp(),
            sent: send.at,
            round_trip: now - send.at,
        };
        self.answers.push(answer.clone());
        if self.asks.is_enough_once() {
            self.due = None;
        }
        Some(answer)
    }

    pub(super) fn is_answered(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The reflexive address that the first answer tells.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.answers.iter().find_map(|answer| answer.mapped)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.answers.iter().map(|answer| answer.round_trip).min()
    }

    pub(super) fn first_sent(&self) -> Option<Instant> {
        self.sends.first().map(|send| send.at)
    }

    pub(super) fn last_sent(&self) -> Option<Instant> {
        self.sends.last().map(|send| send.at)
    }

    /// The transactions of the last sends, at most so many.
    pub(super) fn newest(&self, most: usize) -> Vec<Transaction> {
        let newest = self.sends.iter().rev().take(most);
        newest.map(|send| send.transaction).collect()
    }

    pub(super) fn sent(&self) -> usize {
        self.sends.len()
    }

    pub(super) fn received(&self) -> usize {
        self.answers.len()
    }

    /// Loss alone, at this rate, does not explain that nothing has come.
    pub(super) fn silence_is_telling(&self, loss: f64) -> bool {
        !self.is_answered() && loss.powf(self.sent() as f64) <= FOOLED
    }
}

impl Asks {
    /// From where do you see me, and no more.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Asks::Mapping | Asks::Allocation | Asks::AfterEarly)
    }

    /// One answer says it all; the others also measure the loss.
    pub(super) fn is_enough_once(self) -> bool {
        matches!(
            self,
            Asks::Allocation | Asks::AfterEarly | Asks::Unsolicited
        )
    }

    fn change(self) -> Option<Change> {
        match self {
            Asks::Mapping | Asks::Allocation | Asks::AfterEarly | Asks::Unsolicited => None,
            Asks::OtherAddress | Asks::EarlyInbound => Some(Change {
                ip: true,
                port: true,
            }),
            Asks::OtherPort => Some(Change {
                ip: false,
                port: true,
            }),
        }
    }
}

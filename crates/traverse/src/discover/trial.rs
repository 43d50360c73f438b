//! One question, asked several times.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use serde::Serialize;
use wire::{Change, Message, Transaction};

use crate::io::{SocketId, Transmit};

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
}

/// The same question from one socket to one address, and what came of it.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    pub(super) asks: Asks,
    pub(super) answers: Vec<Answer>,
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
    pub(super) round_trip: Duration,
}

/// The share of round trips that get lost, as seen on the trials that get
/// answers at all. One lost send more than seen (Laplace's rule of succession):
/// "none of 15" is not "never".
pub(super) fn loss(trials: &[Trial]) -> f64 {
    let answered = trials.iter().filter(|t| t.is_answered());
    let (sent, received) = answered.fold((0, 0), |(sent, received), t| {
        (sent + t.sent(), received + t.received())
    });
    (sent - received + 1) as f64 / (sent + 2) as f64
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
        Some(Transmit {
            socket: self.socket,
            to: self.to,
            ttl: None,
            payload: wire::binding_request(transaction, self.asks.change()),
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
            round_trip: now - send.at,
        };
        self.answers.push(answer.clone());
        Some(answer)
    }

    pub(super) fn is_answered(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(super) fn heard_from(&self, source: impl Fn(SocketAddr) -> bool) -> bool {
        self.answers.iter().any(|answer| source(answer.from))
    }

    /// The reflexive address that the first answer tells.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.answers.iter().find_map(|answer| answer.mapped)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.answers.iter().map(|answer| answer.round_trip).min()
    }

    pub(super) fn last_sent(&self) -> Option<Instant> {
        self.sends.last().map(|send| send.at)
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

/// A transaction id that nobody off the path can guess.
fn transaction(rng: &mut ChaCha20Rng) -> Transaction {
    let mut id = [0; 12];
    rng.fill_bytes(&mut id);
    id
}

impl Asks {
    fn change(self) -> Option<Change> {
        match self {
            Asks::Mapping => None,
            Asks::OtherAddress => Some(Change {
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

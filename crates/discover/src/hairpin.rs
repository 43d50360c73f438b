//! Hairpinning (RFC 4787 §6).
//!
//! Two sockets learn their reflexive addresses and send to each other's: both, so that a filter lets
//! the other in. Some firewalls take that for an attack, so it is measured on request only, and last.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use stun::{Class, Message, Method, Transaction};

use super::MIN_WAIT;
use super::transaction::transaction;
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};

/// Whether hairpinning works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HairpinReport {
    /// Whether a packet came back in.
    pub works: bool,
    /// The source that the receiver saw (RFC 4787 REQ-9 requires the outside endpoint).
    pub source: Option<Source>,
    /// Packets sent to the reflexive addresses.
    pub sent: u32,
    /// How many of them were received.
    pub received: u32,
}

/// The source of a hairpinned packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The sender's outside endpoint.
    External,
    /// The sender's inside endpoint.
    Internal,
    /// Another endpoint.
    Other,
}

/// The measurement, on sockets 0 and 1.
#[derive(Debug)]
pub struct Hairpin {
    server: SocketAddr,
    ends: [End; 2],
    rng: ChaCha20Rng,
    /// When both reflexive addresses were known.
    since: Option<Instant>,
    next: Option<Instant>,
    rounds: u32,
    round_trip: Duration,
    report: HairpinReport,
    outbox: VecDeque<Transmit>,
}

#[derive(Debug, Default)]
struct End {
    local: Option<SocketAddr>,
    mapped: Option<SocketAddr>,
    sent: Vec<(Transaction, Instant)>,
}

const ROUNDS: u32 = 5;
const SPACING: Duration = Duration::from_millis(20);

impl Hairpin {
    /// Begins the measurement.
    pub fn new(now: Instant, server: SocketAddr, seed: [u8; 32]) -> Self {
        let mut hairpin = Self {
            server,
            ends: [End::default(), End::default()],
            rng: ChaCha20Rng::from_seed(seed),
            since: None,
            next: Some(now),
            rounds: 0,
            round_trip: Duration::ZERO,
            report: HairpinReport {
                works: false,
                source: None,
                sent: 0,
                received: 0,
            },
            outbox: VecDeque::new(),
        };
        hairpin.handle_timeout(now);
        hairpin
    }

    /// The result; `None` before it is there, and if the server did not answer.
    pub fn report(&self) -> Option<HairpinReport> {
        (self.next.is_none() && self.since.is_some()).then_some(self.report)
    }

    fn send(&mut self, now: Instant) {
        for socket in 0..2 {
            let to = match self.since {
                None if self.ends[socket].mapped.is_some() => continue,
                None => self.server,
                Some(_) => match self.ends[1 - socket].mapped {
                    Some(mapped) => mapped,
                    None => continue,
                },
            };
            let transaction = transaction(&mut self.rng);
            self.ends[socket].sent.push((transaction, now));
            self.report.sent += u32::from(self.since.is_some());
            self.outbox.push_back(Transmit {
                socket,
                to,
                ttl: None,
                payload: stun::binding_request(transaction, None),
            });
        }
    }

    /// A packet of the other socket has come in.
    fn came_back(&mut self, socket: SocketId, from: SocketAddr) {
        let sender = &self.ends[1 - socket];
        let source = if sender.mapped == Some(from) {
            Source::External
        } else if sender.local == Some(from) {
            Source::Internal
        } else {
            Source::Other
        };
        self.report.works = true;
        self.report.received += 1;
        self.report.source.get_or_insert(source);
    }
}

impl Protocol for Hairpin {
    fn handle_opened(&mut self, socket: SocketId, local: SocketAddr) {
        if let Some(end) = self.ends.get_mut(socket) {
            end.local = Some(local);
        }
    }

    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagram(Datagram {
            socket,
            from,
            payload,
            ..
        }) = input
        else {
            return;
        };
        let Ok(message) = Message::parse(payload) else {
            return;
        };
        if message.method() != Method::Binding || socket > 1 || self.next.is_none() {
            return;
        }
        let transaction = message.transaction();
        let of = |end: &End| end.sent.iter().find(|s| s.0 == transaction).copied();
        match message.class() {
            Class::Success => {
                let Some((_, sent)) = of(&self.ends[socket]) else {
                    return;
                };
                self.round_trip = now - sent;
                self.ends[socket].mapped = message.mapped();
                if self.since.is_none() && self.ends.iter().all(|end| end.mapped.is_some()) {
                    (self.since, self.next, self.rounds) = (Some(now), Some(now), 0);
                    self.handle_timeout(now);
                }
            }
            Class::Request if of(&self.ends[1 - socket]).is_some() => {
                self.came_back(socket, from);
                self.next = None;
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        if self.rounds > ROUNDS {
            self.next = None;
            return;
        }
        self.rounds += 1;
        if self.rounds > ROUNDS {
            let wait = match self.since {
                Some(_) => MIN_WAIT.max(3 * self.round_trip),
                None => super::BLIND_WAIT,
            };
            self.next = Some(now + wait);
            return;
        }
        self.next = Some(now + SPACING);
        self.send(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

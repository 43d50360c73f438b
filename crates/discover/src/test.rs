//! One test: a request that is sent several times, and the answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use stun::{Change, Icmp, Message, Transaction};

use super::transaction::transaction;
use sansio::{SocketId, Transmit};

/// What a test asks the server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// The reflexive address of the mapping socket.
    Mapping,
    /// An answer from the other address and port.
    OtherAddress,
    /// An answer from the other port.
    OtherPort,
    /// The reflexive address of one of many sockets, for the port assignment.
    Allocation,
    /// Packets from the other address and port, before the socket has sent there.
    EarlyInbound,
    /// The reflexive address of that socket, now that it sends there.
    AfterEarly,
    /// The ICMP errors about the answers from the other address and port.
    Unsolicited,
}

/// One request from one socket to one address, its sends and its answers.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    pub(super) kind: TestKind,
    pub(super) answers: Vec<Answer>,
    /// The transactions that [`TestKind::Unsolicited`] asks about.
    about: Vec<Transaction>,
    sends: Vec<Send>,
    /// The last send of the first batch, once there is another batch.
    first_batch: Option<Instant>,
    due: Option<Instant>,
    left: u32,
    spacing: Duration,
}

/// Every send is a transaction of its own, so that answers can be counted.
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
    /// The reflexive address that it reports, if no host can have it.
    pub(super) unusable: Option<SocketAddr>,
    pub(super) origin: Option<SocketAddr>,
    pub(super) other: Option<SocketAddr>,
    pub(super) error: Option<u16>,
    /// The server reports ICMP errors about its answers.
    pub(super) reports_icmp: bool,
    /// The ICMP error that it reports.
    pub(super) icmp: Option<Icmp>,
    pub(super) sent: Instant,
    pub(super) round_trip: Duration,
}

impl Test {
    pub(super) fn new(socket: SocketId, to: SocketAddr, kind: TestKind) -> Self {
        Self {
            socket,
            to,
            kind,
            answers: Vec::new(),
            about: Vec::new(),
            sends: Vec::new(),
            first_batch: None,
            due: None,
            left: 0,
            spacing: Duration::ZERO,
        }
    }

    /// Schedules `tries` sends, `spacing` apart, the first one now.
    pub(super) fn schedule(&mut self, now: Instant, tries: u32, spacing: Duration) {
        self.first_batch = self.first_batch.or(self.last_sent());
        (self.due, self.left, self.spacing) = (Some(now), tries, spacing);
    }

    /// Sets the transactions that [`TestKind::Unsolicited`] asks about.
    pub(super) fn ask_about(&mut self, about: Vec<Transaction>) {
        self.about = about;
    }

    /// When the next send is due, if there is one left.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The request to send, if one is due.
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
        let payload = match self.kind {
            TestKind::Unsolicited => stun::bounced_request(transaction, &self.about),
            _ => stun::binding_request(transaction, self.kind.change()),
        };
        Some(Transmit {
            socket: self.socket,
            to: self.to,
            ttl: None,
            payload,
        })
    }

    /// Takes the message if it is the first answer to one of the sends.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> Option<&Answer> {
        let transaction = message.transaction();
        let send = self
            .sends
            .iter_mut()
            .find(|s| s.transaction == transaction && !s.answered)?;
        send.answered = true;
        // An IPv4 address that is written as an IPv6 one is the IPv4 one (RFC 4291 §2.5.5.2).
        let reported = message.mapped().map(|reported| {
            let ip = reported.ip().to_canonical();
            SocketAddr::new(ip, reported.port())
        });
        let usable = |at: &SocketAddr| !at.ip().is_unspecified() && at.port() != 0;
        self.answers.push(Answer {
            asked: self.to,
            from,
            mapped: reported.filter(usable),
            unusable: reported.filter(|at| !usable(at)),
            origin: message.response_origin(),
            other: message.other_address(),
            error: message.error(),
            reports_icmp: message.bounced().is_some(),
            icmp: message.icmp(),
            sent: send.at,
            round_trip: now - send.at,
        });
        if self.kind.needs_one_answer() {
            self.due = None;
        }
        self.answers.last()
    }

    pub(super) fn is_answered(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The first reflexive address that an answer reports.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.answers.iter().find_map(|answer| answer.mapped)
    }

    /// The shortest round trip.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.answers.iter().map(|answer| answer.round_trip).min()
    }

    pub(super) fn first_sent(&self) -> Option<Instant> {
        self.sends.first().map(|send| send.at)
    }

    pub(super) fn last_sent(&self) -> Option<Instant> {
        self.sends.last().map(|send| send.at)
    }

    /// The last send of the first batch.
    pub(super) fn first_batch(&self) -> Option<Instant> {
        self.first_batch.or(self.last_sent())
    }

    /// The transactions of the last sends, at most `most` of them.
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

    /// Whether an answer came from another address or port than the request went to, as asked for.
    pub(super) fn hears_from_elsewhere(&self) -> bool {
        let elsewhere = |answer: &Answer| match self.kind {
            TestKind::OtherPort => {
                answer.from.ip() == self.to.ip() && answer.from.port() != self.to.port()
            }
            _ => answer.from.ip() != self.to.ip(),
        };
        self.answers.iter().any(elsewhere)
    }

    /// The sends whose answer has come, or should have come if they left before `before`.
    pub(super) fn judged(&self, before: Option<Instant>) -> usize {
        let judged = |send: &&Send| send.answered || before.is_some_and(|before| send.at <= before);
        self.sends.iter().filter(judged).count()
    }

    /// The answers that did not come.
    pub(super) fn absent(&self) -> usize {
        self.sent().saturating_sub(self.received())
    }
}

impl Answer {
    /// When it came.
    pub(super) fn received(&self) -> Instant {
        self.sent + self.round_trip
    }
}

impl TestKind {
    /// A Binding request and nothing else.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Self::Mapping | Self::Allocation | Self::AfterEarly)
    }

    /// One answer is enough. The other tests also measure the loss.
    pub(super) fn needs_one_answer(self) -> bool {
        matches!(
            self,
            Self::Allocation | Self::AfterEarly | Self::Unsolicited
        )
    }

    /// The CHANGE-REQUEST of the test.
    pub(super) fn change(self) -> Option<Change> {
        let ip = match self {
            Self::Mapping | Self::Allocation | Self::AfterEarly | Self::Unsolicited => return None,
            Self::OtherAddress | Self::EarlyInbound => true,
            Self::OtherPort => false,
        };
        Some(Change { ip, port: true })
    }
}

//! The prober: which NAT stands between this host and a STUN server (RFC 5780), in one round trip
//! and, where something stays silent, one wait.
//!
//! All tests run at once, each with several sends. The *mapping* socket asks the server at two
//! addresses and two ports for the reflexive address. The *filtering* sockets send to the server's
//! first address only, and ask for answers from elsewhere. The *early* socket receives packets from
//! the server's other address before it sends there. Where ports are not preserved, ten more sockets
//! show the port assignment. In the end the server is asked for ICMP errors about its answers.
//!
//! A silence counts if the server has proved that it can send from there, and if loss, as measured
//! on the other tests, does not explain it. Until then more is sent.
//!
//! # Call order
//!
//! [`Discover::new`]; then [`poll_transmit`](Protocol::poll_transmit) until it is empty, and
//! [`poll_timeout`](Protocol::poll_timeout), after every `handle_*`; until
//! [`report`](Discover::report) is not `None`. Open each socket (numbered from 0, at most
//! [`SOCKETS`]) before the first datagram on it, and report its address by
//! [`handle_opened`](Protocol::handle_opened).
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Instant;
//!
//! use discover::{Config, Discover, Verdict};
//! use sansio::{Input, Protocol};
//!
//! let now = Instant::now();
//! let server = "203.0.113.1:3478".parse()?;
//! let (local, public) = ("192.168.1.2".parse()?, "198.51.100.1".parse()?);
//! let on = |ip, socket| SocketAddr::new(ip, 40000 + socket as u16);
//! let mut prober = Discover::new(now, Config::new(server, None), on(local, 0), [7; 32]);
//! while let Some(transmit) = prober.poll_transmit() {
//!     // A driver opens the socket, unless it is open, and sends. Here a server answers at once.
//!     let socket = transmit.socket;
//!     prober.handle_opened(socket, on(local, socket));
//!     let request = stun::Message::parse(&transmit.payload)?;
//!     let answer = stun::Builder::success(&request).xor_mapped(on(public, socket));
//!     prober.handle_input(now, Input::datagram(socket, server, &answer.finish()));
//! }
//! let report = prober.report().unwrap();
//! assert_eq!(report.verdict, Verdict::Measured);
//! assert_eq!(report.behaviour.nat, Some(true));
//! assert_eq!(report.behaviour.mapping, None, "the server has one address");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Hairpin`], [`Lifetime`] and [`Path`] are measurements of their own, driven in the same way:
//! they take more time, or packets that a firewall may take for an attack. The crate opens no
//! socket and asks no gateway; [`PortMapping`] only holds what the driver found there.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod axes;
mod carrier;
mod config;
mod early;
mod hairpin;
mod lifetime;
mod mappings;
mod mtu;
mod path;
mod port_mapping;
mod port_model;
mod report;
mod rfc4787;
mod server;
mod signs;
mod sweep;
mod test;
mod test_set;
mod transaction;
mod unsolicited;
mod verdict;

#[cfg(test)]
mod unit_tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use stun::{Class, Icmp, IcmpReason, Message, Method};

use sansio::{Datagram, IcmpError, Input, Protocol, SocketId, Transmit};

pub use carrier::carrier_nat;
pub use config::{BLIND_WAIT, Config, MIN_WAIT};
pub use hairpin::{Hairpin, HairpinReport, Source};
pub use lifetime::{Lifetime, LifetimeReport};
pub use mtu::{Mtu, MtuLimit, MtuReport};
pub use path::{HopQuality, Path, PathReport};
pub use port_mapping::{NatPmp, Pcp, PortMapping, UpnpIgd};
pub use port_model::{PortModel, Sample, Spray};
pub use report::{
    Cause, CauseCode, Confidence, Determinism, Evidence, Note, NoteCode, Report, TestKind, Verdict,
};
pub use rfc4787::{Compliance, Requirement, sheet};
use server::Server;
pub use signs::ByTcp;
use signs::Strange;
pub use sweep::{Reach, Sweep, SweepReport};
use test::Test;
use test_set::TestSet;
pub use unsolicited::Unsolicited;

/// The mapping socket.
const MAPPING: SocketId = 0;
/// The filtering sockets that ask for an answer from the other address and port. Two, because one
/// may have a port from which another program has just sent to the server.
const FILTERING_ADDRESS: [SocketId; 2] = [1, 2];
/// The filtering sockets that ask for an answer from the other port. Two as well.
const FILTERING_PORT: [SocketId; 2] = [3, 4];
/// The early socket.
const EARLY: SocketId = 5;
/// The sockets that show the port assignment, where ports are not preserved.
const ALLOCATION: Range<SocketId> = 6..16;

/// The most sockets that [`Discover`] uses, numbered from 0. The driver opens each before the first
/// datagram on it is sent: a new socket, on a port that the system chooses.
pub const SOCKETS: usize = ALLOCATION.end;

/// How much later than half a round trip a packet may be that is only known to be on its way.
const MARGIN: Duration = Duration::from_millis(4);

/// The most batches of sends: enough to tell filtering from the loss of every second round trip.
const BATCHES: u32 = 5;

/// One measurement of a NAT.
#[derive(Debug)]
pub struct Discover {
    config: Config,
    started: Instant,
    /// The last time that was given to us.
    now: Instant,
    server: Server,
    /// By socket; port 0 until the socket is open.
    locals: Vec<SocketAddr>,
    tests: TestSet,
    batches: u32,
    /// Round trip to the server's host, by another protocol than UDP.
    host_is_up: Option<Duration>,
    /// What it answered by that protocol.
    by_tcp: Option<ByTcp>,
    /// What the first datagram from the server was that answers no request.
    strange: Option<Strange>,
    /// The ICMP error that refused a request, and its sender.
    refused_by: Option<(IpAddr, Icmp)>,
    outbox: VecDeque<Transmit>,
    report: Option<Report>,
}

impl Discover {
    /// Begins the measurement. `local` is the first socket's own address: with the IP address that
    /// the system uses towards the server, not the unspecified one.
    pub fn new(now: Instant, config: Config, local: SocketAddr, seed: [u8; 32]) -> Self {
        let (s1, s2) = (config.s1, config.s2);
        let mut tests = TestSet::new(config.tries, config.spacing, seed);
        let further = config.more.iter().copied();
        for to in [Some(s1), s2].into_iter().flatten().chain(further) {
            tests.add(now, MAPPING, to, TestKind::Mapping);
        }
        for socket in FILTERING_ADDRESS {
            tests.add(now, socket, s1, TestKind::OtherAddress);
        }
        for socket in FILTERING_PORT {
            tests.add(now, socket, s1, TestKind::OtherPort);
        }
        tests.add(now, EARLY, s1, TestKind::Allocation);
        tests.add(now, EARLY, s1, TestKind::EarlyInbound);
        let other = None;
        let mut discover = Self {
            config,
            started: now,
            now,
            server: Server { s1, s2, other },
            locals: vec![local],
            tests,
            batches: 1,
            host_is_up: None,
            by_tcp: None,
            strange: None,
            refused_by: None,
            outbox: VecDeque::new(),
            report: None,
        };
        discover.handle_timeout(now);
        discover
    }

    /// The server's host has answered by TCP, after `round_trip`. If that is a STUN answer and no
    /// UDP comes back, UDP is blocked. Anything else does not show that the server runs.
    pub fn handle_tcp(&mut self, round_trip: Duration, answer: ByTcp) {
        tracing::debug!(?round_trip, ?answer, "the server's host is up");
        self.host_is_up = Some(round_trip);
        self.by_tcp = Some(answer);
    }

    /// Whether any request was answered. Until then the driver should find out whether the server's
    /// host is up: see [`handle_tcp`](Self::handle_tcp).
    pub fn is_answered(&self) -> bool {
        self.tests.iter().any(Test::is_answered)
    }

    /// The result, when there is one.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// A datagram that does not answer one of our requests is ignored; that it came from the server
    /// shows that UDP passes.
    fn answered(&mut self, now: Instant, datagram: Datagram<'_>) {
        let (socket, from) = (datagram.socket, datagram.from);
        let message = Message::parse(datagram.payload).ok().filter(|message| {
            message.method() == Method::Binding
                && matches!(message.class(), Class::Success | Class::Error)
        });
        let answer = message.and_then(|it| self.tests.accept(now, socket, from, &it));
        let Some(answer) = answer else {
            tracing::trace!(socket, %from, "ignored: not an answer to a request of ours");
            if from.ip() == self.server.s1.ip() {
                self.strange = self.strange.or(Some(Strange::of(datagram.payload)));
            }
            return;
        };
        for to in self.server.learn(answer) {
            self.tests.add(now, MAPPING, to, TestKind::Mapping);
        }
        self.sample_ports(now);
        self.send_due(now);
        self.conclude(now);
    }

    /// Port unreachable or prohibited. From the server itself it means that no process listens there
    /// or that its firewall refuses; from another address, that a router on the way refuses.
    fn refused(&mut self, now: Instant, error: IcmpError<'_>) {
        let refusal = error.reason().is_some_and(IcmpReason::is_refusal);
        if refusal && error.to == self.server.s1 {
            tracing::debug!(by = %error.offender, reason = ?error.reason(), "refused");
            self.refused_by = Some((error.offender, error.icmp));
            self.conclude(now);
        }
    }

    /// Where ports are not preserved, it takes more mappings to see the port assignment.
    fn sample_ports(&mut self, now: Instant) {
        let local = |t: &Test| self.locals[t.socket].port();
        let changed = |t: &Test| t.mapped().is_some_and(|mapped| mapped.port() != local(t));
        let usual = |t: &&Test| t.kind.is_plain() && t.kind != TestKind::AfterEarly;
        if self.config.survey || self.tests.iter().filter(usual).any(changed) {
            for socket in ALLOCATION {
                self.tests
                    .add(now, socket, self.server.s1, TestKind::Allocation);
            }
            // Two of them ask wherever the mapping socket does, as its witnesses.
            let asked = self.tests.of_kind(TestKind::Mapping).map(|t| t.to);
            for to in asked.collect::<Vec<_>>() {
                for socket in ALLOCATION.take(2) {
                    self.tests.add(now, socket, to, TestKind::Allocation);
                }
            }
        }
    }

    fn send_due(&mut self, now: Instant) {
        while let Some(request) = self.tests.next_request(now) {
            self.outbox.push_back(request);
        }
    }

    fn conclude(&mut self, now: Instant) {
        self.now = now;
        if self.report.is_some() {
            return;
        }
        let early = early::send_at(&self.tests, &self.server).is_some();
        let answered = self.is_answered();
        let settled = match answered {
            true => self.tests.iter().all(|t| self.is_settled(t)) && !early,
            // The server's host has refused: no answer will come. Where a router has refused, TCP
            // shows whether the server runs.
            false => self
                .refused_by
                .is_some_and(|(by, _)| by == self.server.s1.ip()),
        };
        if !settled && answered && self.batches < BATCHES && self.send_more(now) {
            self.batches += 1;
            tracing::debug!(
                batch = self.batches,
                "silence does not count yet: more is sent"
            );
            return self.send_due(now);
        }
        let sending = self.waited_for().any(|t| t.due().is_some()) || early;
        if !settled && (sending || now < self.deadline()) {
            return;
        }
        let report = verdict::judge(self, now);
        tracing::debug!(verdict = ?report.verdict, behaviour = ?report.behaviour, "concluded");
        self.report = Some(report);
        self.outbox.clear();
    }

    /// The tests whose answers are waited for. The server is asked for ICMP errors meanwhile.
    fn waited_for(&self) -> impl Iterator<Item = &Test> {
        let tests = self.tests.iter();
        tests.filter(|t| t.kind != TestKind::Unsolicited)
    }

    /// Whether waiting longer for this test can show nothing more.
    fn is_settled(&self, test: &Test) -> bool {
        // Without another address or port, the server cannot answer from there.
        let one_address = || self.s1_answered() && self.server.other.is_none();
        test.is_answered()
            || match test.kind {
                TestKind::Mapping | TestKind::Allocation | TestKind::AfterEarly => false,
                TestKind::EarlyInbound | TestKind::Unsolicited => true,
                TestKind::OtherAddress => one_address(),
                // A server with one address may have a second port. Where its answer is let in, it
                // comes before the answers to what was sent later.
                TestKind::OtherPort => one_address() || self.tests.let_in(TestKind::OtherAddress),
            }
    }

    fn s1_answered(&self) -> bool {
        let mut mapping = self.tests.of_kind(TestKind::Mapping);
        mapping.any(|t| t.to == self.server.s1 && t.is_answered())
    }

    /// When the last answer to this test should have come, if it has come to no end.
    fn late_at(&self, test: &Test) -> Option<Instant> {
        let wait = self.tests.usual_wait()?;
        let over = test.due().is_none() && !self.is_settled(test);
        Some(test.last_sent().filter(|_| over)? + wait)
    }

    /// Sends another batch of the tests that are late and whose silence does not count yet, and of
    /// those that are answered, which measure the loss meanwhile. It does not wait for the deadline:
    /// late answers may come while more is sent.
    fn send_more(&mut self, now: Instant) -> bool {
        let loss = self.tests.loss(now);
        let late = |t: &Test| self.late_at(t).is_some_and(|at| at <= now);
        let counts = |t: &Test| {
            let without_error = || unsolicited::silence_counts(t, loss);
            self.tests.silence_counts(t, loss)
                && (t.kind != TestKind::OtherAddress || without_error())
        };
        let open = |t: &Test| late(t) && !counts(t);
        let any_open = self.tests.iter().any(open);
        if any_open {
            self.tests.repeat(now, |t| match t.kind {
                // A packet is not early after the socket has sent there.
                TestKind::EarlyInbound | TestKind::Unsolicited => false,
                kind => !kind.needs_one_answer() || !t.is_answered(),
            });
        }
        any_open
    }

    /// Until when answers are waited for: those of the silent tests, and those about ICMP errors.
    fn deadline(&self) -> Instant {
        let silent = || self.waited_for().filter(|t| !self.is_settled(t));
        let last = silent().filter_map(Test::last_sent).max();
        let last = last.unwrap_or(self.started);
        let measured = self.tests.usual_round_trip();
        match (self.config.wait, measured.or(self.host_is_up)) {
            (Some(wait), _) => last + wait,
            (None, Some(round_trip)) => {
                // An answer that takes much longer than usual is waited for once. What is sent
                // later is late after the usual time.
                let first = silent().filter_map(Test::first_batch).max();
                let patient = first.unwrap_or(last) + MIN_WAIT.max(3 * round_trip);
                let usual = last + MIN_WAIT.max(self.tests.usual_wait().unwrap_or_default());
                let asked = unsolicited::waited_for(&self.tests);
                patient.max(usual).max(asked.unwrap_or(last))
            }
            (None, None) => self.started + BLIND_WAIT,
        }
    }
}

impl Protocol for Discover {
    fn handle_opened(&mut self, socket: SocketId, local: SocketAddr) {
        let unknown = SocketAddr::new(local.ip(), 0);
        if self.locals.len() <= socket {
            self.locals.resize(socket + 1, unknown);
        }
        self.locals[socket] = local;
    }

    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => self.answered(now, datagram),
            Input::Icmp(error) => self.refused(now, error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        early::send(now, &mut self.tests, &self.server);
        unsolicited::ask(now, &mut self.tests, &self.server);
        self.send_due(now);
        self.conclude(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.report.is_some() {
            return None;
        }
        let sends = self.waited_for().filter_map(Test::due);
        let next = sends.chain(early::send_at(&self.tests, &self.server)).min();
        let next = next.unwrap_or_else(|| self.deadline());
        let late = self.tests.iter().filter_map(|t| self.late_at(t));
        let late = late.filter(|&at| at > self.now && self.batches < BATCHES);
        let asks = self.tests.iter().filter_map(Test::due);
        let asks = asks.chain(unsolicited::ask_at(&self.tests));
        asks.chain(late).chain([next]).min()
    }
}

//! The lifetime of an idle mapping, and which direction refreshes it (RFC 4787 §4.3, RFC 5780 §4.6).
//!
//! All idle times are tested in one pass. Each has a socket of its own, which sends once and is then
//! idle for that time. Whether its mapping is still alive is asked from *another* socket, with
//! RESPONSE-PORT: the server answers to the outside port of the idle one. A request from the idle
//! socket itself would create a new mapping. One more socket is kept busy from outside in this way,
//! and one from inside, by indications, which are not answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use stun::{Attribute, Builder, Class, Message, Method, Transaction};

use super::MIN_WAIT;
use super::transaction::transaction;
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};

/// The lifetime that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LifetimeReport {
    /// The longest idle time that a mapping survived, in seconds.
    pub alive_s: Option<u64>,
    /// The shortest idle time that ended a mapping, in seconds. `None`: none of those tested.
    pub dead_s: Option<u64>,
    /// Whether outbound packets refresh a mapping. `None`: not tested.
    pub refreshed_by_outbound: Option<bool>,
    /// Whether inbound packets refresh a mapping. `None`: not tested.
    pub refreshed_by_inbound: Option<bool>,
    /// Whether the server supports RESPONSE-PORT. If not, nothing was tested.
    pub response_port: bool,
}

/// Sends the requests about the other sockets.
const ASKER: SocketId = 0;
/// Receives from outside all the time.
const INBOUND: SocketId = 1;
/// Sends all the time.
const OUTBOUND: SocketId = 2;
/// From here on: idle, one socket for each idle time.
const FIRST_IDLE: SocketId = 3;

const TRIES: u32 = 5;
const SPACING: Duration = Duration::from_millis(20);

/// The measurement.
#[derive(Debug)]
pub struct Lifetime {
    server: SocketAddr,
    started: Instant,
    idle_times: Vec<Duration>,
    ends: Vec<End>,
    rng: ChaCha20Rng,
    /// The longest round trip of the first answers.
    round_trip: Duration,
    /// The shortest round trip: what was answered later was delayed.
    fastest: Duration,
    /// When the outbound socket sends again.
    next_outbound: Instant,
    stage: Stage,
    report: LifetimeReport,
    outbox: VecDeque<Transmit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// The last requests, about the two sockets that were kept busy.
    Closing,
    Done,
}

/// One socket's mapping.
#[derive(Debug, Default)]
struct End {
    requests: Vec<(Transaction, Instant)>,
    /// When the last answer to a request came.
    answered: Option<Instant>,
    mapped: Option<SocketAddr>,
    /// Requests about it, from the asker.
    asks: Vec<(Transaction, Instant)>,
    next_ask: Option<Instant>,
    left: u32,
    heard: Option<Instant>,
    verdict: Option<bool>,
}

impl Lifetime {
    /// Begins the measurement, with idle times up to `longest`.
    pub fn new(now: Instant, server: SocketAddr, longest: Duration, seed: [u8; 32]) -> Self {
        let idle_times = idle_times(longest);
        let mut ends = Vec::new();
        ends.resize_with(FIRST_IDLE + idle_times.len(), End::default);
        let mut lifetime = Self {
            server,
            started: now,
            idle_times,
            ends,
            rng: ChaCha20Rng::from_seed(seed),
            round_trip: Duration::ZERO,
            fastest: Duration::MAX,
            next_outbound: now,
            stage: Stage::Waiting,
            report: LifetimeReport::default(),
            outbox: VecDeque::new(),
        };
        for socket in 0..lifetime.ends.len() {
            lifetime.create(now, socket);
        }
        lifetime
    }

    /// The result, when there is one.
    pub fn report(&self) -> Option<LifetimeReport> {
        (self.stage == Stage::Done).then_some(self.report)
    }

    /// Sends a socket's own Binding request, which creates the mapping and shows it.
    fn create(&mut self, now: Instant, socket: SocketId) {
        let transaction = transaction(&mut self.rng);
        self.ends[socket].requests.push((transaction, now));
        self.push(socket, stun::binding_request(transaction, None));
    }

    /// Asks the server to answer to the outside port of `about`.
    fn ask(&mut self, now: Instant, about: SocketId) {
        let Some(mapped) = self.ends[about].mapped else {
            return;
        };
        let transaction = transaction(&mut self.rng);
        self.ends[about].asks.push((transaction, now));
        let request = Builder::request(Method::Binding, transaction)
            .raw(Attribute::ResponsePort, &mapped.port().to_be_bytes());
        self.push(ASKER, request.finish());
    }

    fn push(&mut self, socket: SocketId, payload: Vec<u8>) {
        self.outbox.push_back(Transmit {
            socket,
            to: self.server,
            ttl: None,
            payload,
        });
    }

    /// Begins a series of requests about a mapping.
    fn examine(&mut self, now: Instant, about: SocketId) {
        let end = &mut self.ends[about];
        (end.next_ask, end.left, end.heard, end.verdict) = (Some(now), TRIES, None, None);
        end.asks.clear();
    }

    /// When an idle socket's time is over. It is counted from when the last answer's request would
    /// have left without delay, and is a little longer: a mapping whose lifetime is one of the idle
    /// times is then over, on a slow machine as well.
    fn due(&self, socket: SocketId) -> Option<Instant> {
        let idle = *self.idle_times.get(socket.checked_sub(FIRST_IDLE)?)?;
        let end = &self.ends[socket];
        let (_, sent) = *end.requests.last()?;
        let undelayed = end.answered.and_then(|at| at.checked_sub(self.fastest));
        Some(undelayed.map_or(sent, |at| at.max(sent)) + idle + SPACING)
    }

    fn wait(&self) -> Duration {
        MIN_WAIT.max(3 * self.round_trip)
    }

    /// Sends what is due in every series of requests, and ends those whose time is over.
    fn send_asks(&mut self, now: Instant) {
        let wait = self.wait();
        for socket in INBOUND..self.ends.len() {
            while let Some(at) = self.ends[socket].next_ask.filter(|&at| at <= now) {
                let end = &mut self.ends[socket];
                if end.left == 0 {
                    (end.next_ask, end.verdict) = (None, Some(false));
                    break;
                }
                end.left -= 1;
                let last = end.left == 0;
                end.next_ask = Some(at + if last { wait } else { SPACING });
                self.ask(now, socket);
            }
        }
    }

    fn repeat_requests(&mut self, now: Instant) {
        for socket in 0..self.ends.len() {
            let end = &self.ends[socket];
            let due = end
                .requests
                .last()
                .is_some_and(|&(_, at)| at + SPACING <= now);
            if end.mapped.is_none() && due && end.requests.len() < 3 * TRIES as usize {
                self.create(now, socket);
            }
        }
    }

    fn proceed(&mut self, now: Instant) {
        if self.stage == Stage::Done {
            return;
        }
        let control = &self.ends[INBOUND];
        if !self.report.response_port {
            match (control.mapped, control.verdict) {
                (Some(_), None) if control.next_ask.is_none() => self.examine(now, INBOUND),
                (_, Some(true)) => self.report.response_port = true,
                (_, Some(false)) => self.stage = Stage::Done,
                (None, None) if now >= self.started + super::BLIND_WAIT => self.stage = Stage::Done,
                _ => {}
            }
        }
        if self.stage == Stage::Waiting && now >= self.next_outbound {
            let transaction = transaction(&mut self.rng);
            let indication = Builder::indication(Method::Binding, transaction).finish();
            self.push(OUTBOUND, indication);
            // Rarely, but more often than any lifetime that is still possible.
            self.next_outbound = now + Duration::from_millis(400).max((now - self.started) / 4);
        }
        for socket in FIRST_IDLE..self.ends.len() {
            let end = &self.ends[socket];
            let fresh = end.mapped.is_some() && end.verdict.is_none() && end.next_ask.is_none();
            if self.stage == Stage::Waiting && fresh && self.due(socket).is_some_and(|at| at <= now)
            {
                self.examine(now, socket);
                self.examine(now, INBOUND);
            }
        }
        self.send_asks(now);
        self.conclude(now);
        if now >= self.deadline() {
            self.stage = Stage::Done;
        }
    }

    /// When to give up: a socket without a mapping would be waited for in vain.
    fn deadline(&self) -> Instant {
        let longest = self.idle_times.last().copied().unwrap_or_default();
        self.started + longest + 2 * super::BLIND_WAIT + 4 * self.wait()
    }

    fn conclude(&mut self, now: Instant) {
        let verdict = |i: usize| self.ends[FIRST_IDLE + i].verdict;
        let count = self.idle_times.len();
        let alive = (0..count).rev().find(|&i| verdict(i) == Some(true));
        let first = alive.map_or(0, |i| i + 1);
        let dead = |i: usize| i < count && verdict(i) == Some(false);
        let seconds = |i: usize| self.idle_times[i].as_secs();
        match self.stage {
            // Two dead in a row, unless there is only one left.
            Stage::Waiting if dead(first) && (dead(first + 1) || first + 1 == count) => {
                (self.report.alive_s, self.report.dead_s) =
                    (alive.map(seconds), Some(seconds(first)));
                self.stage = Stage::Closing;
                self.examine(now, INBOUND);
                self.examine(now, OUTBOUND);
                self.send_asks(now);
            }
            Stage::Waiting if alive == Some(count - 1) => {
                self.report.alive_s = alive.map(seconds);
                self.stage = Stage::Done;
            }
            Stage::Closing => {
                let verdicts = (self.ends[OUTBOUND].verdict, self.ends[INBOUND].verdict);
                if let (Some(outbound), Some(inbound)) = verdicts {
                    self.report.refreshed_by_outbound = Some(outbound);
                    self.report.refreshed_by_inbound = Some(inbound);
                    self.stage = Stage::Done;
                }
            }
            Stage::Waiting | Stage::Done => {}
        }
    }
}

impl Protocol for Lifetime {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagram(Datagram {
            socket, payload, ..
        }) = input
        else {
            return;
        };
        let Ok(message) = Message::parse(payload) else {
            return;
        };
        let Some(end) = self.ends.get_mut(socket) else {
            return;
        };
        if !message.is(Class::Success, Method::Binding) {
            return;
        }
        let transaction = message.transaction();
        if let Some(&(_, sent)) = end.requests.iter().find(|r| r.0 == transaction) {
            end.answered = Some(now);
            self.fastest = self.fastest.min(now - sent);
            if end.mapped.is_none() {
                end.mapped = message.mapped();
                self.round_trip = self.round_trip.max(now - sent);
            }
        } else if let Some(&(_, sent)) = end.asks.iter().find(|it| it.0 == transaction) {
            self.fastest = self.fastest.min(now - sent);
            (end.heard, end.verdict, end.next_ask) = (Some(now), Some(true), None);
        }
        self.proceed(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.repeat_requests(now);
        self.proceed(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.stage == Stage::Done {
            return None;
        }
        let asks = self.ends.iter().filter_map(|end| end.next_ask);
        let waiting = self.stage == Stage::Waiting;
        let idle = (FIRST_IDLE..self.ends.len()).filter(|&s| {
            let end = &self.ends[s];
            waiting && end.mapped.is_some() && end.verdict.is_none() && end.next_ask.is_none()
        });
        let repeats = self
            .ends
            .iter()
            .filter(|end| end.mapped.is_none() && end.requests.len() < 3 * TRIES as usize);
        let repeats = repeats.filter_map(|end| Some(end.requests.last()?.1 + SPACING));
        let next_outbound = waiting.then_some(self.next_outbound);
        let blind = self.ends[INBOUND].mapped.is_none();
        let blind = blind.then_some(self.started + super::BLIND_WAIT);
        asks.chain(idle.filter_map(|s| self.due(s)))
            .chain(repeats)
            .chain(next_outbound)
            .chain(blind)
            .chain([self.deadline()])
            .min()
    }
}

/// The idle times: every second up to 10 s, then with larger steps, each at most half of the time
/// before it. 119 s stands for the 120 s of RFC 4787 REQ-5, which a NAT with exactly 120 s meets.
fn idle_times(longest: Duration) -> Vec<Duration> {
    let longest = longest.as_secs().max(1);
    let step = |at: u64| match at {
        0..10 => 1,
        10..60 => 5,
        60..180 => 15,
        180..600 => 30,
        _ => 300,
    };
    let times = std::iter::successors(Some(1), |&at| Some(at + step(at)));
    let times = times.map(|at| if at == 120 { 119 } else { at });
    let times = times.take_while(|&at| at <= longest);
    times.map(Duration::from_secs).collect()
}

//! The quality of a path: round trip, loss, throughput of one burst, and whether
//! it is direct.
//!
//! Echoes leave with a TTL of 64 and of 48 in turn. On a direct path both lose
//! the same number of hops. A relay or a proxy sends packets of its own, with a
//! TTL of its own, so that the numbers differ.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use stun::{Builder, Class, Message, Transaction};

use super::outbox::Outbox;
use super::pair::Path;
use super::types::{Outgoing, Target};
use session::seal::Keys;

/// Echoes, the time between two of them, and their TTLs in turn.
const ECHOES: usize = 20;
const SPACING: Duration = Duration::from_millis(10);
const TTLS: [u8; 2] = [64, 48];

/// Packets of the burst, and bytes of UDP payload in each: more would not fit
/// into a socket's default receive buffer on Linux (212,992 bytes, of which each
/// packet takes 2,304).
const BURST: u16 = 64;
const SIZE: usize = 1200;

/// The peer is asked this often how the burst arrived, this far apart.
const ASK: Duration = Duration::from_millis(50);
const ASKS: usize = 6;

/// How long we wait for the end of the peer's measurement after our own.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What a message is for: the first byte of its MEASURE attribute.
const ECHO: u8 = 1;
const BURST_PACKET: u8 = 2;
const SUM: u8 = 3;

/// The result of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The shortest round trip.
    #[serde(serialize_with = "milliseconds", rename = "rtt_ms")]
    pub rtt: Option<Duration>,
    /// The part of the echoes that was not answered, 0 to 1.
    pub loss: f64,
    /// Routers on the way, if the path is direct. `None`: not known.
    pub hops: Option<u8>,
    /// No relay or proxy is on the way. `None`: the peer's system does not report
    /// TTLs.
    pub direct: Option<bool>,
    /// Our burst, as the peer received it. `None`: the peer did not say.
    pub sent: Option<Throughput>,
    /// The peer's burst, as we received it.
    pub received: Option<Throughput>,
}

/// A burst of 64 packets, as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Packets that arrived.
    pub packets: u16,
    /// Megabits a second, from the first to the last packet. `None`: fewer than
    /// two packets, or no time between them.
    pub mbit_s: Option<f64>,
}

impl Throughput {
    fn of(packets: u16, span: Duration) -> Self {
        let bits = f64::from(packets.saturating_sub(1)) * SIZE as f64 * 8.0;
        let rate = bits / span.as_secs_f64() / 1e6;
        Throughput {
            packets,
            mbit_s: (packets > 1 && !span.is_zero()).then(|| (rate * 10.0).round() / 10.0),
        }
    }
}

fn milliseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let ms = time.map(|time| (time.as_secs_f64() * 1e5).round() / 100.0);
    ms.serialize(serializer)
}

/// An echo of ours.
#[derive(Debug)]
struct Echo {
    transaction: Transaction,
    at: Instant,
    ttl: u8,
    /// The round trip, and the TTL that the peer saw.
    answer: Option<(Duration, Option<u8>)>,
}

/// The hops that the answered echoes lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hops {
    /// The peer's system does not report TTLs, or too few echoes were answered.
    Unknown,
    /// Not all lost the same number.
    Different,
    /// All lost the same number.
    Equal(u8),
}

/// One side of a measurement. Both sides measure and answer each other.
#[derive(Debug)]
pub struct Meter {
    path: Target,
    relayed: bool,
    since: Option<Instant>,
    echoes: Vec<Echo>,
    burst_at: Option<Instant>,
    sums: Vec<Transaction>,
    sent: Option<Throughput>,
    arrived: Option<(Instant, Instant, u16)>,
    /// The peer has asked how its burst arrived: it needs no more of us.
    asked: bool,
    over: Option<Instant>,
    heard: Option<Instant>,
    outbox: Outbox,
}

impl Meter {
    pub(crate) fn new(keys: Keys, path: &Path, seed: [u8; 32]) -> Self {
        Self {
            path: Target {
                via: path.via,
                to: path.remote,
            },
            relayed: path.relayed,
            since: None,
            echoes: Vec::new(),
            burst_at: None,
            sums: Vec::new(),
            sent: None,
            arrived: None,
            asked: false,
            over: None,
            heard: None,
            outbox: Outbox::new(keys, seed),
        }
    }

    /// Begins to measure. Until then this side only answers.
    pub(crate) fn start(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.handle_timeout(now);
    }

    /// Sends a keepalive that the peer answers.
    pub(crate) fn beat(&mut self) {
        self.request(&[ECHO], None);
    }

    /// When the peer was last heard on this path.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// A message of this attempt with the attribute MEASURE, and the TTL with
    /// which it arrived.
    pub(crate) fn handle_input(
        &mut self,
        now: Instant,
        from: Target,
        ttl: Option<u8>,
        message: &Message<'_>,
    ) {
        let measure = message.measure().unwrap_or_default();
        if !message.authentic(&self.outbox.keys().incoming) || from != self.path {
            tracing::debug!(
                ?from,
                "dropped: a measurement's message with a wrong MAC or source"
            );
            return;
        }
        self.heard = Some(now);
        match (message.class(), measure) {
            (Class::Request, [ECHO, ..]) => self.answer(message, &[ECHO, ttl.unwrap_or(0)]),
            (Class::Request, [SUM]) => {
                let (packets, span) = self
                    .arrived
                    .map_or((0, Duration::ZERO), |(a, b, n)| (n, b - a));
                let span = span.as_micros().min(u128::from(u32::MAX)) as u32;
                let [a, b] = packets.to_be_bytes();
                let [c, d, e, f] = span.to_be_bytes();
                self.answer(message, &[SUM, a, b, c, d, e, f]);
                self.asked = true;
            }
            (Class::Indication, [BURST_PACKET]) => {
                let (_, last, count) = self.arrived.get_or_insert((now, now, 0));
                (*last, *count) = (now, count.saturating_add(1));
            }
            (Class::Success, [ECHO, seen]) => {
                let transaction = message.transaction();
                let echo = self
                    .echoes
                    .iter_mut()
                    .find(|e| e.transaction == transaction);
                if let Some(echo) = echo {
                    let seen = Some(*seen).filter(|&seen| seen != 0);
                    let rtt = now.saturating_duration_since(echo.at);
                    echo.answer.get_or_insert((rtt, seen));
                }
            }
            (Class::Success, &[SUM, a, b, c, d, e, f])
                if self.sums.contains(&message.transaction()) && self.over.is_none() =>
            {
                let span = Duration::from_micros(u32::from_be_bytes([c, d, e, f]).into());
                self.sent = Some(Throughput::of(u16::from_be_bytes([a, b]), span));
                self.over = Some(now);
            }
            _ => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.over.is_none() && self.next().is_some_and(|at| at <= now) {
            self.act(now);
        }
    }

    /// When there is something to send, or to give up.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.over {
            None => self.next(),
            Some(over) => (!self.asked).then_some(over + TIMEOUT),
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.outbox.pop()
    }

    /// The result, once both sides are done or the peer has had its time.
    pub(crate) fn result(&self, now: Instant) -> Option<Measured> {
        let over = self.over?;
        if !self.asked && now < over + TIMEOUT {
            return None;
        }
        let answers: Vec<_> = self.echoes.iter().filter_map(|echo| echo.answer).collect();
        let hops = self.hops();
        Some(Measured {
            rtt: answers.iter().map(|(rtt, _)| *rtt).min(),
            loss: 1.0 - answers.len() as f64 / self.echoes.len().max(1) as f64,
            hops: match hops {
                Hops::Equal(hops) if !self.relayed => Some(hops),
                _ => None,
            },
            direct: match hops {
                _ if self.relayed => Some(false),
                Hops::Unknown => None,
                Hops::Different => Some(false),
                Hops::Equal(_) => Some(true),
            },
            sent: self.sent,
            received: self
                .arrived
                .map(|(first, last, n)| Throughput::of(n, last - first)),
        })
    }

    fn hops(&self) -> Hops {
        let seen = |echo: &Echo| Some((echo.ttl, echo.answer?.1?));
        let seen: Vec<(u8, u8)> = self.echoes.iter().filter_map(seen).collect();
        let both = TTLS
            .iter()
            .all(|ttl| seen.iter().any(|(sent, _)| sent == ttl));
        let lost = |(sent, seen): &(u8, u8)| sent.checked_sub(*seen);
        match seen.first().map(lost) {
            Some(first) if both => match first {
                Some(hops) if seen.iter().all(|pair| lost(pair) == first) => Hops::Equal(hops),
                _ => Hops::Different,
            },
            _ => Hops::Unknown,
        }
    }

    fn next(&self) -> Option<Instant> {
        let since = self.since?;
        if self.echoes.len() < ECHOES {
            return Some(since + SPACING * self.echoes.len() as u32);
        }
        match self.burst_at {
            None => Some(since + SPACING * ECHOES as u32 + self.pause()),
            Some(burst) => Some(burst + self.pause() + ASK * self.sums.len() as u32),
        }
    }

    /// Long enough for what is under way to arrive.
    fn pause(&self) -> Duration {
        let rtts = self.echoes.iter().filter_map(|echo| Some(echo.answer?.0));
        rtts.max().unwrap_or(ASK).min(ASK * 10)
    }

    fn act(&mut self, now: Instant) {
        if self.echoes.len() < ECHOES {
            let ttl = TTLS[self.echoes.len() % TTLS.len()];
            let transaction = self.request(&[ECHO], (!self.relayed).then_some(ttl));
            self.echoes.push(Echo {
                transaction,
                at: now,
                ttl,
                answer: None,
            });
        } else if self.burst_at.is_none() {
            self.burst_at = Some(now);
            for _ in 0..BURST {
                self.outbox.indicate(self.path, |packet| {
                    packet.measure(&[BURST_PACKET]).pad_to(SIZE - INTEGRITY)
                });
            }
        } else if self.sums.len() < ASKS {
            let transaction = self.request(&[SUM], None);
            self.sums.push(transaction);
        } else {
            self.over = Some(now);
        }
    }

    fn request(&mut self, measure: &[u8], ttl: Option<u8>) -> Transaction {
        let fill = |request: Builder| request.measure(measure);
        self.outbox.request(self.path, ttl, fill)
    }

    fn answer(&mut self, request: &Message<'_>, measure: &[u8]) {
        let fill = |answer: Builder| answer.measure(measure);
        self.outbox.answer(self.path, request, fill);
    }
}

/// Bytes of MESSAGE-INTEGRITY-SHA256, which comes after the padding.
const INTEGRITY: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two meters. `hop` gets the number and the TTL of each packet, and says with
    /// which TTL it arrives; `None` if it is lost.
    fn pair(hop: impl Fn(usize, u8) -> Option<u8>) -> [Measured; 2] {
        let mut now = Instant::now();
        let at = |port: u16| Path {
            via: sansio::Via::Socket(0),
            remote: format!("203.0.113.17:{port}").parse().unwrap(),
            lan: false,
            relayed: false,
            rtt: None,
            guess: None,
        };
        let keys = |outgoing: u8, incoming: u8| Keys {
            attempt: [1; 8],
            outgoing: stun::integrity_key(&[outgoing; 32]),
            incoming: stun::integrity_key(&[incoming; 32]),
        };
        let mut meters = [
            Meter::new(keys(1, 2), &at(2), [1; 32]),
            Meter::new(keys(2, 1), &at(1), [2; 32]),
        ];
        meters.iter_mut().for_each(|meter| meter.start(now));
        let mut count = 0;
        loop {
            for me in 0..2 {
                while let Some(transmit) = meters[me].poll_transmit() {
                    count += 1;
                    if let Some(ttl) = hop(count, transmit.ttl.unwrap_or(64)) {
                        let message = Message::parse(&transmit.payload).unwrap();
                        let from = meters[1 - me].path;
                        meters[1 - me].handle_input(now, from, Some(ttl), &message);
                    }
                }
            }
            let done = [0, 1].map(|n| meters[n].result(now));
            if let [Some(a), Some(b)] = done {
                return [a, b];
            }
            now += Duration::from_millis(1);
            meters
                .iter_mut()
                .for_each(|meter| meter.handle_timeout(now));
        }
    }

    #[test]
    fn on_a_direct_path_every_ttl_loses_the_same_hops() {
        for measured in pair(|_, ttl| Some(ttl - 3)) {
            assert_eq!((measured.direct, measured.hops), (Some(true), Some(3)));
            assert_eq!(measured.loss, 0.0);
            assert_eq!(measured.sent.unwrap().packets, BURST);
            assert_eq!(measured.received.unwrap().packets, BURST);
        }
    }

    #[test]
    fn a_path_is_not_direct_where_packets_arrive_with_another_ttl() {
        for measured in pair(|_, _| Some(61)) {
            assert_eq!((measured.direct, measured.hops), (Some(false), None));
        }
    }

    #[test]
    fn lost_echoes_are_counted_and_a_silent_peer_ends_the_measurement() {
        let [one, _] = pair(|count, ttl| (count % 5 != 0).then_some(ttl - 2));
        assert!((0.1..0.7).contains(&one.loss), "{one:?}");
        let [one, _] = pair(|_, _| None);
        assert_eq!((one.loss, one.direct, one.sent), (1.0, None, None));
    }
}

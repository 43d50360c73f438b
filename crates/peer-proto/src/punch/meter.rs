//! What a path is worth: round trip, loss, one burst, and whether the packets
//! that leave are the ones that arrive.
//!
//! A packet that is sent with a TTL of 64 and one with 48 arrive 16 apart, if
//! nobody between has taken one in and sent another in its place: a path is
//! direct if both lost the same number of hops.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use stun::{Builder, Class, Message, Transaction};

use super::burst::{Outgoing, Target};
use super::outbox::Outbox;
use session::seal::Keys;

/// Echoes, this far apart, and their TTLs in turn.
const ECHOES: usize = 20;
const SPACING: Duration = Duration::from_millis(10);
const TTLS: [u8; 2] = [64, 48];

/// Packets of the burst, and bytes of each one's UDP payload: more would not
/// fit into the receive buffer that Linux gives a socket (212,992 bytes, of
/// which each takes 2,304).
const BURST: u16 = 64;
const SIZE: usize = 1200;

/// From one question about the burst to the next, and how often it is asked.
const ASK: Duration = Duration::from_millis(50);
const ASKS: usize = 6;

/// How long the peer's measurement is waited for when ours is over.
const PATIENCE: Duration = Duration::from_millis(500);

/// The parts of a measurement, as MEASURE has them.
const ECHO: u8 = 1;
const BURST_PACKET: u8 = 2;
const SUM: u8 = 3;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The shortest round trip.
    #[serde(serialize_with = "milliseconds", rename = "rtt_ms")]
    pub rtt: Option<Duration>,
    /// Echoes that were not answered, 0 to 1.
    pub loss: f64,
    /// Routers between, if the path is direct. `None`: not known.
    pub hops: Option<u8>,
    /// Nobody takes the packets in. `None`: the peer's system does not tell.
    pub direct: Option<bool>,
    /// Our burst, as the peer received it. `None`: it did not say.
    pub sent: Option<Throughput>,
    /// The peer's burst, as we received it.
    pub received: Option<Throughput>,
}

/// A burst of packets, as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Packets that arrived, of 64.
    pub packets: u16,
    /// Megabits a second, from the first to the last of them.
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

/// One side of a measurement; both measure, and answer each other.
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
    /// The peer has asked what came of its burst: it needs us no more.
    asked: bool,
    over: Option<Instant>,
    heard: Option<Instant>,
    outbox: Outbox,
}

impl Meter {
    pub(crate) fn new(keys: Keys, path: Target, relayed: bool, seed: [u8; 32]) -> Self {
        Self {
            path,
            relayed,
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

    /// Begins to measure; until then it only answers.
    pub(crate) fn start(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.handle_timeout(now);
    }

    /// Asks for a sign of life, which also keeps the NATs' mappings.
    pub(crate) fn beat(&mut self) {
        self.request(&[ECHO], None);
    }

    /// When the peer was last heard here.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// A message of this attempt with MEASURE in it, which came with that TTL.
    pub(crate) fn handle_input(
        &mut self,
        now: Instant,
        from: Target,
        ttl: Option<u8>,
        message: &Message<'_>,
    ) {
        let measure = message.measure().unwrap_or_default();
        if !message.authentic(&self.outbox.keys().incoming) || from != self.path {
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
            Some(over) => (!self.asked).then_some(over + PATIENCE),
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.outbox.pop()
    }

    /// What was found, once both sides are done or the peer has had its time.
    pub(crate) fn result(&self, now: Instant) -> Option<Measured> {
        let over = self.over?;
        if !self.asked && now < over + PATIENCE {
            return None;
        }
        let answers: Vec<_> = self.echoes.iter().filter_map(|echo| echo.answer).collect();
        let hops = self.hops();
        Some(Measured {
            rtt: answers.iter().map(|(rtt, _)| *rtt).min(),
            loss: 1.0 - answers.len() as f64 / self.echoes.len().max(1) as f64,
            hops: hops.filter(|_| !self.relayed).flatten(),
            direct: match self.relayed {
                true => Some(false),
                false => hops.map(|hops| hops.is_some()),
            },
            sent: self.sent,
            received: self
                .arrived
                .map(|(first, last, n)| Throughput::of(n, last - first)),
        })
    }

    /// How many hops all echoes lost; `Some(None)` if not all the same, `None`
    /// if there is nothing to compare.
    fn hops(&self) -> Option<Option<u8>> {
        let seen = |echo: &Echo| Some((echo.ttl, echo.answer?.1?));
        let seen: Vec<(u8, u8)> = self.echoes.iter().filter_map(seen).collect();
        let both = TTLS
            .iter()
            .all(|ttl| seen.iter().any(|(sent, _)| sent == ttl));
        let lost = |(sent, seen): &(u8, u8)| sent.checked_sub(*seen);
        let first = both.then(|| seen.first().and_then(lost))?;
        let same = seen.iter().all(|pair| lost(pair) == first);
        Some(first.filter(|_| same))
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
    /// Two meters; what crosses loses hops by `hop`, or is lost.
    fn pair(hop: impl Fn(usize, u8) -> Option<u8>) -> [Measured; 2] {
        let mut now = Instant::now();
        let at = |port: u16| Target {
            via: sansio::Via::Socket(0),
            to: format!("203.0.113.17:{port}").parse().unwrap(),
        };
        let keys = |outgoing: u8, incoming: u8| Keys {
            attempt: [1; 8],
            outgoing: stun::integrity_key(&[outgoing; 32]),
            incoming: stun::integrity_key(&[incoming; 32]),
        };
        let mut meters = [
            Meter::new(keys(1, 2), at(2), false, [1; 32]),
            Meter::new(keys(2, 1), at(1), false, [2; 32]),
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
    fn a_direct_path_loses_the_same_hops_from_every_ttl() {
        for measured in pair(|_, ttl| Some(ttl - 3)) {
            assert_eq!((measured.direct, measured.hops), (Some(true), Some(3)));
            assert_eq!(measured.loss, 0.0);
            assert_eq!(measured.sent.unwrap().packets, BURST);
            assert_eq!(measured.received.unwrap().packets, BURST);
        }
    }

    #[test]
    fn who_sends_other_packets_in_place_of_ours_is_found_out() {
        for measured in pair(|_, _| Some(61)) {
            assert_eq!((measured.direct, measured.hops), (Some(false), None));
        }
    }

    #[test]
    fn loss_is_counted_and_a_silent_peer_is_not_waited_for() {
        let [one, _] = pair(|count, ttl| (count % 5 != 0).then_some(ttl - 2));
        assert!((0.1..0.7).contains(&one.loss), "{one:?}");
        let [one, _] = pair(|_, _| None);
        assert_eq!((one.loss, one.direct, one.sent), (1.0, None, None));
    }
}

//! One side of one attempt.

use std::collections::VecDeque;
use std::time::Instant;

use stun::{Builder, Class, IcmpReason, Message, Method, Transaction};

use super::burst::Burst;
use super::checklist::Checklist;
use super::outbox::Outbox;
use super::pair::{Path, Purpose};
use super::schedule::{
    CONFIRMATIONS, LAN_HEAD_START, LAST_WAIT, LINGER, NOMINATION_END, NOMINATIONS, Steps,
};
use super::types::{Config, Event, Observed, Outgoing, Target};
use nat::plan::Role;
use sansio::IcmpError;
use session::seal::Keys;

#[derive(Debug)]
enum State {
    Punching,
    /// The caller has chosen a pair; the callee does not know yet.
    Nominating {
        pair: usize,
        end: Instant,
        steps: Steps,
    },
    /// The caller is connected and repeats its confirmation.
    Confirming {
        pair: usize,
        steps: Steps,
    },
    /// The callee is connected and answers until it receives a confirmation.
    Lingering {
        until: Instant,
    },
    Ended,
}

/// One side of one attempt.
#[derive(Debug)]
pub struct Agent {
    role: Role,
    pairs: Checklist,
    burst: Option<Burst>,
    relay_only: bool,
    /// The relayed pair that both sides use until there is a better one.
    settled: Option<usize>,
    direct_expected: bool,
    relay_from: Instant,
    state: State,
    lan_until: Option<Instant>,
    give_up: Instant,
    observed: Observed,
    probes: u32,
    outbox: Outbox,
    events: VecDeque<Event>,
}

impl Agent {
    /// Starts an attempt: openers are ready to be sent.
    pub fn new(config: Config, now: Instant) -> Self {
        let start = now + config.hold;
        let pairs = Checklist::new(&config, now);
        let last = config.probes.last().copied().unwrap_or_default();
        let last = start + last + LAST_WAIT;
        let bursts_end = config.bursts_end.map(|end| end + LAST_WAIT);
        let mut agent = Agent {
            role: config.role,
            pairs,
            burst: config.burst,
            relay_only: config.relay_only,
            settled: None,
            direct_expected: config.direct_expected,
            relay_from: config.relay_from,
            state: State::Punching,
            lan_until: config.lan_likely.then(|| now + LAN_HEAD_START),
            give_up: Some(last.min(config.deadline))
                .max(bursts_end)
                .unwrap_or(last),
            observed: Observed {
                relay_only: config.relay_only,
                ..Observed::default()
            },
            probes: 0,
            outbox: Outbox::new(config.keys, config.seed),
            events: VecDeque::new(),
        };
        if let Some(ttl) = config.opener_ttl.filter(|_| !config.relay_only) {
            agent.probe(now, 0, Purpose::Opener { ttl });
        }
        agent.handle_timeout(now);
        agent
    }

    /// A message that came from there; true if it is of this attempt.
    pub fn handle_input(&mut self, now: Instant, from: Target, message: &Message<'_>) -> bool {
        if message.method() != Method::Probe || message.attempt() != Some(self.keys().attempt) {
            return false;
        }
        if !message.authentic(&self.keys().incoming) {
            tracing::debug!(?from, "dropped: the MAC is wrong");
            self.observed.forged += 1;
            return true;
        }
        if self.relay_only && !self.pairs.is_relayed(from) {
            tracing::trace!(?from, "dropped: only the relay is to be used");
            return true;
        }
        let Some(pair) = self.pairs.pair_of(now, from, self.burst.as_ref()) else {
            tracing::debug!(?from, "dropped: the peer was seen at too many addresses");
            return true;
        };
        self.observed.heard = true;
        self.pairs[pair].heard = true;
        tracing::trace!(?from, class = ?message.class(), "heard");
        match message.class() {
            Class::Request => self.asked(now, pair, message),
            Class::Success => self.answered(now, pair, message.transaction()),
            Class::Indication if message.use_candidate() => self.confirmed(now),
            Class::Indication | Class::Error => {}
        }
        true
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// When it ends without a path.
    pub(crate) fn give_up(&self) -> Instant {
        self.give_up
    }

    /// Ends at once, without an event.
    pub(crate) fn abandon(&mut self) {
        self.state = State::Ended;
    }

    /// Probes to the reflexive address with the system's TTL wait until then, if none has
    /// left yet.
    pub(crate) fn hold_until(&mut self, until: Instant) {
        if self.role == Role::Callee && !self.relay_only && self.pairs[0].hold_until(until) {
            self.give_up = self.give_up.max(until + LAST_WAIT);
        }
    }

    /// An ICMP error about a packet that one of our sockets has sent.
    pub fn handle_icmp(&mut self, error: &IcmpError<'_>) {
        let refused = error.reason() == Some(IcmpReason::PortUnreachable);
        if refused && self.pairs.is_peers(error.to) {
            tracing::debug!(to = %error.to, "ICMP port unreachable");
            self.observed.refused = Some(error.to);
        }
    }

    /// To be called at the time that [`Self::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Punching => {
                for index in 0..self.pairs.len() {
                    if self.pairs[index].due(now) {
                        self.probe(now, index, Purpose::Check);
                    }
                }
                self.send_burst(now);
                self.nominate(now);
                if now >= self.give_up && matches!(self.state, State::Punching) {
                    self.end();
                }
            }
            State::Nominating { end, .. } if now >= *end => self.end(),
            State::Nominating { pair, steps, .. } => {
                let (pair, due) = (*pair, steps.take(now));
                for _ in 0..due {
                    self.probe(now, pair, Purpose::Nomination);
                }
            }
            State::Confirming { pair, steps } => {
                let (pair, due, over) = (*pair, steps.take(now), steps.next().is_none());
                let to = self.pairs[pair].target;
                for _ in 0..due {
                    self.outbox.indicate(to, Builder::use_candidate);
                }
                if over {
                    self.confirmed_to_peer(now, pair);
                }
            }
            State::Lingering { until } if *until <= now => self.finish(),
            State::Lingering { .. } | State::Ended => {}
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Punching => {
                let probes = self.pairs.next().into_iter();
                let proved = self.pairs.is_proved();
                let lan = self
                    .lan_until
                    .filter(|_| proved && self.role == Role::Caller);
                let burst = self.burst.as_ref().and_then(Burst::next);
                let burst = burst.filter(|_| !self.pairs.is_heard());
                probes.chain(lan).chain(burst).chain([self.give_up]).min()
            }
            State::Nominating { end, steps, .. } => steps.next().into_iter().chain([*end]).min(),
            State::Confirming { steps, .. } => steps.next(),
            State::Lingering { until } => Some(*until),
            State::Ended => None,
        }
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.outbox.pop()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The keys of the attempt.
    pub(crate) fn keys(&self) -> &Keys {
        self.outbox.keys()
    }

    /// Whether the peer has answered a probe of ours that went there.
    pub(crate) fn is_proved(&self, target: Target) -> bool {
        self.pairs.is_proved_at(target)
    }

    /// Probes sent, openers and nominations included.
    pub fn probes_sent(&self) -> u32 {
        self.probes
    }

    /// Messages of this attempt that were dropped because their MAC was wrong.
    pub fn forged(&self) -> u32 {
        self.observed.forged
    }

    /// The peer probes this pair.
    fn asked(&mut self, now: Instant, pair: usize, message: &Message<'_>) {
        let from = self.pairs[pair].target;
        let seen = |answer: Builder| answer.xor_mapped(from.to);
        self.outbox.answer(from, message, seen);
        let nominates = message.use_candidate() && self.role == Role::Callee;
        match self.state {
            State::Punching if nominates && self.may_improve(&self.pairs[pair].path()) => {
                self.settle(pair);
            }
            State::Punching if nominates => {
                self.linger(now + LINGER);
                self.connected(pair);
            }
            State::Lingering { .. } if nominates => self.linger(now + LINGER),
            State::Punching => {
                if self.pairs[pair].may_answer_with_probe(now) {
                    self.probe(now, pair, Purpose::Check);
                }
                self.pairs[pair].due(now);
            }
            _ => {}
        }
    }

    /// The peer answers a probe of ours.
    fn answered(&mut self, now: Instant, pair: usize, transaction: Transaction) {
        // Only an answer from where the probe went to proves the path
        // (RFC 8445 §7.2.5.2.1).
        let to = self.pairs[pair].target;
        let burst = self.burst.as_ref();
        let guess = burst.and_then(|burst| burst.answered(transaction, to));
        let probe = self.pairs[pair].sent(transaction);
        let (at, purpose) = match (probe, guess) {
            (Some(probe), _) => (probe.at, probe.purpose),
            (None, Some(guess)) => {
                self.pairs[pair].guess.get_or_insert(guess.number);
                (guess.at, Purpose::Check)
            }
            (None, None) => {
                tracing::trace!(from = ?to, "dropped: an answer to nothing that was sent there");
                return;
            }
        };
        self.observed.answered = true;
        let rtt = now.saturating_duration_since(at);
        if self.pairs[pair].proved.is_none() {
            tracing::debug!(?to, ?rtt, "path proved");
            self.pairs[pair].proved = Some(rtt);
        }
        match self.state {
            State::Punching => self.nominate(now),
            // An answer to an earlier probe does not acknowledge the nomination.
            State::Nominating { pair: chosen, .. }
                if chosen == pair && purpose == Purpose::Nomination =>
            {
                let steps = Steps::new(&CONFIRMATIONS, now);
                self.state = State::Confirming { pair, steps };
                self.connected(pair);
                self.handle_timeout(now);
            }
            _ => {}
        }
    }

    /// The caller knows. Its other confirmations are still on their way, and a
    /// socket that closed now would answer them with ICMP errors.
    fn confirmed(&mut self, now: Instant) {
        if let State::Lingering { until } = self.state {
            let last = CONFIRMATIONS[CONFIRMATIONS.len() - 1];
            self.linger(until.min(now + last + CONFIRMATIONS[1]));
        }
    }

    fn linger(&mut self, until: Instant) {
        self.state = State::Lingering { until };
    }

    /// The caller chooses: a LAN path as soon as there is one, another path once
    /// there is no LAN path to wait for.
    fn nominate(&mut self, now: Instant) {
        if self.role != Role::Caller || !matches!(self.state, State::Punching) {
            return;
        }
        let Some(pair) = self.pairs.best() else {
            return;
        };
        let best = &self.pairs[pair];
        if best.relayed && (self.settled.is_some() || now < self.relay_from) {
            return;
        }
        if !best.lan && self.lan_until.is_some_and(|until| now < until) {
            return;
        }
        tracing::debug!(to = ?best.target, lan = best.lan, relayed = best.relayed, "nominating");
        self.state = State::Nominating {
            pair,
            end: self.give_up.max(now + NOMINATION_END),
            steps: Steps::new(&NOMINATIONS, now),
        };
        self.handle_timeout(now);
    }

    /// Whether a better path than this one may still come.
    pub(crate) fn may_improve(&self, path: &Path) -> bool {
        path.relayed && self.direct_expected
    }

    /// The caller uses this path until there is a better one.
    fn settle(&mut self, pair: usize) {
        if self.settled.replace(pair) != Some(pair) {
            self.connected(pair);
        }
    }

    fn connected(&mut self, pair: usize) {
        let path = self.pairs[pair].path();
        tracing::debug!(via = ?path.via, remote = %path.remote, rtt = ?path.rtt, "connected");
        self.events.push_back(Event::Connected(path));
    }

    /// The caller has sent all of its confirmations.
    fn confirmed_to_peer(&mut self, now: Instant, pair: usize) {
        if self.may_improve(&self.pairs[pair].path()) && now < self.give_up {
            tracing::debug!("waiting for a direct path");
            self.settled = Some(pair);
            self.state = State::Punching;
            self.nominate(now);
        } else {
            self.finish();
        }
    }

    /// Sends what is due of the burst, until the peer is heard: then a guess has
    /// hit, and more packets are of no use.
    fn send_burst(&mut self, now: Instant) {
        let Some(burst) = self.burst.as_mut().filter(|_| !self.pairs.is_heard()) else {
            return;
        };
        while let Some(target) = burst.due(now) {
            let transaction = self.outbox.request(target, burst.ttl, |probe| probe);
            burst.note_sent(now, transaction, target);
            self.probes += 1;
        }
    }

    fn probe(&mut self, now: Instant, pair: usize, purpose: Purpose) {
        let pair = &mut self.pairs[pair];
        tracing::trace!(to = ?pair.target, ?purpose, "probing");
        let ttl = match purpose {
            Purpose::Opener { ttl } => Some(ttl),
            Purpose::Check | Purpose::Nomination => None,
        };
        let fill = |probe: Builder| match purpose {
            Purpose::Nomination => probe.use_candidate(),
            Purpose::Opener { .. } | Purpose::Check => probe,
        };
        let transaction = self.outbox.request(pair.target, ttl, fill);
        pair.note_sent(now, transaction, purpose);
        self.probes += 1;
    }

    /// The time is over: the relayed path will have to do, if there is one.
    fn end(&mut self) {
        if self.settled.is_some() {
            return self.finish();
        }
        tracing::debug!(observed = ?self.observed, "no path");
        self.state = State::Ended;
        self.events.push_back(Event::Failed(self.observed));
    }

    fn finish(&mut self) {
        self.state = State::Ended;
        self.events.push_back(Event::Finished);
    }
}

//! One side of one attempt.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use stun::{Builder, Class, Message, Method, Transaction};

use super::checklist::Checklist;
use super::outbox::Outbox;
use super::schedule::{
    CONFIRMATIONS, LAN_HEAD_START, LAST_WAIT, LINGER, NOMINATION_END, NOMINATIONS, PROBES,
};
use super::volley::Volley;
use super::words::{Config, Event, Observed};
use nat::plan::Role;
use sansio::{SocketId, Transmit};
use session::seal::Keys;

#[derive(Debug)]
enum State {
    Punching,
    /// The caller has chosen; the target does not know yet.
    Nominating {
        pair: usize,
        since: Instant,
        sent: usize,
    },
    /// The caller is connected and repeats itself.
    Confirming {
        pair: usize,
        since: Instant,
        sent: usize,
    },
    /// The target is connected and answers until it hears a confirmation.
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
    volley: Option<Volley>,
    relay_only: bool,
    /// The relayed pair that both sides use until there is a better one.
    settled: Option<usize>,
    hopeful: bool,
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
        let last = start + PROBES[PROBES.len() - 1] + LAST_WAIT;
        let volleys_end = config.volleys_end.map(|end| end + LAST_WAIT);
        let mut agent = Agent {
            role: config.role,
            pairs,
            volley: config.volley,
            relay_only: config.relay_only,
            settled: None,
            hopeful: config.hopeful,
            relay_from: config.relay_from,
            state: State::Punching,
            lan_until: config.lan_likely.then(|| now + LAN_HEAD_START),
            give_up: Some(last.min(config.deadline))
                .max(volleys_end)
                .unwrap_or(last),
            observed: Observed::default(),
            probes: 0,
            outbox: Outbox::new(config.keys, config.seed),
            events: VecDeque::new(),
        };
        if let Some(ttl) = config.opener_ttl.filter(|_| !config.relay_only) {
            agent.probe(now, 0, Some(ttl), false);
        }
        agent.handle_timeout(now);
        agent
    }

    /// A message that came from `from` to one of our sockets; true if it is of
    /// this attempt.
    pub fn handle_input(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> bool {
        if message.method() != Method::Probe || message.attempt() != Some(self.keys().attempt) {
            return false;
        }
        if !message.authentic(&self.keys().incoming) {
            self.observed.forged += 1;
            return true;
        }
        if self.relay_only && !self.pairs.is_relayed(socket, from) {
            return true;
        }
        let volley = self.volley.as_ref();
        let Some(pair) = self.pairs.pair_of(now, socket, from, volley) else {
            return true;
        };
        self.observed.heard = true;
        self.pairs[pair].heard = true;
        match message.class() {
            Class::Request => self.asked(now, pair, message),
            Class::Success => self.answered(now, pair, message.transaction()),
            Class::Indication if message.use_candidate() => self.confirmed(now),
            Class::Indication | Class::Error => {}
        }
        true
    }

    /// The system says that nobody listens where we have sent to.
    pub fn handle_refused(&mut self, to: SocketAddr) {
        if self.pairs.is_peers(to) {
            self.observed.refused = Some(to);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Punching => {
                for index in 0..self.pairs.len() {
                    if self.pairs[index].due(now) {
                        self.probe(now, index, None, false);
                    }
                }
                self.fire(now);
                self.nominate(now);
                if now >= self.give_up && matches!(self.state, State::Punching) {
                    self.end();
                }
            }
            State::Nominating { pair, since, sent } => {
                if now >= self.give_up.max(since + NOMINATION_END) {
                    return self.end();
                }
                if NOMINATIONS
                    .get(sent)
                    .is_some_and(|&after| since + after <= now)
                {
                    self.state = State::Nominating {
                        pair,
                        since,
                        sent: sent + 1,
                    };
                    self.probe(now, pair, None, true);
                }
            }
            State::Confirming { pair, since, sent } => match CONFIRMATIONS.get(sent) {
                Some(&after) if since + after <= now => {
                    self.state = State::Confirming {
                        pair,
                        since,
                        sent: sent + 1,
                    };
                    self.confirm(pair);
                    self.handle_timeout(now);
                }
                Some(_) => {}
                None => self.confirmed_to_peer(now, pair),
            },
            State::Lingering { until } if until <= now => self.finish(),
            State::Lingering { .. } | State::Ended => {}
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Punching => {
                let probes = self.pairs.next().into_iter();
                let proved = self.pairs.is_proved();
                let lan = self
                    .lan_until
                    .filter(|_| proved && self.role == Role::Caller);
                let volley = self.volley.as_ref().and_then(Volley::next);
                let volley = volley.filter(|_| !self.pairs.is_heard());
                probes.chain(lan).chain(volley).chain([self.give_up]).min()
            }
            State::Nominating { since, sent, .. } => {
                let end = self.give_up.max(since + NOMINATION_END);
                Some(
                    NOMINATIONS
                        .get(sent)
                        .map_or(end, |&after| (since + after).min(end)),
                )
            }
            State::Confirming { since, sent, .. } => {
                Some(since + CONFIRMATIONS.get(sent).copied().unwrap_or_default())
            }
            State::Lingering { until } => Some(until),
            State::Ended => None,
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop()
    }

    /// What came of it.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What it is keyed with.
    pub(crate) fn keys(&self) -> &Keys {
        self.outbox.keys()
    }

    /// Probes sent, openers and nominations included.
    pub fn probes_sent(&self) -> u32 {
        self.probes
    }

    /// Messages of this attempt that were dropped: their MAC was wrong.
    pub fn forged(&self) -> u32 {
        self.observed.forged
    }

    fn asked(&mut self, now: Instant, pair: usize, message: &Message<'_>) {
        let from = self.pairs[pair].shot();
        let seen = |answer: Builder| answer.xor_mapped(from.to);
        self.outbox.answer(from, message, seen);
        let nominates = message.use_candidate() && self.role == Role::Callee;
        match self.state {
            State::Punching if nominates && self.may_improve(pair) => self.settle(pair),
            State::Punching if nominates => {
                self.state = State::Lingering {
                    until: now + LINGER,
                };
                let path = self.pairs[pair].path();
                self.events.push_back(Event::Connected(path));
            }
            State::Lingering { .. } if nominates => {
                self.state = State::Lingering {
                    until: now + LINGER,
                };
            }
            State::Punching => {
                if self.pairs[pair].may_answer_with_probe(now) {
                    self.probe(now, pair, None, false);
                }
                self.pairs[pair].due(now);
            }
            _ => {}
        }
    }

    fn answered(&mut self, now: Instant, pair: usize, transaction: Transaction) {
        // Only an answer from where the probe went to proves the path
        // (RFC 8445 §7.2.5.2.1).
        let to = self.pairs[pair].shot();
        let volley = self.volley.as_ref();
        let fired = volley.and_then(|volley| volley.answered(transaction, to));
        let probe = self.pairs[pair].sent(transaction);
        let (at, nominates) = match (probe, fired) {
            (Some(probe), _) => (probe.at, probe.nominates),
            (None, Some(fired)) => {
                self.pairs[pair].guess.get_or_insert(fired.number);
                (fired.at, false)
            }
            (None, None) => return,
        };
        self.observed.answered = true;
        let rtt = now.saturating_duration_since(at);
        self.pairs[pair].proved.get_or_insert(rtt);
        match self.state {
            State::Punching => self.nominate(now),
            // An answer to an earlier probe does not acknowledge the nomination.
            State::Nominating { pair: chosen, .. } if chosen == pair && nominates => {
                self.state = State::Confirming {
                    pair,
                    since: now,
                    sent: 0,
                };
                let path = self.pairs[pair].path();
                self.events.push_back(Event::Connected(path));
                self.handle_timeout(now);
            }
            _ => {}
        }
    }

    /// The caller knows. Its repetitions are on their way, and a socket that
    /// closed now would bounce them.
    fn confirmed(&mut self, now: Instant) {
        if let State::Lingering { until } = &mut self.state {
            let last = CONFIRMATIONS[CONFIRMATIONS.len() - 1];
            *until = (*until).min(now + last + CONFIRMATIONS[1]);
        }
    }

    /// The caller chooses: a LAN path as soon as there is one, another once
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
        self.state = State::Nominating {
            pair,
            since: now,
            sent: 0,
        };
        self.handle_timeout(now);
    }

    /// It will do, but a better path may come.
    fn may_improve(&self, pair: usize) -> bool {
        self.pairs[pair].relayed && self.hopeful
    }

    /// The caller uses this path until there is a better one.
    fn settle(&mut self, pair: usize) {
        if self.settled.replace(pair) != Some(pair) {
            let path = self.pairs[pair].path();
            self.events.push_back(Event::Connected(path));
        }
    }

    /// The peer has been told often enough.
    fn confirmed_to_peer(&mut self, now: Instant, pair: usize) {
        if self.may_improve(pair) && now < self.give_up {
            self.settled = Some(pair);
            self.state = State::Punching;
            self.nominate(now);
        } else {
            self.finish();
        }
    }

    /// Everything of the volley that is due, until a guess has hit: the rest of
    /// them would only be noise.
    fn fire(&mut self, now: Instant) {
        let Some(volley) = self.volley.as_mut().filter(|_| !self.pairs.is_heard()) else {
            return;
        };
        while let Some(shot) = volley.due(now) {
            let transaction = self.outbox.request(shot, volley.ttl, |probe| probe);
            volley.note_sent(now, transaction, shot);
            self.probes += 1;
        }
    }

    fn probe(&mut self, now: Instant, pair: usize, ttl: Option<u8>, nominate: bool) {
        let fill = |probe: Builder| match nominate {
            true => probe.use_candidate(),
            false => probe,
        };
        let pair = &mut self.pairs[pair];
        let transaction = self.outbox.request(pair.shot(), ttl, fill);
        pair.note_sent(now, transaction, nominate);
        self.probes += 1;
    }

    fn confirm(&mut self, pair: usize) {
        self.outbox
            .indicate(self.pairs[pair].shot(), Builder::use_candidate);
    }

    /// No time is left: what there is will have to do.
    fn end(&mut self) {
        if self.settled.is_some() {
            return self.finish();
        }
        self.state = State::Ended;
        self.events.push_back(Event::Failed(self.observed));
    }

    fn finish(&mut self) {
        self.state = State::Ended;
        self.events.push_back(Event::Finished);
    }
}

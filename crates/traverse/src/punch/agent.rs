//! One side of one attempt.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wire::{Builder, Class, Message, Method, Transaction};

use super::pair::Pair;
use super::schedule::{
    CONFIRMATIONS, LAN_HEAD_START, LAST_WAIT, LINGER, NOMINATION_END, NOMINATIONS, PROBES,
};
use super::volley::{Shot, Volley};
use super::words::{Config, Event, Observed, Role};
use crate::endpoint::RELAY;
use crate::io::{SocketId, Transmit};
use crate::seal::Keys;

/// Addresses that the peer was seen at without having told them.
const MOST_PEER_REFLEXIVE: usize = 8;

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
    keys: Keys,
    pairs: Vec<Pair>,
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
    peer_reflexive: usize,
    rng: ChaCha20Rng,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Agent {
    /// Starts an attempt: openers are ready to be sent.
    pub fn new(config: Config, now: Instant) -> Self {
        let start = now + config.hold;
        let mut pairs = Vec::new();
        if !config.relay_only {
            pairs.push(Pair::new(0, config.reflexive, start));
            let hosts = config.hosts.into_iter();
            let hosts = hosts.filter(|host| *host != config.reflexive);
            pairs.extend(hosts.map(|host| Pair::new(0, host, now)));
        }
        let relayed = config.relayed.into_iter();
        let relayed = relayed.map(|(socket, to)| Pair::relayed(socket, to, config.relay_from));
        pairs.extend(relayed);
        let last = start + PROBES[PROBES.len() - 1] + LAST_WAIT;
        let volleys_end = config.volleys_end.map(|end| end + LAST_WAIT);
        let mut agent = Agent {
            role: config.role,
            keys: config.keys,
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
            peer_reflexive: 0,
            rng: ChaCha20Rng::from_seed(config.seed),
            transmits: VecDeque::new(),
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
        if message.method() != Method::Probe || message.attempt() != Some(self.keys.attempt) {
            return false;
        }
        if !message.authentic(&self.keys.incoming) {
            self.observed.forged += 1;
            return true;
        }
        if self.relay_only && !self.is_relayed(socket, from) {
            return true;
        }
        let Some(pair) = self.pair_of(now, socket, from) else {
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
        if self.pairs.iter().any(|pair| pair.remote == to && !pair.lan) {
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
                let probes = self.pairs.iter().filter_map(Pair::next);
                let proved = self.pairs.iter().any(|pair| pair.proved.is_some());
                let lan = self
                    .lan_until
                    .filter(|_| proved && self.role == Role::Caller);
                let volley = self.volley.as_ref().and_then(Volley::next);
                let volley = volley.filter(|_| !self.is_heard());
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
        self.transmits.pop_front()
    }

    /// What came of it.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What it is keyed with.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Probes sent, openers and nominations included.
    pub fn probes_sent(&self) -> u32 {
        self.probes
    }

    /// Does it come through a relay, ours or the peer's?
    fn is_relayed(&self, socket: SocketId, from: SocketAddr) -> bool {
        let mut known = self.pairs.iter();
        socket == RELAY
            || known.any(|pair| pair.relayed && pair.shot() == Shot { socket, to: from })
    }

    /// The pair of an authentic packet's source, made anew if it is a new one
    /// (RFC 8445 §7.3.1.3: a peer-reflexive candidate).
    fn pair_of(&mut self, now: Instant, socket: SocketId, from: SocketAddr) -> Option<usize> {
        let of = |pair: &Pair| pair.remote == from && pair.socket == socket;
        if let Some(index) = self.pairs.iter().position(of) {
            return Some(index);
        }
        if self.peer_reflexive == MOST_PEER_REFLEXIVE {
            return None;
        }
        self.peer_reflexive += 1;
        let mut pair = match socket {
            RELAY => Pair::relayed(socket, from, now),
            _ => Pair::new(socket, from, now),
        };
        // A guess may have hit and been too early, and the peer's own packet
        // have come back through the hole that it made.
        let volley = self.volley.as_ref();
        pair.guess = volley.and_then(|volley| volley.number(pair.shot()));
        self.pairs.push(pair);
        Some(self.pairs.len() - 1)
    }

    fn asked(&mut self, now: Instant, pair: usize, message: &Message<'_>) {
        let Pair { socket, remote, .. } = self.pairs[pair];
        let answer = Builder::success(message)
            .attempt(self.keys.attempt)
            .xor_mapped(remote)
            .finish_authentic(&self.keys.outgoing);
        self.push(Shot { socket, to: remote }, None, answer);
        let nominates = message.use_candidate() && self.role == Role::Target;
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
        let proved = |pair: &&(usize, &Pair)| pair.1.proved.is_some();
        let pairs: Vec<(usize, &Pair)> = self.pairs.iter().enumerate().collect();
        let best = pairs
            .iter()
            .filter(proved)
            .min_by_key(|(_, pair)| (pair.relayed, !pair.lan, pair.proved));
        let Some(&(pair, best)) = best else { return };
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

    /// A guess has hit: the rest of them would only be noise.
    fn is_heard(&self) -> bool {
        self.pairs.iter().any(|pair| pair.heard && !pair.relayed)
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

    /// Everything of the volley that is due.
    fn fire(&mut self, now: Instant) {
        if self.is_heard() {
            return;
        }
        while let Some(shot) = self.volley.as_mut().and_then(|volley| volley.due(now)) {
            let transaction = self.transaction();
            let probe = Builder::request(Method::Probe, transaction)
                .attempt(self.keys.attempt)
                .finish_authentic(&self.keys.outgoing);
            self.probes += 1;
            let Some(volley) = &mut self.volley else {
                return;
            };
            volley.note_sent(now, transaction, shot);
            let ttl = volley.ttl;
            self.push(shot, ttl, probe);
        }
    }

    fn transaction(&mut self) -> Transaction {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        transaction
    }

    fn probe(&mut self, now: Instant, pair: usize, ttl: Option<u8>, nominate: bool) {
        let transaction = self.transaction();
        let mut probe = Builder::request(Method::Probe, transaction).attempt(self.keys.attempt);
        if nominate {
            probe = probe.use_candidate();
        }
        let probe = probe.finish_authentic(&self.keys.outgoing);
        self.pairs[pair].note_sent(now, transaction, nominate);
        self.probes += 1;
        self.push(self.pairs[pair].shot(), ttl, probe);
    }

    fn confirm(&mut self, pair: usize) {
        let transaction = self.transaction();
        let confirmation = Builder::indication(Method::Probe, transaction)
            .attempt(self.keys.attempt)
            .use_candidate()
            .finish_authentic(&self.keys.outgoing);
        self.push(self.pairs[pair].shot(), None, confirmation);
    }

    fn push(&mut self, Shot { socket, to }: Shot, ttl: Option<u8>, payload: Vec<u8>) {
        self.transmits.push_back(Transmit {
            socket,
            to,
            ttl,
            payload,
        });
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

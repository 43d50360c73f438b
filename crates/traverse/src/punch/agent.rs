//! One side of one attempt.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wire::{Builder, Class, Message, Method, Transaction};

use super::pair::{Pair, Path};
use super::schedule::{
    CONFIRMATIONS, LAN_HEAD_START, LAST_WAIT, LINGER, NOMINATION_END, NOMINATIONS, PROBES,
};
use crate::io::Transmit;
use crate::seal::Keys;

/// Addresses that the peer was seen at without having told them.
const MOST_PEER_REFLEXIVE: usize = 8;

/// Who asked for the introduction. The caller nominates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// RFC 8445's controlling agent.
    Caller,
    /// RFC 8445's controlled agent.
    Target,
}

/// What an attempt starts from.
#[derive(Debug)]
pub struct Config {
    /// Which side we are.
    pub role: Role,
    /// The secrets of the attempt.
    pub keys: Keys,
    /// Where the rendezvous sees the peer.
    pub reflexive: SocketAddr,
    /// The peer's host candidates, already filtered.
    pub hosts: Vec<SocketAddr>,
    /// Both sides have one public address, so a LAN path is worth a wait.
    pub lan_likely: bool,
    /// TTL of the opener: own NAT depth + 1. `None` sends none.
    pub opener_ttl: Option<u8>,
    /// How long full-TTL probes to the reflexive address are held.
    pub hold: Duration,
    /// When to give up at the latest.
    pub deadline: Instant,
    /// Random.
    pub seed: [u8; 32],
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides have a path. Keep feeding the agent until it is
    /// [`Event::Finished`], or the peer may never learn of it.
    Connected(Path),
    /// There is nothing left to do.
    Finished,
    /// No path.
    Failed(Observed),
}

/// What was seen of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// An authentic packet of the peer has arrived.
    pub heard: bool,
    /// The peer has answered a packet of ours.
    pub answered: bool,
    /// Probes of this attempt with a wrong MAC.
    pub forged: u32,
    /// The peer's address answered with ICMP port unreachable.
    pub refused: Option<SocketAddr>,
}

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
        let mut pairs = vec![Pair::new(config.reflexive, start)];
        for host in config.hosts {
            if host != config.reflexive {
                pairs.push(Pair::new(host, now));
            }
        }
        let last = start + PROBES[PROBES.len() - 1] + LAST_WAIT;
        let mut agent = Agent {
            role: config.role,
            keys: config.keys,
            pairs,
            state: State::Punching,
            lan_until: config.lan_likely.then(|| now + LAN_HEAD_START),
            give_up: last.min(config.deadline),
            observed: Observed::default(),
            probes: 0,
            peer_reflexive: 0,
            rng: ChaCha20Rng::from_seed(config.seed),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        if let Some(ttl) = config.opener_ttl {
            agent.probe(now, 0, Some(ttl), false);
        }
        agent.handle_timeout(now);
        agent
    }

    /// A message that came from `from`; true if it is of this attempt.
    pub fn handle_input(&mut self, now: Instant, from: SocketAddr, message: &Message<'_>) -> bool {
        if message.method() != Method::Probe || message.attempt() != Some(self.keys.attempt) {
            return false;
        }
        if !message.authentic(&self.keys.incoming) {
            self.observed.forged += 1;
            return true;
        }
        let Some(pair) = self.pair_of(now, from) else {
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
                self.nominate(now);
                if now >= self.give_up && matches!(self.state, State::Punching) {
                    self.fail();
                }
            }
            State::Nominating { pair, since, sent } => {
                if now >= self.give_up.max(since + NOMINATION_END) {
                    return self.fail();
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
                None => self.finish(),
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
                probes.chain(lan).chain([self.give_up]).min()
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

    /// The next datagram to send, from the one socket of the attempt.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What came of it.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Probes sent, openers and nominations included.
    pub fn probes_sent(&self) -> u32 {
        self.probes
    }

    /// The pair of an authentic packet's source, made anew if it is a new one
    /// (RFC 8445 §7.3.1.3: a peer-reflexive candidate).
    fn pair_of(&mut self, now: Instant, from: SocketAddr) -> Option<usize> {
        if let Some(index) = self.pairs.iter().position(|pair| pair.remote == from) {
            return Some(index);
        }
        if self.peer_reflexive == MOST_PEER_REFLEXIVE {
            return None;
        }
        self.peer_reflexive += 1;
        self.pairs.push(Pair::new(from, now));
        Some(self.pairs.len() - 1)
    }

    fn asked(&mut self, now: Instant, pair: usize, message: &Message<'_>) {
        let remote = self.pairs[pair].remote;
        let answer = Builder::success(message)
            .attempt(self.keys.attempt)
            .xor_mapped(remote)
            .finish_authentic(&self.keys.outgoing);
        self.push(remote, None, answer);
        let nominates = message.use_candidate() && self.role == Role::Target;
        match self.state {
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
        let Some(sent) = self.pairs[pair].sent(transaction) else {
            return;
        };
        self.observed.answered = true;
        let rtt = now.saturating_duration_since(sent.at);
        self.pairs[pair].proved.get_or_insert(rtt);
        match self.state {
            State::Punching => self.nominate(now),
            // An answer to an earlier probe does not acknowledge the nomination.
            State::Nominating { pair: chosen, .. } if chosen == pair && sent.nominates => {
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
            .min_by_key(|(_, pair)| (!pair.lan, pair.proved));
        let Some(&(pair, best)) = best else { return };
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

    fn probe(&mut self, now: Instant, pair: usize, ttl: Option<u8>, nominate: bool) {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let mut probe = Builder::request(Method::Probe, transaction).attempt(self.keys.attempt);
        if nominate {
            probe = probe.use_candidate();
        }
        let probe = probe.finish_authentic(&self.keys.outgoing);
        self.pairs[pair].note_sent(now, transaction, nominate);
        self.probes += 1;
        self.push(self.pairs[pair].remote, ttl, probe);
    }

    fn confirm(&mut self, pair: usize) {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let confirmation = Builder::indication(Method::Probe, transaction)
            .attempt(self.keys.attempt)
            .use_candidate()
            .finish_authentic(&self.keys.outgoing);
        self.push(self.pairs[pair].remote, None, confirmation);
    }

    fn push(&mut self, to: SocketAddr, ttl: Option<u8>, payload: Vec<u8>) {
        self.transmits.push_back(Transmit {
            socket: 0,
            to,
            ttl,
            payload,
        });
    }

    fn fail(&mut self) {
        self.state = State::Ended;
        self.events.push_back(Event::Failed(self.observed));
    }

    fn finish(&mut self) {
        self.state = State::Ended;
        self.events.push_back(Event::Finished);
    }
}

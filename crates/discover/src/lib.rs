//! Which NAT stands between this host and a STUN server (RFC 5780), in one
//! round trip plus, where something stays silent, one wait.
//!
//! All tests run at once, each with several sends. The *mapping* socket asks
//! the server at two addresses and two ports for the source that it sees. The
//! *filtering* sockets, which never speak to anything but the server's first
//! address, ask it to answer from elsewhere; on the mapping socket such a
//! packet would be solicited, or would spoil the mappings still to be measured.
//!
//! In the same wait, the *early* socket lets the server's other address send to
//! it first and only then sends there, if ports are not kept, ten more
//! sockets show how they are chosen, and the server is asked what came back of
//! its packets that were not let in.
//!
//! A verdict from silence needs a server that has proved to be able to speak
//! from there, and so many silent sends that loss, as seen on the other tests,
//! does not explain them; until then more are sent.
//!
//! Call order: [`Discover::new`], then [`poll_transmit`](Discover::poll_transmit)
//! until it is empty and [`poll_timeout`](Discover::poll_timeout) after every
//! `handle_*`, until [`report`](Discover::report) has something.
//! Hairpinning and lifetimes are not looked at.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod allocation;
mod births;
mod config;
mod early;
mod hairpin;
mod lifetime;
mod path;
mod port_mapping;
mod report;
mod rfc4787;
mod transaction;
mod trial;
mod unsolicited;
mod verdict;

#[cfg(test)]
mod further_tests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use stun::{Class, Icmp, IcmpReason, Message, Method};

use sansio::{Datagram, IcmpError, Input, Protocol, SocketId, Transmit};

pub use allocation::{Allocation, Sample, Spray};
pub use config::{BLIND_WAIT, Config, MIN_WAIT};
pub use hairpin::{Hairpin, HairpinReport, Source};
pub use lifetime::{Lifetime, LifetimeReport};
pub use path::{Path, PathReport};
pub use port_mapping::{NatPmp, Pcp, PortMapping, UpnpIgd};
pub use report::{
    Asks, Cause, CauseCode, Confidence, Determinism, Evidence, Note, NoteCode, Report, Verdict,
};
pub use rfc4787::{Compliance, Requirement, sheet};
use trial::{Answer, Trial};
pub use unsolicited::Unsolicited;

/// The mapping socket.
const MAPPING: SocketId = 0;
/// Ask for an answer from the other address and port. Two sockets, because one
/// may have got a port that another program has just spoken to the server from.
const FILTERING_ADDRESS: [SocketId; 2] = [1, 2];
/// Ask for an answer from the other port, two as well.
const FILTERING_PORT: [SocketId; 2] = [3, 4];
/// Lets the other address send first, and then sends there.
const EARLY: SocketId = 5;
/// Show how the NAT chooses ports, where it does not just keep ours.
const ALLOCATION: Range<SocketId> = 6..16;

/// How many sockets it may want, numbered from 0. The hands open each before
/// the first datagram on it is sent: fresh, on a port of the system's choice.
pub const SOCKETS: usize = ALLOCATION.end;

/// What an answer that should be there by now may be late, beside half a round trip.
const MARGIN: Duration = Duration::from_millis(4);

/// Enough to tell filtering from the loss of every second round trip.
const BATCHES: u32 = 5;

/// One measurement.
#[derive(Debug)]
pub struct Discover {
    config: Config,
    started: Instant,
    /// By socket; an unspecified address until it is opened.
    locals: Vec<SocketAddr>,
    rng: ChaCha20Rng,
    trials: Vec<Trial>,
    batches: u32,
    /// OTHER-ADDRESS of the first answer: it is relative to the address that
    /// was asked, so a later one may name the address we started from.
    other: Option<SocketAddr>,
    /// Round trip to the server's host, by other means than UDP.
    host_is_up: Option<Duration>,
    rejected_by: Option<(IpAddr, Icmp)>,
    outbox: VecDeque<Transmit>,
    report: Option<Report>,
}

impl Discover {
    /// Starts at once. `local` is the first socket's own address, with the IP
    /// address that the system uses towards the server, not the wildcard.
    pub fn new(now: Instant, config: Config, local: SocketAddr, seed: [u8; 32]) -> Self {
        let [s1, s2] = [Some(config.s1), config.s2];
        let mut discover = Self {
            started: now,
            locals: vec![local],
            rng: ChaCha20Rng::from_seed(seed),
            trials: Vec::new(),
            batches: 1,
            other: None,
            host_is_up: None,
            rejected_by: None,
            outbox: VecDeque::new(),
            report: None,
            config,
        };
        for to in [s1, s2].into_iter().flatten() {
            discover.add(now, MAPPING, to, Asks::Mapping);
        }
        let s1 = discover.config.s1;
        for socket in FILTERING_ADDRESS {
            discover.add(now, socket, s1, Asks::OtherAddress);
        }
        for socket in FILTERING_PORT {
            discover.add(now, socket, s1, Asks::OtherPort);
        }
        discover.add(now, EARLY, s1, Asks::Allocation);
        discover.add(now, EARLY, s1, Asks::EarlyInbound);
        discover.handle_timeout(now);
        discover
    }

    /// The server's host has answered something else than UDP (a TCP segment,
    /// even a reset) after `round_trip`: if UDP stays silent, it is blocked.
    pub fn handle_reachable(&mut self, round_trip: Duration) {
        self.host_is_up = Some(round_trip);
    }

    /// Has anything answered yet? Until then the hands do well to find out
    /// whether the server's host is up: see [`handle_reachable`](Self::handle_reachable).
    pub fn is_answered(&self) -> bool {
        self.trials.iter().any(Trial::is_answered)
    }

    /// What was found, once it is.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// What is not an answer to a request of ours is ignored.
    fn answered(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Datagram {
            socket,
            from,
            payload,
            ..
        } = datagram;
        let Ok(message) = Message::parse(payload) else {
            return;
        };
        if message.method() != Method::Binding
            || !matches!(message.class(), Class::Success | Class::Error)
        {
            return;
        }
        let answered = self.trials.iter_mut().find_map(|trial| {
            (trial.socket == socket)
                .then(|| trial.accept(now, from, &message))
                .flatten()
        });
        let Some(answer) = answered else { return };
        self.learn(now, &answer);
        self.sample_ports(now);
        self.send_due(now);
        self.conclude(now);
    }

    /// Port unreachable or prohibited: from the server itself it means that
    /// nothing listens there or that its firewall refuses, from another that a
    /// box on the way refuses.
    fn refused(&mut self, now: Instant, error: IcmpError<'_>) {
        let refusal = error.reason().is_some_and(IcmpReason::is_refusal);
        if refusal && error.to == self.config.s1 {
            self.rejected_by = Some((error.offender, error.icmp));
            self.conclude(now);
        }
    }

    fn add(&mut self, now: Instant, socket: SocketId, to: SocketAddr, asks: Asks) {
        let (tries, spacing) = match asks {
            Asks::EarlyInbound => (early::SENDS, early::SPACING),
            _ => (self.config.tries.max(2), self.config.spacing),
        };
        let same = |t: &Trial| (t.socket, t.to, t.asks) == (socket, to, asks);
        if !self.trials.iter().any(same) {
            let mut trial = Trial::new(socket, to, asks);
            trial.schedule(now, tries, spacing);
            self.trials.push(trial);
        }
    }

    /// The first answer tells the other address and port; then ask there, too.
    fn learn(&mut self, now: Instant, answer: &Answer) {
        let s1 = self.config.s1;
        if self.other.is_some() || answer.asked != s1 {
            return;
        }
        // Our sockets are of one family, and port 0 is nowhere.
        let usable = |other: &SocketAddr| other.is_ipv4() == s1.is_ipv4() && other.port() != 0;
        let Some(other) = answer.other.filter(usable) else {
            return;
        };
        self.other = Some(other);
        if self.config.s2.is_none() && other.ip() != s1.ip() {
            let same_port = SocketAddr::new(other.ip(), s1.port());
            self.add(now, MAPPING, same_port, Asks::Mapping);
        }
        if other.port() != s1.port() {
            let other_port = SocketAddr::new(s1.ip(), other.port());
            self.add(now, MAPPING, other_port, Asks::Mapping);
        }
    }

    /// Where ports are not kept, how they are chosen takes more mappings to see.
    fn sample_ports(&mut self, now: Instant) {
        let s1 = self.config.s1;
        let local = |t: &Trial| self.locals[t.socket].port();
        let moved = |t: &Trial| t.mapped().is_some_and(|mapped| mapped.port() != local(t));
        let usual = |t: &&Trial| t.asks.is_plain() && t.asks != Asks::AfterEarly;
        if self.config.survey || self.trials.iter().filter(usual).any(moved) {
            for socket in ALLOCATION {
                self.add(now, socket, s1, Asks::Allocation);
            }
            // Two of them ask wherever the mapping socket does, as witnesses.
            let places = self.trials.iter().filter(|t| t.asks == Asks::Mapping);
            let places: Vec<SocketAddr> = places.map(|t| t.to).collect();
            for to in places {
                for socket in ALLOCATION.take(2) {
                    self.add(now, socket, to, Asks::Allocation);
                }
            }
        }
    }

    fn send_due(&mut self, now: Instant) {
        for trial in &mut self.trials {
            while let Some(request) = trial.next_request(now, &mut self.rng) {
                self.outbox.push_back(request);
            }
        }
    }

    fn conclude(&mut self, now: Instant) {
        if self.report.is_some() {
            return;
        }
        let heard = self.is_answered();
        let settled = match heard {
            true => self.trials.iter().all(|t| self.is_settled(t)) && self.early_at().is_none(),
            // Somebody has answered for the server: no answer of its own will come.
            false => self.rejected_by.is_some(),
        };
        let sending = self.tests().any(|t| t.due().is_some());
        let sending = sending || self.early_at().is_some();
        if !settled && (sending || now < self.deadline()) {
            return;
        }
        if !settled && heard && self.batches < BATCHES && self.send_more(now) {
            self.batches += 1;
            return;
        }
        self.report = Some(verdict::judge(self, now));
        self.outbox.clear();
    }

    /// The trials that there is a wait for: the question what came back is
    /// asked while others are waited for, or in vain.
    fn tests(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|t| t.asks != Asks::Unsolicited)
    }

    /// Nothing more is to be learnt from this trial by waiting.
    fn is_settled(&self, trial: &Trial) -> bool {
        trial.is_answered()
            || match trial.asks {
                Asks::Mapping | Asks::Allocation | Asks::AfterEarly => false,
                Asks::EarlyInbound | Asks::Unsolicited => true,
                // Without another address or port the server cannot do it.
                Asks::OtherAddress => self.s1_answered() && self.other.is_none(),
                Asks::OtherPort => {
                    (self.s1_answered() && self.other.is_none()) || self.lets_anyone_in()
                }
            }
    }

    /// Both witnesses have heard from an address that they have not sent to.
    fn lets_anyone_in(&self) -> bool {
        trial::let_in(&self.trials, Asks::OtherAddress)
    }

    fn s1_answered(&self) -> bool {
        let s1 = self.config.s1;
        self.trials
            .iter()
            .any(|t| t.to == s1 && t.asks == Asks::Mapping && t.is_answered())
    }

    /// Another batch for the silent trials whose silence is not yet telling,
    /// and for those that get answers: they measure the loss meanwhile.
    fn send_more(&mut self, now: Instant) -> bool {
        let loss = trial::loss(&self.trials);
        let (tries, spacing) = (self.config.tries.max(2), self.config.spacing);
        let is_open = |t: &&Trial| !self.is_settled(t) && !t.silence_is_telling(loss);
        let open = self.trials.iter().filter(is_open).count();
        if open > 0 {
            let again = |t: &&mut Trial| !t.asks.is_enough_once() || !t.is_answered();
            // Nothing is early any more once it has been sent to.
            let again = |t: &&mut Trial| {
                again(t) && !matches!(t.asks, Asks::EarlyInbound | Asks::Unsolicited)
            };
            for trial in self.trials.iter_mut().filter(again) {
                trial.schedule(now, tries, spacing);
            }
        }
        open > 0
    }

    fn deadline(&self) -> Instant {
        let last = self.tests().filter_map(Trial::last_sent).max();
        let last = last.unwrap_or(self.started);
        let measured = trial::usual_round_trip(&self.trials);
        match (self.config.wait, measured.or(self.host_is_up)) {
            (Some(wait), _) => last + wait,
            (None, Some(round_trip)) => last + MIN_WAIT.max(3 * round_trip),
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
        self.let_early_in(now);
        self.ask_bounced(now);
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
        let sends = self.tests().filter_map(Trial::due);
        let next = sends.chain(self.early_at()).min();
        let next = next.unwrap_or_else(|| self.deadline());
        let questions = self.trials.iter().filter_map(Trial::due);
        let question = questions.chain(self.bounced_at()).min();
        Some(question.map_or(next, |at| next.min(at)))
    }
}

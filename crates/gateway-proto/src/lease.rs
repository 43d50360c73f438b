//! A port that the gateway maps for us: which protocol is asked, when it is
//! renewed, and that it is given back.
//!
//! [`Lease::new`], then carry out what [`poll_action`](Lease::poll_action) says,
//! all at once, and report how each ended: a `Find` through `handle_found` or
//! `handle_missing`, a `Map` through `handle_granted` or `handle_failed`, a
//! `Release` through `handle_released`. Call
//! [`handle_timeout`](Lease::handle_timeout) when
//! [`poll_timeout`](Lease::poll_timeout) says so, and read
//! [`poll_event`](Lease::poll_event). After [`close`](Lease::close) go on until
//! [`is_closed`](Lease::is_closed).
//!
//! All protocols are asked at once what they are, which maps nothing; then one
//! at a time, in the order of their answers, is asked to map. So there is never
//! a mapping that nobody gives back, nor two that are one in the gateway's eyes.
//!
//! It does not speak the protocols, and does not notice that the host has moved
//! to another network: that is another lease.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::is_private;

#[cfg(test)]
mod tests;
mod types;

pub use types::{Action, Config, Event, Grant, Mapped, Protocol, Refusal};

/// What is asked for: two hours, as RFC 6886 §3.3 recommends.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// No grant is believed to last longer, so that one is always renewed.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A shorter one is none.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// A renewal that failed is tried again after half of what is left, and not
/// sooner than this.
const SOONEST: Duration = Duration::from_millis(500);
/// Before a network whose gateway maps nothing is asked again.
pub const REST: Duration = Duration::from_secs(5 * 60);

/// The mapping of one inner port.
#[derive(Debug)]
pub struct Lease {
    config: Config,
    state: State,
    /// Spoken and not yet asked to map.
    found: VecDeque<Protocol>,
    refused: Vec<(Protocol, Refusal)>,
    /// The `Map` whose end is not known.
    mapping: Option<Protocol>,
    releasing: usize,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Seeking,
    Held {
        mapped: Mapped,
        renew: Instant,
        over: Instant,
    },
    Resting(Instant),
    Closed,
}

impl Lease {
    /// Begins to ask.
    pub fn new(mut config: Config) -> Self {
        let mut once = Vec::new();
        config.protocols.retain(|&protocol| {
            let new = !once.contains(&protocol);
            once.push(protocol);
            new
        });
        config.lifetime = config.lifetime.clamp(SHORTEST, LONGEST);
        let mut lease = Self {
            config,
            state: State::Seeking,
            found: VecDeque::new(),
            refused: Vec::new(),
            mapping: None,
            releasing: 0,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        };
        lease.seek();
        lease
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Held { over, .. } if self.mapping.is_some() => Some(over),
            State::Held { renew, .. } => Some(renew),
            State::Resting(until) => Some(until),
            State::Seeking | State::Closed => None,
        }
    }

    /// Closed, and nothing is left at the gateway that could be given back.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed) && self.mapping.is_none() && self.releasing == 0
    }

    /// The gateway speaks this.
    pub fn handle_found(&mut self, now: Instant, protocol: Protocol) {
        if matches!(self.state, State::Seeking) {
            self.found.push_back(protocol);
            self.go_on(now);
        }
    }

    /// It does not, as far as it can be told.
    pub fn handle_missing(&mut self, now: Instant, protocol: Protocol, why: Refusal) {
        if matches!(self.state, State::Seeking) {
            self.refuse(now, protocol, why);
        }
    }

    /// It has mapped the port, or renewed it.
    pub fn handle_granted(&mut self, now: Instant, protocol: Protocol, grant: Grant) {
        self.mapping = None;
        let lifetime = grant.lifetime.min(LONGEST);
        let flaw = if grant.external.port() == 0 || lifetime < SHORTEST {
            Some(Refusal::Worthless)
        } else if self.is_believable(grant.external.ip()) {
            None
        } else {
            Some(Refusal::NotPublic(grant.external.ip()))
        };
        let held = match &self.state {
            State::Closed => return self.release(protocol),
            State::Held { mapped, .. } => Some(*mapped),
            State::Seeking | State::Resting(_) => None,
        };
        if let Some(flaw) = flaw {
            self.release(protocol);
            return match held {
                Some(_) => self.lose(flaw),
                None => self.refuse(now, protocol, flaw),
            };
        }
        let mapped = Mapped {
            external: grant.external,
            protocol,
            lifetime,
        };
        self.state = State::Held {
            mapped,
            renew: now + lifetime / 2,
            over: now + lifetime,
        };
        self.found.clear();
        self.refused.clear();
        if held.is_none_or(|old| old.external != mapped.external) {
            self.events.push_back(Event::Mapped(mapped));
        }
    }

    /// It did not map, or did not renew.
    pub fn handle_failed(&mut self, now: Instant, protocol: Protocol, why: Refusal) {
        self.mapping = None;
        match &mut self.state {
            State::Held { renew, over, .. } => {
                *renew = now + ((*over - now) / 2).max(SOONEST);
                if *renew >= *over {
                    self.release(protocol);
                    self.lose(why);
                }
            }
            State::Seeking => {
                // The answer may be all that was lost.
                if why == Refusal::Silent {
                    self.release(protocol);
                }
                self.refuse(now, protocol, why);
            }
            State::Closed => self.release(protocol),
            State::Resting(_) => {}
        }
    }

    /// It was given back, or that was tried.
    pub fn handle_released(&mut self, now: Instant) {
        self.releasing = self.releasing.saturating_sub(1);
        if matches!(self.state, State::Seeking) {
            self.go_on(now);
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Held { over, .. } if now >= over => self.lose(Refusal::Silent),
            State::Held { mapped, renew, .. } if now >= renew && self.mapping.is_none() => {
                self.map(mapped.protocol, Some(mapped.external));
            }
            State::Resting(until) if now >= until => self.seek(),
            _ => {}
        }
    }

    /// Gives back what there is, and asks for nothing more.
    pub fn close(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        // What has not been begun need not be; what is given back already, must.
        self.actions.retain(|action| match action {
            Action::Release(_) => true,
            Action::Map { .. } => {
                self.mapping = None;
                false
            }
            Action::Find(_) => false,
        });
        // While it is being mapped or renewed, its end is waited for: a gateway
        // may take the two in another order.
        if let (State::Held { mapped, .. }, None) = (state, self.mapping) {
            self.release(mapped.protocol);
        }
    }

    fn seek(&mut self) {
        self.state = State::Seeking;
        self.found.clear();
        self.refused.clear();
        let protocols = self.config.protocols.iter();
        self.actions.extend(protocols.map(|&p| Action::Find(p)));
    }

    fn map(&mut self, protocol: Protocol, external: Option<SocketAddr>) {
        self.mapping = Some(protocol);
        self.actions.push_back(Action::Map {
            protocol,
            external,
            lifetime: self.config.lifetime,
        });
    }

    fn release(&mut self, protocol: Protocol) {
        self.releasing += 1;
        self.actions.push_back(Action::Release(protocol));
    }

    fn lose(&mut self, why: Refusal) {
        self.events.push_back(Event::Lost(why));
        self.seek();
    }

    fn refuse(&mut self, now: Instant, protocol: Protocol, why: Refusal) {
        if !self.refused.iter().any(|(refused, _)| *refused == protocol) {
            self.refused.push((protocol, why));
        }
        self.go_on(now);
    }

    /// Asks the next one to map, or rests. Not while something is under way
    /// that the gateway may take for the same.
    fn go_on(&mut self, now: Instant) {
        if self.mapping.is_some() || self.releasing > 0 {
            return;
        }
        if let Some(protocol) = self.found.pop_front() {
            self.map(protocol, None);
        } else if self.refused.len() == self.config.protocols.len() {
            let refused = std::mem::take(&mut self.refused);
            self.events.push_back(Event::Nothing(refused));
            self.state = State::Resting(now + REST);
        }
    }

    /// Can anybody out there send to it?
    fn is_believable(&self, ip: IpAddr) -> bool {
        let nobody = match ip {
            IpAddr::V4(v4) => matches!(v4.octets(), [0 | 127 | 224.., ..]),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_multicast(),
        };
        self.config.observed.contains(&ip) || !(nobody || is_private(ip))
    }
}

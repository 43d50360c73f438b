//! A port that the gateway maps for us: which protocol is asked, when the mapping
//! is renewed, and that it is given back.
//!
//! After [`Lease::new`], carry out the actions of
//! [`poll_action`](Lease::poll_action), all of them at the same time, and report
//! how each ended: a `Find` by `handle_found` or `handle_missing`, a `Map` by
//! `handle_granted` or `handle_failed`, a `Release` by `handle_released`. Call
//! [`handle_timeout`](Lease::handle_timeout) at the time of
//! [`poll_timeout`](Lease::poll_timeout), and read
//! [`poll_event`](Lease::poll_event). After [`close`](Lease::close) go on until
//! [`is_closed`](Lease::is_closed).
//!
//! The gateway is first asked by all protocols at once whether it speaks them,
//! which maps nothing. Then it is asked for the mapping by one protocol at a
//! time, in the order in which they answered. So no mapping is left without
//! somebody who gives it back, and no two protocols ask for the same mapping.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::is_private;

#[cfg(test)]
mod tests;
mod types;

pub use types::{Action, Config, Event, Grant, Mapped, MappingProtocol, Refusal};

/// The lifetime that is asked for: two hours, as RFC 6886 §3.3 recommends.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// A longer lifetime counts as this one, so that every mapping is renewed.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A mapping with a shorter lifetime is refused.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// A renewal that failed is tried again after half of the remaining lifetime, but
/// not before this time.
const SOONEST: Duration = Duration::from_millis(500);
/// How long a gateway that gave no mapping is left alone before it is asked
/// again.
pub const REST: Duration = Duration::from_secs(5 * 60);

/// The mapping of one inside port.
#[derive(Debug)]
pub struct Lease {
    config: Config,
    state: State,
    /// The protocols that answered and were not asked for the mapping yet.
    found: VecDeque<MappingProtocol>,
    refused: Vec<(MappingProtocol, Refusal)>,
    /// The protocol of the `Map` that was not reported yet.
    mapping: Option<MappingProtocol>,
    /// The number of `Release`s that were not reported yet.
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
    /// Begins: the first actions are there at once.
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

    /// The next action to carry out.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next event.
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

    /// Whether the lease was closed and everything that could be given back was.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed) && self.mapping.is_none() && self.releasing == 0
    }

    /// A `Find` ended: the gateway speaks this protocol.
    pub fn handle_found(&mut self, now: Instant, protocol: MappingProtocol) {
        if matches!(self.state, State::Seeking) {
            tracing::debug!(%protocol, "the gateway speaks this protocol");
            self.found.push_back(protocol);
            self.ask_next(now);
        }
    }

    /// A `Find` ended: the gateway does not speak this protocol, or no answer
    /// came.
    pub fn handle_missing(&mut self, now: Instant, protocol: MappingProtocol, why: Refusal) {
        if matches!(self.state, State::Seeking) {
            self.refuse(now, protocol, why);
        }
    }

    /// A `Map` ended: the gateway has mapped the port, or renewed the mapping.
    pub fn handle_granted(&mut self, now: Instant, protocol: MappingProtocol, grant: Grant) {
        self.mapping = None;
        let lifetime = grant.lifetime.min(LONGEST);
        let flaw = if grant.external.port() == 0 || lifetime < SHORTEST {
            Some(Refusal::Unusable)
        } else if self.is_usable(grant.external.ip()) {
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
            tracing::debug!(%protocol, external = %grant.external, %flaw, "mapping refused");
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
        let external = mapped.external;
        tracing::debug!(%protocol, %external, ?lifetime, "port mapped");
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

    /// A `Map` ended: the gateway refused, or no answer came.
    pub fn handle_failed(&mut self, now: Instant, protocol: MappingProtocol, why: Refusal) {
        self.mapping = None;
        tracing::debug!(%protocol, %why, "not mapped");
        match &mut self.state {
            State::Held { renew, over, .. } => {
                *renew = now + ((*over - now) / 2).max(SOONEST);
                if *renew >= *over {
                    self.release(protocol);
                    self.lose(why);
                }
            }
            State::Seeking => {
                // It may have mapped the port, and the answer was lost.
                if why == Refusal::Silent {
                    self.release(protocol);
                }
                self.refuse(now, protocol, why);
            }
            State::Closed => self.release(protocol),
            State::Resting(_) => {}
        }
    }

    /// A `Release` ended, whether or not the gateway answered.
    pub fn handle_released(&mut self, now: Instant) {
        self.releasing = self.releasing.saturating_sub(1);
        if matches!(self.state, State::Seeking) {
            self.ask_next(now);
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

    /// Gives the mapping back, and asks for no other.
    pub fn close(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        // Actions that were not begun need not be, except for releases.
        self.actions.retain(|action| match action {
            Action::Release(_) => true,
            Action::Map { .. } => {
                self.mapping = None;
                false
            }
            Action::Find(_) => false,
        });
        // While the port is being mapped or the mapping renewed, the release
        // waits for the end of that: a gateway may handle the two in another
        // order.
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

    fn map(&mut self, protocol: MappingProtocol, external: Option<SocketAddr>) {
        self.mapping = Some(protocol);
        self.actions.push_back(Action::Map {
            protocol,
            external,
            lifetime: self.config.lifetime,
        });
    }

    fn release(&mut self, protocol: MappingProtocol) {
        self.releasing += 1;
        self.actions.push_back(Action::Release(protocol));
    }

    fn lose(&mut self, why: Refusal) {
        tracing::debug!(%why, "mapping lost");
        self.events.push_back(Event::Lost(why));
        self.seek();
    }

    fn refuse(&mut self, now: Instant, protocol: MappingProtocol, why: Refusal) {
        if !self.refused.iter().any(|(refused, _)| *refused == protocol) {
            self.refused.push((protocol, why));
        }
        self.ask_next(now);
    }

    /// Asks by the next protocol, or waits for [`REST`] when all have refused.
    /// Not while another `Map` or `Release` is under way, which the gateway may
    /// take for the same mapping.
    fn ask_next(&mut self, now: Instant) {
        if self.mapping.is_some() || self.releasing > 0 {
            return;
        }
        if let Some(protocol) = self.found.pop_front() {
            self.map(protocol, None);
        } else if self.refused.len() == self.config.protocols.len() {
            let refused = std::mem::take(&mut self.refused);
            tracing::debug!(?refused, again = ?REST, "no protocol gives a mapping");
            self.events.push_back(Event::Nothing(refused));
            self.state = State::Resting(now + REST);
        }
    }

    /// Whether hosts outside can send to this address.
    fn is_usable(&self, ip: IpAddr) -> bool {
        let special = match ip {
            IpAddr::V4(v4) => matches!(v4.octets(), [0 | 127 | 224.., ..]),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_multicast(),
        };
        self.config.observed.contains(&ip) || !(special || is_private(ip))
    }
}

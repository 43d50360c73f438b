//! A UDP port that the gateway maps for us: which protocol is used, when the
//! mapping is renewed, and when it is given back.
//!
//! ```text
//! Lease::new ──► Seeking ──── every protocol failed ────► Paused
//!                │  ▲  ▲                                    │
//!   accepted     │  │  └─────── PAUSE_AFTER_FAILURE ────────┘
//!   grant        │  │
//!                ▼  │  a renewal's grant was rejected,
//!                Held  or the lifetime ended without a renewal
//!
//! close() in any state ──► Closed
//! ```
//!
//! The driver carries out the actions of [`poll_action`](Lease::poll_action), all
//! of them at the same time, and reports the end of each by one call:
//!
//! | action | report | what follows |
//! |---|---|---|
//! | `Find` | [`handle_found`](Lease::handle_found) | a `Map` by this protocol, when no other `Map` or `Release` is in progress |
//! | | [`handle_missing`](Lease::handle_missing) | `Event::Nothing`, if every protocol failed |
//! | `Map` | [`handle_granted`](Lease::handle_granted), grant accepted | `Event::Mapped`, if the mapping is new or its outside endpoint changed |
//! | | `handle_granted`, first grant rejected | a `Release`; after it a `Map` by the next protocol, or `Event::Nothing` if every protocol failed |
//! | | `handle_granted`, renewal rejected | a `Release`, `Event::Lost` and a `Find` for each protocol |
//! | | [`handle_failed`](Lease::handle_failed), first `Map` | a `Release` if no answer came; after it a `Map` by the next protocol, or `Event::Nothing` if every protocol failed |
//! | | `handle_failed`, renewal | another `Map` later; or, if the lifetime ends before that, a `Release`, `Event::Lost` and a `Find` for each protocol |
//! | `Release` | [`handle_released`](Lease::handle_released) | a `Map` or `Event::Nothing` that waited for it |
//!
//! The driver also calls [`handle_timeout`](Lease::handle_timeout) at the time of
//! [`poll_timeout`](Lease::poll_timeout), and reads
//! [`poll_event`](Lease::poll_event) after each call. After
//! [`close`](Lease::close) it continues until [`is_closed`](Lease::is_closed): a
//! `Map` in progress is followed by a `Release`, and there is no new event.
//!
//! `Find` maps nothing, and goes out by all protocols at once. `Map` is sent by one
//! protocol at a time, in the order in which the gateway answered. So every mapping
//! is known to the lease, which gives it back, and no two protocols ask for the same
//! mapping.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::is_private;

#[cfg(test)]
mod tests;
mod types;

pub use types::{Action, Config, Event, Grant, Mapped, MappingProtocol, NoMapping};

/// The lifetime that is asked for by default: two hours, as RFC 6886 §3.3
/// recommends.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest lifetime, asked for or granted: a longer one is cut to this. So a
/// mapping that a gateway grants for ever is renewed too.
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest lifetime. A shorter one in [`Config`] is raised to this; a grant
/// with a shorter one is rejected.
pub const MIN_LIFETIME: Duration = Duration::from_secs(1);
/// The shortest delay after which a renewal that failed is tried again. The delay
/// is half of the remaining lifetime where that is longer.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(500);
/// The delay after every protocol failed, before the gateway is asked again.
pub const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5 * 60);

/// The mapping of one inside port.
#[derive(Debug)]
pub struct Lease {
    config: Config,
    state: State,
    /// While seeking: the protocols by which the gateway answered and was not asked
    /// for the mapping yet, in the order of the answers.
    protocols_found: VecDeque<MappingProtocol>,
    /// While seeking: the protocols that failed, with the first cause of each.
    failures: Vec<(MappingProtocol, NoMapping)>,
    /// Whether there is a `Map` whose end was not reported yet.
    map_in_progress: bool,
    /// The number of `Release`s whose end was not reported yet.
    releases_in_progress: usize,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    /// There is no mapping. The protocols are tried.
    Seeking,
    /// There is a mapping.
    Held {
        mapped: Mapped,
        /// When to ask for the renewal, unless it is in progress.
        renew_at: Instant,
        /// When the gateway removes the mapping if it is not renewed.
        expires_at: Instant,
    },
    /// There is no mapping, since every protocol failed. The gateway is not asked
    /// before `until`.
    Paused { until: Instant },
    /// The lease was closed. Only the end of a `Map` and `Release`s are awaited.
    Closed,
}

impl Lease {
    /// A lease whose [`poll_action`](Self::poll_action) returns a `Find` for each
    /// protocol.
    pub fn new(mut config: Config) -> Self {
        let mut once = Vec::new();
        config.protocols.retain(|&protocol| {
            let new = !once.contains(&protocol);
            once.push(protocol);
            new
        });
        config.lifetime = config.lifetime.clamp(MIN_LIFETIME, MAX_LIFETIME);
        let mut lease = Self {
            config,
            state: State::Seeking,
            protocols_found: VecDeque::new(),
            failures: Vec::new(),
            map_in_progress: false,
            releases_in_progress: 0,
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
            State::Held { expires_at, .. } if self.map_in_progress => Some(expires_at),
            State::Held { renew_at, .. } => Some(renew_at),
            State::Paused { until } => Some(until),
            State::Seeking | State::Closed => None,
        }
    }

    /// Whether [`close`](Self::close) was called and no `Map` or `Release` is in
    /// progress.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
            && !self.map_in_progress
            && self.releases_in_progress == 0
    }

    /// A `Find` ended: the gateway speaks this protocol.
    pub fn handle_found(&mut self, now: Instant, protocol: MappingProtocol) {
        if matches!(self.state, State::Seeking) {
            tracing::debug!(%protocol, "the gateway speaks this protocol");
            self.protocols_found.push_back(protocol);
            self.ask_next(now);
        }
    }

    /// A `Find` ended: the gateway does not speak this protocol, or no answer
    /// came.
    pub fn handle_missing(&mut self, now: Instant, protocol: MappingProtocol, why: NoMapping) {
        if matches!(self.state, State::Seeking) {
            self.note_failure(now, protocol, why);
        }
    }

    /// A `Map` ended: the gateway has mapped the port, or renewed the mapping. The
    /// grant is rejected if it is [`Unusable`](NoMapping::Unusable) or
    /// [`NotPublic`](NoMapping::NotPublic).
    pub fn handle_granted(&mut self, now: Instant, protocol: MappingProtocol, grant: Grant) {
        self.map_in_progress = false;
        let lifetime = grant.lifetime.min(MAX_LIFETIME);
        let flaw = if grant.external.port() == 0 || lifetime < MIN_LIFETIME {
            Some(NoMapping::Unusable)
        } else if self.is_observed_or_public(grant.external.ip()) {
            None
        } else {
            Some(NoMapping::NotPublic(grant.external.ip()))
        };
        let held = match &self.state {
            State::Closed => return self.release(protocol),
            State::Held { mapped, .. } => Some(*mapped),
            State::Seeking | State::Paused { .. } => None,
        };
        if let Some(flaw) = flaw {
            tracing::debug!(%protocol, external = %grant.external, %flaw, "granted mapping rejected");
            self.release(protocol);
            return match held {
                Some(_) => self.lose(flaw),
                None => self.note_failure(now, protocol, flaw),
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
            renew_at: now + lifetime / 2,
            expires_at: now + lifetime,
        };
        self.protocols_found.clear();
        self.failures.clear();
        if held.is_none_or(|old| old.external != mapped.external) {
            self.events.push_back(Event::Mapped(mapped));
        }
    }

    /// A `Map` ended without a grant: the gateway refused, or no answer came.
    pub fn handle_failed(&mut self, now: Instant, protocol: MappingProtocol, why: NoMapping) {
        self.map_in_progress = false;
        tracing::debug!(%protocol, %why, "not mapped");
        match &mut self.state {
            State::Held {
                renew_at,
                expires_at,
                ..
            } => {
                *renew_at = now + ((*expires_at - now) / 2).max(MIN_RETRY_DELAY);
                if *renew_at >= *expires_at {
                    self.release(protocol);
                    self.lose(why);
                }
            }
            State::Seeking => {
                // The gateway may have mapped the port, and its answer was lost.
                if why == NoMapping::Silent {
                    self.release(protocol);
                }
                self.note_failure(now, protocol, why);
            }
            State::Closed => self.release(protocol),
            State::Paused { .. } => {}
        }
    }

    /// A `Release` ended, whether or not the gateway answered.
    pub fn handle_released(&mut self, now: Instant) {
        self.releases_in_progress = self.releases_in_progress.saturating_sub(1);
        if matches!(self.state, State::Seeking) {
            self.ask_next(now);
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Held { expires_at, .. } if now >= expires_at => self.lose(NoMapping::Silent),
            State::Held {
                mapped, renew_at, ..
            } if now >= renew_at && !self.map_in_progress => {
                self.map(mapped.protocol, Some(mapped.external));
            }
            State::Paused { until } if now >= until => self.seek(),
            _ => {}
        }
    }

    /// Gives the mapping back, and asks for no other.
    pub fn close(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        // Of the actions that the driver has not polled yet, only releases are
        // still needed.
        self.actions.retain(|action| match action {
            Action::Release(_) => true,
            Action::Map { .. } => {
                self.map_in_progress = false;
                false
            }
            Action::Find(_) => false,
        });
        // While a `Map` is in progress, the release waits for its end: a gateway
        // may handle two requests in another order than ours.
        if let State::Held { mapped, .. } = state
            && !self.map_in_progress
        {
            self.release(mapped.protocol);
        }
    }

    fn seek(&mut self) {
        self.state = State::Seeking;
        self.protocols_found.clear();
        self.failures.clear();
        let protocols = self.config.protocols.iter();
        self.actions.extend(protocols.map(|&p| Action::Find(p)));
    }

    fn map(&mut self, protocol: MappingProtocol, external: Option<SocketAddr>) {
        self.map_in_progress = true;
        self.actions.push_back(Action::Map {
            protocol,
            external,
            lifetime: self.config.lifetime,
        });
    }

    fn release(&mut self, protocol: MappingProtocol) {
        self.releases_in_progress += 1;
        self.actions.push_back(Action::Release(protocol));
    }

    fn lose(&mut self, why: NoMapping) {
        tracing::debug!(%why, "mapping lost");
        self.events.push_back(Event::Lost(why));
        self.seek();
    }

    /// This protocol gave no mapping, or one that was rejected.
    fn note_failure(&mut self, now: Instant, protocol: MappingProtocol, why: NoMapping) {
        if !self.failures.iter().any(|(failed, _)| *failed == protocol) {
            self.failures.push((protocol, why));
        }
        self.ask_next(now);
    }

    /// Asks for the mapping by the next protocol found, or pauses for
    /// [`PAUSE_AFTER_FAILURE`] if every protocol failed. While a `Map` or `Release`
    /// is in progress it does nothing: the gateway may take the requests of two
    /// protocols for requests about one mapping.
    fn ask_next(&mut self, now: Instant) {
        if self.map_in_progress || self.releases_in_progress > 0 {
            return;
        }
        if let Some(protocol) = self.protocols_found.pop_front() {
            self.map(protocol, None);
        } else if self.failures.len() == self.config.protocols.len() {
            let failures = std::mem::take(&mut self.failures);
            tracing::debug!(?failures, pause = ?PAUSE_AFTER_FAILURE, "no protocol gives a mapping");
            self.events.push_back(Event::Nothing(failures));
            self.state = State::Paused {
                until: now + PAUSE_AFTER_FAILURE,
            };
        }
    }

    /// Whether a server saw us at this address, or it is a public unicast address.
    fn is_observed_or_public(&self, ip: IpAddr) -> bool {
        let special = match ip {
            IpAddr::V4(v4) => matches!(v4.octets(), [0 | 127 | 224.., ..]),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_multicast(),
        };
        self.config.observed.contains(&ip) || !(special || is_private(ip))
    }
}

//! One side of one attempt by TCP.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::link::{Link, LinkId, Meaning, Origin, Purpose, Stranger, TIMEOUT};
use super::{Command, Event, Failure, Path};
use crate::punch::schedule::{LAN_HEAD_START, LAST_WAIT};
use nat::plan::Role;
use session::seal::Keys;

/// Connections to one address, one after the other, at most.
pub const MOST_TRIES: u32 = 16;

/// Of these, the first twelve follow each other after a pause, the others after four.
const FAST: u32 = 12;

/// Bounds of the fixed part of a pause, and of the random part.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
const MOST_PAUSE: Duration = Duration::from_millis(50);
const LEAST_RANDOM: Duration = Duration::from_millis(40);
const MOST_RANDOM: Duration = Duration::from_millis(300);

/// Taken for the round trip where a connection has not ended by a reset.
const UNKNOWN: Duration = Duration::from_millis(75);

/// Accepted connections that have brought nothing authentic, at most.
const MOST_STRANGERS: usize = 8;

/// What an attempt starts from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which side we are.
    pub role: Role,
    /// The keys of the attempt.
    pub keys: Keys,
    /// The addresses of the peer, already filtered.
    pub targets: Vec<SocketAddr>,
    /// Both sides have the same public address, so a LAN path is waited for.
    pub lan_likely: bool,
    /// When to give up at the latest.
    pub deadline: Instant,
    /// Random.
    pub seed: [u8; 32],
}

/// What was seen of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Connections that were tried.
    pub tries: u32,
    /// An address of the peer that answered with a reset.
    pub refused: Option<SocketAddr>,
    /// Connections whose other end did not have the keys.
    pub strangers: u32,
}

/// An address of the peer.
#[derive(Debug)]
struct Remote {
    remote: SocketAddr,
    tries: u32,
    /// When to try again; `None` while a try is under way.
    next: Option<Instant>,
}

/// One side of one attempt.
#[derive(Debug)]
pub struct Agent {
    role: Role,
    keys: Keys,
    targets: Vec<Remote>,
    links: Vec<Link>,
    next_link: LinkId,
    /// Until when a LAN path is waited for.
    lan_until: Instant,
    nominated: Option<LinkId>,
    deadline: Instant,
    /// Once nothing is under way on our side: until when the peer is waited for.
    idle_until: Option<Instant>,
    ended: bool,
    observed: Observed,
    rng: ChaCha20Rng,
    commands: VecDeque<Command>,
    event: Option<Event>,
    /// What came over the chosen connection after our messages.
    rest: Vec<u8>,
}

impl Agent {
    /// An attempt that starts at `now`. The driver has to listen by then.
    pub fn new(config: Config, now: Instant) -> Self {
        let targets = config.targets.into_iter().map(|remote| Remote {
            remote,
            tries: 0,
            next: Some(now),
        });
        let mut agent = Agent {
            role: config.role,
            keys: config.keys,
            targets: targets.collect(),
            links: Vec::new(),
            next_link: 0,
            lan_until: match config.lan_likely {
                true => now + LAN_HEAD_START,
                false => now,
            },
            nominated: None,
            deadline: config.deadline,
            idle_until: None,
            ended: false,
            observed: Observed::default(),
            rng: ChaCha20Rng::from_seed(config.seed),
            commands: VecDeque::new(),
            event: None,
            rest: Vec::new(),
        };
        agent.handle_timeout(now);
        agent
    }

    /// A connection that we make is established.
    pub fn handle_open(&mut self, now: Instant, id: LinkId) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.open = Some(now);
            self.ask(now, id, Purpose::Check);
        }
        self.settle(now);
    }

    /// A connection was accepted: its number, or `None` if it is to be closed.
    pub fn handle_accepted(&mut self, now: Instant, remote: SocketAddr) -> Option<LinkId> {
        let unknown = |link: &&Link| link.origin == Origin::Accepted && !link.heard;
        if self.ended || self.links.iter().filter(unknown).count() >= MOST_STRANGERS {
            tracing::debug!(%remote, "dropped: too many unknown connections, or too late");
            return None;
        }
        let id = self.add(now, remote, Origin::Accepted);
        if let Some(link) = self.links.last_mut() {
            link.open = Some(now);
        }
        self.settle(now);
        Some(id)
    }

    /// A connection could not be made.
    pub fn handle_failed(&mut self, now: Instant, id: LinkId, failure: Failure) {
        if let Some(link) = self.links.iter().find(|link| link.id == id) {
            tracing::debug!(remote = %link.remote, ?failure, "not connected");
            // A host candidate may be another host's address on our own network.
            if failure == Failure::Reset && (!link.lan || self.observed.refused.is_none()) {
                self.observed.refused = Some(link.remote);
            }
            let reset_after = now.saturating_duration_since(link.since);
            let wait = match failure {
                Failure::Reset => self.pause(reset_after),
                Failure::Other => self.pause(UNKNOWN),
            };
            self.forget(now, id, wait);
        }
        self.settle(now);
    }

    /// Bytes came over a connection.
    pub fn handle_bytes(&mut self, now: Instant, id: LinkId, bytes: &[u8]) {
        let found = |link: &&mut Link| link.id == id && link.open.is_some();
        if let Some(link) = self.links.iter_mut().find(found) {
            link.take(bytes);
        }
        while let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            match link.next(now, &self.keys) {
                Ok(Some(heard)) => {
                    let silent = !link.has_asked();
                    if let Some(bytes) = heard.answer {
                        self.commands.push_back(Command::Send { link: id, bytes });
                    }
                    match heard.meaning {
                        Meaning::Probe(Purpose::Nomination) if self.role == Role::Callee => {
                            self.connected(id);
                        }
                        // Our own probe proves the connection to us.
                        Meaning::Probe(_) if silent => self.ask(now, id, Purpose::Check),
                        Meaning::Answer(Purpose::Nomination) => self.connected(id),
                        Meaning::Probe(_) | Meaning::Answer(_) => {}
                    }
                }
                Ok(None) => break,
                Err(Stranger) => self.drop_stranger(now, id),
            }
        }
        self.settle(now);
    }

    /// A connection that was established has ended.
    pub fn handle_closed(&mut self, now: Instant, id: LinkId) {
        let wait = self.pause(UNKNOWN);
        self.forget(now, id, wait);
        self.settle(now);
    }

    /// To be called at the time that [`Self::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        let silent = |link: &&Link| {
            let since = link.open.filter(|_| link.proved.is_none());
            since.is_some_and(|open| open + TIMEOUT <= now)
        };
        let strangers = self.links.iter().filter(silent).map(|link| link.id);
        for id in Vec::from_iter(strangers) {
            self.drop_stranger(now, id);
        }
        for index in 0..self.targets.len() {
            self.try_target(now, index);
        }
        self.settle(now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let tries = self.targets.iter().filter_map(|target| target.next);
        let silent = self.links.iter().filter(|link| link.proved.is_none());
        let patience = silent.filter_map(|link| Some(link.open? + TIMEOUT));
        let proved = self.links.iter().any(|link| link.proved.is_some());
        let lan = (proved && self.nominated.is_none() && self.role == Role::Caller)
            .then_some(self.lan_until);
        tries
            .chain(patience)
            .chain(lan)
            .chain(self.idle_until)
            .chain([self.deadline])
            .min()
    }

    /// The next command to the driver.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// How the attempt has ended.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// What has come over the chosen connection and is not for the agent.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// Connections tried so far.
    pub fn tries(&self) -> u32 {
        self.observed.tries
    }

    fn add(&mut self, now: Instant, remote: SocketAddr, origin: Origin) -> LinkId {
        let id = self.next_link;
        self.next_link += 1;
        tracing::debug!(link = id, %remote, ?origin, "connection");
        self.links.push(Link::new(id, remote, origin, now));
        id
    }

    fn try_target(&mut self, now: Instant, index: usize) {
        let target = &mut self.targets[index];
        let remote = target.remote;
        if self.ended || target.next.is_none_or(|next| next > now) {
            return;
        }
        // Two connections cannot have the same two ends.
        if self.links.iter().any(|link| link.remote == remote) {
            target.next = Some(now + TIMEOUT);
            return;
        }
        target.next = None;
        target.tries += 1;
        self.observed.tries += 1;
        let link = self.add(now, remote, Origin::Made);
        self.commands
            .push_back(Command::Connect { link, to: remote });
    }

    fn ask(&mut self, now: Instant, id: LinkId, purpose: Purpose) {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            let bytes = link.ask(now, &self.keys, transaction, purpose);
            self.commands.push_back(Command::Send { link: id, bytes });
        }
    }

    fn drop_stranger(&mut self, now: Instant, id: LinkId) {
        tracing::debug!(link = id, "dropped: the other end does not have the keys");
        self.observed.strangers += 1;
        self.commands.push_back(Command::Close { link: id });
        let wait = self.pause(UNKNOWN);
        self.forget(now, id, wait);
    }

    /// How long to wait with the next try, from half a round trip to two and a half. The SYNs of both
    /// sides pass each other between the NATs if they leave within one way of each other. So the
    /// pause is short, or that is rare, and as random as a round trip is long, or two sides that have
    /// missed each other go on doing so.
    fn pause(&mut self, round_trip: Duration) -> Duration {
        let least = (round_trip / 2).clamp(LEAST_PAUSE, MOST_PAUSE);
        let random = (2 * round_trip).clamp(LEAST_RANDOM, MOST_RANDOM);
        let part = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        least + random.mul_f64(part)
    }

    /// That connection has ended. Its address is tried again after `wait`, if we try it.
    fn forget(&mut self, now: Instant, id: LinkId, wait: Duration) {
        let Some(index) = self.links.iter().position(|link| link.id == id) else {
            return;
        };
        let remote = self.links.remove(index).remote;
        if self.nominated == Some(id) {
            self.nominated = None;
        }
        if let Some(target) = self.targets.iter_mut().find(|t| t.remote == remote) {
            let wait = match target.tries {
                ..FAST => wait,
                _ => 4 * wait,
            };
            target.next = (target.tries < MOST_TRIES).then_some(now + wait);
        }
    }

    /// Acts on what has happened.
    fn settle(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        self.nominate(now);
        let busy = !self.links.is_empty() || self.targets.iter().any(|t| t.next.is_some());
        self.idle_until = match busy {
            true => None,
            false => self.idle_until.or(Some(now + LAST_WAIT)),
        };
        if self.idle_until.is_some_and(|until| until <= now) || self.deadline <= now {
            tracing::debug!(observed = ?self.observed, "no connection");
            self.end(None);
            self.event = Some(Event::Failed(self.observed));
        }
    }

    /// The caller chooses: a LAN path, or after a wait another one.
    fn nominate(&mut self, now: Instant) {
        if self.role == Role::Callee || self.nominated.is_some() {
            return;
        }
        let proved = || self.links.iter().filter(|link| link.proved.is_some());
        let best = proved().find(|link| link.lan);
        let best = best.or_else(|| proved().next().filter(|_| self.lan_until <= now));
        if let Some(id) = best.map(|link| link.id) {
            self.nominated = Some(id);
            tracing::debug!(link = id, "nominating");
            self.ask(now, id, Purpose::Nomination);
        }
    }

    fn connected(&mut self, id: LinkId) {
        let Some(link) = self.links.iter().find(|link| link.id == id) else {
            return;
        };
        let path = Path {
            link: id,
            remote: link.remote,
            lan: link.lan,
            rtt: link.proved,
        };
        if !self.ended {
            tracing::debug!(remote = %path.remote, rtt = ?path.rtt, "connected");
            self.end(Some(id));
            self.event = Some(Event::Connected(path));
        }
    }

    /// Closes everything but that connection.
    fn end(&mut self, but: Option<LinkId>) {
        self.ended = true;
        for link in self.links.drain(..) {
            match Some(link.id) == but {
                true => self.rest = link.into_rest(),
                false => self.commands.push_back(Command::Close { link: link.id }),
            }
        }
        self.targets.clear();
    }
}

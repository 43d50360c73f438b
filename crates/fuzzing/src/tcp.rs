//! An attempt by TCP, with a peer and strangers that send anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nat::plan::Role;
use peer_proto::tcp::{Agent, Command, Config, Failure, LinkId, MOST_TRIES};
use session::identity::Identity;
use session::seal::{Bound, Keys, Offer, Opened};
use stun::{Builder, Message, Method};

use crate::input::{Choices, at};

/// The keys of an attempt: the caller's, then the callee's.
fn keys() -> (Keys, Keys) {
    let (alice, bob) = (
        Identity::from_secret(&[1; 32]),
        Identity::from_secret(&[2; 32]),
    );
    let bound = Bound {
        caller: "alice",
        callee: "bob",
        fresh: [5; 8],
    };
    let sealed = Offer::new(&alice, &bob.public(), bound, b"", [3; 32]);
    let (mut offer, sealed) = sealed.expect("bob's key is one");
    let opened = Opened::new(&bob, &alice.public(), bound, &sealed, [4; 32]);
    let answer = opened.expect("bob's offer opens").answer(b"");
    let (answer, theirs) = answer.expect("an answer of no bytes fits");
    let (_, ours) = offer.accept(&answer).expect("alice's answer opens");
    (ours, theirs)
}

/// What the driver knows of a connection.
#[derive(Debug, PartialEq)]
enum State {
    Connecting,
    Open,
}

struct Driver {
    agent: Agent,
    links: BTreeMap<LinkId, State>,
    /// Requests that the agent has sent.
    requests: Vec<(LinkId, Vec<u8>)>,
    /// Accepted connections that have brought nothing authentic.
    strangers: BTreeSet<LinkId>,
    targets: usize,
    ended: bool,
}

/// docs/reference/limits.md.
const MOST_STRANGERS: usize = 8;

pub(crate) fn agent(data: &[u8]) {
    let mut choices = Choices::new(data);
    static KEYS: LazyLock<(Keys, Keys)> = LazyLock::new(keys);
    let (ours, theirs) = &*KEYS;
    let usual = [
        "192.168.1.2:5000",
        "198.51.100.7:5000",
        "[2001:db8::7]:5000",
    ]
    .map(at);
    let count = usize::from(choices.byte()) % 4;
    let mut now = Instant::now();
    let config = Config {
        role: choices.of(&[Role::Caller, Role::Callee]),
        keys: ours.clone(),
        targets: usual[..count].to_vec(),
        lan_likely: choices.flag(),
        deadline: now + Duration::from_secs(5),
        seed: [6; 32],
    };
    let mut driver = Driver {
        agent: Agent::new(config, now),
        links: BTreeMap::new(),
        requests: Vec::new(),
        strangers: BTreeSet::new(),
        targets: count,
        ended: false,
    };
    driver.work();
    while !choices.is_empty() {
        driver.step(&mut now, &mut choices, theirs, &usual);
        driver.work();
    }
    // It ends at its deadline, whatever has happened.
    for _ in 0..10_000 {
        let Some(at) = driver.agent.poll_timeout() else {
            break;
        };
        now = now.max(at);
        driver.timeout(now);
        driver.work();
    }
    assert!(driver.ended, "the attempt does not end");
}

impl Driver {
    fn step(
        &mut self,
        now: &mut Instant,
        choices: &mut Choices<'_>,
        theirs: &Keys,
        usual: &[SocketAddr],
    ) {
        let link = self.link(choices);
        match choices.byte() % 9 {
            0 => *now += Duration::from_millis(u64::from(choices.byte()) * 4),
            1 => {
                *now = self.agent.poll_timeout().map_or(*now, |at| at.max(*now));
                self.timeout(*now);
            }
            2 => {
                let from = choices.address(usual);
                if let Some(link) = self.agent.handle_accepted(*now, from) {
                    assert!(self.links.insert(link, State::Open).is_none());
                    self.strangers.insert(link);
                }
                let open = |link: &&LinkId| self.links.contains_key(link);
                assert!(self.strangers.iter().filter(open).count() <= MOST_STRANGERS);
            }
            3 if self.links.get(&link) == Some(&State::Connecting) => {
                self.links.insert(link, State::Open);
                self.agent.handle_open(*now, link);
            }
            4 if self.links.get(&link) == Some(&State::Connecting) => {
                self.links.remove(&link);
                let failure = choices.of(&[Failure::Reset, Failure::Other]);
                self.agent.handle_failed(*now, link, failure);
            }
            5 if self.links.get(&link) == Some(&State::Open) => {
                self.links.remove(&link);
                self.agent.handle_closed(*now, link);
            }
            6 => self.agent.handle_bytes(*now, link, choices.bytes()),
            7 => {
                let nominates = choices.flag();
                let mut request = Builder::request(Method::Probe, [choices.byte(); 12]);
                request = request.attempt(theirs.attempt);
                if nominates {
                    request = request.use_candidate();
                }
                let bytes = request.finish_authentic(&theirs.outgoing);
                self.pieces(*now, link, &bytes, choices);
            }
            8 if !self.requests.is_empty() => {
                let which = usize::from(choices.byte()) % self.requests.len();
                let (of, request) = self.requests.swap_remove(which);
                let request = Message::parse(&request).expect("the agent's own message");
                let answer = Builder::success(&request).attempt(theirs.attempt);
                let answer = match choices.flag() {
                    true => answer.use_candidate(),
                    false => answer,
                };
                let bytes = answer.finish_authentic(&theirs.outgoing);
                // Over the link that the request took, or over another.
                let link = if choices.byte() < 220 { of } else { link };
                self.pieces(*now, link, &bytes, choices);
            }
            _ => {}
        }
    }

    fn link(&self, choices: &mut Choices<'_>) -> LinkId {
        let at = usize::from(choices.byte());
        let known = self.links.keys().nth(at % self.links.len().max(1));
        known.copied().unwrap_or(at as LinkId)
    }

    fn pieces(&mut self, now: Instant, link: LinkId, bytes: &[u8], choices: &mut Choices<'_>) {
        self.strangers.remove(&link);
        let size = usize::from(choices.byte()).max(1);
        for piece in bytes.chunks(size) {
            self.agent.handle_bytes(now, link, piece);
        }
    }

    fn timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        let next = self.agent.poll_timeout();
        assert!(
            next.is_none_or(|next| next > now),
            "it would be called at once"
        );
    }

    /// Does what the agent asks for.
    fn work(&mut self) {
        while let Some(command) = self.agent.poll_command() {
            match command {
                Command::Connect { link, .. } => {
                    let before = self.links.insert(link, State::Connecting);
                    assert_eq!(before, None, "a number is used twice");
                }
                Command::Send { link, bytes } => {
                    // The peer may have closed it just before.
                    if self.links.get(&link) == Some(&State::Open) {
                        let message = Message::parse(&bytes).expect("the agent's own message");
                        if message.class() == stun::Class::Request {
                            self.requests.push((link, bytes));
                        }
                    }
                }
                Command::Close { link } => drop(self.links.remove(&link)),
            }
        }
        self.requests.truncate(32);
        if self.agent.poll_event().is_some() {
            assert!(!self.ended, "it ends twice");
            self.ended = true;
        }
        assert!(self.agent.tries() <= MOST_TRIES * self.targets as u32);
    }
}

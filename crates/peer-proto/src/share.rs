//! After an attempt, both peers send each other what they have noted of it, through the rendezvous.
//!
//! Each message is sealed as candidates are: the side that called asks for an introduction, and its
//! offer has the next part of its bytes. The answer has the next part of the other side's. So the
//! rendezvous can read nothing, keeps no state of its own for this, and serves it within the bounds of
//! introductions. It is served to the peer of the attempt alone, and only where both have said before
//! that they share ([`Candidates::shares`](crate::candidate::Candidates::shares)).
//!
//! Drive it as a [`Protocol`] on a socket of its own until [`Share::outcome`]. The registration that
//! the attempt had must have ended.

mod message;

pub use message::{MOST_BYTES, decode};

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::plan::Role;
use sansio::{Input, Protocol, SocketId, Transmit};
use session::identity::PublicKey;
use session::rotation::Rotation;
use stun::{Message, code};

use self::message::{DONE, MOST_PARTS, Part, parts};
use crate::client::{self, Callee, Client, Event, Invitation, Relation};

/// How long the peer may take to begin: its attempt may end later than ours.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may be silent then.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the side that answers waits for questions whose answer was lost: as long as a caller waits
/// for the answer to one, and half a second more.
const LINGER: Duration = Duration::from_millis(3500);

/// The most times that are kept: two for each message, and as many for those that are repeated.
const MOST_TIMES: usize = 4 * MOST_PARTS as usize;

/// How long to wait for the answer to what is sent at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a share starts from.
#[derive(Debug)]
pub struct Config {
    /// The rendezvous, our name and our key, as in the attempt, and a greater SEQUENCE.
    pub client: client::Config,
    /// How our key got our name, if another key had it before.
    pub rotation: Option<Rotation>,
    /// The peer of the attempt.
    pub peer: String,
    /// Its key in the attempt.
    pub key: PublicKey,
    /// Our role in the attempt.
    pub role: Role,
    /// When our times begin.
    pub origin: Instant,
    /// What we tell; at most [`MOST_BYTES`].
    pub bytes: Vec<u8>,
}

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides have everything.
    Shared(Shared),
    /// The peer did not come, or did not go on.
    Silent,
    /// The rendezvous refuses our registration, with this error code.
    Refused(u16),
    /// The peer's name belongs to another key by now.
    OtherKey,
}

/// What the peer has told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When messages left and came, for the difference of the two clocks.
    pub times: Vec<Times>,
}

/// When one message left and came: microseconds, each since its host's own origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// A message of ours.
    Went {
        /// When it left, by our clock, or before.
        sent: u64,
        /// When it came, by the peer's.
        received: u64,
    },
    /// A message of the peer's.
    Came {
        /// When it left, by the peer's clock, or before.
        sent: u64,
        /// When it came, by ours.
        received: u64,
    },
}

/// One share.
#[derive(Debug)]
pub struct Share {
    client: Client,
    server: SocketAddr,
    peer: String,
    key: PublicKey,
    role: Role,
    origin: Instant,
    parts: Vec<Vec<u8>>,
    theirs: Vec<Vec<u8>>,
    /// How many of its messages have come, each after the one before.
    came: u8,
    /// How many parts the peer has.
    total: Option<u8>,
    times: Vec<Times>,
    callee: Option<Callee>,
    /// When our message with each number left first.
    sent: BTreeMap<u8, u64>,
    /// When the last answer came.
    heard: u64,
    deadline: Instant,
    state: State,
    outbox: VecDeque<Transmit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Going,
    /// We have everything, and the peer may lack our last answer.
    Lingering,
    /// We have said that we have everything.
    Leaving,
    Ended(Outcome),
}

impl Share {
    /// Begins to register.
    pub fn new(config: Config, now: Instant) -> Share {
        let server = config.client.server;
        let mut client = Client::new(config.client, now);
        if let Some(rotation) = config.rotation {
            client.show_rotation(rotation);
        }
        if config.role == Role::Caller {
            client.look_up(now, &config.peer);
        }
        let mut share = Share {
            client,
            server,
            peer: config.peer,
            key: config.key,
            role: config.role,
            origin: config.origin,
            parts: parts(&config.bytes),
            theirs: Vec::new(),
            came: 0,
            total: None,
            times: Vec::new(),
            callee: None,
            sent: BTreeMap::new(),
            heard: 0,
            deadline: now + PATIENCE,
            state: State::Going,
            outbox: VecDeque::new(),
        };
        share.work(now);
        share
    }

    /// What has come of it, at the end.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Acts on what the client reports, and sends what it sends.
    fn work(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            self.happened(now, event);
        }
        while let Some(payload) = self.client.poll_transmit() {
            self.outbox
                .push_back(Transmit::new(0, self.server, payload));
        }
    }

    fn happened(&mut self, now: Instant, event: Event) {
        match event {
            Event::Found { callee, .. } if callee.key != self.key => {
                self.end(now, Outcome::OtherKey)
            }
            Event::Found { callee, .. } => {
                self.callee = Some(callee);
                self.ask(now);
            }
            Event::Introduced(answer) => {
                if let Some(part) = Part::decode(&answer.payload).filter(|_| answer.key == self.key)
                {
                    self.answered(now, &part);
                }
            }
            Event::Notified(call) => {
                let ours = call.caller == self.peer && call.key == self.key;
                if !ours || self.role == Role::Caller {
                    let (transaction, relation) = (call.transaction, Relation::Stranger);
                    return self.client.refuse(now, transaction, relation, code::BUSY);
                }
                if let Some(invitation) = self.client.open(now, &call, Relation::Known) {
                    self.asked(now, invitation);
                }
            }
            Event::Refused(code) => self.end(now, Outcome::Refused(code)),
            _ => {}
        }
    }

    /// How many messages there are: as many as the side with more parts has.
    fn messages(&self) -> Option<usize> {
        Some(self.parts.len().max(self.total?.into()))
    }

    /// The caller's next message.
    fn ask(&mut self, now: Instant) {
        let Some(callee) = self.callee else { return };
        let next = self.sent.len();
        let number = match self.messages() {
            Some(messages) if next >= messages => DONE,
            // At most 52 parts.
            _ => u8::try_from(next).unwrap_or(DONE),
        };
        let payload = self.part(now, number);
        if number == DONE {
            self.state = State::Leaving;
            self.deadline = now + FAREWELL;
        }
        let peer = self.peer.clone();
        self.client.connect(now, &peer, callee, payload);
    }

    /// The callee's answer to the caller's last message.
    fn answered(&mut self, now: Instant, part: &Part<'_>) {
        let received = self.micros(now);
        if let Some(&sent) = self.sent.get(&part.number) {
            self.time(Times::Went {
                sent,
                received: part.heard,
            });
            let sent = part.sent;
            self.time(Times::Came { sent, received });
        }
        if self.state == State::Leaving {
            return self.finish(now);
        }
        self.heard = received;
        self.take(now, part);
        self.ask(now);
    }

    /// A message of the caller's, which the callee answers.
    fn asked(&mut self, now: Instant, invitation: Invitation) {
        let Some(part) = Part::decode(invitation.payload()) else {
            return;
        };
        let (number, received) = (part.number, self.micros(now));
        let sent = part.sent;
        self.time(Times::Came { sent, received });
        // What the caller has heard last is our answer to the message before.
        let before = number
            .checked_sub(1)
            .and_then(|before| self.sent.get(&before));
        if let Some(&sent) = before.filter(|_| number != DONE && part.heard > 0) {
            let received = part.heard;
            self.time(Times::Went { sent, received });
        }
        self.take(now, &part);
        self.heard = received;
        let answer = self.part(now, number);
        // It fails for what is too long alone.
        let _ = self
            .client
            .accept(now, invitation, Relation::Known, &answer);
        let last = self
            .messages()
            .is_some_and(|messages| self.sent.len() >= messages);
        if number == DONE {
            self.finish(now);
        } else if last && self.state == State::Going {
            (self.state, self.deadline) = (State::Lingering, now + LINGER);
        }
    }

    /// Keeps a part of the peer's, if it is of the next message. Only that one is worth waiting
    /// for another: a peer could repeat a message for ever.
    fn take(&mut self, now: Instant, part: &Part<'_>) {
        let total = *self.total.get_or_insert(part.total);
        if part.number != self.came || part.number >= MOST_PARTS {
            return;
        }
        self.came += 1;
        if part.number < total {
            self.theirs.push(part.bytes.to_vec());
        }
        if self.state == State::Going {
            self.deadline = now + SILENCE;
        }
    }

    /// Keeps a pair of times, while there is room.
    fn time(&mut self, times: Times) {
        if self.times.len() < MOST_TIMES {
            self.times.push(times);
        }
    }

    /// Our message with this number.
    fn part(&mut self, now: Instant, number: u8) -> Vec<u8> {
        let sent = self.micros(now);
        if number != DONE {
            self.sent.entry(number).or_insert(sent);
        }
        let bytes = self.parts.get(usize::from(number));
        let part = Part {
            number,
            total: self.parts.len() as u8,
            sent,
            heard: self.heard,
            bytes: bytes.map_or(&[], Vec::as_slice),
        };
        match self.role {
            Role::Caller => part.encode_padded(),
            Role::Callee => part.encode(),
        }
    }

    fn finish(&mut self, now: Instant) {
        let whole = self.total.map(usize::from) == Some(self.theirs.len());
        let outcome = match whole {
            true => Outcome::Shared(Shared {
                bytes: self.theirs.concat(),
                times: std::mem::take(&mut self.times),
            }),
            false => Outcome::Silent,
        };
        self.end(now, outcome);
    }

    fn end(&mut self, now: Instant, outcome: Outcome) {
        if self.outcome().is_none() {
            self.state = State::Ended(outcome);
            self.client.unregister(now);
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Protocol for Share {
    fn handle_opened(&mut self, _socket: SocketId, _local: SocketAddr) {}

    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagram(datagram) = input else {
            return;
        };
        let from_server = datagram.from == self.server;
        if let Some(message) = Message::parse(datagram.payload)
            .ok()
            .filter(|_| from_server)
        {
            self.client.handle_input(now, &message);
            self.work(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.outcome().is_none() {
            self.client.handle_timeout(now);
            if now >= self.deadline {
                self.finish(now);
            }
        }
        self.work(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.outcome() {
            Some(_) => None,
            None => Some(
                self.client
                    .poll_timeout()
                    .map_or(self.deadline, |at| at.min(self.deadline)),
            ),
        }
    }
}

//! A rendezvous that lies, beside one peer: it makes up callers, with keys of its own,
//! and says that they are wherever it likes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nat::plan::Side;
use peer_proto::candidate::Candidates;
use peer_proto::client;
use peer_proto::endpoint::{Config, Endpoint, Event};
use sansio::{Input, Protocol, Transmit};
use session::identity::{Identity, PublicKey};
use session::seal::{Bound, Fresh, Offer};
use stun::{Builder, Class, Message, Method, Transaction, code};

use super::{SERVER, at, identity};

const COOKIE: &[u8] = b"a cookie of ours";

/// What it got as the answer to an invitation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Accepted(Box<Candidates>),
    Refused(u16),
}

pub struct Liar {
    pub peer: Endpoint,
    pub now: Instant,
    pub events: Vec<Event>,
    /// What the peer has sent to others than the rendezvous.
    pub sent: Vec<(Instant, Transmit)>,
    pub answers: BTreeMap<u32, Answer>,
    offers: BTreeMap<u32, Offer>,
    notifications: BTreeMap<u32, Vec<u8>>,
    /// The last answer to each, as it was sent.
    answered: BTreeMap<u32, Vec<u8>>,
    invitations: u32,
    name: String,
    /// It does not answer registrations.
    pub is_silent: bool,
    /// The nonce that the peer has registered with.
    fresh: Fresh,
}

/// A made-up caller.
#[derive(Clone)]
pub struct Caller {
    pub name: String,
    pub key: Identity,
    pub address: String,
    pub says: Candidates,
}

impl Caller {
    /// The caller with this number: a name, a key and an address of its own.
    pub fn number(n: u32) -> Self {
        let mut secret = [9; 32];
        secret[..4].copy_from_slice(&n.to_be_bytes());
        let [_, a, b, c] = n.to_be_bytes();
        Caller {
            name: format!("stranger{n}"),
            key: Identity::from_secret(&secret),
            address: format!("198.{}.{b}.{c}:40000", 18 + a % 2),
            says: Candidates::default(),
        }
    }

    pub fn at(self, address: &str) -> Self {
        Caller {
            address: address.into(),
            ..self
        }
    }
}

impl Liar {
    /// `bob`, who is registered.
    pub fn new(change: impl FnOnce(&mut Config), side: Option<Side>) -> Self {
        let now = Instant::now();
        let name = "bob";
        let mut config = Config::new(client::Config {
            server: at(SERVER),
            name: name.into(),
            identity: identity(name),
            sequence: 1000,
            relay: false,
            seed: [4; 32],
            server_key: None,
        });
        config.hosts = vec![at("192.168.2.2:42000")];
        config.measuring = true;
        change(&mut config);
        let mut liar = Liar {
            peer: Endpoint::new(config, now),
            now,
            events: Vec::new(),
            sent: Vec::new(),
            answers: BTreeMap::new(),
            offers: BTreeMap::new(),
            notifications: BTreeMap::new(),
            answered: BTreeMap::new(),
            invitations: 0,
            name: name.into(),
            is_silent: false,
            fresh: Fresh::default(),
        };
        liar.pass(Duration::from_secs(1));
        if side.is_some() {
            liar.peer.describe(now, side);
        }
        liar
    }

    /// Tells the peer that somebody calls; the number of the invitation.
    pub fn invite(&mut self, caller: &Caller) -> u32 {
        self.invitations += 1;
        let number = self.invitations;
        let key = identity(&self.name).public();
        let bound = Bound {
            caller: &caller.name,
            callee: &self.name,
            fresh: self.fresh,
        };
        let mut seed = [3; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        let payload = caller.says.encode();
        let (offer, seal) = Offer::new(&caller.key, &key, bound, &payload, seed).unwrap();
        self.offers.insert(number, offer);
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&number.to_be_bytes());
        let notify = Builder::request(Method::Notify, transaction)
            .nonce(COOKIE)
            .name(&caller.name)
            .peer_name(&self.name)
            .public_key(&caller.key.public())
            .peer_address(at(&caller.address))
            .fresh(&self.fresh)
            .seal(&seal)
            .finish();
        self.notifications.insert(number, notify);
        self.again(number);
        number
    }

    /// The peer changes its network, and the rendezvous does not see it there yet: until
    /// then no caller is answered.
    pub fn roam(&mut self) {
        self.is_silent = true;
        self.peer.roamed(self.now, Vec::new(), false);
    }

    /// Sends that invitation once more.
    pub fn again(&mut self, number: u32) {
        self.hand(&self.notifications[&number].clone());
        self.pass(Duration::ZERO);
    }

    /// What was sent as the answer to that invitation last.
    pub fn answer_bytes(&self, number: u32) -> Vec<u8> {
        self.answered[&number].clone()
    }

    fn hand(&mut self, payload: &[u8]) {
        let input = Input::datagram(0, at(SERVER), payload);
        self.peer.handle_input(self.now, input);
    }

    /// Time passes, and the peer gets its answers.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while let Some(transmit) = self.peer.poll_transmit() {
                match transmit.to == at(SERVER) {
                    true => self.serve(&transmit.payload),
                    false => self.sent.push((self.now, transmit)),
                }
            }
            self.events
                .extend(std::iter::from_fn(|| self.peer.poll_event()));
            match self.peer.poll_timeout().filter(|at| *at <= end) {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.peer.handle_timeout(self.now);
                }
                None => break,
            }
        }
        self.now = end;
    }

    fn serve(&mut self, payload: &[u8]) {
        let message = Message::parse(payload).unwrap();
        if message.method() == Method::Notify {
            return self.answered(&message);
        }
        if self.is_silent {
            return;
        }
        self.fresh = message.fresh().unwrap_or(self.fresh);
        let answer = match (message.method(), message.nonce()) {
            (Method::Register, None) => {
                Builder::error(&message, code::UNAUTHENTICATED).nonce(COOKIE)
            }
            (Method::Register, Some(_)) => Builder::success(&message)
                .xor_mapped(at("203.0.113.33:40000"))
                .lifetime(90),
            _ => return,
        };
        self.hand(&answer.finish());
    }

    fn answered(&mut self, message: &Message<'_>) {
        let number = number_of(message.transaction());
        let bytes = message.as_bytes().to_vec();
        // The first one counts.
        if self.answered.insert(number, bytes).is_some() {
            return;
        }
        let answer = match message.class() {
            Class::Error => Answer::Refused(message.error().unwrap()),
            _ => {
                let offer = self.offers.get_mut(&number).unwrap();
                let (payload, _) = offer.accept(message.seal().unwrap()).unwrap();
                Answer::Accepted(Box::new(Candidates::decode(&payload).unwrap()))
            }
        };
        self.answers.insert(number, answer);
    }

    /// The packets that went to that IP address.
    pub fn sent_to(&self, ip: &str) -> usize {
        let to = |(_, sent): &&(Instant, Transmit)| sent.to.ip().to_string() == ip;
        self.sent.iter().filter(to).count()
    }

    /// What was answered to that invitation.
    pub fn answer(&self, number: u32) -> Option<&Answer> {
        self.answers.get(&number)
    }

    pub fn accepted(&self, number: u32) -> bool {
        matches!(self.answer(number), Some(Answer::Accepted(_)))
    }

    pub fn refused(&self, number: u32) -> Option<u16> {
        match self.answer(number) {
            Some(Answer::Refused(code)) => Some(*code),
            _ => None,
        }
    }

    /// The callers about whom the user was asked.
    pub fn asked(&self) -> Vec<(&str, PublicKey)> {
        let asked = self.events.iter().filter_map(|event| match event {
            Event::Asking { peer, key, .. } => Some((peer.as_str(), *key)),
            _ => None,
        });
        asked.collect()
    }
}

fn number_of(transaction: Transaction) -> u32 {
    u32::from_be_bytes(transaction[..4].try_into().unwrap())
}

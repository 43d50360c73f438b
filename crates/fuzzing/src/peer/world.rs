//! The endpoint, and what it may send to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use nat::is_private;
use peer_proto::candidate::{Candidates, Tcp};
use peer_proto::client;
use peer_proto::endpoint::{Config, Endpoint, Event, Wish};
use sansio::{Datagram, Input, Protocol, SocketId, Transmit};
use session::identity::{Identity, PublicKey};
use session::seal::{Keys, Offer};
use stun::{Class, Message, Method, Transaction};

use crate::input::{Choices, at};

pub(super) const SERVER: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 8848);

/// Where messages come from, and what servers name and peers claim.
pub(super) fn places() -> [SocketAddr; 12] {
    [
        "203.0.113.1:8848",
        "203.0.113.2:8849",
        "203.0.113.1:50000",
        "198.51.100.7:40000",
        "198.51.100.7:40001",
        "198.51.100.8:40000",
        "[2001:db8::7]:40000",
        "192.168.1.9:40000",
        "10.0.0.9:40000",
        "192.0.2.66:53",
        "[2001:db8:66::66]:53",
        "198.51.100.66:80",
    ]
    .map(at)
}

pub(super) fn identity(name: &str) -> Identity {
    let secret = match name {
        "alice" => 1,
        "bob" => 2,
        "server" => 77,
        _ => 9,
    };
    Identity::from_secret(&[secret; 32])
}

pub(super) fn key_of(choices: &mut Choices<'_>) -> PublicKey {
    match choices.byte() {
        0..=240 => identity(choices.of(&["bob", "bob", "eve"])).public(),
        byte => [byte; 32],
    }
}

/// Sends of one step, at most: a burst of guesses goes out at once where time has jumped.
const MOST_SENDS: usize = 4000;

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) endpoint: Endpoint,
    /// The NONCE that the endpoint has returned last.
    pub(super) cookie: Option<Vec<u8>>,
    /// The FRESH that it has registered with last.
    pub(super) fresh: [u8; 8],
    /// The hosts that a server has named: its own, and where it sees peers.
    pub(super) named: BTreeSet<IpAddr>,
    /// The private hosts that peers have claimed.
    pub(super) claimed: BTreeSet<IpAddr>,
    /// Where authentic probes came from.
    pub(super) proved: BTreeSet<IpAddr>,
    /// Requests of the endpoint to servers, the newest last.
    pub(super) requests: Vec<Transmit>,
    probes: Vec<Transmit>,
    /// Our offers, as callers, that the endpoint has not answered.
    pub(super) offers: BTreeMap<Transaction, Offer>,
    pub(super) attempts: Vec<Keys>,
    lan: bool,
    relay_only: bool,
}

impl World {
    pub(super) fn new(choices: &mut Choices<'_>) -> Self {
        let now = Instant::now();
        let server_key = choices.flag().then(|| identity("server").public());
        let client = client::Config {
            server: SERVER,
            server_key,
            name: "alice".into(),
            identity: identity("alice"),
            sequence: 1,
            relay: false,
            seed: [4; 32],
        };
        let what = choices.byte();
        let relay = choices.of(&[Wish::Never, Wish::Allowed, Wish::Only]);
        let config = Config {
            hosts: vec![at("192.168.1.2:40000")],
            lan: what & 1 == 0,
            peer: (what & 2 == 0).then(|| "bob".to_owned()),
            most_attempts: 1 + usize::from(what >> 6),
            measuring: what & 4 != 0,
            tcp: (what & 24 == 24).then(|| Tcp {
                port: 40000,
                mapped: vec![at("198.51.100.1:40000")],
            }),
            tcp_too: what & 24 == 16,
            relay,
            opener_ttl: (what & 32 == 0).then_some(2),
            ..Config::new(client)
        };
        let mut world = World {
            now,
            lan: config.lan,
            endpoint: Endpoint::new(config, now),
            cookie: None,
            fresh: [0; 8],
            named: [SERVER.ip()].into(),
            claimed: BTreeSet::new(),
            proved: BTreeSet::new(),
            requests: Vec::new(),
            probes: Vec::new(),
            offers: BTreeMap::new(),
            attempts: Vec::new(),
            relay_only: relay == Wish::Only,
        };
        world.work();
        world
    }

    /// A datagram for the endpoint.
    pub(super) fn receive(&mut self, socket: SocketId, from: SocketAddr, payload: &[u8]) {
        if let Ok(message) = Message::parse(payload) {
            let named = [message.other_address(), message.peer_address()];
            self.named
                .extend(named.into_iter().flatten().map(|named| named.ip()));
        }
        let datagram = Datagram {
            socket,
            from,
            ttl: Some(60),
            payload,
        };
        self.endpoint
            .handle_input(self.now, Input::Datagram(datagram));
    }

    /// A peer seals this for the endpoint.
    pub(super) fn claims(&mut self, payload: &[u8]) {
        if let Some(candidates) = Candidates::decode(payload) {
            let hosts = candidates.hosts.iter().map(SocketAddr::ip);
            self.claimed.extend(hosts.filter(|&host| is_private(host)));
        }
    }

    pub(super) fn keys(&self, choices: &mut Choices<'_>) -> Option<Keys> {
        let back = usize::from(choices.byte()) % self.attempts.len().max(1);
        self.attempts.iter().rev().nth(back).cloned()
    }

    /// A probe that the endpoint has sent.
    pub(super) fn probe(&mut self, choices: &mut Choices<'_>) -> Option<Transmit> {
        let back = usize::from(choices.byte()) % self.probes.len().max(1);
        self.probes.iter().rev().nth(back).cloned()
    }

    pub(super) fn timeout(&mut self) {
        let due = self.endpoint.poll_timeout();
        self.now = due.map_or(self.now, |at| at.max(self.now));
        self.endpoint.handle_timeout(self.now);
        let next = self.endpoint.poll_timeout();
        assert!(
            next.is_none_or(|next| next > self.now),
            "it would be called at once"
        );
    }

    /// Takes all that the endpoint yields.
    pub(super) fn work(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.endpoint.poll_transmit() {
            sent += 1;
            assert!(sent <= MOST_SENDS, "one step makes it send without end");
            self.sent(transmit);
        }
        while let Some(event) = self.endpoint.poll_event() {
            assert!(!format!("{event:?}").is_empty());
            if event == Event::TcpWanted {
                self.endpoint.offer_tcp_too(Some(Tcp {
                    port: 40000,
                    mapped: vec![at("198.51.100.1:40000")],
                }));
            }
        }
        while self.endpoint.poll_relayed().is_some() {}
        while let Some(by_tcp) = self.endpoint.poll_tcp() {
            let config = by_tcp.config();
            let fine = |ip| self.named.contains(&ip) || self.lan && self.claimed.contains(&ip);
            assert!(config.targets.iter().all(|target| fine(target.ip())));
        }
        for old in [&mut self.requests, &mut self.probes] {
            let excess = old.len().saturating_sub(32);
            old.drain(..excess);
        }
    }

    fn sent(&mut self, transmit: Transmit) {
        let to = transmit.to.ip();
        let claimed = self.lan && self.claimed.contains(&to);
        let fine = match self.relay_only {
            true => self.named.contains(&to),
            false => self.named.contains(&to) || claimed || self.proved.contains(&to),
        };
        assert!(fine, "a datagram to {to}, which only a peer has named");
        let Ok(message) = Message::parse(&transmit.payload) else {
            return;
        };
        match (message.class(), message.method()) {
            (Class::Request, Method::Probe) => self.probes.push(transmit),
            (Class::Request, method) => {
                if method == Method::Register {
                    self.cookie = message.nonce().map(<[u8]>::to_vec);
                    self.fresh = message.fresh().unwrap_or(self.fresh);
                }
                self.requests.push(transmit);
            }
            (Class::Success, Method::Notify) => {
                let offer = self.offers.remove(&message.transaction());
                let answer = message.seal().and_then(|seal| offer?.accept(seal).ok());
                self.attempts.extend(answer.map(|(_, keys)| keys));
            }
            _ => {}
        }
    }
}

//! The server, its driver and its clients.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rendezvous_proto::relay::{Command, Config as RelayConfig, Limits, Policy, Relay};
use rendezvous_proto::server::{Config, Server, StreamId};
use sansio::{Protocol, Transmit};
use session::credentials::Secret;
use session::identity::Identity;
use session::rotation::Rotation;
use session::work;
use stun::{Attribute, Builder, Message, Method, Transaction};

use super::promises::Promises;
use super::relaying;
use crate::input::{Choices, at};

/// Two behind one NAT, one elsewhere, two of IPv6, and forged sources: a private address, the
/// server's own and that of a relayed socket.
pub(super) const CLIENTS: [&str; 8] = [
    "203.0.113.17:40000",
    "203.0.113.17:40001",
    "198.51.100.7:9",
    "[2001:db8:1::7]:40000",
    "[2001:db8:2::7]:40000",
    "192.168.1.2:40000",
    "203.0.113.1:8848",
    "203.0.113.1:50000",
];

pub(super) const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// The nonce that all clients register with, and bind their offers to.
pub(super) const FRESH: [u8; 8] = [4; 8];
pub(super) const REALM: &str = "pinhole";

/// Small bounds, so that a short sequence reaches them.
pub(super) const MOST_NAMES: usize = 4;
pub(super) const MOST_STREAMS: usize = 3;
pub(super) const LIMITS: Limits = Limits {
    total: 4,
    per_name: 2,
    per_address: 2,
    rate: 5000,
    lifetime: rendezvous_proto::relay::SHORTEST,
};
const PORTS: std::ops::RangeInclusive<u16> = 50_000..=50_005;

/// What a client knows.
pub(super) struct Client {
    /// Of its key.
    secret: [u8; 32],
    pub(super) cookie: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
    /// The bits of the proof of work that it was last asked for.
    work: Option<u8>,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) server: Server,
    pub(super) clients: Vec<Client>,
    /// Each Notify that a client has received: who, and the message.
    pub(super) notified: VecDeque<(usize, Vec<u8>)>,
    pub(super) last_connect: Option<(usize, Vec<u8>)>,
    pub(super) streams: Vec<StreamId>,
    /// Whether the sockets that the relay asks for can be opened.
    pub(super) opens: bool,
    open: BTreeSet<u16>,
    promises: Promises,
    sequence: u64,
    transactions: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let addresses = [
            "203.0.113.1:8848",
            "203.0.113.1:8849",
            "203.0.113.2:8848",
            "203.0.113.2:8849",
        ];
        let addresses = addresses.map(at).to_vec();
        let config = Config {
            addresses: addresses.clone(),
            secret: [9; 32],
            rate: 100,
            most_names: MOST_NAMES,
        };
        let relay = RelayConfig {
            address: addresses[0].ip(),
            ports: PORTS,
            realm: REALM.into(),
            secret: Secret::new("north"),
            unix: 1_700_000_000,
            seed: [5; 32],
            policy: Policy {
                allowed: Vec::new(),
                own: vec![addresses[0].ip(), addresses[2].ip()],
            },
            limits: LIMITS,
        };
        let client = |number| Client {
            secret: [number; 32],
            cookie: None,
            nonce: None,
            work: None,
        };
        let mut server = Server::new(config, now)
            .with_key(Identity::from_secret(&[77; 32]))
            .with_relay(Relay::new(relay, now));
        server.set_most_streams(MOST_STREAMS);
        let reserved = Identity::from_secret(&[4; 32]).public();
        server.set_reserved(now, [(NAMES[3].to_owned(), reserved)].into());
        World {
            now,
            server,
            clients: (1..=CLIENTS.len() as u8).map(client).collect(),
            notified: VecDeque::new(),
            last_connect: None,
            streams: Vec::new(),
            opens: true,
            open: BTreeSet::new(),
            promises: Promises::default(),
            sequence: 0,
            transactions: 0,
        }
    }

    /// Another transaction id each time.
    pub(super) fn transaction(&mut self) -> Transaction {
        self.transactions += 1;
        let mut transaction = [0xaa; 12];
        transaction[..8].copy_from_slice(&self.transactions.to_be_bytes());
        transaction
    }

    /// A signed request of a client. `ahead` is added to the number of the last request; 255 sends a
    /// number again.
    pub(super) fn signed(
        &mut self,
        from: usize,
        name: &str,
        method: Method,
        ahead: u64,
        pad: usize,
        fill: impl FnOnce(Builder) -> Builder,
    ) -> Vec<u8> {
        if ahead < 255 {
            self.sequence += 1 + ahead;
        }
        let request = Builder::request(method, self.transaction());
        let client = &self.clients[from];
        let key = Identity::from_secret(&client.secret);
        let request = match &client.cookie {
            Some(cookie) => request.nonce(cookie),
            None => request,
        };
        let public = key.public();
        let mut request = request
            .name(name)
            .public_key(&public)
            .sequence(self.sequence);
        // More bits take too long here.
        if let (Some(bits @ ..=work::LEAST_BITS), Some(nonce)) = (client.work, &client.cookie) {
            let key = &public;
            let mut search = work::Search::new(work::Subject { nonce, name, key }, bits);
            let found = search.step(1 << 18);
            request = request.work(&found.unwrap_or_default());
        }
        fill(request)
            .sign(|part| key.sign(part))
            .pad_to(pad)
            .finish()
    }

    /// The owner of one key says that the name belongs to another's.
    pub(super) fn rotation(&self, from: usize, to: usize, name: &str) -> Rotation {
        let [old, new] = [from, to].map(|of| Identity::from_secret(&self.clients[of].secret));
        Rotation::new(&old, name, &new.public())
    }

    /// A peer of an allocation: public, private, another client's, or any.
    pub(super) fn peer(&self, choices: &mut Choices<'_>) -> SocketAddr {
        choices.address(
            &[
                "192.0.2.1:5000",
                "192.0.2.1:5000",
                "192.0.2.1:5001",
                "192.0.2.2:5000",
                "203.0.113.1:50000",
                "203.0.113.1:50001",
                "10.0.0.1:22",
                "127.0.0.1:22",
                "203.0.113.2:22",
                "[2001:db8:1::7]:40000",
            ]
            .map(at),
        )
    }

    /// A port of a relayed address, mostly one that is open.
    pub(super) fn port(&self, choices: &mut Choices<'_>) -> u16 {
        let at = choices.byte();
        let open = self
            .open
            .iter()
            .nth(usize::from(at) % self.open.len().max(1));
        open.copied().unwrap_or(50_000 + u16::from(at % 6))
    }

    /// A datagram to the server, and all that it makes of it.
    pub(super) fn datagram(&mut self, from: usize, socket: usize, bytes: &[u8]) {
        let address = at(CLIENTS[from]);
        self.promises.asked(self.now, address, bytes);
        self.server
            .handle_datagram(self.now, socket, address, bytes);
        self.work(None);
    }

    /// The time of the next timeout comes.
    pub(super) fn timeout(&mut self) {
        if let Some(at) = self.server.poll_timeout() {
            self.now = self.now.max(at);
        }
        self.promises.later();
        self.server.handle_timeout(self.now);
        let next = self.server.poll_timeout();
        assert!(
            next.is_none_or(|next| next > self.now),
            "it would be called at once"
        );
        self.work(None);
    }

    /// Does what the server asks for. `peer`: what a relayed socket has received just before.
    pub(super) fn work(&mut self, peer: Option<(SocketAddr, usize)>) {
        let mut sent = 0;
        loop {
            let mut idle = true;
            while let Some(command) = relaying(&mut self.server).poll_command() {
                idle = false;
                self.carry_out(command);
            }
            while let Some(transmit) = self.server.poll_transmit() {
                (idle, sent) = (false, sent + 1);
                assert!(sent <= 64, "one step makes the server send without end");
                self.promises.answered(self.now, &transmit, peer);
                self.learn(&transmit);
            }
            if idle {
                break;
            }
        }
        while self.server.poll_event().is_some() {}
        while relaying(&mut self.server).poll_event().is_some() {}
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Open { port } => {
                assert!(
                    PORTS.contains(&port) && !self.open.contains(&port),
                    "port {port}"
                );
                if self.opens {
                    self.open.insert(port);
                }
                relaying(&mut self.server).opened(self.now, port, self.opens);
            }
            Command::Send { port, to, .. } => {
                assert!(self.open.contains(&port), "sent from a closed port");
                self.promises.relayed(to);
            }
            Command::Close { port } => assert!(self.open.remove(&port), "closed twice"),
        }
    }

    /// What a client learns from an answer.
    fn learn(&mut self, transmit: &Transmit) {
        let of = CLIENTS.iter().position(|client| at(client) == transmit.to);
        let (Some(of), Ok(message)) = (of, Message::parse(&transmit.payload)) else {
            return;
        };
        if message.method() == Method::Notify {
            self.notified.push_back((of, transmit.payload.clone()));
            self.notified.truncate(8);
        } else if let (Some(_), Some(nonce)) = (message.error(), message.get(Attribute::Nonce)) {
            let client = &mut self.clients[of];
            let place = match message.method().is_turn() {
                true => &mut client.nonce,
                false => &mut client.cookie,
            };
            *place = Some(nonce.to_vec());
        } else if let Some(bits) = message.work_wanted() {
            self.clients[of].work = Some(bits);
        }
    }

    /// The bounds of docs/reference/limits.md, with this world's numbers.
    pub(super) fn check_tables(&mut self) {
        // Reserved names take no room.
        assert!(self.server.registered(self.now) <= MOST_NAMES + 1);
        let allocations = relaying(&mut self.server).allocations();
        assert!(allocations <= LIMITS.total && self.open.len() <= allocations);
    }
}

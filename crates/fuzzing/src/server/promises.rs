//! What the server promises to those who have sent it nothing: docs/security.md.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sansio::Transmit;
use stun::{Class, Message, Method, Transaction, turn};

/// The longest answer to a Binding request: the header, XOR-MAPPED-ADDRESS, MAPPED-ADDRESS,
/// RESPONSE-ORIGIN and OTHER-ADDRESS, each of IPv6, an empty BOUNCED, and ICMP.
pub(super) const BINDING_ANSWER: usize = 20 + 4 * 24 + 4 + 12;

/// The longest first answer of the relay, to a request without a nonce.
const FIRST_ANSWER: usize = 100;

/// How long a Notify is sent again, with room to spare.
const NOTIFY_LIVES: Duration = Duration::from_secs(30);

/// Requests of one address with one transaction id.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    requests: usize,
    longest: usize,
    /// When the last one came, and how long it was.
    last: Option<(u64, usize)>,
    answers: usize,
}

#[derive(Debug, Default)]
pub(super) struct Promises {
    /// When an address has last sent something.
    heard: HashMap<SocketAddr, Instant>,
    hosts: HashSet<IpAddr>,
    asked: HashMap<(IpAddr, Transaction), Asked>,
    /// Classic requests of an address that are not answered yet.
    classic: HashMap<SocketAddr, usize>,
    longest_connect: usize,
    /// Counts what happens.
    moment: u64,
}

impl Promises {
    /// A client sends this.
    pub(super) fn asked(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.moment += 1;
        self.heard.insert(from, now);
        self.hosts.insert(from.ip());
        match Message::parse(bytes) {
            Ok(message) if message.class() == Class::Request => {
                let key = (from.ip(), message.transaction());
                let asked = self.asked.entry(key).or_default();
                asked.requests += 1;
                asked.longest = asked.longest.max(bytes.len());
                asked.last = Some((self.moment, bytes.len()));
                if message.method() == Method::Connect {
                    self.longest_connect = self.longest_connect.max(bytes.len());
                }
            }
            Ok(_) => {}
            Err(_) => *self.classic.entry(from).or_default() += 1,
        }
    }

    /// What the server sends from now on is no answer at once.
    pub(super) fn later(&mut self) {
        self.moment += 1;
    }

    /// The server sends this; `peer` has just sent so many bytes to a relayed address.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        transmit: &Transmit,
        peer: Option<(SocketAddr, usize)>,
    ) {
        let (to, length) = (transmit.to, transmit.payload.len());
        // A Binding with RESPONSE-PORT is answered to another port of its host.
        assert!(self.hosts.contains(&to.ip()), "{to} has sent nothing");
        if turn::is_channel_data(&transmit.payload) {
            return self.relays(to, length, peer);
        }
        let Ok(message) = Message::parse(&transmit.payload) else {
            return self.classic(to, length);
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::Data) => self.relays(to, length, peer),
            (Class::Request, Method::Notify) => {
                let heard = self.heard.get(&to);
                assert!(heard.is_some(), "a Notify to {to}, which has sent nothing");
                assert!(length <= self.longest_connect, "longer than each Connect");
                // It goes to names that are registered, which live for 90 s.
                let lives = Duration::from_secs(90) + NOTIFY_LIVES;
                assert!(heard.is_some_and(|heard| now <= *heard + lives));
            }
            (Class::Success | Class::Error, method) => {
                let key = (to.ip(), message.transaction());
                let asked = self.asked.get_mut(&key);
                let asked = asked.unwrap_or_else(|| panic!("{to} has not asked: {message:?}"));
                asked.answers += 1;
                assert!(
                    asked.answers <= asked.requests,
                    "two answers to one request"
                );
                // An answer at once is to that very request; a later one to any of them.
                let request = match asked.last {
                    Some((moment, length)) if moment == self.moment => length,
                    _ => asked.longest,
                };
                let bound = match method {
                    Method::Binding => BINDING_ANSWER.max(request),
                    _ if method.is_turn() => FIRST_ANSWER.max(request),
                    _ => request,
                };
                assert!(length <= bound, "{length} bytes for {request}");
            }
            (class, method) => panic!("the server sends a {class:?} of {method:?}"),
        }
    }

    fn classic(&mut self, to: SocketAddr, length: usize) {
        let left = self.classic.get_mut(&to).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("{to} has not asked")) -= 1;
        assert!(length <= BINDING_ANSWER);
    }

    /// A payload that the relay forwards to a client: with a head, and not without a cause.
    fn relays(&self, to: SocketAddr, length: usize, peer: Option<(SocketAddr, usize)>) {
        assert!(self.heard.contains_key(&to), "{to} has sent nothing");
        if let Some((from, payload)) = peer {
            let head = match from.is_ipv4() {
                true => turn::INDICATION_OVERHEAD,
                false => turn::INDICATION_OVERHEAD + 12,
            };
            assert!(length <= payload + head + 3);
        }
    }

    /// The relay sends to a peer.
    pub(super) fn relayed(&self, to: SocketAddr) {
        let own = ["203.0.113.1", "203.0.113.2"];
        let own = own.iter().any(|own| to.ip().to_string() == *own);
        let private = nat::is_private(to.ip()) || to.ip().is_loopback();
        assert!(!own && !private, "the relay sends to {to}");
    }
}

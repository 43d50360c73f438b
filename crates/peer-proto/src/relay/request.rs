//! A request to the TURN server, its credentials, and its retransmissions.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use session::credentials;
use stun::{Attribute, Builder, IntegrityKey, Message, Method, Transaction, turn};

use super::types::Config;

/// Retransmission of a request: the first wait, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_millis(1600);
const TRANSMISSIONS: u32 = 6;

/// How often a request may be sent with another nonce: a server whose nonces are stale
/// at once would be asked for ever.
const MOST_NONCES: u32 = 4;

/// IPv6 in REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
const IPV6: u8 = 2;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A relayed address.
    Allocate,
    /// That it lives on.
    Refresh,
    /// That it ends.
    GiveBack,
    /// That this peer is let through.
    Permit(IpAddr),
    /// That this channel leads to this peer.
    Bind(u16, SocketAddr),
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) wish: Wish,
    transaction: Transaction,
    /// It brings credentials.
    pub(super) authenticated: bool,
    /// With how many nonces it was sent.
    nonces: u32,
    bytes: Vec<u8>,
    sent: u32,
    wait: Duration,
    /// When it is sent again, or given up.
    pub(super) next: Instant,
}

impl Request {
    pub(super) fn is(&self, transaction: Transaction) -> bool {
        self.transaction == transaction
    }

    /// The retransmission that is due; an error when it has been sent often enough.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Result<Option<Vec<u8>>, Unanswered> {
        if now < self.next {
            return Ok(None);
        }
        if self.sent >= TRANSMISSIONS {
            return Err(Unanswered);
        }
        self.sent += 1;
        self.wait = (self.wait * 2).min(LAST_WAIT);
        self.next = now + self.wait;
        Ok(Some(self.bytes.clone()))
    }
}

/// A request that is given up.
#[derive(Debug)]
pub(super) struct Unanswered;

/// Writes requests with our credentials (RFC 8489 §9.2).
#[derive(Debug)]
pub(super) struct Requests {
    config: Config,
    rng: ChaCha20Rng,
    /// What the server has told: its realm, the key in it, and its nonce.
    challenge: Option<Challenge>,
}

#[derive(Debug)]
struct Challenge {
    realm: String,
    key: IntegrityKey,
    nonce: Vec<u8>,
}

/// The longest REALM and NONCE that are taken (RFC 8489 §14.9, §14.10: less than 128
/// characters, which may have several bytes).
const LONGEST: usize = 763;

impl Requests {
    pub(super) fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut requests = Self {
            config,
            rng: ChaCha20Rng::from_seed(seed),
            challenge: None,
        };
        if let Some(credentials::Challenge { realm, nonce }) = requests.config.challenge.take() {
            requests.challenged(&realm, &nonce);
        }
        requests
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.config.server
    }

    pub(super) fn transaction(&mut self) -> Transaction {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        transaction
    }

    /// A request, which is to be sent now.
    pub(super) fn request(&mut self, now: Instant, wish: Wish) -> (Request, Vec<u8>) {
        self.with_nonces(now, wish, 1)
    }

    fn with_nonces(&mut self, now: Instant, wish: Wish, nonces: u32) -> (Request, Vec<u8>) {
        let transaction = self.transaction();
        let bytes = self.write(transaction, wish);
        let request = Request {
            wish,
            transaction,
            authenticated: self.challenge.is_some(),
            nonces,
            bytes: bytes.clone(),
            sent: 1,
            wait: FIRST_WAIT,
            next: now + FIRST_WAIT,
        };
        (request, bytes)
    }

    /// The same request once more, with the nonce in this error answer to it. `None`
    /// if there is none, or it has been sent with too many.
    pub(super) fn again(
        &mut self,
        now: Instant,
        request: &Request,
        answer: &Message<'_>,
    ) -> Option<(Request, Vec<u8>)> {
        if request.nonces >= MOST_NONCES {
            return None;
        }
        let nonce = answer.nonce().filter(|nonce| nonce.len() <= LONGEST)?;
        let realm = answer.realm().filter(|realm| realm.len() <= LONGEST);
        match (&mut self.challenge, realm) {
            (Some(challenge), None) => challenge.nonce = nonce.to_vec(),
            (_, Some(realm)) => self.challenged(realm, nonce),
            (None, None) => return None,
        }
        Some(self.with_nonces(now, request.wish, request.nonces + 1))
    }

    fn challenged(&mut self, realm: &str, nonce: &[u8]) {
        let Config {
            username, password, ..
        } = &self.config;
        self.challenge = Some(Challenge {
            realm: realm.to_owned(),
            key: turn::long_term_key(username, realm, password),
            nonce: nonce.to_vec(),
        });
    }

    /// Whether the server has made this answer, which knows our password.
    pub(super) fn is_authentic(&self, answer: &Message<'_>) -> bool {
        let challenge = self.challenge.as_ref();
        challenge.is_some_and(|challenge| answer.authentic_long_term(&challenge.key))
    }

    fn write(&self, transaction: Transaction, wish: Wish) -> Vec<u8> {
        let request = |method| Builder::request(method, transaction);
        let request = match wish {
            Wish::Allocate => {
                let request = request(Method::Allocate).udp();
                match self.config.server.is_ipv6() {
                    true => request.raw(Attribute::RequestedAddressFamily, &[IPV6, 0, 0, 0]),
                    false => request,
                }
            }
            Wish::Refresh => request(Method::Refresh),
            Wish::GiveBack => request(Method::Refresh).lifetime(0),
            Wish::Permit(peer) => request(Method::CreatePermission).peer(SocketAddr::new(peer, 0)),
            Wish::Bind(channel, peer) => request(Method::ChannelBind).channel(channel).peer(peer),
        };
        match &self.challenge {
            Some(Challenge { realm, key, nonce }) => request
                .username(&self.config.username)
                .realm(realm)
                .nonce(nonce)
                .finish_long_term(key),
            None => request.finish(),
        }
    }
}

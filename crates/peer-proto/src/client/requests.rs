//! The requests of a client: each brings the server's cookie; those that change
//! something are signed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Builder, Message, Method, Transaction, code};

use super::pending::Wish;
use super::types::{Config, Invitation};
use session::credentials::Granted;
use session::identity::{Identity, PublicKey};
use session::rotation::Rotation;
use session::seal::{Bound, Fresh, Offer, Opened};
use session::work::Subject;

/// A registration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Register {
    pub(super) lifetime: Duration,
    /// Credentials for the relay are asked for, too.
    pub(super) credentials: bool,
    /// Callers bind their offers to it.
    pub(super) fresh: Fresh,
}

/// The least time from one new cookie to the next: whoever asks for another each
/// time makes us send no more than this.
const NEW_COOKIE: Duration = Duration::from_millis(100);

/// The longest NONCE (RFC 8489 §14.10: less than 128 characters).
const LONGEST_COOKIE: usize = 127;

/// The least time from one correction of our SEQUENCE to the next.
const CATCH_UP: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Requests {
    name: String,
    identity: Identity,
    key: PublicKey,
    /// How our key got the name, if another had it before.
    rotation: Option<Rotation>,
    sequence: u64,
    /// When the server has last told the SEQUENCE to go on from.
    caught_up: Option<Instant>,
    rng: ChaCha20Rng,
    cookie: Option<Vec<u8>>,
    /// When the cookie was taken.
    renewed: Option<Instant>,
    /// When the server has last refused a cookie that it had taken before.
    refused: Option<Instant>,
    /// The cookies of the last two registrations: notifications show one of them.
    shown: VecDeque<Vec<u8>>,
    /// A proof of work about this cookie, our name and our key, for the next
    /// registration.
    proof: Option<[u8; 8]>,
}

impl Requests {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            name: config.name.clone(),
            identity: config.identity.clone(),
            key: config.identity.public(),
            rotation: None,
            sequence: config.sequence,
            caught_up: None,
            rng: ChaCha20Rng::from_seed(config.seed),
            cookie: None,
            renewed: None,
            refused: None,
            shown: VecDeque::new(),
            proof: None,
        }
    }

    pub(super) fn show_rotation(&mut self, rotation: Rotation) {
        self.rotation = Some(rotation);
    }

    pub(super) fn has_rotation(&self) -> bool {
        self.rotation.is_some()
    }

    /// The difficulty of the proof of work that an error answer asks for, in bits.
    /// It is about the cookie in the same answer.
    pub(super) fn work_wanted(&mut self, message: &Message<'_>) -> Option<u8> {
        let asked = message.error() == Some(code::WORK_REQUIRED);
        let bits = message.work_wanted().filter(|_| asked)?;
        self.cookie = Some(message.nonce()?.to_vec());
        Some(bits)
    }

    /// What a proof of work is about.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            nonce: self.cookie.as_deref().unwrap_or_default(),
            name: &self.name,
            key: &self.key,
        }
    }

    pub(super) fn prove(&mut self, proof: [u8; 8]) {
        self.proof = Some(proof);
    }

    pub(super) fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Takes a new cookie out of an error answer; true if there is one.
    pub(super) fn new_cookie(&mut self, now: Instant, message: &Message<'_>) -> bool {
        let rested = self.renewed.is_none_or(|at| at + NEW_COOKIE <= now);
        match message.nonce() {
            Some(nonce)
                if self.cookie.as_deref() != Some(nonce)
                    && nonce.len() <= LONGEST_COOKIE
                    && rested =>
            {
                let before = self.cookie.replace(nonce.to_vec());
                self.renewed = Some(now);
                self.refused = before.map(|_| now).or(self.refused);
                true
            }
            _ => false,
        }
    }

    /// When the server has last wanted another cookie in place of one: that has expired, or the server
    /// does not know it, as one that was restarted does not.
    pub(super) fn refused(&self) -> Option<Instant> {
        self.refused
    }

    /// The server has answered a request with this cookie: it is the right one,
    /// whatever somebody on the way may have sent since.
    pub(super) fn keep_cookie(&mut self, cookie: &[u8]) {
        if self.cookie.as_deref() != Some(cookie) {
            self.cookie = Some(cookie.to_vec());
            self.show(cookie.to_vec());
        }
    }

    /// A registration shows that cookie, and a notification will.
    fn show(&mut self, cookie: Vec<u8>) {
        if self.shown.front() != Some(&cookie) {
            self.shown.push_front(cookie);
            self.shown.truncate(2);
        }
    }

    pub(super) fn cookie(&self) -> Option<&[u8]> {
        self.cookie.as_deref()
    }

    /// Random: a nonce for our registration.
    pub(super) fn draw_fresh(&mut self) -> Fresh {
        let mut fresh = Fresh::default();
        self.rng.fill_bytes(&mut fresh);
        fresh
    }

    /// Our clock went back: an error answer tells the last SEQUENCE of our key that
    /// the server has seen. True if the next one will be higher.
    /// Not more than once in [`CATCH_UP`], so that no server can make us ask on and on.
    pub(super) fn catch_up(&mut self, now: Instant, message: &Message<'_>) -> bool {
        let refused = message.error() == Some(code::FORBIDDEN);
        let rested = self.caught_up.is_none_or(|at| at + CATCH_UP <= now);
        let behind = |last: &u64| (self.sequence..u64::MAX).contains(last);
        let Some(last) = message
            .sequence()
            .filter(behind)
            .filter(|_| refused && rested)
        else {
            return false;
        };
        self.sequence = last;
        self.caught_up = Some(now);
        true
    }

    /// Whether a notification comes from our server: it shows a cookie that a
    /// registration of ours has shown.
    pub(super) fn is_from_our_server(&self, message: &Message<'_>) -> bool {
        let shown = |nonce: &[u8]| self.shown.iter().any(|cookie| cookie == nonce);
        message.nonce().is_some_and(shown)
    }

    /// The first request brings no cookie and hence needs no signature.
    pub(super) fn register(&mut self, what: Register) -> (Transaction, Builder) {
        let (transaction, mut request) = self.request(Method::Register);
        if let Some(cookie) = self.cookie.clone() {
            self.show(cookie);
            self.sequence += 1;
            if what.credentials {
                request = request.relay(&[]);
            }
            if let Some(rotation) = &self.rotation {
                request = request.rotation(rotation.as_bytes());
            }
            if let Some(proof) = self.proof.take() {
                request = request.work(&proof);
            }
            request = request
                .name(&self.name)
                .public_key(&self.key)
                .sequence(self.sequence)
                .lifetime(what.lifetime.as_secs() as u32)
                .fresh(&what.fresh)
                .sign(|part| self.identity.sign(part));
        }
        (transaction, request)
    }

    /// The request that a wish leads to, and for an introduction what was sealed;
    /// `None` if the payload cannot be sealed to the key.
    pub(super) fn of(
        &mut self,
        now: Instant,
        wish: &Wish,
        peer: &str,
    ) -> Option<(Transaction, Builder, Option<Offer>)> {
        let Some((callee, payload)) = wish.callee(now) else {
            let (transaction, request) = self.request(Method::Lookup);
            return Some((transaction, request.peer_name(peer), None));
        };
        let (transaction, request) = self.request(Method::Connect);
        let seed = self.seed();
        let bound = Bound {
            caller: &self.name,
            callee: peer,
            fresh: callee.fresh,
        };
        let (offer, seal) = Offer::new(&self.identity, &callee.key, bound, payload, seed).ok()?;
        self.sequence += 1;
        let request = request
            .name(&self.name)
            .peer_name(peer)
            .sequence(self.sequence)
            .fresh(&callee.fresh)
            .seal(&seal)
            .sign(|part| self.identity.sign(part));
        Some((transaction, request, Some(offer)))
    }

    /// The credentials in an answer to a registration that asked for them.
    pub(super) fn credentials(&self, message: &Message<'_>) -> Option<Granted> {
        Granted::open(&self.name, &self.identity, message.relay()?).ok()
    }

    /// The invitation in a notification, whose offer is bound to `fresh`. The error
    /// is that the seal cannot be opened, or that another name is meant; `None` is
    /// no invitation.
    pub(super) fn invitation(
        &mut self,
        message: &Message<'_>,
        fresh: Fresh,
    ) -> Option<Result<Invitation, Forbidden>> {
        let (caller, target, key) = (message.name()?, message.peer_name()?, message.public_key()?);
        let (address, offer) = (message.peer_address()?, message.seal()?);
        let seed = self.seed();
        let bound = Bound {
            caller,
            callee: target,
            fresh,
        };
        let opened = Opened::new(&self.identity, &key, bound, offer, seed);
        Some(match opened {
            Ok(opened) if target == self.name => Ok(Invitation {
                caller: caller.to_owned(),
                key,
                rotation: message.rotation().map(Rotation::from_bytes),
                address,
                transaction: message.transaction(),
                opened,
            }),
            _ => Err(Forbidden),
        })
    }

    fn request(&mut self, method: Method) -> (Transaction, Builder) {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let mut request = Builder::request(method, transaction);
        if let Some(cookie) = &self.cookie {
            request = request.nonce(cookie).ask_proof();
        }
        (transaction, request)
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }
}

/// An invitation that is not for us.
#[derive(Debug)]
pub(super) struct Forbidden;

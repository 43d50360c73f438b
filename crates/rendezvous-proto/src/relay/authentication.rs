//! The relay's clients: long-term credentials (RFC 8489 §9.2) that were issued
//! by this server or with its secret.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use session::credentials::{Challenge, Granted, Secret, parse_username};
use stun::{Attribute, Builder, IntegrityKey, Message, code, turn};

use super::types::Config;
use crate::cookie::Cookies;
use crate::types::FiveTuple;

/// How long credentials may be used to allocate. An allocation can be refreshed
/// with them after that as well.
pub const CREDENTIALS: Duration = Duration::from_secs(3600);

/// Issues and checks credentials. It keeps no state for a client.
#[derive(Debug)]
pub(super) struct Authenticator {
    realm: String,
    secret: Secret,
    /// The one before, and when its last credentials expire, in seconds since 1970. Whoever has it
    /// could make credentials that expire later: these are refused.
    secret_before: Option<(Secret, u64)>,
    cookies: Cookies,
    /// Told with the credentials.
    rate: u32,
    start: Instant,
    /// `start`, in seconds since 1970.
    unix: u64,
}

/// The client of a request whose integrity is right.
pub(super) struct User<'a> {
    pub(super) username: &'a str,
    /// Authenticates the answer.
    pub(super) key: IntegrityKey,
    /// Whether its credentials may still be used to allocate.
    pub(super) may_allocate: bool,
}

/// A request whose client is authenticated.
pub(super) struct UserRequest<'a> {
    pub(super) now: Instant,
    pub(super) client: FiveTuple,
    pub(super) message: &'a Message<'a>,
    pub(super) user: User<'a>,
}

/// The answer to a request; `None` while a socket is being opened.
pub(super) type Answer = Result<Option<Builder>, u16>;

impl Authenticator {
    /// `start` is the time of `config.unix`; `key` is that of nonces.
    pub(super) fn new(config: &Config, start: Instant, key: [u8; 32]) -> Self {
        Authenticator {
            realm: config.realm.clone(),
            secret: config.secret.clone(),
            secret_before: None,
            cookies: Cookies::new(key, start),
            rate: config.limits.rate,
            start,
            unix: config.unix,
        }
    }

    /// Issues with another secret from now on.
    pub(super) fn set_secret(&mut self, now: Instant, secret: Secret) {
        if secret != self.secret {
            let last = self.unix(now) + CREDENTIALS.as_secs();
            self.secret_before = Some((std::mem::replace(&mut self.secret, secret), last));
        }
    }

    /// Tells this rate from now on.
    pub(super) fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
    }

    pub(super) fn credentials(&self, now: Instant, name: &str, from: SocketAddr) -> Granted {
        let until = self.unix(now) + CREDENTIALS.as_secs();
        Granted {
            credentials: self.secret.issue(name, until),
            lifetime: CREDENTIALS,
            challenge: Challenge {
                realm: self.realm.clone(),
                nonce: self.cookies.issue(now, from).to_vec(),
            },
            rate: Some(self.rate),
        }
    }

    /// Whether that nonce was issued to this client.
    pub(super) fn is_nonce(&self, now: Instant, from: SocketAddr, nonce: &[u8]) -> bool {
        self.cookies.check(now, from, nonce)
    }

    /// RFC 8489 §9.2.4, with a nonce that only `from` can have received.
    pub(super) fn authenticate<'a>(
        &self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'a>,
    ) -> Result<User<'a>, u16> {
        message
            .get(Attribute::MessageIntegrity)
            .ok_or(code::UNAUTHENTICATED)?;
        let username = message.username().ok_or(code::BAD_REQUEST)?;
        let realm = message.realm().ok_or(code::BAD_REQUEST)?;
        let nonce = message.nonce().ok_or(code::BAD_REQUEST)?;
        if !self.cookies.check(now, from, nonce) {
            return Err(code::STALE_NONCE);
        }
        let (until, _) = parse_username(username).ok_or(code::UNAUTHENTICATED)?;
        let before = self.secret_before.iter();
        let before = before.filter(|(_, last)| until <= *last);
        let secrets = std::iter::once(&self.secret).chain(before.map(|(secret, _)| secret));
        let mut keys = secrets
            .map(|secret| turn::long_term_key(username, &self.realm, &secret.password(username)));
        let key = keys.find(|key| message.authentic_long_term(key));
        let key = key.filter(|_| realm == self.realm);
        let key = key.ok_or(code::UNAUTHENTICATED)?;
        Ok(User {
            username,
            key,
            may_allocate: self.unix(now) < until,
        })
    }

    /// The error answer to a client that is not authenticated. It has no reason
    /// phrase: it is longer than the request all the same, as the first request
    /// of a TURN client is so short.
    pub(super) fn challenge(
        &self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'_>,
        code: u16,
    ) -> Vec<u8> {
        let mut answer = Builder::short_error(message, code);
        if code != code::BAD_REQUEST {
            let nonce = self.cookies.issue(now, from);
            answer = answer.realm(&self.realm).nonce(&nonce);
        }
        answer.finish()
    }

    fn unix(&self, now: Instant) -> u64 {
        self.unix + now.saturating_duration_since(self.start).as_secs()
    }
}

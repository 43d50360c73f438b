//! Which client may register a name, and which may look up its key.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use session::identity::{PublicKey, fingerprint, verify};
use session::name::{LIFETIME, valid_name};
use session::rotation::Rotation;
use session::seal::Fresh;
use session::work::Subject;
use stun::code;

use crate::cookie::{self, Cookies};
use crate::output::Request;
use crate::registry::{Application, Place, Refusal, Registration, Registry};

/// Checks cookies and signatures, and keeps the names.
#[derive(Debug)]
pub(crate) struct Registrar {
    cookies: Cookies,
    registry: Registry,
}

/// A registration that was accepted.
pub(crate) struct Accepted<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: PublicKey,
    /// Zero when it has ended.
    pub(crate) lifetime: Duration,
    pub(crate) before: Before,
    /// The key that has passed the name on to this one, just now.
    pub(crate) rotated_from: Option<PublicKey>,
}

/// Where the name was registered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nowhere,
    Here,
    Elsewhere,
}

/// A registered client that asks for an introduction.
pub(crate) struct Caller<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: PublicKey,
}

/// A request whose cookie and signature are right.
struct Signed<'a> {
    name: &'a str,
    sequence: u64,
    cookie: [u8; cookie::LENGTH],
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    /// The SEQUENCE that the next request of this owner has to exceed.
    pub(crate) last_sequence: Option<u64>,
    /// The difficulty of the proof of work that is wanted, in bits.
    pub(crate) work: Option<u8>,
}

impl From<u16> for Refused {
    fn from(code: u16) -> Self {
        Refused {
            code,
            last_sequence: None,
            work: None,
        }
    }
}

impl Registrar {
    pub(crate) fn new(cookies: Cookies, registry: Registry) -> Self {
        Registrar { cookies, registry }
    }

    /// The names.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    pub(crate) fn issue_cookie(&self, now: Instant, client: SocketAddr) -> [u8; cookie::LENGTH] {
        self.cookies.issue(now, client)
    }

    /// Whether that cookie was issued to this client.
    pub(crate) fn is_cookie(&self, now: Instant, client: SocketAddr, cookie: &[u8]) -> bool {
        self.cookies.check(now, client, cookie)
    }

    pub(crate) fn find(&self, now: Instant, name: &str) -> Option<&Registration> {
        self.registry.find(now, name)
    }

    /// Names registered now.
    pub(crate) fn registered(&self, now: Instant) -> usize {
        self.registry.alive(now)
    }

    /// Register: binds a name to a key at an address, refreshes that, or ends it.
    pub(crate) fn register<'a>(&mut self, request: &Request<'a>) -> Result<Accepted<'a>, Refused> {
        let message = &request.message;
        let Some(key) = message.public_key() else {
            return Err(self
                .cookie(request)
                .err()
                .unwrap_or(code::BAD_REQUEST)
                .into());
        };
        let signed = self.signed(request, Some(key))?;
        let lifetime = match message.lifetime() {
            Some(0) => Duration::ZERO,
            _ => LIFETIME,
        };
        let fresh = match (message.fresh(), lifetime) {
            (Some(fresh), _) => fresh,
            (None, Duration::ZERO) => Fresh::default(),
            (None, _) => return Err(code::BAD_REQUEST.into()),
        };
        let place = Place {
            key,
            at: request.from,
            cookie: signed.cookie,
            fresh,
            asks_proof: message.asks_proof(),
        };
        let before = match self.registry.find(request.now, signed.name) {
            None => Before::Nowhere,
            Some(held) if held.at == request.from => Before::Here,
            Some(_) => Before::Elsewhere,
        };
        let subject = Subject {
            nonce: &signed.cookie,
            name: signed.name,
            key: &key,
        };
        let application = Application {
            name: signed.name,
            sequence: signed.sequence,
            lifetime,
            place,
            rotation: message.rotation().map(Rotation::from_bytes),
            work: message.work().map_or(0, |proof| subject.shown_by(proof)),
        };
        let rotated_from = self
            .registry
            .register(request.now, application)
            .map_err(|refusal| match refusal {
                Refusal::Taken => code::NAME_TAKEN.into(),
                Refusal::Reserved => code::FORBIDDEN.into(),
                Refusal::Replayed => self.outdated(signed.name),
                Refusal::Work(bits) => Refused {
                    work: Some(bits),
                    ..code::WORK_REQUIRED.into()
                },
                Refusal::Full => code::INSUFFICIENT_CAPACITY.into(),
            })?;
        let (name, seconds) = (signed.name, lifetime.as_secs());
        tracing::debug!(name, client = %request.from.client, key = fingerprint(&key), seconds,
            ?before, "registration accepted");
        Ok(Accepted {
            name,
            key,
            lifetime,
            before,
            rotated_from,
        })
    }

    /// Lookup: the registration of a name, whose key is asked for.
    pub(crate) fn lookup(&self, request: &Request<'_>) -> Result<&Registration, u16> {
        self.cookie(request)?;
        let name = request.message.peer_name().ok_or(code::BAD_REQUEST)?;
        let held = self.registry.find(request.now, name);
        held.ok_or(code::NOT_REGISTERED)
    }

    /// The caller of a Connect: registered at the address that it asks from, and
    /// with a request that is newer than all before it.
    pub(crate) fn caller<'a>(&mut self, request: &Request<'a>) -> Result<Caller<'a>, Refused> {
        let name = request.message.name();
        let key = name
            .and_then(|name| self.registry.find(request.now, name))
            .filter(|held| held.at.client == request.from.client)
            .map(|held| held.key);
        let signed = self.signed(request, key)?;
        let key = key.ok_or(code::NOT_REGISTERED)?;
        if !self.registry.advance(signed.name, signed.sequence) {
            return Err(self.outdated(signed.name));
        }
        let name = signed.name;
        Ok(Caller { name, key })
    }

    /// An old request, sent again, or the request of an owner whose clock went
    /// back. Its signature is right, so it is told how to go on.
    fn outdated(&self, name: &str) -> Refused {
        Refused {
            code: code::FORBIDDEN,
            last_sequence: self.registry.last_sequence(name),
            work: None,
        }
    }

    /// The cookie is checked first: a signature costs time, which is spent only
    /// on clients that have returned a cookie.
    fn signed<'a>(&self, request: &Request<'a>, key: Option<PublicKey>) -> Result<Signed<'a>, u16> {
        let cookie = self.cookie(request)?;
        let message = &request.message;
        let name = message.name().ok_or(code::BAD_REQUEST)?;
        let sequence = message.sequence().ok_or(code::BAD_REQUEST)?;
        let (part, signature) = message.signed().ok_or(code::BAD_REQUEST)?;
        let key = key.ok_or(code::NOT_REGISTERED)?;
        if !valid_name(name) {
            return Err(code::BAD_REQUEST);
        }
        if !verify(&key, &part, &signature) {
            return Err(code::FORBIDDEN);
        }
        Ok(Signed {
            name,
            sequence,
            cookie,
        })
    }

    fn cookie(&self, request: &Request<'_>) -> Result<[u8; cookie::LENGTH], u16> {
        let nonce = request.message.nonce().ok_or(code::UNAUTHENTICATED)?;
        let client = request.from.client;
        if !self.cookies.check(request.now, client, nonce) {
            return Err(code::STALE_NONCE);
        }
        nonce.try_into().map_err(|_| code::STALE_NONCE)
    }
}

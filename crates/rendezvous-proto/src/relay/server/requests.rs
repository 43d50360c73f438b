//! What clients ask: each request is authenticated first, without a byte of
//! state for those who are nobody.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::{Attribute, Builder, Class, IntegrityKey, Message, Method, Transaction, code, turn};

use super::{Opening, Relay, SHORTEST, name_of};
use crate::relay::allocation::{Allocation, Seat};
use session::credentials;

/// The comprehension-required attributes that are understood (RFC 8489 §14).
const KNOWN: [Attribute; 10] = [
    Attribute::Username,
    Attribute::MessageIntegrity,
    Attribute::ChannelNumber,
    Attribute::Lifetime,
    Attribute::XorPeerAddress,
    Attribute::Realm,
    Attribute::Nonce,
    Attribute::RequestedAddressFamily,
    Attribute::EvenPort,
    Attribute::RequestedTransport,
];

/// Who asks.
struct User<'a> {
    username: &'a str,
    until: u64,
    key: IntegrityKey,
}

/// What is answered now; nothing, while a socket is being opened.
type Answer = Result<Option<Builder>, u16>;

impl Relay {
    pub(super) fn request(&mut self, now: Instant, seat: Seat, message: &Message<'_>) {
        let user = match self.authenticate(now, seat.1, message) {
            Ok(user) => user,
            Err(code) => return self.challenge(now, seat, message, code),
        };
        let unknown = message.unknown_but(&KNOWN);
        if !unknown.is_empty() {
            self.stats.refused += 1;
            let answer =
                Builder::error(message, code::UNKNOWN_ATTRIBUTE).unknown_attributes(&unknown);
            return self.push(seat, answer.finish_long_term(&user.key));
        }
        let answer = match message.method() {
            Method::Allocate => self.allocate(now, seat, message, &user),
            Method::Refresh => self.refresh(now, seat, message, &user),
            Method::CreatePermission => self.create_permission(now, seat, message, &user),
            Method::ChannelBind => self.bind_channel(now, seat, message, &user),
            _ => Err(code::BAD_REQUEST),
        };
        match answer {
            Ok(Some(answer)) => self.push(seat, answer.finish_long_term(&user.key)),
            Ok(None) => {}
            // Whoever is told to show other credentials is told the nonce, too.
            Err(code::UNAUTHENTICATED) => {
                self.challenge(now, seat, message, code::UNAUTHENTICATED);
            }
            Err(code) => {
                self.stats.refused += 1;
                let answer = Builder::error(message, code);
                self.push(seat, answer.finish_long_term(&user.key));
            }
        }
    }

    /// RFC 8489 §9.2.4, with a nonce that only `from` can have received.
    fn authenticate<'a>(
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
        let (until, _) = credentials::parse_username(username).ok_or(code::UNAUTHENTICATED)?;
        let password = self.config.secret.password(username);
        let key = turn::long_term_key(username, &self.config.realm, &password);
        let authentic = realm == self.config.realm && message.authentic_long_term(&key);
        authentic
            .then_some(User {
                username,
                until,
                key,
            })
            .ok_or(code::UNAUTHENTICATED)
    }

    /// As short as it can be: together with a Binding's it is the one answer
    /// that may be longer than its request, since clients ask so briefly.
    fn challenge(&mut self, now: Instant, seat: Seat, message: &Message<'_>, code: u16) {
        self.stats.refused += 1;
        let mut answer = Builder::new(Class::Error, message.method(), message.transaction()).raw(
            Attribute::ErrorCode,
            &[0, 0, (code / 100) as u8, (code % 100) as u8],
        );
        if code != code::BAD_REQUEST {
            answer = answer
                .realm(&self.config.realm)
                .nonce(&self.cookies.issue(now, seat.1));
        }
        self.push(seat, answer.finish());
    }

    fn allocate(
        &mut self,
        now: Instant,
        seat: Seat,
        message: &Message<'_>,
        user: &User<'_>,
    ) -> Answer {
        let transaction = message.transaction();
        if let Some(&port) = self.seats.get(&seat) {
            let Some(held) = self.allocations.get(&port) else {
                return Ok(None);
            };
            if held.transaction != transaction || held.username != user.username {
                return Err(code::ALLOCATION_MISMATCH);
            }
            let lifetime = held.expires.saturating_duration_since(now);
            return Ok(Some(self.allocated(seat, port, transaction, lifetime)));
        }
        if !message.wants_udp().ok_or(code::BAD_REQUEST)? {
            return Err(code::TRANSPORT_NOT_SUPPORTED);
        }
        if message.wants_ipv6() != self.config.address.is_ipv6() {
            return Err(code::FAMILY_NOT_SUPPORTED);
        }
        if user.until <= self.unix(now) {
            return Err(code::UNAUTHENTICATED);
        }
        // Nothing is reserved: whoever wants the next port, too, is told so.
        let even = message.even_port();
        if even == Some(true)
            || self.allocations.len() + self.openings.len() >= self.config.limits.total
        {
            return Err(code::INSUFFICIENT_CAPACITY);
        }
        let name = name_of(user.username).to_owned();
        let (per_name, per_address) = {
            let limits = &self.config.limits;
            (limits.per_name, limits.per_address)
        };
        if self.held.of(&name) >= per_name && !self.make_room(now, &name) {
            return Err(code::QUOTA_REACHED);
        }
        if self.held_at.of(&seat.1.ip()) >= per_address {
            return Err(code::QUOTA_REACHED);
        }
        self.held.add(name);
        self.held_at.add(seat.1.ip());
        self.open(Opening {
            seat,
            username: user.username.to_owned(),
            transaction,
            lifetime: self.lifetime(message),
            key: user.key.clone(),
            even: even.is_some(),
            tries: 0,
        });
        Ok(None)
    }

    pub(super) fn allocated(
        &self,
        seat: Seat,
        port: u16,
        transaction: Transaction,
        lifetime: Duration,
    ) -> Builder {
        Builder::new(Class::Success, Method::Allocate, transaction)
            .relayed(SocketAddr::new(self.config.address, port))
            .xor_mapped(seat.1)
            .lifetime(lifetime.as_secs() as u32)
    }

    fn lifetime(&self, message: &Message<'_>) -> Duration {
        let asked = message.lifetime().map_or(SHORTEST, |asked| {
            Duration::from_secs(u64::from(asked)).min(self.config.limits.lifetime)
        });
        asked.max(SHORTEST)
    }

    fn refresh(
        &mut self,
        now: Instant,
        seat: Seat,
        message: &Message<'_>,
        user: &User<'_>,
    ) -> Answer {
        let lifetime = self.lifetime(message);
        let family = message.get(Attribute::RequestedAddressFamily).is_some();
        if family && message.wants_ipv6() != self.config.address.is_ipv6() {
            return Err(code::PEER_FAMILY_MISMATCH);
        }
        let (port, allocation) = self.allocation(now, seat, user)?;
        let answer = Builder::success(message);
        if message.lifetime() == Some(0) {
            self.close(port);
            return Ok(Some(answer.lifetime(0)));
        }
        allocation.expires = now + lifetime;
        Ok(Some(answer.lifetime(lifetime.as_secs() as u32)))
    }

    fn create_permission(
        &mut self,
        now: Instant,
        seat: Seat,
        message: &Message<'_>,
        user: &User<'_>,
    ) -> Answer {
        let peers: Option<Vec<SocketAddr>> = message.peers().into_iter().collect();
        let peers = peers.filter(|peers| !peers.is_empty());
        let peers: Vec<IpAddr> = peers
            .ok_or(code::BAD_REQUEST)?
            .iter()
            .map(SocketAddr::ip)
            .collect();
        let allocation = self.allocation_towards(now, seat, user, &peers)?;
        allocation.permit(now, &peers)?;
        Ok(Some(Builder::success(message)))
    }

    fn bind_channel(
        &mut self,
        now: Instant,
        seat: Seat,
        message: &Message<'_>,
        user: &User<'_>,
    ) -> Answer {
        let number = message.channel().ok_or(code::BAD_REQUEST)?;
        let &[Some(peer)] = &message.peers()[..] else {
            return Err(code::BAD_REQUEST);
        };
        let allocation = self.allocation_towards(now, seat, user, &[peer.ip()])?;
        allocation.bind(now, number, peer)?;
        Ok(Some(Builder::success(message)))
    }

    /// The allocation of whoever sits there, if it is this user's.
    fn allocation(
        &mut self,
        now: Instant,
        seat: Seat,
        user: &User<'_>,
    ) -> Result<(u16, &mut Allocation), u16> {
        let port = *self.seats.get(&seat).ok_or(code::ALLOCATION_MISMATCH)?;
        let held = self.allocations.get_mut(&port);
        let held = held
            .filter(|held| held.expires > now)
            .ok_or(code::ALLOCATION_MISMATCH)?;
        if held.username != user.username {
            return Err(code::WRONG_CREDENTIALS);
        }
        held.heard = now;
        Ok((port, held))
    }

    /// The same, if all of these can be its peers.
    fn allocation_towards(
        &mut self,
        now: Instant,
        seat: Seat,
        user: &User<'_>,
        peers: &[IpAddr],
    ) -> Result<&mut Allocation, u16> {
        let refused = peers.iter().find_map(|peer| self.refused(*peer));
        let (_, allocation) = self.allocation(now, seat, user)?;
        match refused {
            Some(code) => Err(code),
            None => Ok(allocation),
        }
    }

    /// Why that address cannot be a peer.
    fn refused(&self, peer: IpAddr) -> Option<u16> {
        let config = &self.config;
        if peer.is_ipv4() != config.address.is_ipv4() {
            return Some(code::PEER_FAMILY_MISMATCH);
        }
        // The relayed addresses are peers like others; the rest of the machine
        // is not, and neither is what it alone can reach.
        let other_allocation = peer == config.address;
        let denied = config.policy.is_own(peer) || !config.policy.allows(peer);
        (denied && !other_allocation).then_some(code::FORBIDDEN)
    }
}

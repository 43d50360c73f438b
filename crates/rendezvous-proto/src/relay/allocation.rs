//! One allocation: its client, permissions, channels and rate.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sansio::TokenBucket;
use stun::{Transaction, code};

use crate::types::FiveTuple;

/// The lifetime of a permission (RFC 8656 §9).
const PERMISSION: Duration = Duration::from_secs(300);

/// The lifetime of a channel (RFC 8656 §12).
const CHANNEL: Duration = Duration::from_secs(600);

/// An allocation that was silent may relay this much of its rate at once.
const BURST: Duration = Duration::from_secs(1);

/// Permissions, and channels, that one allocation may have.
const MOST_PEERS: usize = 32;

/// Why a payload is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drop {
    OverRate,
    /// There is no permission, or no allocation.
    Unpermitted,
}

#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) client: FiveTuple,
    pub(super) username: String,
    /// Of the Allocate request, whose retransmissions get the same answer.
    pub(super) transaction: Transaction,
    pub(super) expires: Instant,
    /// When its client has sent something last.
    pub(super) active: Instant,
    /// Bytes of payload relayed, in both directions together.
    pub(super) bytes: u64,
    rate: u32,
    bucket: TokenBucket,
    /// When the permission of each peer address expires.
    permissions: BTreeMap<IpAddr, Instant>,
    /// The peer of each channel number, and when the channel expires.
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
}

impl Allocation {
    /// `rate` is in bytes of payload per second, both directions together.
    pub(super) fn new(
        client: FiveTuple,
        username: String,
        transaction: Transaction,
        (now, expires): (Instant, Instant),
        rate: u32,
    ) -> Self {
        Allocation {
            client,
            username,
            transaction,
            expires,
            active: now,
            bytes: 0,
            rate,
            bucket: TokenBucket::full(now),
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    /// Creates or refreshes permissions: for all of these peers, or for none.
    pub(super) fn permit(&mut self, now: Instant, peers: &[IpAddr]) -> Result<(), u16> {
        self.permissions.retain(|_, until| *until > now);
        let mut after = self.permissions.clone();
        after.extend(peers.iter().map(|peer| (*peer, now + PERMISSION)));
        if after.len() > MOST_PEERS {
            return Err(code::INSUFFICIENT_CAPACITY);
        }
        self.permissions = after;
        Ok(())
    }

    /// Ends the permissions for all other peers.
    pub(super) fn keep_peers(&mut self, may_be_peer: impl Fn(IpAddr) -> bool) {
        self.permissions.retain(|peer, _| may_be_peer(*peer));
    }

    /// Whether payload may pass to and from this peer.
    pub(super) fn permits(&self, now: Instant, peer: IpAddr) -> bool {
        let until = self.permissions.get(&peer);
        self.expires > now && until.is_some_and(|until| *until > now)
    }

    /// Binds or refreshes a channel. A number has one peer, and a peer one number
    /// (RFC 8656 §12).
    pub(super) fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> Result<(), u16> {
        self.channels.retain(|_, (_, until)| *until > now);
        let clash =
            |(at, (other, _)): (&u16, &(SocketAddr, Instant))| (*at == number) != (*other == peer);
        if self.channels.iter().any(clash) {
            return Err(code::BAD_REQUEST);
        }
        if self.channels.len() >= MOST_PEERS && !self.channels.contains_key(&number) {
            return Err(code::INSUFFICIENT_CAPACITY);
        }
        self.permit(now, &[peer.ip()])?;
        self.channels.insert(number, (peer, now + CHANNEL));
        Ok(())
    }

    pub(super) fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let (peer, until) = self.channels.get(&number)?;
        (*until > now).then_some(*peer)
    }

    pub(super) fn channel_to(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let live =
            |(_, (other, until)): &(&u16, &(SocketAddr, Instant))| *other == peer && *until > now;
        self.channels.iter().find(live).map(|(number, _)| *number)
    }

    /// Takes a payload of this many bytes out of the rate.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> Result<(), Drop> {
        let cost = bytes as u64 * 1_000_000_000 / u64::from(self.rate.max(1));
        if !self.bucket.take(now, Duration::from_nanos(cost), BURST) {
            return Err(Drop::OverRate);
        }
        self.bytes += bytes as u64;
        Ok(())
    }
}

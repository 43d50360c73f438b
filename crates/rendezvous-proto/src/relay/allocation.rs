//! One relayed address: whose it is, whom it lets through, and how much.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::{Transaction, code};

use sansio::SocketId;

/// RFC 8656 §9 and §12.
const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

/// Peers that one allocation may permit, and channels that it may bind.
pub(super) const MOST_PEERS: usize = 32;

/// Where a client is: which of our sockets it speaks to, and its address.
pub(super) type Seat = (SocketId, SocketAddr);

#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) seat: Seat,
    pub(super) username: String,
    /// Which request made it: the answer may have been lost.
    pub(super) transaction: Transaction,
    pub(super) expires: Instant,
    /// When its client was heard last.
    pub(super) heard: Instant,
    /// Payload that it has relayed, both ways.
    pub(super) bytes: u64,
    bucket: Bucket,
    permissions: HashMap<IpAddr, Instant>,
    channels: HashMap<u16, (SocketAddr, Instant)>,
}

impl Allocation {
    /// `rate` is in bytes of payload a second, both ways together.
    pub(super) fn new(
        seat: Seat,
        username: String,
        transaction: Transaction,
        (now, expires): (Instant, Instant),
        rate: u32,
    ) -> Self {
        Allocation {
            seat,
            username,
            transaction,
            expires,
            heard: now,
            bytes: 0,
            bucket: Bucket::new(rate),
            permissions: HashMap::new(),
            channels: HashMap::new(),
        }
    }

    /// Lets these peers through: all of them, or none.
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

    pub(super) fn permits(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions
            .get(&peer)
            .is_some_and(|until| *until > now)
    }

    /// One number for one peer, one peer for one number (RFC 8656 §12.2).
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

    /// Whether so much more may be relayed now.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> bool {
        let taken = self.bucket.take(now, bytes);
        if taken {
            self.bytes += bytes as u64;
        }
        taken
    }
}

/// A second's worth at once, then the rate.
#[derive(Debug)]
struct Bucket {
    rate: u32,
    full_at: Option<Instant>,
}

impl Bucket {
    fn new(rate: u32) -> Self {
        Bucket {
            rate: rate.max(1),
            full_at: None,
        }
    }

    fn take(&mut self, now: Instant, bytes: usize) -> bool {
        let cost = Duration::from_secs_f64(bytes as f64 / f64::from(self.rate));
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + cost;
        let fits = full_at <= now + Duration::from_secs(1);
        if fits {
            self.full_at = Some(full_at);
        }
        fits
    }
}

/// How often each of something occurs.
#[derive(Debug)]
pub(super) struct Counts<K>(HashMap<K, usize>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts(HashMap::new())
    }
}

impl<K: Hash + Eq> Counts<K> {
    pub(super) fn of(&self, key: &K) -> usize {
        self.0.get(key).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }
}

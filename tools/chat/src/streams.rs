//! The TCP connections that carry QUIC.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use net::tcp::Carrier;
use sansio::StreamId;

/// How long a connection stays that no link leads over yet.
const GRACE: Duration = Duration::from_secs(10);

/// How long a connection stays that no link leads over any more: the peer is told over it that
/// another one has taken its place.
const LINGER: Duration = Duration::from_secs(1);

/// Connections at once, at most: one with each peer, and some that linger.
pub const MOST_STREAMS: usize = 80;

/// The connections.
#[derive(Debug, Default)]
pub struct Streams(Mutex<BTreeMap<StreamId, Stream>>);

#[derive(Debug)]
struct Stream {
    carrier: Carrier,
    /// When it ends, if no link leads over it.
    ends: Option<Instant>,
}

impl Streams {
    /// Takes a connection in. If there are too many, the oldest one ends.
    pub fn add(&self, now: Instant, id: StreamId, carrier: Carrier) {
        let mut streams = self.lock();
        let ends = Some(now + GRACE);
        streams.insert(id, Stream { carrier, ends });
        while streams.len() > MOST_STREAMS {
            streams.pop_first();
        }
    }

    /// Sends a datagram over that one; it is lost if there is no room for it, or no such
    /// connection.
    pub fn send(&self, id: StreamId, datagram: &[u8]) {
        if let Some(stream) = self.lock().get(&id) {
            stream.carrier.send(datagram);
        }
    }

    /// Our endpoint of that one.
    pub fn local(&self, id: StreamId) -> Option<SocketAddr> {
        Some(self.lock().get(&id)?.carrier.local())
    }

    /// That one has ended.
    pub fn remove(&self, id: StreamId) {
        self.lock().remove(&id);
    }

    /// Ends those that no link has led over for a while, and returns them.
    pub fn close_unused(&self, now: Instant, is_used: impl Fn(StreamId) -> bool) -> Vec<StreamId> {
        let mut ended = Vec::new();
        self.lock().retain(|id, stream| {
            stream.ends = match is_used(*id) {
                true => None,
                false => stream.ends.or(Some(now + LINGER)),
            };
            let stays = stream.ends.is_none_or(|ends| now < ends);
            if !stays {
                ended.push(*id);
            }
            stays
        });
        ended
    }

    /// When [`Self::close_unused`] has one to end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lock().values().filter_map(|stream| stream.ends).min()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

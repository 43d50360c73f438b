//! TCP connections: which are open, what each has sent of its next message, and
//! when it ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansio::{Prefix, Shares, SocketId};
use stun::{Frames, ParseError};

/// A TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

/// TCP connections that may be open at once, unless the driver has fewer sockets.
pub const MOST_STREAMS: usize = 1024;

/// Of these, from one prefix.
const MOST_OF_PREFIX: usize = 64;

/// A connection without a whole message for this long ends. Clients send every 15 s.
const IDLE: Duration = Duration::from_secs(60);

/// How long a message may take, from its first byte on: bytes that come one by one
/// keep no connection open.
const MESSAGE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: SocketId,
    pub(crate) from: SocketAddr,
    frames: Frames,
    /// When it was opened, or its last whole message has come.
    active: Instant,
    /// When the first byte of a message has come of which there is no end yet.
    begun: Option<Instant>,
}

/// The open connections.
#[derive(Debug)]
pub(crate) struct Streams {
    most: usize,
    next: u64,
    open: BTreeMap<StreamId, Stream>,
    /// When each ends, if nothing comes.
    schedule: BTreeSet<(Instant, StreamId)>,
    /// The one that has been idle for longest is the oldest.
    shares: Shares<Prefix, (Instant, StreamId)>,
    /// Those that have ended and that the driver has to close.
    closed: VecDeque<StreamId>,
}

impl Streams {
    pub(crate) fn new() -> Self {
        Streams {
            most: MOST_STREAMS,
            next: 0,
            open: BTreeMap::new(),
            schedule: BTreeSet::new(),
            shares: Shares::new(),
            closed: VecDeque::new(),
        }
    }

    /// At most `most` connections.
    pub(crate) fn bound(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// A connection was accepted. There is always room for it: the prefix with most connections
    /// loses the one that has been idle for longest, or the newcomer's own prefix does. Whether
    /// one did.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
    ) -> (StreamId, bool) {
        let prefix = Prefix::of(from.ip());
        let own = self.shares.oldest(prefix);
        let pays = if self.shares.of(prefix) >= MOST_OF_PREFIX {
            own
        } else if self.open.len() >= self.most {
            let other = self.shares.pays(prefix).map(|(_, oldest)| oldest);
            other.or(own)
        } else {
            None
        };
        if let Some((_, oldest)) = pays {
            self.end(oldest);
        }
        let id = StreamId(self.next);
        self.next += 1;
        let stream = Stream {
            socket,
            from,
            frames: Frames::default(),
            active: now,
            begun: None,
        };
        self.place(id, &stream);
        self.open.insert(id, stream);
        (id, pays.is_some())
    }

    /// Takes what a connection has received: its next whole messages. The error ends it.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        id: StreamId,
        bytes: &[u8],
    ) -> Result<Vec<Vec<u8>>, ParseError> {
        let Some(mut stream) = self.open.remove(&id) else {
            return Ok(Vec::new());
        };
        self.displace(id, &stream);
        stream.frames.push(bytes);
        let mut messages = Vec::new();
        let result = loop {
            match stream.frames.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if !messages.is_empty() {
            (stream.active, stream.begun) = (now, None);
        }
        match stream.frames.is_empty() {
            true => stream.begun = None,
            false => stream.begun = stream.begun.or(Some(now)),
        }
        self.place(id, &stream);
        self.open.insert(id, stream);
        result.map(|()| messages)
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.open.get(&id)
    }

    /// The connection is closed, or its driver is to close it.
    pub(crate) fn end(&mut self, id: StreamId) {
        if let Some(stream) = self.open.remove(&id) {
            self.displace(id, &stream);
            self.closed.push_back(id);
        }
    }

    pub(crate) fn poll_closed(&mut self) -> Option<StreamId> {
        self.closed.pop_front()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.schedule.first()
            && at <= now
        {
            self.end(id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.first().map(|&(at, _)| at)
    }

    fn place(&mut self, id: StreamId, stream: &Stream) {
        self.schedule.insert((stream.ends(), id));
        let prefix = Prefix::of(stream.from.ip());
        self.shares.insert(prefix, (stream.active, id));
    }

    fn displace(&mut self, id: StreamId, stream: &Stream) {
        self.schedule.remove(&(stream.ends(), id));
        let prefix = Prefix::of(stream.from.ip());
        self.shares.remove(prefix, (stream.active, id));
    }
}

impl Stream {
    fn ends(&self) -> Instant {
        let idle = self.active + IDLE;
        self.begun.map_or(idle, |begun| idle.min(begun + MESSAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(net: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, net, 7], port))
    }

    fn closed(streams: &mut Streams) -> Vec<StreamId> {
        std::iter::from_fn(|| streams.poll_closed()).collect()
    }

    #[test]
    fn a_prefix_that_has_its_share_loses_the_connection_that_was_idle_for_longest() {
        let (mut streams, mut now) = (Streams::new(), Instant::now());
        let mut open = |streams: &mut Streams, net, port| {
            now += Duration::from_millis(1);
            streams.open(now, 0, from(net, port)).0
        };
        let other = open(&mut streams, 2, 9);
        let first = open(&mut streams, 1, 1);
        let second = open(&mut streams, 1, 2);
        for port in 3..=64 {
            open(&mut streams, 1, port);
        }
        assert_eq!(closed(&mut streams), []);
        // The first is used again.
        let binding = stun::binding_request([1; 12], None);
        let later = Instant::now() + Duration::from_secs(1);
        assert_eq!(streams.receive(later, first, &binding), Ok(vec![binding]));
        open(&mut streams, 1, 65);
        assert_eq!(closed(&mut streams), [second]);
        assert!(streams.get(other).is_some() && streams.get(first).is_some());
    }

    #[test]
    fn where_all_connections_are_taken_the_biggest_prefix_makes_room() {
        let (mut streams, now) = (Streams::new(), Instant::now());
        for net in 0..16 {
            for port in 0..64 {
                streams.open(now, 0, from(net, port));
            }
        }
        assert_eq!(closed(&mut streams), []);
        let newcomers: Vec<StreamId> = (100..140)
            .map(|net| streams.open(now, 0, from(net, 1)).0)
            .collect();
        assert_eq!(streams.open.len(), MOST_STREAMS);
        assert_eq!(closed(&mut streams).len(), newcomers.len());
        assert!(newcomers.iter().all(|id| streams.get(*id).is_some()));
        // Those that hold most go on: they get no more than before.
        for port in 64..640 {
            streams.open(now, 0, from(3, port));
        }
        assert!(newcomers.iter().all(|id| streams.get(*id).is_some()));
    }

    #[test]
    fn a_message_that_comes_byte_by_byte_ends_its_connection() {
        let (mut streams, start) = (Streams::new(), Instant::now());
        let (id, _) = streams.open(start, 0, from(1, 1));
        let binding = stun::binding_request([1; 12], None);
        assert_eq!(streams.poll_timeout(), Some(start + IDLE));
        // A whole message, and one byte of the next.
        let now = start + Duration::from_secs(50);
        let more = [&binding[..], &binding[..1]].concat();
        assert_eq!(streams.receive(now, id, &more), Ok(vec![binding.clone()]));
        assert_eq!(streams.poll_timeout(), Some(now + MESSAGE));
        for (n, byte) in (1..9).zip(&binding[1..]) {
            let now = now + Duration::from_secs(n);
            assert_eq!(streams.receive(now, id, &[*byte]), Ok(vec![]));
            streams.handle_timeout(now);
        }
        assert_eq!(closed(&mut streams), []);
        streams.handle_timeout(now + MESSAGE);
        assert_eq!(closed(&mut streams), [id]);
        assert!(streams.open.is_empty() && streams.schedule.is_empty());
        assert!(streams.shares.is_empty());
        // What comes late of a connection that has ended is nothing.
        assert_eq!(streams.receive(now, id, &binding), Ok(vec![]));
    }

    #[test]
    fn an_idle_connection_ends() {
        let (mut streams, start) = (Streams::new(), Instant::now());
        let (id, _) = streams.open(start, 0, from(1, 1));
        streams.handle_timeout(start + IDLE - Duration::from_millis(1));
        assert_eq!(closed(&mut streams), []);
        streams.handle_timeout(start + IDLE);
        assert_eq!(closed(&mut streams), [id]);
    }

    #[test]
    fn a_driver_with_few_sockets_has_fewer_connections() {
        let (mut streams, now) = (Streams::new(), Instant::now());
        streams.bound(2);
        for port in 0..9 {
            streams.open(now, 0, from(1, port));
        }
        assert_eq!(streams.open.len(), 2);
    }
}

//! The table of peers: where each is, what is said, and over which link.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cli::cause::Explained;
use nat::plan::Role;
use peer_proto::cause::Cause;
use peer_proto::improvement::Improvement;
use peer_proto::punch::Path;
use quinn::Connection;
use sansio::{SocketId, Via};
use session::identity::PublicKey;

use super::line::Line;
use super::network::Network;
use crate::conversation::{Conversation, Event, LinkId};
use crate::files::peer::PeerFiles;
use crate::link::Link;
use crate::notice::{How, Way};

/// Peers in the table at once.
pub const MOST_PEERS: usize = 64;

/// Of these, strangers that have not connected yet.
const MOST_STRANGERS: usize = 16;

/// The table of peers.
#[derive(Debug)]
pub struct Peers {
    table: BTreeMap<String, Peer>,
    patience: Duration,
}

/// A peer.
#[derive(Debug)]
pub struct Peer {
    /// Who and where it is.
    pub contact: Contact,
    /// What is said.
    pub conversation: Conversation,
    /// The link.
    pub line: Option<Line>,
    /// The files.
    pub files: PeerFiles,
    /// When a better path is tried for.
    pub improvement: Improvement,
    /// Why there is none.
    pub obstacle: Obstacle,
    /// It has called, and is not known: nothing is done for it before it connects.
    pub stranger: bool,
    /// There was a link before.
    pub met: bool,
    /// Our address has changed since there was a link.
    pub moved: bool,
    /// The link, if there is one, is in doubt: any other path is welcome.
    pub doubted: bool,
    /// One of us has left: the user knows that the conversation ends.
    pub parted: bool,
}

/// Who and where a peer is, as the endpoint has found out.
#[derive(Debug)]
pub struct Contact {
    /// Its key, once we were introduced.
    pub key: Option<PublicKey>,
    /// A key that it has now and that is not the known one.
    pub changed_key: Option<PublicKey>,
    /// Who asked for the introduction last.
    pub role: Role,
    /// The last path.
    path: Option<Path>,
    /// Whether there was a direct path by UDP since the last introduction.
    punched: bool,
    /// Where it leads, as quinn knows it.
    address: Option<SocketAddr>,
    /// Where its last path through a relay leads, as quinn knows it.
    relayed: Option<SocketAddr>,
    /// Where its last path by TCP leads, as quinn knows it.
    tcp: Option<SocketAddr>,
}

/// Why a peer is not reached.
#[derive(Debug, Default)]
pub struct Obstacle {
    /// The last cause that the user was told, by its code.
    told: Option<&'static str>,
    /// For when we give up.
    why: Option<String>,
}

impl Peers {
    /// An empty table. Without a path to a peer for `patience` we give up.
    pub fn new(patience: Duration) -> Peers {
        Peers {
            table: BTreeMap::new(),
            patience,
        }
    }

    /// That peer.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Peer> {
        self.table.get_mut(name)
    }

    /// Whether that peer is there.
    pub fn contains(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether there is a link with that peer.
    pub fn has_link(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|peer| peer.line.is_some())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Peer)> {
        self.table.iter()
    }

    /// All of them, by name.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Peer)> {
        self.table.iter_mut()
    }

    /// What a conversation reports next, and whose it is.
    pub fn poll_event(&mut self) -> Option<(String, Event)> {
        let mut peers = self.table.iter_mut();
        peers.find_map(|(name, peer)| Some((name.clone(), peer.conversation.poll_event()?)))
    }

    /// Whether there is room for one more stranger.
    pub fn has_room_for_stranger(&self) -> bool {
        let strangers = self.table.values().filter(|peer| peer.stranger);
        strangers.count() < MOST_STRANGERS
    }

    /// Whether one has to go before another comes.
    pub fn is_full(&self) -> bool {
        self.table.len() >= MOST_PEERS
    }

    /// The peer that goes where another needs its place: one without a conversation,
    /// else a stranger.
    pub fn expendable(&self) -> Option<String> {
        let find = |which: fn(&Peer) -> bool| self.table.iter().find(|(_, peer)| which(peer));
        let expendable = find(Peer::is_stale).or_else(|| find(|peer| peer.stranger));
        expendable.map(|(name, _)| name.clone())
    }

    /// Removes a peer.
    pub fn remove(&mut self, name: &str) -> Option<Peer> {
        self.table.remove(name)
    }

    /// Adds one; `None` if the system has no randomness.
    pub fn insert(&mut self, name: &str) -> Option<&mut Peer> {
        let mut epoch = [0; 8];
        getrandom::fill(&mut epoch).ok()?;
        let conversation = Conversation::new(u64::from_ne_bytes(epoch), self.patience);
        let peer = Peer::new(name, conversation);
        Some(self.table.entry(name.to_owned()).or_insert(peer))
    }

    /// Who has that key, of those we were introduced to.
    pub fn owner_of(&self, key: &PublicKey) -> Option<String> {
        let mut peers = self.table.iter();
        peers
            .find(|(_, peer)| peer.contact.key.as_ref() == Some(key))
            .map(|(name, _)| name.clone())
    }

    /// Whose link that is.
    pub fn over(&mut self, id: LinkId) -> Option<(String, &mut Peer)> {
        let mut peers = self.table.iter_mut();
        peers
            .find(|(_, peer)| peer.line.as_ref().is_some_and(|line| line.link.id == id))
            .map(|(name, peer)| (name.clone(), peer))
    }
}

impl Peer {
    fn new(name: &str, conversation: Conversation) -> Peer {
        Peer {
            contact: Contact {
                key: None,
                changed_key: None,
                role: Role::Callee,
                path: None,
                punched: false,
                address: None,
                relayed: None,
                tcp: None,
            },
            conversation,
            line: None,
            files: PeerFiles::new(name),
            improvement: Improvement::default(),
            obstacle: Obstacle::default(),
            stranger: false,
            met: false,
            moved: false,
            doubted: false,
            parted: false,
        }
    }

    fn is_stale(&self) -> bool {
        self.conversation.is_idle() && self.conversation.waiting() == 0
    }

    /// Whether nothing is on its way, and no first path is waited for.
    pub fn is_done(&self) -> bool {
        let reached = self.met || self.conversation.is_idle();
        reached
            && self.conversation.waiting() == 0
            && self.conversation.owes_nothing()
            && !self.files.is_busy()
    }

    /// Hands to the link what it has room for.
    pub fn write(&mut self, now: Instant) {
        if let Some(line) = &mut self.line {
            line.write(|| self.conversation.poll_frame(now));
        }
    }

    /// Whether there is a link, and the peer has proven on it what it had to.
    pub fn is_trusted(&self) -> bool {
        self.line.as_ref().is_some_and(Line::is_trusted)
    }

    /// A new link; returns the last one, if there was one.
    pub fn link_up(&mut self, line: Line) -> Option<Line> {
        (self.stranger, self.moved, self.parted) = (false, false, false);
        self.doubted = false;
        self.conversation.link_up(line.link.id);
        self.obstacle.clear();
        self.line.replace(line)
    }

    /// Whether a new link comes too late: the path that there is, and the last one that was
    /// made, are better.
    pub fn is_past(&self, link: &Link) -> bool {
        let new = self.contact.how(link.connection.remote_address());
        let last = self.contact.path.map(How::from);
        let better = |how: Option<How>| how.is_some_and(|how| how.is_better_than(new));
        better(last) && better(self.how())
    }

    /// Over which kind of path the link goes, if there is one.
    pub fn how(&self) -> Option<How> {
        let link = &self.line.as_ref()?.link;
        Some(self.contact.how(link.connection.remote_address()))
    }

    /// Whether there is a link, and a better path is to be looked for.
    pub fn may_improve(&self) -> bool {
        matches!(self.how(), Some(How::Relay | How::Tcp))
    }

    /// When [`Self::handle_timeout`], or the hub for a better path, has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let look = self.line.as_ref().map(Line::poll_timeout);
        let improve = self.improvement.poll_timeout();
        let improve = improve.filter(|_| self.may_improve());
        let timeouts = [self.conversation.poll_timeout(), look, improve];
        timeouts.into_iter().flatten().min()
    }

    /// Lets time pass. A link over which anything comes is not suspected. True
    /// if the link is silent: then our own address may have changed, and the
    /// rendezvous has to know the new one before the peer asks for us.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.conversation.poll_timeout().is_some_and(|at| at <= now);
        if due && self.line.as_mut().is_some_and(Line::take_heard) {
            self.conversation.reassure(now);
        }
        self.conversation.handle_timeout(now);
        self.line.as_mut().is_some_and(|line| line.is_silent(now))
    }
}

impl Contact {
    /// There is a path, whose other end quinn knows by `address`.
    pub fn connected(&mut self, path: Path, address: SocketAddr) {
        self.path = Some(path);
        self.address = Some(address);
        match How::from(path) {
            How::Relay => self.relayed = Some(address),
            How::Tcp => self.tcp = Some(address),
            How::Lan | How::Direct => self.punched = true,
        }
    }

    /// An attempt begins: paths follow.
    pub fn introduced(&mut self) {
        self.punched = false;
    }

    /// Whether there was a direct path by UDP since the last introduction.
    pub fn is_punched(&self) -> bool {
        self.punched
    }

    /// The socket that the last path leads over, if it is not the first one.
    pub fn socket(&self) -> Option<SocketId> {
        match self.path?.via {
            Via::Socket(0) | Via::Relay | Via::Stream(_) => None,
            Via::Socket(socket) => Some(socket),
        }
    }

    /// Whether a path was made to that address.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        [self.relayed, self.tcp, self.address].contains(&Some(address))
    }

    /// The path that a connection goes over.
    pub fn way(&self, network: &Network, connection: &Connection) -> Way {
        let remote = connection.remote_address();
        Way {
            how: self.how(remote),
            remote: network.real_address(remote),
            rtt: connection.rtt(),
        }
    }

    /// Over which kind of path a link with that address goes.
    pub fn how(&self, remote: SocketAddr) -> How {
        match self.path {
            _ if self.relayed == Some(remote) => How::Relay,
            _ if self.tcp == Some(remote) => How::Tcp,
            Some(path) if path.lan => How::Lan,
            _ => How::Direct,
        }
    }
}

impl Obstacle {
    /// The peer is not reached for this cause; true if the user has not been
    /// told that yet.
    pub fn found(&mut self, cause: &Cause) -> bool {
        self.why = Some(Explained(cause).to_string());
        self.told.replace(cause.code()) != Some(cause.code())
    }

    /// The peer is not reached for a reason that the endpoint does not know.
    pub fn because(&mut self, why: String) {
        self.why = Some(why);
    }

    /// Why it is not reached, as far as that is known.
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// There is none any more, or we give up because of it.
    pub fn clear(&mut self) -> Option<String> {
        self.told = None;
        self.why.take()
    }
}

//! A peer, as the hub sees it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nat::plan::Role;
use peer_proto::punch::Path;
use session::identity::PublicKey;
use tokio::task::AbortHandle;

use crate::conversation::{Conversation, LinkId};
use crate::files::folder::Part;
use crate::files::ledger::{Ledger, Start};
use crate::frame::Frame;
use crate::link::Link;
use crate::notice::How;
use crate::verify::Verify;

/// A peer.
#[derive(Debug)]
pub struct Peer {
    /// Its key, once we were introduced.
    pub key: Option<PublicKey>,
    /// A key that it has now and that is not the known one.
    pub changed: Option<PublicKey>,
    /// What is said.
    pub conversation: Conversation,
    /// The connection.
    pub link: Option<Link>,
    /// The comparison of digits over it.
    pub verify: Option<Verify>,
    /// Datagrams that had come over it when we last sent something or doubted.
    pub heard: u64,
    /// How often the link is kept alive.
    keepalive: Duration,
    /// Since when nothing has come over the link, and how much had come.
    silent: (Instant, u64),
    /// When to look whether something has.
    listen_at: Option<Instant>,
    /// The last path, and who asked for it.
    pub path: Option<Path>,
    /// Where its last path through a relay leads, as quinn knows it.
    pub relayed: Option<SocketAddr>,
    /// Who asked for the introduction last.
    pub role: Role,
    /// There was a link before.
    pub met: bool,
    /// One of us has taken leave: that the conversation ends is no surprise.
    pub parted: bool,
    /// Why it is not reached, as the user was told.
    pub told: Option<&'static str>,
    /// Why it was not reached, for when we give up.
    pub cause: Option<String>,
    /// Files.
    pub ledger: Ledger,
    /// Where our files are.
    pub sources: HashMap<u64, PathBuf>,
    /// Our files on their way.
    pub sending: HashMap<u64, Sending>,
    /// The peer's files on their way.
    pub taking: HashMap<u64, Taking>,
}

/// A file of ours on its way.
#[derive(Debug)]
pub struct Sending {
    /// Over which link, and from where on.
    pub what: (LinkId, Start),
    /// Who sends it. It ends with this.
    pub task: AbortHandle,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How far taking a file has come.
#[derive(Debug)]
pub enum Taking {
    /// What there is of it is being read.
    Opening,
    /// The peer was asked for the rest, or will be on the next link.
    Ready(Part),
    /// The rest is being written.
    Writing,
}

impl Peer {
    pub fn new(conversation: Conversation, keepalive: Duration) -> Peer {
        Peer {
            keepalive,
            key: None,
            changed: None,
            conversation,
            link: None,
            verify: None,
            heard: 0,
            silent: (Instant::now(), 0),
            listen_at: None,
            path: None,
            relayed: None,
            role: Role::Callee,
            met: false,
            parted: false,
            told: None,
            cause: None,
            ledger: Ledger::default(),
            sources: HashMap::new(),
            sending: HashMap::new(),
            taking: HashMap::new(),
        }
    }

    /// Whether it may be forgotten.
    pub fn is_stale(&self) -> bool {
        self.conversation.is_idle() && self.conversation.waiting() == 0
    }

    /// Whether nothing is on its way, and nobody waits for a first path.
    pub fn is_done(&self) -> bool {
        let reached = self.met || self.conversation.is_idle();
        reached
            && self.conversation.waiting() == 0
            && self.conversation.owes_nothing()
            && !self.ledger.is_sending()
            && self.taking.is_empty()
    }

    /// Hands to the link what it has room for.
    pub fn write(&mut self, now: Instant) {
        let Some(link) = &self.link else { return };
        let step = |verify: &mut Option<Verify>| verify.as_mut()?.poll_step();
        while let Some(room) = link.room()
            && let Some(frame) = self
                .conversation
                .poll_frame(now)
                .or_else(|| step(&mut self.verify).map(Frame::Verify))
        {
            room.send(frame);
            self.heard = link.heard();
        }
    }

    /// A new link; the last one, if there was one.
    pub fn link_up(&mut self, now: Instant, link: Link) -> Option<Link> {
        self.conversation.link_up(link.id);
        self.silent = (now, link.heard());
        self.listen_at = Some(now + self.keepalive / 5);
        self.link.replace(link)
    }

    /// Over which kind of path a link with that address goes.
    pub fn how(&self, remote: SocketAddr) -> How {
        match self.path {
            _ if self.relayed == Some(remote) => How::Relay,
            Some(path) if !path.relayed => How::from(path),
            _ => How::Direct,
        }
    }

    /// Whether a new link comes too late: it goes through the relay, which the
    /// one that there is has already left.
    pub fn is_past(&self, link: &Link) -> bool {
        let relayed = |link: &Link| self.how(link.connection.remote_address()) == How::Relay;
        self.path.is_some_and(|path| !path.relayed)
            && relayed(link)
            && self.link.as_ref().is_some_and(|link| !relayed(link))
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let listen = self.listen_at.filter(|_| self.link.is_some());
        let timeouts = [self.conversation.poll_timeout(), listen];
        timeouts.into_iter().flatten().min()
    }

    /// Lets time pass. A link over which anything comes is not doubted. True
    /// if nothing comes although both sides keep it alive: then it may be our
    /// address that has changed, and the rendezvous should know it before the
    /// peer asks for us.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.conversation.poll_timeout().is_some_and(|at| at <= now);
        if let Some(link) = self.link.as_ref().filter(|_| due) {
            let heard = link.heard();
            if std::mem::replace(&mut self.heard, heard) != heard {
                self.conversation.reassure(now);
            }
        }
        self.conversation.handle_timeout(now);
        self.listen_at.take_if(|at| *at <= now).is_some() && self.is_silent(now)
    }

    fn is_silent(&mut self, now: Instant) -> bool {
        let Some(link) = &self.link else { return false };
        self.listen_at = Some(now + self.keepalive / 5);
        let heard = link.heard();
        let most = self.keepalive * 6 / 5;
        let silent = heard == self.silent.1 && now >= self.silent.0 + most;
        if silent || heard != self.silent.1 {
            self.silent = (now, heard);
        }
        silent
    }
}

//! What a client starts from, and what it reports.

use std::net::SocketAddr;

use session::credentials::Credentials;
use session::identity::{Identity, PublicKey};
use session::rotation::Rotation;
use session::seal::{Keys, Opened};
use stun::Transaction;

/// What a client starts from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rendezvous.
    pub server: SocketAddr,
    /// Our name.
    pub name: String,
    /// Our key.
    pub identity: Identity,
    /// Grows from one start to the next; microseconds since 1970 do.
    pub sequence: u64,
    /// Whether to ask for credentials for the server's relay, too.
    pub relay: bool,
    /// Random.
    pub seed: [u8; 32],
}

/// What a client reports.
#[derive(Debug)]
pub enum Event {
    /// The server has a second address, of which this is the one that differs
    /// in both address and port.
    OtherAddress(SocketAddr),
    /// We are registered. Told again when the address changes.
    Registered {
        /// Where the server sees us.
        mapped: SocketAddr,
        /// Where it saw us before.
        before: Option<SocketAddr>,
    },
    /// The credentials for the server's relay; `None` where it has none.
    Granted(Option<Credentials>),
    /// The server refused for good, with this error code: another key owns the
    /// name, for example.
    Refused(u16),
    /// The server is under load, and registers our new name for a proof of work of
    /// this difficulty only. It is being computed. Told once until we are registered.
    WorkWanted {
        /// The difficulty: it takes 2^bits hashes on average.
        bits: u8,
    },
    /// The server has not answered for three seconds. The client goes on asking.
    ServerSilent,
    /// The key that a peer is registered with. Nothing has been sealed to it yet:
    /// that is done by [`Client::connect`](super::Client::connect).
    Found {
        /// The peer's name.
        peer: String,
        /// Its key.
        key: PublicKey,
        /// How this key got the name. It is not checked.
        rotation: Option<Rotation>,
    },
    /// The peer is not registered, or did not acknowledge. The client goes on
    /// asking.
    PeerUnavailable {
        /// The peer's name.
        peer: String,
        /// The server's error code.
        code: u16,
    },
    /// The peer has acknowledged our request for an introduction.
    Introduced(Introduced),
    /// Another peer asks for an introduction to us: answer with
    /// [`Client::accept`](super::Client::accept).
    Invitation(Box<Invitation>),
}

/// An introduction that the peer has acknowledged.
#[derive(Debug)]
pub struct Introduced {
    /// The peer's name.
    pub peer: String,
    /// The peer's key.
    pub key: PublicKey,
    /// Where the server sees the peer.
    pub address: SocketAddr,
    /// What the peer sealed for us.
    pub payload: Vec<u8>,
    /// The keys of this attempt.
    pub keys: Keys,
}

/// A peer that asks for an introduction to us.
#[derive(Debug)]
pub struct Invitation {
    /// The caller's name.
    pub caller: String,
    /// The caller's key: the server has verified it, and the seal confirms it.
    pub key: PublicKey,
    /// How this key got the name. It is not checked.
    pub rotation: Option<Rotation>,
    /// Where the server sees the caller.
    pub address: SocketAddr,
    pub(super) transaction: Transaction,
    pub(super) opened: Opened,
}

impl Invitation {
    /// What the caller sealed for us.
    pub fn payload(&self) -> &[u8] {
        &self.opened.payload
    }
}

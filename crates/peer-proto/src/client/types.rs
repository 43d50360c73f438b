//! What a client starts from, and what it reports.

use std::net::SocketAddr;
use std::time::Instant;

use session::credentials;
use session::identity::{Identity, PublicKey};
use session::rotation::Rotation;
use session::seal::{Fresh, Keys, Opened};
use stun::Transaction;

/// What a client starts from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rendezvous.
    pub server: SocketAddr,
    /// Its key. Answers that do not prove themselves by it are dropped. `None`
    /// takes the first key that proves itself, and a server without a key.
    pub server_key: Option<PublicKey>,
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
    Granted(Option<credentials::Granted>),
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
    /// The server that was silent, or another in its place, answers again.
    ServerAnswers,
    /// Somebody has answered for three seconds, and not the server that is
    /// expected. The client goes on asking.
    OtherServerKey(OtherKey),
    /// The server has this key, and has proved it. Told once, before
    /// [`Event::Registered`].
    ServerProved(PublicKey),
    /// No key was expected, and the server has none: whoever is on the way may
    /// answer in its place. Told once.
    ServerKeyless,
    /// What a peer is registered with. Nothing has been sealed to its key yet:
    /// that is done by [`Client::connect`](super::Client::connect).
    Found {
        /// The peer's name.
        peer: String,
        /// Its key and nonce.
        callee: Callee,
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
    /// Another peer asks for an introduction to us, says the server: look into it with
    /// [`Client::open`](super::Client::open), or refuse it.
    Notified(Notification),
    /// The server asks again for an answer that it has not got yet, and has got it again:
    /// the caller is introduced later than was thought.
    NotifiedAgain {
        /// The caller's name.
        caller: String,
    },
}

/// What a peer is registered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Its key.
    pub key: PublicKey,
    /// Its nonce, to which an offer is bound.
    pub fresh: Fresh,
    /// When the server has told it.
    pub at: Instant,
}

/// Answers that the expected server has not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherKey {
    /// The server's key.
    pub expected: PublicKey,
    /// The key of whoever has answered; `None` if it has proved none.
    pub got: Option<PublicKey>,
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

/// Whether we know a peer. Whoever we know is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// Its key is the one that is known for its name, or we have named it ourselves.
    Known,
    /// A rendezvous has told us of it, and nothing else is known.
    Stranger,
}

/// A peer that asks for an introduction to us, as the server tells it. Whether the
/// peer has sealed it is not known before it is opened.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The caller's name, which is a valid one.
    pub caller: String,
    /// The caller's key.
    pub key: PublicKey,
    /// Where the server sees the caller.
    pub address: SocketAddr,
    /// How this key got the name. It is not checked.
    pub rotation: Option<Rotation>,
    /// Names the notification where it is refused.
    pub transaction: Transaction,
    pub(super) bytes: Vec<u8>,
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
    /// Names the notification where it is refused.
    pub transaction: Transaction,
    pub(super) opened: Opened,
}

impl Invitation {
    /// What the caller sealed for us.
    pub fn payload(&self) -> &[u8] {
        &self.opened.payload
    }
}

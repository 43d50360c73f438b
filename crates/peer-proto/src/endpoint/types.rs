//! What an endpoint starts from, and what it reports.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::relaying::Wish;
use crate::candidate::Tcp;
use crate::cause::Cause;
use crate::client::{OtherKey, Relation};
use crate::punch::{Measured, Path};
use crate::{client, relay};
use nat::plan::{Plan, Role};
use session::identity::PublicKey;
use session::rotation::Rotation;

/// What an endpoint starts from.
#[derive(Debug)]
pub struct Config {
    /// The server, our name, our key.
    pub client: client::Config,
    /// Our own addresses, to be told to peers. Empty for privacy.
    pub hosts: Vec<SocketAddr>,
    /// Whether to probe the host candidates of peers.
    pub lan: bool,
    /// The peer to reach, which is then the only one that is answered. `None`
    /// answers every peer, and waits until [`Endpoint::call`](super::Endpoint::call).
    pub peer: Option<String>,
    /// The only peer that is answered, where none is called. It counts as known.
    pub from: Option<String>,
    /// What is done where a peer calls that is not known.
    pub strangers: Strangers,
    /// Attempts at the same time, at most; one with each peer. A quarter of them may
    /// be with strangers.
    pub most_attempts: usize,
    /// The keys that are known for names. Another key for a known name is refused.
    pub known: HashMap<String, PublicKey>,
    /// How our key got our name, if another key had it before.
    pub rotation: Option<Rotation>,
    /// TTL of openers: the number of own NATs in a row, plus 1. `None` sends no
    /// openers.
    pub opener_ttl: Option<u8>,
    /// Our NAT is being measured: [`Endpoint::describe`](super::Endpoint::describe)
    /// follows. Peers are called and answered before; no port is guessed.
    pub measuring: bool,
    /// Whether to use a relay: the server's, unless `turn` names another.
    pub relay: Wish,
    /// A TURN server to use in place of the rendezvous. The peer has to know it,
    /// too: only addresses at a relay that both know are sent to.
    pub turn: Option<relay::Config>,
    /// How long one attempt may take, beside what its plan takes.
    pub attempt: Duration,
    /// Where we are reached by TCP, if TCP and nothing else is wanted. The driver
    /// makes the attempts then: see [`Endpoint::poll_tcp`](super::Endpoint::poll_tcp).
    pub tcp: Option<Tcp>,
    /// Whether peers that are known and that UDP finds no direct path to are tried by TCP, too, if
    /// they do the same: see [`Event::TcpWanted`].
    pub tcp_too: bool,
    /// Whether we tell known peers after the attempt what we have noted of it, if they
    /// do the same: see [`share`](crate::share).
    pub shares: bool,
}

impl Config {
    /// A peer behind one NAT that answers every peer, one at a time; without host
    /// candidates, relay or TCP.
    pub fn new(client: client::Config) -> Self {
        Self {
            client,
            hosts: Vec::new(),
            lan: true,
            peer: None,
            from: None,
            strangers: Strangers::Answer,
            most_attempts: 1,
            known: HashMap::new(),
            rotation: None,
            opener_ttl: Some(2),
            measuring: false,
            relay: Wish::Never,
            turn: None,
            attempt: Duration::from_secs(10),
            tcp: None,
            tcp_too: false,
            shares: false,
        }
    }
}

/// What is done where a peer calls that is not known: whose key is not known for its
/// name, and that was not named by us. Such a peer is told no host candidates, no
/// relayed address and no budget for guesses; its host candidates are not probed; and
/// it has only a part of the room and of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// It is answered.
    #[default]
    Answer,
    /// [`Event::Asking`] is reported, and nothing is sent to the peer.
    Ask,
}

/// What an endpoint reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// We are registered, and seen at this address.
    Registered(SocketAddr),
    /// The server refused for good, with this error code of [`stun::code`].
    Refused(u16),
    /// The server is under load, and registers our new name for a proof of work
    /// only, which is being computed.
    WorkWanted {
        /// The difficulty: it takes 2^bits hashes on average.
        bits: u8,
    },
    /// The server has not answered for three seconds. We go on asking.
    ServerSilent,
    /// The server that was silent, or another in its place, answers again.
    ServerAnswers,
    /// Somebody has answered for three seconds, and not the server that is
    /// expected. We go on asking.
    OtherServerKey(OtherKey),
    /// The server has this key, and has proved it. Told once.
    ServerProved(PublicKey),
    /// No key was expected, and the server has none. Told once.
    ServerKeyless,
    /// A relayed address was asked for, and there is none. We go on without.
    NoRelay {
        /// The relay.
        relay: SocketAddr,
        /// Why.
        failure: relay::Failure,
    },
    /// The peer is not there yet. We go on asking.
    PeerUnavailable {
        /// The peer's name.
        peer: String,
        /// The server's error code.
        code: u16,
    },
    /// The peer has given its name a new key, signed by the known one: this is its
    /// key from now on.
    KeyRotated {
        /// The peer's name.
        peer: String,
        /// The key that was known.
        before: PublicKey,
        /// The key that is known now.
        now: PublicKey,
    },
    /// The peer's key is not the known one. Nothing was sealed to it.
    KeyChanged {
        /// The peer's name.
        peer: String,
        /// The key that is known.
        known: PublicKey,
        /// The key that is registered.
        now: PublicKey,
    },
    /// An attempt begins.
    Introduced {
        /// The peer's name.
        peer: String,
        /// The peer's key.
        key: PublicKey,
        /// Where the server sees the peer.
        address: SocketAddr,
        /// Which side we are.
        role: Role,
        /// What both sides do.
        plan: Plan,
        /// Whether the peer is known.
        relation: Relation,
        /// Whether the peer tells after the attempt what it has noted of it, if we do.
        shares: bool,
    },
    /// A peer calls that is not known. Let it in with
    /// [`Endpoint::admit`](super::Endpoint::admit), and call it; or
    /// [`Endpoint::reject`](super::Endpoint::reject) it. Reported again while the
    /// peer calls on.
    Asking {
        /// The peer's name.
        peer: String,
        /// The peer's key.
        key: PublicKey,
        /// Where the server sees the peer.
        address: SocketAddr,
    },
    /// UDP has found no direct path to a known peer so far. Find out where peers reach us by TCP,
    /// and tell [`Endpoint::offer_tcp_too`](super::Endpoint::offer_tcp_too): with the next
    /// introduction an attempt by TCP begins beside the one by UDP. It is told again after an
    /// answer that we are not reached by TCP.
    TcpWanted,
    /// The attempt with this stranger has made room for a known peer.
    Displaced {
        /// The peer's name.
        peer: String,
    },
    /// There is a path. Keep driving until [`Event::Finished`].
    Connected {
        /// The peer's name.
        peer: String,
        /// The path.
        path: Path,
    },
    /// The peer knows of the path, too.
    Finished {
        /// The peer's name.
        peer: String,
    },
    /// The quality of the path, after
    /// [`Endpoint::measure`](super::Endpoint::measure).
    Measured {
        /// The peer's name.
        peer: String,
        /// The result.
        measured: Measured,
    },
    /// The attempt has ended without a path.
    Failed {
        /// The peer's name.
        peer: String,
        /// Why.
        cause: Cause,
    },
}

//! What an endpoint is told, and what it tells.

use super::*;

/// What an endpoint is told when it starts.
#[derive(Debug)]
pub struct Config {
    /// Server, name, key.
    pub client: client::Config,
    /// Own addresses, to be told to peers. Empty for privacy.
    pub hosts: Vec<SocketAddr>,
    /// Whether to probe what peers tell of theirs.
    pub lan: bool,
    /// Whom to reach, and who alone is answered; `None` waits for whoever
    /// asks, until [`Endpoint::call`].
    pub peer: Option<String>,
    /// Attempts at once, at most: one with each peer.
    pub most_attempts: usize,
    /// Keys known for names. Another key for a known name is refused.
    pub known: HashMap<String, PublicKey>,
    /// TTL of openers; `None` sends none.
    pub opener_ttl: Option<u8>,
    /// Our NAT is being measured: nobody is called or answered before
    /// [`Endpoint::describe`].
    pub measuring: bool,
    /// Whether to use a relay: the server's, unless `turn` names another.
    pub relay: Wish,
    /// Another TURN server, to be used in place of the rendezvous. The peer
    /// has to know it, too: it is sent to only if both name it.
    pub turn: Option<relay::Config>,
    /// How long one attempt may take, beside what its plan takes.
    pub attempt: Duration,
    /// Where we are reached by TCP, if that and nothing else is wanted. Attempts
    /// are the hands' then: see [`Endpoint::poll_tcp`].
    pub tcp: Option<Tcp>,
}

/// What an endpoint learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Registered, and seen at this address.
    Registered(SocketAddr),
    /// The server refused for good, with this error code of [`stun::code`].
    Refused(u16),
    /// No answer from the server for three seconds.
    ServerSilent,
    /// The peer is not there yet. We go on asking.
    PeerUnavailable {
        /// The name.
        peer: String,
        /// The server's error code.
        code: u16,
    },
    /// The peer's key is not the known one. Nothing was sealed to it.
    KeyChanged {
        /// The name.
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
        /// Its key.
        key: PublicKey,
        /// Where the server sees it.
        address: SocketAddr,
        /// Who asked.
        role: Role,
        /// How it will be tried.
        plan: Plan,
    },
    /// There is a path. Go on until [`Event::Finished`].
    Connected {
        /// The peer's name.
        peer: String,
        /// Where it is.
        path: Path,
    },
    /// The peer knows too.
    Finished {
        /// The peer's name.
        peer: String,
    },
    /// What the path is worth, after [`Endpoint::measure`].
    Measured {
        /// The peer's name.
        peer: String,
        /// The figures.
        measured: Measured,
    },
    /// There is none, and this is why.
    Failed {
        /// The peer's name.
        peer: String,
        /// Why.
        cause: Cause,
    },
}

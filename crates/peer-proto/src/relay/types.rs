//! What a client is told, and what it tells.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stun::code;

/// What a client is told when it starts.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// The TURN server.
    pub server: SocketAddr,
    /// Who we are to it.
    pub username: String,
    /// What proves it.
    pub password: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({} at {})", self.username, self.server)
    }
}

/// What a client learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// We have a relayed address, which is kept alive from here on.
    Allocated {
        /// What peers are to send to.
        relayed: SocketAddr,
        /// Where the server sees us.
        mapped: Option<SocketAddr>,
        /// What the server granted the first time.
        lifetime: Duration,
    },
    /// There is no relayed address, or no longer one: this client is of no
    /// more use.
    Failed(Failure),
    /// This peer is heard now, and can be sent to.
    Permitted(IpAddr),
    /// The server does not relay to this peer, or forgot it.
    Refused(IpAddr),
    /// What is sent to this peer costs only four bytes more from here on.
    ChannelBound(SocketAddr),
}

/// Why there is no relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server does not answer.
    #[error("the TURN server does not answer")]
    Silent,
    /// It said no, with this error code.
    #[error("the TURN server refused: {0} {why}", why = code::reason(*.0))]
    Refused(u16),
    /// It was there and could not be refreshed in time.
    #[error("the relayed address has expired")]
    Expired,
    /// [`Client::close`] was called.
    #[error("closed")]
    Closed,
}

impl Failure {
    /// The server's error code, if it said no.
    pub fn code(&self) -> Option<u16> {
        match self {
            Failure::Refused(code) => Some(*code),
            _ => None,
        }
    }
}

/// What a datagram was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Not of TURN, or not from the server: somebody else's.
    NotOurs,
    /// An answer, or nonsense.
    Consumed,
    /// A peer sent this through the relay.
    Relayed {
        /// Who: the address that the relay saw.
        peer: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
}

/// Why a payload cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no relayed address, or it is not [`Event::Permitted`] yet.
    #[error("the relay does not let this peer through (yet)")]
    NotPermitted,
}

//! What a client starts from, and what it reports.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use session::credentials::Challenge;
use stun::code;

/// What a client starts from.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// The TURN server.
    pub server: SocketAddr,
    /// Our username at that server.
    pub username: String,
    /// The password of that username.
    pub password: String,
    /// What the server has told of its realm, with a nonce; `None` asks for it, which
    /// takes a round trip.
    pub challenge: Option<Challenge>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({} at {})", self.username, self.server)
    }
}

/// What a client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// We have a relayed address. It is kept alive from now on.
    Allocated {
        /// The relayed address, which peers are to send to.
        relayed: SocketAddr,
        /// Where the server sees us.
        mapped: Option<SocketAddr>,
        /// The lifetime that the server has granted.
        lifetime: Duration,
    },
    /// There is no relayed address, or no longer one. The client has ended.
    Failed(Failure),
    /// This peer is heard from now on, and can be sent to.
    Permitted(IpAddr),
    /// The server does not relay to this peer, or no longer does.
    Refused(IpAddr),
    /// What is sent to this peer costs only four bytes more from now on.
    ChannelBound(SocketAddr),
}

/// Why there is no relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server does not answer.
    #[error("the TURN server does not answer")]
    Silent,
    /// The server's host says by ICMP that nothing listens on that port.
    #[error("nothing listens on the TURN server's port (ICMP port unreachable)")]
    Unreachable,
    /// The server refused, with this error code.
    #[error("the TURN server refused: {0} {why}", why = code::reason(*.0))]
    Refused(u16),
    /// The allocation could not be refreshed in time.
    #[error("the relayed address has expired")]
    Expired,
    /// [`Client::close`](super::Client::close) was called.
    #[error("closed")]
    Closed,
}

impl Failure {
    /// The server's error code, if it refused.
    pub fn code(&self) -> Option<u16> {
        match self {
            Failure::Refused(code) => Some(*code),
            _ => None,
        }
    }
}

/// What a datagram was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It is not TURN, or not from the server: it is for somebody else.
    NotOurs,
    /// It was for the client.
    Consumed,
    /// A peer sent this through the relay.
    Relayed {
        /// The peer, as the relay sees it.
        peer: SocketAddr,
        /// The payload.
        payload: Vec<u8>,
    },
}

/// Why a payload cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no relayed address, or the peer is not [`Event::Permitted`] yet.
    #[error("the relay does not let this peer through, or not yet")]
    NotPermitted,
}

//! Punching by TCP: both sides connect to each other from the port on which
//! they also listen (simultaneous open: RFC 5382 §4, RFC 9293 §3.5).
//!
//! Report to the [`Agent`] what becomes of connections with [`Agent::handle_open`],
//! [`Agent::handle_accepted`], [`Agent::handle_failed`], [`Agent::handle_bytes`] and
//! [`Agent::handle_closed`], call [`Agent::handle_timeout`] at the time that
//! [`Agent::poll_timeout`] returns, carry out what [`Agent::poll_command`] yields, and
//! act on [`Agent::poll_event`].
//!
//! A SYN that comes to a NAT before one has left there is dropped, and then the
//! system sends it again; or it is answered with a reset, and then the agent
//! connects again after a pause. It is random, and not long beside the round trip, so
//! that after a few tries the two SYNs pass each other on the way, even where a reset
//! removes the mapping at once. A connection counts once a probe of ours was answered over it, under the
//! keys of the attempt. The caller nominates one connection, and the others are
//! closed.
//!
//! The connection then carries datagrams in the frames of [`framing`].
//!
//! There are no openers with a low TTL, as there are by UDP. The ICMP error that
//! such an opener causes ends the connecting socket. The listening socket then
//! answers the peer's SYN with another sequence number, and since Linux's connection
//! tracking remembers the opener's, it lets what follows leave untranslated.

mod agent;
pub mod framing;
mod link;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Config, MOST_TRIES, Observed};
pub use link::LinkId;

use std::net::SocketAddr;
use std::time::Duration;

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Connect, from the port that we listen on.
    Connect {
        /// The number of the connection.
        link: LinkId,
        /// Where to.
        to: SocketAddr,
    },
    /// Send a message.
    Send {
        /// The connection to send over.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close a connection, or stop making it.
    Close {
        /// The connection.
        link: LinkId,
    },
}

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The other end answered with a reset.
    Reset,
    /// Anything else.
    Other,
}

/// How an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides have chosen this connection. The agent no longer uses it: what came over it
    /// after the agent's messages, [`Agent::take_rest`] returns.
    Connected(Path),
    /// There is no connection.
    Failed(Observed),
}

/// A connection that both sides have proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The connection.
    pub link: LinkId,
    /// The address of the peer.
    pub remote: SocketAddr,
    /// Whether the peer is on a private network of our own.
    pub lan: bool,
    /// Round trip of the probe that proved it; `None` at a callee that was
    /// nominated before its own probe was answered.
    pub rtt: Option<Duration>,
}

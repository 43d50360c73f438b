//! Making the hole by TCP: both sides connect to each other from the port on
//! which they also listen (RFC 5382 §4, RFC 9293 §3.5 "simultaneous open").
//!
//! Like the agents of [`crate::punch`], this one is fed and asked: tell it what
//! became of connections with [`Agent::handle_open`], [`Agent::handle_accepted`],
//! [`Agent::handle_failed`], [`Agent::handle_bytes`] and [`Agent::handle_closed`],
//! call [`Agent::handle_timeout`] when [`Agent::poll_timeout`] says so, carry out
//! what [`Agent::poll_command`] yields and act on [`Agent::poll_event`].
//!
//! A SYN that comes to a NAT before one has left it gets silence, and is sent
//! again by the system, or a reset: then the agent connects again after 100 to
//! 200 ms, drawn at random, so that sooner or later the two sides' SYNs pass
//! each other on the way even where a reset closes the hole at once. There are
//! no openers with a low TTL as there are by UDP: the ICMP error that comes back
//! ends the connecting socket, the peer's SYN is answered by the listening one
//! with another sequence number, and Linux's connection tracking, which remembers
//! the opener's, lets what follows leave untranslated. A connection counts once a probe of ours was answered over it, under the keys
//! of the attempt; the caller nominates one, and the others are closed.

mod agent;
mod link;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Config, MOST_TRIES, Observed};
pub use link::LinkId;

use std::net::SocketAddr;
use std::time::Duration;

/// What the hands are to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Connect, from the port that we listen on.
    Connect {
        /// What to call it.
        link: LinkId,
        /// Where to.
        to: SocketAddr,
    },
    /// Send this.
    Send {
        /// Over which connection.
        link: LinkId,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// Close it, or stop trying to make it.
    Close {
        /// Which.
        link: LinkId,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides have chosen this connection; it is theirs now.
    Connected(Path),
    /// There is none.
    Failed(Observed),
}

/// A connection that both sides have proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Which.
    pub link: LinkId,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// Whether it is on a network of our own.
    pub lan: bool,
    /// Round trip of the probe that proved it; the target may do without.
    pub rtt: Option<Duration>,
}

//! Which server to ask, how often, and for how long.

use std::net::SocketAddr;
use std::time::Duration;

/// Which server to ask, how often, and for how long.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's first address.
    pub s1: SocketAddr,
    /// Its other address, or another server's. Without it, OTHER-ADDRESS of the first answer
    /// (RFC 5780 §7.4).
    pub s2: Option<SocketAddr>,
    /// Further servers, which are asked for the reflexive address alone.
    pub more: Vec<SocketAddr>,
    /// Sends per test, at least 2; up to five times as many where packets are lost.
    pub tries: u32,
    /// The time between two sends of a test.
    pub spacing: Duration,
    /// Whether to create ten more mappings even where ports are preserved: a pool of public
    /// addresses may not show otherwise.
    pub survey: bool,
    /// How long to wait after the last send. `None`: three measured round trips and at least
    /// [`MIN_WAIT`]; [`BLIND_WAIT`] if no answer came.
    pub wait: Option<Duration>,
}

/// The shortest wait for late answers, unless [`Config::wait`] gives another.
pub const MIN_WAIT: Duration = Duration::from_millis(150);

/// How long to wait if no answer comes at all.
pub const BLIND_WAIT: Duration = Duration::from_millis(1500);

impl Config {
    /// Five sends per test, 20 ms apart.
    pub fn new(s1: SocketAddr, s2: Option<SocketAddr>) -> Self {
        Self {
            s1,
            s2,
            more: Vec::new(),
            tries: 5,
            spacing: Duration::from_millis(20),
            survey: false,
            wait: None,
        }
    }
}

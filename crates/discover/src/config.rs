//! What to ask, and how patiently.

use std::net::SocketAddr;
use std::time::Duration;

/// What to ask, and how patiently.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's first address.
    pub s1: SocketAddr,
    /// Its other address, or another server's; without it, what the first
    /// answer says (RFC 5780 §7.4).
    pub s2: Option<SocketAddr>,
    /// Sends per test, at least 2; up to five times as many where loss is seen.
    pub tries: u32,
    /// From one send of a test to the next.
    pub spacing: Duration,
    /// Look at ten more mappings even where ports are kept: a pool of
    /// addresses may show only then.
    pub survey: bool,
    /// How long to wait after the last send. Without it, three measured round
    /// trips and at least [`MIN_WAIT`]; [`BLIND_WAIT`] where none was measured.
    pub wait: Option<Duration>,
}

/// The shortest wait for late answers, unless the caller asks for another.
pub const MIN_WAIT: Duration = Duration::from_millis(150);

/// How long to wait where nothing at all is heard.
pub const BLIND_WAIT: Duration = Duration::from_millis(1500);

impl Config {
    /// Five sends 20 ms apart.
    pub fn new(s1: SocketAddr, s2: Option<SocketAddr>) -> Self {
        Self {
            s1,
            s2,
            tries: 5,
            spacing: Duration::from_millis(20),
            survey: false,
            wait: None,
        }
    }
}

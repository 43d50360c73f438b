//! What an attempt starts from, what it sends, and what it reports.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::burst::Burst;
use super::pair::Path;
use nat::plan::Role;
use sansio::Via;
use session::seal::Keys;

/// Which way a packet leaves, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// From which of our sockets, or through our relay.
    pub via: Via,
    /// The address of the peer.
    pub to: SocketAddr,
}

/// A packet that an attempt or a measurement sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which way it leaves, and where to.
    pub to: Target,
    /// IP time to live; `None` is the system's default.
    pub ttl: Option<u8>,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// What an attempt starts from.
#[derive(Debug)]
pub struct Config {
    /// Which side we are.
    pub role: Role,
    /// The keys of the attempt.
    pub keys: Keys,
    /// Where the rendezvous sees the peer.
    pub reflexive: SocketAddr,
    /// The peer's host candidates, already filtered.
    pub hosts: Vec<SocketAddr>,
    /// When probes are sent to one address: see [`schedule`](super::schedule).
    pub probes: &'static [Duration],
    /// Both sides have the same public address, so a LAN path is waited for.
    pub lan_likely: bool,
    /// TTL of the opener: the number of own NATs in a row, plus 1. `None` sends
    /// no opener.
    pub opener_ttl: Option<u8>,
    /// How long probes to the reflexive address with the system's TTL wait.
    pub hold: Duration,
    /// What leads through a relay, ours or the peer's.
    pub relayed: Vec<Target>,
    /// From when on the relayed targets are tried.
    pub relay_from: Instant,
    /// Only relayed targets are used.
    pub relay_only: bool,
    /// Once there is a relayed path, a direct path is still waited for.
    pub direct_expected: bool,
    /// Packets to guessed ports, beside the plain probes.
    pub burst: Option<Burst>,
    /// When the last packet of a burst leaves, ours or the peer's.
    pub bursts_end: Option<Instant>,
    /// When to give up at the latest; but never before the bursts are over.
    pub deadline: Instant,
    /// Random.
    pub seed: [u8; 32],
}

/// How an attempt goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides have a path. Keep driving the agent until it is
    /// [`Event::Finished`], or the peer may never learn of the path. Told again
    /// when a direct path replaces a relayed one.
    Connected(Path),
    /// There is nothing left to do.
    Finished,
    /// There is no path.
    Failed(Observed),
}

/// What was seen of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Only the relay was to be used.
    pub relay_only: bool,
    /// An authentic packet of the peer has arrived.
    pub heard: bool,
    /// The peer has answered a packet of ours.
    pub answered: bool,
    /// Probes of this attempt with a wrong MAC.
    pub forged: u32,
    /// The peer's address that answered with ICMP port unreachable.
    pub refused: Option<SocketAddr>,
}

//! What an attempt is told, and what it tells.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::burst::{Burst, Target};
use super::pair::Path;
use nat::plan::Role;
use session::seal::Keys;

/// What an attempt starts from.
#[derive(Debug)]
pub struct Config {
    /// Which side we are.
    pub role: Role,
    /// The secrets of the attempt.
    pub keys: Keys,
    /// Where the rendezvous sees the peer.
    pub reflexive: SocketAddr,
    /// The peer's host candidates, already filtered.
    pub hosts: Vec<SocketAddr>,
    /// Both sides have one public address, so a LAN path is worth a wait.
    pub lan_likely: bool,
    /// TTL of the opener: own NAT depth + 1. `None` sends none.
    pub opener_ttl: Option<u8>,
    /// How long full-TTL probes to the reflexive address are held.
    pub hold: Duration,
    /// What leads through a relay, ours or the peer's.
    pub relayed: Vec<Target>,
    /// From when on those are tried.
    pub relay_from: Instant,
    /// No direct path is to be looked for.
    pub relay_only: bool,
    /// A direct path is worth waiting for when there is a relayed one.
    pub hopeful: bool,
    /// Packets to ports that are guessed, beside the plain probes.
    pub burst: Option<Burst>,
    /// When the last packet of such a burst leaves, ours or the peer's.
    pub bursts_end: Option<Instant>,
    /// When to give up at the latest; bursts are waited for all the same.
    pub deadline: Instant,
    /// Random.
    pub seed: [u8; 32],
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides have a path. Keep feeding the agent until it is
    /// [`Event::Finished`], or the peer may never learn of it. Told again when
    /// a direct path replaces a relayed one.
    Connected(Path),
    /// There is nothing left to do.
    Finished,
    /// No path.
    Failed(Observed),
}

/// What was seen of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// An authentic packet of the peer has arrived.
    pub heard: bool,
    /// The peer has answered a packet of ours.
    pub answered: bool,
    /// Probes of this attempt with a wrong MAC.
    pub forged: u32,
    /// The peer's address answered with ICMP port unreachable.
    pub refused: Option<SocketAddr>,
}

//! Everything that chat tells the user: a sentence for people, an object for
//! programs (docs/reference/json.md).

pub mod bar;
mod json;
mod text;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nat::Behaviour;
use nat::plan::Role;
use peer_proto::cause::Cause;
use peer_proto::punch::Path;
use peer_proto::relay;
use sansio::Via;
use session::identity::PublicKey;

use crate::files::Direction;
use crate::handover::told::Told;
use crate::history::Said;
use crate::pending::Kept;
use crate::room::{Tally, Why};

/// Something to tell.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A message. Without --json nothing else goes to a script's stdout.
    Message { from: String, text: String },
    /// We are registered, and the server sees us at this address.
    Registered { name: String, mapped: SocketAddr },
    /// The server is under load and wants a proof of work for our new name.
    WorkWanted(SocketAddr),
    /// The rendezvous has accepted our new key.
    NewKey {
        name: String,
        before: PublicKey,
        now: PublicKey,
    },
    /// The server does not answer.
    ServerSilent(SocketAddr),
    /// There is no relayed address.
    NoRelay {
        relay: SocketAddr,
        failure: relay::Failure,
    },
    /// The server's key was not known before.
    ServerKey {
        server: String,
        key: PublicKey,
        first_use: bool,
        text: String,
    },
    /// The server has no key.
    ServerKeyless { server: String, text: String },
    /// Another server answers than the known one, or the key of this one cannot be
    /// kept.
    ServerRefused(String),
    /// There is a link with a peer.
    Connected { peer: String, way: Way, again: bool },
    /// A connected peer is reached over another path.
    Moved { peer: String, way: Way },
    /// It was lost.
    Broken {
        peer: String,
        why: String,
        waiting: usize,
    },
    /// The peer is not reached yet, and why.
    NotYet { peer: String, cause: Cause },
    /// The peer has left.
    Left { peer: String },
    /// The peer is another process than before.
    Restarted { peer: String },
    /// No path for too long.
    GaveUp { peer: String, why: Option<String> },
    /// This message did not reach the peer.
    Undelivered { to: String, text: String },
    /// It is kept on disk until the peer is there, and so many with it.
    Kept { to: String, waiting: usize },
    /// The answer to /pending, and the time in seconds since 1970.
    Pending { kept: Vec<Kept>, now: u64 },
    /// The answer to /history, and the time in seconds since 1970.
    History { said: Vec<Said>, now: u64 },
    /// This one did.
    Delivered {
        to: String,
        number: u64,
        text: String,
        after: Duration,
    },
    /// A peer that is not known wants to talk to us.
    Asks { peer: String, key: PublicKey },
    /// So many more do, and are not shown.
    AsksMore(usize),
    /// A caller is ignored from now on.
    Rejected { peer: String },
    /// Lines go to that peer now.
    Talking { to: String },
    /// The peer's key is not the one that is known.
    KeyChanged {
        peer: String,
        known: PublicKey,
        now: PublicKey,
    },
    /// The peer has a new key, signed by the one that was known, and it is known
    /// from now on.
    KeyRotated {
        peer: String,
        before: PublicKey,
        now: PublicKey,
    },
    /// The key is trusted from now on.
    Trusted { peer: String, key: PublicKey },
    /// A file on offer.
    Offered {
        from: String,
        number: u64,
        name: String,
        size: u64,
    },
    /// How far a file has come.
    Progress {
        peer: String,
        name: String,
        direction: Direction,
        bytes: u64,
        size: u64,
        /// Bytes a second.
        speed: f64,
        left: Duration,
    },
    /// A file was received.
    Received {
        from: String,
        name: String,
        path: PathBuf,
        size: u64,
    },
    /// A file was sent, and the peer has it.
    Sent { to: String, name: String, size: u64 },
    /// A file will not arrive.
    FileEnded {
        peer: String,
        name: String,
        direction: Direction,
        why: String,
    },
    /// The answer to /peers.
    Peers(Vec<PeerLine>),
    /// The answer to /path.
    Paths {
        paths: Vec<PathLine>,
        /// Our NAT, if it was measured, and how long ago.
        nat: Option<(Behaviour, Duration)>,
    },
    /// We are in this room now.
    RoomEntered { room: String },
    /// We have left it.
    RoomEnded { room: String },
    /// A peer is in a room that we are not in, with so many people.
    RoomInvited {
        room: String,
        peer: String,
        members: usize,
    },
    /// A peer is in our room, which has so many members now, with us.
    RoomJoined {
        room: String,
        peer: String,
        members: usize,
    },
    /// It is no longer.
    RoomLeft {
        room: String,
        peer: String,
        why: Why,
    },
    /// A message to all in the room.
    RoomMessage {
        room: String,
        from: String,
        text: String,
    },
    /// A message of ours has come to this member after so long, or it will not.
    RoomDelivered {
        room: String,
        peer: String,
        tally: Tally,
        after: Option<Duration>,
    },
    /// The answer to /room: who is in it, and who was told to be, by whom.
    Room {
        room: String,
        members: Vec<PathLine>,
        told: Vec<(String, String)>,
    },
    /// The answer to /who.
    Who {
        name: String,
        key: PublicKey,
        server: SocketAddr,
        /// The server's address with its key, as others have to type it.
        server_address: String,
        mapped: Vec<SocketAddr>,
        to: Option<String>,
    },
    /// One user wants to compare digits, and the other has not asked yet.
    Verifying { peer: String, asked_by: Side },
    /// Digits to compare.
    Verify { peer: String, digits: String },
    /// The answer to /help.
    Help(String),
    /// Of files for whoever has a code.
    Handover(Told),
    /// What is wrong with what was typed, or what could not be done.
    Problem(String),
}

/// The two sides of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our user.
    Us,
    /// The peer's.
    Peer,
}

/// The kinds of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Within one local network.
    Lan,
    /// Without a relay.
    Direct,
    /// Without a relay, over a TCP connection.
    Tcp,
    /// Through a relay.
    Relay,
}

/// The path of a link.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Over which kind of path.
    pub how: How,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// Round trip.
    pub rtt: Duration,
}

/// A line of /peers.
#[derive(Clone, Debug)]
pub struct PeerLine {
    /// The name.
    pub name: String,
    /// `connected`, `calling`, `known`, or `asks` (it waits for /accept).
    pub state: &'static str,
    /// Messages and other items that wait for delivery.
    pub waiting: usize,
    /// Whether lines go there.
    pub chosen: bool,
}

/// A line of /path.
#[derive(Clone, Debug)]
pub struct PathLine {
    /// The name.
    pub name: String,
    /// The path; `None` while there is none.
    pub open: Option<OpenPath>,
    /// Why the peer is reached so, or is not.
    pub why: String,
}

/// A path that is in use.
#[derive(Clone, Debug)]
pub struct OpenPath {
    /// The path.
    pub way: Way,
    /// The relay that it goes through.
    pub relay: Option<SocketAddr>,
    /// Our own address on it.
    pub local: SocketAddr,
    /// Packets that were lost.
    pub lost: u64,
    /// Packets that were sent.
    pub sent: u64,
}

impl How {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            How::Lan => "lan",
            How::Direct => "direct",
            How::Tcp => "tcp",
            How::Relay => "relay",
        }
    }

    /// The same for people.
    pub fn text(self) -> &'static str {
        match self {
            How::Tcp => "direct, TCP",
            how => how.word(),
        }
    }

    /// Whether a link over this kind of path is not to be replaced by one over that.
    pub fn is_better_than(self, other: How) -> bool {
        let rank = |how| match how {
            How::Relay => 0,
            How::Tcp => 1,
            How::Lan | How::Direct => 2,
        };
        rank(self) > rank(other)
    }

    /// Why `peer` is reached so; `role` is ours in the introduction.
    pub fn why(self, peer: &str, role: Role) -> String {
        match (self, role) {
            (How::Lan, _) => "both are on one network".into(),
            (How::Direct, Role::Caller) => format!(
                "you called, and your packets pass {peer}'s NAT at the address that the punch \
                 confirmed"
            ),
            (How::Direct, Role::Callee) => {
                format!("{peer} called, and your NAT lets packets from that address in")
            }
            (How::Tcp, _) => {
                "no direct path by UDP was found; both connected to each other by TCP \
                at the same time"
                    .into()
            }
            (How::Relay, _) => {
                "no direct path was found; a relay carries the packets, end to end encrypted".into()
            }
        }
    }
}

impl From<Path> for How {
    fn from(path: Path) -> How {
        match path {
            Path { relayed: true, .. } => How::Relay,
            Path {
                via: Via::Stream(_),
                ..
            } => How::Tcp,
            Path { lan: true, .. } => How::Lan,
            _ => How::Direct,
        }
    }
}

/// What a peer types to reach the owner of that key under that name, and nobody
/// else.
pub fn peer_address(name: &str, key: &PublicKey) -> String {
    format!("{name}#{}", hex::encode(key))
}

impl Notice {
    /// Whether it is a message, which goes to stdout.
    pub fn is_message(&self) -> bool {
        matches!(self, Notice::Message { .. } | Notice::RoomMessage { .. })
    }
}

/// Milliseconds, to a tenth.
pub(crate) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_path_has_a_word_and_a_reason() {
        let path = |via, lan, relayed| Path {
            via,
            remote: ([203, 0, 113, 33], 8900).into(),
            lan,
            relayed,
            rtt: None,
            guess: None,
        };
        let udp = Via::Socket(0);
        for (via, lan, relayed, word, why) in [
            (udp, true, false, "lan", "one network"),
            (udp, false, false, "direct", "you called"),
            (Via::Stream(7), false, false, "direct, TCP", "by TCP"),
            (udp, false, true, "relay", "a relay carries"),
        ] {
            let how = How::from(path(via, lan, relayed));
            assert_eq!(how.text(), word);
            assert!(how.why("bob", Role::Caller).contains(why), "{word}");
        }
    }
}

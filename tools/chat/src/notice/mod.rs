//! Everything that chat tells: a sentence for people, an object for programs
//! (docs/json.md).

mod json;
mod text;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nat::plan::Role;
use peer_proto::punch::Path;
use peer_proto::verdict::Cause;
use session::identity::PublicKey;

/// Something to tell.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A message. The one thing that a script finds on stdout.
    Message { from: String, text: String },
    /// Our name is ours, and this is where the server sees us.
    Registered { name: String, mapped: SocketAddr },
    /// The server does not answer.
    ServerSilent(SocketAddr),
    /// A conversation has a path.
    Connected { peer: String, way: Way, again: bool },
    /// It has lost it.
    Broken {
        peer: String,
        why: String,
        waiting: usize,
    },
    /// Not yet reached, and why.
    NotYet { peer: String, cause: Cause },
    /// The peer has left.
    Left { peer: String },
    /// The peer is another process than before.
    Restarted { peer: String },
    /// No path for too long.
    GaveUp { peer: String, why: Option<String> },
    /// This did not reach the peer.
    Undelivered { to: String, text: String },
    /// This did.
    Delivered {
        to: String,
        number: u64,
        text: String,
        after: Duration,
    },
    /// Lines go to that peer now.
    Talking { to: String },
    /// The peer's key is not the one that is known.
    KeyChanged {
        peer: String,
        known: PublicKey,
        now: PublicKey,
    },
    /// The key is believed from now on.
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
        incoming: bool,
        bytes: u64,
        size: u64,
        /// Bytes a second.
        speed: f64,
        left: Duration,
    },
    /// A file is here.
    Received {
        from: String,
        name: String,
        path: PathBuf,
        size: u64,
    },
    /// A file is there.
    Sent { to: String, name: String, size: u64 },
    /// A file will not come, or not be taken.
    FileEnded {
        peer: String,
        name: String,
        incoming: bool,
        why: String,
    },
    /// Who is known.
    Peers(Vec<PeerLine>),
    /// How they are reached.
    Paths(Vec<PathLine>),
    /// Who we are.
    Who {
        name: String,
        key: PublicKey,
        server: SocketAddr,
        mapped: Vec<SocketAddr>,
        to: Option<String>,
    },
    /// One user wants to compare digits, and the other is to ask, too.
    Verifying { peer: String, theirs: bool },
    /// Digits to compare.
    Verify { peer: String, digits: String },
    /// What there is to type.
    Help(String),
    /// What is wrong with what was typed, or what could not be done.
    Problem(String),
}

/// The kinds of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// On a network of our own.
    Lan,
    /// Through NATs, if there are any, and nobody else.
    Direct,
    /// Through a relay.
    Relay,
}

/// How a peer is reached.
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
    /// `connected`, `calling`, or `known`.
    pub state: &'static str,
    /// Messages and other items that wait.
    pub waiting: usize,
    /// Whether lines go there.
    pub chosen: bool,
}

/// A line of /path.
#[derive(Clone, Debug)]
pub struct PathLine {
    /// The name.
    pub name: String,
    /// The path.
    pub way: Way,
    /// Our own address on it.
    pub local: SocketAddr,
    /// Packets that were lost of those that were sent.
    pub lost: (u64, u64),
    /// How it came about.
    pub why: String,
}

impl How {
    /// As it is told.
    pub fn word(self) -> &'static str {
        match self {
            How::Lan => "lan",
            How::Direct => "direct",
            How::Relay => "relay",
        }
    }

    /// How it came about that `peer` is reached so.
    pub fn why(self, peer: &str, role: Role) -> String {
        match (self, role) {
            (How::Lan, _) => "both are on one network".into(),
            (How::Direct, Role::Caller) => format!(
                "you called, and {peer}'s NAT let your packets in at the address that the punch \
                 proved"
            ),
            (How::Direct, Role::Callee) => {
                format!("{peer} called, and your NAT lets in what comes from there")
            }
            (How::Relay, _) => "no direct path was found: a relay carries it, sealed".into(),
        }
    }
}

impl From<Path> for How {
    fn from(path: Path) -> How {
        match path {
            Path { relayed: true, .. } => How::Relay,
            Path { lan: true, .. } => How::Lan,
            _ => How::Direct,
        }
    }
}

impl Notice {
    /// Whether it is what a script wants on stdout.
    pub fn is_message(&self) -> bool {
        matches!(self, Notice::Message { .. })
    }
}

/// Milliseconds, to a tenth.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_path_has_its_word_and_reason() {
        let path = |lan, relayed| Path {
            socket: 0,
            remote: ([203, 0, 113, 33], 8900).into(),
            lan,
            relayed,
            rtt: None,
            guess: None,
        };
        for (lan, relayed, word, why) in [
            (true, false, "lan", "one network"),
            (false, false, "direct", "you called"),
            (false, true, "relay", "a relay carries it"),
        ] {
            let how = How::from(path(lan, relayed));
            assert_eq!(how.word(), word);
            assert!(how.why("bob", Role::Caller).contains(why), "{word}");
        }
    }
}

//! Why it failed: one cause, with the numbers that show it, in words that say
//! what to do.

use std::net::SocketAddr;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::candidate::{Candidates, Tcp};
use crate::punch::Observed;
use crate::tcp;
use nat::plan::{Plan, Strategy, percent};

/// Why two peers have no path, as well as one side can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server's host is there, but no UDP comes back from it.
    UdpBlocked,
    /// Nobody asked for us.
    NobodyAsked {
        /// Our name.
        name: String,
    },
    /// Nobody is registered under that name.
    PeerOffline {
        /// The name.
        peer: String,
    },
    /// The peer is registered, but did not acknowledge the introduction.
    PeerSilent {
        /// The name.
        peer: String,
    },
    /// The peer would not be introduced: it could not open what was sealed to
    /// its registered key, or it pinned another key for our name.
    AuthMismatch {
        /// The name.
        peer: String,
    },
    /// One NAT gives every destination another port; the other insists on the
    /// port that it was told.
    SymmetricRemap {
        /// Whose NAT remaps.
        who: String,
        /// The address that the peer was told.
        expected: SocketAddr,
        /// What the same socket got towards another destination.
        used: SocketAddr,
    },
    /// Both NATs do.
    SymSym {
        /// Our two mappings.
        ours: (SocketAddr, SocketAddr),
        /// The peer's.
        theirs: (SocketAddr, SocketAddr),
    },
    /// Ports were guessed, and no guess hit.
    BudgetExhausted {
        /// How they were guessed.
        strategy: Strategy,
        /// The chance that it had, in ten-thousandths.
        per_myriad: u32,
    },
    /// Packets of the peer arrive here, ours do not arrive there.
    OneWay,
    /// The peer's address says that nobody listens there.
    IcmpRefused {
        /// The address.
        address: SocketAddr,
    },
    /// Both NATs keep their mappings, and still nothing arrived.
    NothingHeard,
    /// The peer's address resets every connection.
    TcpRefused {
        /// The address.
        address: SocketAddr,
        /// Connections tried.
        tries: u32,
    },
    /// One of the two punches by TCP, the other by UDP.
    TransportMismatch {
        /// The name.
        peer: String,
        /// We are the one.
        ours: bool,
    },
}

impl Cause {
    /// The code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Cause::UdpBlocked => "UDP_BLOCKED",
            Cause::NobodyAsked { .. } => "NOBODY_ASKED",
            Cause::PeerOffline { .. } => "PEER_OFFLINE",
            Cause::PeerSilent { .. } => "PEER_SILENT",
            Cause::AuthMismatch { .. } => "AUTH_MISMATCH",
            Cause::SymmetricRemap { .. } => "SYMMETRIC_REMAP",
            Cause::SymSym { .. } => "SYM_SYM",
            Cause::BudgetExhausted { .. } => "BUDGET_EXHAUSTED",
            Cause::OneWay => "ONE_WAY",
            Cause::IcmpRefused { .. } => "ICMP_REFUSED",
            Cause::NothingHeard => "NOTHING_HEARD",
            Cause::TcpRefused { .. } => "TCP_REFUSED",
            Cause::TransportMismatch { .. } => "TRANSPORT_MISMATCH",
        }
    }

    /// The cause of an attempt that ended without a path.
    pub fn of_attempt(
        peer: &str,
        (ours, theirs): (&Candidates, &Candidates),
        plan: &Plan,
        observed: &Observed,
    ) -> Cause {
        if plan.caller.ports_per_socket > 0 {
            return Cause::BudgetExhausted {
                strategy: plan.strategy,
                per_myriad: (plan.odds * 10_000.0).round() as u32,
            };
        }
        // The mappings first: they explain the rest.
        if let Some(cause) = Cause::of_remaps(peer, ours.remap(), theirs.remap()) {
            return cause;
        }
        if observed.heard && !observed.answered {
            return Cause::OneWay;
        }
        match observed.refused {
            Some(address) => Cause::IcmpRefused { address },
            None => Cause::NothingHeard,
        }
    }

    /// The same of an attempt by TCP.
    pub fn of_tcp(peer: &str, (ours, theirs): (&Tcp, &Tcp), observed: &tcp::Observed) -> Cause {
        if let Some(cause) = Cause::of_remaps(peer, ours.remap(), theirs.remap()) {
            return cause;
        }
        match observed.refused {
            Some(address) => Cause::TcpRefused {
                address,
                tries: observed.tries,
            },
            None => Cause::NothingHeard,
        }
    }

    fn of_remaps(peer: &str, ours: Option<Remap>, theirs: Option<Remap>) -> Option<Cause> {
        let of_one = |who: String, (expected, used): Remap| Cause::SymmetricRemap {
            who,
            expected,
            used,
        };
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(Cause::SymSym { ours, theirs }),
            (Some(ours), None) => Some(of_one("your".into(), ours)),
            (None, Some(theirs)) => Some(of_one(format!("{peer}'s"), theirs)),
            (None, None) => None,
        }
    }
}

/// The address that the peer was told, and what the same socket got towards
/// another destination.
type Remap = (SocketAddr, SocketAddr);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::UdpBlocked => write!(
                f,
                "UDP is blocked: the server's host answers TCP, but no UDP comes back; \
                 ask whoever runs this network, or use another"
            ),
            Cause::NobodyAsked { name } => write!(
                f,
                "nobody asked for {name} in time; they do with: punch --name THEM --peer {name}"
            ),
            Cause::PeerOffline { peer } => write!(
                f,
                "{peer} is not registered at this server; start it there with --name {peer}"
            ),
            Cause::PeerSilent { peer } => write!(
                f,
                "{peer} is registered but did not acknowledge; it has ended or lost its network \
                 less than 90 s ago"
            ),
            Cause::AuthMismatch { peer } => write!(
                f,
                "{peer} refused the introduction: its key is not the one that is registered, \
                 or it knows another key for your name"
            ),
            Cause::SymmetricRemap {
                who,
                expected,
                used,
            } => write!(
                f,
                "{who} NAT gives every destination another port (expected {expected}, \
                 used {used} towards the server's other address), and the other NAT lets in only \
                 the port that it has sent to"
            ),
            Cause::SymSym { ours, theirs } => write!(
                f,
                "both NATs give every destination another port (yours {} and {}, the peer's {} \
                 and {}), so neither is where the other sends to",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Cause::BudgetExhausted {
                strategy,
                per_myriad,
            } => write!(
                f,
                "ports were guessed ({}, with a chance of {}), and no guess hit; \
                 try again in 20 s, or with a larger --budget",
                strategy.name(),
                percent(f64::from(*per_myriad) / 10_000.0)
            ),
            Cause::OneWay => write!(
                f,
                "the peer's packets arrive here but ours do not arrive there; \
                 a firewall on the way lets through one direction"
            ),
            Cause::IcmpRefused { address } => write!(
                f,
                "{address} answered that nobody listens there; the peer's router rejects \
                 instead of dropping, or the peer has closed its socket"
            ),
            Cause::NothingHeard => write!(
                f,
                "both NATs keep their mappings, and still nothing of the peer arrived; \
                 look for a firewall on the peer's host or network"
            ),
            Cause::TcpRefused { address, tries } => write!(
                f,
                "{address} answered with a reset, and none of {tries} connections came through; \
                 the peer's router resets what comes before its own SYN has left, and a reset may \
                 close the other's hole: try again, or by UDP"
            ),
            Cause::TransportMismatch { peer, ours: true } => write!(
                f,
                "you punch by TCP and {peer} by UDP; give --tcp there, too, or leave it out here"
            ),
            Cause::TransportMismatch { peer, ours: false } => write!(
                f,
                "{peer} punches by TCP and you by UDP; give --tcp here, too, or leave it out there"
            ),
        }
    }
}

/// `{"code": …, "text": …}`, as docs/json.md has it.
impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cause = serializer.serialize_struct("Cause", 2)?;
        cause.serialize_field("code", self.code())?;
        cause.serialize_field("text", &self.to_string())?;
        cause.end()
    }
}

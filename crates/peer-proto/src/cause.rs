//! Why an attempt failed: one cause, with a code for programs and the numbers
//! that show it. The sentences for people are the tools' business.

use std::net::SocketAddr;

use crate::candidate::{Candidates, Tcp};
use crate::punch::Observed;
use crate::relay;
use crate::tcp;
use nat::plan::{Plan, Strategy};

/// Why two peers have no path, as far as one side can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server answers STUN by TCP, but no UDP comes back from it.
    UdpBlocked,
    /// Nobody asked for us in time.
    NobodyAsked {
        /// Our name.
        name: String,
    },
    /// Nobody is registered under that name.
    PeerOffline {
        /// The peer's name.
        peer: String,
    },
    /// The peer is registered, but did not acknowledge the introduction.
    PeerSilent {
        /// The peer's name.
        peer: String,
    },
    /// The peer has given its name back while ports were being guessed.
    PeerLeft {
        /// The peer's name.
        peer: String,
    },
    /// The peer is there, and does not accept the introduction now.
    PeerBusy {
        /// The peer's name.
        peer: String,
        /// Its user is asked whether to talk to us.
        asked: bool,
    },
    /// The peer would not be introduced: it could not open what was sealed to
    /// its registered key, or it pinned another key for our name.
    AuthMismatch {
        /// The peer's name.
        peer: String,
    },
    /// One NAT maps every destination to another port; the other NAT accepts
    /// packets only from the port that it has sent to.
    SymmetricRemap {
        /// The peer's name.
        peer: String,
        /// Whose NAT remaps.
        who: Who,
        /// The address that the other side was told.
        expected: SocketAddr,
        /// The mapping of the same socket towards another destination.
        used: SocketAddr,
    },
    /// Both NATs map every destination to another port.
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
        /// The chance that a guess would hit, in ten-thousandths.
        per_ten_thousand: u32,
    },
    /// Packets of the peer arrive here; ours do not arrive there.
    OneWay,
    /// The peer's address answered with ICMP port unreachable.
    IcmpRefused {
        /// The address.
        address: SocketAddr,
    },
    /// Both NATs keep their mappings, but no packet of the peer arrived.
    NothingHeard,
    /// Only a relay joins the two, and the relay refused.
    RelayRefused {
        /// The relay.
        relay: SocketAddr,
        /// Its error code.
        code: u16,
    },
    /// Only a relay joins the two, and the relay does not answer.
    RelaySilent {
        /// The relay.
        relay: SocketAddr,
    },
    /// The peer's address resets every connection.
    TcpRefused {
        /// The address.
        address: SocketAddr,
        /// Connections that were tried.
        tries: u32,
    },
    /// One of the two punches by TCP, the other by UDP.
    TransportMismatch {
        /// The peer's name.
        peer: String,
        /// Who punches by TCP.
        tcp: Who,
    },
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// This side.
    We,
    /// The peer.
    Peer,
}

impl Cause {
    /// The code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Cause::UdpBlocked => "UDP_BLOCKED",
            Cause::NobodyAsked { .. } => "NOBODY_ASKED",
            Cause::PeerOffline { .. } => "PEER_OFFLINE",
            Cause::PeerSilent { .. } => "PEER_SILENT",
            Cause::PeerLeft { .. } => "PEER_LEFT",
            Cause::PeerBusy { .. } => "PEER_BUSY",
            Cause::AuthMismatch { .. } => "AUTH_MISMATCH",
            Cause::SymmetricRemap { .. } => "SYMMETRIC_REMAP",
            Cause::SymSym { .. } => "SYM_SYM",
            Cause::BudgetExhausted { .. } => "BUDGET_EXHAUSTED",
            Cause::OneWay => "ONE_WAY",
            Cause::IcmpRefused { .. } => "ICMP_REFUSED",
            Cause::NothingHeard => "NOTHING_HEARD",
            Cause::RelayRefused { .. } => "RELAY_REFUSED",
            Cause::RelaySilent { .. } => "RELAY_SILENT",
            Cause::TcpRefused { .. } => "TCP_REFUSED",
            Cause::TransportMismatch { .. } => "TRANSPORT_MISMATCH",
        }
    }

    /// The cause of an attempt that ended without a path. `failure` is why we have no
    /// relayed address, if we have asked for one.
    pub fn of_attempt(
        peer: &str,
        (ours, theirs): (&Candidates, &Candidates),
        (plan, failure): (&Plan, Option<(SocketAddr, relay::Failure)>),
        observed: &Observed,
    ) -> Cause {
        if plan.guesses() {
            return Cause::BudgetExhausted {
                strategy: plan.strategy,
                per_ten_thousand: (plan.odds * 10_000.0).round() as u32,
            };
        }
        // What was not tried is not the cause.
        let relay_alone = plan.strategy == Strategy::Relay || observed.relay_only;
        if let Some((relay, failure)) = failure.filter(|_| relay_alone) {
            return Cause::of_relay(relay, failure);
        }
        // The mappings come first, since they explain what else was seen.
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

    fn of_relay(relay: SocketAddr, failure: relay::Failure) -> Cause {
        match failure.code() {
            Some(code) => Cause::RelayRefused { relay, code },
            None => Cause::RelaySilent { relay },
        }
    }

    /// The cause of an attempt by TCP that ended without a path.
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
        let of_one = |who, (expected, used): Remap| Cause::SymmetricRemap {
            peer: peer.to_owned(),
            who,
            expected,
            used,
        };
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(Cause::SymSym { ours, theirs }),
            (Some(ours), None) => Some(of_one(Who::We, ours)),
            (None, Some(theirs)) => Some(of_one(Who::Peer, theirs)),
            (None, None) => None,
        }
    }
}

/// The address that the peer was told, and what the same socket got towards
/// another destination.
type Remap = (SocketAddr, SocketAddr);

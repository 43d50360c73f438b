//! Which way to cross two NATs, chosen before a packet is sent: a pure
//! function of what both sides know of themselves and are willing to spend.
//!
//! Both sides compute it from the same two [`Side`]s, which they exchange
//! sealed, so they act on one plan without another word. docs/reference/plan.md has
//! the table.

mod odds;
mod side;
mod table;

pub use odds::{block_odds, percent, poisson, probes_for, spray_odds, window};
pub use side::{Limits, Ports, Side};
pub use table::between;

use serde::{Serialize, Serializer};

/// Who asked for the introduction. The caller nominates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// RFC 8445's controlling agent.
    Caller,
    /// RFC 8445's controlled agent.
    Target,
}

/// What to do, who does which part of it, and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How.
    pub strategy: Strategy,
    /// P(success), as far as ports have to be guessed.
    pub odds: f64,
    /// What the caller does beside plain probes.
    pub caller: Share,
    /// What the target does.
    pub target: Share,
}

impl Plan {
    /// Plain probes alone, or none.
    pub const fn plain(strategy: Strategy, odds: f64) -> Self {
        Self {
            strategy,
            odds,
            caller: Share::NOTHING,
            target: Share::NOTHING,
        }
    }

    /// The part of that side.
    pub fn share(&self, role: Role) -> Share {
        match role {
            Role::Caller => self.caller,
            Role::Target => self.target,
        }
    }

    /// The same plan as the other side calls it.
    pub(crate) fn turned(self) -> Self {
        Self {
            caller: self.target,
            target: self.caller,
            ..self
        }
    }
}

/// The ways across, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Openers, then probes to where the rendezvous sees the peer.
    Plain,
    /// The gateway has opened a port to everybody.
    PortMapping,
    /// The ports that come next are foreseen.
    Predict,
    /// One side opens many ports, the other tries many.
    Spray,
    /// Both try the ports of small blocks.
    BlockSpray,
    /// Both try all ports: an experiment.
    Exhaustive,
    /// No way across that these limits allow: a relay.
    Relay,
    /// UDP does not get through on one side.
    None,
    /// An axis that decides it was not measured: plain, and see.
    Unknown,
}

impl Strategy {
    /// What it leads to, as it stands in reports.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::None => "failed",
            Self::Unknown => "unknown",
            _ => "direct",
        }
    }

    /// As it stands in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::PortMapping => "port-mapping",
            Self::Predict => "predict",
            Self::Spray => "spray",
            Self::BlockSpray => "block-spray",
            Self::Exhaustive => "exhaustive",
            Self::Relay => "relay",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The widest window that is still a prediction.
const MOST_AHEAD: u32 = 256;

/// What one side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Sockets that it opens for it; 0 sends from the socket that it has.
    pub sockets: u32,
    /// Ports of the peer that each of them sends to.
    pub each: u32,
    /// Which ports.
    pub at: Aim,
    /// How often, against loss and a peer that is late.
    pub rounds: u32,
    /// Packets that open the own NAT and must not arrive: with a low TTL where
    /// the peer's NAT would take offence.
    pub openers: bool,
    /// This side's packets are of use only when the other's have left.
    pub after: bool,
}

impl Share {
    /// Nothing but plain probes.
    pub const NOTHING: Self = Self {
        sockets: 0,
        each: 0,
        at: Aim::Known,
        rounds: 1,
        openers: false,
        after: false,
    };

    /// Different flows, each an entry in the own NAT.
    pub fn flows(&self) -> u32 {
        self.sockets.max(1) * self.each
    }

    /// Packets, if none hits.
    pub fn packets(&self) -> u32 {
        self.flows() * self.rounds
    }

    /// The peer knows where its next ports have been: between two that a server
    /// saw, so many of them.
    pub fn narrowed(mut self, ports: Option<u16>, most: u32) -> Self {
        if let (Aim::Ahead { count, .. }, Some(ports), 0) = (&mut self.at, ports, self.sockets) {
            *count = u32::from(ports).min(most).min(MOST_AHEAD);
            self.each = *count;
        }
        self
    }

    /// As often as the limits allow, which is of use up to three times.
    pub(crate) fn repeated(self, limits: &Limits) -> Self {
        let rounds = limits.probes / self.flows().max(1);
        Self {
            rounds: rounds.clamp(1, 3),
            ..self
        }
    }

    /// Seconds for all of them.
    pub fn seconds(&self, limits: &Limits) -> f64 {
        f64::from(self.packets()) / f64::from(limits.pps.max(1))
    }
}

/// The ports of the peer that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The one that the rendezvous sees.
    Known,
    /// Those that its NAT gives out next: so many, or only the one that is so
    /// many steps ahead.
    Ahead {
        /// From one mapping to the next.
        step: i32,
        /// The nearest, in steps after the last one known.
        from: u32,
        /// How many.
        count: u32,
    },
    /// Ports of this range, in random order.
    Within {
        /// The lowest.
        low: u16,
        /// The highest.
        high: u16,
    },
}

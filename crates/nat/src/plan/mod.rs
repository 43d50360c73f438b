//! The plan: how two peers behind two NATs connect, chosen before a packet is sent.
//!
//! [`between`] is a pure function of both [`Side`]s: each peer's NAT, and what that peer may spend.
//! The peers exchange their sides sealed and both call it, so that both follow the same [`Plan`]
//! without another message. docs/reference/plan.md has the table.

mod odds;
mod side;
mod table;

pub use odds::{block_odds, percent, poisson, probes_for, spray_odds, window};
pub use side::{Limits, Ports, Side};
pub use table::between;

use serde::{Serialize, Serializer};

/// The role of a peer in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer that asked for the introduction; it nominates (RFC 8445's controlling agent).
    Caller,
    /// The peer that was asked for (RFC 8445's controlled agent).
    Callee,
}

/// A strategy, what each peer does for it, and its odds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How the peers connect.
    pub strategy: Strategy,
    /// The chance, from 0 to 1, that at least one guess arrives. 1 where nothing has to be guessed
    /// and a path is expected, 0 where none is.
    pub odds: f64,
    /// What the caller does beside plain probes.
    pub caller: Part,
    /// What the callee does beside plain probes.
    pub callee: Part,
}

impl Plan {
    /// A plan without guesses.
    pub const fn plain(strategy: Strategy, odds: f64) -> Self {
        Self {
            strategy,
            odds,
            caller: Part::NONE,
            callee: Part::NONE,
        }
    }

    /// The odds, with four digits; `None` where nothing has to be guessed.
    pub fn odds_of_guesses(&self) -> Option<f64> {
        let odds = (self.odds * 10_000.0).round() / 10_000.0;
        self.guesses().then_some(odds)
    }

    /// Whether ports are guessed.
    pub fn guesses(&self) -> bool {
        let parts = [self.caller, self.callee];
        parts.iter().any(|part| part.ports_per_socket > 0)
    }

    /// What the peer in this role does.
    pub fn part(&self, role: Role) -> Part {
        match role {
            Role::Caller => self.caller,
            Role::Callee => self.callee,
        }
    }

    /// The plan with caller and callee exchanged.
    pub(crate) fn swapped(self) -> Self {
        Self {
            caller: self.callee,
            callee: self.caller,
            ..self
        }
    }
}

/// The strategies, from the cheapest to the dearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Openers, then probes to the candidates that the peer reports.
    Plain,
    /// The gateway of one side maps a port that any host can reach.
    PortMapping,
    /// The next ports of a sequential NAT are predicted.
    Predict,
    /// One side opens many ports, the other guesses many.
    Spray,
    /// Both sides guess ports of a block, or one of them ports that are predicted.
    BlockSpray,
    /// Both sides guess among all ports: for the laboratory.
    Exhaustive,
    /// No guess is worth its packets within both limits: a relay carries the data.
    Relay,
    /// One side has no UDP.
    None,
    /// An axis that decides was not measured: plain probes are tried.
    Unknown,
}

impl Strategy {
    /// Whether there may be a direct path.
    pub fn may_be_direct(self) -> bool {
        !matches!(self, Self::Relay | Self::None)
    }

    /// The outcome that is expected of it, as reports spell it.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::None => "failed",
            Self::Unknown => "unknown",
            _ => "direct",
        }
    }

    /// The name, as reports spell it.
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

/// The most ports of a prediction window.
const MAX_WINDOW: u32 = 256;

/// What one peer does in a plan, beside plain probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Sockets to open for it. 0: the guesses leave from the socket that is registered.
    pub sockets: u32,
    /// Ports of the peer to which each socket sends.
    pub ports_per_socket: u32,
    /// From which ports of the peer those are taken.
    pub ports: PortSet,
    /// How often each port is sent to, against loss and a peer that begins late.
    pub rounds: u32,
    /// The packets are openers: they make mappings in the own NAT and need not arrive. Their TTL is
    /// low where the peer's NAT remaps after early packets.
    pub openers: bool,
    /// The packets can only arrive after the peer's have left, so they wait for those.
    pub after_peer: bool,
}

impl Part {
    /// Nothing beside plain probes.
    pub const NONE: Self = Self {
        sockets: 0,
        ports_per_socket: 0,
        ports: PortSet::Known,
        rounds: 1,
        openers: false,
        after_peer: false,
    };

    /// Different 5-tuples, each an entry in the own NAT.
    pub fn flows(&self) -> u32 {
        self.sockets.max(1) * self.ports_per_socket
    }

    /// Packets to send if none arrives.
    pub fn packets(&self) -> u32 {
        self.flows() * self.rounds
    }

    /// The part with the peer's port bracket in place of the prediction window: a server saw the
    /// peer's ports `width` apart, before and after it opened ports towards us. At most `budget`
    /// ports.
    pub fn with_port_bracket(mut self, width: Option<u16>, budget: u32) -> Self {
        if let (PortSet::Predicted { count, .. }, Some(width), 0) =
            (&mut self.ports, width, self.sockets)
        {
            *count = u32::from(width).min(budget).min(MAX_WINDOW);
            self.ports_per_socket = *count;
        }
        self
    }

    /// The part with as many rounds as the limits allow, up to three.
    pub(crate) fn with_rounds(self, limits: &Limits) -> Self {
        let rounds = limits.probes / self.flows().max(1);
        Self {
            rounds: rounds.clamp(1, 3),
            ..self
        }
    }

    /// Seconds that all packets take at the rate of these limits.
    pub fn seconds(&self, limits: &Limits) -> f64 {
        f64::from(self.packets()) / f64::from(limits.pps.max(1))
    }
}

/// The port set: the peer's ports from which guesses are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSet {
    /// The port that the rendezvous sees.
    Known,
    /// Ports that a sequential NAT assigns next, counted from the last one known.
    Predicted {
        /// From one assigned port to the next.
        step: i32,
        /// The first of the ports, in steps after the last one known.
        first: u32,
        /// How many ports, each a step from the one before.
        count: u32,
    },
    /// Ports of this range, in random order.
    Range {
        /// The lowest.
        low: u16,
        /// The highest.
        high: u16,
    },
}

//! What a plan has to know of one side.

use serde::{Deserialize, Serialize};

use crate::Policy;
use crate::{Behaviour, Dependence};

/// One side: its NAT, and what it is willing to spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub struct Side {
    /// Mapping and filtering.
    pub behaviour: Behaviour,
    /// How its NAT chooses outer ports.
    pub ports: Ports,
    /// Whether it moves a flow whose answer came before its first packet.
    /// `None`: not tested, so better not try.
    pub remaps: Option<bool>,
    /// Its gateway has opened a port to everybody, or would.
    pub mapped: bool,
    /// What it may spend.
    pub limits: Limits,
}

/// How outer ports are chosen (RFC 4787 §4.2), as far as it helps to guess one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Not measured: any port.
    #[default]
    Any,
    /// One after the other, so far apart.
    Sequential(i32),
    /// Any port from the first to the second.
    Block(u16, u16),
}

/// What one side may spend on one attempt, whatever the peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sockets beside the one that is registered.
    pub sockets: u32,
    /// Probes to ports that are guessed.
    pub probes: u32,
    /// Packets a second towards guessed ports.
    pub pps: u32,
    /// Try all ports, if both sides want to.
    pub exhaustive: bool,
}

impl Limits {
    /// What nobody's router minds.
    pub const POLITE: Self = Self {
        sockets: 300,
        probes: 2000,
        pps: 200,
        exhaustive: false,
    };

    /// One socket, and no guessing.
    pub const NOTHING: Self = Self {
        sockets: 0,
        probes: 0,
        pps: 0,
        exhaustive: false,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::POLITE
    }
}

impl Side {
    /// One mapping for all destinations?
    pub(crate) fn is_stable(&self) -> bool {
        self.behaviour.mapping == Some(Dependence::EndpointIndependent)
    }

    /// Does it let in other ports of an address that it has sent to?
    pub(crate) fn admits_any_port(&self) -> bool {
        self.behaviour
            .filtering
            .is_some_and(|filtering| filtering <= Dependence::AddressDependent)
    }

    /// To bytes, for the peer.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let Behaviour {
            nat,
            mapping,
            filtering,
            udp_blocked,
        } = self.behaviour;
        let axis = |axis: Option<Dependence>| axis.map_or(UNKNOWN, |axis| axis as u8);
        let truth = |truth: Option<bool>| truth.map_or(UNKNOWN, u8::from);
        let (kind, low, high) = match self.ports {
            Ports::Any => (0, 0, 0),
            Ports::Sequential(step) => (1, step.clamp(-CROWD, CROWD) as i16 as u16, 0),
            Ports::Block(low, high) => (2, low, high),
        };
        bytes.extend([truth(nat), axis(mapping), axis(filtering)]);
        bytes.extend([u8::from(udp_blocked), truth(self.remaps), kind]);
        bytes.extend(low.to_be_bytes());
        bytes.extend(high.to_be_bytes());
        for limit in [self.limits.sockets, self.limits.probes, self.limits.pps] {
            bytes.extend(limit.to_be_bytes());
        }
        bytes.extend([self.limits.exhaustive, self.mapped].map(u8::from));
    }

    /// From bytes that a peer sealed; `None` if they make no sense.
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let axis = |byte: u8| match byte {
            UNKNOWN => Some(None),
            byte => Dependence::ALL.get(usize::from(byte)).copied().map(Some),
        };
        let truth = |byte: u8| match byte {
            UNKNOWN => Some(None),
            0 | 1 => Some(Some(byte == 1)),
            _ => None,
        };
        let short = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
        let ports = match (bytes[5], short(6), short(8)) {
            (0, ..) => Ports::Any,
            (1, step, _) => {
                let step = i32::from(step as i16);
                (1..=CROWD).contains(&step.abs()).then_some(())?;
                Ports::Sequential(step)
            }
            (2, low, high) if low <= high => Ports::Block(low, high),
            _ => return None,
        };
        Some(Self {
            behaviour: Behaviour {
                nat: truth(bytes[0])?,
                mapping: axis(bytes[1])?,
                filtering: axis(bytes[2])?,
                udp_blocked: bytes[3] == 1,
            },
            remaps: truth(bytes[4])?,
            mapped: bytes[23] == 1,
            ports,
            limits: Limits {
                sockets: long(10),
                probes: long(14),
                pps: long(18),
                exhaustive: bytes[22] == 1,
            },
        })
    }

    /// Bytes of [`Self::encode`].
    pub const LENGTH: usize = 24;
}

const UNKNOWN: u8 = 255;

/// The largest step that is still a sequence.
const CROWD: i32 = 64;

impl Ports {
    /// What a measurement of `count` mappings allows to foresee.
    pub fn seen(policy: Option<Policy>, step: Option<i32>, range: [u16; 2], count: u32) -> Self {
        match (policy, step) {
            (Some(Policy::Sequential), Some(step)) if (1..=CROWD).contains(&step.abs()) => {
                Self::Sequential(step)
            }
            (Some(Policy::Block), _) => {
                // The seen range leaves out about one gap at each end.
                let width = u32::from(range[1].abs_diff(range[0]));
                let gap = (width / count.saturating_sub(1).max(1)) as u16;
                Self::Block(
                    range[0].saturating_sub(gap).max(1024),
                    range[1].saturating_add(gap),
                )
            }
            _ => Self::Any,
        }
    }

    /// How many there are to choose from.
    pub(crate) fn pool(self) -> u32 {
        match self {
            Self::Block(low, high) => u32::from(high - low) + 1,
            Self::Any | Self::Sequential(_) => ALL,
        }
    }
}

/// The ports that a NAT without a block may choose from.
const ALL: u32 = 65536 - 1024;

/// A natprobe report, as far as a plan needs it.
#[derive(Deserialize)]
struct Stored {
    #[serde(flatten)]
    behaviour: Behaviour,
    #[serde(default)]
    allocation: Option<StoredPorts>,
    #[serde(default)]
    remaps_after_early_inbound: Option<bool>,
    #[serde(default)]
    port_mapping: Option<StoredMapping>,
}

#[derive(Deserialize)]
struct StoredMapping {
    agrees: Option<bool>,
}

#[derive(Deserialize)]
struct StoredPorts {
    #[serde(default)]
    policy: Option<Policy>,
    #[serde(default)]
    step: Option<i32>,
    range: [u16; 2],
    #[serde(default)]
    samples: Vec<serde::de::IgnoredAny>,
}

impl From<Stored> for Side {
    fn from(stored: Stored) -> Self {
        let ports = stored.allocation.map(|found| {
            let count = match found.samples.len() {
                0 => u32::MAX, // a range that is known, not seen
                count => count as u32,
            };
            Ports::seen(found.policy, found.step, found.range, count)
        });
        Self {
            behaviour: stored.behaviour,
            ports: ports.unwrap_or_default(),
            remaps: stored.remaps_after_early_inbound,
            mapped: stored.port_mapping.is_some_and(|m| m.agrees == Some(true)),
            limits: Limits::POLITE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_is_read_and_damage_is_refused() {
        use Dependence::*;
        for ports in [
            Ports::Any,
            Ports::Sequential(-2),
            Ports::Block(40000, 40511),
        ] {
            let side = Side {
                behaviour: Behaviour::translated(AddressAndPortDependent, AddressDependent),
                ports,
                remaps: None,
                mapped: true,
                limits: Limits::POLITE,
            };
            let mut bytes = Vec::new();
            side.encode(&mut bytes);
            let mut bytes: [u8; Side::LENGTH] = bytes.try_into().unwrap();
            assert_eq!(Side::decode(&bytes), Some(side));
            bytes[1] = 3;
            assert_eq!(Side::decode(&bytes), None);
            bytes[1] = 2;
            bytes[5] = 9;
            assert_eq!(Side::decode(&bytes), None);
        }
    }

    #[test]
    fn a_report_says_what_a_plan_needs() {
        let report = r#"{"class":"symmetric","nat":true,"mapping":"address-and-port-dependent",
            "filtering":"address-and-port-dependent","remaps_after_early_inbound":false,
            "allocation":{"policy":"sequential","step":2,"range":[40000,40030],"samples":[{},{}]}}"#;
        let side: Side = serde_json::from_str(report).unwrap();
        assert_eq!(side.ports, Ports::Sequential(2));
        assert_eq!(side.remaps, Some(false));
        let side: Side = serde_json::from_str(r#"{"class":"udp-blocked"}"#).unwrap();
        assert!(side.behaviour.udp_blocked);
    }
}

//! What a plan needs of one side.

use serde::{Deserialize, Serialize};

use crate::{ALL_PORTS, Behaviour, Dependence, MAX_STEP, PortAssignment};

/// One side: a peer's NAT, and what the peer may spend.
///
/// It deserializes from a report of natprobe, with [`Limits::POLITE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub struct Side {
    /// Mapping and filtering.
    pub behaviour: Behaviour,
    /// Which outside ports the NAT may assign next.
    pub ports: Ports,
    /// Whether the NAT remaps after early packets. `None`: not tested, and taken for a yes.
    pub remaps: Option<bool>,
    /// Whether the gateway maps a port that any host can reach, or is known to do so on request.
    pub mapped: bool,
    /// What the peer may spend.
    pub limits: Limits,
}

/// Which outside ports a NAT may assign next (RFC 4787 §4.2), as far as it helps to guess them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Any port, or not measured.
    #[default]
    Any,
    /// One after the other, this step apart.
    Sequential(i32),
    /// Any port from the first to the second.
    Block(u16, u16),
}

/// What one side may spend on one attempt, whatever the peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sockets beside the one that is registered.
    pub sockets: u32,
    /// Guesses.
    pub probes: u32,
    /// Guesses per second.
    pub pps: u32,
    /// Guess among all ports, if the peer allows it as well.
    pub exhaustive: bool,
}

impl Limits {
    /// The safe defaults: what any router bears.
    pub const POLITE: Self = Self {
        sockets: 300,
        probes: 2000,
        pps: 200,
        exhaustive: false,
    };

    /// One socket, and no guesses.
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
    /// Whether all destinations share a mapping.
    pub(crate) fn is_stable(&self) -> bool {
        self.behaviour.mapping == Some(Dependence::EndpointIndependent)
    }

    /// Whether a remote address that a mapping has sent to may send from any port.
    pub(crate) fn admits_any_port(&self) -> bool {
        self.behaviour
            .filtering
            .is_some_and(|filtering| filtering <= Dependence::AddressDependent)
    }

    /// Appends the [`Self::LENGTH`] bytes that the peer decodes (docs/reference/protocol.md).
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
            Ports::Sequential(step) => (1, step.clamp(-MAX_STEP, MAX_STEP) as i16 as u16, 0),
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

    /// Reads what a peer encoded; `None` if a value is outside its range.
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
                (1..=MAX_STEP).contains(&step.abs()).then_some(())?;
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

    /// Bytes that [`Self::encode`] appends.
    pub const LENGTH: usize = 24;
}

const UNKNOWN: u8 = 255;

impl Ports {
    /// The ports that are to be expected after a measurement of `count` mappings in `range`.
    pub fn seen(
        policy: Option<PortAssignment>,
        step: Option<i32>,
        range: [u16; 2],
        count: u32,
    ) -> Self {
        match (policy, step) {
            (Some(PortAssignment::Sequential), Some(step))
                if (1..=MAX_STEP).contains(&step.abs()) =>
            {
                Self::Sequential(step)
            }
            (Some(PortAssignment::Block), _) => {
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

    /// How many ports the NAT assigns from.
    pub(crate) fn pool(self) -> u32 {
        match self {
            Self::Block(low, high) => u32::from(high - low) + 1,
            Self::Any | Self::Sequential(_) => ALL_PORTS,
        }
    }
}

/// A report of natprobe, as far as a plan needs it.
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
    policy: Option<PortAssignment>,
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

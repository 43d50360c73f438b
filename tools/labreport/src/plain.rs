//! What the oracle says of plain punching between two types, without openers and with them.

use nat::oracle::{self, Expected, Why};
use serde::{Deserialize, Serialize};

use crate::asked::Asked;
use crate::cell::{Outcome, Reason};

/// Both outcomes of plain punching. They differ where a NAT remaps after early packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    /// By any ICE agent (RFC 8445), which sends no openers.
    pub ice: Verdict,
    /// By a program that sends openers, as punch does.
    pub openers: Verdict,
}

/// An outcome and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Direct, failed or unknown.
    pub outcome: Outcome,
    /// The oracle's reason.
    pub why: Reason,
}

impl Plain {
    /// Between these two types, as they are defined.
    pub fn between(a: &Asked, b: &Asked) -> Self {
        let [of_a, of_b] = [a, b].map(Asked::behaviour);
        let remaps = [a, b].map(|asked| Some(asked.remaps_early()));
        Self {
            ice: oracle::without_openers(&of_a, &of_b, remaps).into(),
            openers: oracle::expected(&of_a, &of_b).into(),
        }
    }
}

impl From<Expected> for Verdict {
    fn from(expected: Expected) -> Self {
        Self {
            outcome: match expected.outcome {
                oracle::Outcome::Direct => Outcome::Direct,
                oracle::Outcome::Failed => Outcome::Failed,
                oracle::Outcome::Unknown => Outcome::Unknown,
            },
            why: expected.why.into(),
        }
    }
}

impl From<Why> for Reason {
    fn from(why: Why) -> Self {
        let code = serde_json::to_value(why).unwrap_or_default();
        Self {
            code: code.as_str().unwrap_or_default().into(),
            text: why.to_string(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::asked::tests::{CONE, MASQUERADE, PORT_RESTRICTED, asked};

    #[test]
    fn the_two_differ_where_a_nat_remaps() {
        for (a, b, ice, openers) in [
            (CONE, PORT_RESTRICTED, "OPEN_FILTER", "OPEN_FILTER"),
            (MASQUERADE, MASQUERADE, "EARLY_PACKETS", "STABLE_MAPPINGS"),
            (
                MASQUERADE,
                PORT_RESTRICTED,
                "EARLY_PACKET",
                "STABLE_MAPPINGS",
            ),
            (MASQUERADE, CONE, "OPEN_FILTER", "OPEN_FILTER"),
        ] {
            let plain = Plain::between(&asked(a), &asked(b));
            let found = (plain.ice.why.code.as_str(), plain.openers.why.code.as_str());
            assert_eq!(found, (ice, openers), "{a} {b}");
        }
    }
}

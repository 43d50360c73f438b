//! Who can reach whom: the outcome that two NATs allow, before anyone tries.
//!
//! [`expected`] judges plain punching: both sides learn the address that a
//! server sees of the other, both send openers that die beyond their own NAT,
//! then probes, and both answer the *observed source* of what they receive.
//! It assumes that a NAT keeps one public address for one inner host, and that
//! who was let in through a mapping is answered through the same mapping, as
//! every connection-tracking NAT does.
//! Spraying, port prediction and relays reach further; they are not plain.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Behaviour,
    Dependence::{self, *},
};

/// A prediction, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What plain punching will end in.
    pub outcome: Outcome,
    /// Why so.
    pub why: Why,
}

/// What plain punching will end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Packets pass both ways.
    Direct,
    /// They do not.
    Failed,
    /// An axis that decides it was not measured.
    Unknown,
}

/// The reason for an [`Outcome`]; [`Display`](fmt::Display) says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Why {
    /// Direct: one side lets anyone in.
    OpenFilter,
    /// Direct: both sides send from where they are expected.
    StableMappings,
    /// Direct: the stable side lets in an unexpected port of an expected address.
    AddressFilter,
    /// Failed: a side has no UDP.
    UdpBlocked,
    /// Failed: both sides send from ports that nobody could announce.
    SymSym,
    /// Failed: one side sends from an unannounced port, the other insists on it.
    SymmetricRemap,
    /// Unknown: an axis that decides it was not measured.
    NotMeasured,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OpenFilter => {
                "one side lets anyone in, hears the other from wherever it sends, and answers there"
            }
            Self::StableMappings => {
                "both map endpoint-independently, so each lets in exactly the address it has sent to"
            }
            Self::AddressFilter => {
                "the side with a stable mapping filters by address, so the other may come from any port"
            }
            Self::UdpBlocked => "UDP does not get through on one side",
            Self::SymSym => {
                "both give every destination another port, so neither is where the other sends to"
            }
            Self::SymmetricRemap => {
                "one side uses another port for its peer than it showed to the server, and the peer's NAT filters by port"
            }
            Self::NotMeasured => "a NAT's mapping or filtering was not measured",
        })
    }
}

/// Does plain punching connect a host behind `a` with one behind `b`?
/// The order of the two does not matter.
pub fn expected(a: &Behaviour, b: &Behaviour) -> Expected {
    if a.udp_blocked || b.udp_blocked {
        return Why::UdpBlocked.into();
    }
    // An axis that was not measured may be anything. Where every possibility
    // ends alike, it does not matter.
    let mut possible = completions(a)
        .flat_map(|a| completions(b).map(move |b| decide(a, b)))
        .map(Expected::from);
    let first = possible.next().expect("an axis has at least one value");
    match possible.all(|next| next.outcome == first.outcome) {
        true => first,
        false => Why::NotMeasured.into(),
    }
}

impl From<Why> for Expected {
    fn from(why: Why) -> Self {
        let outcome = match why {
            Why::OpenFilter | Why::StableMappings | Why::AddressFilter => Outcome::Direct,
            Why::UdpBlocked | Why::SymSym | Why::SymmetricRemap => Outcome::Failed,
            Why::NotMeasured => Outcome::Unknown,
        };
        Self { outcome, why }
    }
}

/// Both axes of one side, known.
#[derive(Clone, Copy)]
struct Side {
    mapping: Dependence,
    filtering: Dependence,
}

fn decide(a: Side, b: Side) -> Why {
    let stable = |side: Side| side.mapping == EndpointIndependent;
    match (a, b) {
        // Whatever comes to the announced mapping of the open side gets in, so
        // it hears the other side at once. Its answer leaves through that same
        // mapping, which is where the other side has just sent to.
        (open, _) | (_, open) if open.filtering == EndpointIndependent => Why::OpenFilter,

        // Each side's probe to the announced address makes its own filter let
        // in that address, and the other side does send from it.
        (a, b) if stable(a) && stable(b) => Why::StableMappings,

        // Each sends to a port that the other does not use for it, and comes
        // from one that the other has never heard of.
        (a, b) if !stable(a) && !stable(b) => Why::SymSym,

        // One side moves. What it sends comes from a new port, but from the
        // known address: the stable side's filter passes that, and its answer
        // to the observed source goes where the moving side has just sent from.
        (still, _) | (_, still) if stable(still) && still.filtering == AddressDependent => {
            Why::AddressFilter
        }

        // One side moves, and the stable side lets in the announced port only.
        _ => Why::SymmetricRemap,
    }
}

fn completions(side: &Behaviour) -> impl Iterator<Item = Side> + Clone {
    let known = |axis: Option<Dependence>| {
        let (low, high) = axis.map_or((EndpointIndependent, AddressAndPortDependent), |d| (d, d));
        Dependence::ALL
            .into_iter()
            .filter(move |d| (low..=high).contains(d))
    };
    let (mappings, filterings) = (known(side.mapping), known(side.filtering));
    mappings.flat_map(move |mapping| {
        filterings
            .clone()
            .map(move |filtering| Side { mapping, filtering })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nat(mapping: Dependence, filtering: Dependence) -> Behaviour {
        Behaviour::translated(mapping, filtering)
    }

    #[test]
    fn thirteen_of_the_sixteen_classical_pairs_connect() {
        let classical = [
            nat(EndpointIndependent, EndpointIndependent),
            nat(EndpointIndependent, AddressDependent),
            nat(EndpointIndependent, AddressAndPortDependent),
            nat(AddressAndPortDependent, AddressAndPortDependent),
        ];
        let failed: Vec<_> = (0..4)
            .flat_map(|a| (0..4).map(move |b| (a, b)))
            .map(|(a, b)| (a, b, expected(&classical[a], &classical[b])))
            .filter(|(_, _, e)| e.outcome == Outcome::Failed)
            .map(|(a, b, e)| (a, b, e.why))
            .collect();
        assert_eq!(
            failed,
            [
                (2, 3, Why::SymmetricRemap),
                (3, 2, Why::SymmetricRemap),
                (3, 3, Why::SymSym)
            ]
        );
    }

    #[test]
    fn order_does_not_matter() {
        for a in all_axes() {
            for b in all_axes() {
                assert_eq!(expected(&a, &b), expected(&b, &a), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn blocked_is_blocked_whoever_the_peer_is() {
        let open = Behaviour::untranslated(EndpointIndependent);
        let e = expected(&open, &Behaviour::blocked());
        assert_eq!((e.outcome, e.why), (Outcome::Failed, Why::UdpBlocked));
    }

    #[test]
    fn an_unmeasured_axis_counts_only_where_it_decides() {
        let mut unknown = nat(AddressAndPortDependent, AddressAndPortDependent);
        unknown.filtering = None;
        let full_cone = nat(EndpointIndependent, EndpointIndependent);
        assert_eq!(expected(&unknown, &full_cone).outcome, Outcome::Direct);
        let port_restricted = nat(EndpointIndependent, AddressAndPortDependent);
        assert_eq!(
            expected(&unknown, &port_restricted).outcome,
            Outcome::Unknown
        );
    }

    fn all_axes() -> impl Iterator<Item = Behaviour> {
        Dependence::ALL
            .into_iter()
            .flat_map(|m| Dependence::ALL.into_iter().map(move |f| nat(m, f)))
    }
}

//! The oracle: whether plain punching connects two hosts, from the behaviour of their NATs alone.
//!
//! Plain punching: both peers learn the reflexive address that a server sees of the other, both send
//! openers that expire before the peer's NAT, then probes, and both answer to the source address
//! *from which* a probe came.
//!
//! [`expected`] assumes that a NAT keeps one public address for one inside host, and that an answer
//! leaves through the mapping through which the request came in, as with every NAT that tracks
//! connections. Guessed ports, port mappings and relays connect more pairs; they are not plain.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Behaviour,
    Dependence::{self, *},
};

/// The expected outcome, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The outcome of plain punching.
    pub outcome: Outcome,
    /// The reason.
    pub why: Why,
}

/// The outcome of plain punching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Packets pass both ways.
    Direct,
    /// No packet passes.
    Failed,
    /// An axis that decides was not measured, or it depends on which peer sends first.
    Unknown,
}

/// The reason for an [`Outcome`]. [`Display`](fmt::Display) gives it as a clause for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Why {
    /// Direct: one side does not filter.
    OpenFilter,
    /// Direct: both mappings are stable.
    StableMappings,
    /// Direct: one mapping is stable, and the filter of its NAT does not look at ports.
    AddressFilter,
    /// Failed: one side has no UDP.
    UdpBlocked,
    /// Failed: neither mapping is stable, and both sides filter.
    SymSym,
    /// Failed: one mapping is not stable, and the filter of the other NAT looks at ports.
    SymmetricRemap,
    /// Failed without openers: each NAT remaps after early packets, and lets in only the port that it knows.
    EarlyPackets,
    /// Unknown without openers: the same of one NAT, so it depends on which peer sends first.
    EarlyPacket,
    /// Unknown: an axis that decides was not measured.
    NotMeasured,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OpenFilter => {
                "one NAT lets in packets from any address and port, so its host receives the \
                 peer's packets and answers to where they came from"
            }
            Self::StableMappings => {
                "both NATs use one outside port for all destinations, so each peer sends from the \
                 port that the other NAT lets in"
            }
            Self::AddressFilter => {
                "one NAT uses one outside port for all destinations and filters by address only, \
                 so it lets in the peer from any port"
            }
            Self::UdpBlocked => "one side has no UDP",
            Self::SymSym => {
                "both NATs use another outside port for every destination, so neither peer knows \
                 the port to send to"
            }
            Self::SymmetricRemap => {
                "one NAT uses another outside port towards the peer than towards the server, and \
                 the peer's NAT lets in only the port that the server saw"
            }
            Self::EarlyPackets => {
                "the first packet of one peer reaches the other peer's NAT as an early packet, after \
                 which this NAT uses another outside port, which the first peer's NAT does not let in"
            }
            Self::EarlyPacket => {
                "one NAT uses another outside port if the peer's packet comes to it first, and the \
                 peer's NAT lets in only the port that it knows, so it depends on which peer sends first"
            }
            Self::NotMeasured => "the mapping or filtering of a NAT was not measured",
        })
    }
}

/// Whether plain punching connects a host behind `a` with a host behind `b`.
/// The order of the two does not matter.
pub fn expected(a: &Behaviour, b: &Behaviour) -> Expected {
    if a.udp_blocked || b.udp_blocked {
        return Why::UdpBlocked.into();
    }
    settled(completions(a).flat_map(|a| completions(b).map(move |b| decide(a, b))))
}

/// Whether plain punching without openers connects them, as an ICE agent does it (RFC 8445): its
/// first checks reach the peer's NAT before the peer has sent. `remaps` says of each side whether
/// its NAT remaps after early packets; `None` is not measured.
///
/// It takes the peers to start apart by more than a packet is on its way. If both first packets
/// pass each other, none of them is early, and it is as with openers.
pub fn without_openers(a: &Behaviour, b: &Behaviour, remaps: [Option<bool>; 2]) -> Expected {
    if a.udp_blocked || b.udp_blocked {
        return Why::UdpBlocked.into();
    }
    let either = |known: Option<bool>| {
        [false, true]
            .into_iter()
            .filter(move |r| known != Some(!*r))
    };
    let [of_a, of_b] = remaps;
    settled(completions(a).flat_map(|a| {
        completions(b).flat_map(move |b| {
            either(of_a).flat_map(move |of_a| {
                either(of_b).map(move |of_b| {
                    let remapped = (of_a && is_hurt(a, b), of_b && is_hurt(b, a));
                    match (decide(a, b), remapped) {
                        (why, (false, false)) => why,
                        (why, _) if Expected::from(why).outcome != Outcome::Direct => why,
                        (_, (true, true)) => Why::EarlyPackets,
                        _ => Why::EarlyPacket,
                    }
                })
            })
        })
    }))
}

/// Whether two peers do not connect because the NAT of `remapped` has remapped: its packets to the
/// peer come from a port that the peer does not know, and the peer's filter looks at ports. A NAT
/// that does not filter has no early packets.
fn is_hurt(remapped: Side, peer: Side) -> bool {
    remapped.filtering != EndpointIndependent && peer.filtering == AddressAndPortDependent
}

/// What all of these have in common. An axis that was not measured may have any value, which does
/// not matter where the outcome is the same for each.
fn settled(possible: impl Iterator<Item = Why>) -> Expected {
    let mut possible = possible.map(Expected::from);
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
            Why::UdpBlocked | Why::SymSym | Why::SymmetricRemap | Why::EarlyPackets => {
                Outcome::Failed
            }
            Why::EarlyPacket | Why::NotMeasured => Outcome::Unknown,
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
        // Every packet to the reflexive address of the open side passes, so it receives the other
        // side's probes. Its answer leaves through the same mapping, to which the other side has
        // just sent.
        (open, _) | (_, open) if open.filtering == EndpointIndependent => Why::OpenFilter,

        // Each side's probe to the peer's reflexive address makes its own NAT let in that address
        // and port, from which the peer does send.
        (a, b) if stable(a) && stable(b) => Why::StableMappings,

        // Each side sends to a port that the peer does not use for it, from a port that the peer
        // has not sent to.
        (a, b) if !stable(a) && !stable(b) => Why::SymSym,

        // One side sends from a new port, but from the known address. The filter of the stable side
        // lets that in, and its answer goes to the source that it saw, which is the new port.
        (one, _) | (_, one) if stable(one) && one.filtering == AddressDependent => {
            Why::AddressFilter
        }

        // One side sends from a new port, and the stable side lets in only the known one.
        _ => Why::SymmetricRemap,
    }
}

/// Every pair of axes that the side may have.
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
    fn the_order_of_the_sides_does_not_matter() {
        for a in all_axes() {
            for b in all_axes() {
                assert_eq!(expected(&a, &b), expected(&b, &a), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_side_without_udp_connects_with_no_peer() {
        let open = Behaviour::untranslated(EndpointIndependent);
        let e = expected(&open, &Behaviour::blocked());
        assert_eq!((e.outcome, e.why), (Outcome::Failed, Why::UdpBlocked));
    }

    #[test]
    fn an_axis_that_was_not_measured_matters_only_where_it_decides() {
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

    #[test]
    fn without_openers_a_nat_that_remaps_is_hurt_by_a_peer_whose_filter_looks_at_ports() {
        let port_restricted = nat(EndpointIndependent, AddressAndPortDependent);
        let restricted = nat(EndpointIndependent, AddressDependent);
        let symmetric = nat(AddressAndPortDependent, AddressAndPortDependent);
        let open = Behaviour::untranslated(EndpointIndependent);
        let (yes, no) = (Some(true), Some(false));
        for (peer, remaps, why) in [
            (port_restricted, [no, no], Why::StableMappings),
            (port_restricted, [yes, yes], Why::EarlyPackets),
            (port_restricted, [yes, no], Why::EarlyPacket),
            (port_restricted, [no, yes], Why::EarlyPacket),
            (port_restricted, [yes, None], Why::NotMeasured),
            (restricted, [yes, no], Why::StableMappings),
            // A remapped peer is hurt by our filter, too.
            (restricted, [no, yes], Why::EarlyPacket),
            (open, [yes, None], Why::OpenFilter),
            (symmetric, [yes, yes], Why::SymmetricRemap),
            (Behaviour::blocked(), [yes, yes], Why::UdpBlocked),
        ] {
            let found = without_openers(&port_restricted, &peer, remaps);
            assert_eq!(found.why, why, "{peer:?} {remaps:?}");
        }
    }

    #[test]
    fn without_remapping_openers_do_not_matter() {
        for a in all_axes() {
            for b in all_axes() {
                let without = without_openers(&a, &b, [Some(false); 2]);
                assert_eq!(without, expected(&a, &b), "{a:?} {b:?}");
            }
        }
    }

    fn all_axes() -> impl Iterator<Item = Behaviour> {
        Dependence::ALL
            .into_iter()
            .flat_map(|m| Dependence::ALL.into_iter().map(move |f| nat(m, f)))
    }
}

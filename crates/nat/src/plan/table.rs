//! The table: two sides in, a plan out. docs/reference/plan.md draws it.

use super::odds::{block_odds, poisson, probes_for, spray_odds, window};
use super::{Part, Plan, PortSet, Ports, Side, Strategy};
use crate::Dependence;
use crate::oracle::{self, Outcome};

/// The odds that a plan aims at, where the limits allow it.
const WANTED: f64 = 0.9999;

/// The least odds at which guesses are sent at all.
const WORTHWHILE: f64 = 0.5;

/// Sockets behind a NAT that may assign any port: with 1,946 guesses of the seeking side the odds
/// are [`WANTED`].
const SOCKETS: u32 = 300;

/// Sockets behind a NAT that assigns ports from a block.
const SOCKETS_IN_A_BLOCK: u32 = 32;

/// Sockets behind a NAT whose next ports are predicted.
const SOCKETS_PREDICTED: u32 = 4;

/// Assumed load of a sequential NAT: other hosts create up to this many mappings per second.
const RATE: f64 = 20.0;

/// Assumed seconds between the last port that is known and the next mapping of ours.
const DELAY: f64 = 0.2;

/// Mappings of our own that come between: the opener, and probes to host candidates.
const OWN: u32 = 10;

/// Sockets of which each sends to many ports of the peer, where both sides are hidden.
const ROWS: u32 = 8;

/// The plan for these two. Both peers compute the same.
pub fn between(caller: &Side, callee: &Side) -> Plan {
    if caller.behaviour.udp_blocked || callee.behaviour.udp_blocked {
        return Plan::plain(Strategy::None, 0.0);
    }
    match oracle::expected(&caller.behaviour, &callee.behaviour).outcome {
        Outcome::Direct => Plan::plain(Strategy::Plain, 1.0),
        Outcome::Unknown => Plan::plain(Strategy::Unknown, 0.0),
        Outcome::Failed if caller.mapped || callee.mapped => {
            Plan::plain(Strategy::PortMapping, 1.0)
        }
        Outcome::Failed => {
            let possible = [
                one_hidden(caller, callee),
                one_hidden(callee, caller).map(Plan::swapped),
                both_hidden(caller, callee),
            ];
            let possible = possible.into_iter().flatten();
            // Of equal ones the first.
            let cheapest = possible
                .filter(|plan| plan.odds >= WORTHWHILE)
                .min_by_key(|plan| (plan.strategy, packets(plan)));
            cheapest.map_or(Plan::plain(Strategy::Relay, 0.0), |plan| Plan {
                caller: plan.caller.with_rounds(&caller.limits),
                callee: plan.callee.with_rounds(&callee.limits),
                ..plan
            })
        }
    }
}

fn packets(plan: &Plan) -> u32 {
    plan.caller.packets() + plan.callee.packets()
}

/// The `hidden` side creates mappings towards the one endpoint of the `seeking` side, which guesses
/// their ports. It takes a filter at the hidden side that does not look at ports, or a seeking side
/// with a stable mapping.
fn one_hidden(hidden: &Side, seeking: &Side) -> Option<Plan> {
    if hidden.is_stable() || !(hidden.admits_any_port() || seeking.is_stable()) {
        return None;
    }
    let (sockets, ports, guesses, odds) = match hidden.ports {
        Ports::Sequential(step) => {
            let count = window(WANTED, RATE, DELAY) + OWN;
            let first = 1;
            let next = PortSet::Predicted { step, first, count };
            (SOCKETS_PREDICTED, next, count, WANTED)
        }
        ports => {
            let pool = ports.pool();
            let usual = match ports {
                Ports::Block(..) => SOCKETS_IN_A_BLOCK,
                _ => SOCKETS,
            };
            let sockets = usual.min(hidden.limits.sockets);
            let guesses = probes_for(WANTED, pool, sockets).min(seeking.limits.probes);
            let odds = spray_odds(pool, sockets, guesses);
            (sockets, range(ports), guesses, odds)
        }
    };
    let affordable = sockets <= hidden.limits.sockets && guesses <= seeking.limits.probes;
    affordable.then_some(Plan {
        strategy: match ports {
            PortSet::Predicted { .. } => Strategy::Predict,
            _ => Strategy::Spray,
        },
        odds,
        caller: Part {
            sockets,
            ports_per_socket: 1,
            openers: true,
            ..Part::NONE
        },
        callee: Part {
            sockets: 0,
            ports_per_socket: guesses,
            ports,
            after_peer: true,
            ..Part::NONE
        },
    })
}

/// Both sides use another port for every destination and filter by port: each creates mappings
/// towards ports that the other's NAT may assign, until a mapping of each fits the other's.
fn both_hidden(caller: &Side, callee: &Side) -> Option<Plan> {
    let by_port = |side: &Side| {
        side.behaviour.mapping == Some(Dependence::AddressAndPortDependent)
            && side.limits.sockets > ROWS
    };
    if !by_port(caller) || !by_port(callee) {
        return None;
    }
    match (caller.ports, callee.ports) {
        (Ports::Sequential(of_caller), Ports::Sequential(of_callee)) => {
            both_predicted(caller, callee, (of_caller, of_callee))
        }
        (Ports::Sequential(step), Ports::Block(..)) => one_predicted(caller, step, callee),
        (Ports::Block(..), Ports::Sequential(step)) => {
            one_predicted(callee, step, caller).map(Plan::swapped)
        }
        _ => random_pairs(caller, callee),
    }
}

/// Each side opens a row of predicted ports, all of them towards the port in the middle of the
/// other's row: exactly one mapping of each side fits the other's.
fn both_predicted(caller: &Side, callee: &Side, steps: (i32, i32)) -> Option<Plan> {
    let middle = window(WANTED, RATE, DELAY) + OWN;
    let row = 2 * middle;
    let affordable = |side: &Side| row <= side.limits.sockets.min(side.limits.probes);
    let part = |step| Part {
        sockets: row,
        ports_per_socket: 1,
        ports: PortSet::Predicted {
            step,
            first: middle,
            count: 1,
        },
        ..Part::NONE
    };
    let in_window = poisson(RATE * DELAY, middle - OWN);
    (affordable(caller) && affordable(callee)).then_some(Plan {
        strategy: Strategy::Predict,
        odds: in_window * in_window,
        caller: part(steps.1),
        callee: part(steps.0),
    })
}

/// The `sequential` side opens a row of predicted ports, each towards a random port of the other's
/// block. The other side guesses the whole row from several sockets.
fn one_predicted(sequential: &Side, step: i32, other: &Side) -> Option<Plan> {
    let row = SOCKETS.min(sequential.limits.sockets);
    let count = row + window(WANTED, RATE, DELAY) + OWN;
    let rows = (other.limits.probes / count)
        .min(other.limits.sockets)
        .min(2 * ROWS);
    let useful = f64::from(rows * count) * f64::from(row) / f64::from(count);
    let odds = 1.0 - (-useful / f64::from(other.ports.pool())).exp();
    (rows > 0).then_some(Plan {
        strategy: Strategy::BlockSpray,
        odds,
        caller: Part {
            sockets: row,
            ports_per_socket: 1,
            ports: range(other.ports),
            ..Part::NONE
        },
        callee: Part {
            sockets: rows,
            ports_per_socket: count,
            ports: PortSet::Predicted {
                step,
                first: 1,
                count,
            },
            ..Part::NONE
        },
    })
}

/// Each side sends from random ports of its NAT to random ports of the other's.
fn random_pairs(caller: &Side, callee: &Side) -> Option<Plan> {
    let small = |side: &Side| matches!(side.ports, Ports::Block(..));
    let strategy = match small(caller) && small(callee) {
        true => Strategy::BlockSpray,
        false if caller.limits.exhaustive && callee.limits.exhaustive => Strategy::Exhaustive,
        false => return None,
    };
    let pools = (caller.ports.pool(), callee.ports.pool());
    let product = f64::from(pools.0) * f64::from(pools.1);
    let wanted = (-(1.0 - WANTED).ln() * product).sqrt().ceil() as u32;
    let limits = (caller.limits.probes, callee.limits.probes);
    // From several sockets each, since one socket has one mapping for each port of the peer.
    let rows = |pool: u32, pairs: u32| ROWS.max(pairs.div_ceil(pool));
    let rows = (rows(pools.1, wanted), rows(pools.0, wanted));
    let each = |rows: u32, limit: u32| wanted.div_ceil(rows).min(limit / rows);
    let each = (each(rows.0, limits.0), each(rows.1, limits.1));
    Some(Plan {
        strategy,
        odds: block_odds((pools.0, rows.0 * each.0), (pools.1, rows.1 * each.1)),
        caller: Part {
            sockets: rows.0,
            ports_per_socket: each.0,
            ports: range(callee.ports),
            ..Part::NONE
        },
        callee: Part {
            sockets: rows.1,
            ports_per_socket: each.1,
            ports: range(caller.ports),
            ..Part::NONE
        },
    })
}

/// The port set of a NAT that assigns these.
fn range(ports: Ports) -> PortSet {
    match ports {
        Ports::Block(low, high) => PortSet::Range { low, high },
        Ports::Any | Ports::Sequential(_) => PortSet::Range {
            low: 1024,
            high: u16::MAX,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;
    use crate::{Behaviour, Dependence::*};

    fn nat(mapping: Dependence, filtering: Dependence, ports: Ports) -> Side {
        Side {
            behaviour: Behaviour::translated(mapping, filtering),
            ports,
            ..Side::default()
        }
    }

    fn all() -> Vec<Side> {
        let ports = [Ports::Any, Ports::Sequential(1), Ports::Block(40000, 40511)];
        let mut sides = vec![
            Side::default(),
            Side {
                behaviour: Behaviour::blocked(),
                ..Side::default()
            },
        ];
        for mapping in Dependence::ALL {
            for filtering in Dependence::ALL {
                sides.extend(ports.map(|ports| nat(mapping, filtering, ports)));
            }
        }
        sides
    }

    #[test]
    fn both_peers_compute_the_same_plan() {
        for a in all() {
            for b in all() {
                let (plan, swapped) = (between(&a, &b), between(&b, &a).swapped());
                assert_eq!(plan.strategy, swapped.strategy, "{a:?} {b:?}");
                assert_eq!(packets(&plan), packets(&swapped), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_port_mapping_is_used_before_ports_are_guessed() {
        let hidden = nat(AddressAndPortDependent, AddressAndPortDependent, Ports::Any);
        let mapped = Side {
            mapped: true,
            ..hidden
        };
        assert_eq!(between(&hidden, &mapped).strategy, Strategy::PortMapping);
        assert_eq!(between(&mapped, &hidden).strategy, Strategy::PortMapping);
    }

    #[test]
    fn no_side_spends_more_than_its_limits() {
        let mut poor = all();
        for side in &mut poor {
            side.limits = Limits {
                sockets: 10,
                probes: 50,
                ..Limits::POLITE
            };
        }
        for a in all().iter().chain(&poor) {
            for b in all().iter().chain(&poor) {
                let plan = between(a, b);
                for (part, side) in [(plan.caller, a), (plan.callee, b)] {
                    assert!(part.sockets <= side.limits.sockets, "{plan:?}");
                    let probes = if part.openers { 0 } else { part.packets() };
                    assert!(
                        part == Part::NONE || probes <= side.limits.probes,
                        "{plan:?}"
                    );
                }
            }
        }
        let mut none = nat(AddressAndPortDependent, AddressAndPortDependent, Ports::Any);
        none.limits = Limits::NOTHING;
        let cone = nat(EndpointIndependent, AddressAndPortDependent, Ports::Any);
        assert_eq!(between(&none, &cone).strategy, Strategy::Relay);
    }

    #[test]
    fn the_strategies_are_those_of_the_table_in_the_manual() {
        let cone = nat(EndpointIndependent, AddressAndPortDependent, Ports::Any);
        let symmetric = |ports| nat(AddressAndPortDependent, AddressAndPortDependent, ports);
        let (any, next) = (symmetric(Ports::Any), symmetric(Ports::Sequential(1)));
        let block = symmetric(Ports::Block(40000, 40511));
        let by_address = nat(AddressDependent, AddressDependent, Ports::Any);
        let strategy = |a, b| between(a, b).strategy;
        let sides = [&cone, &any, &next, &block, &by_address];
        use Strategy::*;
        let table = [
            [Plain, Spray, Predict, Spray, Spray],
            [Spray, Relay, Relay, Relay, Spray],
            [Predict, Relay, Predict, BlockSpray, Spray],
            [Spray, Relay, BlockSpray, BlockSpray, Spray],
            [Spray, Spray, Spray, Spray, Spray],
        ];
        for (a, row) in sides.iter().zip(table) {
            for (b, expected) in sides.iter().zip(row) {
                assert_eq!(strategy(a, b), expected, "{a:?} {b:?}");
            }
        }
        let eager = |mut side: Side| {
            side.limits = Limits {
                probes: 200_000,
                exhaustive: true,
                ..Limits::POLITE
            };
            side
        };
        let plan = between(&eager(any), &eager(any));
        assert_eq!(plan.strategy, Exhaustive);
        assert!(plan.odds > 0.99, "{plan:?}");
    }
}

//! The table: two sides in, a plan out. docs/reference/plan.md draws it.

use super::odds::{block_odds, poisson, probes_for, spray_odds, window};
use super::{Aim, Plan, Ports, Share, Side, Strategy};
use crate::Dependence;
use crate::oracle::{self, Outcome};

/// What a guess is planned for, where the limits allow it.
const WANTED: f64 = 0.9999;

/// A guess that is worth less is not tried.
const WORTHWHILE: f64 = 0.5;

/// Sockets behind a NAT that may choose any port, as many as are polite; with
/// 1,946 probes of the other side one of them is found in 9,999 of 10,000 cases.
const SOCKETS: u32 = 300;

/// Sockets behind a NAT that chooses from a block.
const SOCKETS_IN_A_BLOCK: u32 = 32;

/// Sockets behind a NAT whose next ports are foreseen.
const SOCKETS_AHEAD: u32 = 4;

/// Of these mappings a second that others make we are not surprised, and so
/// many seconds lie between the last one that we know and the next of ours.
const RATE: f64 = 20.0;
const DELAY: f64 = 0.2;

/// Mappings of our own that come between: the opener, and probes to host
/// candidates.
const OWN: u32 = 10;

/// Sockets of which each tries many ports of the peer.
const ROWS: u32 = 8;

/// How these two get across. Both sides come to the same.
pub fn between(caller: &Side, target: &Side) -> Plan {
    if caller.behaviour.udp_blocked || target.behaviour.udp_blocked {
        return Plan::plain(Strategy::None, 0.0);
    }
    match oracle::expected(&caller.behaviour, &target.behaviour).outcome {
        Outcome::Direct => Plan::plain(Strategy::Plain, 1.0),
        Outcome::Unknown => Plan::plain(Strategy::Unknown, 0.0),
        Outcome::Failed if caller.mapped || target.mapped => {
            Plan::plain(Strategy::PortMapping, 1.0)
        }
        Outcome::Failed => {
            let guess = [
                guessed(caller, target),
                guessed(target, caller).map(Plan::turned),
                met(caller, target),
            ];
            let mut possible: Vec<Plan> = guess.into_iter().flatten().collect();
            possible.retain(|plan| plan.odds >= WORTHWHILE);
            // Of equal ones the first: the sort is stable.
            possible.sort_by_key(|plan| (plan.strategy, packets(plan)));
            let none = Plan::plain(Strategy::Relay, 0.0);
            possible.first().map_or(none, |plan| Plan {
                caller: plan.caller.repeated(&caller.limits),
                target: plan.target.repeated(&target.limits),
                ..*plan
            })
        }
    }
}

fn packets(plan: &Plan) -> u32 {
    plan.caller.packets() + plan.target.packets()
}

/// `hidden` makes mappings towards the one address of the other, which looks
/// for one of them. It takes a filter that lets the seeker in from wherever it
/// sends, or a seeker that sends from where it is expected.
fn guessed(hidden: &Side, seeker: &Side) -> Option<Plan> {
    if hidden.is_stable() || !(hidden.admits_any_port() || seeker.is_stable()) {
        return None;
    }
    let (sockets, aim, probes, odds) = match hidden.ports {
        Ports::Sequential(step) => {
            let ahead = window(WANTED, RATE, DELAY) + OWN;
            let aim = Aim::Ahead {
                step,
                from: 1,
                count: ahead,
            };
            (SOCKETS_AHEAD, aim, ahead, WANTED)
        }
        ports => {
            let pool = ports.pool();
            let usual = match ports {
                Ports::Block(..) => SOCKETS_IN_A_BLOCK,
                _ => SOCKETS,
            };
            let sockets = usual.min(hidden.limits.sockets);
            let probes = probes_for(WANTED, pool, sockets).min(seeker.limits.probes);
            (
                sockets,
                within(ports),
                probes,
                spray_odds(pool, sockets, probes),
            )
        }
    };
    let affordable = sockets <= hidden.limits.sockets && probes <= seeker.limits.probes;
    affordable.then_some(Plan {
        strategy: match aim {
            Aim::Ahead { .. } => Strategy::Predict,
            _ => Strategy::Spray,
        },
        odds,
        caller: Share {
            sockets,
            each: 1,
            openers: true,
            ..Share::NOTHING
        },
        target: Share {
            sockets: 0,
            each: probes,
            at: aim,
            after: true,
            ..Share::NOTHING
        },
    })
}

/// Both give every destination another port and insist on ports: each makes
/// mappings towards ports that the other may get, until two meet.
fn met(caller: &Side, target: &Side) -> Option<Plan> {
    let by_port = |side: &Side| {
        side.behaviour.mapping == Some(Dependence::AddressAndPortDependent)
            && side.limits.sockets > ROWS
    };
    if !by_port(caller) || !by_port(target) {
        return None;
    }
    match (caller.ports, target.ports) {
        (Ports::Sequential(of_caller), Ports::Sequential(of_target)) => {
            foreseen(caller, target, (of_caller, of_target))
        }
        (Ports::Sequential(step), Ports::Block(..)) => half_foreseen(caller, step, target),
        (Ports::Block(..), Ports::Sequential(step)) => {
            half_foreseen(target, step, caller).map(Plan::turned)
        }
        _ => blind(caller, target),
    }
}

/// Each side opens a row of ports, towards the one port in the middle of the
/// other's row: exactly one of each meets its counterpart.
fn foreseen(caller: &Side, target: &Side, steps: (i32, i32)) -> Option<Plan> {
    let middle = window(WANTED, RATE, DELAY) + OWN;
    let row = 2 * middle;
    let affordable = |side: &Side| row <= side.limits.sockets.min(side.limits.probes);
    let share = |step| Share {
        sockets: row,
        each: 1,
        at: Aim::Ahead {
            step,
            from: middle,
            count: 1,
        },
        ..Share::NOTHING
    };
    let strangers = poisson(RATE * DELAY, middle - OWN);
    (affordable(caller) && affordable(target)).then_some(Plan {
        strategy: Strategy::Predict,
        odds: strangers * strangers,
        caller: share(steps.1),
        target: share(steps.0),
    })
}

/// `ahead` opens a row of ports, each towards a random port of the other's
/// block; the other tries the whole row from several sockets.
fn half_foreseen(ahead: &Side, step: i32, other: &Side) -> Option<Plan> {
    let row = SOCKETS.min(ahead.limits.sockets);
    let count = row + window(WANTED, RATE, DELAY) + OWN;
    let rows = (other.limits.probes / count)
        .min(other.limits.sockets)
        .min(2 * ROWS);
    let useful = f64::from(rows * count) * f64::from(row) / f64::from(count);
    let odds = 1.0 - (-useful / f64::from(other.ports.pool())).exp();
    (rows > 0).then_some(Plan {
        strategy: Strategy::BlockSpray,
        odds,
        caller: Share {
            sockets: row,
            each: 1,
            at: within(other.ports),
            ..Share::NOTHING
        },
        target: Share {
            sockets: rows,
            each: count,
            at: Aim::Ahead {
                step,
                from: 1,
                count,
            },
            ..Share::NOTHING
        },
    })
}

/// Random ports towards random ports.
fn blind(caller: &Side, target: &Side) -> Option<Plan> {
    let small = |side: &Side| matches!(side.ports, Ports::Block(..));
    let strategy = match small(caller) && small(target) {
        true => Strategy::BlockSpray,
        false if caller.limits.exhaustive && target.limits.exhaustive => Strategy::Exhaustive,
        false => return None,
    };
    let pools = (caller.ports.pool(), target.ports.pool());
    let product = f64::from(pools.0) * f64::from(pools.1);
    let wanted = (-(1.0 - WANTED).ln() * product).sqrt().ceil() as u32;
    let limits = (caller.limits.probes, target.limits.probes);
    // Each from so many sockets, since one has one mapping for each port.
    let rows = |pool: u32, pairs: u32| ROWS.max(pairs.div_ceil(pool));
    let rows = (rows(pools.1, wanted), rows(pools.0, wanted));
    let each = |rows: u32, limit: u32| wanted.div_ceil(rows).min(limit / rows);
    let each = (each(rows.0, limits.0), each(rows.1, limits.1));
    Some(Plan {
        strategy,
        odds: block_odds((pools.0, rows.0 * each.0), (pools.1, rows.1 * each.1)),
        caller: Share {
            sockets: rows.0,
            each: each.0,
            at: within(target.ports),
            ..Share::NOTHING
        },
        target: Share {
            sockets: rows.1,
            each: each.1,
            at: within(caller.ports),
            ..Share::NOTHING
        },
    })
}

fn within(ports: Ports) -> Aim {
    match ports {
        Ports::Block(low, high) => Aim::Within { low, high },
        Ports::Any | Ports::Sequential(_) => Aim::Within {
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
    fn both_sides_come_to_the_same() {
        for a in all() {
            for b in all() {
                let (plan, turned) = (between(&a, &b), between(&b, &a).turned());
                assert_eq!(plan.strategy, turned.strategy, "{a:?} {b:?}");
                assert_eq!(packets(&plan), packets(&turned), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn an_open_port_spares_the_guessing() {
        let hard = nat(AddressAndPortDependent, AddressAndPortDependent, Ports::Any);
        let mapped = Side {
            mapped: true,
            ..hard
        };
        assert_eq!(between(&hard, &mapped).strategy, Strategy::PortMapping);
        assert_eq!(between(&mapped, &hard).strategy, Strategy::PortMapping);
    }

    #[test]
    fn nobody_spends_more_than_it_wants_to() {
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
                for (share, side) in [(plan.caller, a), (plan.target, b)] {
                    assert!(share.sockets <= side.limits.sockets, "{plan:?}");
                    let probes = if share.openers { 0 } else { share.packets() };
                    assert!(
                        share == Share::NOTHING || probes <= side.limits.probes,
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
    fn the_table_in_the_manual() {
        let cone = nat(EndpointIndependent, AddressAndPortDependent, Ports::Any);
        let moving = |ports| nat(AddressAndPortDependent, AddressAndPortDependent, ports);
        let (any, next) = (moving(Ports::Any), moving(Ports::Sequential(1)));
        let block = moving(Ports::Block(40000, 40511));
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

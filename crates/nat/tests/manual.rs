//! docs/reference/plan.md draws the plan's table and names its costs: they are read
//! out of the page and compared with what is planned.

use nat::plan::{Limits, Plan, between, percent};
use sim::Profile;

const PAGE: &str = include_str!("../../../docs/reference/plan.md");

/// The rows and columns of the table.
const TYPES: [&str; 8] = [
    "full-cone",
    "restricted",
    "port-restricted",
    "address-dependent",
    "symmetric-sequential",
    "symmetric-block",
    "symmetric",
    "udp-blocked",
];

/// The lab's types that behave like one of these here.
const ALIKE: [(&str, &str); 5] = [
    ("open", "full-cone"),
    ("basic", "full-cone"),
    ("firewall", "port-restricted"),
    ("masquerade", "port-restricted"),
    ("udp-blocked", "udp-blocked"),
];

const EXHAUSTIVE: Limits = Limits {
    probes: 170_000,
    pps: 20_000,
    exhaustive: true,
    ..Limits::POLITE
};

fn plan(ours: &str, peers: &str, limits: Limits) -> Plan {
    let side = |name| Profile::named(name).unwrap().side(limits);
    between(&side(ours), &side(peers))
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_table_of_the_page_is_the_plans() {
    let mut expected = vec![format!("| ours ╲ the peer's | {} |", TYPES.join(" | "))];
    expected.push(format!("|---|{}", "---|".repeat(TYPES.len())));
    for ours in TYPES {
        let row = TYPES.map(|peers| plan(ours, peers, Limits::POLITE).strategy.name());
        expected.push(format!("| **{ours}** | {} |", row.join(" | ")));
    }
    let at = PAGE.lines().position(|line| line.starts_with("| ours ╲"));
    let found: Vec<&str> = PAGE
        .lines()
        .skip(at.unwrap())
        .take(expected.len())
        .collect();
    assert_eq!(found, expected, "as planned:\n{}", expected.join("\n"));
}

#[test]
fn other_types_are_rows_of_that_table() {
    for (name, like) in ALIKE {
        for other in Profile::NAMES {
            let strategy = |a, b| plan(a, b, Limits::POLITE).strategy;
            assert_eq!(
                strategy(name, other),
                strategy(like, other),
                "{name} × {other}"
            );
            assert_eq!(
                strategy(other, name),
                strategy(other, like),
                "{other} × {name}"
            );
        }
    }
    let known = |name| TYPES.contains(&name) || ALIKE.iter().any(|(alike, _)| *alike == name);
    assert!(
        Profile::NAMES.into_iter().all(known),
        "every type has a row"
    );
}

#[test]
fn the_costs_on_the_page_are_the_plans() {
    let mut seen = 0;
    let rows = PAGE.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| cells(line)[0].contains(" × "));
    for line in rows {
        let row = cells(line);
        let (ours, peers) = row[0].split_once(" × ").unwrap();
        let limits = match row[1] {
            "exhaustive" => EXHAUSTIVE,
            _ => Limits::POLITE,
        };
        let plan = plan(ours, peers, limits);
        let share = |share: nat::plan::Part| {
            let (each, rounds) = (share.ports_per_socket, share.rounds);
            format!("{} × {each} × {rounds}", share.sockets.max(1))
        };
        let seconds = plan.caller.seconds(&limits) + plan.callee.seconds(&limits);
        let expected = [
            row[0].to_owned(),
            plan.strategy.name().to_owned(),
            share(plan.caller),
            share(plan.callee),
            percent(plan.odds),
            format!("{seconds:.1} s"),
        ];
        assert_eq!(row, expected, "as planned: | {} |", expected.join(" | "));
        seen += 1;
    }
    assert!(seen >= 8, "{seen} rows");
}

//! What to expect between two NATs, before a packet is sent.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use cli::head::Headed;
use cli::report::StoredReport;
use nat::oracle;
use nat::plan::Role;
use nat::plan::{Limits, Plan, Strategy, between, percent};
use serde::Serialize;
use serde_json::{Value, json};

/// Prints what to expect between the NATs of two reports, and the odds.
///
/// # Errors
/// When a report cannot be read.
pub fn run(a: &Path, b: &Path, limits: &Limits, json: bool) -> anyhow::Result<ExitCode> {
    let (mut a, mut b) = (StoredReport::read(a)?.side, StoredReport::read(b)?.side);
    (a.limits, b.limits) = (*limits, *limits);
    let plan = between(&a, &b);
    let why = oracle::expected(&a.behaviour, &b.behaviour).why;
    let expected = plan.strategy.outcome();
    let code = match plan.strategy {
        Strategy::Unknown => 2,
        Strategy::None => 1,
        _ => 0,
    };
    let mut stdout = std::io::stdout();
    if json {
        let expectation = Expectation {
            expected,
            why: json!({"code": why, "text": why.to_string()}),
            plan: to_json(&plan, Role::Caller, limits),
        };
        writeln!(stdout, "{}", Headed::now("punch", expectation).to_json()?)?;
    } else {
        let how = announced(&plan, Role::Caller, limits);
        let how = how.map_or(String::new(), |how| format!("; {how}"));
        writeln!(stdout, "{expected}: {why}{how}")?;
    }
    Ok(ExitCode::from(code))
}

/// What to expect, as JSON.
#[derive(Serialize)]
struct Expectation {
    expected: &'static str,
    why: Value,
    #[serde(flatten)]
    plan: Value,
}

/// What the plan will send, and its odds; `None` where it sends a few probes only.
pub fn announced(plan: &Plan, role: Role, limits: &Limits) -> Option<String> {
    let (ours, theirs) = (plan.part(role), plan.part(other(role)));
    Some(match plan.strategy {
        Strategy::Relay if limits.probes == 0 => "no port is guessed (--budget 0)".into(),
        Strategy::Relay => {
            "no port is guessed: the packets that the two sides allow are too few for it to be likely to hit"
                .into()
        }
        _ if !plan.guesses() => return None,
        strategy => format!(
            "{}: {} odds within {:.1} s; we send up to {} packets and make {} entries in our NAT, \
             the peer {} packets and {} entries",
            strategy.name(),
            percent(plan.odds),
            ours.seconds(limits) + theirs.seconds(limits),
            ours.packets(),
            ours.flows(),
            theirs.packets(),
            theirs.flows(),
        ),
    })
}

/// The plan as JSON (docs/reference/json.md).
pub fn to_json(plan: &Plan, role: Role, limits: &Limits) -> Value {
    let (ours, theirs) = (plan.part(role), plan.part(other(role)));
    let guesses = plan.guesses();
    let count = |share: nat::plan::Part| guesses.then(|| share.packets());
    json!({
        "strategy": plan.strategy,
        "odds": plan.odds_of_guesses(),
        "packets": count(ours),
        "peer_packets": count(theirs),
        "sockets": guesses.then_some(ours.sockets),
        "peer_sockets": guesses.then_some(theirs.sockets),
        "seconds": guesses.then(|| ours.seconds(limits) + theirs.seconds(limits)),
        "nat_entries": guesses.then(|| ours.flows()),
        "peer_nat_entries": guesses.then(|| theirs.flows()),
    })
}

fn other(role: Role) -> Role {
    match role {
        Role::Caller => Role::Callee,
        Role::Callee => Role::Caller,
    }
}

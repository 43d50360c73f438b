//! The expected outcome of a punch against the one that it had.

use std::path::Path;

use anyhow::Context;
use nat::oracle;
use nat::plan::{Strategy, between};
use serde::Serialize;

use crate::answer::Answer;
use crate::args::PairArgs;
use crate::asked::Asked;
use crate::cell::{Outcome, Punch, Reason, without_name};
use crate::demonstration;
use crate::input::{self, Raw};
use crate::nat_check::NatCheck;
use crate::output;
use crate::plain::Plain;

/// A cell as it is written, on one line; [`crate::cell::Cell`] reads it.
#[derive(Debug, Serialize)]
struct Written<'a> {
    a: &'a str,
    b: &'a str,
    expected: Outcome,
    why: Reason,
    plain: Plain,
    got: Option<Outcome>,
    how: Option<String>,
    elapsed_ms: Option<f64>,
    cause: Option<String>,
    punch: Option<Raw>,
    #[serde(flatten)]
    nats: Option<Nats>,
    #[serde(flatten)]
    tables: Option<Tables>,
}

/// What natprobe measured on both sides.
#[derive(Debug, Serialize)]
pub struct Nats {
    as_asked: Answer,
    measured: [NatCheck; 2],
}

/// What nattrace shows of both routers.
#[derive(Debug, Serialize)]
struct Tables {
    nat_alice: Option<Raw>,
    nat_bob: Option<Raw>,
}

/// Prints a sentence, or a cell.
///
/// # Errors
/// When a report cannot be read, or stdout not written.
pub fn run(args: &PairArgs) -> anyhow::Result<Answer> {
    let Expectation {
        outcome: expected,
        why,
        sentence,
    } = expected(args)?;
    let raw = input::report(&args.punch)?;
    let report: Option<Punch> = match &raw {
        Some(raw) => serde_json::from_str(raw.get())
            .with_context(|| format!("{} is not a report of punch", args.punch.display()))?,
        None => None,
    };
    let reason = match &report {
        Some(_) => None,
        None => Some(last_line(args)?),
    };
    let nats = nats(
        &args.a,
        &args.b,
        args.nat_a.as_deref(),
        args.nat_b.as_deref(),
    )?;
    if let (Some(file), Some(raw)) = (&args.trace, &raw) {
        let trace = demonstration::trace(file)?;
        let told = serde_json::from_str(raw.get())?;
        let text = demonstration::text(&trace, &told, expected, &sentence, cli::stdout::colours());
        output::print(&text)?;
    }
    let punch = report.unwrap_or_default();
    let answer = Answer::same(expected, punch.result)
        .and(nats.as_ref().map_or(Answer::Yes, |nats| nats.as_asked));
    if args.trace.is_some() && raw.is_some() {
        return Ok(answer);
    }
    let line = match args.json {
        true => output::report(Written {
            a: &args.a.spec,
            b: &args.b.spec,
            expected,
            why,
            plain: Plain::between(&args.a, &args.b),
            got: punch.result,
            how: punch.strategy,
            elapsed_ms: punch.elapsed_ms,
            cause: punch.cause.map(|cause| cause.code).or(reason),
            punch: raw,
            nats,
            tables: tables(args)?,
        })?,
        false => {
            let got = match reason {
                Some(reason) => no_call(&reason),
                None => punch.text.unwrap_or_default(),
            };
            format!("{got} {sentence}\n")
        }
    };
    output::print(&line)?;
    Ok(answer)
}

/// What is expected of a punch between both types.
struct Expectation {
    /// The outcome that the plan leads to.
    outcome: Outcome,
    /// Why plain punching, without guesses, connects or does not: the oracle's reason.
    why: Reason,
    /// Both, for people.
    sentence: String,
}

fn expected(args: &PairArgs) -> anyhow::Result<Expectation> {
    let limits = args.spend.limits();
    let strategy = between(&args.a.side(limits), &args.b.side(limits)).strategy;
    let why = oracle::expected(&args.a.behaviour(), &args.b.behaviour()).why;
    let outcome = strategy.outcome();
    // The oracle's reason is about plain punching, so it is only the reason of
    // an outcome that plain punching has.
    let sentence = match strategy {
        Strategy::Plain | Strategy::None | Strategy::Unknown => {
            format!("Expected was {outcome}: {why}.")
        }
        Strategy::Relay => format!("Expected was {outcome}: plain punching fails, because {why}."),
        guess => format!(
            "Expected was {outcome} ({}): plain punching fails, because {why}.",
            guess.name()
        ),
    };
    Ok(Expectation {
        outcome: serde_json::from_value(outcome.into())?,
        why: why.into(),
        sentence,
    })
}

/// Both sides as asked against as measured, if they were measured.
///
/// # Errors
/// When a report is there and cannot be read.
pub fn nats(
    a: &Asked,
    b: &Asked,
    of_a: Option<&Path>,
    of_b: Option<&Path>,
) -> anyhow::Result<Option<Nats>> {
    let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
        return Ok(None);
    };
    let measured = [
        NatCheck::of("alice", a, of_a)?,
        NatCheck::of("bob", b, of_b)?,
    ];
    let as_asked = Answer::all(measured.iter().map(|check| check.as_asked));
    Ok(Some(Nats { as_asked, measured }))
}

fn tables(args: &PairArgs) -> anyhow::Result<Option<Tables>> {
    let (Some(a), Some(b)) = (&args.table_a, &args.table_b) else {
        return Ok(None);
    };
    Ok(Some(Tables {
        nat_alice: input::report(a)?,
        nat_bob: input::report(b)?,
    }))
}

/// Why the caller's punch has written no report, in its own words.
fn last_line(args: &PairArgs) -> anyhow::Result<String> {
    let log = match &args.log {
        Some(log) => input::text(log)?,
        None => String::new(),
    };
    let last = log.lines().rfind(|line| !line.trim().is_empty());
    Ok(last.map_or_else(
        || {
            format!(
                "it printed nothing and ended with exit code {}",
                args.exit_code
            )
        },
        Into::into,
    ))
}

/// The sentence about a punch that wrote no report.
fn no_call(reason: &str) -> String {
    let reason = without_name(reason);
    let stop = match reason.ends_with(['.', '?', '!']) {
        true => "",
        false => ".",
    };
    format!("failed: alice's punch could not tell: {reason}{stop}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::args::Spend;
    use crate::asked::tests::{BLOCKED, CONE, OPEN, PORT_RESTRICTED, RESTRICTED, SYMMETRIC, asked};
    use crate::cell::{Cell, Judgement};
    use nat::plan::Limits;

    fn args(a: &str, b: &str) -> PairArgs {
        PairArgs {
            a: asked(a),
            b: asked(b),
            punch: PathBuf::new(),
            log: None,
            exit_code: 0,
            nat_a: None,
            nat_b: None,
            table_a: None,
            table_b: None,
            trace: None,
            spend: Spend {
                budget: 4000,
                max_pps: 4000,
            },
            json: true,
        }
    }

    #[test]
    fn the_planner_says_what_to_expect() {
        for (a, b, outcome, why) in [
            (CONE, SYMMETRIC, Outcome::Direct, "OPEN_FILTER"),
            (
                RESTRICTED,
                PORT_RESTRICTED,
                Outcome::Direct,
                "STABLE_MAPPINGS",
            ),
            (RESTRICTED, SYMMETRIC, Outcome::Direct, "ADDRESS_FILTER"),
            // A spray connects what plain punching does not.
            (
                PORT_RESTRICTED,
                SYMMETRIC,
                Outcome::Direct,
                "SYMMETRIC_REMAP",
            ),
            (SYMMETRIC, SYMMETRIC, Outcome::Relay, "SYM_SYM"),
            (OPEN, BLOCKED, Outcome::Failed, "UDP_BLOCKED"),
        ] {
            let expected = expected(&args(a, b)).unwrap();
            let found = (expected.outcome, expected.why.code.as_str());
            assert_eq!(found, (outcome, why), "{a} {b}");
        }
    }

    #[test]
    fn the_reason_of_plain_punching_is_not_given_for_a_guess() {
        let says = |a, b| expected(&args(a, b)).unwrap().sentence;
        let plain = says(CONE, SYMMETRIC);
        assert!(plain.starts_with("Expected was direct: "), "{plain}");
        for (a, b, start) in [
            (PORT_RESTRICTED, SYMMETRIC, "Expected was direct (spray)"),
            (SYMMETRIC, SYMMETRIC, "Expected was relay"),
        ] {
            let because = format!("{start}: plain punching fails, because ");
            assert!(says(a, b).starts_with(&because), "{}", says(a, b));
        }
    }

    #[test]
    fn a_smaller_budget_makes_it_a_relay() {
        let mut args = args(PORT_RESTRICTED, SYMMETRIC);
        args.spend.budget = 0;
        assert_eq!(args.spend.limits().sockets, 0);
        assert_eq!(expected(&args).unwrap().outcome, Outcome::Relay);
        args.spend.budget = 4000;
        assert_eq!(args.spend.limits().sockets, Limits::POLITE.sockets);
    }

    #[test]
    fn a_punch_without_a_report_is_told_by_its_last_words() {
        assert_eq!(
            no_call("punch: no answer from 203.0.113.1:8848. Is it running?"),
            "failed: alice's punch could not tell: no answer from 203.0.113.1:8848. Is it running?"
        );
        assert!(no_call("the name is taken").ends_with("is taken."));
        let mut args = args(CONE, CONE);
        args.exit_code = 101;
        let said = last_line(&args).unwrap();
        assert_eq!(said, "it printed nothing and ended with exit code 101");
    }

    #[test]
    fn what_is_written_reads_back() {
        let Expectation {
            outcome: expected,
            why,
            ..
        } = expected(&args(CONE, CONE)).unwrap();
        let punch = r#"{"result":"direct","strategy":"plain","text":"direct: alice …"}"#;
        let written = Written {
            a: "full-cone",
            b: "full-cone",
            expected,
            why,
            plain: Plain::between(&asked(CONE), &asked(CONE)),
            got: Some(Outcome::Direct),
            how: Some("plain".into()),
            elapsed_ms: Some(0.5),
            cause: None,
            punch: Some(serde_json::from_str(punch).unwrap()),
            nats: Some(Nats {
                as_asked: Answer::CouldNotTell,
                measured: ["alice", "bob"].map(|node| {
                    NatCheck::of(node, &asked(CONE), &PathBuf::from("/nonexistent")).unwrap()
                }),
            }),
            tables: None,
        };
        let line = serde_json::to_string(&written).unwrap();
        assert!(!line.contains('\n'));
        let cell: Cell = serde_json::from_str(&line).unwrap();
        assert_eq!(cell.judgement(), Judgement::AsExpected);
        assert_eq!(cell.as_asked, Some(Answer::CouldNotTell));
        assert_eq!(cell.punch.unwrap().text.unwrap(), "direct: alice …");
        assert_eq!(cell.why.unwrap().code, "OPEN_FILTER");
    }
}

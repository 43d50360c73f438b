//! What the oracle and the planner expect between two types, before anything runs.

use nat::plan::{Strategy, between, percent};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::args::ExpectArgs;
use crate::cell::Outcome;
use crate::output;
use crate::plain::{Plain, Verdict};

/// Prints three expectations: plain punching without openers and with them, and punch.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &ExpectArgs) -> anyhow::Result<Answer> {
    let plain = Plain::between(&args.a, &args.b);
    output::print(&match args.json {
        true => output::report(to_json(args, &plain))?,
        false => to_text(args, &plain),
    })?;
    Ok(match plain.ice.outcome {
        Outcome::Direct => Answer::Yes,
        Outcome::Unknown => Answer::CouldNotTell,
        _ => Answer::No,
    })
}

fn to_json(args: &ExpectArgs, plain: &Plain) -> Value {
    let limits = args.spend.limits();
    let plan = between(&args.a.side(limits), &args.b.side(limits));
    let punch = json!({
        "outcome": plan.strategy.outcome(),
        "strategy": plan.strategy,
        "odds": plan.odds_of_guesses(),
    });
    json!({"a": args.a.spec, "b": args.b.spec, "plain": plain, "punch": punch})
}

fn to_text(args: &ExpectArgs, plain: &Plain) -> String {
    let limits = args.spend.limits();
    let plan = between(&args.a.side(limits), &args.b.side(limits));
    let how = match plan.strategy {
        Strategy::Relay => "no guess is worth its packets".into(),
        Strategy::None => plain.openers.why.text.clone(),
        strategy if plan.odds < 1.0 && plan.odds > 0.0 => {
            format!("{}, with odds of {}", strategy.name(), percent(plan.odds))
        }
        strategy => strategy.name().into(),
    };
    let row = |who: &str, Verdict { outcome, why }: &Verdict| {
        format!("{who:<24} {outcome:<8} {}: {}\n", why.code, why.text)
    };
    format!(
        "{} × {}\n{}{}{:<24} {:<8} {how}\n",
        args.a.spec,
        args.b.spec,
        row("plain, any ICE agent", &plain.ice),
        row("plain, with openers", &plain.openers),
        "punch",
        plan.strategy.outcome(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Spend;
    use crate::asked::tests::{MASQUERADE, PORT_RESTRICTED, SYMMETRIC, asked};

    fn args(a: &str, b: &str) -> ExpectArgs {
        ExpectArgs {
            a: asked(a),
            b: asked(b),
            spend: Spend {
                budget: 4000,
                max_pps: 4000,
            },
            json: false,
        }
    }

    #[test]
    fn openers_and_guesses_are_told_apart_from_what_any_agent_does() {
        let says = |a, b| to_text(&args(a, b), &Plain::between(&asked(a), &asked(b)));
        let both = says(MASQUERADE, MASQUERADE);
        let rows: Vec<_> = both
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .collect();
        assert_eq!(rows[0], ["masquerade", "×", "masquerade"]);
        assert_eq!(rows[1][..5], ["plain,", "any", "ICE", "agent", "failed"]);
        assert_eq!(rows[2][..4], ["plain,", "with", "openers", "direct"]);
        assert_eq!(rows[3], ["punch", "direct", "plain"]);
        let spray = says(PORT_RESTRICTED, SYMMETRIC);
        assert!(
            spray.contains("punch                    direct   spray, with odds of 99.99 %"),
            "{spray}"
        );
        assert!(says(SYMMETRIC, SYMMETRIC).contains("relay    no guess is worth"));
    }

    #[test]
    fn the_json_has_the_same() {
        let object = to_json(
            &args(MASQUERADE, PORT_RESTRICTED),
            &Plain::between(&asked(MASQUERADE), &asked(PORT_RESTRICTED)),
        );
        assert_eq!(object["plain"]["ice"]["outcome"], "unknown");
        assert_eq!(object["plain"]["openers"]["why"]["code"], "STABLE_MAPPINGS");
        assert_eq!(
            object["punch"],
            json!({"outcome": "direct", "strategy": "plain", "odds": null})
        );
    }
}

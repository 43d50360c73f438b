//! What to expect of two NATs, before a packet is sent.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use traverse::nat::Behaviour;
use traverse::oracle::{Outcome, expected};

/// Prints the outcome of a punch between two natprobe reports.
///
/// # Errors
/// When a report cannot be read.
pub fn run(a: &Path, b: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let expected = expected(&read(a)?, &read(b)?);
    let mut stdout = std::io::stdout();
    if json {
        let report = json!({
            "expected": expected.outcome,
            "why": {"code": expected.why, "text": expected.why.to_string()},
        });
        writeln!(stdout, "{report}")?;
    } else {
        let outcome = match expected.outcome {
            Outcome::Direct => "direct",
            Outcome::Failed => "no path",
            Outcome::Unknown => "cannot tell",
        };
        writeln!(stdout, "{outcome}: {}", expected.why)?;
    }
    Ok(match expected.outcome {
        Outcome::Direct => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::from(1),
        Outcome::Unknown => ExitCode::from(2),
    })
}

fn read(path: &Path) -> anyhow::Result<Behaviour> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the report {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not a natprobe report", path.display()))
}

//! How a command ended between two NAT types, against what the oracle expects of plain punching.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;

use crate::answer::Answer;
use crate::args::CommandArgs;
use crate::cell::{Outcome, Reason};
use crate::output;
use crate::pair::{self, Nats};
use crate::plain::Plain;
use crate::runs::{Run, Tally};

/// Bytes at the end of a log in which its last line is looked for.
const TAIL: u64 = 4096;

/// Characters of that line that are kept.
const LINE: usize = 200;

/// A cell of one run, on one line; [`crate::cell::Cell`] reads it.
#[derive(Debug, Serialize)]
struct Written<'a> {
    a: &'a str,
    b: &'a str,
    expected: Outcome,
    why: Reason,
    plain: Plain,
    #[serde(flatten)]
    tally: Tally,
    runs: [Run; 1],
    #[serde(flatten)]
    nats: Option<Nats>,
}

/// Prints a cell.
///
/// # Errors
/// When a report cannot be read, or stdout not written.
pub fn run(args: &CommandArgs) -> anyhow::Result<Answer> {
    let plain = Plain::between(&args.a, &args.b);
    let run = ran(args);
    let written = Written {
        a: &args.a.spec,
        b: &args.b.spec,
        expected: plain.ice.outcome,
        why: plain.ice.why.clone(),
        plain,
        tally: Tally::of(std::slice::from_ref(&run)),
        runs: [run],
        nats: pair::nats(
            &args.a,
            &args.b,
            args.nat_a.as_deref(),
            args.nat_b.as_deref(),
        )?,
    };
    output::print(&output::report(&written)?)?;
    Ok(match written.tally.got {
        Some(Outcome::Yes) => Answer::Yes,
        Some(_) => Answer::No,
        None => Answer::CouldNotTell,
    })
}

fn ran(args: &CommandArgs) -> Run {
    let code = args.exit_code;
    let (got, cause) = match (args.timed_out, code) {
        (Some(limit), _) => (None, Some(format!("it had not ended within {limit} s"))),
        (None, 0) => (Some(Outcome::Yes), None),
        (None, 1) => (Some(Outcome::No), None),
        (None, code) => (None, Some(broken(code, &args.log))),
    };
    Run {
        number: args.run,
        got,
        exit_code: args.timed_out.is_none().then_some(code),
        elapsed_ms: Some(args.elapsed_ms as f64),
        cause,
        logs: args
            .log
            .iter()
            .map(|log| log.display().to_string())
            .collect(),
    }
}

/// A code that is neither yes nor no, and the last thing that was printed.
fn broken(code: u8, logs: &[impl AsRef<Path>]) -> String {
    let code = match code {
        129..=192 => format!("exit code {code} (signal {})", code - 128),
        code => format!("exit code {code}"),
    };
    match logs.iter().rev().find_map(|log| last_line(log.as_ref())) {
        Some(line) => format!("{code}: {line}"),
        None => code,
    }
}

/// The last line of a log that is not empty. A command may print anything: what is not UTF-8 is
/// replaced, and a long line is cut.
fn last_line(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut end = Vec::new();
    file.take(TAIL).read_to_end(&mut end).ok()?;
    let end = String::from_utf8_lossy(&end).into_owned();
    let line = end.lines().rfind(|line| !line.trim().is_empty())?;
    let printable = line.trim().chars().filter(|c| !c.is_control());
    Some(printable.take(LINE).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::asked::tests::{CONE, MASQUERADE, asked};
    use crate::cell::{Cell, Judgement};

    fn args(exit_code: u8) -> CommandArgs {
        CommandArgs {
            a: asked(MASQUERADE),
            b: asked(CONE),
            run: 3,
            exit_code,
            timed_out: None,
            elapsed_ms: 40,
            log: Vec::new(),
            nat_a: None,
            nat_b: None,
        }
    }

    #[test]
    fn zero_is_yes_one_is_no_and_all_else_is_broken() {
        for (code, got, cause) in [
            (0, Some(Outcome::Yes), None),
            (1, Some(Outcome::No), None),
            (2, None, Some("exit code 2")),
            (139, None, Some("exit code 139 (signal 11)")),
        ] {
            let run = ran(&args(code));
            assert_eq!((run.got, run.cause.as_deref()), (got, cause), "{code}");
            assert_eq!((run.number, run.exit_code), (3, Some(code)));
        }
        let late = CommandArgs {
            timed_out: Some(5),
            ..args(124)
        };
        let run = ran(&late);
        assert_eq!((run.got, run.exit_code), (None, None));
        assert_eq!(run.cause.as_deref(), Some("it had not ended within 5 s"));
    }

    #[test]
    fn the_last_line_of_a_log_is_the_cause_whatever_bytes_it_has() {
        let log = std::env::temp_dir().join(format!("labreport-command-{}", std::process::id()));
        for (bytes, line) in [
            (b"first\nlast\n\n".to_vec(), Some("last")),
            (b"a \xff \x1b[1mb\n".to_vec(), Some("a \u{fffd} [1mb")),
            (b"\n \n".to_vec(), None),
        ] {
            std::fs::write(&log, &bytes).unwrap();
            assert_eq!(last_line(&log).as_deref(), line, "{bytes:?}");
        }
        std::fs::write(&log, "x".repeat(10_000)).unwrap();
        assert_eq!(last_line(&log).unwrap().len(), LINE);
        let said = broken(127, std::slice::from_ref(&log));
        assert!(said.starts_with("exit code 127: xxx"), "{said}");
        std::fs::remove_file(&log).unwrap();
        assert_eq!(
            broken(127, &[PathBuf::from("/nonexistent")]),
            "exit code 127"
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let plain = Plain::between(&asked(CONE), &asked(CONE));
        let run = ran(&args(0));
        let written = Written {
            a: "x",
            b: "y",
            expected: plain.ice.outcome,
            why: plain.ice.why.clone(),
            plain,
            tally: Tally::of(std::slice::from_ref(&run)),
            runs: [run.clone()],
            nats: None,
        };
        let line = serde_json::to_string(&written).unwrap();
        let cell: Cell = serde_json::from_str(&line).unwrap();
        assert_eq!(cell.runs, [run]);
        assert_eq!(cell.judgement(), Judgement::AsExpected);
    }
}

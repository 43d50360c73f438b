//! The lab's judge. Scripts make networks and run programs; this tool reads
//! what came of it and says whether it is as asked and as expected.
//!
//! [`record`] is what the scripts write. [`side`] compares one NAT with what was
//! asked, [`pair`] the outcome of a punch with what the oracle expects, and
//! [`matrix`] does so for every ordered pair; [`format`] has a file for each way
//! to show a matrix. [`profile`] finds the lab's type behind a natprobe report.

mod args;
mod format;
mod matrix;
mod pair;
mod profile;
mod record;
mod side;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let verdict = match args.command {
        Command::Nat { json } => side::run(json),
        Command::Pair { json, limits } => pair::run(json, limits.limits()),
        Command::Matrix {
            ref formats,
            limits,
        } => matrix::run(formats, limits.limits()),
        Command::Profile { ref report } => profile::run(report),
        Command::Json { lines } => record::run(lines),
    };
    let code = verdict.unwrap_or_else(|error| {
        cli::stderr::line(format_args!("labreport: {error:#}"));
        Verdict::Unknown
    });
    ExitCode::from(code as u8)
}

/// How it ends, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As asked and as expected.
    Yes = 0,
    /// Not so.
    No = 1,
    /// It could not be told.
    Unknown = 2,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Writes to standard output. A reader who has left has read enough.
fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(cannot_write("stdout", &error)),
        _ => Ok(()),
    }
}

/// What the system says, without its number.
fn cannot_write(what: impl std::fmt::Display, error: &std::io::Error) -> anyhow::Error {
    let why = error.to_string();
    let why = why.split(" (os error").next().unwrap_or_default();
    anyhow::anyhow!("cannot write to {what}: {why}")
}

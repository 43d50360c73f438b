//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use nat::plan::Limits;

/// Judges what the lab and its tools have measured.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Records are lines on standard input: fields with a tab between them, each KEY=TEXT,
KEY:=JSON or KEY@=FILE (the JSON in that file). docs/reference/json.md lists the keys.

Examples:
  labreport profile report.json          the lab type that rebuilds the NAT of a natprobe report
  labreport matrix --html matrix.html    from records: the table here, the page in a file
  printf 'name=x\\tpid:=7\\n' | labreport json

Exit codes: 0 as asked and as expected, 1 not so, 2 could not tell."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compares each NAT with what was asked: one record a side
    Nat {
        /// One JSON object a side
        #[arg(long)]
        json: bool,
    },
    /// Compares the outcome of a punch with what the oracle expects: three
    /// records, alice's NAT, bob's NAT and the outcome
    Pair {
        /// One JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        limits: Spending,
    },
    /// Shows every ordered pair: a record for each type, then one for each pair
    Matrix {
        #[command(flatten)]
        formats: Formats,
        #[command(flatten)]
        limits: Spending,
    },
    /// Prints the lab type that rebuilds the NAT of a natprobe report
    Profile {
        /// What natprobe --json has printed
        report: PathBuf,
    },
    /// Prints records as JSON: an array of objects
    Json {
        /// One object a line, no array
        #[arg(long)]
        lines: bool,
    },
}

/// What the punches were allowed to spend, as punch has it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Spending {
    /// Ports that each side guesses at most
    #[arg(long, value_name = "PROBES", default_value_t = Limits::POLITE.probes)]
    budget: u32,
    /// Guesses a second
    #[arg(long, value_name = "N", default_value_t = Limits::POLITE.pps)]
    max_pps: u32,
}

impl Spending {
    pub fn limits(self) -> Limits {
        Limits {
            sockets: Limits::POLITE.sockets.min(self.budget),
            probes: self.budget,
            pps: self.max_pps,
            exhaustive: false,
        }
    }
}

/// Where a matrix is written to, in which format; `-` is standard output, in
/// place of the table.
#[derive(Debug, Default, clap::Args)]
pub struct Formats {
    /// All cells as one JSON object
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A Markdown table, and what was not expected
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// JUnit XML, a test case for each pair
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// One HTML page that needs no other file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

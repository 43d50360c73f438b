//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use nat::plan::Limits;

use crate::asked::Asked;
use crate::lines::Field;

/// Judges what the lab produces: compares the NAT that was asked for with the
/// one that was measured, the expected outcome of a punch with the one it had,
/// and prints results for people and for programs.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  labreport matrix cells.json --html matrix.html      a page of the cells in cells.json
  lab/netns.sh matrix open cgnat --json - | labreport matrix --junit - -
                                                      the same for a CI system
  labreport profile report.json                          the lab type that rebuilds the NAT
                                                      of this natprobe report
  labreport nat alice \"type=restricted class=restricted mapping=endpoint-independent
    filtering=address-dependent\" report.json          is it a restricted cone?

Exit codes: 0 as asked and as expected, 1 not, 2 could not tell."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the NATs that were asked for with natprobe's reports
    Nat(NatArgs),
    /// Compare the expected outcome of a punch with punch's report
    Pair(Box<PairArgs>),
    /// Compare how a command ended with what the oracle expects: a cell of a matrix
    #[command(name = "command")]
    Ran(Box<CommandArgs>),
    /// Print what is expected between two NAT types, before anything runs
    Expect(Box<ExpectArgs>),
    /// Show the cells of a matrix, and say which are not as expected
    Matrix(MatrixArgs),
    /// Print the lab type that rebuilds the NAT of a natprobe report
    Profile(ProfileArgs),
    /// Draw the packets of a natprobe report, as SVG
    Figure(FigureArgs),
    /// Turn tab-separated lines on stdin into JSON objects
    Json(JsonArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
ASKED describes a NAT type in words KEY=VALUE: type, class, mapping, filtering, ports, hosts
(public or private), upnp (on or off) and early (remapped or harmless).

Example:
  labreport nat bob \"type=open class=open mapping=none filtering=endpoint-independent
    hosts=public\" bob.json

Exit codes: 0 each NAT is as asked, 1 one is not, 2 one could not be measured.")]
pub struct NatArgs {
    /// For each node: its name, the type that was asked, and natprobe's report
    #[arg(num_args = 3.., required = true, value_names = ["NODE", "ASKED", "REPORT"])]
    pub checks: Vec<String>,
    /// Print a JSON object for each node
    #[arg(long)]
    pub json: bool,
    /// Leave mapping and filtering out where all is as asked
    #[arg(long, conflicts_with = "json")]
    pub brief: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A and B are words KEY=VALUE (see labreport nat --help). A file that is missing or empty is a
report that was never written.

Example:
  labreport pair --a \"$a\" --b \"$b\" --punch alice.json --log alice.log

Exit codes: 0 as expected (and as asked, with --nat-a and --nat-b), 1 not, 2 could not tell.")]
pub struct PairArgs {
    /// The NAT type of the caller's side
    #[arg(long, value_name = "ASKED")]
    pub a: Asked,
    /// The NAT type of the other side
    #[arg(long, value_name = "ASKED")]
    pub b: Asked,
    /// The caller's report: what punch --json or punch --report wrote
    #[arg(long, value_name = "FILE")]
    pub punch: PathBuf,
    /// The caller's log, whose last line says why there is no report
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The exit code of the caller's punch
    #[arg(long, value_name = "CODE", default_value_t = 0)]
    pub exit_code: u8,
    /// natprobe's report on the caller's side
    #[arg(long, value_name = "FILE", requires = "nat_b")]
    pub nat_a: Option<PathBuf>,
    /// natprobe's report on the other side
    #[arg(long, value_name = "FILE", requires = "nat_a")]
    pub nat_b: Option<PathBuf>,
    /// What nattrace shows of the caller's NAT, for --json
    #[arg(long, value_name = "FILE", requires = "table_b")]
    pub table_a: Option<PathBuf>,
    /// What nattrace shows of the other NAT, for --json
    #[arg(long, value_name = "FILE", requires = "table_a")]
    pub table_b: Option<PathBuf>,
    /// The trace of the attempt, as JSON: print its steps, the answer and what it means, for people
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub trace: Option<PathBuf>,
    #[command(flatten)]
    pub spend: Spend,
    /// Print one JSON object: a cell of a matrix (docs/reference/json.md)
    #[arg(long)]
    pub json: bool,
}

/// What punch may spend on guesses.
#[derive(Debug, clap::Args)]
pub struct Spend {
    /// Ports that each side guesses at most
    #[arg(long, value_name = "PROBES", default_value_t = Limits::POLITE.probes)]
    pub budget: u32,
    /// Guesses a second, at most
    #[arg(long, value_name = "N", default_value_t = Limits::POLITE.pps)]
    pub max_pps: u32,
}

impl Spend {
    /// What each side may spend.
    pub fn limits(&self) -> Limits {
        Limits {
            sockets: Limits::POLITE.sockets.min(self.budget),
            probes: self.budget,
            pps: self.max_pps,
            exhaustive: false,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A and B are words KEY=VALUE (see labreport nat --help). The cell is printed as JSON, on one line.
An exit code of 0 is yes, 1 is no, and all else is broken; the oracle expects yes where it expects
a direct path of plain punching by any ICE agent, without openers.

Example:
  labreport command --a \"$a\" --b \"$b\" --exit-code 1 --elapsed-ms 4200 --log run-1.log

Exit codes: 0 yes, 1 no, 2 the command could not tell.")]
pub struct CommandArgs {
    /// The NAT type of alice's side
    #[arg(long, value_name = "ASKED")]
    pub a: Asked,
    /// The NAT type of bob's side
    #[arg(long, value_name = "ASKED")]
    pub b: Asked,
    /// The number of the run; runs of one pair become one cell
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub run: u32,
    /// How the command ended
    #[arg(long, value_name = "CODE")]
    pub exit_code: u8,
    /// The command was ended after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub timed_out: Option<u64>,
    /// How long the command ran, in milliseconds
    #[arg(long, value_name = "MS")]
    pub elapsed_ms: u64,
    /// A file that its output is in; may be given several times
    #[arg(long, value_name = "FILE")]
    pub log: Vec<PathBuf>,
    /// natprobe's report on alice's side
    #[arg(long, value_name = "FILE", requires = "nat_b")]
    pub nat_a: Option<PathBuf>,
    /// natprobe's report on bob's side
    #[arg(long, value_name = "FILE", requires = "nat_a")]
    pub nat_b: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A and B are words KEY=VALUE (see labreport nat --help). It prints what is expected of plain
punching by any ICE agent, of plain punching with openers, and of punch.

Example:
  labreport expect --a \"$a\" --b \"$b\"

Exit codes, of plain punching by any ICE agent: 0 direct, 1 failed, 2 it depends.")]
pub struct ExpectArgs {
    /// The NAT type of alice's side
    #[arg(long, value_name = "ASKED")]
    pub a: Asked,
    /// The NAT type of bob's side
    #[arg(long, value_name = "ASKED")]
    pub b: Asked,
    #[command(flatten)]
    pub spend: Spend,
    /// Print one JSON object (docs/reference/json.md)
    #[arg(long)]
    pub json: bool,
}

/// What makes the exit code of a matrix 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Want {
    /// Every cell is as asked and as expected.
    #[default]
    Expected,
    /// Every cell has a result.
    Told,
    /// Every cell is yes.
    Yes,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
FILE has a cell on each line, as labreport pair --json prints it, or all cells in one object, as
--json prints it. An output FILE of - is stdout; the table is then left out and the summary goes to
stderr.

Examples:
  labreport matrix cells.json                          a table and a summary
  labreport matrix --html matrix.html --junit junit.xml <cells.ndjson

Exit codes: 0 every cell is as asked and as expected, 1 one is not, 2 no lab came up or a command
has said neither yes nor no. With --want told, 0 is that every command has said yes or no; with
--want yes, that every command has said yes.")]
pub struct MatrixArgs {
    /// The cells; - or nothing is stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The types in the order of rows and columns, separated by spaces; a pair
    /// of them without a cell is a lab that did not come up
    /// [default: the types of the cells, as they come]
    #[arg(
        long,
        value_name = "TYPES",
        default_value = "",
        hide_default_value = true
    )]
    pub types: String,
    /// The types of the columns, if they are not those of the rows
    #[arg(long, value_name = "TYPES", requires = "types")]
    pub columns: Option<String>,
    /// How many runs a cell of a command has; a run that is missing is a lab
    /// that did not come up
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub runs: u32,
    /// What makes the exit code 0
    #[arg(long, value_name = "WHAT", default_value = "expected")]
    pub want: Want,
    /// All cells as one JSON object (docs/reference/json.md)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A table in Markdown, for a README or a pull request
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// A test case for each cell, in JUnit's XML, for a CI system
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// One page for a browser, with nothing outside of it
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// A folder beside that page, with a page of the packets of each run: FOLDER/A--B/run-N.html. The cells lead to
    /// those that are there
    #[arg(long, value_name = "FOLDER", requires = "html")]
    pub packets: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  lab/netns.sh \"$(labreport profile report.json)\" restricted

Exit codes: 0 there is such a type, 1 the lab cannot rebuild this NAT, 2 FILE is not a report.")]
pub struct ProfileArgs {
    /// What natprobe --json printed; - is stdin
    #[arg(value_name = "FILE")]
    pub report: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  labreport figure report.json --title 'my router' >my-router.svg

Exit codes: 0 drawn, 2 FILE is not a report.")]
pub struct FigureArgs {
    /// What natprobe --json printed; - is stdin
    #[arg(value_name = "FILE")]
    pub report: PathBuf,
    /// The name of the NAT
    #[arg(long)]
    pub title: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A FIELD is NAME (a string), NAME:number or NAME:truth (true, false, or null). An empty number or
truth is null.

Example:
  printf 'work\\t4711\\n' | labreport json name pid:number     {…,\"name\":\"work\",\"pid\":4711}")]
pub struct JsonArgs {
    /// What the columns are, from left to right
    #[arg(value_name = "FIELD", required = true)]
    pub fields: Vec<Field>,
    /// One report with a list NAME of all objects, instead of a report for each line
    #[arg(long, value_name = "NAME")]
    pub list: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn pages_are_as_in_packaging() {
        pages::check(&Args::command());
    }
}

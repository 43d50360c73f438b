//! `nattrace show`: a trace as a ladder.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use journey::ladder;

use crate::stored;

/// The options of `nattrace show`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lab/netns.sh restricted symmetric --trace run.json
  nattrace show run.json
  nattrace show --all --width 80 run.json | less -R

Packets that repeat an earlier one, on the same way and with the same end, are counted under it.
An ICMP error is under the packet that it is about. \"nattrace convert\" writes other formats.

Exit status:
  0  shown
  2  FILE is not a trace, or a usage error")]
pub struct Args {
    /// The trace: what lab/netns.sh --trace or punch --trace wrote (-: standard input)
    file: PathBuf,
    /// Print a line for every packet: fold no repetitions
    #[arg(long)]
    all: bool,
    /// Print ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// The width of a line, 60 to 100 (default: that of the terminal, at most 100)
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(60..=100))]
    width: Option<u16>,
}

/// Prints the ladder.
///
/// # Errors
/// When the file is not a trace, or stdout cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let trace = stored::read(&args.file)?;
    let usual = ladder::Options::default();
    let width = args.width.map(usize::from).or_else(cli::stdout::columns);
    let options = ladder::Options {
        width: width.unwrap_or(usual.width),
        ascii: args.ascii,
        colour: cli::stdout::colours(),
        all: args.all,
    };
    let mut out = io::stdout().lock();
    out.write_all(ladder::render(&trace, &options).as_bytes())?;
    out.flush()?;
    Ok(())
}

//! `nattrace convert`: a trace in other formats.

use std::path::PathBuf;

use anyhow::Result;

use crate::stored;
use crate::watch::output::Output;

/// The options of `nattrace convert`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lab/netns.sh restricted symmetric --trace run.json
  nattrace convert run.json run.html run.pcapng")]
pub struct Args {
    /// The trace: what lab/netns.sh --trace or punch --trace wrote (-: standard input)
    #[arg(value_name = "FILE.json")]
    from: PathBuf,
    /// The files to write. A file's name says the format: .json, .html (a page for a browser), .pcapng (for
    /// Wireshark), .txt (a ladder)
    #[arg(required = true, value_name = "FILE")]
    to: Vec<Output>,
}

/// Reads the trace and writes the files.
///
/// # Errors
/// When the file cannot be read or is not a trace, or when a file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let trace = stored::read(&args.from)?;
    args.to.iter().try_for_each(|output| output.write(&trace))
}

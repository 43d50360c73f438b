//! `nattrace convert`: a trace in other formats.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use journey::{SCHEMA, Trace};

use crate::watch::output::Output;

/// The options of `nattrace convert`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lab/netns.sh restricted symmetric --trace run.json
  nattrace convert run.json run.html")]
pub struct Args {
    /// The trace: a .json file of --trace
    #[arg(value_name = "FILE.json")]
    from: PathBuf,
    /// The files to write. How a name ends says in which format: .html is a page for a browser
    #[arg(required = true, value_name = "FILE")]
    to: Vec<Output>,
}

/// Reads the trace and writes the files. Always `true`.
///
/// # Errors
/// When the file cannot be read or is not a trace, or when a file cannot be written.
pub fn run(args: &Args) -> Result<bool> {
    let name = args.from.display();
    let text = std::fs::read_to_string(&args.from)
        .with_context(|| format!("cannot read the trace {name}"))?;
    let not_one =
        || format!("{name} is not a trace. Write one with: lab/netns.sh A B --trace FILE.json");
    let trace: Trace = serde_json::from_str(&text).with_context(not_one)?;
    ensure!(
        trace.schema == SCHEMA,
        "{name} is a trace of format {}, and this nattrace reads format {SCHEMA}",
        trace.schema
    );
    for output in &args.to {
        output.write(&trace)?;
    }
    Ok(true)
}

//! `nattrace join`: what several nodes have seen, joined to journeys.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use journey::{Vantage, Watched};

use crate::watch::Joining;

/// The options of `nattrace join`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nattrace join seen/alice.json seen/nat-alice.json seen/bob.json --trace run.json --peers alice,bob

The clocks of the machines must agree to less than the time that a packet takes from one to the next.")]
pub struct Args {
    /// What \"nattrace watch --record\" wrote, a file for each node, in the order in which packets pass them
    #[arg(required = true, value_name = "FILE")]
    nodes: Vec<PathBuf>,
    #[command(flatten)]
    joining: Joining,
}

/// Reads the files, joins, and writes the files of the trace.
///
/// # Errors
/// When a file cannot be read or written, or none is to be written.
pub fn run(args: &Args) -> Result<()> {
    if args.joining.trace.is_empty() {
        bail!("join writes nothing without --trace FILE, for example --trace run.json");
    }
    let mut watched = Watched::default();
    for path in &args.nodes {
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let vantage: Vantage = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a record of nattrace watch", path.display()))?;
        let known = vantage.interfaces.len();
        if vantage.frames.iter().any(|frame| frame.interface >= known) {
            bail!(
                "{} names an interface that it does not describe",
                path.display()
            );
        }
        watched.nodes.push(vantage);
    }
    args.joining.finish(watched)
}

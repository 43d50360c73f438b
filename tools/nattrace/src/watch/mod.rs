//! `nattrace watch`: every packet at every node of a lab, joined to journeys.

mod joining;
mod node;
pub(crate) mod output;
mod packets;

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result, bail};
use journey::Watched;
use nix::sys::signal::{SigSet, Signal};

pub(crate) use joining::Joining;
use node::{Place, Watch};

/// The table of nft rules that report what arrives at a host, and what leaves it.
const RULES: &str = "watch";

/// The options of `nattrace watch`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nattrace watch alice nat-alice core nat-bob bob --trace run.json
  sudo nattrace watch --here router --record seen      on a router; the same on a host, then:
  nattrace join seen/router.json seen/host.json --trace run.json

It prints \"ready\" when it watches, and ends at SIGTERM or SIGINT. Then it writes the files.")]
pub struct Args {
    /// The nodes: network namespaces of \"ip netns\", in the order in which packets pass them. TEXT says what a
    /// node is
    #[arg(required = true, value_name = "NODE[=TEXT]", value_parser = place)]
    nodes: Vec<Place>,
    /// Watch this network namespace, under the name NODE, and not one of \"ip netns\": on a real host or router
    #[arg(long)]
    here: bool,
    /// A folder for what each node has seen, as NODE.json, which \"nattrace join\" reads
    #[arg(long, value_name = "FOLDER", required_unless_present = "trace")]
    record: Option<PathBuf>,
    #[command(flatten)]
    joining: Joining,
    /// Print on stderr how many frames the interfaces of each node counted, and how many were seen
    #[arg(long, env = "NATTRACE_STATISTICS", hide_env = true, value_parser = clap::builder::BoolishValueParser::new())]
    statistics: bool,
}

/// Watches until a signal comes, and writes the files.
///
/// # Errors
/// When a node cannot be watched, or a file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    if args.here && args.nodes.len() != 1 {
        bail!("--here is one node: give it one name");
    }
    // blocked before a thread starts, so that none of them is ended by one
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().context("cannot block signals")?;
    let (end, ending) = io::pipe().context("cannot make a pipe")?;
    let (opened, came) = std::sync::mpsc::channel();
    let nodes: Vec<_> = args
        .nodes
        .iter()
        .map(|place| {
            let (place, opened, here) = (place.clone(), opened.clone(), args.here);
            let end = end.try_clone().context("cannot duplicate a pipe")?;
            thread::Builder::new()
                .name(format!("watch {}", place.name))
                .spawn(move || -> Result<node::Watched> {
                    let watch = Watch::enter(&place, here)?;
                    let _ = opened.send(());
                    drop(opened);
                    watch.run(&end)
                })
                .context("cannot start a thread")
        })
        .collect::<Result<_>>()?;
    drop(opened);
    let all = came.iter().count() == nodes.len();
    if all {
        let mut out = io::stdout();
        writeln!(out, "ready").and_then(|()| out.flush())?;
        signals.wait().context("cannot wait for a signal")?;
    }
    drop(ending);
    let seen: Vec<Result<node::Watched>> = nodes
        .into_iter()
        .map(|node| match node.join() {
            Ok(seen) => seen,
            Err(_) => bail!("a thread has panicked"),
        })
        .collect();
    let mut watched = Watched::default();
    for seen in seen {
        let node::Watched {
            vantage,
            counted,
            came,
        } = seen?;
        if args.statistics {
            cli::stderr::line(format_args!(
                "{}: {came} of {counted} frames seen, {} packets kept, {} reports",
                vantage.name,
                vantage.frames.len(),
                vantage.logged.len()
            ));
        }
        watched.nodes.push(vantage);
    }
    if let Some(folder) = &args.record {
        output::record(folder, &watched.nodes)?;
    }
    args.joining.finish(watched)
}

fn place(text: &str) -> Result<Place, String> {
    let (name, description) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() || name.contains('/') {
        return Err("expected NODE, or NODE=TEXT".to_owned());
    }
    Ok(Place {
        name: name.to_owned(),
        description: description.to_owned(),
    })
}

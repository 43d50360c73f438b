//! `nattrace watch`: every packet at every node of a lab, joined to journeys.

mod node;
mod output;
mod packets;

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result, bail};
use journey::Watched;
use nix::sys::signal::{SigSet, Signal};

use node::{Place, Watch};
use output::Output;

/// The table of nft rules that report what arrives at a host, and what leaves it.
const RULES: &str = "watch";

/// The options of `nattrace watch`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nattrace watch alice nat-alice core nat-bob bob --trace run.json
  nattrace watch alice='a laptop' bob --trace run.json

It prints \"ready\" when it watches, and ends at SIGTERM or SIGINT. Then it writes the files.")]
pub struct Args {
    /// The nodes: network namespaces of \"ip netns\", in the order in which packets pass them. TEXT says what a
    /// node is
    #[arg(required = true, value_name = "NODE[=TEXT]", value_parser = place)]
    nodes: Vec<Place>,
    /// A file for the trace, which ends with .json. May be given again
    #[arg(long, required = true, value_name = "FILE")]
    trace: Vec<Output>,
    /// Two nodes whose packets to each other should come through: say why they do not
    #[arg(long, value_name = "A,B", value_parser = peers)]
    peers: Option<(String, String)>,
    /// What punch wrote with --report: it says why where the packets do not show it
    #[arg(long, value_name = "FILE", requires = "peers")]
    report: Option<PathBuf>,
    /// Print on stderr how many frames the interfaces of each node counted, and how many were seen
    #[arg(long, env = "NATTRACE_STATISTICS", hide_env = true, value_parser = clap::builder::BoolishValueParser::new())]
    statistics: bool,
    /// The file in which natlink records the frames that it drops
    #[arg(long, value_name = "FILE")]
    drops: Option<PathBuf>,
}

/// Watches until a signal comes, and writes the files. Always `true`.
///
/// # Errors
/// When a node cannot be watched, or a file cannot be written.
pub fn run(args: &Args) -> Result<bool> {
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
            let (place, opened) = (place.clone(), opened.clone());
            let end = end.try_clone().context("cannot duplicate a pipe")?;
            thread::Builder::new()
                .name(format!("watch {}", place.name))
                .spawn(move || -> Result<node::Watched> {
                    let watch = Watch::enter(&place)?;
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
    if let Some(path) = &args.drops {
        watched.lost = output::drops(path)?;
    }
    let mut trace = journey::join(&watched);
    if let Some((a, b)) = &args.peers {
        let said = args.report.as_deref().and_then(output::said);
        trace.cause = journey::cause(&trace, a, b, said.as_ref());
    }
    for output in &args.trace {
        output.write(&trace)?;
    }
    Ok(true)
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

fn peers(text: &str) -> Result<(String, String), String> {
    match text.split_once(',') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), b.to_owned())),
        _ => Err("expected two nodes with a comma between them".to_owned()),
    }
}

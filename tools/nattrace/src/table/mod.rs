//! `nattrace table`: the state of the NAT.

mod concat;
mod holder;
mod holdings;
mod reading;
mod text;

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cli::head::Headed;

use crate::kernel::{self, Netfilter, TableId};
pub(crate) use holder::Holder;
use reading::Reading;
use text::Shown;

/// The options of `nattrace table`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sudo ip netns exec nat-alice nattrace table
  nattrace table --watch            once per second, until interrupted
  nattrace table --all              every mapping and permit
  nattrace table --json | jq .mappings
  nattrace table --table 'inet fw'  another table

Maps and sets are recognised by their types, whatever their names are:
  address . port : address . port                   a mapping
  address . port . address . port : address . port  a mapping towards one remote
  port . address                                    a permit
A protocol may precede the key.")]
pub struct Args {
    /// Print one JSON object (with --watch, one per line); docs/reference/json.md describes it
    #[arg(long)]
    json: bool,
    /// Read again every SECONDS, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
          value_parser = seconds)]
    watch: Option<Duration>,
    /// The nft table to read: NAME, or "FAMILY NAME"
    #[arg(long, value_name = "NAME", default_value = "ip pinhole")]
    table: TableId,
    /// Show the kernel's tracked connections as well (JSON always has them)
    #[arg(long)]
    connections: bool,
    /// Print every entry: not only the 20 mappings with the latest packets, and 5 permits of each (JSON always has
    /// every one)
    #[arg(long)]
    all: bool,
    /// A name of this router for the output
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Reads and prints the state. `false`: there is no such table; the connections are printed anyway.
///
/// # Errors
/// When the kernel refuses, or the output cannot be written.
pub fn run(args: &Args) -> Result<bool> {
    let mut kernel = Netfilter::open().context("cannot open a netfilter socket")?;
    let mut out = io::stdout().lock();
    let redraw = args.watch.is_some() && !args.json && out.is_terminal();
    loop {
        let (reading, known) = read(&mut kernel, args)?;
        if redraw {
            write!(out, "\x1b[H\x1b[J")?; // home, and clear to the end of the screen
        }
        if args.json {
            writeln!(out, "{}", Headed::now("nattrace", &reading).to_json()?)?;
        } else {
            let shown = Shown {
                connections: args.connections,
                all: args.all,
            };
            let page = text::page(&reading, &args.table, known.as_deref(), shown);
            write!(out, "{page}")?;
        }
        out.flush()?;
        match args.watch {
            Some(pause) => thread::sleep(pause),
            None => {
                if let (Some(known), true) = (&known, args.json) {
                    cli::stderr::line(format_args!(
                        "nattrace: {}",
                        text::no_table(&args.table, known)
                    ));
                }
                return Ok(known.is_none());
            }
        }
    }
}

/// Reads the state. If there is no such table, returns the names of the tables that there are.
fn read(kernel: &mut Netfilter, args: &Args) -> Result<(Reading, Option<Vec<String>>)> {
    let table = &args.table;
    let mut reading = Reading {
        node: args.node.clone(),
        ..Reading::default()
    };
    let names = kernel::table_names(kernel, table.family).context("cannot list the nft tables")?;
    let known = if names.contains(&table.name) {
        reading.table = Some(table.name.clone());
        let holdings =
            holdings::read(kernel, table).with_context(|| format!("cannot read table {table}"))?;
        (reading.keeps, reading.mappings, reading.permits) = holdings;
        reading.counters = kernel::counters(kernel, table)
            .with_context(|| format!("cannot read the counters of table {table}"))?
            .into_iter()
            .map(Into::into)
            .collect();
        None
    } else {
        Some(names)
    };
    // The kernel may have no connection tracking over netlink.
    match kernel::udp_flows(kernel) {
        Ok(flows) => reading.connections = Some(flows.iter().map(Into::into).collect()),
        Err(error) => cli::stderr::line(format_args!(
            "nattrace: cannot read the tracked connections: {error}"
        )),
    }
    Ok((reading, known))
}

/// A page with what this set has, as if the kernel had given it. For fuzzers.
pub(crate) fn page_of(
    set: &kernel::Set,
    elements: &[kernel::Element],
    flows: &[kernel::Flow],
) -> String {
    let (keeps, mappings, permits) = holdings::of(set, elements);
    let connections = Some(flows.iter().map(Into::into).collect());
    let reading = Reading {
        keeps,
        mappings,
        permits,
        connections,
        ..Reading::default()
    };
    let table = TableId {
        family: 2,
        name: "pinhole".to_owned(),
    };
    let shown = Shown {
        connections: true,
        all: true,
    };
    text::page(&reading, &table, None, shown)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|e| e.to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(pause) if !pause.is_zero() => Ok(pause),
        _ => Err("not a positive number of seconds".into()),
    }
}

/// nft's names of the families, and their numbers in linux/netfilter.h.
const FAMILIES: [(&str, u8); 6] = [
    ("inet", 1),
    ("ip", 2),
    ("arp", 3),
    ("netdev", 5),
    ("bridge", 7),
    ("ip6", 10),
];

impl FromStr for TableId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (family, name) = match *text.split_whitespace().collect::<Vec<_>>() {
            [name] => ("ip", name),
            [family, name] => (family, name),
            _ => return Err("expected NAME or \"FAMILY NAME\"".into()),
        };
        let number = FAMILIES
            .iter()
            .find(|(word, _)| *word == family)
            .map(|(_, number)| *number);
        let family = number.ok_or_else(|| {
            format!("{family} is not a family of nft (inet, ip, ip6, arp, bridge, netdev)")
        })?;
        Ok(TableId {
            family,
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for TableId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = FAMILIES.iter().find(|(_, number)| *number == self.family);
        write!(f, "{} {}", word.map_or("?", |(word, _)| word), self.name)
    }
}

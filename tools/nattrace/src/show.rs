//! `nattrace show`: a trace as a ladder, or as a capture file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use journey::{SCHEMA, Trace, ladder, pcapng};
use serde::Deserialize;

/// The options of `nattrace show`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lab/netns.sh restricted symmetric --trace run.json
  nattrace show run.json
  nattrace show --all --width 80 run.json | less -R
  nattrace show --pcapng run.pcapng run.json      the same for Wireshark and tshark

Packets that repeat an earlier one, on the same way and with the same end, are counted under it.
An ICMP error is under the packet that it is about.

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
    /// Write the packets to this capture file instead: an interface for each of each node, with
    /// comments that say what became of each packet
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "ascii", "width"])]
    pcapng: Option<PathBuf>,
}

/// Prints the ladder.
///
/// # Errors
/// When the file is not a trace, or stdout cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let trace = read(&args.file)?;
    if let Some(path) = &args.pcapng {
        return capture(&trace, path);
    }
    let mut out = io::stdout().lock();
    let terminal = out.is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let found = terminal_size::terminal_size_of(&out).map(|(width, _)| width.0);
    let width = args.width.or(found.filter(|_| terminal));
    let options = ladder::Options {
        width: width.map_or(ladder::Options::default().width, usize::from),
        ascii: args.ascii,
        colour: terminal && !no_color,
        all: args.all,
    };
    out.write_all(ladder::render(&trace, &options).as_bytes())?;
    out.flush()?;
    Ok(())
}

fn capture(trace: &Trace, path: &Path) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        pcapng::write(trace, &mut file)?;
        file.flush()
    };
    write().with_context(|| format!("cannot write the capture to {}", path.display()))
}

/// Only the version of a trace file.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

fn read(path: &Path) -> Result<Trace> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(path).map(|read| text = read),
    };
    let name = path.display();
    read.with_context(|| format!("cannot read the trace {name}"))?;
    let not_one =
        || format!("{name} is not a trace. Write one with: lab/netns.sh A B --trace FILE.json");
    let Version { schema } = serde_json::from_str(&text).with_context(not_one)?;
    ensure!(
        schema == SCHEMA,
        "{name} is a trace of format {schema}, and this nattrace reads format {SCHEMA}: use a later version"
    );
    serde_json::from_str(&text).with_context(not_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_trace_is_refused_with_its_name() {
        let error = |path: &str| format!("{:#}", read(Path::new(path)).unwrap_err());
        let said = error("/nowhere/run.json");
        assert!(
            said.starts_with("cannot read the trace /nowhere/run.json: "),
            "{said}"
        );
        let said = error("Cargo.toml");
        assert!(
            said.starts_with("Cargo.toml is not a trace. Write one with: "),
            "{said}"
        );
    }
}

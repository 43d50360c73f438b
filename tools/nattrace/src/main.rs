//! nattrace reads the state of a NAT from the kernel, in the router's network namespace. It writes
//! nothing there.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nattrace::{convert, join, show, table, watch};

/// Show the state of a NAT. Run it in the router's network namespace
///
/// It reads nft tables and the kernel's connection tracking, and changes nothing.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  sudo ip netns exec nat-alice nattrace table
  nattrace table --watch --connections

Exit status:
  0  read
  1  there is no such table
  2  could not read, or a usage error"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the NAT's mappings, permits, counters and connections
    Table(table::Args),
    /// Watch every packet at the nodes of a lab, and say what became of each
    Watch(watch::Args),
    /// Join what nodes have seen, which "watch --record" wrote
    Join(join::Args),
    /// Write a trace in other formats
    Convert(convert::Args),
    /// Print what became of each packet of a trace, as a ladder
    Show(show::Args),
}

fn main() -> ExitCode {
    cli::log::init();
    let outcome = match Cli::parse().command {
        Command::Table(args) => table::run(&args),
        Command::Watch(args) => watch::run(&args).map(|()| true),
        Command::Join(args) => join::run(&args).map(|()| true),
        Command::Convert(args) => convert::run(&args).map(|()| true),
        Command::Show(args) => show::run(&args).map(|()| true),
    };
    match outcome {
        Ok(found) => ExitCode::from(if found { 0 } else { 1 }),
        Err(error) if is(&error, io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            cli::stderr::line(format_args!("nattrace: {error:#}"));
            if is(&error, io::ErrorKind::PermissionDenied) {
                cli::stderr::line(
                    "nattrace needs CAP_NET_ADMIN in the router's network namespace. Run it there as \
                     root, for example: sudo ip netns exec nat-alice nattrace table",
                );
            }
            ExitCode::from(2)
        }
    }
}

fn is(error: &anyhow::Error, kind: io::ErrorKind) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == kind)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn pages_are_as_in_packaging() {
        let command = Cli::command();
        command.clone().debug_assert();
        pages::check(&command);
    }
}

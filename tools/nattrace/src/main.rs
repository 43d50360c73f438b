//! The NAT from inside, where one may look.
//!
//! Runs in a router's network namespace and reads what its NAT holds from the kernel.
//! Nothing is ever written there.

mod kernel;
mod table;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks into a NAT from inside: run it in the router's network namespace.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit code: 0 read, 1 there is no such table, 2 could not read."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what the NAT holds now: mappings, permits, counters, connections.
    Table(table::Args),
}

fn main() -> ExitCode {
    cli::log::init();
    let outcome = match Cli::parse().command {
        Command::Table(args) => table::run(&args),
    };
    match outcome {
        Ok(found) => ExitCode::from(if found { 0 } else { 1 }),
        Err(error) if is(&error, io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            cli::stderr::line(format_args!("nattrace: {error:#}"));
            if is(&error, io::ErrorKind::PermissionDenied) {
                cli::stderr::line(
                    "This needs CAP_NET_ADMIN in the router's network namespace. Run it there as \
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

//! natlink: links in user space. Each one is two TAP devices in two network namespaces, and natlink
//! carries the frames between them as the crate `link` says: late, in part, or not at all.
//!
//! ```text
//!   NODE1  IF1 ═ tap.rs ─▶ carry.rs: link::Line, one for each direction ─▶ tap.rs ═ IF2  NODE2
//!                              ▲                  └▶ drops.rs: what did not arrive
//!                          control.rs: set, show
//! ```

mod args;
mod carry;
mod control;
mod drops;
mod run;
mod show;
mod tap;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Set(args) => control::set(&args),
        Command::Show(args) => show::links(&args),
        Command::Explain { words } => show::explain(&words),
        Command::Presets { json } => show::presets(json),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if show::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            cli::stderr::line(format_args!("natlink: {error:#}"));
            ExitCode::from(2)
        }
    }
}

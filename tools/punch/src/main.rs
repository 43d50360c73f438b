//! `punch`: connects to a peer through both NATs, or reports why that fails.

mod args;
mod attempt;
mod firewall;
mod plan;
mod ready;
mod report;
mod share;
mod silence;
mod start;
mod stay;
mod sweep;
mod tcp;
mod trace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::log::init();
    let args = args::Args::parse();
    let result = match &args.plan {
        Some(reports) => args
            .limits()
            .and_then(|limits| plan::run(&reports[0], &reports[1], &limits, args.json)),
        None => start::run(&args),
    };
    result.unwrap_or_else(|error| {
        cli::stderr::line(format_args!("punch: {error:#}"));
        ExitCode::from(2)
    })
}

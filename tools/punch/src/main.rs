//! `punch`: reach a peer through both NATs, or say why not.

mod args;
mod attempt;
mod plan;
mod prepare;
mod report;
mod stay;
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
        None => attempt::run(&args),
    };
    result.unwrap_or_else(|error| {
        cli::stderr::line(format_args!("punch: {error:#}"));
        ExitCode::from(2)
    })
}

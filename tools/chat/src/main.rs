//! `chat`: talk to a peer through any NAT, end to end encrypted.

mod args;
mod command;
mod conversation;
mod detour;
mod files;
mod frame;
mod hub;
mod input;
mod link;
mod notice;
mod screen;
mod settings;
mod socket;
mod start;
mod text;
mod tls;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::log::init();
    let args = args::Args::parse();
    let code = match start::run(&args) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            cli::stderr::line(format_args!("chat: {error:#}"));
            2
        }
    };
    ExitCode::from(code)
}

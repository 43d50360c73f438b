//! `labreport`: the lab's judge. It reads what the lab asked for and what the
//! tools reported, compares the two, and prints the result for people and for
//! programs. It sends nothing, measures nothing and starts nothing.

mod answer;
mod args;
mod asked;
mod cell;
mod figure;
mod html;
mod input;
mod junit;
mod lines;
mod markdown;
mod matrix;
mod nat_check;
mod output;
mod pair;
mod profile;
mod table;

use std::process::ExitCode;

use clap::Parser;

use answer::Answer;
use args::{Args, Command};

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Nat(args) => nat_check::run(&args),
        Command::Pair(args) => pair::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Figure(args) => figure::run(&args),
        Command::Json(args) => lines::run(&args),
    };
    result.unwrap_or_else(complain).into()
}

/// One line on stderr. A reader of our output that has left is told nothing.
fn complain(error: anyhow::Error) -> Answer {
    if !output::reader_left(&error) {
        output::log(format_args!("{error:#}"));
    }
    Answer::CouldNotTell
}

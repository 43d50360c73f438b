//! `labreport`: the lab's judge. It reads what the lab asked for and what the
//! tools reported, compares the two, and prints the result for people and for
//! programs. It sends nothing, measures nothing and starts nothing.
//!
//! ```text
//! natprobe's report + the type asked for ──▶ nat
//! punch's report + both types asked for ───▶ pair ── a cell, one line of JSON ──▶ matrix ──▶ table, JSON,
//!                                                                                Markdown, JUnit, HTML
//! a command's exit code + both types ──────▶ command ── the same
//! both types ──────────────────────────────▶ expect (what the oracle says, before anything runs)
//! natprobe's report ──▶ profile (the type that rebuilds it), figure (its packets, drawn)
//! ```
//!
//! A cell of a command is yes (0), no (1) or broken (all else); yes is as expected where the oracle
//! expects a direct path of plain punching without openers, and no where it expects none.
//!
//! A cell is judged twice: got against expected, and measured against asked.
//!
//! | got against expected | measured against asked | counts as | exit code of the pair |
//! |---|---|---|---|
//! | the same | the same, or not asked for | as expected | 0 |
//! | another outcome | any | a surprise | 1 |
//! | any | another behaviour | not as asked | 1 |
//! | no result | not another behaviour | no call | 2 |
//! | the same | could not be measured | not as asked | 2 |

mod answer;
mod args;
mod asked;
mod cell;
mod command;
mod demonstration;
mod expect;
mod figure;
#[doc(hidden)]
pub mod fuzzing;
mod html;
mod input;
mod junit;
mod lines;
mod markdown;
mod matrix;
mod nat_check;
mod output;
mod pair;
mod plain;
mod profile;
mod runs;
mod summary;
mod table;

use std::process::ExitCode;

use clap::Parser;

use answer::Answer;
use args::{Args, Command};

/// Reads the command line, and does what it says.
pub fn run() -> ExitCode {
    let result = match Args::parse().command {
        Command::Nat(args) => nat_check::run(&args),
        Command::Pair(args) => pair::run(&args),
        Command::Ran(args) => command::run(&args),
        Command::Expect(args) => expect::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Figure(args) => figure::run(&args),
        Command::Json(args) => lines::run(&args),
    };
    result.unwrap_or_else(complain).into()
}

/// One line on stderr; none if standard output was closed early (`| head`).
fn complain(error: anyhow::Error) -> Answer {
    if !output::reader_left(&error) {
        output::log(format_args!("{error:#}"));
    }
    Answer::CouldNotTell
}

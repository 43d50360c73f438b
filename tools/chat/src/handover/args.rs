//! The command lines of `chat send` and `chat receive`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use cli::options::seconds;

/// Files for whoever has a code.
#[derive(Debug, Subcommand)]
pub enum Handover {
    /// Send files or folders to whoever has the code that is printed. No name is needed on
    /// either side
    #[command(after_help = "Examples:
  chat send photo.jpg                      prints: chat receive 417-croissant-lavender
  chat send report.pdf pictures/           several files and folders
  chat send --server 203.0.113.1 big.iso   over this rendezvous; the receiver names it, too

Exit codes: 0 the receiver has everything, verified; 1 it has not (nobody came, the code was
wrong, a file could not be read or written); 2 chat could not start or go on.")]
    Send {
        /// What to send
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Use this code in place of a new one
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// Seconds to wait for a receiver, at first and after an interruption
        #[arg(long, value_name = "S", default_value = "3600", value_parser = |text: &str| seconds(text, 604_800.0))]
        wait: Duration,
    },
    /// Receive what somebody sends under a code
    #[command(after_help = "Examples:
  chat receive 417-croissant-lavender      into this folder; asks before it begins
  chat receive 417 cro lav                 the same: three letters of a word are enough
  chat receive --yes --into inbox 7 cro lav
                                           into the folder inbox, without a question

A transfer that was interrupted goes on where it stopped: type the same command again, while
the sender still runs. A file that is there already is not sent again, and none is overwritten.

Exit codes: 0 everything was received and verified; 1 it was not (nobody waits under this code,
the code is wrong, you declined, the disk is full); 2 chat could not start or go on.")]
    Receive {
        /// The code that the sender has told you
        #[arg(required = true, value_name = "CODE")]
        code: Vec<String>,
        /// The folder for what is received
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        into: PathBuf,
        /// Do not ask before the first byte
        #[arg(short, long)]
        yes: bool,
    },
}

//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cli::options::{PathOptions, seconds};

/// Talks to peers through any NAT, end to end encrypted. On a terminal it is a
/// prompt (/help says more); else a filter: lines in, lines out.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  chat                                         with PINHOLE_SERVER and PINHOLE_NAME, or
                                               ~/.config/pinhole/config.toml, or it asks
  chat --peer bob                              open a conversation with bob
  chat --server 203.0.113.1 --name alice       name the server and ourselves
  echo hello | chat --peer bob                 deliver a line, then end
  chat --stay --json </dev/null                print what peers say, as JSON lines

Exit codes: 0 everything was delivered, 1 something was not, 2 could not start or go on."
)]
pub struct Args {
    /// The rendezvous (port 8848 unless given) [env: PINHOLE_SERVER]
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with_all = ["sip", "sport"])]
    pub server: Option<String>,
    /// The rendezvous' address, as --server [default: 0.0.0.0, this host]
    #[arg(long, value_name = "IP")]
    pub sip: Option<IpAddr>,
    /// The rendezvous' port, as --server [default: 8848]
    #[arg(long, value_name = "PORT")]
    pub sport: Option<u16>,
    /// Local address
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub cip: IpAddr,
    /// Local UDP port; if it is taken, any free one
    #[arg(long, value_name = "PORT", default_value_t = 8900)]
    pub cport: u16,
    /// Our name
    #[arg(long, env = "PINHOLE_NAME")]
    pub name: Option<String>,
    /// Open a conversation with this peer
    #[arg(long)]
    pub peer: Option<String>,
    /// Print JSON lines (docs/reference/json.md), whatever stdout is
    #[arg(long)]
    pub json: bool,
    /// As a filter: go on receiving when stdin has ended
    #[arg(long)]
    pub stay: bool,
    /// Take every file that a peer offers
    #[arg(long)]
    pub accept_files: bool,
    /// Where files are received
    #[arg(long, value_name = "FOLDER", default_value = "pinhole-downloads")]
    pub downloads: PathBuf,
    /// Believe the key that this peer has now, if it has changed
    #[arg(long, value_name = "PEER")]
    pub trust: Vec<String>,
    /// Seconds without a path after which a peer counts as gone
    #[arg(long, value_name = "S", default_value = "30", value_parser = |text: &str| seconds(text, 86_400.0))]
    pub timeout: Duration,
    /// Seconds between the packets that keep a path open: a NAT on the way may
    /// forget a mapping after four of them
    #[arg(long, value_name = "S", default_value = "5", value_parser = |text: &str| seconds(text, 60.0))]
    pub keepalive: Duration,
    #[command(flatten)]
    pub paths: PathOptions,
}

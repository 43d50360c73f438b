//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cli::options::{PathOptions, seconds};

use crate::handover::args::Handover;

/// The local UDP port, unless another is given.
pub const PORT: u16 = 8900;

/// Talks to peers through any NAT, end to end encrypted. On a terminal it shows a
/// prompt (type /help). Elsewhere it is a filter: it sends the lines of stdin, and
/// writes the messages that come to stdout.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  chat                                         start; server and name come from PINHOLE_SERVER
                                               and PINHOLE_NAME, else from
                                               ~/.config/pinhole/config.toml, else it asks
  chat --server 203.0.113.1 --name alice       give server and name
  chat --peer bob                              open a conversation with bob
  chat --server 203.0.113.1#KEY --peer bob#KEY
                                               the same, and only with these keys of the rendezvous
                                               and of bob; /who shows them to you
  echo hello | chat --peer bob                 send one line, and end when bob has it
  chat --stay --json </dev/null                print what peers send, as JSON lines
  chat send photo.jpg                          send a file to whoever has the code that is printed
  chat receive 417-croissant-lavender          receive it; no names are needed
  chat --stay --accept-files --downloads in </dev/null
                                               receive files into the folder in

Exit codes: 0 everything was delivered; 1 something was not delivered, or --peer was not
reached; 2 it could not start or go on (usage, no server, the name is taken)."
)]
pub struct Args {
    #[command(subcommand)]
    pub handover: Option<Handover>,
    /// The rendezvous server, with its key and your name there if you like
    /// [env: PINHOLE_SERVER] [default port: 8848]
    #[arg(long, global = true, value_name = "[NAME@]HOST[:PORT][#KEY]", conflicts_with_all = ["sip", "sport"])]
    pub server: Option<String>,
    /// The rendezvous server's address, in place of --server [default: 0.0.0.0, this host]
    #[arg(long, global = true, value_name = "IP")]
    pub sip: Option<IpAddr>,
    /// The rendezvous server's port, in place of --server [default: 8848]
    #[arg(long, global = true, value_name = "PORT")]
    pub sport: Option<u16>,
    /// Trust the key that the rendezvous has now, if it has changed
    #[arg(long, global = true)]
    pub trust_server: bool,
    /// Local address
    #[arg(long, global = true, value_name = "IP", default_value = "0.0.0.0")]
    pub cip: IpAddr,
    /// Local UDP port; if it is taken, a free one is used [default: 8900; for send and receive,
    /// a free one]
    #[arg(long, global = true, value_name = "PORT")]
    pub cport: Option<u16>,
    /// Your name, under which peers reach you
    #[arg(long, env = "PINHOLE_NAME")]
    pub name: Option<String>,
    /// Give your name a new key, signed by the old one. Peers that know the old key
    /// follow. The old key stays in use until the rendezvous has accepted the new one
    #[arg(long)]
    pub new_key: bool,
    /// Open a conversation with this peer; with its key no other is accepted
    #[arg(long, value_name = "NAME[#KEY]")]
    pub peer: Option<String>,
    /// Print JSON lines (docs/reference/json.md), also on a terminal
    #[arg(long, global = true)]
    pub json: bool,
    /// Draw no QR code in /who: it takes block characters and colours. NO_COLOR in
    /// the environment has the same effect
    #[arg(long)]
    pub ascii: bool,
    /// As a filter, go on receiving when stdin has ended
    #[arg(long)]
    pub stay: bool,
    /// On a terminal, answer callers that are not known without asking you, as it is done
    /// elsewhere
    #[arg(long)]
    pub open: bool,
    /// Keep messages to peers that are not there, and what was said, on disk, sealed;
    /// on a terminal it is done without this option
    #[arg(long)]
    pub keep: bool,
    /// Keep nothing of that
    #[arg(long, conflicts_with = "keep")]
    pub no_keep: bool,
    /// Accept every file that a peer offers
    #[arg(long)]
    pub accept_files: bool,
    /// The folder for received files
    #[arg(long, value_name = "FOLDER", default_value = "pinhole-downloads")]
    pub downloads: PathBuf,
    /// Trust the key that this peer has now, if it has changed
    #[arg(long, value_name = "PEER")]
    pub trust: Vec<String>,
    /// Seconds without a path after which a peer counts as gone
    #[arg(long, global = true, value_name = "S", default_value = "30", value_parser = |text: &str| seconds(text, 86_400.0))]
    pub timeout: Duration,
    /// Seconds between the packets that keep a path open. A NAT on the way must
    /// keep a mapping for four times as long
    #[arg(long, global = true, value_name = "S", default_value = "5", value_parser = |text: &str| seconds(text, 60.0))]
    pub keepalive: Duration,
    /// Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that
    /// it gives is given back at the end
    #[arg(long, global = true)]
    pub no_port_mapping: bool,
    /// Do not measure our own NAT: then no port is guessed
    #[arg(long, global = true)]
    pub no_measure: bool,
    #[command(flatten)]
    pub paths: PathOptions,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn pages_are_as_in_packaging() {
        let command = Args::command();
        command.clone().debug_assert();
        pages::check(&command);
    }
}

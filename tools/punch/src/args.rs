//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cli::options::{PathOptions, seconds};
use nat::plan::Limits;

/// Reaches a peer through both NATs: registers at a rendezvous, is introduced,
/// and makes the hole. Without --peer it waits for whoever asks.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  punch --server 203.0.113.1 --name bob                 wait as bob
  punch --server 203.0.113.1 --name alice --peer bob    reach bob
  punch --peer bob --trace                              with PINHOLE_SERVER and PINHOLE_NAME
                                                        or ~/.config/pinhole/config.toml
  punch --peer bob --tcp                                by TCP, if bob waits with --tcp
  punch --plan alice.json bob.json                      what to expect of two natprobe reports

Exit codes: 0 there is a path (lan, direct or relay), 1 there is none, 2 could not tell."
)]
pub struct Args {
    /// The rendezvous (port 8848 unless given)
    #[arg(long, env = "PINHOLE_SERVER", value_name = "HOST[:PORT]")]
    pub server: Option<String>,
    /// Our name there
    #[arg(long, env = "PINHOLE_NAME")]
    pub name: Option<String>,
    /// Whom to reach
    #[arg(long)]
    pub peer: Option<String>,
    /// Print every packet that this host sends and receives to punch; those that
    /// measure our own NAT and ask our router for a port are not shown
    #[arg(long)]
    pub trace: bool,
    /// One JSON object (docs/reference/json.md)
    #[arg(long)]
    pub json: bool,
    /// Write that object to this file as well, without the packets of --trace
    /// unless --json is given, too
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write one line to this file (a FIFO, or /dev/fd/N) once we are registered
    #[arg(long, value_name = "FILE")]
    pub ready: Option<PathBuf>,
    /// Seconds to wait for the peer, and then again for the path
    /// [default: 10; without --peer the wait has no end]
    #[arg(long, value_name = "S", value_parser = |text: &str| seconds(text, 86_400.0), allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Local UDP port, and with --tcp the TCP port [default: any free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    #[command(flatten)]
    pub paths: PathOptions,
    /// Ports to guess at most, where they have to be guessed; 0 guesses none
    #[arg(long, value_name = "PROBES", default_value_t = Limits::POLITE.probes)]
    pub budget: u32,
    /// Guesses a second, at most
    #[arg(long, value_name = "N", default_value_t = Limits::POLITE.pps, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pps: u32,
    /// Between two NATs that give every destination another random port: try
    /// all ports, if the peer does so, too. It takes two hundred thousand
    /// packets and as many entries in both NATs: for the laboratory
    #[arg(long)]
    pub exhaustive: bool,
    /// Yes, more than a router can be expected to bear
    #[arg(long)]
    pub yes: bool,
    /// Do not measure the path once it is there
    #[arg(long)]
    pub quick: bool,
    /// Stay connected: keep the path open, say when it breaks or improves, and
    /// punch it anew. Ends with Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// From one sign of life to the next, in seconds; with --nat no more than
    /// half of the lifetime in that report
    #[arg(long, value_name = "S", value_parser = |text: &str| seconds(text, 86_400.0), default_value = "2")]
    pub keepalive: Duration,
    /// A natprobe report on the network that we are in, instead of measuring it
    #[arg(long, value_name = "FILE.json")]
    pub nat: Option<PathBuf>,
    /// Do not ask our router for a port (PCP, NAT-PMP, UPnP-IGD); what it gives
    /// is given back in the end
    #[arg(long)]
    pub no_port_mapping: bool,
    /// By TCP in place of UDP: both sides connect to each other at once. The
    /// peer has to say so, too
    #[arg(long, conflicts_with_all = ["relay_only", "turn", "exhaustive", "watch", "plan"])]
    pub tcp: bool,
    /// A TURN server to relay through, in place of the rendezvous; the peer
    /// has to name it, too
    #[arg(
        long,
        value_name = "USER:PASSWORD@HOST[:PORT]",
        env = "PINHOLE_TURN",
        hide_env_values = true
    )]
    pub turn: Option<String>,
    /// Do not measure our own NAT first: nothing is guessed then
    #[arg(long)]
    pub no_measure: bool,
    /// Send nothing: say what a punch between these two natprobe reports gives
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], conflicts_with_all = ["peer", "trace"])]
    pub plan: Option<Vec<PathBuf>>,
}

impl Args {
    /// What an attempt may spend.
    ///
    /// # Errors
    /// When that is more than is polite, and nobody said yes to it.
    pub fn limits(&self) -> anyhow::Result<Limits> {
        let polite = Limits::POLITE;
        let (probes, pps) = match self.exhaustive {
            true => (self.budget.max(EXHAUSTIVE), self.max_pps.max(20_000)),
            false => (self.budget, self.max_pps),
        };
        anyhow::ensure!(
            self.yes || probes <= polite.probes && pps <= polite.pps,
            "{probes} guesses, {pps} a second, may fill the tables of a router and take its \
             network down: say --yes if it is yours"
        );
        Ok(Limits {
            sockets: polite.sockets.min(probes),
            probes,
            pps,
            exhaustive: self.exhaustive,
        })
    }
}

/// Guesses of each side for 999 of 1,000 hits when all ports are tried.
const EXHAUSTIVE: u32 = 170_000;

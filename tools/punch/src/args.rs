//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use cli::options::{PathOptions, seconds};
use nat::plan::Limits;

/// Connects to a peer through both NATs: registers at a rendezvous, is introduced
/// to the peer, and punches. Without --peer it waits for a peer that asks for us.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  punch --server 203.0.113.1 --name bob                 wait for a peer, as bob
  punch --server 203.0.113.1 --name bob --from alice    wait for alice, as bob
  punch --server 203.0.113.1 --name alice --peer bob    connect to bob, as alice
  punch --server 203.0.113.1#KEY --peer bob#KEY         the same, and only with these keys of the
                                                        rendezvous and of bob
  punch --peer bob --trace                              show each packet; the server and our name
                                                        are in ~/.config/pinhole/config.toml
  punch --peer bob --share                              show what became of each packet between the
                                                        two hosts; bob needs --share, too
  punch --peer bob --watch                              stay connected until Ctrl-C
  punch --peer bob --tcp                                connect by TCP; bob needs --tcp, too
  punch --plan alice.json bob.json                      say what to expect of these two reports
                                                        of natprobe --json

Exit codes: 0 there is a path (lan, direct or relay), 1 there is none, 2 could not tell (stderr says why)."
)]
pub struct Args {
    /// The rendezvous, with its key and our name there if you like; the default port
    /// is 8848
    #[arg(long, env = "PINHOLE_SERVER", value_name = "[NAME@]HOST[:PORT][#KEY]")]
    pub server: Option<String>,
    /// Our name there
    #[arg(long, env = "PINHOLE_NAME")]
    pub name: Option<String>,
    /// Trust the key that the rendezvous has now, if it has changed
    #[arg(long)]
    pub trust_server: bool,
    /// The name of the peer to connect to; with its key no other is accepted
    #[arg(long, value_name = "NAME[#KEY]")]
    pub peer: Option<String>,
    /// Wait for this peer, and answer no other. It counts as known: on the first contact
    /// ports are guessed for it, and it is told our private addresses. Other peers that
    /// are not known get neither
    #[arg(long, value_name = "PEER", conflicts_with = "peer")]
    pub from: Option<String>,
    /// Print each packet that this host sends and receives for the attempt; or write what
    /// became of each packet between the two hosts to this file (docs/reference/json.md),
    /// as far as this host knows, and with --share also the peer. Without root, packets that
    /// measure our own NAT, ask our router for a port or go by TCP are not printed. As root, a
    /// table in the rules of this host shows what they drop while it takes. Where there is no
    /// path, 60 more packets (three for each TTL from 1 to 20) show how far they come
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<Option<PathBuf>>,
    /// Tell the peer which packets this host has sent and received, and what the
    /// rendezvous saw, and show what became of each packet between the two hosts. Both
    /// sides need this option; nobody else can read it. The table and the 60 packets are as
    /// with --trace
    #[arg(long, conflicts_with_all = ["tcp", "watch", "plan", "relay_only"])]
    pub share: bool,
    /// Print one JSON object (docs/reference/json.md)
    #[arg(long)]
    pub json: bool,
    /// Write that object to this file as well, without the packets of --trace
    /// unless --json is given, too
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write one line to this file (a FIFO, or /dev/fd/N) when we are registered,
    /// for a script that waits for it
    #[arg(long, value_name = "FILE")]
    pub ready: Option<PathBuf>,
    /// Wait S seconds for the peer, and then S seconds for a path [default: 10;
    /// without --peer it waits for a peer without end]
    #[arg(long, value_name = "S", value_parser = |text: &str| seconds(text, 86_400.0), allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Local UDP port, and with --tcp also the TCP port [default: any free port]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    #[command(flatten)]
    pub paths: PathOptions,
    /// Send at most N guesses where the peer's port has to be guessed; 0 sends none
    #[arg(long, value_name = "N", default_value_t = Limits::POLITE.probes)]
    pub budget: u32,
    /// Send at most N guesses a second
    #[arg(long, value_name = "N", default_value_t = Limits::POLITE.pps, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pps: u32,
    /// Try all ports between two NATs that give each destination another random
    /// port, if the peer has this option, too. That takes 200,000 packets and as
    /// many entries in both NATs: use it in the lab only
    #[arg(long)]
    pub exhaustive: bool,
    /// Allow --budget and --max-pps above the safe defaults (2,000 and 200), which
    /// can fill the tables of a router
    #[arg(long)]
    pub yes: bool,
    /// Do not measure the path when there is one
    #[arg(long)]
    pub quick: bool,
    /// Stay connected until Ctrl-C: keep the path open, report when it is lost or
    /// becomes better, and punch again when it is lost
    #[arg(long)]
    pub watch: bool,
    /// Send a keepalive every S seconds; with --nat, at least twice in the lifetime
    /// that the report has
    #[arg(long, value_name = "S", value_parser = |text: &str| seconds(text, 86_400.0), default_value = "2")]
    pub keepalive: Duration,
    /// Take our NAT from this report of natprobe, and do not measure it
    #[arg(long, value_name = "FILE.json")]
    pub nat: Option<PathBuf>,
    /// Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that
    /// it gives is given back at the end
    #[arg(long)]
    pub no_port_mapping: bool,
    /// Connect by TCP, not UDP: both sides connect to each other at the same time.
    /// The peer needs this option, too
    #[arg(long, conflicts_with_all = ["relay_only", "turn", "exhaustive", "watch", "plan"])]
    pub tcp: bool,
    /// Relay through this TURN server, not through the rendezvous. The peer needs
    /// this option, too
    #[arg(
        long,
        value_name = "USER:PASSWORD@HOST[:PORT]",
        env = "PINHOLE_TURN",
        hide_env_values = true
    )]
    pub turn: Option<String>,
    /// Do not measure our own NAT: then no port is guessed
    #[arg(long)]
    pub no_measure: bool,
    /// Send nothing, and say what to expect between the NATs of these two reports
    /// of natprobe
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], conflicts_with_all = ["peer", "from", "trace", "report", "ready"])]
    pub plan: Option<Vec<PathBuf>>,
}

impl Args {
    /// Whether each packet is shown.
    pub fn shows_packets(&self) -> bool {
        self.trace == Some(None)
    }

    /// The file for what became of the packets between the hosts.
    pub fn trace_file(&self) -> Option<&Path> {
        self.trace.as_ref()?.as_deref()
    }

    /// What an attempt may spend.
    ///
    /// # Errors
    /// When that is more than the safe defaults, and --yes is not given.
    pub fn limits(&self) -> anyhow::Result<Limits> {
        let polite = Limits::POLITE;
        let (probes, pps) = match self.exhaustive {
            true => (self.budget.max(EXHAUSTIVE), self.max_pps.max(20_000)),
            false => (self.budget, self.max_pps),
        };
        anyhow::ensure!(
            self.yes || probes <= polite.probes && pps <= polite.pps,
            "{probes} guesses at {pps} a second can fill the tables of a router and cut its \
             network off: add --yes if the router is yours"
        );
        Ok(Limits {
            sockets: polite.sockets.min(probes),
            probes,
            pps,
            exhaustive: self.exhaustive,
        })
    }
}

/// The guesses of each side that connect 999 of 1,000 times when all ports are tried.
const EXHAUSTIVE: u32 = 170_000;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn pages_are_as_in_packaging() {
        pages::check(&Args::command());
    }

    #[test]
    fn limits_above_the_safe_defaults_need_yes() {
        let limits = |options: &[&str]| {
            let args = [&["punch"], options].concat();
            Args::try_parse_from(args).unwrap().limits()
        };
        assert_eq!(limits(&[]).unwrap(), Limits::POLITE);
        for options in [
            ["--budget", "2001"],
            ["--max-pps", "201"],
            ["--exhaustive", "--quick"],
        ] {
            assert!(limits(&options).is_err(), "{options:?}");
            assert!(limits(&[&options[..], &["--yes"]].concat()).is_ok());
        }
    }
}

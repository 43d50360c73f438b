//! The options of the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use rendezvous_proto::server::{MOST_NAMES, RATE};

use crate::{relay, status};

/// STUN server with NAT behaviour discovery (RFC 8489, RFC 5780), by UDP and TCP,
/// which also introduces peers to each other.
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  rendezvous
      Listen on all addresses. Clients learn how their NAT maps, not how it filters.
  rendezvous --ip 203.0.113.1 --alt-ip 203.0.113.2
      Listen on two addresses. Clients learn how their NAT filters, too.
  rendezvous --ip 203.0.113.1 --relay
      Relay packets as well, for peers that cannot be connected directly.
  rendezvous --config rendezvous.toml --check-config
      Say what would run with this file, and whether it can.

When it listens it prints one line to stdout: its addresses, and what clients are given as
--server. Its log goes to stderr.
Sockets that systemd passes (LISTEN_FDS) are used in place of its own, if they have the same
addresses.
SIGHUP makes it read --config, --reserve and --relay-secret again, and take over the limits.
RUST_LOG=rendezvous_proto=trace adds what it decides about each datagram.
Exit codes: 0 ended by a signal, 2 could not start, or could not write to --state.
--check-config: 0 it can run, 1 it cannot."
)]
pub struct Options {
    /// IP address to listen on; 0.0.0.0 is every IPv4 address of this host, :: every
    /// address of both families
    #[arg(long, default_value = "0.0.0.0")]
    pub ip: IpAddr,
    /// Port to listen on, UDP and TCP
    #[arg(long, default_value_t = stun::DEFAULT_PORT)]
    pub port: u16,
    /// Second IP address of this host; without it, clients cannot measure how
    /// their NAT filters
    #[arg(long, value_name = "IP2")]
    pub alt_ip: Option<IpAddr>,
    /// Second port [default: the port after --port]
    #[arg(long, value_name = "P2")]
    pub alt_port: Option<u16>,
    /// Requests per second that are answered to one /24 (IPv6: /48)
    #[arg(long, default_value_t = RATE, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Keep this server's key in FILE, which is made on first use. Clients know the
    /// server by it [default: rendezvous-key in PINHOLE_HOME, else in
    /// ~/.config/pinhole]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Most names that may be registered at once
    #[arg(long, default_value_t = MOST_NAMES, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_names: u32,
    /// Reserve names for keys: the file has a line NAME KEY for each, with KEY in 64
    /// hex digits as in known-peers; # begins a comment. No other key gets such a
    /// name
    #[arg(long, value_name = "FILE")]
    pub reserve: Option<PathBuf>,
    /// Keep in FILE which key each name belongs to, so that a restart takes no name from its
    /// owner; it is made on first use [default: in memory only]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Serve /metrics (for Prometheus), /healthz and /readyz by HTTP there; a port alone is
    /// one of 127.0.0.1 [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT", value_parser = metrics_address)]
    pub metrics: Option<SocketAddr>,
    /// Tell who connects to the Unix socket PATH what is going on, for rendezvous status
    /// [default: status in RUNTIME_DIRECTORY, or rendezvous-status in XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PATH")]
    pub status: Option<PathBuf>,
    /// Read options from FILE (TOML): a key is the long name of an option, without its dashes.
    /// What is typed wins
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print with which options it would run, as a file for --config, and end. Nothing is
    /// made and no port is taken
    #[arg(long)]
    pub check_config: bool,
    /// Log the addresses of clients, too [default: their names and keys, and the /24 or /48
    /// of those who cause too many lines]
    #[arg(long)]
    pub log_addresses: bool,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub json: bool,
    // Last: clap lists whatever follows under the heading of these.
    #[command(flatten)]
    pub relay: relay::RelayOptions,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(clap::Subcommand)]
pub enum Command {
    Status(status::Status),
}

impl Options {
    /// The addresses in the order in which the server numbers its sockets.
    pub fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let alt_port = match self.alt_port {
            Some(port) => port,
            None => self.port.checked_add(1).context(
                "there is no port after --port 65535: give the second one with --alt-port",
            )?,
        };
        anyhow::ensure!(
            self.port != 0 && alt_port != 0,
            "--port and --alt-port cannot be 0: clients have to know them"
        );
        anyhow::ensure!(
            alt_port != self.port,
            "--alt-port {alt_port} is the same as --port: behaviour discovery needs two ports"
        );
        if let Some(alt_ip) = self.alt_ip {
            check_pair(self.ip, alt_ip)?;
        }
        Ok(std::iter::once(self.ip)
            .chain(self.alt_ip)
            .flat_map(|ip| [self.port, alt_port].map(|port| SocketAddr::new(ip, port)))
            .collect())
    }
}

fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = || {
        text.parse()
            .map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)))
    };
    let address = text.parse().or_else(|_| port());
    address.map_err(|_| "give an address and a port, such as 127.0.0.1:9110, or a port".into())
}

/// Checks that each client can reach both addresses, and each can be bound.
fn check_pair(ip: IpAddr, alt_ip: IpAddr) -> anyhow::Result<()> {
    anyhow::ensure!(
        alt_ip != ip,
        "--alt-ip {alt_ip} is the same as --ip: behaviour discovery needs two addresses"
    );
    anyhow::ensure!(
        alt_ip.is_ipv4() == ip.is_ipv4(),
        "--alt-ip {alt_ip} and --ip {ip} are of different families: a client of one could not be \
         answered from the other"
    );
    for (option, ip) in [("--ip", ip), ("--alt-ip", alt_ip)] {
        anyhow::ensure!(
            !ip.is_unspecified(),
            "{option} {ip} takes every address of this host, and leaves none for the other option: \
             give one address with --ip and one with --alt-ip"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn metrics_are_for_this_host_alone_unless_an_address_is_given() {
        for (text, address) in [
            ("9110", "127.0.0.1:9110"),
            ("0.0.0.0:9110", "0.0.0.0:9110"),
            ("[::1]:9110", "[::1]:9110"),
        ] {
            assert_eq!(metrics_address(text), Ok(address.parse().unwrap()));
        }
        for bad in ["", "127.0.0.1", "host:9110", "65536"] {
            assert!(metrics_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_as_in_packaging() {
        pages::check(&Options::command());
    }
}

//! `rendezvous`: a STUN server with NAT behaviour discovery (RFC 5780), a
//! registry that introduces peers to each other, and a relay (TURN).

mod files;
mod inbox;
mod key;
mod local_addresses;
mod log;
mod metrics;
mod notify;
mod relay;
mod reserve;
mod serve;
mod state;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rendezvous_proto::server::{Config, MOST_NAMES, MOST_STREAMS, RATE, Server};

use crate::state::State;

/// STUN server with NAT behaviour discovery (RFC 8489, RFC 5780), by UDP and TCP,
/// which also introduces peers to each other.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  rendezvous
      Listen on all addresses. Clients learn how their NAT maps, not how it filters.
  rendezvous --ip 203.0.113.1 --alt-ip 203.0.113.2
      Listen on two addresses. Clients learn how their NAT filters, too.
  rendezvous --ip 203.0.113.1 --relay
      Relay packets as well, for peers that cannot be connected directly.

When it listens it prints one line to stdout: its addresses, and what clients are given as
--server. Its log goes to stderr.
SIGHUP makes it read --reserve and --relay-secret again.
RUST_LOG=rendezvous_proto=trace adds what it decides about each datagram.
Exit codes: 0 ended by a signal, 2 could not start, or could not write to --state."
)]
struct Options {
    /// IP address to listen on; 0.0.0.0 is every IPv4 address of this host, :: every
    /// address of both families
    #[arg(long, default_value = "0.0.0.0")]
    ip: IpAddr,
    /// Port to listen on, UDP and TCP
    #[arg(long, default_value_t = stun::DEFAULT_PORT)]
    port: u16,
    /// Second IP address of this host; without it, clients cannot measure how
    /// their NAT filters
    #[arg(long, value_name = "IP2")]
    alt_ip: Option<IpAddr>,
    /// Second port [default: the port after --port]
    #[arg(long, value_name = "P2")]
    alt_port: Option<u16>,
    /// Requests per second that are answered to one /24 (IPv6: /48)
    #[arg(long, default_value_t = RATE, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Keep this server's key in FILE, which is made on first use. Clients know the
    /// server by it [default: rendezvous-key in PINHOLE_HOME, else in
    /// ~/.config/pinhole]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Most names that may be registered at once
    #[arg(long, default_value_t = MOST_NAMES, value_parser = clap::value_parser!(u32).range(1..))]
    max_names: u32,
    /// Reserve names for keys: the file has a line NAME KEY for each, with KEY in 64
    /// hex digits as in known-peers; # begins a comment. No other key gets such a
    /// name
    #[arg(long, value_name = "FILE")]
    reserve: Option<PathBuf>,
    /// Keep in FILE which key each name belongs to, so that a restart takes no name from its
    /// owner; it is made on first use [default: in memory only]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Serve /metrics (for Prometheus), /healthz and /readyz by HTTP there; a port alone is
    /// one of 127.0.0.1 [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT", value_parser = metrics_address)]
    metrics: Option<SocketAddr>,
    /// Print JSON lines instead of text
    #[arg(long)]
    json: bool,
    // Last: clap lists whatever follows under the heading of these.
    #[command(flatten)]
    relay: relay::RelayOptions,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ended = log::Log::start(options.json).and_then(|log| {
        let ended = run(options, log.clone());
        log.end();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::last_line(format!("rendezvous: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(options: Options, log: log::Log) -> anyhow::Result<()> {
    let addresses = addresses(&options)?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("cannot read the system's randomness")?;
    let config = Config {
        addresses: addresses.clone(),
        secret,
        rate: options.rate,
        most_names: options.max_names as usize,
    };
    let identity = key::find(options.key.as_deref(), &log)?;
    let clients = key::address_for_clients(options.ip, options.port, &identity.public());
    let key = identity.public();
    let mut server = Server::new(config, std::time::Instant::now()).with_key(identity);
    if let Some(file) = &options.reserve {
        server.set_reserved(std::time::Instant::now(), reserve::read(file)?);
    }
    let mut state = None;
    if let Some(file) = &options.state {
        let (opened, bindings) = State::open(file, options.max_names as usize)?;
        server = server.with_bindings(std::time::Instant::now(), bindings);
        state = Some(opened);
    }
    if let Some(relay) = options.relay.relay(options.ip)? {
        server = server.with_relay(relay);
    }
    let streams = files::for_streams(options.relay.most());
    if streams < MOST_STREAMS {
        log.trouble(&format!(
            "this process may open too few files for {MOST_STREAMS} TCP connections beside its \
             relayed addresses, and takes {streams}: raise LimitNOFILE, or lower --relay-total"
        ));
    }
    server = server.with_most_streams(streams);
    let driven = serve::Driven {
        relayed: options.relay.sockets(options.ip),
        state,
        metrics: options.metrics,
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve::serve(
            server,
            &addresses,
            driven,
            || reload(&options),
            log,
            &log::Ourselves { key, clients },
        ))
}

fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = || {
        text.parse()
            .map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)))
    };
    let address = text.parse().or_else(|_| port());
    address.map_err(|_| "give an address and a port, such as 127.0.0.1:9110, or a port".into())
}

/// Reads again what may change while the server runs.
fn reload(options: &Options) -> anyhow::Result<serve::Reloaded> {
    let reserved = options.reserve.as_deref().map(reserve::read);
    Ok(serve::Reloaded {
        reserved: reserved.transpose()?,
        relay_secret: options.relay.given_secret()?,
    })
}

/// The addresses in the order in which the server numbers its sockets.
fn addresses(options: &Options) -> anyhow::Result<Vec<SocketAddr>> {
    let alt_port = match options.alt_port {
        Some(port) => port,
        None => options
            .port
            .checked_add(1)
            .context("there is no port after --port 65535: give the second one with --alt-port")?,
    };
    anyhow::ensure!(
        options.port != 0 && alt_port != 0,
        "--port and --alt-port cannot be 0: clients have to know them"
    );
    anyhow::ensure!(
        alt_port != options.port,
        "--alt-port {alt_port} is the same as --port: behaviour discovery needs two ports"
    );
    if let Some(alt_ip) = options.alt_ip {
        check_pair(options.ip, alt_ip)?;
    }
    Ok(std::iter::once(options.ip)
        .chain(options.alt_ip)
        .flat_map(|ip| [options.port, alt_port].map(|port| SocketAddr::new(ip, port)))
        .collect())
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

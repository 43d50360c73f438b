//! `rendezvous`: a STUN server with RFC 5780 behaviour discovery, and the
//! introducer of peers.

mod heard;
mod log;
mod relay;
mod serve;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rendezvous_proto::server::{Config, MOST_NAMES, RATE, Server};

/// STUN with behaviour discovery (RFC 8489, RFC 5780), and the introducer that
/// brings two peers together. Names and addresses are kept in memory.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  rendezvous                                     one address: clients learn their mapping
  rendezvous --ip 203.0.113.1 --alt-ip 203.0.113.2   two: and their filtering
  rendezvous --ip 203.0.113.1 --relay            and TURN for those whom nothing else joins

Prints one line to stdout when it listens; what happens goes to stderr.
Exit codes: 0 ended by a signal, 2 could not start."
)]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "0.0.0.0")]
    ip: IpAddr,
    /// Port to listen on
    #[arg(long, default_value_t = stun::DEFAULT_PORT)]
    port: u16,
    /// Second address of this machine: without it filtering cannot be tested
    #[arg(long, value_name = "IP2")]
    alt_ip: Option<IpAddr>,
    /// Second port [default: the port after --port]
    #[arg(long, value_name = "P2")]
    alt_port: Option<u16>,
    /// Requests a second that one /24 (IPv6: /48) may make
    #[arg(long, default_value_t = RATE, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Names that may be registered at once
    #[arg(long, default_value_t = MOST_NAMES, value_parser = clap::value_parser!(u32).range(1..))]
    max_names: u32,
    /// JSON lines instead of text
    #[arg(long)]
    json: bool,
    // Last, since what follows it would stand under its heading.
    #[command(flatten)]
    relay: relay::Args,
}

fn main() -> ExitCode {
    ::cli::log::init();
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ::cli::stderr::line(format_args!("rendezvous: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let addresses = addresses(&args)?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("cannot read the system's randomness")?;
    let config = Config {
        addresses: addresses.clone(),
        secret,
        rate: args.rate,
        most_names: args.max_names as usize,
    };
    let mut server = Server::new(config, std::time::Instant::now());
    if let Some(relay) = args.relay.relay(args.ip)? {
        server = server.with_relay(relay);
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve::serve(server, &addresses, log::Log::new(args.json)))
}

/// The sockets in the order that the brain numbers them.
fn addresses(args: &Args) -> anyhow::Result<Vec<SocketAddr>> {
    let alt_port = match args.alt_port {
        Some(port) => port,
        None => args
            .port
            .checked_add(1)
            .context("no port after 65535: give --alt-port")?,
    };
    anyhow::ensure!(
        args.port != 0 && alt_port != 0,
        "a port of 0 cannot be told to anybody"
    );
    anyhow::ensure!(
        alt_port != args.port,
        "--alt-port {alt_port} is --port: behaviour discovery needs two"
    );
    if let Some(alt_ip) = args.alt_ip {
        two_addresses(args.ip, alt_ip)?;
    }
    Ok(std::iter::once(args.ip)
        .chain(args.alt_ip)
        .flat_map(|ip| [args.port, alt_port].map(|port| SocketAddr::new(ip, port)))
        .collect())
}

/// Each client must be able to speak to both, and each must be bound alone.
fn two_addresses(ip: IpAddr, alt_ip: IpAddr) -> anyhow::Result<()> {
    anyhow::ensure!(
        alt_ip != ip,
        "--alt-ip {alt_ip} is --ip: behaviour discovery needs two"
    );
    anyhow::ensure!(
        alt_ip.is_ipv4() == ip.is_ipv4(),
        "--alt-ip {alt_ip} and --ip {ip} are of different families: clients of one could not be \
         answered from the other"
    );
    for (option, ip) in [("--ip", ip), ("--alt-ip", alt_ip)] {
        anyhow::ensure!(
            !ip.is_unspecified(),
            "{option} {ip} takes every address of this machine, and leaves none for the other: \
             name the two, as --ip and --alt-ip"
        );
    }
    Ok(())
}

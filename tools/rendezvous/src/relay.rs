//! The relay's options and its hands: a socket for each relayed address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use rendezvous_proto::relay::{Config, IpNet, Limits, Policy, Relay, SHORTEST, parse_range};
use session::credentials::Secret;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// What stands in REALM.
const REALM: &str = "pinhole";

/// Shorter secrets can be found out by whoever has been given credentials.
const SHORTEST_SECRET: usize = 16;

#[derive(clap::Args)]
#[command(next_help_heading = "Relay (TURN, RFC 8656)")]
pub struct Args {
    /// Relay for registered names, on the ports above
    #[arg(long)]
    relay: bool,
    /// Address that relayed addresses are told to have [default: --ip]
    #[arg(long, value_name = "IP", requires = "relay")]
    relay_ip: Option<IpAddr>,
    /// Ports of the relayed addresses
    #[arg(long, value_name = "FIRST-LAST", requires = "relay", default_value = "49152-65535", value_parser = ports)]
    relay_ports: RangeInclusive<u16>,
    /// File with a secret that other makers of credentials share (coturn's
    /// static-auth-secret) [default: a new one at each start]
    #[arg(long, value_name = "FILE", requires = "relay")]
    relay_secret: Option<PathBuf>,
    /// Private addresses that may be peers all the same
    #[arg(long, value_name = "CIDR", requires = "relay", value_parser = parse_range)]
    relay_allow: Vec<IpNet>,
    /// Relayed addresses at once; each is an open file
    #[arg(long, value_name = "N", requires = "relay", default_value_t = Limits::default().total as u32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    relay_total: u32,
    /// Of these, for one name
    #[arg(long, value_name = "N", requires = "relay", default_value_t = Limits::default().per_name as u32, value_parser = clap::value_parser!(u32).range(1..))]
    relay_per_name: u32,
    /// Of these, for clients of one address
    #[arg(long, value_name = "N", requires = "relay", default_value_t = Limits::default().per_address as u32, value_parser = clap::value_parser!(u32).range(1..))]
    relay_per_address: u32,
    /// Bytes a second through one relayed address, both ways together
    #[arg(long, value_name = "BYTES", requires = "relay", default_value_t = Limits::default().rate, value_parser = clap::value_parser!(u32).range(2048..))]
    relay_rate: u32,
    /// Seconds that a relayed address lives unless it is refreshed, at most
    #[arg(long, value_name = "SECONDS", requires = "relay", default_value_t = Limits::default().lifetime.as_secs() as u32, value_parser = clap::value_parser!(u32).range(SHORTEST.as_secs() as i64..))]
    relay_lifetime: u32,
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        (first > 0 && first <= last).then_some(first..=last)
    });
    range.ok_or_else(|| "two ports, the lower one first: 49152-65535".into())
}

impl Args {
    /// The relay's brain, if there is to be one; `bound` is `--ip`.
    ///
    /// # Errors
    /// When there is no address to tell, or no secret in the file.
    pub fn relay(&self, bound: IpAddr) -> anyhow::Result<Option<Relay>> {
        if !self.relay {
            return Ok(None);
        }
        let address = self.relay_ip.unwrap_or(bound);
        anyhow::ensure!(
            !address.is_unspecified(),
            "--relay cannot tell clients {address}: give --relay-ip, the address that peers see"
        );
        anyhow::ensure!(
            address.is_ipv4() == bound.is_ipv4(),
            "--relay-ip {address} and --ip {bound} are of different families"
        );
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("cannot read the system's randomness")?;
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let config = Config {
            address,
            ports: self.relay_ports.clone(),
            realm: REALM.into(),
            secret: self.secret()?,
            unix: unix.as_secs(),
            seed,
            policy: Policy {
                allowed: self.relay_allow.clone(),
                own: own_addresses()?,
            },
            limits: Limits {
                total: self.relay_total as usize,
                per_name: self.relay_per_name as usize,
                per_address: self.relay_per_address as usize,
                rate: self.relay_rate,
                lifetime: Duration::from_secs(self.relay_lifetime.into()),
            },
        };
        Ok(Some(Relay::new(config, Instant::now())))
    }

    fn secret(&self) -> anyhow::Result<Secret> {
        let Some(file) = &self.relay_secret else {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).context("cannot read the system's randomness")?;
            return Ok(Secret::new(secret));
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the relay's secret from {}", file.display()))?;
        let text = text.trim_ascii();
        anyhow::ensure!(
            text.len() >= SHORTEST_SECRET,
            "the secret in {} has {} characters: {SHORTEST_SECRET} at least, or it can be guessed \
             (openssl rand -hex 32)",
            file.display(),
            text.len()
        );
        Ok(Secret::new(text))
    }
}

/// All addresses of this machine: what listens there is nobody's peer.
fn own_addresses() -> anyhow::Result<Vec<IpAddr>> {
    let interfaces =
        nix::ifaddrs::getifaddrs().context("cannot list this machine's addresses (getifaddrs)")?;
    Ok(interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())))
        })
        .collect())
}

/// The sockets of the relayed addresses.
pub struct Sockets {
    ip: IpAddr,
    open: Mutex<HashMap<u16, (Arc<UdpSocket>, AbortHandle)>>,
}

impl Sockets {
    pub fn new(ip: IpAddr) -> Self {
        Sockets {
            ip,
            open: Mutex::default(),
        }
    }

    /// Binds a port and has what it receives taken; whether that worked.
    pub fn open<F>(&self, port: u16, take: impl FnOnce(Arc<UdpSocket>) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(socket) = bind(SocketAddr::new(self.ip, port)) else {
            return false;
        };
        let socket = Arc::new(socket);
        let task = tokio::spawn(take(Arc::clone(&socket))).abort_handle();
        self.lock().insert(port, (socket, task));
        true
    }

    /// A full send buffer loses a datagram, as the network may.
    pub fn send(&self, port: u16, to: SocketAddr, payload: &[u8]) {
        if let Some((socket, _)) = self.lock().get(&port) {
            let _ = socket.try_send_to(payload, to);
        }
    }

    pub fn close(&self, port: u16) {
        if let Some((_, task)) = self.lock().remove(&port) {
            task.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u16, (Arc<UdpSocket>, AbortHandle)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

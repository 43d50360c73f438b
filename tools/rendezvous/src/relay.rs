//! The relay's options, and a socket for each relayed address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::local_addresses::own_addresses;
use anyhow::Context;
use rendezvous_proto::relay::{Config, IpNet, Limits, Policy, Relay, SHORTEST, parse_range};
use session::credentials::Secret;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// The REALM of the relay's challenges.
const REALM: &str = "pinhole";

/// Characters. A client could guess a shorter secret from its credentials.
const SHORTEST_SECRET: usize = 16;

#[derive(clap::Args)]
#[command(next_help_heading = "Relay (TURN, RFC 8656)")]
pub struct RelayOptions {
    /// Relay packets of registered names, on the same addresses and ports
    #[arg(long)]
    relay: bool,
    /// IP address of relayed addresses, as clients and peers see it [default: --ip]
    #[arg(long, value_name = "IP", requires = "relay")]
    relay_ip: Option<IpAddr>,
    /// Ports of relayed addresses
    #[arg(long, value_name = "FIRST-LAST", requires = "relay", default_value = "49152-65535", value_parser = ports)]
    relay_ports: RangeInclusive<u16>,
    /// File with the secret that issues credentials, if other programs share it
    /// (coturn's static-auth-secret) [default: a new secret at each start]
    #[arg(long, value_name = "FILE", requires = "relay")]
    relay_secret: Option<PathBuf>,
    /// Private or reserved addresses that may be peers; may be given several times
    #[arg(long, value_name = "CIDR", requires = "relay", value_parser = parse_range)]
    relay_allow: Vec<IpNet>,
    /// Most relayed addresses at once; each is an open file
    #[arg(long, value_name = "N", requires = "relay", default_value_t = Limits::default().total as u32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    relay_total: u32,
    /// Most relayed addresses of one name
    #[arg(long, value_name = "N", requires = "relay", default_value_t = Limits::default().per_name as u32, value_parser = clap::value_parser!(u32).range(1..))]
    relay_per_name: u32,
    /// Most relayed addresses of the clients at one IP address
    #[arg(long, value_name = "N", requires = "relay", default_value_t = Limits::default().per_address as u32, value_parser = clap::value_parser!(u32).range(1..))]
    relay_per_address: u32,
    /// Bytes per second through one relayed address, both directions together
    #[arg(long, value_name = "BYTES", requires = "relay", default_value_t = Limits::default().rate, value_parser = clap::value_parser!(u32).range(2048..))]
    relay_rate: u32,
    /// Longest lifetime of a relayed address that is not refreshed, in seconds
    #[arg(long, value_name = "SECONDS", requires = "relay", default_value_t = Limits::default().lifetime.as_secs() as u32, value_parser = clap::value_parser!(u32).range(SHORTEST.as_secs() as i64..))]
    relay_lifetime: u32,
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        (first > 0 && first <= last).then_some(first..=last)
    });
    range.ok_or_else(|| "give two ports, the lower one first, such as 49152-65535".into())
}

impl RelayOptions {
    /// The most relayed addresses at once.
    pub fn most(&self) -> usize {
        if self.relay {
            self.relay_total as usize
        } else {
            0
        }
    }

    /// The relay, if one is asked for; `bound` is `--ip`.
    ///
    /// # Errors
    /// When the address is of no use to clients, or the file holds no secret.
    pub fn relay(&self, bound: IpAddr) -> anyhow::Result<Option<Relay>> {
        if !self.relay {
            return Ok(None);
        }
        let address = self.relay_ip.unwrap_or(bound);
        anyhow::ensure!(
            !address.is_unspecified(),
            "--relay cannot give clients the address {address}: give the one that peers see with --relay-ip"
        );
        anyhow::ensure!(
            address.is_ipv4() == bound.is_ipv4() || serves_both(bound),
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
                allowed: self.allowed(),
                own: own_addresses()?,
            },
            limits: self.limits(),
        };
        Ok(Some(Relay::new(config, Instant::now())))
    }

    /// Quotas and rates.
    pub fn limits(&self) -> Limits {
        Limits {
            total: self.relay_total as usize,
            per_name: self.relay_per_name as usize,
            per_address: self.relay_per_address as usize,
            rate: self.relay_rate,
            lifetime: Duration::from_secs(self.relay_lifetime.into()),
        }
    }

    /// The private or reserved addresses that may be peers.
    pub fn allowed(&self) -> Vec<IpNet> {
        self.relay_allow.clone()
    }

    /// The sockets of relayed addresses, where the server listens on `bound`.
    pub fn sockets(&self, bound: IpAddr) -> Sockets {
        let v4 = self.relay_ip.is_some_and(|ip| ip.is_ipv4());
        Sockets::new(match serves_both(bound) && v4 {
            true => Ipv4Addr::UNSPECIFIED.into(),
            false => bound,
        })
    }

    fn secret(&self) -> anyhow::Result<Secret> {
        if let Some(given) = self.given_secret()? {
            return Ok(given);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("cannot read the system's randomness")?;
        Ok(Secret::new(secret))
    }

    /// The secret in the file, if there is a file.
    ///
    /// # Errors
    /// When the file cannot be read, or the secret could be guessed.
    pub fn given_secret(&self) -> anyhow::Result<Option<Secret>> {
        let Some(file) = &self.relay_secret else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the relay's secret from {}", file.display()))?;
        let text = text.trim_ascii();
        anyhow::ensure!(
            text.len() >= SHORTEST_SECRET,
            "the secret in {} has {} characters and could be guessed: it needs at least \
             {SHORTEST_SECRET}. Try: openssl rand -hex 32",
            file.display(),
            text.len()
        );
        Ok(Some(Secret::new(text)))
    }
}

/// Whether a socket that is bound to this address serves IPv4 and IPv6.
fn serves_both(bound: IpAddr) -> bool {
    bound.is_ipv6() && bound.is_unspecified()
}

/// The sockets of the relayed addresses.
pub struct Sockets {
    ip: IpAddr,
    open: Mutex<HashMap<u16, (Arc<UdpSocket>, AbortHandle)>>,
}

impl Sockets {
    /// Sockets that are bound to `ip`.
    fn new(ip: IpAddr) -> Self {
        Sockets {
            ip,
            open: Mutex::default(),
        }
    }

    /// Binds a port and runs `receive` on it; false if it cannot be bound.
    pub fn open<F>(&self, port: u16, receive: impl FnOnce(Arc<UdpSocket>) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(socket) = bind(SocketAddr::new(self.ip, port)) else {
            return false;
        };
        let socket = Arc::new(socket);
        let task = tokio::spawn(receive(Arc::clone(&socket))).abort_handle();
        self.lock().insert(port, (socket, task));
        true
    }

    /// A datagram is lost if the send buffer is full, as the network may lose it.
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

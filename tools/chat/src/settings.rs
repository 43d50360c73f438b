//! What was typed, what the environment says and what is on disk, made one;
//! on a terminal the rest is asked for.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use peer::home::{Claim, Home};
use peer::host;
use peer::udp::Udp;
use traverse::identity::{Identity, PublicKey};
use traverse::introduce::registry::valid_name;

use crate::cli::Args;

/// Everything that chat needs to know of us and of the server.
pub struct Settings {
    /// Where keys are.
    pub home: Home,
    /// The rendezvous.
    pub server: SocketAddr,
    /// Our name.
    pub name: String,
    /// Our key.
    pub identity: Identity,
    /// Our peers' keys.
    pub known: HashMap<String, PublicKey>,
    /// Whether somebody sits there.
    pub interactive: bool,
    /// Keeps a second chat from taking the name over.
    #[allow(dead_code)] // It is there to be dropped.
    pub claim: Claim,
}

impl Settings {
    /// Gathers them.
    ///
    /// # Errors
    /// When something is missing and nobody can be asked, or makes no sense.
    pub async fn gather(args: &Args) -> anyhow::Result<Settings> {
        let interactive = io::stdin().is_terminal() && io::stdout().is_terminal() && !args.json;
        let home = Home::find()?;
        let file = home.settings()?;
        let typed = match (args.sip, args.sport) {
            (None, None) => args.server.clone(),
            (ip, port) => {
                let ip = ip.unwrap_or(IpAddr::from([0; 4]));
                let port = port.unwrap_or(wire::DEFAULT_PORT);
                Some(SocketAddr::new(ip, port).to_string())
            }
        };
        let env = std::env::var("PINHOLE_SERVER").ok();
        let env = env.filter(|value| !value.is_empty());
        let server = match typed.or(env).or(file.server) {
            Some(server) => server,
            None if interactive => ask("Which rendezvous server", "0.0.0.0")?,
            None => anyhow::bail!(
                "which rendezvous? Give --server HOST, set PINHOLE_SERVER, \
                 or write server = \"HOST\" in config.toml"
            ),
        };
        let name = match args.name.clone().or(file.name) {
            Some(name) => name,
            None if interactive => ask("Your name", &std::env::var("USER").unwrap_or_default())?,
            None => anyhow::bail!(
                "under which name? Give --name NAME, set PINHOLE_NAME, \
                 or write name = \"NAME\" in config.toml"
            ),
        };
        if let Some(peer) = &args.peer {
            anyhow::ensure!(valid_name(peer), "{peer:?} cannot be a name");
            anyhow::ensure!(*peer != name, "{peer} is our own name");
        }
        let server = host::resolve(&server, wire::DEFAULT_PORT)
            .await
            .with_context(|| format!("cannot find the server {server}"))?;
        let server = or_this_host(server);
        Ok(Settings {
            identity: home.identity(&name)?,
            known: home.known_peers()?,
            claim: home.claim(&name, server)?,
            server,
            home,
            name,
            interactive,
        })
    }

    /// The socket, on the port that was asked for or on a free one.
    ///
    /// # Errors
    /// When there is none.
    pub fn bind(&self, args: &Args) -> anyhow::Result<Udp> {
        let ip = match (self.server, args.cip) {
            (SocketAddr::V6(_), ip) if ip == IpAddr::from([0; 4]) => Ipv6Addr::UNSPECIFIED.into(),
            (_, ip) => ip,
        };
        let family = ip.is_ipv4() == self.server.is_ipv4();
        anyhow::ensure!(family, "{ip} cannot reach {}", self.server);
        match Udp::bind(SocketAddr::new(ip, args.cport)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let udp = Udp::bind(SocketAddr::new(ip, 0)).context("no free UDP port")?;
                let port = udp.local_addr().port();
                eprintln!("chat: UDP port {} is taken: using {port}", args.cport);
                Ok(udp)
            }
            udp => udp.with_context(|| format!("cannot use UDP {ip} port {}", args.cport)),
        }
    }
}

/// The wildcard means this host, as it does for connect(2).
fn or_this_host(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        server => server,
    }
}

fn ask(what: &str, default: &str) -> anyhow::Result<String> {
    match default {
        "" => print!("{what}? "),
        default => print!("{what} [{default}]? "),
    }
    io::stdout().flush()?;
    let mut answer = String::new();
    anyhow::ensure!(io::stdin().read_line(&mut answer)? > 0, "no answer");
    let answer = answer.trim();
    let answer = if answer.is_empty() { default } else { answer };
    anyhow::ensure!(!answer.is_empty(), "no answer");
    Ok(answer.to_owned())
}

//! What an attempt starts from: what the endpoint is told, a TURN server, and
//! our own NAT.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use peer::host;
use traverse::discover;
use traverse::endpoint;
use traverse::introduce::client;
use traverse::plan::{Limits, Side};
use traverse::relay;

use crate::attempt::TIMEOUT;
use crate::cli::Args;
use crate::settings::Settings;

/// RFC 8656 §17.
const TURN_PORT: u16 = 3478;

/// How long our NAT may take to be measured.
const MEASURE: Duration = Duration::from_secs(3);

pub fn config(args: &Args, settings: &Settings, port: u16) -> anyhow::Result<endpoint::Config> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("cannot read the system's randomness")?;
    let hosts = match args.no_host_candidates {
        true => Vec::new(),
        false => host::addresses().context("cannot list this host's addresses")?,
    };
    // It has to grow from one start to the next, and a clock mostly does.
    let sequence = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64);
    Ok(endpoint::Config {
        client: client::Config {
            server: settings.server,
            name: settings.name.clone(),
            identity: settings.identity.clone(),
            sequence,
            relay: false,
            seed,
        },
        hosts: hosts
            .into_iter()
            .filter(|ip| ip.is_ipv4() == settings.server.is_ipv4())
            .map(|ip| SocketAddr::new(ip, port))
            .collect(),
        peer: args.peer.clone(),
        most_attempts: 1,
        known: settings.known.clone(),
        opener_ttl: (args.opener_ttl > 0).then_some(args.opener_ttl),
        relay: wish(args),
        turn: None,
        measuring: measures(args),
        attempt: args.timeout.unwrap_or(TIMEOUT),
        tcp: None,
    })
}

/// What our NAT does with UDP says nothing of TCP.
pub fn measures(args: &Args) -> bool {
    !args.no_measure && !args.tcp
}

pub fn wish(args: &Args) -> endpoint::Wish {
    match (args.direct_only || args.tcp, args.relay_only) {
        (true, _) => endpoint::Wish::Never,
        (_, true) => endpoint::Wish::Only,
        _ => endpoint::Wish::Allowed,
    }
}

/// `USER:PASSWORD@HOST[:PORT]`; a user may have colons, as those have whose
/// credentials end by themselves.
pub async fn turn_server(text: &str) -> anyhow::Result<relay::client::Config> {
    let parts = text
        .rsplit_once('@')
        .and_then(|(user, host)| Some((user.rsplit_once(':')?, host)));
    let ((username, password), host) = parts.context("--turn is USER:PASSWORD@HOST[:PORT]")?;
    let server = host::resolve(host, TURN_PORT)
        .await
        .with_context(|| format!("cannot find the TURN server {host}"))?;
    Ok(relay::client::Config {
        server,
        username: username.into(),
        password: password.into(),
    })
}

/// Our own NAT, if it lets itself be measured in time.
pub async fn measure(server: SocketAddr, limits: Limits) -> Option<Side> {
    let config = discover::Config::new(server, None);
    let report = tokio::time::timeout(MEASURE, peer::discover::discover(config)).await;
    let report = report.ok()?.ok()?;
    (report.verdict == discover::Verdict::Measured).then(|| Side::of(&report, limits))
}

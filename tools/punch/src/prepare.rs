//! What an attempt starts from: who we are, what the endpoint is told, a TURN
//! server, and our own NAT.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use cli::home::Home;
use cli::settings::{Said, Settings};
use nat::plan::{Limits, Side};
use net::host;
use peer_proto::endpoint;
use peer_proto::relay;

use crate::args::Args;
use crate::attempt::TIMEOUT;

/// RFC 8656 §17.
const TURN_PORT: u16 = 3478;

/// How long our NAT may take to be measured.
const MEASURE: Duration = Duration::from_secs(3);

/// Who we are, as the command line and `config.toml` have it.
pub async fn settings(args: &Args) -> anyhow::Result<Settings> {
    let home = Home::find()?;
    let typed = Said {
        server: args.server.clone(),
        name: args.name.clone(),
    };
    let said = typed.or(home.settings()?);
    Ok(Settings::gather(home, said, args.peer.as_deref()).await?)
}

pub fn config(
    args: &Args,
    settings: &Settings,
    local: SocketAddr,
) -> anyhow::Result<endpoint::Config> {
    Ok(endpoint::Config {
        peer: args.peer.clone(),
        opener_ttl: (args.opener_ttl > 0).then_some(args.opener_ttl),
        relay: wish(args),
        measuring: measures(args),
        attempt: args.timeout.unwrap_or(TIMEOUT),
        ..settings.endpoint(local, !args.no_host_candidates)?
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
pub async fn turn_server(text: &str) -> anyhow::Result<relay::Config> {
    let parts = text
        .rsplit_once('@')
        .and_then(|(user, host)| Some((user.rsplit_once(':')?, host)));
    let ((username, password), host) = parts.context("--turn is USER:PASSWORD@HOST[:PORT]")?;
    let server = host::resolve(host, TURN_PORT)
        .await
        .with_context(|| format!("cannot find the TURN server {host}"))?;
    Ok(relay::Config {
        server,
        username: username.into(),
        password: password.into(),
    })
}

/// Our own NAT, if it lets itself be measured in time.
pub async fn measure(server: SocketAddr, limits: Limits) -> Option<Side> {
    let config = discover::Config::new(server, None);
    let report = tokio::time::timeout(MEASURE, net::discover::discover(config)).await;
    let report = report.ok()?.ok()?;
    (report.verdict == discover::Verdict::Measured).then(|| report.side(limits))
}

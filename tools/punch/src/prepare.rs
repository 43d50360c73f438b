//! What an attempt starts from: who we are, what the endpoint is told, a TURN
//! server, and our own NAT.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use cli::home::Home;
use cli::options::Options;
use cli::settings::Settings;
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
    let typed = Options {
        server: args.server.clone(),
        name: args.name.clone(),
    };
    let options = typed.or(home.options()?);
    Ok(Settings::gather(home, options, args.peer.as_deref()).await?)
}

pub fn config(
    args: &Args,
    settings: &Settings,
    local: SocketAddr,
) -> anyhow::Result<endpoint::Config> {
    let mut config = settings.endpoint(local, &args.paths)?;
    config.peer = args.peer.clone();
    config.measuring = measures(args);
    config.attempt = args.timeout.unwrap_or(TIMEOUT);
    if args.tcp {
        config.relay = endpoint::Wish::Never;
    }
    Ok(config)
}

/// What our NAT does with UDP says nothing of TCP.
pub fn measures(args: &Args) -> bool {
    !args.no_measure && !args.tcp
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

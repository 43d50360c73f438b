//! Why there is no answer from the server, or no introduction.

use std::net::SocketAddr;
use std::time::Duration;

use cli::settings::Settings;
use net::drive::Traffic;
use net::endpoint::EndpointDriver;
use net::reach;
use peer_proto::cause::Cause;

/// How long the server's host has to answer by another way.
const ANSWER: Duration = Duration::from_millis(500);

/// Whether UDP is blocked: the server has never answered by UDP, and does by TCP.
///
/// # Errors
/// When another address has answered than the one that was asked, or a socket
/// fails.
pub async fn is_blocked<W: FnMut(Traffic<'_>)>(
    driver: &EndpointDriver<W>,
    server: SocketAddr,
) -> anyhow::Result<bool> {
    if !driver.endpoint().mapped().is_empty() {
        return Ok(false);
    }
    if let Some(other) = driver.answered().filter(|from| *from != server) {
        anyhow::bail!(
            "{server} was asked, and {other} answered: a server with several addresses \
             has to be started with --ip {}",
            server.ip()
        );
    }
    let (stun, tcp) = tokio::join!(
        reach::speaks_stun(server, ANSWER),
        reach::tcp_rtt(server, ANSWER)
    );
    Ok(!stun? && driver.answered().is_none() && tcp.is_some())
}

/// Why there was no introduction in time; `peer` is the peer that we asked for.
///
/// # Errors
/// When the server does not answer, or had no time to.
pub async fn cause<W: FnMut(Traffic<'_>)>(
    driver: &EndpointDriver<W>,
    settings: &Settings,
    peer: Option<&str>,
) -> anyhow::Result<Cause> {
    let (server, endpoint) = (settings.server, driver.endpoint());
    if is_blocked(driver, server).await? {
        return Ok(Cause::UdpBlocked);
    }
    if endpoint.mapped().is_empty() {
        if let Some(other) = endpoint.other_server_key() {
            anyhow::bail!("{}", settings.known_server.refusal(other));
        }
        // Something that answers, but is not a rendezvous, shows that UDP is not
        // blocked.
        let answers = driver.answered().is_some() || reach::speaks_stun(server, ANSWER).await?;
        anyhow::ensure!(
            !answers,
            "{server} answers, but is not a rendezvous: start one there with: \
             rendezvous --ip {}",
            server.ip()
        );
        anyhow::bail!(
            "no answer from {server} by UDP or TCP: \
             is the address right, and is the rendezvous running?"
        );
    }
    if let Some(cause) = peer.and_then(|peer| endpoint.cause_so_far(peer)) {
        return Ok(cause);
    }
    anyhow::ensure!(
        reach::speaks_stun(server, ANSWER).await?,
        "{server} no longer answers"
    );
    let Some(peer) = peer else {
        let name = settings.name.clone();
        return Ok(Cause::NobodyAsked { name });
    };
    // The server waits for the peer longer than we have waited for the server.
    anyhow::ensure!(
        endpoint.is_asked_for(peer),
        "there was no time to ask {server} for {peer}: give a longer --timeout"
    );
    Ok(Cause::PeerSilent { peer: peer.into() })
}

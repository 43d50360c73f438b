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

/// A registration that has not come to an end in this time may do so on a slow machine,
/// which has keys to compute.
const LEAST_WAIT: Duration = Duration::from_secs(1);

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
        reach::stun_rtt(server, ANSWER),
        reach::tcp_rtt(server, ANSWER)
    );
    Ok(stun?.is_none() && driver.answered().is_none() && tcp.is_some())
}

/// Why there was no introduction within `waited`; `peer` is the peer that we asked for.
///
/// # Errors
/// When the server does not answer, or had no time to.
pub async fn cause<W: FnMut(Traffic<'_>)>(
    driver: &EndpointDriver<W>,
    settings: &Settings,
    peer: Option<&str>,
    waited: Duration,
) -> anyhow::Result<Cause> {
    let (server, endpoint) = (driver.server(), driver.endpoint());
    if is_blocked(driver, server).await? {
        return Ok(Cause::UdpBlocked);
    }
    if endpoint.mapped().is_empty() {
        if let Some(other) = endpoint.other_server_key() {
            anyhow::bail!("{}", settings.known_server.refusal(other));
        }
        let round_trip = reach::stun_rtt(server, ANSWER).await?;
        // To register takes two or three round trips, and one more if a packet is lost.
        let enough = |round_trip: Duration| (4 * round_trip).max(LEAST_WAIT);
        if let Some(round_trip) = round_trip.filter(|&it| waited < enough(it)) {
            anyhow::bail!(
                "there was no time to register at {server}, which takes {} ms to answer: \
                 give a longer --timeout",
                round_trip.as_millis()
            );
        }
        // Something that answers, but is not a rendezvous, shows that UDP is not
        // blocked.
        anyhow::ensure!(
            driver.answered().is_none() && round_trip.is_none(),
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
        reach::stun_rtt(server, ANSWER).await?.is_some(),
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

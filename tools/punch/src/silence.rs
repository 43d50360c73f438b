//! Why there is no answer from the server, or no introduction.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use cli::settings::Settings;
use net::drive::Traffic;
use net::endpoint::EndpointDriver;
use net::reach::{self, Reach};
use peer_proto::cause::Cause;

/// How long the server's host has to answer by TCP, and by UDP if it does not by TCP.
const ANSWER: Duration = Duration::from_secs(2);

/// How long it has to answer by UDP once it has answered by TCP: four round trips, and this at
/// least.
const LEAST_ANSWER: Duration = Duration::from_millis(500);

/// A registration that has not come to an end in this time may do so on a slow machine,
/// which has keys to compute.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Whether UDP is blocked: the server has never answered by UDP, and answers STUN by TCP. That
/// a TCP port is open or refuses says nothing of UDP.
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
    no_other_has_answered(driver, server)?;
    let answers = ask(server).await?;
    Ok(answers.show_that_udp_is_blocked() && driver.answered().is_none())
}

fn no_other_has_answered<W: FnMut(Traffic<'_>)>(
    driver: &EndpointDriver<W>,
    server: SocketAddr,
) -> anyhow::Result<()> {
    if let Some(other) = driver.answered().filter(|from| *from != server) {
        anyhow::bail!(
            "{server} was asked, and {other} answered: a server with several addresses \
             has to be started with --ip {}",
            server.ip()
        );
    }
    Ok(())
}

/// How the server's host answers, to new sockets.
struct Answers {
    /// The round trip of a Binding request by UDP.
    udp: Option<Duration>,
    /// What it said by TCP, where it did not answer by UDP before.
    tcp: Option<Reach>,
}

impl Answers {
    fn show_that_udp_is_blocked(&self) -> bool {
        self.udp.is_none() && matches!(self.tcp, Some(Reach::Stun(_)))
    }
}

async fn ask(server: SocketAddr) -> std::io::Result<Answers> {
    let mut udp = pin!(reach::stun_rtt(server, ANSWER));
    let mut tcp = pin!(reach::tcp_rtt(server, ANSWER));
    let tcp = tokio::select! {
        answer = &mut udp => {
            let udp = answer?;
            let tcp = match udp {
                Some(_) => None,
                None => tcp.await,
            };
            return Ok(Answers { udp, tcp });
        }
        tcp = &mut tcp => tcp,
    };
    let more = tcp.map_or(LEAST_ANSWER, |it| LEAST_ANSWER.max(4 * it.round_trip()));
    let udp = match tokio::time::timeout(more, udp).await {
        Ok(answer) => answer?,
        Err(_) => None,
    };
    Ok(Answers { udp, tcp })
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
    if endpoint.mapped().is_empty() {
        no_other_has_answered(driver, server)?;
        let answers = ask(server).await?;
        if answers.show_that_udp_is_blocked() && driver.answered().is_none() {
            return Ok(Cause::UdpBlocked);
        }
        if let Some(other) = endpoint.other_server_key() {
            anyhow::bail!("{}", settings.known_server.refusal(other));
        }
        let round_trip = answers.udp;
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
        let port = server.port();
        match answers.tcp {
            None => anyhow::bail!(
                "no answer from {server} by UDP or TCP: \
                 is the address right, and is the rendezvous running?"
            ),
            Some(Reach::Refused(_)) => anyhow::bail!(
                "no answer from {server} by UDP, and its host refuses TCP port {port}: \
                 is the rendezvous running there?"
            ),
            Some(_) => anyhow::bail!(
                "no answer from {server} by UDP; its TCP port {port} is open: \
                 is it a rendezvous, and is its UDP port {port} open, too?"
            ),
        }
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
    anyhow::ensure!(
        waited >= LEAST_WAIT,
        "{peer} had only {} ms to answer: give a longer --timeout",
        waited.as_millis()
    );
    Ok(Cause::PeerSilent { peer: peer.into() })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UdpSocket};

    use super::*;

    fn answer(request: &[u8], from: SocketAddr) -> Vec<u8> {
        let request = stun::Message::parse(request).unwrap();
        stun::Builder::success(&request).xor_mapped(from).finish()
    }

    /// A server that answers STUN after these times, by TCP and by UDP.
    async fn server(by_tcp: Duration, by_udp: Option<Duration>) -> SocketAddr {
        let (listener, socket) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (listener, socket);
            }
        };
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, from)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 20];
                    stream.read_exact(&mut request).await.unwrap();
                    tokio::time::sleep(by_tcp).await;
                    let _ = stream.write_all(&answer(&request, from)).await;
                });
            }
        });
        tokio::spawn(async move {
            let mut buffer = [0; stun::MAX_DATAGRAM];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(late) = by_udp {
                    tokio::time::sleep(late).await;
                    let _ = socket.send_to(&answer(&buffer[..length], from), from).await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_that_is_far_has_time_to_answer_by_udp() {
        // Longer than the least time, and within four round trips.
        let far = Duration::from_millis(600);
        let answers = ask(server(far, Some(2 * far)).await).await.unwrap();
        assert!(answers.udp.is_some(), "{:?}", answers.tcp);
    }

    #[tokio::test]
    async fn that_a_far_server_answers_by_tcp_alone_is_found() {
        let far = Duration::from_millis(300);
        let answers = ask(server(far, None).await).await.unwrap();
        assert!(
            matches!(answers.tcp, Some(Reach::Stun(_))),
            "{:?}",
            answers.tcp
        );
        assert_eq!(answers.udp, None);
    }
}

//! The hands of [`discover`]: its sockets, clock and randomness.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use discover::{BLIND_WAIT, Config, Discover, Report};
use sansio::Protocol;

use crate::reach::tcp_rtt;
use crate::sockets::Sockets;

/// Why no measurement could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket.
    #[error("opening a UDP socket: {0}")]
    Bind(io::Error),
    /// No address of our own towards the server.
    #[error("no route to {0}: {1}")]
    Route(SocketAddr, io::Error),
    /// The system refuses to send.
    #[error("sending to {0}: {1}")]
    Send(SocketAddr, io::Error),
    /// The system refuses to receive.
    #[error("receiving: {0}")]
    Receive(io::Error),
    /// The system has no randomness.
    #[error("asking the system for randomness: {0}")]
    Random(getrandom::Error),
}

/// How long UDP may be silent before TCP is asked whether the host is up.
const PATIENCE: Duration = Duration::from_millis(60);

/// Measures the NAT between here and a server.
///
/// # Errors
/// When this host cannot send to the server's first address at all. That
/// nothing comes back is not an error but a [`Report`].
pub async fn discover(config: Config) -> Result<Report, Error> {
    let s1 = config.s1;
    let local = address_towards(s1).map_err(|error| Error::Route(s1, error))?;
    let mut sockets = Sockets::new(s1, local);
    let first = sockets.open().map_err(Error::Bind)?;
    let seed = seed()?;

    let mut brain = Discover::new(Instant::now(), config, first, seed);
    let mut tcp = std::pin::pin!(async {
        tokio::time::sleep(PATIENCE).await;
        tcp_rtt(s1, BLIND_WAIT).await
    });
    let mut knocking = true;
    loop {
        while let Some(transmit) = brain.poll_transmit() {
            while sockets.len() <= transmit.socket {
                let opened = sockets.open().map_err(Error::Bind)?;
                brain.handle_opened(sockets.len() - 1, opened);
            }
            match sockets.send(&transmit) {
                // The other address is what a server tells: it may be nonsense.
                Err(error) if transmit.to == s1 => return Err(Error::Send(s1, error)),
                _ => {}
            }
        }
        if let Some(report) = brain.report() {
            return Ok(report.clone());
        }
        let timeout = brain.poll_timeout();
        tokio::select! {
            arrival = sockets.recv_until(timeout) => {
                let Some(arrival) = arrival.map_err(Error::Receive)? else {
                    brain.handle_timeout(Instant::now());
                    continue;
                };
                brain.handle_input(arrival.at, arrival.input());
            }
            reach = &mut tcp, if knocking && !brain.is_answered() => {
                knocking = false;
                if let Some(reach) = reach {
                    brain.handle_reachable(reach.round_trip());
                }
            }
        }
    }
}

/// Carries out a further measurement against the server, until it is done.
///
/// # Errors
/// When this host cannot send at all.
pub async fn measure(server: SocketAddr, brain: &mut impl Protocol) -> Result<(), Error> {
    let local = address_towards(server).map_err(|error| Error::Route(server, error))?;
    let mut sockets = Sockets::new(server, local);
    loop {
        while let Some(transmit) = brain.poll_transmit() {
            while sockets.len() <= transmit.socket {
                let opened = sockets.open().map_err(Error::Bind)?;
                brain.handle_opened(sockets.len() - 1, opened);
            }
            let sent = sockets.send(&transmit);
            sent.map_err(|error| Error::Send(transmit.to, error))?;
        }
        let Some(timeout) = brain.poll_timeout() else {
            return Ok(());
        };
        let arrival = sockets.recv_until(Some(timeout)).await;
        let Some(arrival) = arrival.map_err(Error::Receive)? else {
            brain.handle_timeout(Instant::now());
            continue;
        };
        brain.handle_input(arrival.at, arrival.input());
    }
}

/// 32 bytes that nobody can guess, for a brain.
///
/// # Errors
/// When the system has none.
pub fn seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Error::Random)?;
    Ok(seed)
}

/// The address that the system would send from: what a throw-away connected
/// socket says. One that is bound to the wildcard does not know it.
pub(crate) fn address_towards(server: SocketAddr) -> io::Result<IpAddr> {
    let scout = std::net::UdpSocket::bind(match server {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    })?;
    scout.connect(server)?;
    Ok(scout.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every Binding request, once it is told to.
    fn server() -> (SocketAddr, std::sync::mpsc::Sender<()>) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (start, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; stun::MAX_DATAGRAM];
            started.recv().unwrap();
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = stun::Message::parse(&buffer[..length]).unwrap();
                let answer = stun::Builder::success(&request).xor_mapped(from).finish();
                socket.send_to(&answer, from).unwrap();
            }
        });
        (address, start)
    }

    #[tokio::test]
    async fn what_came_while_the_process_did_not_run_came_in_time() {
        let (address, start) = server();
        let wait = Duration::from_secs(1);
        let pause = async {
            tokio::time::sleep(Duration::from_millis(120)).await; // all has been sent
            start.send(()).unwrap();
            std::thread::sleep(wait * 2); // nothing but the server runs
        };
        let mut config = Config::new(address, None);
        config.wait = Some(wait);
        let (report, ()) = tokio::join!(discover(config), pause);
        let report = report.unwrap();
        assert!(!report.behaviour.udp_blocked, "{report:?}");
    }
}

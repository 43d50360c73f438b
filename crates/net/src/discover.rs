//! Measurements of [`discover`], driven on sockets of their own.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use discover::{BLIND_WAIT, ByTcp, Config, Discover, Report};
use sansio::Protocol;

use crate::drive::{Driver, FlushError};
use crate::host::address_towards;
use crate::reach::{Reach, tcp_rtt};
use crate::sockets::Sockets;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket could be opened, or the system refuses to send.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// This host has no address for packets to the server.
    #[error("no route to {0}: {1}")]
    Route(SocketAddr, io::Error),
    /// The system refuses to receive.
    #[error("receiving: {0}")]
    Receive(io::Error),
    /// The system has no randomness.
    #[error("asking the system for randomness: {0}")]
    Random(getrandom::Error),
}

/// How long UDP may be silent before TCP is asked whether the host is up.
const TCP_AFTER: Duration = Duration::from_millis(60);

/// Measures the NAT between this host and a server.
///
/// # Errors
/// When this host cannot send to the server's first address at all. That no
/// answer comes is not an error but a [`Report`].
pub async fn discover(config: Config) -> Result<Report, Error> {
    let s1 = config.s1;
    let local = address_towards(s1).map_err(|error| Error::Route(s1, error))?;
    let mut sockets = Sockets::new(s1, local);
    let first = sockets.open().map_err(FlushError::Open)?;
    let protocol = Discover::new(Instant::now(), config, first, seed()?);
    let mut driver = Driver::new(sockets, protocol);
    let mut tcp = std::pin::pin!(async {
        tokio::time::sleep(TCP_AFTER).await;
        tcp_rtt(s1, BLIND_WAIT).await
    });
    let mut asks_tcp = true;
    loop {
        match driver.flush() {
            // The server names its other address, which may be nonsense.
            Err(FlushError::Send(to, _)) if to != s1 => continue,
            flushed => flushed?,
        }
        if let Some(report) = driver.protocol().report() {
            return Ok(report.clone());
        }
        let answered = driver.protocol().is_answered();
        tokio::select! {
            step = driver.step() => drop(step.map_err(Error::Receive)?),
            reach = &mut tcp, if asks_tcp && !answered => {
                asks_tcp = false;
                if let Some(reach) = reach {
                    let answer = match reach {
                        Reach::Stun(_) => ByTcp::Stun,
                        Reach::Open(_) => ByTcp::Accepted,
                        Reach::Refused(_) => ByTcp::Reset,
                    };
                    driver.protocol_mut().handle_tcp(reach.round_trip(), answer);
                }
            }
        }
    }
}

/// Carries out a further measurement against the server, until it waits for
/// nothing more, and returns it with what it has found.
///
/// # Errors
/// When this host cannot send at all.
pub async fn measure<P: Protocol>(server: SocketAddr, protocol: P) -> Result<P, Error> {
    let driver = Driver::towards(server, protocol);
    let mut driver = driver.map_err(|error| Error::Route(server, error))?;
    loop {
        driver.flush()?;
        if driver.protocol().poll_timeout().is_none() {
            return Ok(driver.into_protocol());
        }
        driver.step().await.map_err(Error::Receive)?;
    }
}

/// 32 random bytes, for a protocol.
///
/// # Errors
/// When the system has none.
pub fn seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Error::Random)?;
    Ok(seed)
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
    async fn an_answer_that_came_while_the_process_was_not_scheduled_came_in_time() {
        let (address, start) = server();
        let wait = Duration::from_secs(1);
        let pause = async {
            tokio::time::sleep(Duration::from_millis(120)).await; // everything was sent
            start.send(()).unwrap();
            std::thread::sleep(wait * 2); // only the server's thread runs
        };
        let mut config = Config::new(address, None);
        config.wait = Some(wait);
        let (report, ()) = tokio::join!(discover(config), pause);
        let report = report.unwrap();
        assert!(!report.behaviour.udp_blocked, "{report:?}");
    }
}

//! Is that host up, and how far away? Asked by TCP, for when UDP is silent.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::udp::{Received, Udp};
use tokio::task::JoinSet;

/// How a host answered by TCP; each carries the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Something listens there. If it is a STUN server (RFC 8489 §6.2.2), the round trip is
    /// that of a Binding request: a machine that is busy may answer a SYN long before its
    /// programs answer anything.
    Open(Duration),
    /// The host (or a firewall in its name) refused: it is up all the same.
    Refused(Duration),
}

impl Reach {
    /// The round trip.
    pub fn round_trip(self) -> Duration {
        match self {
            Reach::Open(time) | Reach::Refused(time) => time,
        }
    }
}

/// Knocks at a TCP port, which need not be open, until there is an answer.
/// `None`: nothing came back within `timeout`, or there is no way there.
///
/// It knocks several times, with connections of their own: the system repeats
/// a lost SYN only after a second (RFC 6298 §2.1), which would be told as the
/// round trip.
pub async fn tcp_rtt(address: SocketAddr, timeout: Duration) -> Option<Reach> {
    let mut knocks = JoinSet::new();
    for number in 0..KNOCKS {
        knocks.spawn(async move {
            tokio::time::sleep(SPACING * number).await;
            knock(address).await
        });
    }
    let first = async {
        while let Some(knock) = knocks.join_next().await {
            if let Ok(Some(reach)) = knock {
                return Some(reach);
            }
        }
        None
    };
    tokio::time::timeout(timeout, first).await.ok().flatten()
}

const KNOCKS: u32 = 5;
const SPACING: Duration = Duration::from_millis(30);

/// How long who listens may be silent before it is no STUN server.
const ANSWER: Duration = Duration::from_millis(500);

async fn answer(stream: TcpStream) -> std::io::Result<()> {
    let request = stun::binding_request(*b"speaks STUN?", None);
    stream.writable().await?;
    stream.try_write(&request)?;
    stream.readable().await
}

async fn knock(address: SocketAddr) -> Option<Reach> {
    let start = Instant::now();
    match TcpStream::connect(address).await {
        Ok(stream) => {
            let _ = tokio::time::timeout(ANSWER, answer(stream)).await;
            Some(Reach::Open(start.elapsed()))
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Some(Reach::Refused(start.elapsed()))
        }
        Err(_) => None,
    }
}

/// Whether a STUN server answers there, to a plain Binding request, within
/// `timeout`. It is asked five times.
///
/// # Errors
/// Those of the socket.
pub async fn speaks_stun(address: SocketAddr, timeout: Duration) -> std::io::Result<bool> {
    let udp = Udp::bind_for(address)?;
    let request = stun::binding_request(*b"speaks STUN?", None);
    let mut buffer = [0; stun::MAX_DATAGRAM];
    for _ in 0..5 {
        udp.send_to(&request, address, None)?;
        let received = tokio::time::timeout(timeout / 5, udp.recv(&mut buffer)).await;
        match received {
            Ok(Ok(Received::Datagram { from, .. })) if from == address => return Ok(true),
            Ok(Err(error)) => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_a_sign_of_life() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let timeout = Duration::from_secs(5);
        let open = tcp_rtt(address, timeout).await;
        assert!(matches!(open, Some(Reach::Open(_))), "{open:?}");
        drop(listener);
        let closed = tcp_rtt(address, timeout).await;
        assert!(matches!(closed, Some(Reach::Refused(_))), "{closed:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_late_is_not_near() {
        let late = Duration::from_millis(200);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    stream.readable().await.unwrap();
                    tokio::time::sleep(late).await;
                    stream.try_write(b"an answer")
                });
            }
        });
        let reach = tcp_rtt(address, Duration::from_secs(5)).await.unwrap();
        assert!(reach.round_trip() >= late, "{reach:?}");
    }
}

//! Whether a host is up, and how far away it is, where UDP gets no answer.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::host::wildcard;
use crate::opened::{self, Opened};
use crate::udp::{Received, Udp};

/// How a host answered by TCP, with the round trip time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A STUN server answers there (RFC 8489 §6.2.2). The time is that of a Binding request: a
    /// machine that is busy may answer a SYN long before its programs answer.
    Stun(Duration),
    /// Something listens there, and does not answer a Binding request.
    Open(Duration),
    /// The host refused, or a firewall did for it: the host is up.
    Refused(Duration),
}

impl Reach {
    /// The round trip time.
    pub fn round_trip(self) -> Duration {
        match self {
            Reach::Stun(time) | Reach::Open(time) | Reach::Refused(time) => time,
        }
    }
}

/// Connects to a TCP port, which need not be open, until there is an answer.
/// `None`: no answer came within `timeout`, or there is no route.
///
/// It makes five connections, 30 ms apart: the system retransmits a lost SYN only
/// after a second (RFC 6298 §2.1), which would be taken for the round trip time.
pub async fn tcp_rtt(address: SocketAddr, timeout: Duration) -> Option<Reach> {
    let mut connects = JoinSet::new();
    for number in 0..CONNECTIONS {
        connects.spawn(async move {
            tokio::time::sleep(SPACING * number).await;
            connect(address).await
        });
    }
    let first = async {
        while let Some(reach) = connects.join_next().await {
            if let Ok(Some(reach)) = reach {
                return Some(reach);
            }
        }
        None
    };
    let reach = tokio::time::timeout(timeout, first).await.ok().flatten();
    tracing::debug!(%address, ?reach, "asked by TCP whether the host is up");
    reach
}

const CONNECTIONS: u32 = 5;
const SPACING: Duration = Duration::from_millis(30);

/// How long a listener may take to answer before it counts as not a STUN server, at least. Where
/// the handshake took long, it is three times as long as that.
const ANSWER: Duration = Duration::from_millis(500);

/// Whether what listens there answers a Binding request.
async fn speaks_stun(mut stream: TcpStream) -> std::io::Result<bool> {
    let transaction = *b"speaks STUN?";
    stream
        .write_all(&stun::binding_request(transaction, None))
        .await?;
    let mut header = [0; 20];
    stream.read_exact(&mut header).await?;
    // The header alone: a Binding answer of either class, with our transaction (RFC 8489 §5).
    let kind = [header[0], header[1]];
    let is_answer = kind == [0x01, 0x01] || kind == [0x01, 0x11];
    Ok(is_answer && header[8..] == transaction)
}

/// A connection, from a port that is told before the first packet leaves.
async fn connection(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(wildcard(address), 0))?;
    opened::tell(Opened::Tcp(socket.local_addr()?.port()));
    socket.connect(address).await
}

async fn connect(address: SocketAddr) -> Option<Reach> {
    let start = Instant::now();
    match connection(address).await {
        Ok(stream) => {
            let (handshake, asked) = (start.elapsed(), Instant::now());
            let timeout = ANSWER.max(3 * handshake);
            let stun = tokio::time::timeout(timeout, speaks_stun(stream)).await;
            let round_trip = handshake.max(asked.elapsed());
            Some(match stun {
                Ok(Ok(true)) => Reach::Stun(round_trip),
                _ => Reach::Open(round_trip),
            })
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Some(Reach::Refused(start.elapsed()))
        }
        Err(_) => None,
    }
}

const SPACING_BY_UDP: Duration = Duration::from_millis(100);

/// How long a STUN server there takes to answer by UDP; `None`: not within
/// `timeout`. It is sent five Binding requests, 100 ms apart, and the time is counted from
/// the first.
///
/// # Errors
/// When the socket fails.
pub async fn stun_rtt(address: SocketAddr, timeout: Duration) -> std::io::Result<Option<Duration>> {
    let start = Instant::now();
    let udp = Udp::bind_for(address)?;
    let request = stun::binding_request(*b"speaks STUN?", None);
    let mut buffer = [0; stun::MAX_DATAGRAM];
    for more in (0..5).rev() {
        udp.send_to(&request, address, None)?;
        let wait = match more {
            0 => timeout.saturating_sub(start.elapsed()),
            _ => SPACING_BY_UDP.min(timeout / 5),
        };
        let received = tokio::time::timeout(wait, udp.recv(&mut buffer)).await;
        match received {
            Ok(Ok(Received::Datagram { from, .. })) if from == address => {
                return Ok(Some(start.elapsed()));
            }
            Ok(Err(error)) => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_shows_that_the_host_is_up() {
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
    async fn the_round_trip_time_includes_the_answer_of_a_server() {
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
        assert!(matches!(reach, Reach::Open(_)), "{reach:?}");
    }

    #[tokio::test]
    async fn a_stun_server_is_told_from_what_echoes() {
        for (answers, echo) in [(true, false), (false, true)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                loop {
                    let (mut stream, from) = listener.accept().await.unwrap();
                    let mut request = [0; 20];
                    let _ = stream.read_exact(&mut request).await;
                    let answer = match echo {
                        true => request.to_vec(),
                        false => {
                            let request = stun::Message::parse(&request).unwrap();
                            let answer = stun::Builder::success(&request);
                            answer.xor_mapped(from).finish()
                        }
                    };
                    let _ = stream.write_all(&answer).await;
                }
            });
            let reach = tcp_rtt(address, Duration::from_secs(5)).await;
            assert_eq!(matches!(reach, Some(Reach::Stun(_))), answers, "{reach:?}");
        }
    }
}

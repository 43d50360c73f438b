//! Which of a server's addresses answers: a name may have several, of both families, and
//! not all of them need work (Happy Eyeballs, RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use stun::{Class, Message, Method};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::host::wildcard;
use crate::opened::{self, Opened};

/// After this time the next address is asked as well (RFC 8305 §5: 250 ms is advised).
const NEXT: Duration = Duration::from_millis(250);

/// How long each address is asked.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Addresses that are asked, at most: a name may have any number.
const MOST: usize = 8;

/// The first of these addresses at which a STUN server answers a Binding request; the
/// first of all where none does. They are asked in this order, each a quarter of a second
/// after the one before, or at once when that one has failed. A single address is not asked.
pub async fn that_answers(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let first = *addresses.first()?;
    if addresses.len() == 1 {
        return Some(first);
    }
    let mut left = addresses.iter().take(MOST).copied();
    let mut asked = JoinSet::new();
    loop {
        let next = left.next();
        let more = next.is_some();
        if let Some(address) = next {
            asked.spawn(async move { ask(address).await.is_ok().then_some(address) });
        }
        // Until one answers or fails, or it is time to ask the next.
        let ended = match more {
            true => timeout(NEXT, asked.join_next()).await.ok().flatten(),
            false => asked.join_next().await,
        };
        match ended {
            Some(Ok(Some(answers))) => return Some(answers),
            None if !more && asked.is_empty() => return Some(first),
            _ => {}
        }
    }
}

/// Whether a STUN server answers at this address.
async fn ask(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((wildcard(address), 0)).await?;
    // So that ICMP errors are told.
    socket.connect(address).await?;
    opened::tell(Opened::Udp(socket.local_addr()?.port()));
    let mut transaction = [0; 12];
    getrandom::fill(&mut transaction).map_err(io::Error::other)?;
    let request = stun::binding_request(transaction, None);
    let (end, mut wait) = (Instant::now() + ATTEMPT, Duration::from_millis(200));
    let mut buffer = [0; stun::MAX_DATAGRAM];
    while Instant::now() < end {
        socket.send(&request).await?;
        let until = end.min(Instant::now() + wait);
        wait *= 2;
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            let answer = Message::parse(&buffer[..received?]).ok();
            let ours = |answer: &Message<'_>| {
                answer.class() != Class::Request
                    && answer.method() == Method::Binding
                    && answer.transaction() == transaction
            };
            if answer.as_ref().is_some_and(ours) {
                return Ok(());
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use stun::Builder;

    use super::*;

    /// A socket at this address of the loopback, which answers Binding requests or not.
    async fn host(ip: &str, answers: bool) -> SocketAddr {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; stun::MAX_DATAGRAM];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                if answers {
                    let request = Message::parse(&buffer[..length]).unwrap();
                    let answer = Builder::success(&request).xor_mapped(from).finish();
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        address
    }

    /// An address of the loopback where nobody listens, so that it answers by ICMP.
    fn closed() -> SocketAddr {
        let socket = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
        socket.local_addr().unwrap()
    }

    #[tokio::test]
    async fn dead_addresses_are_passed_over() {
        let (silent, answers) = (
            host("127.0.0.4", false).await,
            host("127.0.0.5", true).await,
        );
        let dead = [silent, closed()];
        assert_eq!(that_answers(&[silent, answers]).await, Some(answers));
        assert_eq!(that_answers(&[dead[1], answers]).await, Some(answers));
        assert_eq!(
            that_answers(&[dead[0], dead[1], answers]).await,
            Some(answers)
        );
        assert_eq!(that_answers(&[answers, silent]).await, Some(answers));
    }

    #[tokio::test]
    async fn where_none_answers_the_first_is_used_and_one_alone_is_not_asked() {
        let (a, b) = (closed(), closed());
        assert_eq!(that_answers(&[a, b]).await, Some(a));
        let silent = host("127.0.0.4", false).await;
        let start = Instant::now();
        assert_eq!(that_answers(&[silent]).await, Some(silent));
        assert!(start.elapsed() < ATTEMPT, "it was asked");
        assert_eq!(that_answers(&[]).await, None);
    }
}

//! The reflexive address of a TCP port.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer_proto::candidate::Tcp;
use stun::{Frames, Message};
use tokio::net::TcpStream;

use super::{Port, receive, send, socket};

/// How often the server is asked again, which keeps the mapping.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long the server has to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// How long the first connection to the server may take to be made and answered, and how long the
/// second. The system retransmits a lost SYN after one second, but then waits three seconds before
/// it retransmits data on that connection (RFC 6298 §5.7): a second connection is faster.
const ATTEMPTS: [Duration; 2] = [Duration::from_secs(2), ANSWER];

/// The reflexive addresses of a port, and the connections to the server's
/// addresses that keep them.
#[derive(Debug)]
pub struct Mapping {
    servers: Vec<TcpStream>,
    mapped: Vec<SocketAddr>,
    /// When the server is asked again.
    due: Instant,
}

impl Mapping {
    /// Asks the server by Binding requests, and also its other address if it has
    /// one. If that does not answer, it is not known whether the mapping depends
    /// on the destination.
    ///
    /// # Errors
    /// When the server does not answer a Binding request by TCP.
    pub async fn ask(port: &Port, server: SocketAddr) -> io::Result<Mapping> {
        Mapping::ask_from(port.local, server).await
    }

    pub(super) async fn ask_from(local: SocketAddr, server: SocketAddr) -> io::Result<Mapping> {
        let (stream, mapped, other) = ask(local, server).await?;
        tracing::debug!(port = local.port(), %server, %mapped, "reflexive address by TCP");
        let mut mapping = Mapping {
            servers: vec![stream],
            mapped: vec![mapped],
            due: Instant::now() + KEEPALIVE,
        };
        if let Some(other) = other
            && let Ok((stream, mapped, _)) = ask(local, other).await
        {
            mapping.servers.push(stream);
            mapping.mapped.push(mapped);
        }
        Ok(mapping)
    }

    /// The candidates of the port, for a peer.
    pub fn candidates(&self, port: &Port) -> Tcp {
        Tcp {
            port: port.number(),
            mapped: self.mapped.clone(),
        }
    }

    /// Keeps the mapping, and returns when the server no longer answers or sees us
    /// at another address: then it must be asked again, and if that fails, again
    /// 15 s later. A call that is dropped loses nothing.
    pub async fn kept(&mut self) {
        loop {
            tokio::time::sleep_until(self.due.into()).await;
            self.due = Instant::now() + KEEPALIVE;
            for (stream, mapped) in self.servers.iter().zip(&self.mapped) {
                match binding(stream).await {
                    Ok((now, _)) if now == *mapped => {}
                    _ => {
                        // They must close first: a new connection has the
                        // same 5-tuple.
                        self.servers.clear();
                        break;
                    }
                }
            }
            if self.servers.is_empty() {
                return;
            }
        }
    }
}

/// Asks by a new connection from `local`, and by a second one if the first gets no
/// answer.
async fn ask(local: SocketAddr, server: SocketAddr) -> io::Result<Asked> {
    let mut asked = Err(no_answer());
    for limit in ATTEMPTS {
        asked = tokio::time::timeout(limit, ask_once(local, server))
            .await
            .unwrap_or_else(|_| Err(no_answer()));
        if let Err(error) = &asked {
            tracing::debug!(%server, %error, "no reflexive address by TCP");
        }
        if !matches!(&asked, Err(error) if error.kind() == ErrorKind::TimedOut) {
            break;
        }
    }
    asked
}

/// A connection, its reflexive address, and the server's other address.
type Asked = (TcpStream, SocketAddr, Option<SocketAddr>);

async fn ask_once(local: SocketAddr, server: SocketAddr) -> io::Result<Asked> {
    let socket = socket(local)?;
    // Closed by a reset, it frees its 5-tuple at once.
    socket.set_zero_linger()?;
    let stream = socket.connect(server).await?;
    let (mapped, other) = binding(&stream).await?;
    Ok((stream, mapped, other))
}

fn no_answer() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no answer to a Binding request")
}

/// One Binding transaction: our reflexive address, and the server's other address.
async fn binding(stream: &TcpStream) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
    let mut transaction = [0; 12];
    getrandom::fill(&mut transaction).map_err(io::Error::other)?;
    let request = stun::binding_request(transaction, None);
    let exchange = async {
        send(stream, &request)?;
        let mut frames = Frames::default();
        loop {
            frames.push(&receive(stream).await?);
            while let Some(bytes) = frames.next_message().map_err(io::Error::other)? {
                let message = Message::parse(&bytes).map_err(io::Error::other)?;
                // Else it answers a request before, whose caller no longer waits.
                if message.transaction() == transaction {
                    let mapped = message.mapped();
                    let mapped =
                        mapped.ok_or_else(|| io::Error::other("no address in the answer"))?;
                    return Ok::<_, io::Error>((mapped, message.other_address()));
                }
            }
        }
    };
    tokio::time::timeout(ANSWER, exchange)
        .await
        .map_err(|_| no_answer())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_connection_is_made_where_the_first_gets_no_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let answers = tokio::spawn(async move {
            let _silent = listener.accept().await.unwrap();
            let (stream, from) = listener.accept().await.unwrap();
            let request = receive(&stream).await.unwrap();
            let request = Message::parse(&request).unwrap();
            let answer = stun::Builder::success(&request).xor_mapped(from).finish();
            send(&stream, &answer).unwrap();
            from
        });
        let local = "127.0.0.1:0".parse().unwrap();
        let (_stream, mapped, _) = ask(local, server).await.unwrap();
        assert_eq!(mapped, answers.await.unwrap());
    }
}

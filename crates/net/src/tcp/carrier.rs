//! A connection that carries datagrams, and loses some where it is slow, as UDP does.

use std::io;
use std::net::SocketAddr;

use nix::sys::socket::{setsockopt, sockopt};
use peer_proto::tcp::framing::{Datagrams, framed};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Punched;

/// Datagrams that wait to be written, at most: those beyond are lost.
pub const MOST_WAITING: usize = 128;

/// Bytes that the system is to hold for the peer. It takes twice as many; what it took without
/// this bound would make each datagram late.
const BUFFER: usize = 256 << 10;

/// Datagrams that are written at once.
const AT_ONCE: usize = 32;

/// A connection that both sides have agreed on.
#[derive(Debug)]
pub struct Carrier {
    local: SocketAddr,
    waiting: mpsc::Sender<Vec<u8>>,
    /// It ends when this is dropped.
    _task: JoinSet<()>,
}

impl Carrier {
    /// From now on `receive` gets each datagram of the peer, and `closed` is called when the
    /// connection has ended.
    pub fn new(
        punched: Punched,
        mut receive: impl FnMut(Vec<u8>) + Send + 'static,
        closed: impl FnOnce() + Send + 'static,
    ) -> Carrier {
        let Punched {
            local,
            stream,
            rest,
            ..
        } = punched;
        if let Err(error) = setsockopt(&*stream, sockopt::SndBuf, &BUFFER) {
            tracing::debug!(%error, "the system's own size of the send buffer");
        }
        // Closed by a reset, it frees its 5-tuple for another attempt at once.
        let _ = stream.set_zero_linger();
        let (waiting, waits) = mpsc::channel(MOST_WAITING);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let ended = tokio::select! {
                ended = read(&stream, rest, &mut receive) => ended,
                ended = write(&stream, waits) => ended,
            };
            tracing::debug!(%local, ?ended, "the connection has ended");
            closed();
        });
        Carrier {
            local,
            waiting,
            _task: task,
        }
    }

    /// Our endpoint.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a datagram, if there is room for it. It never waits.
    pub fn send(&self, datagram: &[u8]) -> bool {
        framed(datagram).is_some_and(|frame| self.waiting.try_send(frame).is_ok())
    }
}

async fn read(
    stream: &TcpStream,
    rest: Vec<u8>,
    receive: &mut impl FnMut(Vec<u8>),
) -> io::Result<()> {
    let mut datagrams = Datagrams::default();
    datagrams.push(&rest);
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(datagram) = datagrams.next_datagram() {
            receive(datagram);
        }
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => datagrams.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(stream: &TcpStream, mut waits: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut frames = Vec::new();
    while waits.recv_many(&mut frames, AT_ONCE).await > 0 {
        let bytes = frames.concat();
        frames.clear();
        let mut left = &bytes[..];
        while !left.is_empty() {
            stream.writable().await?;
            match stream.try_write(left) {
                Ok(length) => left = &left[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;
    use std::time::Duration;

    use peer_proto::tcp::Path;
    use tokio::sync::oneshot;

    use super::*;

    /// A connection whose other end is an ordinary socket.
    async fn punched(rest: Vec<u8>) -> (Punched, std::net::TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (ours, other) = tokio::join!(TcpStream::connect(to), listener.accept());
        let (stream, (other, _)) = (Arc::new(ours.unwrap()), other.unwrap());
        let other = other.into_std().unwrap();
        other.set_nonblocking(false).unwrap();
        let path = Path {
            link: 0,
            remote: to,
            lan: false,
            rtt: None,
        };
        let local = stream.local_addr().unwrap();
        let punched = Punched {
            path,
            local,
            stream,
            rest,
        };
        (punched, other)
    }

    #[tokio::test]
    async fn what_came_with_the_last_message_is_the_beginning() {
        let frame = framed(&[0xc3; 40]).unwrap();
        let (begun, later) = frame.split_at(5);
        let (punched, mut other) = punched(begun.to_vec()).await;
        let (came, mut comes) = mpsc::unbounded_channel();
        let (closed, ends) = oneshot::channel();
        let told = move |datagram| came.send(datagram).unwrap();
        let _carrier = Carrier::new(punched, told, move || closed.send(()).unwrap());
        std::io::Write::write_all(&mut other, later).unwrap();
        let limit = Duration::from_secs(10);
        let first = tokio::time::timeout(limit, comes.recv()).await;
        assert_eq!(first.unwrap(), Some(vec![0xc3; 40]));
        drop(other);
        tokio::time::timeout(limit, ends).await.unwrap().unwrap();
        let last = tokio::time::timeout(limit, comes.recv()).await;
        assert_eq!(last.unwrap(), None);
    }

    #[tokio::test]
    async fn where_the_peer_reads_slowly_whole_datagrams_are_lost_and_nothing_waits() {
        let (punched, mut other) = punched(Vec::new()).await;
        let carrier = Carrier::new(punched, |_| {}, || {});
        // More than any buffer on the way holds.
        let mut sent = Vec::new();
        for number in 0..40_000_u32 {
            let datagram = [&number.to_be_bytes()[..], &[0x45; 1000]].concat();
            if carrier.send(&datagram) {
                sent.push(number);
            }
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert!(sent.len() < 39_000, "{} were taken", sent.len());
        let count = sent.len();
        let reads = tokio::task::spawn_blocking(move || {
            let (mut datagrams, mut came) = (Datagrams::default(), Vec::new());
            let mut buffer = [0; 9000];
            let limit = Some(Duration::from_secs(10));
            other.set_read_timeout(limit).unwrap();
            while came.len() < count {
                let length = other.read(&mut buffer).unwrap();
                datagrams.push(&buffer[..length]);
                while let Some(datagram) = datagrams.next_datagram() {
                    assert_eq!(datagram[4..], [0x45; 1000]);
                    came.push(u32::from_be_bytes(*datagram.first_chunk().unwrap()));
                }
            }
            came
        });
        let came = reads.await.unwrap();
        assert_eq!(came, sent);
    }
}

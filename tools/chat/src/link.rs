//! A link: one QUIC connection with one peer, over one path. Its first stream
//! carries the frames of the conversation, every other one a file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use quinn::{Connection, ConnectionError, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use session::identity::PublicKey;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use crate::conversation::LinkId;
use crate::files::carry::HEAD;
use crate::frame::{Decoder, Frame};
use crate::tls;

/// Frames that wait to be written, at most.
const MOST_FRAMES: usize = 64;

/// What the binding is exported for (RFC 8446 §7.5).
const BINDING: &[u8] = b"EXPORTER-pinhole-chat-verify";

/// How long a connection may take once there is a path.
const HANDSHAKE: Duration = Duration::from_secs(8);

/// How long a stranger may take to say what a stream is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a link is closed, as the other side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The user has left.
    Bye = 0,
    /// There is a newer link.
    Replaced = 1,
    /// The other side does not keep to the protocol.
    Violation = 2,
    /// The user does not want to talk to that key.
    Unwelcome = 3,
}

/// What links tell.
#[derive(Debug)]
pub enum Event {
    /// A connection with the owner of that key.
    Up(Link),
    /// No connection, although there was a path.
    NoLink {
        /// Whose.
        key: PublicKey,
        /// Why.
        why: String,
    },
    /// A frame.
    Frame(LinkId, Frame),
    /// A file's stream, with the file's number and the offset of what follows.
    Data(LinkId, (u64, u64), RecvStream),
    /// It is no more.
    Down(LinkId, Down),
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// The peer has left.
    Bye,
    /// The peer has a newer link.
    Replaced,
    /// The path is silent, or the peer was restarted.
    Lost(String),
    /// One side broke the protocol, and this is what it was.
    Violation(String),
}

/// A link, for the one who uses it.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// Whose it is.
    pub key: PublicKey,
    /// The connection.
    pub connection: Connection,
    /// Keying material that only its two ends have.
    pub binding: [u8; 32],
    frames: Option<mpsc::Sender<Frame>>,
    writer: AbortHandle,
    written: Arc<Notify>,
}

/// What the tasks of all links share.
#[derive(Clone, Debug)]
pub struct Links {
    /// Where links tell what happens.
    pub events: mpsc::Sender<Event>,
    /// Rung when a frame has been written, so that there is room for another.
    pub room: Arc<Notify>,
}

impl Links {
    /// Connects to the owner of `key`.
    pub fn dial(
        &self,
        id: LinkId,
        endpoint: &Endpoint,
        config: quinn::ClientConfig,
        to: SocketAddr,
        key: PublicKey,
    ) {
        let connecting = endpoint.connect_with(config, to, tls::SERVER_NAME);
        let links = self.clone();
        tokio::spawn(async move {
            let connect = async {
                let connection = connecting?.await?;
                let streams = connection.open_bi().await?;
                anyhow::Ok((connection, streams))
            };
            match within(HANDSHAKE, connect).await {
                Ok((connection, streams)) => links.run(id, key, connection, streams).await,
                Err(error) => {
                    let why = format!("{error:#}");
                    let _ = links.events.send(Event::NoLink { key, why }).await;
                }
            }
        });
    }

    /// Answers somebody who connects. Strangers do not get past the handshake.
    pub fn answer(&self, id: LinkId, incoming: Incoming) {
        let links = self.clone();
        tokio::spawn(async move {
            let connect = async {
                let connection = incoming.await?;
                let key = tls::key_of(&connection).context("a connection without a key")?;
                let streams = connection.accept_bi().await?;
                anyhow::Ok((connection, key, streams))
            };
            if let Ok((connection, key, streams)) = within(HANDSHAKE, connect).await {
                links.run(id, key, connection, streams).await;
            }
        });
    }

    async fn run(
        self,
        id: LinkId,
        key: PublicKey,
        connection: Connection,
        (send, receive): (SendStream, RecvStream),
    ) {
        let mut binding = [0; 32];
        if connection
            .export_keying_material(&mut binding, BINDING, b"")
            .is_err()
        {
            return close(&connection, Close::Violation);
        }
        let (frames, waiting) = mpsc::channel(MOST_FRAMES);
        let written = Arc::new(Notify::new());
        let writer = write(send, waiting, Arc::clone(&self.room), Arc::clone(&written));
        let link = Link {
            id,
            key,
            connection: connection.clone(),
            binding,
            frames: Some(frames),
            writer: tokio::spawn(writer).abort_handle(),
            written,
        };
        if self.events.send(Event::Up(link)).await.is_err() {
            return;
        }
        let files = tokio::spawn(self.clone().take_files(id, connection.clone()));
        let violation = self.read(id, receive).await.err();
        if violation.is_some() {
            close(&connection, Close::Violation);
        }
        let reason = connection.closed().await;
        files.abort();
        let down = match violation {
            Some(violation) => Down::Violation(violation.to_string()),
            None => Down::from(reason),
        };
        let _ = self.events.send(Event::Down(id, down)).await;
    }

    /// Frames as they come, until the stream ends.
    async fn read(&self, id: LinkId, mut stream: RecvStream) -> anyhow::Result<()> {
        let mut decoder = Decoder::default();
        let mut buffer = [0; 16 * 1024];
        while let Ok(Some(length)) = stream.read(&mut buffer).await {
            decoder.push(&buffer[..length]);
            while let Some(frame) = decoder.next()? {
                self.events.send(Event::Frame(id, frame)).await?;
            }
        }
        Ok(())
    }

    /// Streams of files, until the connection ends.
    async fn take_files(self, id: LinkId, connection: Connection) {
        while let Ok(mut stream) = connection.accept_uni().await {
            let links = self.clone();
            // As many tasks as streams, which the transport limits.
            tokio::spawn(async move {
                let mut head = [0; HEAD];
                let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut head));
                if let Ok(Ok(())) = read.await {
                    let number = |at: usize| {
                        let mut bytes = [0; 8];
                        bytes.copy_from_slice(&head[at..at + 8]);
                        u64::from_be_bytes(bytes)
                    };
                    let what = (number(0), number(8));
                    let _ = links.events.send(Event::Data(id, what, stream)).await;
                }
            });
        }
    }
}

impl Link {
    /// Datagrams that have come over it.
    pub fn heard(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    /// Room for one frame, if there is.
    pub fn room(&self) -> Option<mpsc::Permit<'_, Frame>> {
        self.frames.as_ref()?.try_reserve().ok()
    }

    /// Writes what waits and a farewell, waits until the peer has it all, and
    /// closes. It takes no longer than `most`.
    ///
    /// QUIC says only once that a connection is closed; when that is lost the
    /// peer would wait for a path that nobody makes.
    pub async fn finish(mut self, most: Duration) {
        let farewell = async {
            if let Some(frames) = self.frames.take() {
                let _ = frames.send(Frame::Bye).await;
            }
            self.written.notified().await;
        };
        let _ = tokio::time::timeout(most, farewell).await;
        self.close(Close::Bye);
    }

    /// Closes at once.
    pub fn close(&self, why: Close) {
        close(&self.connection, why);
        self.writer.abort();
    }
}

fn close(connection: &Connection, why: Close) {
    connection.close(VarInt::from_u32(why as u32), b"");
}

async fn within<T>(
    most: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::time::timeout(most, work)
        .await
        .context("no answer")?
}

async fn write(
    mut stream: SendStream,
    mut frames: mpsc::Receiver<Frame>,
    room: Arc<Notify>,
    written: Arc<Notify>,
) {
    while let Some(frame) = frames.recv().await {
        if stream.write_all(&frame.encode()).await.is_err() {
            return;
        }
        room.notify_one();
    }
    if stream.finish().is_ok() {
        let _ = stream.stopped().await;
    }
    written.notify_one();
}

impl From<ConnectionError> for Down {
    fn from(error: ConnectionError) -> Down {
        let code = |wanted: Close| VarInt::from_u32(wanted as u32);
        match error {
            ConnectionError::ApplicationClosed(close) => match close.error_code {
                c if c == code(Close::Bye) => Down::Bye,
                c if c == code(Close::Replaced) => Down::Replaced,
                c if c == code(Close::Unwelcome) => {
                    Down::Violation("the peer does not trust our key".into())
                }
                _ => Down::Violation("the peer could not read what we sent".into()),
            },
            ConnectionError::TimedOut => Down::Lost("the path is silent".into()),
            ConnectionError::Reset => Down::Lost("the peer was restarted".into()),
            other => Down::Lost(other.to_string()),
        }
    }
}

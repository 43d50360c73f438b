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

/// Events of all links that wait for the hub, at most.
const MOST_EVENTS: usize = 64;

/// The label of the exported binding (RFC 8446 §7.5).
const BINDING: &[u8] = b"EXPORTER-pinhole-chat-verify";

/// How long a connection may take once there is a path.
const HANDSHAKE: Duration = Duration::from_secs(8);

/// How long a peer may take to send the head of a file's stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a link is closed: the error code that the other side gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The user has left.
    Bye = 0,
    /// There is a newer link.
    Replaced = 1,
    /// The other side does not keep to the protocol.
    Violation = 2,
    /// We were not introduced to the owner of that key.
    Unwelcome = 3,
    /// The other side does not know the code.
    WrongCode = 4,
}

/// What happens to links.
#[derive(Debug)]
pub enum Event {
    /// There is a new link.
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
    /// A stream with the bytes of a file.
    File {
        /// Over which link.
        link: LinkId,
        /// The sender's number of the file.
        file: u64,
        /// Where in the file its bytes begin.
        offset: u64,
        /// The bytes.
        stream: RecvStream,
    },
    /// A link has ended.
    Down(LinkId, Down),
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// The peer has left.
    Bye,
    /// The peer has a newer link.
    Replaced,
    /// The path is silent, or the peer does not know the connection any more.
    Lost(String),
    /// One side broke the protocol, and this is what it was.
    Violation(String),
}

/// The handle of a link.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// Whose it is.
    pub key: PublicKey,
    /// The connection.
    pub connection: Connection,
    /// Keying material that its two ends alone have.
    pub binding: [u8; 32],
    frames: Option<mpsc::Sender<Frame>>,
    writer: AbortHandle,
    written: Arc<Notify>,
}

/// Makes links; what the tasks of all links share.
#[derive(Clone, Debug)]
pub struct Links {
    events: mpsc::Sender<Event>,
    room: Arc<Notify>,
}

/// What comes from links.
#[derive(Debug)]
pub struct Inbox {
    /// What happens to links.
    pub events: mpsc::Receiver<Event>,
    /// Notified when a frame was written, so that there is room for another.
    pub room: Arc<Notify>,
}

impl Links {
    /// With no link yet.
    pub fn new() -> (Links, Inbox) {
        let (sender, events) = mpsc::channel(MOST_EVENTS);
        let room = Arc::<Notify>::default();
        let links = Links {
            events: sender,
            room: Arc::clone(&room),
        };
        (links, Inbox { events, room })
    }

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

    /// Answers an incoming connection. The handshake fails for a key that is not
    /// allowed.
    pub fn answer(&self, id: LinkId, incoming: Incoming) {
        let links = self.clone();
        tokio::spawn(async move {
            let connect = async {
                let connection = incoming.await?;
                let key = tls::key_of(&connection).context("a connection without a key")?;
                let streams = connection.accept_bi().await?;
                anyhow::Ok((connection, key, streams))
            };
            match within(HANDSHAKE, connect).await {
                Ok((connection, key, streams)) => links.run(id, key, connection, streams).await,
                Err(error) => tracing::debug!(link = id, %error, "no link with who connects"),
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
            while let Some(frame) = decoder.next_frame()? {
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
                    let event = Event::File {
                        link: id,
                        file: number(0),
                        offset: number(8),
                        stream,
                    };
                    let _ = links.events.send(event).await;
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

    /// Writes what waits and a last frame, waits until the peer has it all, and
    /// closes. It takes no longer than `most`.
    ///
    /// QUIC sends only once that a connection is closed: if that packet is lost,
    /// the peer waits for a path in vain. A frame that is lost is sent again.
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
                c if c == code(Close::WrongCode) => Down::Violation(
                    "the code is wrong, and the sender has made it void: ask for a new one".into(),
                ),
                c if c == code(Close::Unwelcome) => {
                    Down::Violation("the peer does not trust our key".into())
                }
                _ => Down::Violation("the peer could not read what we sent".into()),
            },
            ConnectionError::TimedOut => Down::Lost("the path is silent".into()),
            // A stateless reset (RFC 9000 §10.3): it proves a key that a process which was
            // restarted does not have.
            ConnectionError::Reset => {
                Down::Lost("the peer does not know this connection any more".into())
            }
            other => Down::Lost(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of a stateless reset is drawn at the start of a process: one that was restarted
    /// cannot send it. That a peer was restarted is told by its first frame alone.
    #[test]
    fn a_stateless_reset_is_not_called_a_restart() {
        let Down::Lost(why) = Down::from(ConnectionError::Reset) else {
            panic!("a reset is not the end of the conversation")
        };
        assert_eq!(why, "the peer does not know this connection any more");
        let Down::Lost(why) = Down::from(ConnectionError::TimedOut) else {
            panic!("nor is silence")
        };
        assert_eq!(why, "the path is silent");
    }
}

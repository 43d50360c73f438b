//! A file's bytes, over a stream of their own: the file's number and the
//! offset, then the bytes. What they mean was agreed on in the conversation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use quinn::{Connection, ReadError, RecvStream};
use tokio::task::block_in_place;

use super::folder::Part;
use crate::frame::FileHash;

/// Read and written at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// The number and the offset at the beginning of a stream.
pub const HEAD: usize = 16;

/// How many bytes of a file have been carried, for those who watch.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// So far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// How receiving has ended.
#[derive(Debug)]
pub enum Arrival {
    /// Whole, and what was announced.
    Whole(Part),
    /// Whole, and something else.
    Wrong(Part),
    /// The link broke; the part waits for the rest.
    Broken,
    /// It cannot be written.
    Disk(io::Error),
}

/// Size and hash of a file.
///
/// # Errors
/// When it cannot be read, or is no ordinary file.
pub fn measure(path: &Path) -> anyhow::Result<(u64, FileHash)> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let meta = file
        .metadata()
        .with_context(|| format!("cannot read {name}"))?;
    anyhow::ensure!(meta.is_file(), "{name} is not a file");
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = file
            .read(&mut buffer)
            .with_context(|| format!("cannot read {name}"))?;
        if length == 0 {
            return Ok((size, *hasher.finalize().as_bytes()));
        }
        hasher.update(&buffer[..length]);
        size += length as u64;
    }
}

/// Sends a file's bytes from `offset` on. The link's end is no error: the
/// receiver asks again on the next.
///
/// # Errors
/// When the file cannot be read.
pub async fn send(
    connection: &Connection,
    path: &Path,
    (number, offset): (u64, u64),
    progress: &Progress,
) -> anyhow::Result<()> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    file.seek(SeekFrom::Start(offset))
        .with_context(|| format!("cannot read {name}"))?;
    let Ok(mut stream) = connection.open_uni().await else {
        return Ok(());
    };
    // Messages go first.
    let _ = stream.set_priority(-1);
    let head = [number.to_be_bytes(), offset.to_be_bytes()].concat();
    let mut alive = stream.write_all(&head).await.is_ok();
    let (mut at, mut buffer) = (offset, vec![0; CHUNK]);
    while alive {
        let length = block_in_place(|| file.read(&mut buffer))
            .with_context(|| format!("cannot read {name}"))?;
        if length == 0 {
            let _ = stream.finish();
            let _ = stream.stopped().await;
            return Ok(());
        }
        alive = stream.write_all(&buffer[..length]).await.is_ok();
        at += length as u64;
        progress.set(at);
    }
    Ok(())
}

/// Receives the rest of a file into its part.
pub async fn receive(
    mut stream: RecvStream,
    mut part: Part,
    (size, hash): (u64, FileHash),
    progress: &Progress,
) -> Arrival {
    progress.set(part.written());
    // Chunks are single packets: hashed and written one by one they would cost
    // twice the time.
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    loop {
        let chunk = stream.read_chunk(CHUNK, true).await;
        let ended = !matches!(chunk, Ok(Some(_)));
        if let Ok(Some(chunk)) = &chunk {
            buffer.extend_from_slice(&chunk.bytes);
        }
        if buffer.len() >= CHUNK || ended {
            if part.written() + buffer.len() as u64 > size {
                return Arrival::Wrong(part);
            }
            if let Err(error) = block_in_place(|| part.write(&buffer)) {
                return Arrival::Disk(error);
            }
            buffer.clear();
            progress.set(part.written());
        }
        match chunk {
            Ok(Some(_)) => {}
            // The link has broken, or the sender has stopped.
            Err(ReadError::ConnectionLost(_) | ReadError::Reset(_)) => return Arrival::Broken,
            Ok(None) if part.written() == size && part.is(&hash) => return Arrival::Whole(part),
            Ok(None) | Err(_) => return Arrival::Wrong(part),
        }
    }
}

//! A file's bytes, over a stream of their own: the file's number, the offset,
//! the bytes from there on, and BLAKE3 of the whole. What they mean was agreed
//! on in the conversation.
//!
//! The disk and the hash have a thread beside the network, in both directions,
//! and the file is read once.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::folder::Part;
use super::ledger::Start;

/// Read and written at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// Pieces between the disk and the network, at most.
const MOST_PIECES: usize = 8;

/// Packets that are taken from the network at once, at most.
const MOST_PACKETS: usize = 128;

/// The number and the offset at the beginning of a stream.
pub const HEAD: usize = 16;

/// The hash at its end.
const TAIL: usize = 32;

/// How many bytes of a file have been carried; the task that carries them
/// shares it with whoever shows the progress.
#[derive(Clone, Debug, Default)]
pub struct Carried(Arc<AtomicU64>);

impl Carried {
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
    /// Whole, with the hash that the sender gave.
    Whole(Part),
    /// Its length or its hash is not what the sender gave.
    Wrong(Part),
    /// The link broke; the part waits for the rest.
    Broken,
    /// It cannot be written.
    Disk(io::Error),
}

/// A file that is to be sent.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its number.
    pub number: u64,
    /// Its size, as it was offered.
    pub size: u64,
}

/// The one of these paths that there is, else the last, and the size of the file there, if
/// it can be sent.
pub fn look(meanings: Vec<PathBuf>) -> (PathBuf, anyhow::Result<u64>) {
    let there = meanings.iter().find(|path| path.exists());
    let path = there.or(meanings.last()).cloned().unwrap_or_default();
    let size = measure(&path);
    (path, size)
}

/// The size of a file that can be sent.
///
/// # Errors
/// When it cannot be read, or is no ordinary file.
pub fn measure(path: &Path) -> anyhow::Result<u64> {
    let name = path.display();
    let meta = fs::metadata(path).with_context(|| format!("cannot read {name}"))?;
    anyhow::ensure!(meta.is_file(), "{name} is not a file");
    File::open(path).with_context(|| format!("cannot open {name}"))?;
    Ok(meta.len())
}

/// Sends a file's bytes, from where they are wanted. The link's end is no
/// error: the receiver asks again on the next.
///
/// # Errors
/// When the file cannot be read.
pub async fn send(
    connection: &Connection,
    source: Source,
    from: Start,
    carried: &Carried,
) -> anyhow::Result<()> {
    let Ok(mut stream) = connection.open_uni().await else {
        return Ok(());
    };
    // Messages go first.
    let _ = stream.set_priority(-1);
    let (pieces, mut waiting) = mpsc::channel(MOST_PIECES);
    let reader = spawn_blocking(move || read(&source, from, &pieces));
    while let Some((bytes, at)) = waiting.recv().await {
        if stream.write_chunk(bytes).await.is_err() {
            return Ok(());
        }
        carried.set(at);
    }
    let result = reader
        .await
        .context("the task that reads the file has panicked")?;
    match result {
        Ok(()) => {
            let _ = stream.finish();
            let _ = stream.stopped().await;
        }
        Err(_) => {
            let _ = stream.reset(0u32.into());
        }
    }
    result
}

/// Pieces of a stream, each with the position in the file after it.
type Pieces = mpsc::Sender<(Bytes, u64)>;

/// Reads what a stream consists of, until it is read or nobody takes the pieces.
fn read(source: &Source, from: Start, pieces: &Pieces) -> anyhow::Result<()> {
    let name = source.path.display();
    let mut file = File::open(&source.path).with_context(|| format!("cannot open {name}"))?;
    let cannot_read = || format!("cannot read {name}");
    let mut hasher = blake3::Hasher::new();
    let mut at = from.offset;
    if at > 0 {
        hasher
            .update_reader((&mut file).take(at))
            .with_context(cannot_read)?;
        // What the peer has is of another file, or of what this one was before.
        if hasher.finalize() != from.prefix {
            hasher.reset();
            file.seek(SeekFrom::Start(0)).with_context(cannot_read)?;
            at = 0;
        }
    }
    let head = [source.number.to_be_bytes(), at.to_be_bytes()].concat();
    let mut more = pieces.blocking_send((head.into(), at)).is_ok();
    while more && at < source.size {
        let length = CHUNK.min(usize::try_from(source.size - at).unwrap_or(CHUNK));
        let mut piece = Vec::with_capacity(length);
        (&mut file)
            .take(length as u64)
            .read_to_end(&mut piece)
            .with_context(cannot_read)?;
        anyhow::ensure!(
            !piece.is_empty(),
            "{name} has become shorter since it was offered"
        );
        hasher.update(&piece);
        at += piece.len() as u64;
        more = pieces.blocking_send((piece.into(), at)).is_ok();
    }
    if more {
        let hash = hasher.finalize().as_bytes().to_vec();
        let _ = pieces.blocking_send((hash.into(), at));
    }
    Ok(())
}

/// Receives a file into its part: what is missing, or, if the sender says so,
/// all of it.
pub async fn receive(
    mut stream: RecvStream,
    part: Part,
    offset: u64,
    size: u64,
    carried: &Carried,
) -> Arrival {
    let (batches, waiting) = mpsc::channel(MOST_PIECES);
    let carried = carried.clone();
    let writer = spawn_blocking(move || write(part, offset, size, waiting, &carried));
    let mut packets = vec![Bytes::new(); MOST_PACKETS];
    let ended = loop {
        match stream.read_chunks(&mut packets).await {
            Ok(Some(count)) => {
                let batch: Vec<Bytes> = packets[..count].iter_mut().map(std::mem::take).collect();
                if batches.send(batch).await.is_err() {
                    break Ok(()); // The writer has failed: its result says why.
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(batches);
    match (writer.await, ended) {
        (Err(died), _) => Arrival::Disk(io::Error::other(died)),
        (Ok(Err(error)), _) => Arrival::Disk(error),
        // The link has broken, or the sender has stopped.
        (Ok(_), Err(ReadError::ConnectionLost(_) | ReadError::Reset(_))) => Arrival::Broken,
        (Ok(Ok(arrival)), _) => arrival,
    }
}

/// Writes what comes: `Whole` if its length and the hash that follows are right,
/// else `Wrong`. A part that cannot be written does not stay: the disk may be full.
fn write(
    mut part: Part,
    offset: u64,
    size: u64,
    batches: mpsc::Receiver<Vec<Bytes>>,
    carried: &Carried,
) -> io::Result<Arrival> {
    match fill(&mut part, offset, size, batches, carried) {
        Ok(true) => Ok(Arrival::Whole(part)),
        Ok(false) => Ok(Arrival::Wrong(part)),
        Err(error) => {
            let _ = part.discard();
            Err(error)
        }
    }
}

/// Writes what comes; whether it is what the sender gave.
fn fill(
    part: &mut Part,
    offset: u64,
    size: u64,
    mut batches: mpsc::Receiver<Vec<Bytes>>,
    carried: &Carried,
) -> io::Result<bool> {
    if offset < part.written() {
        part.begin_anew()?;
    }
    carried.set(part.written());
    let mut left = size - part.written();
    // Chunks are single packets: hashed and written one by one they would cost
    // twice the time.
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    let mut tail = Vec::with_capacity(TAIL);
    while let Some(batch) = batches.blocking_recv() {
        for mut bytes in batch {
            let rest = bytes.split_off(bytes.len().min(left.try_into().unwrap_or(usize::MAX)));
            left -= bytes.len() as u64;
            buffer.extend_from_slice(&bytes);
            if tail.len() + rest.len() > TAIL {
                return Ok(false);
            }
            tail.extend_from_slice(&rest);
        }
        if buffer.len() >= CHUNK {
            part.write(&buffer)?;
            buffer.clear();
            carried.set(part.written());
        }
    }
    part.write(&buffer)?;
    carried.set(part.written());
    Ok(left == 0 && part.start().prefix[..] == tail[..])
}

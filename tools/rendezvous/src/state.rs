//! The file of `--state`: which key each name is bound to. redb keeps it: whatever ends the
//! process, the file has the last transaction that was committed, and no part of another.

mod record;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Instant, SystemTime};

use anyhow::Context;
use redb::{
    Database, DatabaseError, ReadableTable, ReadableTableMetadata, StorageError, TableDefinition,
};
use rendezvous_proto::bindings::{Binding, Change};
use tokio::sync::mpsc::UnboundedSender;

/// The layout of the records. Another one gets another number, and the older is read as well.
const VERSION: u64 = 1;

const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");
const NAMES: TableDefinition<&str, &[u8]> = TableDefinition::new("names");

/// Changes in one transaction. As many are stored at once as have come while the one before was written.
const MOST_AT_ONCE: usize = 4096;

/// The open file. It is locked: no other process opens it.
pub struct State {
    database: Database,
    path: PathBuf,
    clock: Clock,
}

/// What has become of changes.
pub type Stored = anyhow::Result<u64>;

impl State {
    /// Opens the file, or makes it, and checks the whole of it. Names that are no longer bound are left out. With
    /// it come the bindings, the one that lasts longest last; there are `most` of them at most.
    ///
    /// # Errors
    /// When it cannot be opened, is in use, is damaged, has records of another version, or has too many names.
    pub fn open(path: &Path, most: usize) -> anyhow::Result<(State, Vec<Binding>)> {
        let owned = path.to_owned();
        // redb may panic on a page that is damaged.
        let opened = std::thread::spawn(move || State::read(&owned, most)).join();
        let file = path.display();
        let opened = opened.unwrap_or_else(|_| Err(damaged("a page of it cannot be read")));
        opened.with_context(|| format!("--state {file}"))
    }

    fn read(path: &Path, most: usize) -> anyhow::Result<(State, Vec<Binding>)> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .context("cannot open it")?;
        let is_new = file.metadata().context("cannot look at it")?.len() == 0;
        let mut database = Database::builder()
            .create_with_file_format_v3(true)
            .create_file(file)
            .map_err(not_opened)?;
        if is_new {
            // Its name in the folder outlives a crash of the host as well.
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("cannot write to {}", folder.display()))?;
        } else {
            let whole = database.check_integrity();
            whole.map_err(|error| damaged(&error.to_string()))?;
        }
        let state = State {
            database,
            path: path.to_owned(),
            clock: Clock::now()?,
        };
        let bindings = state.load()?;
        anyhow::ensure!(
            bindings.len() <= most,
            "it has {} names, and --max-names is {most}: raise --max-names to {} or more",
            bindings.len(),
            bindings.len()
        );
        Ok((state, bindings))
    }

    /// Makes the tables if there are none, and reads them.
    fn load(&self) -> anyhow::Result<Vec<Binding>> {
        let transaction = self.database.begin_write()?;
        let mut bindings = Vec::new();
        {
            let mut about = transaction
                .open_table(ABOUT)
                .map_err(|error| damaged(&error.to_string()))?;
            let mut names = transaction
                .open_table(NAMES)
                .map_err(|error| damaged(&error.to_string()))?;
            let version = about.get("version")?.map(|version| version.value());
            match version {
                Some(VERSION) => {}
                None if names.is_empty()? => drop(about.insert("version", VERSION)?),
                None => return Err(damaged("it has names and no version")),
                Some(version) => anyhow::bail!(
                    "it has records of version {version}, and this rendezvous knows version {VERSION}: use the \
                     rendezvous that wrote it, or a newer one"
                ),
            }
            for entry in names.iter()? {
                let (name, record) = entry.map_err(|error| damaged(&error.to_string()))?;
                let name = name.value();
                let read = record::read(name, record.value(), &self.clock);
                bindings
                    .push(read.ok_or_else(|| damaged(&format!("the record of {name:?} is none")))?);
            }
            let now = Instant::now();
            for over in bindings.iter().filter(|binding| binding.until <= now) {
                names.remove(over.name.as_str())?;
            }
            bindings.retain(|binding| binding.until > now);
        }
        transaction.commit().context("cannot write to it")?;
        bindings.sort_by_key(|binding| binding.until);
        Ok(bindings)
    }

    /// Stores what is sent, in a thread of its own, and tells how many changes are stored each time that some are,
    /// until one cannot be stored.
    pub fn store(self, stored: UnboundedSender<Stored>) -> Sender<Change> {
        let (sender, changes) = channel();
        std::thread::spawn(move || {
            while let Some(batch) = next_batch(&changes) {
                let written = self.write(&batch).map(|()| batch.len() as u64);
                let written = written
                    .with_context(|| format!("cannot write to --state {}", self.path.display()));
                let failed = written.is_err();
                if stored.send(written).is_err() || failed {
                    return;
                }
            }
        });
        sender
    }

    /// All of these, or none.
    fn write(&self, batch: &[Change]) -> anyhow::Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut names = transaction.open_table(NAMES)?;
            for change in batch {
                match change {
                    Change::Bound(binding) => {
                        let record = record::write(binding, &self.clock);
                        names.insert(binding.name.as_str(), record.as_slice())?;
                    }
                    Change::Forgotten(name) => drop(names.remove(name.as_str())?),
                }
            }
        }
        // It waits until the disk has it.
        Ok(transaction.commit()?)
    }
}

/// Waits for a change, and takes what has come with it; `None`: there will be no more.
fn next_batch(changes: &Receiver<Change>) -> Option<Vec<Change>> {
    let first = changes.recv().ok()?;
    let more = changes.try_iter().take(MOST_AT_ONCE - 1);
    Some(std::iter::once(first).chain(more).collect())
}

fn not_opened(error: DatabaseError) -> anyhow::Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            anyhow::anyhow!("another process has it open: end that one, or name another file")
        }
        DatabaseError::UpgradeRequired(format) => anyhow::anyhow!(
            "it is a redb file of format {format}, which this rendezvous did not write: name another file"
        ),
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() != std::io::ErrorKind::InvalidData =>
        {
            anyhow::Error::new(error).context("cannot open it")
        }
        error => damaged(&error.to_string()),
    }
}

fn damaged(why: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "it is damaged, or no file of the rendezvous ({why}). Put a copy of it in its place; or move it away: the \
         rendezvous then starts without names, and each name goes to the first that registers it"
    )
}

/// The wall clock and the one of the server, at one moment.
struct Clock {
    unix: u64,
    now: Instant,
}

impl Clock {
    fn now() -> anyhow::Result<Self> {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(Clock {
            unix: unix.as_secs(),
            now: Instant::now(),
        })
    }
}

#[cfg(test)]
mod tests;
